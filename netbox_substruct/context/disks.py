"""Which disks a disk layout means: names and roles become devices, or a reason why none is safe to take.  Pure.

The disk that is taken is erased, so nothing is guessed: what fits more disks than are wanted, or fewer, is a problem
that says what was found.  Roles are looked up among the disks that the machine last reported; paths are taken as they
are, and "only" is left to the installer, which sees the disks at the moment that counts.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .schema import Disk, Disks

ROLES = ('smallest', 'largest', 'first-nvme')
# Words such as wwn=0x5000c500a1b2c3d4, as the prospector takes them too.
_WORDS = ('wwn', 'serial')
# Disks that are not in the machine, or not to stay there, are taken only where they are named or asked for by this.
_AWAY = ('usb', 'fc', 'iscsi', 'nvme-tcp', 'nvme-rdma', 'nvme-fc')
_NAMING = ('wwn', 'serial', 'transport')
# How many disks a layout takes where it does not say so itself ("count").
_RAID = {None: 1, 1: 2, 10: 4}
_GB = 10**9


class _Problem(Exception):
    pass


def choose(layout: Mapping[str, Any], found: Sequence[Disk]) -> Disks:
    """The disks that `disk` of the layout means."""
    wanted = layout.get('disk')
    try:
        chosen = _choose(wanted, _count(layout), found)
    except _Problem as problem:
        return Disks(found=tuple(found), chosen=(), only=False, problem=str(problem))
    return Disks(found=tuple(found), chosen=chosen, only=_is_only(wanted), problem='')


def means_by_role(wanted: Any) -> bool:
    """Whether `disk` of a layout is looked up among the disks that were found, for one of them at least."""
    return any(not _is_path(each) for each in (wanted if isinstance(wanted, list) else [wanted]) if each)


def _is_only(wanted: Any) -> bool:
    return bool(wanted in ('only', ['only']))


def _count(layout: Mapping[str, Any]) -> int:
    raid = layout.get('raid')
    if raid not in _RAID or isinstance(raid, bool):
        raise _Problem(f'the disk layout of the profile has the raid {raid!r}; use 1 or 10, or leave it out.')
    count = layout.get('count', _RAID[raid])
    if isinstance(count, bool) or not isinstance(count, int) or not _RAID[raid] <= count <= 64:
        raise _Problem(f'the disk layout of the profile has the count {count!r}; it takes {_RAID[raid]} to 64 disks.')
    return count


def _choose(wanted: Any, count: int, found: Sequence[Disk]) -> tuple[str, ...]:
    if not wanted:
        raise _Problem(
            'the disk layout of the profile names no disk to install on, and none is safe to guess: set "disk" to a '
            'device such as "/dev/sda", to a role such as "smallest", or to "only" for machines with one disk.'
        )
    if _is_only(wanted):
        if count > 1:
            raise _Problem(f'the disk layout of the profile says "only", and needs {count} disks; name them.')
        return ()
    if isinstance(wanted, list):
        paths = [path for each in wanted for path in ((_path(each),) if _is_path(each) else _role(each, 1, found))]
    elif _is_path(wanted):
        paths = [_path(wanted)]
    else:
        paths = list(_role(wanted, count, found))
    if len(set(paths)) < len(paths):
        raise _Problem(f'the disk layout of the profile names a disk twice: {", ".join(paths)}.')
    # LVM and a list of paths may span more disks than one; a RAID has to have as many as it takes.
    if len(paths) < count:
        raise _Problem(
            f'the disk layout of the profile needs {count} disks and names {len(paths)}: {", ".join(paths)}.'
        )
    return tuple(paths)


def _is_path(wanted: Any) -> bool:
    return isinstance(wanted, str) and wanted not in ROLES and wanted.partition('=')[0] not in _WORDS


def _path(wanted: str) -> str:
    if not wanted.startswith('/dev/') or any(character.isspace() or character in ',=' for character in wanted):
        raise _Problem(
            f'the disk layout of the profile names a disk that is no device below /dev/, and no role '
            f'({", ".join(ROLES)}): {wanted!r}.'
        )
    return wanted


def _role(wanted: Any, count: int, found: Sequence[Disk]) -> tuple[str, ...]:
    """The devices of the disks that fit a role or conditions: exactly as many as are wanted."""
    conditions = _conditions(wanted) if isinstance(wanted, str) else wanted
    if not isinstance(conditions, dict) or not conditions:
        raise _Problem(
            f'the disk layout of the profile has a disk that is neither name, role nor conditions: {wanted!r}.'
        )
    if not found:
        raise _Problem(
            f'the disk layout of the profile asks for {_words(conditions)}, and the machine has not reported its '
            f'disks yet: let it boot discovery once, or name a device.'
        )
    near = [disk for disk in found if disk.transport not in _AWAY or set(conditions) & set(_NAMING)]
    fitting = [disk for disk in near if all(_fits(disk, key, value) for key, value in conditions.items())]
    role = conditions.get('role')
    if role == 'first-nvme':
        fitting = sorted((disk for disk in fitting if disk.transport == 'nvme'), key=lambda disk: _natural(disk.name))
        fitting = fitting[:count]
    elif role is not None:
        fitting = _extreme(fitting, count, largest=role == 'largest')
    if len(fitting) != count:
        raise _Problem(
            f'the disk layout of the profile asks for {_words(conditions)}, which fits {len(fitting) or "no"} '
            f'disk{"" if len(fitting) == 1 else "s"} and is to fit {count}; the machine has {_said(found)}.'
        )
    return tuple(disk.device for disk in fitting)


def _conditions(wanted: str) -> dict[str, Any]:
    key, separator, value = wanted.partition('=')
    return {key: value} if separator else {'role': wanted}


def _number(wwn: Any) -> str:
    """A WWN in any spelling: 0x5000…, naa.5000…, 50:00:…."""
    return re.sub(r'^(0x|naa\.|eui\.|nvme\.|uuid\.|wwn-)+|[:\s-]', '', str(wwn).strip().lower())


def _extreme(disks: list[Disk], count: int, largest: bool) -> list[Disk]:
    """The smallest or largest, and all that are of the size of the last of them: then more fit than are wanted."""
    ordered = sorted(disks, key=lambda disk: -disk.size_bytes if largest else disk.size_bytes)
    if len(ordered) <= count:
        return ordered
    last = ordered[count - 1].size_bytes
    return [disk for disk in ordered if (disk.size_bytes >= last if largest else disk.size_bytes <= last)]


_CONDITIONS: Mapping[str, Callable[[Disk, Any], bool]] = {
    'role': lambda disk, value: True,
    'wwn': lambda disk, value: _number(disk.wwn) == _number(value) != '',
    'serial': lambda disk, value: disk.serial.lower() == str(value).lower() != '',
    'model': lambda disk, value: disk.model.lower() == str(value).lower(),
    'vendor': lambda disk, value: disk.vendor.lower() == str(value).lower(),
    'transport': lambda disk, value: disk.transport == value,
    'rotational': lambda disk, value: disk.rotational is value,
    'min_gb': lambda disk, value: disk.size_bytes >= value * _GB,
    'max_gb': lambda disk, value: disk.size_bytes <= value * _GB,
}


def _fits(disk: Disk, key: str, value: Any) -> bool:
    if key not in _CONDITIONS:
        raise _Problem(
            f'the disk layout of the profile has the condition {key!r} for a disk; use {", ".join(_CONDITIONS)}.'
        )
    if key == 'role' and value not in ROLES:
        raise _Problem(f'the disk layout of the profile has the role {value!r} for a disk; use {", ".join(ROLES)}.')
    number = key in ('min_gb', 'max_gb')
    if number and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _Problem(f'the disk layout of the profile has {key} {value!r}, which is no number.')
    return _CONDITIONS[key](disk, value)


def _natural(name: str) -> list[tuple[int, str]]:
    """nvme2n1 before nvme10n1."""
    return [(int(number or 0), word) for word, number in re.findall(r'(\D*)(\d*)', name)]


def _words(conditions: Mapping[str, Any]) -> str:
    return ' and '.join(value if key == 'role' else f'{key} {value}' for key, value in conditions.items())


def _said(found: Iterable[Disk]) -> str:
    return ', '.join(
        f'{disk.name} ({disk.size_bytes / _GB:.0f} GB, {disk.transport or "?"}, {disk.serial or "no serial number"})'
        for disk in found
    )
