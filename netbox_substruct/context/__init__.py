"""NetBox objects become the frozen context that templates see: plain typed data, and nothing else of NetBox.

`schema` is what it holds, `naming` has names that follow from others, `reading` reads the models.
"""

import json
from typing import Any

import msgspec

from .schema import SCHEMA_VERSION, Context

__all__ = ('SCHEMA_VERSION', 'Context', 'assemble', 'json_schema', 'to_plain')


def assemble(machine: Any, profile: Any, build_id: int | None = None, parameters: Any = None) -> Context:
    """The context of a machine that is to become `profile`; without `build_id` that of a preview."""
    from . import reading

    return reading.assemble(machine, profile, build_id, parameters)


def to_plain(context: Context) -> dict[str, Any]:
    """The context as mappings, lists, text, numbers, true, false and None: what templates get and builds keep.

    It goes through JSON, so that it is the same before a build keeps it and afterwards, and shares nothing with NetBox.
    """
    plain: dict[str, Any] = json.loads(json.dumps(msgspec.to_builtins(context)))
    return plain


def json_schema() -> dict[str, Any]:
    """The JSON schema of the context."""
    return msgspec.json.schema(Context)
