"""IP addresses of machines and their BMCs, as lines."""

from ipaddress import ip_interface, ip_network
from itertools import chain, count
from typing import Any

from django.utils.translation import gettext as _

from . import places
from .changes import Change, Known, Line, New, Object, create, known, maybe_known, update, update_new
from .facts import BMC, Facts
from .ports import Port, Wired, mac_changes
from .sight import EVERYTHING, Sight

BMC_NAME = 'bmc'


def address_changes(
    address: str, key: str, at: Object, vrf: Any, sight: Sight, **values: Any
) -> tuple[list[Change], Object | None, list[str]]:
    """An IP address (with prefix length) is given to an interface; the address, or None where somebody else has it."""
    from ipam.models import IPAddress

    host = str(ip_interface(address).ip)
    held = list(IPAddress.objects.filter(address__net_host=host, vrf=vrf).prefetch_related('assigned_object')[:10])
    for each in held:
        owner = each.assigned_object
        if owner is None:
            change = update(each, assigned_object=at)
            return ([change] if change else []), known(each), []
        if isinstance(at, Known) and (owner._meta.label_lower, owner.pk) == (at.model, at.id):
            return [], known(each), []
    if held:
        owner = held[0].assigned_object
        return [], None, [
            _('{address} is that of {port} in NetBox.').format(address=held[0], port=sight.name(owner))
        ]  # fmt: skip
    made = New(key=key, name=address)
    return [
        create('ipam.ipaddress', key, address=address, vrf=maybe_known(vrf), assigned_object=at, **values)
    ], made, []  # fmt: skip


def primary_line(
    choice: str, facts: Facts, wired: Wired | None, owner: Object, model: str, sight: Sight = EVERYTHING
) -> tuple[Line | None, str]:
    """The primary address of a new device or virtual machine: "next" or "found"; or None, and why."""
    if choice == 'none':
        return None, ''
    place = places.boot_place(facts)
    if place is None or wired is None:
        return None, _('No primary address: NetBox has no prefix for any address that the machine had.')
    if choice == 'found':
        address = place.address
    else:
        places.hold_addresses()
        found, why = places.next_address(place.prefix)
        if found is None:
            return None, why
        address = found
    changes, ip, warnings = address_changes(address, 'ip:primary', wired.at, place.prefix.vrf, sight)
    if choice == 'found':
        warnings.append(_('It had this address while it was discovered, most likely from DHCP for a while only.'))
    if ip is None:
        return Line(key='primary-ip', section='addresses', title=_('Primary address {address}').format(
            address=address), warnings=tuple(warnings), suggested=False), ''  # fmt: skip
    field = 'primary_ip6' if ip_interface(address).version == 6 else 'primary_ip4'
    values = {field: ip}
    changes.append(update_new(model, owner, **values) if not isinstance(owner, Known) else _of_known(owner, values))
    return Line(
        key='primary-ip', section='addresses', title=_('Primary address {address}').format(address=address),
        reason=_('On {port}, in {prefix}.').format(port=wired.found.name, prefix=place.prefix),
        warnings=tuple(warnings), changes=tuple(changes), needs=(wired.line,) if wired.line else (),
    ), ''  # fmt: skip


def _of_known(owner: Known, values: dict[str, Object]) -> Change:
    from django.apps import apps

    change = update(apps.get_model(owner.model).objects.get(pk=owner.id), **values)
    assert change is not None
    return change


# ---------------------------------------------------------------------- the BMC


def bmc_lines(
    facts: Facts,
    ports: list[Port],
    device: Object,
    credential: str,
    machine: Known,
    record: Any = None,
    sight: Sight = EVERYTHING,
) -> tuple[list[Line], list[str]]:
    """The controller's interface with its addresses, and the record by which its power is reached; with notes.

    `ports` are the interfaces of the device, `record` the BMC that NetBox has for the machine.
    """
    bmc = facts.bmc
    if bmc is None or not (bmc.address or bmc.mac):
        return [], []
    lines: list[Line] = []
    notes: list[str] = []
    at, changes, warnings, elsewhere = _port_of(bmc, ports, device, sight)
    ip_changes, ip_warnings = _address_of(bmc, at, device, sight)
    warnings += ip_warnings
    changes += ip_changes
    if changes or warnings:
        title = _('BMC at {address}').format(address=bmc.address) if bmc.address else _('BMC {mac}').format(mac=bmc.mac)
        lines.append(
            Line(
                key='bmc', section='bmc', title=title, warnings=tuple(warnings), changes=tuple(changes),
                suggested=not ip_warnings and not elsewhere,
            )
        )  # fmt: skip
    if record is not None:
        address = str(record.effective_address or '')
        if bmc.address and address and address != bmc.address:
            change = update(record, address=bmc.address) if record.address else None
            lines.append(
                Line(
                    key='bmc-record', section='bmc', title=_('The record of its BMC has another address'),
                    changes=(change,) if change else (),
                    warnings=() if change else (_('Boot servers reach it by the out-of-band address of the device.'),),
                )
            )  # fmt: skip
    elif not credential:
        notes.append(
            _('No BMC record is made, so boot servers cannot switch its power: name the credential under which they '
              'keep its password.')
        )  # fmt: skip
    elif bmc.address:
        # With an out-of-band address the record needs none of its own, and follows that of the device.
        own = None if any(field.name == 'oob_ip' for each in changes for field in each.fields) else bmc.address
        lines.append(
            Line(
                key='bmc-record', section='bmc', title=_('Its power by IPMI'),
                reason=_('Boot servers have the password under the name "{name}".').format(name=credential),
                changes=(
                    create('netbox_substruct.bmc', 'bmc-record', machine=machine, protocol='ipmi', address=own,
                           credential=credential),
                ),
                needs=('bmc',) if own is None else (),
            )
        )  # fmt: skip
    return lines, notes


def _port_of(bmc: BMC, ports: list[Port], device: Object, sight: Sight) -> tuple[Object, list[Change], list[str], bool]:
    """The interface of the BMC: that with its MAC address, else the management port, else a new one."""
    management = [port for port in ports if port.mgmt_only]
    port = next((each for each in ports if bmc.mac and bmc.mac in each.macs), None)
    if port is None and len(management) == 1 and (not management[0].macs or not bmc.mac):
        port = management[0]
    changes: list[Change] = []
    warnings: list[str] = []
    elsewhere = False
    if port is None:
        taken = {each.name for each in ports}
        numbered = (f'{BMC_NAME}{number}' for number in count(2))
        name = next(name for name in chain((BMC_NAME,), numbered) if name not in taken)
        at: Object = New(key='bmc', name=name)
        changes.append(create('dcim.interface', 'bmc', device=device, name=name, type='1000base-t', mgmt_only=True))
    else:
        at = port.at
    if bmc.mac and (port is None or bmc.mac not in port.macs):
        written, warnings, elsewhere = mac_changes(bmc.mac, 'bmc', at, 'dcim.interface', port, sight)
        changes += written
    return at, changes, warnings, elsewhere


def _length(bmc: BMC) -> int | None:
    """The prefix length that the controller says; None where it says none, or one that is none for its address."""
    try:
        return ip_network(f'{bmc.address}/{bmc.subnet_mask}', strict=False).prefixlen if bmc.subnet_mask else None
    except ValueError:
        return None


def _address_of(bmc: BMC, at: Object, device: Object, sight: Sight) -> tuple[list[Change], list[str]]:
    if not bmc.address:
        return [], []
    warnings = []
    prefix = places.prefix_of(bmc.address)
    if prefix is not None:
        length = prefix.prefix.prefixlen
    elif (said := _length(bmc)) is not None:
        length = said
        warnings.append(_('NetBox has no prefix for {address}.').format(address=bmc.address))
    else:
        length = 128 if ':' in bmc.address else 32
        warnings.append(_('NetBox has no prefix for {address}.').format(address=bmc.address))
    status = 'dhcp' if bmc.source == 'dhcp' else None
    changes, ip, others = address_changes(
        f'{bmc.address}/{length}', 'ip:bmc', at, prefix.vrf if prefix is not None else None, sight, status=status
    )
    warnings += others
    if ip is None:
        return [], warnings
    if isinstance(device, Known):
        from dcim.models import Device

        change = update(Device.objects.select_related('oob_ip').get(pk=device.id), oob_ip=ip)
        if change is not None:
            changes.append(change)
    else:
        changes.append(update_new('dcim.device', device, oob_ip=ip))
    return changes, warnings
