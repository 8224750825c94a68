"""Erases all disks of the machine.  This destroys everything on them.

Every disk is erased as a whole where it can do that by itself in minutes; in any case its beginning and end are
overwritten, so that nothing boots from it and no partition table, RAID or LVM is found.  What was done to each is said
exactly, since "wiped" means different things to different people.
"""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import choice, image
from .choice import Disk
from .tools import ToolError, each, run

ENDS = 100 << 20
# Seconds that a disk may take to erase itself.
PATIENCE = 600.0
_ERASE_MINUTES = 8


@dataclass
class Wiped:
    """`methods` is what worked; `failures` what did not, with the reason."""

    path: str
    size_bytes: int
    model: str
    serial: str
    methods: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ok: bool = False

    def document(self) -> dict[str, object]:
        return dict(vars(self))


def wipe(disks: Sequence[Disk], say: Callable[[str], None]) -> list[Wiped]:
    """All disks of the machine itself, at the same time."""
    own = choice.own(disks)
    for disk in disks:
        if disk not in own:
            say(f'{choice.describe(disk)} is not a disk of the machine itself; it is left as it is')
    if not own:
        say('This machine has no disk to erase')
        return []
    _let_go(say)
    return each(lambda disk: _one(disk, say), own, 64)


def _let_go(say: Callable[[str], None]) -> None:
    """Of RAID and LVM that hold disks."""
    for command in (['lvm', 'vgchange', '--activate', 'n'], ['mdadm', '--stop', '--scan']):
        try:
            run(command, 60.0, check=False)
        except ToolError as error:
            say(str(error))


def _one(disk: Disk, say: Callable[[str], None]) -> Wiped:
    path = str(disk['path'])
    found = Wiped(path, int(disk['size_bytes']), str(disk.get('model') or ''), str(disk.get('serial') or ''))
    if disk.get('read_only'):
        found.failures.append('it is read-only')
        say(f'{choice.describe(disk)}: NOT ERASED, it is read-only')
        return found
    began = time.monotonic()
    say(f'Erasing {choice.describe(disk)}')

    def attempt(name: str, do: Callable[[], bool | None]) -> bool:
        try:
            if do() is False:
                return False
        except (ToolError, OSError) as error:
            found.failures.append(f'{name}: {error}')
            return False
        found.methods.append(name)
        return True

    erased = False
    if disk.get('transport') == 'nvme':
        erased = attempt('NVMe format with user data erase', lambda: _nvme(path))
    elif disk.get('transport') == 'sata' and disk.get('rotational') is False:
        erased = attempt('ATA secure erase', lambda: _ata(path))
    if not erased:
        erased = attempt('all blocks discarded', lambda: _discard(path))
    ends = attempt(
        'all blocks overwritten with zeros' if found.size_bytes <= 2 * ENDS
        else f'first and last {ENDS >> 20} MiB overwritten with zeros', lambda: _ends(path),
    )  # fmt: skip
    signatures = attempt('signatures and partition tables removed', lambda: _signatures(path))
    found.ok = ends and signatures
    words = ', '.join(found.methods) or 'nothing'
    say(f'{path}: {words}, in {time.monotonic() - began:.0f} s' + ('' if found.ok else ': NOT ERASED'))
    for failure in found.failures:
        say(f'{path}: {failure}')
    if found.ok and not erased:
        say(f'{path}: it cannot erase itself; what is between its beginning and its end is still there')
    return found


def _nvme(path: str) -> bool:
    """Format with erasing of user data (NVM Express, 5.14), where the controller can."""
    said = json.loads(run(['nvme', 'id-ctrl', path, '-o', 'json'], 30.0).output or '{}')
    if not int(said.get('oacs', 0)) & 2:
        return False
    run(['nvme', 'format', path, '--ses=1', '--force'], PATIENCE)
    return True


def erase_minutes(text: str) -> int | None:
    """How long a disk says that it takes to erase itself, out of hdparm -I; None where it cannot, or must not."""
    section = text.partition('Security:')[2]
    words = [' '.join(line.split()) for line in section.splitlines()]
    if 'supported' not in words or 'not frozen' not in words or 'not locked' not in words or 'not enabled' not in words:
        return None
    match = re.search(r'(\d+)min for SECURITY ERASE UNIT', section)
    return int(match[1]) if match else None


def _ata(path: str) -> bool:
    """Security erase (ATA ACS-4, 7.43): the disk gets a password, is erased, and has none again."""
    minutes = erase_minutes(run(['hdparm', '-I', path], 30.0).output)
    if minutes is None or minutes > _ERASE_MINUTES:
        return False
    run(['hdparm', '--user-master', 'u', '--security-set-pass', 'substruct', path], 30.0)
    try:
        run(['hdparm', '--user-master', 'u', '--security-erase', 'substruct', path], minutes * 120.0 + 60.0)
    except ToolError as error:
        unlock = ['hdparm', '--user-master', 'u', '--security-disable', 'substruct', path]
        try:
            run(unlock, 60.0)
        except ToolError as worse:
            raise ToolError(
                f'{error}; {worse}. The disk may be LOCKED with the password "substruct": switch the machine off and '
                f'on, and unlock it by: {" ".join(unlock)}'
            ) from None
        raise
    return True


def _discard(path: str) -> None:
    run(['blkdiscard', '--force', path], PATIENCE)


def _ends(path: str) -> None:
    with open(path, 'r+b', buffering=0) as stream:
        image.clear(stream, image.size_of(stream), ENDS)
        os.fsync(stream.fileno())


def _signatures(path: str) -> None:
    run(['wipefs', '--all', '--force', path], 60.0)
    # It complains about a disk that has no table, which is what is wanted.
    run(['sgdisk', '--zap-all', path], 60.0, check=False)
    image.reread(path, lambda words: None)
