"""What a discovery rule would take of the machines whose facts are known: a dry run.  It writes nothing.

The rule need not be saved.  A fixed number of queries, whatever the number of machines.
"""

import json
from typing import Any

import msgspec
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Value, When
from django.utils.translation import gettext as _

from ..choices import MachineStateChoices as State
from . import rules
from .changes import Known, known
from .facts import plain
from .keeping import current_of

# Machines that are looked at: those that wait first, then those seen last.
MOST = 500
# Values and mismatches that are named of one machine.
NAMED = 3


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One machine.  `takes`: the rule would take it; `why`: why not, or what keeps it from doing so by itself."""

    machine: Known
    state: str
    product: str
    serial: str
    matches: bool
    takes: bool
    host_name: str
    why: tuple[str, ...]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry run found: `examined` machines, and whether there are `more`; those that match come first."""

    examined: int
    more: bool
    matching: int
    taken: int
    notes: tuple[str, ...]
    machines: tuple[Tried, ...]


def dry_run(rule: Any, user: Any) -> Trial:
    """What the rule would take of the machines and facts that the user may see."""
    from ..models import DiscoveryRule, FactSet, Machine

    waits = Case(When(state=State.STATE_DISCOVERED, then=Value(0)), default=Value(1), output_field=IntegerField())
    machines = list(
        Machine.objects.restrict(user, 'view')
        .filter(Exists(FactSet.objects.filter(machine=OuterRef('pk'))))
        .select_related('device', 'virtual_machine')
        .defer('parameters')
        .order_by(waits, F('last_seen').desc(nulls_last=True), 'pk')[: MOST + 1]
    )
    facts_of = current_of(machines[:MOST], user)
    others = list(DiscoveryRule.objects.filter(enabled=True).exclude(pk=rule.pk).annotate(taken=Count('machines')))
    earlier = sorted(
        (each for each in others if (each.priority, each.name) < (rule.priority, rule.name)),
        key=lambda each: (each.priority, each.name),
    )
    visible = set(
        DiscoveryRule.objects.restrict(user, 'view')
        .filter(pk__in=[each.pk for each in earlier])
        .values_list('pk', flat=True)
    )
    taken = rule.machines.count() if rule.pk else 0
    room = None if rule.limit is None else max(0, rule.limit - taken)
    tried = []
    for machine in machines[:MOST]:
        if machine.pk not in facts_of:
            continue
        facts = facts_of[machine.pk][1].facts
        seen = plain(facts)
        why = [_mismatch(*each) for each in list(rules.mismatches(rule.condition, seen))[:NAMED]]
        matching, name = not why, ''
        if matching:
            try:
                name = rules.host_name(rule, seen)
            except rules.RuleError as error:
                why.append(str(error))
            if machine.state != State.STATE_DISCOVERED:
                why.append(
                    _('It is {state} already: rules take discovered machines.').format(
                        state=machine.get_state_display().lower()
                    )
                )
            elif first := next((each for each in earlier if _applies(each, seen)), None):
                why.append(
                    _('The rule {rule} comes first.').format(rule=first)
                    if first.pk in visible
                    else _('A rule that you may not view comes first.')
                )
            elif room is not None and room <= 0:
                why.append(_('By then the rule rests: its limit is {limit}.').format(limit=rule.limit))
        takes = matching and not why
        if takes and room is not None:
            room -= 1
        tried.append(
            Tried(
                machine=known(machine), state=machine.state, matches=matching, takes=takes, host_name=name,
                product=' '.join(filter(None, (facts.manufacturer, facts.product))), serial=facts.serial or '',
                why=tuple(why),
            )
        )  # fmt: skip
    tried.sort(key=lambda each: (not each.takes, not each.matches))
    return Trial(
        examined=len(tried),
        more=len(machines) > MOST,
        matching=sum(each.matches for each in tried),
        taken=sum(each.takes for each in tried),
        notes=tuple(_notes(rule, len(machines) > MOST)),
        machines=tuple(tried),
    )


def _applies(rule: Any, facts: dict[str, Any]) -> bool:
    return rules.matches(rule.condition, facts) and (rule.limit is None or rule.taken < rule.limit)


def _notes(rule: Any, more: bool) -> list[str]:
    notes = []
    if not rule.enabled:
        notes.append(_('The rule is not enabled: it takes nothing before it is.'))
    if not rule.condition:
        notes.append(_('Without a condition it matches every machine.'))
    if rule.adopt_at_once or rule.build_at_once:
        notes.append(
            _('It acts when facts of a machine arrive, and leaves machines that NetBox may have already to a person.')
        )
    if more:
        notes.append(_('Only {count} machines were looked at, those that wait first.').format(count=MOST))
    return notes


def _mismatch(path: str, pattern: Any, values: list[Any]) -> str:
    return _('{path} is {found}, wanted is {wanted}.').format(
        path=path, found=_words(values), wanted=_words(pattern if isinstance(pattern, list) else [pattern])
    )


def _words(values: list[Any]) -> str:
    """Values as they stand in a condition; what is not known in words."""
    if not values or values == [None]:
        return str(_('not known'))
    shown = [json.dumps(each, ensure_ascii=False) if not isinstance(each, dict) else '{…}' for each in values]
    text = _(' or ').join(each if len(each) <= 60 else f'{each[:60]}…' for each in shown[:NAMED])
    return f'{text} …' if len(shown) > NAMED else text
