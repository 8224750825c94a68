"""Discovery rules: which one applies to a machine, and what it calls the machine.  Pure, but for reading the rules."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import jinja2
from django.utils.translation import gettext as _

from ..bundles.limits import Budget, LimitError
from ..bundles.markers import Sealed
from ..bundles.quoting import QuotingError
from ..bundles.sandbox import TemplateFailure, sandbox
from ..context.naming import label

# A host name is a matter of microseconds.
SECONDS = 1.0
LONGEST_NAME = 64


class RuleError(Exception):
    """A rule cannot say what it should; the text names the rule and what to do."""


def matches(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether plain facts (`facts.plain`) satisfy all of a condition.

    A path leads through sections; where it comes upon a list, one of its entries must match.  Text is compared without
    regard to case, with * and ? as in file names.  What is not known matches null, and nothing else.
    """
    return not any(mismatches(condition, facts))


def mismatches(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[tuple[str, Any, list[Any]]]:
    """The entries of a condition that plain facts do not satisfy: path, pattern, and what is found there."""
    for path, pattern in condition.items():
        values = _values(facts, path.split('.'))
        if not _matches_one(pattern, values):
            yield path, pattern, values


def _values(value: Any, path: list[str]) -> list[Any]:
    """What a path leads to."""
    for place, name in enumerate(path):
        if isinstance(value, list):
            if name.isdecimal():
                value = value[int(name)] if int(name) < len(value) else None
                continue
            return [found for each in value for found in _values(each, path[place:])]
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, list) else [value]


def _matches_one(pattern: Any, values: list[Any]) -> bool:
    patterns = pattern if isinstance(pattern, list) else [pattern]
    return any(_same(each, value) for each in patterns for value in values or [None])


def _same(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, str):
        if isinstance(value, bool) or value is None or isinstance(value, Mapping | list):
            return False
        return fnmatchcase(str(value).casefold(), pattern.casefold())
    # True is 1 in Python, and not here.
    return (type(pattern) is type(value) and pattern == value) or (
        _is_number(pattern) and _is_number(value) and pattern == value
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def rule_for(facts: Mapping[str, Any]) -> Any:
    """The DiscoveryRule that applies to a machine with these plain facts, or None."""
    from ..models import DiscoveryRule

    rows = DiscoveryRule.objects.filter(enabled=True).order_by('priority', 'name')
    rows = rows.select_related('role', 'device_type__manufacturer', 'site', 'profile')
    return next((rule for rule in rows if matches(rule.condition, facts) and not rests(rule)), None)


def rests(rule: Any) -> bool:
    """Whether a rule has taken as many machines as it may."""
    return rule.limit is not None and rule.machines.count() >= rule.limit


def host_name(rule: Any, facts: Mapping[str, Any]) -> str:
    """The host name that a rule's template makes of plain facts; '' where it has none.  Raises RuleError."""
    if not rule.host_name_template:
        return ''
    name = str(rule)
    try:
        environment = sandbox({name: (name, rule.host_name_template)}, facts, Sealed(), Budget(SECONDS))
        loaded = environment.get_template(name)
        parts: list[str] = []
        for part in loaded.root_render_func(loaded.new_context(dict(facts))):
            parts.append(part)
            if sum(map(len, parts)) > LONGEST_NAME * 4:
                break
        text = ''.join(parts).strip()
    except (jinja2.TemplateError, LimitError, QuotingError, TemplateFailure, TypeError, ValueError, ArithmeticError,
            LookupError, RecursionError) as error:  # fmt: skip
        raise RuleError(
            _('The host name template of the discovery rule {rule} cannot be used: {why}').format(rule=name, why=error)
        ) from error
    if not text or len(text) > LONGEST_NAME or any(label(part) != part.lower() for part in text.split('.')):
        raise RuleError(
            _('The host name template of the discovery rule {rule} gives "{name}", which is no host name: letters, '
              'digits and hyphens, at most {limit} characters.').format(rule=name, name=text[:80], limit=LONGEST_NAME)
        )  # fmt: skip
    return text
