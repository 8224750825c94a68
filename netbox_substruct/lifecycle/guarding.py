"""Which machines are not erased or interrupted before somebody has typed their names.

A fixed number of queries for any number of machines.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from dcim.choices import DeviceStatusChoices
from dcim.models import Device
from netbox.plugins import get_plugin_config
from virtualization.choices import VirtualMachineStatusChoices
from virtualization.models import VirtualMachine

if TYPE_CHECKING:
    from ..models import Machine

ACTIVE = (DeviceStatusChoices.STATUS_ACTIVE, VirtualMachineStatusChoices.STATUS_ACTIVE)


def guards(machines: Iterable['Machine']) -> dict[int, str]:
    """Why erasing these machines takes their names as overrides, by id; those that it does not are left out."""
    known = [machine for machine in machines if machine.object is not None]
    found = {
        machine.pk: _('{machine} has the status active').format(machine=machine)
        for machine in known
        if machine.object.status in ACTIVE
    }
    tag = get_plugin_config('netbox_substruct', 'protected_tag')
    others = [machine for machine in known if machine.pk not in found]
    tagged = _tagged(others, tag) if tag else ()
    for machine in others:
        if machine.pk in tagged:
            found[machine.pk] = _('{machine} has the tag {tag}').format(machine=machine, tag=tag)
    return found


def guard(machine: 'Machine') -> str | None:
    """The same of one machine; None if it does not."""
    return guards([machine]).get(machine.pk)


def _tagged(machines: list['Machine'], tag: str) -> set[int]:
    """Those that have a tag, themselves or as devices or virtual machines."""
    from ..models import Machine

    def with_tag(model: Any, ids: list[int]) -> set[int]:
        return set(model.objects.filter(pk__in=ids, tags__slug=tag).values_list('pk', flat=True)) if ids else set()

    own = with_tag(Machine, [machine.pk for machine in machines])
    devices = with_tag(Device, [machine.device_id for machine in machines if machine.device_id])
    guests = with_tag(VirtualMachine, [each.virtual_machine_id for each in machines if each.virtual_machine_id])
    return {
        machine.pk
        for machine in machines
        if machine.pk in own or machine.device_id in devices or machine.virtual_machine_id in guests
    }
