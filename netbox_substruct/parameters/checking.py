"""Parameters against JSON schemas.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jsonschema
import referencing
import referencing.exceptions
import referencing.jsonschema
from jsonschema.exceptions import ValidationError


@dataclass(frozen=True, slots=True)
class Violation:
    """`path` has the names and positions that lead to the value; empty for the parameters as a whole."""

    path: tuple[str | int, ...]
    message: str
    schema: str

    def __str__(self) -> str:
        return f'{".".join(map(str, self.path)) or "parameters"}: {self.message} (schema of {self.schema})'


class ParameterError(ValueError):
    """The parameters do not satisfy the schemas; `violations` has every reason, the text one in each line."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__('\n'.join(map(str, self.violations)))


def violations(values: dict[str, Any], schemas: Iterable[tuple[str, dict[str, Any]]]) -> list[Violation]:
    """Every violation of every schema; each schema comes with the name of the profile that has it."""
    found: dict[Violation, None] = {}
    for name, schema in schemas:
        # References are resolved within the schema alone: jsonschema would fetch others from wherever they point to.
        registry: Any = referencing.Registry()
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            for error in kind(schema, registry=registry).iter_errors(values):
                found[_violation(error, name)] = None
        except referencing.exceptions.Unresolvable as error:
            found[Violation((), f'the schema refers to {error.ref!r}, which is not inside it', name)] = None
        except RecursionError:
            found[Violation((), 'the schema refers to itself without end', name)] = None
    return sorted(found, key=lambda violation: (list(map(str, violation.path)), violation.schema, violation.message))


def _violation(error: ValidationError, name: str) -> Violation:
    message = error.message if len(error.message) <= 300 else error.message[:297] + '…'
    return Violation(tuple(error.absolute_path), message, name)
