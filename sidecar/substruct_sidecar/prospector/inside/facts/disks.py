"""The disks: what the kernel and udev know of each, and how it says that it is (smartctl)."""

import json
import re

from ..tools import each
from .source import Source, clean, number, pci_address

# Block devices that are no disks: memory, loops, optical drives, what is made of disks.
_NOT_DISKS = re.compile(r'(loop|ram|zram|sr|fd|dm-|md|nbd|mtdblock|drbd|bcache|rbd|nvme\d+c\d+n)\d*')
_BOOT_PARTITION = re.compile(r'mmcblk\d+(boot|rpmb|gp)\d*')


def disks(source: Source) -> dict[str, object]:
    found = [disk(source, name) for name in names(source)]
    # Disks take their time to answer, and one that is broken takes all that it is given.
    for one, health in zip(found, each(lambda one: _health(source, one), found), strict=True):
        one['health'] = health
    return {'disks': found}


def names(source: Source) -> list[str]:
    return [
        name
        for name in source.names('sys/block')
        if not _NOT_DISKS.match(name) and not _BOOT_PARTITION.match(name) and source.number(f'sys/block/{name}/size')
    ]


def disk(source: Source, name: str) -> dict[str, object]:
    base = f'sys/block/{name}'
    path = source.real(base)
    known = _udev(source, source.text(f'{base}/dev') or '')
    words = known['words']
    assert isinstance(words, dict)
    links = known['links']
    assert isinstance(links, list)
    model = words.get('ID_MODEL_ENC') or source.text(f'{base}/device/model') or words.get('ID_MODEL')
    return {
        'name': name, 'path': f'/dev/{name}', 'size_bytes': (source.number(f'{base}/size') or 0) * 512,
        'vendor': _vendor(source, base, words), 'model': clean(_unescaped(model)) if model else None,
        'serial': _serial(source, base, words), 'wwn': _wwn(source, base, words),
        'firmware': source.text(f'{base}/device/firmware_rev') or words.get('ID_REVISION')
        or source.text(f'{base}/device/rev'),
        'transport': _transport(source, name, path, words), 'rotational': _flag(source, f'{base}/queue/rotational'),
        'removable': _flag(source, f'{base}/removable'), 'read_only': _flag(source, f'{base}/ro'),
        'logical_block_size': source.number(f'{base}/queue/logical_block_size'),
        'by_id': sorted(link for link in links if link.startswith('/dev/disk/by-id/')),
        'by_path': next((link for link in sorted(links) if link.startswith('/dev/disk/by-path/')), None),
        'pci_address': pci_address(path),
    }  # fmt: skip


def _udev(source: Source, device: str) -> dict[str, object]:
    """udev's record of a block device: links, and words such as ID_SERIAL (systemd, src/libsystemd/sd-device)."""
    words: dict[str, str] = {}
    links: list[str] = []
    for line in source.lines(f'run/udev/data/b{device}') if re.fullmatch(r'\d+:\d+', device) else []:
        kind, _, rest = line.partition(':')
        if kind == 'S':
            links.append(f'/dev/{rest}')
        elif kind == 'E':
            key, _, value = rest.partition('=')
            words[key] = value
    return {'words': words, 'links': links}


def _unescaped(text: str) -> str:
    return re.sub(r'\\x([0-9a-f]{2})', lambda match: chr(int(match[1], 16)), text)


def _vendor(source: Source, base: str, words: dict[str, str]) -> str | None:
    found = source.text(f'{base}/device/vendor')
    # Disks behind SATA say "ATA"; virtio and NVMe the number of a PCI vendor.
    if found and not re.fullmatch(r'ATA|0x[0-9a-f]{4}', found):
        return found
    return clean(words.get('ID_VENDOR')) if words.get('ID_VENDOR') != 'ATA' else None


def _serial(source: Source, base: str, words: dict[str, str]) -> str | None:
    for path in (f'{base}/device/serial', f'{base}/serial'):
        if found := source.text(path):
            return found
    # The page of the serial number (SPC-5, 7.7.16), which disks behind SATA have too.
    page = source.bytes(f'{base}/device/vpd_pg80')
    if page and len(page) > 4 and (found := clean(page[4:])):
        return found
    return clean(words.get('ID_SERIAL_SHORT')) or source.text(f'{base}/device/cid')


def _wwn(source: Source, base: str, words: dict[str, str]) -> str | None:
    """As udev writes it: 0x5000c500a1b2c3d4, eui.0025385b71b00d2e."""
    found = words.get('ID_WWN_WITH_EXTENSION') or words.get('ID_WWN')
    if not found:
        raw = source.text(f'{base}/wwid') or source.text(f'{base}/device/wwid') or ''
        if raw.startswith('naa.'):
            found = f'0x{raw[4:]}'
        elif raw.startswith(('eui.', 'uuid.')):
            found = raw
    return clean(found)


def _transport(source: Source, name: str, path: str, words: dict[str, str]) -> str | None:
    if name.startswith('nvme'):
        # pcie is what people call NVMe; over a network it is another thing.  A disk that may have several ways to it
        # belongs to a subsystem, below which its controllers are (Linux, drivers/nvme/host/multipath.c).
        device = f'sys/block/{name}/device'
        controllers = [one for one in source.names(device) if re.fullmatch(r'nvme\d+', one)]
        ways = {source.text(f'{device}/transport'), *(source.text(f'{device}/{one}/transport') for one in controllers)}
        network = sorted(way for way in ways if way not in (None, 'pcie'))
        return f'nvme-{network[0]}' if network else 'nvme'
    if name.startswith('vd'):
        return 'virtio'
    if name.startswith('mmcblk'):
        return 'mmc'
    if name.startswith('xvd'):
        return 'xen'
    for mark, transport in (
        ('/usb', 'usb'), ('/ata', 'sata'), ('/end_device-', 'sas'), ('/rport-', 'fc'), ('/session', 'iscsi'),
        ('/virtio', 'virtio'), ('/VMBUS', 'vmbus'),
    ):  # fmt: skip
        if mark in path:
            return transport
    return words.get('ID_BUS') or ('scsi' if name.startswith('sd') else None)


def _flag(source: Source, path: str) -> bool | None:
    return {'0': False, '1': True}.get(source.text(path) or '')


def _health(source: Source, one: dict[str, object]) -> dict[str, object] | None:
    """None for disks that have no such thing."""
    if one['transport'] in ('virtio', 'xen', 'vmbus', 'mmc') or not one['size_bytes']:
        return None
    done = source.tool_anyhow('smartctl', '--json', '--info', '--health', '--attributes', str(one['path']))
    if done is None:
        return None
    try:
        said = json.loads(done)
    except ValueError:
        source.problem(f'smartctl {one["path"]}: its answer is no JSON')
        return None
    return health_of(said)


def health_of(said: object) -> dict[str, object] | None:
    """Out of smartctl's JSON; None where the disk tells nothing."""
    if not isinstance(said, dict):
        return None
    status = _in(said, 'smart_status', 'passed')
    used = _in(said, 'nvme_smart_health_information_log', 'percentage_used')
    used = used if used is not None else _in(said, 'scsi_percentage_used_endurance_indicator')
    temperature = _in(said, 'temperature', 'current')
    hours = _in(said, 'power_on_time', 'hours')
    if all(value is None for value in (status, used, temperature, hours)):
        return None
    return {
        'passed': status if isinstance(status, bool) else None, 'temperature_c': _whole(temperature),
        'power_on_hours': _whole(hours), 'wear_percent': _whole(used) if used is not None else _wear(said),
    }  # fmt: skip


def _in(said: object, *keys: str) -> object:
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return number(str(value))


def _wear(said: dict[str, object]) -> int | None:
    """Solid state disks with ATA count down from 100 in one of several attributes, by their maker."""
    table = _in(said, 'ata_smart_attributes', 'table')
    for wanted in (231, 233, 177, 202, 173):
        for row in table if isinstance(table, list) else ():
            left = _whole(_in(row, 'value'))
            if _in(row, 'id') == wanted and left is not None and 0 <= left <= 100:
                name = str(_in(row, 'name'))
                if re.search(r'Wear|Life|Lifetime|Media', name):
                    return 100 - left
    return None
