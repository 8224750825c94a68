"""The other ends of cables: what a port's neighbour says of itself by LLDP, found in NetBox."""

import re
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from ..identity import clean_mac
from .changes import Known, Line, Object, create, known
from .facts import LLDP
from .ports import Wired

# What switches call their ports in short, as far as makers agree.
_SHORT = {
    'fa': 'fastethernet', 'gi': 'gigabitethernet', 'gig': 'gigabitethernet', 'te': 'tengigabitethernet',
    'ten': 'tengigabitethernet', 'tengige': 'tengigabitethernet', 'twe': 'twentyfivegige', 'fo': 'fortygigabitethernet',
    'hu': 'hundredgige', 'hundredgigabitethernet': 'hundredgige', 'eth': 'ethernet', 'et': 'ethernet', 'e': 'ethernet',
    'po': 'port-channel', 'ma': 'management', 'mgmteth': 'management',
}  # fmt: skip


def port_name(name: str) -> str:
    """ "Gi1/0/1" and "GigabitEthernet 1/0/1" are one; Juniper's "et-0/0/1" is no Ethernet0/0/1 of somebody else's."""
    plain = re.sub(r'\s+', '', name.lower())
    found = re.fullmatch(r'([a-z-]*[a-z])(\d.*)', plain)
    if found is None:
        return plain
    return _SHORT.get(found[1], found[1]) + found[2]


def device_of(lldp: LLDP) -> tuple[Any, str]:
    """The neighbour's Device; or None, and why."""
    from dcim.models import Device

    said = lldp.chassis_name or lldp.chassis_id or _('without a name')
    tried: list[Q] = []
    if lldp.chassis_name:
        short = lldp.chassis_name.partition('.')[0]
        tried += [Q(name__iexact=lldp.chassis_name), Q(name__iexact=short)]
    if mac := clean_mac(lldp.chassis_id):
        tried.append(Q(interfaces__mac_addresses__mac_address=mac))
    if lldp.management_addresses:
        held = Q()
        for host in lldp.management_addresses:
            held |= Q(interfaces__ip_addresses__address__net_host=host)
        tried.append(held)
    for condition in tried:
        found = list(Device.objects.filter(condition).distinct()[:3])
        if len(found) == 1:
            return found[0], ''
        if found:
            return None, _('NetBox has several devices that may be the neighbour "{name}": {devices}.').format(
                name=said, devices=', '.join(str(each) for each in found)
            )
    return None, _('NetBox does not know the neighbour "{name}".').format(name=said)


def interface_of(lldp: LLDP) -> tuple[Any, str]:
    """The neighbour's Interface; or None, and why."""
    from dcim.models import Interface

    device, why = device_of(lldp)
    if device is None:
        return None, why
    ports = list(Interface.objects.filter(device__in=_members(device)).select_related('device'))
    mac = clean_mac(lldp.port_id)
    if mac:
        held = list(Interface.objects.filter(mac_addresses__mac_address=mac, device__in=_members(device)))
        if len(held) == 1:
            return held[0], ''
    for said in (lldp.port_id, lldp.port_description):
        if not said:
            continue
        for same in (
            [each for each in ports if each.name == said],
            [each for each in ports if port_name(each.name) == port_name(said)],
        ):
            if len(same) == 1:
                return same[0], ''
    return None, _('{device} has no interface "{port}".').format(
        device=device, port=lldp.port_description if mac else lldp.port_id or lldp.port_description or '?'
    )


def _members(device: Any) -> list[int]:
    """The device, and those that are one switch with it."""
    if device.virtual_chassis_id is None:
        return [device.pk]
    return list(device.virtual_chassis.members.values_list('pk', flat=True))


def cable_line(port: Wired) -> Line | None:
    """The cable of a port, as its neighbour has it; None where it has no neighbour, or NetBox has the cable."""
    lldp = port.found.lldp
    if lldp is None:
        return None
    key = f'cable:{port.found.name}'
    title = _('Cable of {port} to {device} {other}').format(
        port=port.found.name, device=lldp.chassis_name or lldp.chassis_id or '?',
        other=lldp.port_id if not clean_mac(lldp.port_id) else lldp.port_description or lldp.port_id,
    )  # fmt: skip
    other, why = interface_of(lldp)
    if other is None:
        return Line(key=key, section='cabling', title=title, warnings=(why,), suggested=False)
    here = _interface(port.at)
    if here is not None and here.cable_id:
        if here.cable_id == other.cable_id or other in here.connected_endpoints:
            return None
        far = ', '.join(f'{each.parent_object} {each}' for each in here.link_peers) or _('nothing')
        return Line(
            key=key, section='cabling', title=title, suggested=False,
            warnings=(
                _('In NetBox its cable {cable} leads to {far}. Correct the cable by hand.').format(
                    cable=here.cable, far=far),
            ),
        )  # fmt: skip
    warnings = []
    if other.cable_id:
        peers = ', '.join(f'{each.parent_object} {each}' for each in other.link_peers) or _('nothing')
        warnings.append(
            _('{device} {port} has the cable {cable} to {far} already. Correct it by hand.').format(
                device=other.device, port=other, cable=other.cable, far=peers
            )
        )
    elif other.mark_connected:
        warnings.append(_('{device} {port} is marked as connected.').format(device=other.device, port=other))
    if here is not None and here.mark_connected:
        warnings.append(_('{port} is marked as connected.').format(port=here))
    if warnings:
        return Line(key=key, section='cabling', title=title, warnings=tuple(warnings), suggested=False)
    return Line(
        key=key,
        section='cabling',
        title=title,
        reason=_('The neighbour says so by LLDP.'),
        needs=(port.line,) if port.line else (),
        changes=(create('dcim.cable', key, a_terminations=(port.at,), b_terminations=(known(other),)),),
    )


def _interface(at: Object) -> Any:
    from dcim.models import Interface

    if not isinstance(at, Known):
        return None
    return Interface.objects.select_related('cable').get(pk=at.id)
