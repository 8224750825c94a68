"""How far a wave has come, as pages and the REST API show it: of the members that a user may see.

A fixed number of queries, whatever the number of members.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Case, Count, IntegerField, Value, When
from django.utils import timezone

from ..choices import WaveMemberStateChoices as MemberState
from ..choices import WaveStateChoices as State
from . import choosing, deciding, running

if TYPE_CHECKING:
    from ..models import Wave, WaveMember

# Rows of a wave's own page.  Where there are more, those that one looks for come first, and the list has all.
SHOWN = 100
# What one looks for first.
INTEREST = (MemberState.STATE_FAILED, MemberState.STATE_BUILDING, MemberState.STATE_CANCELLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """`counts` by state of members; `why`: what the wave waits for, or why it was paused or has ended."""

    total: int
    counts: dict[str, int]
    why: str

    def share(self, state: str) -> float:
        """Per cent of all members that are in a state."""
        return 100 * self.counts[state] / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """A member with what its line shows.  `reason` is also what one that waits is waiting for."""

    member: 'WaveMember'
    canary: bool
    reason: str
    duration: timedelta | None


def progress(wave: 'Wave', user: Any, now: datetime | None = None) -> Progress:
    from ..models import WaveMember

    visible = WaveMember.objects.restrict(user, 'view').filter(wave=wave)
    found = dict(visible.order_by().values_list('state').annotate(number=Count('pk')))
    counts = {state: found.get(state, 0) for state in MemberState.values()}
    why = wave.reason
    if wave.state == State.STATE_RUNNING:
        why = running.decide(wave, now or timezone.now()).why
    elif wave.state == State.STATE_COMPLETE:
        why = deciding.outcome(counts)
    return Progress(sum(counts.values()), counts, why)


def rows(wave: 'Wave', user: Any, now: datetime | None = None) -> list[Row]:
    """The members that stand on the page of the wave."""
    from ..models import WaveMember

    members = (
        WaveMember.objects.restrict(user, 'view')
        .filter(wave=wave)
        .select_related(
            'build__machine__device', 'build__machine__virtual_machine',
            *(f'machine__{name}' for name in choosing.RELATED),
        )
        .defer('build__request')
        .order_by('order', 'pk')
    )  # fmt: skip
    found = list(members[: SHOWN + 1])
    if len(found) > SHOWN:
        first = Case(When(state__in=INTEREST, then=Value(0)), default=Value(1), output_field=IntegerField())
        found = list(members.order_by(first, 'order', 'pk')[:SHOWN])
    plan, of_wave = running.plan_of(wave), running.members_of(wave)
    canaries = deciding.canaries(plan, of_wave)
    if wave.state == State.STATE_RUNNING:
        reasons = deciding.waits(plan, of_wave, now or timezone.now())
    else:  # what would be said when it is started
        waiting = [member for member in found if member.state == MemberState.STATE_WAITING]
        obstacles = choosing.obstacles(
            [member.machine for member in waiting],
            profiled=wave.profile_id is not None,
            overrides={member.machine_id: member.override for member in waiting},
        )
        reasons = {member.pk: obstacles.get(member.machine_id, '') for member in waiting}
    return [
        Row(
            member,
            member.pk in canaries,
            member.reason or reasons.get(member.pk, ''),
            member.duration,
        )
        for member in found
    ]
