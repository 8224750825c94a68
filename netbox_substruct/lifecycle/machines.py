"""Moves of machines: registering, asking for the next boot, retiring.  Builds move machines too (`builds`)."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dcim.models import Device

from ..choices import BuildEventKindChoices, BuildStateChoices, NextBootChoices
from ..choices import MachineStateChoices as State
from . import branches, events
from .errors import NotAllowed, NotReady, OverrideRequired
from .guarding import guard
from .states import MACHINE_MOVES, machine_state

if TYPE_CHECKING:
    from ..models import Build, Machine

# What the keys of events begin with that say that something else was decided about a machine (`overtake`).
OVERTAKEN = 'overtaken/'


def register(obj: Any, *, profile: Any = None, user: Any = None) -> 'Machine':
    """Make a Device or VirtualMachine a machine.  Permission: add on machines, view on the object.

    Raises NotAllowed if it is one already, NotReady if it cannot be one.
    """
    from ..models import Machine

    field = 'device' if isinstance(obj, Device) else 'virtual_machine'
    machine = Machine(**{field: obj}, profile=profile, state=State.STATE_REGISTERED)
    if field == 'device':
        machine.serial = obj.serial or ''
    try:
        with events.tracked(user):
            # Asked inside the transaction, and held to by the unique constraint.
            if Machine.objects.filter(**{field: obj}).exists():
                raise NotAllowed(_('{object} is registered already.').format(object=obj))
            machine.full_clean()
            with transaction.atomic():
                machine.save()
    except ValidationError as error:
        raise NotReady(_('{object} cannot be registered: {why}').format(
            object=obj, why='; '.join(error.messages))) from error  # fmt: skip
    except IntegrityError as error:
        raise NotAllowed(_('{object} is registered already.').format(object=obj)) from error
    return machine


def move(machine: 'Machine', state: str, *, user: Any = None) -> 'Machine':
    """Take a machine to another state.  Permission: change on the machine.

    Raises NotAllowed if the table `states.MACHINE_MOVES` does not have the move, or a build is under way.
    Building, built and failed are reached by builds alone.  What it was asked to boot once is forgotten.
    """
    with events.tracked(user):
        locked = lock(machine.pk)
        if state not in State.values():
            raise NotAllowed(_('"{state}" is no state of a machine.').format(state=state))
        if state in (State.STATE_BUILDING, State.STATE_BUILT, State.STATE_FAILED):
            raise NotAllowed(
                _('A machine becomes "{state}" by a build only; request a build of {machine}.').format(
                    state=state, machine=locked
                )
            )
        if build := locked.active_build:
            raise NotAllowed(
                _('{machine} has build #{build} under way; cancel it first.').format(machine=locked, build=build.pk)
            )
        if machine_state(state, known=locked.object is not None) != state:
            raise NotAllowed(
                _(
                    '{machine} cannot become "{state}": it is discovered until it is a device or virtual machine, '
                    'and registered from then on.'
                ).format(machine=locked, state=state)
            )
        if state != locked.state:
            locked.snapshot()
            # Whoever takes it into use again, perhaps years later, has not asked for its disks to be wiped.
            locked.next_boot = ''
            set_state(locked, state)
            overtake(locked)
    machine.refresh_from_db()
    return machine


def ask(machine: 'Machine', next_boot: str, *, override: str = '', user: Any = None) -> 'Machine':
    """Ask for what a machine boots once: rescue, discovery or wipe; '' takes it back.  Permission: build.

    `override` is the machine's name, needed for wiping where `guard` gives a reason.  Raises NotAllowed while a build
    is under way or the machine is retired, and OverrideRequired.
    """
    if next_boot and next_boot not in NextBootChoices.values():
        raise NotAllowed(
            _('"{value}" cannot be booted once; choose one of {choices}.').format(
                value=next_boot, choices=', '.join(NextBootChoices.values())
            )
        )
    with events.tracked(user):
        locked = lock(machine.pk)
        if next_boot and (build := locked.active_build):
            raise NotAllowed(
                _('{machine} has build #{build} under way; cancel it first.').format(machine=locked, build=build.pk)
            )
        if next_boot and locked.state == State.STATE_RETIRED:
            raise NotAllowed(_('{machine} is retired; register it again first.').format(machine=locked))
        if next_boot == NextBootChoices.NEXT_WIPE and (reason := guard(locked)) and override != locked.name:
            raise OverrideRequired(
                _('{reason}, and wiping erases its disks. To wipe it all the same, give its exact name as the '
                  'override.').format(reason=reason)
            )  # fmt: skip
        locked.snapshot()
        locked.next_boot = next_boot
        locked.save()
        if next_boot:
            overtake(locked)
    machine.refresh_from_db()
    return machine


def served(machine: 'Machine', action: str, *, user: Any = None) -> bool:
    """The machine was given what it was asked to boot once; it is asked no longer.  Permission: feed.

    False if it is not asked for this (any more): nothing changes then.
    """
    with events.tracked(user):
        locked = lock(machine.pk)
        if not action or locked.next_boot != action:
            return False
        locked.snapshot()
        locked.next_boot = ''
        locked.save()
    return True


def overtake(machine: 'Machine') -> None:
    """Something else was decided about a locked machine: its stalled build does not go on, whatever arrives later.

    It stands in the timeline, because what was decided may be over when the news comes: a rescue system was served, or
    a retired machine registered again.
    """
    from ..models import BuildEvent

    build = machine.open_build
    if build is None or build.state != BuildStateChoices.STATE_STALLED or was_overtaken(build):
        return
    BuildEvent.objects.create(
        build=build, kind=BuildEventKindChoices.KIND_NOTE, key=_overtaken_key(build),
        message=_('Something else was decided about {machine}: this build does not go on if it is heard of again.')
        .format(machine=machine)[:500],
    )  # fmt: skip


def was_overtaken(build: 'Build') -> bool:
    """Whether something else was decided about the machine since its build stalled."""
    return bool(build.events.filter(key=_overtaken_key(build)).exists())


def _overtaken_key(build: 'Build') -> str:
    return f'{OVERTAKEN}{build.pk}'


def lock(pk: int) -> 'Machine':
    """The machine, its row held against every other move until the transaction ends.  Raises NotAllowed in a branch."""
    from ..models import Machine

    branches.refuse()
    # Not with its device in the same query: PostgreSQL reads the row anew when it had to wait for it, but not what was
    # joined to it, and a machine that has just been adopted would come without its device.
    return Machine.objects.select_for_update().get(pk=pk)


def set_state(machine: 'Machine', state: str) -> None:
    """Write the new state of a locked machine, if the table has the move."""
    if machine.state == state:
        return
    if state not in MACHINE_MOVES[machine.state]:
        allowed = ', '.join(sorted(MACHINE_MOVES[machine.state])) or _('nothing')
        raise NotAllowed(
            _('{machine} is {state}; from there it can become: {allowed}.').format(
                machine=machine, state=machine.state, allowed=allowed
            )
        )
    if not hasattr(machine, '_prechange_snapshot'):
        machine.snapshot()
    machine.state = state
    machine.save()
    if event_type := events.OF_MACHINE_STATE.get(state):
        events.emit(machine, event_type)
