"""Carrying waves on: what became of their builds, and the next builds, in workers.

A worker looks at a wave and acts on it in one transaction that holds the wave's row, one build at a time: two workers
never request the same build, and one that dies in between leaves nothing half done.  Whatever a worker would have had
to remember stands in the database, so a restart costs nothing; a lost wake-up costs a minute (`jobs.CarryWavesOn`).
"""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import django_rq
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from netbox.constants import RQ_QUEUE_DEFAULT

from ..choices import BuildStateChoices as BuildState
from ..choices import WaveMemberStateChoices as MemberState
from ..choices import WaveStateChoices as State
from ..lifecycle import builds, events
from ..lifecycle.errors import Conflict, LifecycleError, NotAllowed, NotReady, OverrideRequired
from ..lifecycle.states import BUILD_ACTIVE
from . import deciding

if TYPE_CHECKING:
    from ..models import Wave, WaveMember

logger = logging.getLogger('netbox.substruct.waves')

# What a member is while its build is in each state.
OF_BUILD = {
    **dict.fromkeys(BUILD_ACTIVE, MemberState.STATE_BUILDING),
    BuildState.STATE_COMPLETE: MemberState.STATE_DONE,
    BuildState.STATE_FAILED: MemberState.STATE_FAILED,
    BuildState.STATE_STALLED: MemberState.STATE_FAILED,
    BuildState.STATE_CANCELLED: MemberState.STATE_CANCELLED,
}
ENDS = frozenset({State.STATE_STOPPED, State.STATE_COMPLETE})


def connect() -> None:
    """Be told of builds that end; called once, when the plugin is loaded."""
    events.emitted.connect(_woken_by_build, dispatch_uid='netbox_substruct.waves')


def advance_all(now: datetime | None = None) -> dict[int, Exception]:
    """Carry every wave on: what the wake-ups may have missed, and windows that have opened.

    Gives the waves that could not be carried on, by id.
    """
    from ..models import Wave

    wrong: dict[int, Exception] = {}
    under_way = Wave.objects.filter(state=State.STATE_RUNNING).values_list('pk', flat=True)
    for wave_id in sorted({*under_way, *out_of_date()}):
        try:
            advance(wave_id, now)
        except Exception as error:  # whatever is wrong with one: the others are carried on
            logger.exception('Wave #%s cannot be carried on', wave_id)
            wrong[wave_id] = error
    return wrong


def advance(wave_id: int, now: datetime | None = None) -> None:
    """Carry one wave on as far as it goes now."""
    follow(wave_id)
    refused: tuple[int, LifecycleError] | None = None
    while True:
        try:
            if refused is not None:
                _refuse(wave_id, *refused)
                refused = None
            if not _step(wave_id, now or timezone.now()):
                return
        except _Refused as error:
            refused = (error.member, error.why)


def wake(wave_id: int) -> None:
    """Have a worker carry a wave on when the present transaction is committed."""

    def enqueue() -> None:
        try:
            django_rq.get_queue(RQ_QUEUE_DEFAULT).enqueue('netbox_substruct.waves.running.advance', wave_id)
        except Exception:  # Redis is away: the job that runs every minute does it
            logger.warning('Wave #%s could not be woken', wave_id, exc_info=True)

    transaction.on_commit(enqueue)


def _woken_by_build(sender: Any, instance: Any, **kwargs: Any) -> None:
    """A receiver of `events.emitted`: a build has ended, or was heard of again."""
    from ..models import WaveMember

    if instance._meta.label_lower != 'netbox_substruct.build' or instance.state == BuildState.STATE_PENDING:
        return
    for wave_id in (
        WaveMember.objects.filter(build=instance.pk)
        .exclude(state=OF_BUILD[instance.state])
        .values_list('wave_id', flat=True)
    ):
        wake(wave_id)


def out_of_date() -> set[int]:
    """The waves with members that do not say what became of their builds."""
    from ..models import WaveMember

    differs = Q(build__isnull=True, state=MemberState.STATE_BUILDING)
    for state in set(OF_BUILD.values()):
        of_state = [each for each, member in OF_BUILD.items() if member == state]
        differs |= Q(build__state__in=of_state) & ~Q(state=state)
    return set(WaveMember.objects.filter(differs).values_list('wave_id', flat=True))


def follow(wave_id: int) -> None:
    """Write down what became of a wave's builds, whatever the wave's own state: builds go on when it is stopped."""
    from ..models import Wave

    known = Wave.objects.filter(pk=wave_id).select_related('requested_by').first()
    if known is None:
        return
    with events.tracked(known.requested_by):
        lock(wave_id)
        for member in known.members.select_related('build').filter(
            Q(build__isnull=False) | Q(state=MemberState.STATE_BUILDING)
        ):
            build = member.build
            if build is None:
                state, reason = MemberState.STATE_CANCELLED, _('Its build was deleted.')
            else:
                state = OF_BUILD[build.state]
                reason = (build.error or build.get_state_display()) if state == MemberState.STATE_FAILED else ''
            if (state, reason) != (member.state, member.reason):
                _mark(member, state, reason)


class _Refused(Exception):
    """`lifecycle` has refused the build of a member: the transaction is rolled back, and what it said written down."""

    def __init__(self, member: int, why: LifecycleError) -> None:
        super().__init__(str(why))
        self.member, self.why = member, why


def _step(wave_id: int, now: datetime) -> bool:
    """One look and one act; False when there is nothing more to do now."""
    from ..models import Wave

    known = Wave.objects.filter(pk=wave_id, state=State.STATE_RUNNING).select_related('requested_by').first()
    if known is None:
        return False
    user = known.requested_by  # read anew each time: permissions may have gone meanwhile
    with events.tracked(user):
        wave = lock(wave_id)
        if wave.state != State.STATE_RUNNING or wave.requested_by_id != known.requested_by_id:
            return wave.state == State.STATE_RUNNING
        decision = decide(wave, now)
        if decision.state is not None:
            _end(wave, decision.state, decision.why, now)
            return False
        if not decision.begin:
            return False
        member = wave.members.select_related('machine').get(pk=decision.begin[0])
        if why := _not_permitted(member, user):
            _mark(member, member.state, why)
            _end(wave, State.STATE_STOPPED, _('{user} may not build all of its machines (any more).').format(
                user=user or _('Whoever started it')), now)  # fmt: skip
            return False
        try:
            build = builds.request(
                member.machine,
                user=user,
                profile=wave.profile,
                override=member.override,
                description=_('Wave {wave}').format(wave=wave)[:200],
            )
        except LifecycleError as error:
            raise _Refused(member.pk, error) from error
        except DatabaseError:
            raise
        except Exception as error:  # whatever is wrong with one machine: the wave says so, and does not hang on it
            logger.exception('%s could not be built', member)
            raise _Refused(
                member.pk,
                NotReady(_('{machine} could not be built: {why}').format(machine=member.machine, why=error)),
            ) from error
        member.snapshot()
        member.build, member.attempts = build, member.attempts + 1
        member.state, member.reason = MemberState.STATE_BUILDING, ''
        member.save_moved()
    return True


def decide(wave: 'Wave', now: datetime) -> deciding.Decision:
    """What a wave does next, as it stands in the database."""
    return deciding.decide(plan_of(wave), members_of(wave), now)


def plan_of(wave: 'Wave') -> deciding.Plan:
    return deciding.Plan(wave.at_once, wave.canaries, wave.max_failures, wave.window)


def members_of(wave: 'Wave') -> list[deciding.Member]:
    """The members of a wave in its order, as `deciding` sees them."""
    from ..models import Build

    rows = list(wave.members.order_by('order', 'pk').values_list('pk', 'state', 'excused', 'machine_id'))
    waiting = [machine for _pk, state, _excused, machine in rows if state == MemberState.STATE_WAITING]
    busy = set(
        Build.objects.filter(machine__in=waiting, state__in=BUILD_ACTIVE).values_list('machine_id', flat=True)
        if waiting
        else ()
    )
    return [
        deciding.Member(pk, state, excused, blocked=state == MemberState.STATE_WAITING and machine in busy)
        for pk, state, excused, machine in rows
    ]


def _not_permitted(member: 'WaveMember', user: Any) -> str:
    """Why the user who started the wave may not build this machine now; empty if all is well."""
    from ..models import Machine

    if user is None:
        return _('The user who started the wave was deleted.')
    # NetBox asks an inactive superuser for nothing.
    if not user.is_active or not Machine.objects.restrict(user, 'build').filter(pk=member.machine_id).exists():
        return _('{user} has no permission to build {machine}.').format(user=user, machine=member.machine)
    return ''


def _refuse(wave_id: int, member_id: int, error: LifecycleError) -> None:
    """Write down why `lifecycle` has refused a build, unless something has changed since."""
    from ..models import WaveMember

    member = WaveMember.objects.select_related('wave__requested_by').filter(pk=member_id).first()
    if member is None:
        return
    with events.tracked(member.wave.requested_by):
        lock(wave_id)
        member = WaveMember.objects.select_related('machine').get(pk=member_id)
        if member.state != MemberState.STATE_WAITING:
            return
        if isinstance(error, Conflict):
            return  # it is being built otherwise by now: the next look sees it
        left_out = isinstance(error, OverrideRequired | NotAllowed)
        _mark(member, MemberState.STATE_LEFT_OUT if left_out else MemberState.STATE_FAILED, str(error))


def _end(wave: 'Wave', state: str, why: str, now: datetime) -> None:
    wave.snapshot()
    set_state(wave, state, why, now)
    events.emit(wave, events.WAVE_STOPPED if state == State.STATE_STOPPED else events.WAVE_COMPLETE)


def set_state(wave: 'Wave', state: str, reason: str, now: datetime) -> None:
    """Write the new state of a locked wave, of which a snapshot was taken."""
    wave.state, wave.reason = state, reason
    if state == State.STATE_RUNNING:
        wave.started = wave.started or now
    wave.finished = now if state in ENDS else None
    wave.save_moved()


def _mark(member: 'WaveMember', state: str, reason: str) -> None:
    member.snapshot()
    member.state, member.reason = state, reason
    member.save_moved()


def lock(pk: int) -> 'Wave':
    """The wave, its row held against every other move until the transaction ends."""
    from ..models import Wave

    return Wave.objects.select_for_update().get(pk=pk)
