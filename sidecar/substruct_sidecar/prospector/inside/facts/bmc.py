"""The management controller, by what it says over its bus in the machine (ipmitool)."""

import ipaddress
import re

from .smbios import Table
from .source import Source, clean, mac, number
from .system import table

# Channels on which a controller may have its network; most have it on the first.
_CHANNELS = (1, 8, 2, 3)


def bmc(source: Source) -> dict[str, object]:
    if not any(source.exists(f'dev/{name}') for name in ('ipmi0', 'ipmi/0', 'ipmidev/0')):
        if _described(table(source)):
            source.problem('bmc: the firmware describes a management controller, and no driver has found one')
        return {'bmc': None}
    info = _pairs(source.tool('ipmitool', 'mc', 'info', seconds=15.0) or '')
    if not info:
        return {'bmc': None}
    found: dict[str, object] = {
        'address': None, 'mac': None, 'subnet_mask': None, 'gateway': None, 'source': None, 'vlan': None,
        'firmware': info.get('Firmware Revision'), 'manufacturer': _manufacturer(info),
        'ipmi_version': info.get('IPMI Version'), 'ipv6_addresses': [],
    }  # fmt: skip
    for channel in _CHANNELS:
        try:
            done = source.run(['ipmitool', 'lan', 'print', str(channel)], 15.0)
        except Exception as error:
            source.problem(str(error))
            break
        lan = _pairs(done.output)
        if mac(lan.get('MAC Address')) or _ip(lan.get('IP Address')):
            found.update(_lan(lan))
            found['channel'] = channel
            found['ipv6_addresses'] = _ipv6(source, channel)
            break
    return {'bmc': found}


def _described(found: Table) -> bool:
    return bool(found.of(38))


def _pairs(text: str) -> dict[str, str]:
    """Lines "Name   : value"; continuation lines have no name."""
    result: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition(':')
        if separator and name.strip() and name.strip() not in result and (kept := clean(value)):
            result[name.strip()] = kept
    return result


def _manufacturer(info: dict[str, str]) -> str | None:
    name = info.get('Manufacturer Name', '')
    return None if not name or name.lower().startswith('unknown') else name


def _lan(lan: dict[str, str]) -> dict[str, object]:
    kind = lan.get('IP Address Source', '').lower()
    vlan = number(lan.get('802.1q VLAN ID'))
    return {
        'address': _ip(lan.get('IP Address')), 'mac': mac(lan.get('MAC Address')),
        'subnet_mask': _ip(lan.get('Subnet Mask')), 'gateway': _ip(lan.get('Default Gateway IP')),
        'source': 'static' if 'static' in kind else ('dhcp' if 'dhcp' in kind else None),
        'vlan': vlan if vlan and 1 <= vlan <= 4094 else None,
    }  # fmt: skip


def _ipv6(source: Source, channel: int) -> list[str]:
    """Addresses that are in use; not every controller knows the command."""
    try:
        done = source.run(['ipmitool', 'lan6', 'print', str(channel)], 15.0)
    except Exception:
        return []
    found = []
    for text in re.findall(r'Address:\s*([0-9a-fA-F:]+)(?:/\d+)?', done.output):
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            continue
        if not address.is_unspecified and not address.is_link_local:
            found.append(str(address))
    return list(dict.fromkeys(found))


def _ip(text: str | None) -> str | None:
    try:
        address = ipaddress.IPv4Address((text or '').strip())
    except ValueError:
        return None
    return None if address == ipaddress.IPv4Address(0) else str(address)
