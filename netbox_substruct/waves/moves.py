"""What people do with a wave: make it, start it, pause it, let it go on, stop it, try the failed again.

Each move locks the wave's row, so that none comes between a worker's look at the wave and what it does.  Permission for
all: change on the wave; and for those that lead to builds, build on every machine that would be built.  The table says
what is possible; everything else is refused with NotAllowed, and nothing has changed then.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import WaveMemberStateChoices as MemberState
from ..choices import WaveStateChoices as State
from ..lifecycle import branches, builds, events
from ..lifecycle.errors import NotAllowed
from . import choosing, running

if TYPE_CHECKING:
    from ..models import Wave, WaveMember

# From which states of the wave each move is possible.
FROM: Mapping[str, frozenset[str]] = {
    'start': frozenset({State.STATE_PLANNED}),
    'pause': frozenset({State.STATE_RUNNING}),
    'resume': frozenset({State.STATE_PAUSED, State.STATE_STOPPED}),
    'stop': frozenset({State.STATE_RUNNING, State.STATE_PAUSED}),
    'retry': frozenset({State.STATE_RUNNING, State.STATE_PAUSED, State.STATE_STOPPED, State.STATE_COMPLETE}),
}
# What is tried again.
ENDED_BADLY = frozenset({MemberState.STATE_FAILED, MemberState.STATE_CANCELLED})
NAMED = 5  # so many machines are named in a message


def add(
    wave: 'Wave', machines: Iterable[Any], *, overrides: Mapping[int, str] | None = None, user: Any = None
) -> list['WaveMember']:
    """Put machines into a wave, behind those that are in it; what cannot be built is left out, with the reason.

    `overrides` are the names given for machines that are active or protected, by the ids of the machines.
    """
    from ..models import Machine, WaveMember

    overrides = overrides or {}
    wanted = [machine.pk for machine in machines]
    with events.tracked(user):
        locked = _lock(wave)
        if locked.state == State.STATE_RUNNING:
            raise NotAllowed(_('Wave {wave} is running; pause it before you add machines to it.').format(wave=locked))
        known = set(locked.members.values_list('machine_id', flat=True))
        last = locked.members.order_by('-order').values_list('order', flat=True).first() or 0
        found = {each.pk: each for each in Machine.objects.filter(pk__in=wanted).select_related(*choosing.RELATED)}
        new = [found[pk] for pk in dict.fromkeys(wanted) if pk in found and pk not in known]
        obstacles = choosing.obstacles(new, profiled=locked.profile_id is not None, overrides=overrides)
        members = []
        for number, machine in enumerate(new, 1):
            member = WaveMember(
                wave=locked, machine=machine, order=last + number * 10, override=overrides.get(machine.pk, ''),
            )  # fmt: skip
            if why := obstacles.get(machine.pk):
                member.state, member.reason = MemberState.STATE_LEFT_OUT, why
            member.save()
            members.append(member)
    return members


def start(wave: 'Wave', *, user: Any) -> 'Wave':
    """Let a planned wave begin; from now on its machines are built by this user's permission."""
    return _go(wave, 'start', user)


def resume(wave: 'Wave', *, user: Any) -> 'Wave':
    """Let a paused or stopped wave go on.  What has failed before a stop is excused: it is not counted any more."""

    def excuse(locked: 'Wave', members: list['WaveMember']) -> None:
        if locked.state != State.STATE_STOPPED:
            return
        for member in members:
            if member.state in ENDED_BADLY and not member.excused:
                member.snapshot()
                member.excused = True
                member.save_moved()

    return _go(wave, 'resume', user, excuse)


def retry(wave: 'Wave', *, user: Any) -> 'Wave':
    """Build what has failed or was cancelled once more; the wave goes on with whatever else waits."""

    def again(locked: 'Wave', members: list['WaveMember']) -> None:
        chosen = [member for member in members if member.state in ENDED_BADLY]
        if not chosen:
            raise NotAllowed(_('No machine of wave {wave} has failed; there is nothing to retry.').format(wave=locked))
        for member in chosen:
            member.snapshot()
            member.state, member.reason, member.build, member.excused = MemberState.STATE_WAITING, '', None, False
            member.save_moved()

    return _go(wave, 'retry', user, again)


def pause(wave: 'Wave', *, user: Any) -> 'Wave':
    """Begin no more builds for now; those under way go on."""
    with events.tracked(user):
        locked = _locked_for(wave, 'pause')
        _become(locked, State.STATE_PAUSED, _by(_('Paused by {user}'), user, _('Paused')))
        events.emit(locked, events.WAVE_PAUSED)
    return _fresh(wave)


def stop(wave: 'Wave', *, cancel_builds: bool = False, user: Any) -> 'Wave':
    """End a wave.  Builds under way go on, or are cancelled: permission for that is cancel on each build."""
    from ..models import Build

    with events.tracked(user):
        locked = _locked_for(wave, 'stop')
        if cancel_builds:
            under_way = [member for member in _members(locked) if member.state == MemberState.STATE_BUILDING]
            ids = [member.build_id for member in under_way]
            allowed = set(Build.objects.restrict(user, 'cancel').filter(pk__in=ids).values_list('pk', flat=True))
            if refused := [member for member in under_way if member.build_id not in allowed]:
                raise NotAllowed(
                    _('You have no permission to cancel the builds of {machines}.').format(machines=_names(refused))
                )
            for member in under_way:
                builds.cancel(member.build, user=user, reason=_('wave {wave} was stopped').format(wave=locked))
        _become(locked, State.STATE_STOPPED, _by(_('Stopped by {user}'), user, _('Stopped')))
        events.emit(locked, events.WAVE_STOPPED)
    running.follow(wave.pk)
    return _fresh(wave)


def _go(
    wave: 'Wave', move: str, user: Any, prepare: Callable[['Wave', list['WaveMember']], None] | None = None
) -> 'Wave':
    """Everything that leads to builds: what can be built is looked at anew, and whether the user may build it."""
    with events.tracked(user):
        locked = _locked_for(wave, move)
        members = _members(locked)
        if prepare is not None:
            prepare(locked, members)
        _look_again(locked, members)
        waiting = [member for member in members if member.state == MemberState.STATE_WAITING]
        if not waiting and not any(member.state == MemberState.STATE_BUILDING for member in members):
            raise _nothing_to_build(locked, members)
        _may_build(waiting, user)
        locked.requested_by = user
        _become(locked, State.STATE_RUNNING, '')
        events.emit(locked, events.WAVE_STARTED)
        running.wake(locked.pk)
    return _fresh(wave)


def _look_again(wave: 'Wave', members: list['WaveMember']) -> None:
    """Leave out what cannot be built, and take in again what can be by now."""
    open_states = (MemberState.STATE_WAITING, MemberState.STATE_LEFT_OUT)
    looked_at = [member for member in members if member.state in open_states]
    obstacles = choosing.obstacles(
        [member.machine for member in looked_at],
        profiled=wave.profile_id is not None,
        overrides={member.machine_id: member.override for member in looked_at},
    )
    for member in looked_at:
        why = obstacles.get(member.machine_id, '')
        state = MemberState.STATE_LEFT_OUT if why else MemberState.STATE_WAITING
        if (state, why) != (member.state, member.reason):
            member.snapshot()
            member.state, member.reason = state, why
            member.save_moved()


def _may_build(members: list['WaveMember'], user: Any) -> None:
    from ..models import Machine

    ids = [member.machine_id for member in members]
    allowed = set(Machine.objects.restrict(user, 'build').filter(pk__in=ids).values_list('pk', flat=True))
    if refused := [member for member in members if member.machine_id not in allowed]:
        raise NotAllowed(_('You have no permission to build {machines}.').format(machines=_names(refused)))


def _nothing_to_build(wave: 'Wave', members: list['WaveMember']) -> NotAllowed:
    if not members:
        return NotAllowed(_('Wave {wave} has no machines; add some first.').format(wave=wave))
    reasons = ' '.join(member.reason for member in members[:NAMED] if member.reason)
    return NotAllowed(_('No machine of wave {wave} waits to be built. {reasons}').format(wave=wave, reasons=reasons))


def _names(members: list['WaveMember']) -> str:
    """The first few machines by name, and how many more there are."""
    names = ', '.join(str(member.machine) for member in members[:NAMED])
    if len(members) <= NAMED:
        return names
    return _('{names} and {count} more').format(names=names, count=len(members) - NAMED)


def _by(words: str, user: Any, plain: str) -> str:
    return words.format(user=user) if user else plain


def _lock(wave: 'Wave') -> 'Wave':
    return running.lock(wave.pk)


def _locked_for(wave: 'Wave', move: str) -> 'Wave':
    branches.refuse()
    locked = _lock(wave)
    if locked.state not in FROM[move]:
        words = {
            'start': _('started'), 'pause': _('paused'), 'resume': _('resumed'), 'stop': _('stopped'),
            'retry': _('retried'),
        }[move]  # fmt: skip
        raise NotAllowed(
            _('Wave {wave} is {state} and cannot be {words}.').format(
                wave=locked, state=locked.get_state_display().lower(), words=words
            )
        )
    return locked


def _members(wave: 'Wave') -> list['WaveMember']:
    return list(
        wave.members.select_related('build', *(f'machine__{name}' for name in choosing.RELATED)).order_by('order', 'pk')
    )


def _become(wave: 'Wave', state: str, reason: str) -> None:
    wave.snapshot()
    running.set_state(wave, state, reason, timezone.now())


def _fresh(wave: 'Wave') -> 'Wave':
    wave.refresh_from_db()
    return wave
