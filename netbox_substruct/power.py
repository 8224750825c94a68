"""Power: which boot servers can switch a machine from afar, and asking one to.

A boot server offers it by a service of the name `power` among those that it reports.  Where none does, or nobody has
said how the machine's BMC is reached, nothing is offered: somebody switches it by hand.
"""

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from .choices import BootServerStatusChoices, PowerActionChoices, TaskKindChoices
from .lifecycle import events, guarding, machines
from .lifecycle.errors import NotAllowed, NotReady, OverrideRequired
from .lifecycle.states import TASK_OPEN
from .permitted import covered

if TYPE_CHECKING:
    from .models import BootServer, Machine, Task

SERVICE = 'power'
# A service in any other state cannot act.
ABLE = frozenset({'ok', 'degraded'})


def switchers(machine: 'Machine') -> list['BootServer']:
    """The boot servers that serve a machine and can switch power now, by name."""
    from .models import BootServer
    from .preflight import gathering

    offering = BootServer.objects.filter(
        status=BootServerStatusChoices.STATUS_ACTIVE, services__contains=[{'name': SERVICE}]
    )
    if not offering.exists():  # what serves a machine takes some queries to find out
        return []
    found = [server for server in gathering.servers_of(machine) if _able(server)]
    return sorted(found, key=lambda server: server.name)


def _able(server: 'BootServer') -> bool:
    return (
        server.status == BootServerStatusChoices.STATUS_ACTIVE
        and not server.is_late
        and any(each.get('name') == SERVICE and each.get('state') in ABLE for each in server.services)
    )


def by_hand(machine: 'Machine', bmc: Any, able: list['BootServer']) -> str:
    """Why the power of a machine is switched by hand, in words; empty where a boot server can do it."""
    if machine.virtual_machine_id:
        return _('It is a virtual machine: its hypervisor switches it.')
    if bmc is None:
        return _('No BMC is known: it is switched by hand.')
    if not bmc.effective_address:
        return _('Its BMC has no address, nor the device an out-of-band IP: until then it is switched by hand.')
    if not able:
        return _('None of its boot servers can switch power at present: it is switched by hand.')
    return ''


def ask(machine: 'Machine', action: str, *, override: str = '', user: Any = None) -> 'Task':
    """Ask a boot server to switch a machine.  Permission: add on tasks, of which the one that is made must be.

    `override` is the machine's name, needed for what takes power away where `guarding.guard` gives a reason.
    Raises NotReady where it is switched by hand, NotAllowed while another such task is open, OverrideRequired.
    """
    from .models import BMC, Task

    if action not in PowerActionChoices.values():
        raise NotAllowed(
            _('"{action}" is nothing to do with power; choose one of {choices}.').format(
                action=action, choices=', '.join(PowerActionChoices.values())
            )
        )
    with events.tracked(user):
        locked = machines.lock(machine.pk)
        able = switchers(locked)
        if why := by_hand(locked, BMC.objects.filter(machine=locked).first(), able):
            raise NotReady(why)
        tasks = Task.objects.filter(machine=locked, kind=TaskKindChoices.KIND_POWER, state__in=TASK_OPEN)
        if (waiting := tasks.first()) is not None:
            raise NotAllowed(
                _('{task} of {machine} is still to be done; wait for it, or cancel it first.').format(
                    task=waiting, machine=locked
                )
            )
        if action in PowerActionChoices.INTERRUPTING and (reason := guarding.guard(locked)) and override != locked.name:
            raise OverrideRequired(
                _('{reason}, and whatever runs on it is interrupted. To do it all the same, give its exact name as the '
                  'override.').format(reason=reason)
            )  # fmt: skip
        task = Task(boot_server=able[0], machine=locked, kind=TaskKindChoices.KIND_POWER, parameters={'action': action})
        task.full_clean()
        task.save()
        if user is not None:
            covered(user, 'add', [task])
    return task
