"""The other ends of cables: what a port's neighbour says of itself by LLDP, found in NetBox."""

import re
from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from ..identity import clean_mac
from .changes import Change, Known, Line, Object, Value, create, delete, known, plain
from .facts import LLDP
from .ports import Wired
from .sight import EVERYTHING, Sight

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


def device_of(lldp: LLDP, sight: Sight) -> tuple[Any, str]:
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
        found = list(sight.rows(Device.objects.all()).filter(condition).distinct()[:3])
        if len(found) == 1:
            return found[0], ''
        if found:
            return None, _('NetBox has several devices that may be the neighbour "{name}": {devices}.').format(
                name=said, devices=', '.join(str(each) for each in found)
            )
    if sight.user is not None and not sight.user.is_superuser:
        return None, _('NetBox does not know the neighbour "{name}", or you may not view it.').format(name=said)
    return None, _('NetBox does not know the neighbour "{name}".').format(name=said)


def interface_of(lldp: LLDP, sight: Sight = EVERYTHING) -> tuple[Any, str]:
    """The neighbour's Interface; or None, and why."""
    from dcim.models import Interface

    device, why = device_of(lldp, sight)
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


def cable_lines(ports: Iterable[Wired], sight: Sight = EVERYTHING) -> list[Line]:
    """The cables of the ports, as their neighbours have them; none without a neighbour, or where NetBox has the cable.

    One port takes one cable: what several claim to be connected to is offered to the first.
    """
    lines: list[Line] = []
    taken: dict[int, str] = {}
    for port in ports:
        lldp = port.found.lldp
        if lldp is None:
            continue
        other, why = interface_of(lldp, sight)
        here = _interface(port.at)
        if other is not None and other.pk in taken:
            why = _('The cable of {port} ends there already, and one port takes one cable.').format(
                port=taken[other.pk]
            )
        elif other is not None and here == other:
            why = _('It hears itself.')
        if why:
            lines.append(_line(port, lldp, (why,)))
        elif (line := _cable_line(port, lldp, here, other, sight)) is not None:
            lines.append(line)
            if line.changes:
                taken |= {end.pk: port.found.name or '' for end in (here, other) if end is not None}
    return lines


def _line(
    port: Wired, lldp: LLDP, warnings: tuple[str, ...], changes: tuple[Change, ...] = (), reason: str = ''
) -> Line:
    title = _('Cable of {port} to {device} {other}').format(
        port=port.found.name, device=lldp.chassis_name or lldp.chassis_id or '?',
        other=lldp.port_id if not clean_mac(lldp.port_id) else lldp.port_description or lldp.port_id,
    )  # fmt: skip
    return Line(
        key=_key(port), section='cabling', title=title, reason=reason, warnings=warnings, changes=changes,
        needs=(port.line,) if port.line and changes else (), suggested=not warnings,
    )  # fmt: skip


def _key(port: Wired) -> str:
    return f'cable:{port.found.name}'


def _cable_line(port: Wired, lldp: LLDP, here: Any, other: Any, sight: Sight) -> Line | None:
    """The cable between two ports; `here` is None where the machine's own is not there yet."""
    if here is not None and here.cable_id and (here.cable_id == other.cable_id or other in here.connected_endpoints):
        return None
    warnings = []
    wrong: dict[int, Any] = {}
    if here is not None and here.cable_id:
        warnings.append(
            _('In NetBox its cable {cable} leads to {far}.').format(cable=here.cable, far=_far(here, sight))
        )
        wrong[here.cable_id] = here.cable
    if other.cable_id:
        warnings.append(
            _('{port} has the cable {cable} to {far} already.').format(
                port=sight.name(other), cable=other.cable, far=_far(other, sight)
            )
        )
        wrong[other.cable_id] = other.cable
    by_hand = [
        _('{port} is marked as connected.').format(port=sight.name(end))
        for end in (here, other)
        if end is not None and end.mark_connected
    ]
    if not all(_may_go(cable, here) for cable in wrong.values()):
        by_hand.append(_('Correct it by hand.'))
    if by_hand:
        return _line(port, lldp, (*warnings, *by_hand))
    looks = _looks(here.cable) if here is not None and here.cable_id else {}
    made = create('dcim.cable', _key(port), a_terminations=(port.at,), b_terminations=(known(other),), **looks)
    changes = (*(delete(cable) for cable in wrong.values()), made)
    return _line(port, lldp, tuple(warnings), changes, _('The neighbour says so by LLDP.'))


def _far(end: Any, sight: Sight) -> str:
    """Where the cable of a port leads."""
    return ', '.join(sight.name(each) for each in end.link_peers) or str(_('nothing'))


def _may_go(cable: Any, here: Any) -> bool:
    """Whether a cable may make way: one that leads from a port of this device straight to a single port of another.

    Which cable is wrong on the way through a patch panel nobody knows, and the cables of other machines are theirs.
    """
    from dcim.models import Interface

    ends = [*cable.a_terminations, *cable.b_terminations]
    return (
        here is not None
        and len(ends) <= 2
        and all(isinstance(end, Interface) for end in ends)
        and any(end.device_id == here.device_id for end in ends)
    )


def _looks(cable: Any) -> dict[str, Value]:
    """What the cable that comes in place of another takes over from it."""
    names = ('type', 'status', 'label', 'color', 'length', 'length_unit', 'tenant', 'description')
    return {name: plain(getattr(cable, name)) for name in names}


def _interface(at: Object) -> Any:
    from dcim.models import Interface

    if not isinstance(at, Known):
        return None
    return Interface.objects.select_related('cable').get(pk=at.id)
