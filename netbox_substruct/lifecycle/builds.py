"""Moves of builds: requesting, what machines report, cancelling, noticing that nothing is heard any more.

A build is a destructive act.  Everything that can be wrong is found before the build exists: it is refused with the
reason, or it stands with its artifacts, its token and the first line of its timeline.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import BuildEventKindChoices as Event
from ..choices import BuildStateChoices as State
from ..choices import MachineStateChoices
from . import events, guarding, machines, settling, stalling
from .errors import Conflict, NotAllowed, NotReady, OverrideRequired
from .states import (
    BUILD_ACTIVE,
    BUILD_END_TO_MACHINE,
    BUILD_MOVES,
    MACHINE_MOVES,
    NOT_REPORTED,
    next_build_state,
)

if TYPE_CHECKING:
    from ..models import Build, BuildEvent, Machine

logger = logging.getLogger('netbox.substruct.lifecycle')

_STATE_EVENTS = {
    State.STATE_BOOTING: events.BUILD_STARTED,
    State.STATE_INSTALLING: events.BUILD_INSTALLING,
    State.STATE_FINISHING: events.BUILD_FINISHING,
    State.STATE_COMPLETE: events.BUILD_COMPLETE,
    State.STATE_FAILED: events.BUILD_FAILED,
    State.STATE_STALLED: events.BUILD_STALLED,
    State.STATE_CANCELLED: events.BUILD_CANCELLED,
}


def request(
    machine: 'Machine', *, user: Any = None, profile: Any = None, override: str = '', description: str = '',
    origin: Mapping[str, Any] | None = None,
) -> 'Build':  # fmt: skip
    """Request a build of a machine.  Permission: build on the machine.

    `profile` is the machine's own if none is given, and becomes its own if one is.  `override` is the machine's name,
    needed where `guarding.guard` gives a reason.  `origin`, kept in the build's request, is what asked for it where it
    was no person.  Raises NotAllowed, Conflict, OverrideRequired or NotReady; then nothing has changed.
    """
    from .. import bundles, preflight
    from ..models import Build, BuildArtifact, BuildEvent, BuildToken

    with events.tracked(user):
        locked = machines.lock(machine.pk)
        if build := locked.active_build:
            raise _conflict(locked, build)
        if MachineStateChoices.STATE_BUILDING not in MACHINE_MOVES[locked.state]:
            raise NotAllowed(
                _('{machine} is {state} and cannot be built; register it first.').format(
                    machine=locked, state=locked.get_state_display().lower()
                )
            )
        if (reason := guarding.guard(locked)) and override != locked.name:
            raise OverrideRequired(
                _('{reason}, and a build erases its disks. To build it all the same, give its exact name as the '
                  'override.').format(reason=reason)
            )  # fmt: skip
        profile = profile or locked.profile
        if profile is None:
            raise NotReady(_('{machine} has no profile; choose one first.').format(machine=locked))

        machines.overtake(locked)
        build = Build(
            machine=locked, profile=profile, requested_by=user, description=description,
            request={'machine_state': locked.state},
        )  # fmt: skip
        try:
            with transaction.atomic():
                build.save()
        except IntegrityError as error:
            # Whoever wrote past the lock (a script, raw SQL) was first; the constraint has the last word.
            raise _conflict(locked, locked.active_build) from error

        bundle = bundles.assemble(locked, profile, build)  # raises NotReady with every reason
        boot_image = next((above.boot_image for above in profile.chain if above.boot_image_id), None)
        preflight.refuse(locked, boot_image)  # raises NotReady too
        image = boot_image.pk if boot_image is not None else None
        if origin is not None:
            build.request = {**build.request, 'origin': dict(origin)}
        build.request = {**build.request, 'override': override, 'boot_image': image, 'context': bundle.context}
        Build.objects.filter(pk=build.pk).update(request=build.request)
        BuildToken.objects.create(build_id=build.pk)
        for artifact in bundle.artifacts:
            BuildArtifact(
                build=build, kind=artifact.kind, name=artifact.name, content=artifact.content,
                template_name=artifact.template_name,
            ).save()  # fmt: skip
        locked.snapshot()
        locked.profile = profile
        locked.next_boot = ''
        machines.set_state(locked, MachineStateChoices.STATE_BUILDING)
        BuildEvent.objects.create(
            build=build,
            kind=Event.KIND_REQUESTED,
            message=_('Requested by {user}').format(user=user) if user else _('Requested'),
        )
        events.emit(build, events.BUILD_REQUESTED)
    machine.refresh_from_db()
    return build


def record(
    build: 'Build',
    kind: str,
    *,
    message: str = '',
    time: datetime | None = None,
    progress: int | None = None,
    log: str = '',
    key: str | None = None,
    user: Any = None,
) -> 'BuildEvent':
    """Write an event into a build's timeline and move the build where the event takes it.  Permission: add on events.

    An event whose `key` is known already is returned as it stands, and nothing moves.  Events that come late or out of
    order are written, and move nothing.  `time` is when it happened on the machine; now, if not given.  The build's
    token, which machines know, is not kept with what they say.  Raises NotAllowed for a kind that nobody reports, and
    for the key of another build's event.
    """
    from ..models import Build, BuildEvent

    if kind not in Event.values():
        raise NotAllowed(
            _('"{kind}" is no kind of event; use one of {kinds}.').format(kind=kind, kinds=', '.join(Event.values()))
        )
    if kind in NOT_REPORTED:
        raise NotAllowed(_('"{kind}" is nothing that a machine reports.').format(kind=kind))
    with events.tracked(user or build.requested_by):
        machine = machines.lock(build.machine_id)
        locked = Build.objects.select_for_update(of=('self',)).get(pk=build.pk)
        if key and (known := BuildEvent.objects.filter(key=key).first()):
            if known.build_id != locked.pk:
                raise NotAllowed(_('The event key {key} belongs to another build.').format(key=key))
            return known
        event = BuildEvent(
            build=locked, kind=kind, message=_without_token(locked, message)[:500], time=time or timezone.now(),
            progress=progress, log=_without_token(locked, log), key=key or None,
        )  # fmt: skip
        event.full_clean()
        event.save()
        state = next_build_state(locked.state, kind)
        if state in BUILD_ACTIVE and not locked.is_active and not _may_go_on(machine, locked):
            state = None
        _advance(machine, locked, state, event)
    build.refresh_from_db()
    return event


def _without_token(build: 'Build', text: str) -> str:
    """What a machine says, without its build's token: a kernel's log has the command line, with the URL of the build.

    Whoever has the token can fetch what is served under it, with the secrets that the boot server fills in.
    """
    from ..models import BuildToken

    token = BuildToken.objects.filter(build_id=build.pk).first() if text else None
    return text.replace(token.token, '(token)') if token is not None else text


def cancel(build: 'Build', *, user: Any = None, reason: str = '') -> 'Build':
    """Stop a build.  Permission: cancel on the build.  Raises NotAllowed if it has ended already.

    A machine that had not begun is what it was before; one that had begun has failed: its disks may be half written.
    """
    from ..models import Build, BuildEvent

    with events.tracked(user):
        machine = machines.lock(build.machine_id)
        locked = Build.objects.select_for_update(of=('self',)).get(pk=build.pk)
        if State.STATE_CANCELLED not in BUILD_MOVES[locked.state]:
            raise NotAllowed(
                _('Build #{build} of {machine} is {state}; there is nothing to cancel.').format(
                    build=locked.pk, machine=machine, state=locked.get_state_display().lower()
                )
            )
        message = _('Cancelled by {user}').format(user=user) if user else _('Cancelled')
        event = BuildEvent.objects.create(
            build=locked, kind=Event.KIND_CANCELLED, message=f'{message}: {reason}'[:500] if reason else message
        )
        _advance(machine, locked, State.STATE_CANCELLED, event)
    build.refresh_from_db()
    return build


def notice_stalled(now: datetime | None = None, *, user: Any = None) -> list['Build']:
    """Give up the builds of which nothing was heard for as long as their profiles allow; gives those that were.

    No machine is blamed for its boot server: the time in which no boot server of the machine was heard does not count,
    unless that has lasted for a day.
    """
    now = now or timezone.now()
    overdue = stalling.overdue(now)
    found = []
    for build_id, why in overdue.items():
        try:
            build = _give_up(build_id, why, now, user)
        except Exception:  # whatever is wrong with one: the others are given up
            logger.exception('Build #%s has stalled and cannot be given up', build_id)
            continue
        if build is not None:
            found.append(build)
    return found


def _give_up(build_id: int, silence: 'stalling.Silence', now: datetime, user: Any) -> 'Build | None':
    """None if it was heard of meanwhile."""
    from ..models import Build, BuildEvent

    known = Build.objects.defer('request').select_related('requested_by').filter(pk=build_id).first()
    if known is None:
        return None
    with events.tracked(user or known.requested_by):
        machine = machines.lock(known.machine_id)
        locked = Build.objects.select_for_update(of=('self',)).get(pk=build_id)
        if locked.state not in BUILD_ACTIVE or locked.events.filter(pk__gt=silence.last_event).exists():
            return None
        event = BuildEvent.objects.create(
            build=locked, kind=Event.KIND_STALLED, time=now, message=silence.words(locked.state)[:500]
        )
        _advance(machine, locked, State.STATE_STALLED, event)
    return locked


def _conflict(machine: 'Machine', build: 'Build | None') -> Conflict:
    number = f'#{build.pk}' if build else ''
    return Conflict(
        _('{machine} has build {build} pending or under way already; wait for it or cancel it first.').format(
            machine=machine, build=number
        )
    )


def _advance(machine: 'Machine', build: 'Build', state: str | None, event: 'BuildEvent') -> None:
    """Write what an event changes on its build, and on the machine when the build ends.  Both rows are locked."""
    was_active = build.is_active
    if state is None and event.progress is None:
        return
    if state is None and not was_active:
        return
    build.snapshot()
    if event.progress is not None and was_active:
        build.progress = event.progress
    if state is None:
        build.save()
        return
    build.state = state
    if build.started is None and state not in (State.STATE_CANCELLED, State.STATE_STALLED):
        build.started = event.time
    if state in BUILD_ACTIVE:
        build.finished, build.error = None, ''
    else:
        build.finished = event.time
    if state == State.STATE_COMPLETE:
        build.progress = 100
    if state in (State.STATE_FAILED, State.STATE_STALLED):
        build.error = event.message
    build.save()
    events.emit(build, _STATE_EVENTS[state])
    if state in BUILD_ACTIVE:
        target = MachineStateChoices.STATE_BUILDING
    elif state in (State.STATE_CANCELLED, State.STATE_STALLED):
        target = _left_as(build)
    else:
        target = BUILD_END_TO_MACHINE[state]
    if not was_active and (_has_later(machine, build) or target not in MACHINE_MOVES[machine.state]):
        return  # late news of a stalled build: the machine has gone on without it
    machines.set_state(machine, target)
    if state == State.STATE_COMPLETE:
        settling.settle(machine, build)


def _left_as(build: 'Build') -> str:
    """What a machine is when its build was cancelled or given up: what it was before, if it had not begun."""
    if build.started is None:
        return str(build.request.get('machine_state', MachineStateChoices.STATE_REGISTERED))
    return MachineStateChoices.STATE_FAILED


def _has_later(machine: 'Machine', build: 'Build') -> bool:
    return bool(machine.builds.filter(pk__gt=build.pk).exists())


def _may_go_on(machine: 'Machine', build: 'Build') -> bool:
    """Whether a stalled build that is heard of again goes on.

    A build that goes on is what its machine boots, and it erases disks.  So it does not, whatever arrives however late,
    once anything else was decided: by another build, by asking for another next boot, by moving the machine on.
    """
    return (
        machine.state == _left_as(build)
        and not machine.next_boot
        and not machines.was_overtaken(build)
        and not _has_later(machine, build)
    )
