"""Which disk is meant.  Pure: it takes the disks as the facts have them.

To write to a wrong disk is the worst that can happen here, so whatever may mean several, or none, is refused, and the
words list what there is.
"""

import re
from collections.abc import Sequence
from typing import Any

# A disk of the facts (docs/facts.md).
Disk = dict[str, Any]

# Disks that are not in the machine, or not to stay there.
ELSEWHERE = ('fc', 'iscsi', 'nvme-tcp', 'nvme-rdma', 'nvme-fc')
PORTABLE = ('usb',)
# Words that mean a disk by comparing all of them.
BY_SIZE = ('only', 'smallest')


class NoChoice(Exception):
    """No disk is meant, or several; the message lists them."""


def choose(disks: Sequence[Disk], wanted: str) -> Disk:
    """`wanted`: a device (/dev/sda, /dev/disk/by-id/…, /dev/disk/by-path/…), wwn=…, serial=…, "only" or "smallest".

    The last two count the disks of the machine itself: none that is removable, read-only, behind USB or elsewhere in
    the network.  Raises NoChoice.
    """
    if not wanted:
        raise NoChoice(
            'No disk is named (substruct.disk): set "disk" in the disk layout of the profile.' + _list(disks)
        )
    if wanted in BY_SIZE:
        return _by_size(disks, wanted)
    found = [disk for disk in disks if _is(disk, wanted)]
    if len(found) == 1:
        if found[0].get('read_only'):
            raise NoChoice(f'The disk {wanted} is read-only.' + _list(disks))
        return found[0]
    if not found:
        raise NoChoice(f'There is no disk {wanted} in this machine.' + _list(disks))
    raise NoChoice(f'{wanted} is not one disk but {len(found)}.' + _list(found))


def own(disks: Sequence[Disk]) -> list[Disk]:
    """The disks of the machine itself."""
    return [
        disk for disk in disks if not disk.get('removable') and disk.get('transport') not in (*ELSEWHERE, *PORTABLE)
    ]


def _by_size(disks: Sequence[Disk], wanted: str) -> Disk:
    writable = [disk for disk in own(disks) if not disk.get('read_only')]
    found = sorted(writable, key=lambda disk: int(disk.get('size_bytes') or 0))
    if not found:
        raise NoChoice('This machine has no disk of its own.' + _list(disks))
    if wanted == 'only' and len(found) > 1:
        raise NoChoice(
            f'The disk layout says "only", and this machine has {len(found)} disks: name one of them in the profile.'
            + _list(found)
        )
    if len(found) > 1 and found[0].get('size_bytes') == found[1].get('size_bytes'):
        raise NoChoice('The smallest disk is not one but several of the same size: name one of them.' + _list(found))
    return found[0]


def _is(disk: Disk, wanted: str) -> bool:
    kind, separator, value = wanted.partition('=')
    if separator and kind.lower() == 'serial':
        return _plain(disk.get('serial')) == _plain(value) != ''
    if separator and kind.lower() == 'wwn':
        return _number(disk.get('wwn')) == _number(value) != ''
    path = wanted if wanted.startswith('/') else f'/dev/{wanted}'
    return path in (disk.get('path'), disk.get('by_path'), *(disk.get('by_id') or ()))


def _plain(value: object) -> str:
    return ' '.join(str(value or '').split()).upper()


def _number(value: object) -> str:
    """A WWN in any spelling: 0x5000…, naa.5000…, 50:00:…"""
    return re.sub(r'^(0x|naa\.|eui\.|nvme\.|uuid\.|wwn-)+|[:\s-]', '', str(value or '').strip().lower())


def _list(disks: Sequence[Disk]) -> str:
    return f' Disks: {"; ".join(describe(disk) for disk in disks)}.' if disks else ' There is no disk at all.'


def describe(disk: Disk) -> str:
    """For people: what they need to find it, and to name it."""
    words = [
        str(disk.get('path')), f'{(disk.get("size_bytes") or 0) / 1e9:.1f} GB', disk.get('model'),
        f'serial={disk["serial"]}' if disk.get('serial') else None, f'wwn={disk["wwn"]}' if disk.get('wwn') else None,
        disk.get('transport'), 'removable' if disk.get('removable') else None,
        'read-only' if disk.get('read_only') else None, disk.get('by_path'),
    ]  # fmt: skip
    return ' '.join(str(word) for word in words if word)
