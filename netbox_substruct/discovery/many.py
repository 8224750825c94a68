"""Many discovered machines adopted after one review.

`plan` says of each machine what it would become, or why it is left out: one that NetBox may have already, one of which
something must be chosen first.  `carry_out` adopts each in a transaction of its own, and only if it would still become
what was seen; what the machines before it brought into NetBox (their device type, say) does not count as another.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.apps import apps
from django.utils.translation import gettext as _

from ..lifecycle import events
from ..lifecycle.errors import LifecycleError
from . import adoption, choosing, matching
from .errors import Incomplete, Stale
from .keeping import current, may_view

# Nobody reads more proposals at once, and each takes a moment.
MOST = 50
# What may be said for all of them, where their rule or facts say nothing.
SHARED = ('role', 'site', 'tenant', 'platform', 'profile', 'cluster')


@dataclass(frozen=True, slots=True)
class Planned:
    """What one machine would become.  `obstacles`: why it is left out; `made`: pairs of what and how many of it."""

    machine: Any
    choices: choosing.Choices
    lines: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    made: tuple[tuple[str, int], ...] = ()
    changed: int = 0
    digest: str = ''

    @property
    def title(self) -> str:
        """What it becomes, in words."""
        return next((line.title for line in self.lines if line.section == 'device'), '')


@dataclass(frozen=True, slots=True)
class Done:
    """How it went: the object that the machine is now, or why it is left as it was."""

    machine: Any
    object: Any = None
    problem: str = ''


def plan(machines: Collection[Any], user: Any, *, shared: Mapping[str, Any], names: Mapping[int, str]) -> list[Planned]:
    """What would become of the machines, by id the `names` that somebody gave them, and `shared` choices for all."""
    found = [_planned(machine, user, shared, names.get(machine.pk)) for machine in machines]
    often = Counter(each.choices.name.lower() for each in found if each.choices.name)
    return [
        _against(each, _('Several of these machines would be called {name}.').format(name=each.choices.name))
        if often[each.choices.name.lower()] > 1
        else each
        for each in found
    ]


def _against(planned: Planned, obstacle: str) -> Planned:
    return replace(planned, obstacles=(*planned.obstacles, obstacle), digest='')


def _planned(machine: Any, user: Any, shared: Mapping[str, Any], name: str | None) -> Planned:
    facts_set, reading = current(machine)
    if not may_view(facts_set, user):
        return Planned(machine, choosing.Choices(), obstacles=(_('You may not view its facts.'),))
    chosen, notes = choosing.defaults(machine)
    given = {
        field: value
        for field, value in shared.items()
        if field in SHARED and value is not None and getattr(chosen, field) is None
    }
    choices = msgspec.structs.replace(chosen, **given, **({'name': name} if name is not None else {}))
    obstacles = []
    everything = matching.candidates(machine, reading.facts)
    if everything:
        seen = matching.candidates(machine, reading.facts, user=user)
        obstacles.append(
            _('It may be {objects}, which NetBox has already: adopt it by itself.').format(
                objects=', '.join(str(each.object) for each in seen[:3]) or _('something that you may not view')
            )
        )
    proposal = adoption.propose(machine, choices, user=user)
    obstacles += [problem.message for problem in proposal.problems]
    made: Counter[str] = Counter()
    changed = 0
    wanted = [line for line in proposal.lines if line.accepted_by_default]
    for line in wanted:
        for change in line.changes:
            if change.action == 'create':
                made[change.model] += 1
            else:
                changed += 1
    missing = sorted({permission for line in proposal.lines for permission in line.not_permitted})
    warnings = [warning for line in proposal.lines for warning in line.warnings]
    if missing:
        warnings.append(
            _('What needs the permissions {permissions} is left out.').format(permissions=', '.join(missing))
        )
    return Planned(
        machine, choices, proposal.lines, (*notes, *proposal.notes), tuple(dict.fromkeys(warnings)), tuple(obstacles),
        made=tuple((_kind(model, number), number) for model, number in made.most_common()),
        changed=changed,
        digest='' if obstacles else proposal.digest,
    )  # fmt: skip


def _kind(model: str, number: int) -> str:
    meta = apps.get_model(model)._meta
    return str(meta.verbose_name if number == 1 else meta.verbose_name_plural)


def carry_out(planned: Collection[Planned], confirmed: Mapping[int, str], user: Any) -> Iterator[Done]:
    """Adopt those whose digest is the confirmed one, one after the other.  Permissions as of adopting one."""
    before = list(planned)  # all is compared before anything is written
    for each in before:
        if each.obstacles:
            yield Done(each.machine, problem=' '.join(each.obstacles))
        elif confirmed.get(each.machine.pk) != each.digest:
            yield Done(
                each.machine,
                problem=_('Its facts or what NetBox holds have changed since. Look at it again.'),
            )
        else:
            yield _adopt(each, user)


def _adopt(planned: Planned, user: Any) -> Done:
    machine = planned.machine
    try:
        with events.alone(user):
            if matching.candidates(machine):
                raise Stale(_('It may be one that NetBox has by now: adopt it by itself.'))
            proposal = adoption.propose(machine, planned.choices, user=user)
            # What was to be made may be there by now, for the machine before brought it; nothing else is made.
            if not _keys(proposal.lines) <= _keys(planned.lines):
                raise Stale(_('It would become something else by now. Look at it again.'))
            if proposal.problems:
                raise Incomplete(' '.join(problem.message for problem in proposal.problems))
            outcome = adoption.carry_out(machine, planned.choices, proposal.digest, user=user)
    except LifecycleError as error:
        return Done(machine, problem=str(error))
    return Done(outcome.machine, outcome.object)


def _keys(lines: Collection[Any]) -> set[str]:
    return {line.key for line in lines if line.accepted_by_default}
