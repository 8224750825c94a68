"""Moves of machines: registering, asking for the next boot, retiring.  Builds move machines too (`builds`)."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dcim.models import Device

from ..choices import MachineStateChoices as State
from ..choices import NextBootChoices
from . import events
from .errors import NotAllowed, NotReady
from .states import MACHINE_MOVES, machine_state

if TYPE_CHECKING:
    from ..models import Machine


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
    Building, built and failed are reached by builds alone.
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
        set_state(locked, state)
    machine.refresh_from_db()
    return machine


def ask(machine: 'Machine', next_boot: str, *, user: Any = None) -> 'Machine':
    """Ask for what a machine boots once: rescue, discovery or wipe; '' takes it back.  Permission: build.

    Raises NotAllowed while a build is under way or the machine is retired.
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
        locked.snapshot()
        locked.next_boot = next_boot
        locked.save()
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


def lock(pk: int) -> 'Machine':
    """The machine, its row held against every other move until the transaction ends."""
    from ..models import Machine

    return Machine.objects.select_for_update(of=('self',)).select_related('device', 'virtual_machine').get(pk=pk)


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
