"""The network interfaces: cards, their links, and who is at the other end."""

import json
import re
from collections.abc import Iterable, Mapping

from ..lldp import Neighbour
from ..tools import each
from .source import Source, clean, mac, pci_address

# ARP hardware types (Linux, include/uapi/linux/if_arp.h).
_ETHERNET, _INFINIBAND = 1, 32
# Names that an installed system gives a card, best first (systemd.net-naming-scheme(7)).
_NAMES = ('ID_NET_NAME_FROM_DATABASE', 'ID_NET_NAME_ONBOARD', 'ID_NET_NAME_SLOT', 'ID_NET_NAME_PATH')


def interfaces(source: Source, neighbours: Mapping[str, Neighbour], boot_mac: str, own: str) -> dict[str, object]:
    """`own` is the interface over which the boot server is reached."""
    addresses = _addresses(source)
    found = [
        one
        for name in source.names('sys/class/net')
        if (one := _interface(source, name, addresses.get(name, []), boot_mac)) is not None
    ]
    by_id = _pci_names(source, [str(one.pop('_pci')) for one in found])
    for one, (vendor, product) in zip(found, by_id, strict=True):
        one['vendor'], one['product'] = vendor, product
        neighbour = neighbours.get(str(one['kernel_name']))
        one['lldp'] = neighbour.document() if neighbour is not None else None
        one['in_use'] = one['kernel_name'] == own
    physical = [one for one in found if one['kind'] != 'vlan']
    for one, said in zip(physical, each(lambda one: _driver(source, one), physical), strict=True):
        one.update(said)
    for one in found:
        one['boot'] = bool(boot_mac) and one['kind'] != 'vlan' and boot_mac in (one['mac'], one.get('permanent_mac'))
    return {'interfaces': found}


def _interface(source: Source, name: str, addresses: list[str], boot_mac: str) -> dict[str, object] | None:
    base = f'sys/class/net/{name}'
    kind = source.number(f'{base}/type')
    device = source.exists(f'{base}/device')
    vlan = source.exists(f'proc/net/vlan/{name}')
    if kind not in (_ETHERNET, _INFINIBAND) or not (device or vlan):
        return None
    link = {'0': False, '1': True}.get(source.text(f'{base}/carrier') or '')
    speed = source.number(f'{base}/speed')
    path = source.real(f'{base}/device') if device else ''
    names = _udev(source, source.text(f'{base}/ifindex') or '') if device else {}
    return {
        'name': next((names[key] for key in _NAMES if names.get(key)), name), 'kernel_name': name,
        'names': list(dict.fromkeys(names[key] for key in _NAMES if names.get(key))),
        'mac': mac(source.text(f'{base}/address')), 'permanent_mac': None,
        'driver': source.target(f'{base}/device/driver') or None, 'firmware': None, 'pci_address': pci_address(path),
        'vendor': None, 'product': None, 'link': link,
        # The kernel says -1, or the same without a sign, for an unknown one.
        'speed_mbps': speed if speed is not None and 0 < speed < 10_000_000 else None,
        'duplex': (found if (found := source.text(f'{base}/duplex')) in ('full', 'half') else None),
        'mtu': source.number(f'{base}/mtu'),
        'kind': 'vlan' if vlan else ('infiniband' if kind == _INFINIBAND else 'physical'),
        'port': source.number(f'{base}/dev_port'), 'numa_node': _node(source.number(f'{base}/device/numa_node')),
        'addresses': addresses, 'lldp': None,
        '_pci': _pci_id(source, base) if device else '',
    }  # fmt: skip


def _node(value: int | None) -> int | None:
    return value if value is not None and value >= 0 else None


def _udev(source: Source, index: str) -> dict[str, str]:
    """udev's record of an interface."""
    found: dict[str, str] = {}
    if index.isdigit():
        for line in source.lines(f'run/udev/data/n{index}'):
            if line.startswith('E:'):
                key, _, value = line[2:].partition('=')
                if name := clean(value):
                    found[key] = name
    return found


def _addresses(source: Source) -> dict[str, list[str]]:
    done = source.tool('ip', '-j', 'address', 'show')
    try:
        said = json.loads(done or '[]')
    except ValueError:
        source.problem('ip address: its answer is no JSON')
        return {}
    found: dict[str, list[str]] = {}
    for one in said if isinstance(said, list) else ():
        if isinstance(one, dict) and isinstance(one.get('addr_info'), list):
            found[str(one.get('ifname'))] = [
                f'{entry["local"]}/{entry["prefixlen"]}'
                for entry in one['addr_info']
                if isinstance(entry, dict)
                and entry.get('scope') == 'global'
                and 'local' in entry
                and 'prefixlen' in entry
            ]
    return found


def _driver(source: Source, one: Mapping[str, object]) -> dict[str, object]:
    """What only ethtool says: the firmware's version, and the address that the card was made with."""
    name = str(one['kernel_name'])
    firmware = None
    for line in (source.tool_anyhow('ethtool', '-i', name, seconds=10.0) or '').splitlines():
        key, _, value = line.partition(':')
        if key == 'firmware-version':
            firmware = clean(value)
    said = source.tool_anyhow('ethtool', '-P', name, seconds=10.0) or ''
    return {
        'firmware': firmware if firmware not in ('N/A', 'n/a') else None,
        'permanent_mac': mac(said.rpartition(' ')[2]),
    }  # fmt: skip


def _pci_id(source: Source, base: str) -> str:
    """vendor:device:subvendor:subdevice of the nearest PCI device, '' for others.  A virtio card has it above
    itself."""
    for folder in (f'{base}/device', f'{base}/device/..'):
        values = [
            source.text(f'{folder}/{name}') for name in ('vendor', 'device', 'subsystem_vendor', 'subsystem_device')
        ]
        if all(value and re.fullmatch(r'0x[0-9a-f]{4}', value) for value in values):
            return ':'.join(str(value)[2:] for value in values)
    return ''


def _pci_names(source: Source, ids: Iterable[str]) -> list[tuple[str | None, str | None]]:
    """Names by the list of PCI identifiers (pci.ids): vendors, devices and subsystems, one reading for all."""
    wanted = list(ids)
    names = pci_names((source.bytes('usr/share/misc/pci.ids') or b''), {one for one in wanted if one})
    return [names.get(one, (None, None)) for one in wanted]


def pci_names(listing: bytes, wanted: set[str]) -> dict[str, tuple[str | None, str | None]]:
    """Vendor and product by vendor:device:subvendor:subdevice.  The product of a card is that of its subsystem, if it
    has a name."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for one in wanted:
        vendor, device, subvendor, subdevice = one.split(':')
        begin = listing.find(f'\n{vendor}  '.encode())
        if begin < 0:
            continue
        end = begin + 1
        while (end := listing.find(b'\n', end) + 1) and (listing[end : end + 1] in (b'\t', b'#', b'\n')):
            pass
        block = listing[begin : end or len(listing)]
        name = clean(block[1:].split(b'\n', 1)[0][6:])
        at = block.find(f'\n\t{device}  '.encode())
        product = None
        if at >= 0:
            product = clean(block[at + 1 :].split(b'\n', 1)[0][7:])
            rest = re.split(rb'\n\t(?!\t)', block[at + 1 :], maxsplit=1)[0]
            own = rest.find(f'\n\t\t{subvendor} {subdevice}  '.encode())
            if own >= 0:
                product = clean(rest[own + 1 :].split(b'\n', 1)[0][13:]) or product
        found[one] = (name, product)
    return found


def macs(source: Source) -> list[str]:
    """Of all cards, as the kernel has them; for the machine's identity."""
    found = []
    for name in source.names('sys/class/net'):
        base = f'sys/class/net/{name}'
        if source.exists(f'{base}/device') and source.number(f'{base}/type') == _ETHERNET:
            found.append(mac(source.text(f'{base}/address')))
    return list(dict.fromkeys(one for one in found if one))
