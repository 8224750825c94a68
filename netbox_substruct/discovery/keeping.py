"""Facts over time: the newest in full, of older ones fewer the further back they are."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Case, Value, When

from netbox.plugins import get_plugin_config

from ..choices import FactSourceChoices
from .facts import Facts, Reading, essence, read


def keep(machine: Any, *, source: str, collected: datetime, format_version: int, data: dict[str, Any]) -> Any:
    """The FactSet that holds these facts.

    Facts that say what the newest of their source say already are the same facts, heard once more: they make no new
    row.
    """
    from ..models import FactSet

    known = FactSet.objects.filter(machine=machine, source=source)
    newest = known.order_by('-collected', '-pk').first()
    if newest is not None and newest.format_version == format_version and essence(newest.data) == essence(data):
        if collected > newest.collected:
            # Not a change that somebody made: no changelog, no event.
            known.filter(pk=newest.pk).update(collected=collected, data=data)
            newest.collected, newest.data = collected, data
        return newest
    facts = FactSet(machine=machine, source=source, collected=collected, format_version=format_version, data=data)
    facts.full_clean()
    facts.save()
    rows = list(known.order_by('-collected', '-pk').values_list('pk', 'collected'))
    gone = superfluous([when for _, when in rows], int(get_plugin_config('netbox_substruct', 'facts_kept')))
    if gone:
        known.filter(pk__in=[rows[index][0] for index in gone]).delete()
    return facts


def superfluous(times: Sequence[datetime], kept: int) -> list[int]:
    """Which of a history go so that `kept` are left; `times` are the newest first, the answer is their places.

    The newer half stays, and so does the very first; between them those go first that stand closest to both neighbours.
    """
    left = list(range(len(times)))
    while len(left) > max(kept, 1):
        inner = range(max(kept // 2, 1), len(left) - 1)
        closest = min(inner, key=lambda at: times[left[at - 1]] - times[left[at + 1]], default=len(left) - 1)
        del left[closest]
    return [place for place in range(len(times)) if place not in set(left)]


def may_view(facts: Any, user: Any) -> bool:
    """Whether a user may see what a FactSet says; None says nothing."""
    return facts is None or bool(type(facts).objects.restrict(user, 'view').filter(pk=facts.pk).exists())


def current(machine: Any) -> tuple[Any, Reading]:
    """The FactSet that counts now, and what it says; (None, empty facts) where there is none.

    A machine knows itself best: what its prospector said comes before what others say of it.
    """
    from ..models import FactSet

    found = FactSet.objects.filter(machine=machine).order_by('-collected', '-pk')
    facts = found.filter(source=FactSourceChoices.SOURCE_PROSPECTOR).first() or found.first()
    if facts is None:
        return None, Reading(Facts(), ())
    return facts, read(facts.data, facts.format_version)


def current_of(machines: Collection[Any], user: Any) -> dict[int, tuple[Any, Reading]]:
    """As `current`, of many machines by their id, in two queries; only what the user may see."""
    from ..models import FactSet

    own = Case(When(source=FactSourceChoices.SOURCE_PROSPECTOR, then=Value(0)), default=Value(1))
    newest = FactSet.objects.filter(machine__in=[machine.pk for machine in machines]).annotate(own=own)
    keys = newest.order_by('machine_id', 'own', '-collected', '-pk').distinct('machine_id').values_list('pk', flat=True)
    seen = FactSet.objects.restrict(user, 'view').filter(pk__in=list(keys))
    return {facts.machine_id: (facts, read(facts.data, facts.format_version)) for facts in seen}
