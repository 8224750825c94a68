"""Which machines a wave can build, and why not the others.  A fixed number of queries for any number of machines.

What is said here is what `lifecycle` would refuse: `lifecycle.machines.guard` and the table of its moves have the last
word when a build is requested.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from dcim.choices import DeviceStatusChoices
from dcim.models import Device
from netbox.plugins import get_plugin_config
from virtualization.choices import VirtualMachineStatusChoices
from virtualization.models import VirtualMachine

from ..choices import MachineStateChoices as State
from ..lifecycle.states import MACHINE_MOVES

# What the name, the status and the profile of a machine are read from.
RELATED = ('device', 'virtual_machine', 'profile')
ACTIVE = (DeviceStatusChoices.STATUS_ACTIVE, VirtualMachineStatusChoices.STATUS_ACTIVE)


def guards(machines: Iterable[Any]) -> dict[int, str]:
    """Why erasing these machines takes their names as overrides, by id; those that it does not are left out."""
    found = {}
    machines = list(machines)
    tagged = _protected(machines)
    tag = get_plugin_config('netbox_substruct', 'protected_tag')
    for machine in machines:
        obj = machine.object
        if obj is None:
            continue
        if obj.status in ACTIVE:
            found[machine.pk] = _('{machine} has the status active').format(machine=machine)
        elif machine.pk in tagged:
            found[machine.pk] = _('{machine} has the tag {tag}').format(machine=machine, tag=tag)
    return found


def obstacles(
    machines: Iterable[Any], *, profiled: bool = False, overrides: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Why these machines cannot be in a wave, by id; those that can be are left out.

    `profiled` says that the wave has a profile, so that the machines need none of their own.
    `overrides` are the names given for machines that are active or protected.
    """
    machines, overrides = list(machines), overrides or {}
    found = {}
    guarded = guards(machines)
    for machine in machines:
        # A machine that is being built can be built afterwards.
        if machine.state != State.STATE_BUILDING and State.STATE_BUILDING not in MACHINE_MOVES[machine.state]:
            found[machine.pk] = _('{machine} is {state} and cannot be built; register it first.').format(
                machine=machine, state=machine.get_state_display().lower()
            )
        elif not profiled and machine.profile_id is None:
            found[machine.pk] = _('{machine} has no profile; choose one first.').format(machine=machine)
        elif machine.pk in guarded and overrides.get(machine.pk, '') != machine.name:
            found[machine.pk] = _('{reason}; its exact name as the override lets it be built.').format(
                reason=guarded[machine.pk]
            )
    return found


def _protected(machines: list[Any]) -> set[int]:
    """The machines that have the tag that guards them, themselves or as devices or virtual machines."""
    from ..models import Machine

    tag = get_plugin_config('netbox_substruct', 'protected_tag')
    if not tag or not machines:
        return set()

    def with_tag(model: Any, ids: list[int]) -> set[int]:
        return set(model.objects.filter(pk__in=ids, tags__slug=tag).values_list('pk', flat=True))

    own = with_tag(Machine, [machine.pk for machine in machines])
    devices = with_tag(Device, [machine.device_id for machine in machines if machine.device_id])
    virtual = with_tag(
        VirtualMachine, [machine.virtual_machine_id for machine in machines if machine.virtual_machine_id]
    )
    return {
        machine.pk
        for machine in machines
        if machine.pk in own or machine.device_id in devices or machine.virtual_machine_id in virtual
    }
