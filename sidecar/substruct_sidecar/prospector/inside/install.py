"""What a disk needs after an image was written to it, so that it boots here as this machine: all of the disk used, a
seed for cloud-init, an entry in UEFI.  This changes the disk and the firmware's entries.

Nothing of it is worth more than the image itself: what fails is said, and only what makes the machine useless (a seed
that has no place) fails the build.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import efi, seed
from .image import reread
from .report import Failed
from .tools import ToolError, run

MOUNT = Path('/mnt')
# File systems that a root may have, and those of them that can grow while they are mounted.
_ROOTS = ('ext4', 'ext3', 'ext2', 'xfs', 'btrfs', 'f2fs')
# Places in a file system where the root of a system may be: its own, and btrfs' subvolumes.
_SUBVOLUMES = ('', 'root', '@', '@rootfs', '@/.snapshots/1/snapshot')


@dataclass(frozen=True)
class Partition:
    number: int
    path: str
    start: int
    size: int
    type: str
    guid: str


@dataclass(frozen=True)
class Table:
    """`label` is gpt or dos; sizes are in sectors of `sector` bytes."""

    label: str
    sector: int
    partitions: tuple[Partition, ...]

    @property
    def last(self) -> Partition | None:
        return max(self.partitions, key=lambda one: one.start, default=None)


def table_of(said: object) -> Table | None:
    """Out of sfdisk --json; None for a disk without a table."""
    found = said.get('partitiontable') if isinstance(said, dict) else None
    if not isinstance(found, dict):
        return None
    partitions = []
    for one in found.get('partitions') or ():
        path = str(one.get('node', ''))
        digits = path[len(path.rstrip('0123456789')) :]
        start, size = int(one.get('start', 0)), int(one.get('size', 0))
        kind, guid = str(one.get('type', '')).lower(), str(one.get('uuid', '')).lower()
        partitions.append(Partition(int(digits or 0), path, start, size, kind, guid))
    return Table(str(found.get('label', '')), int(found.get('sectorsize', 512)), tuple(partitions))


class Install:
    def __init__(self, disk: str, say: Callable[[str], None]) -> None:
        self.disk = disk
        self._say = say

    def run(self, parts: Mapping[str, bytes], architecture: str, uefi: bool) -> None:
        """Raises Failed."""
        self._attempt('the partition table', self._settle)
        table = self._table()
        if table is None:
            if parts:
                raise Failed(f'The image on {self.disk} has no partition table, so there is no place for the seed.')
            self._say(f'{self.disk} has no partition table; nothing is grown')
            return
        self._root(table, parts)
        if uefi:
            self._attempt('the boot entry', lambda: self._boot_entry(table, architecture))
        os.sync()

    def _attempt(self, what: str, do: Callable[[], None]) -> None:
        try:
            do()
        except (ToolError, OSError) as error:
            self._say(f'{what[0].upper()}{what[1:]} of {self.disk}: {error}')

    # ------------------------------------------------------------------ the partition table

    def _settle(self) -> None:
        """The table's second copy belongs at the end of the disk, which is not where the image ended."""
        table = self._table()
        if table is not None and table.label == 'gpt':
            run(['sgdisk', '--move-second-header', self.disk], 60.0)
        reread(self.disk, self._say)
        self._wait(table)

    def _table(self) -> Table | None:
        done = run(['sfdisk', '--json', self.disk], 30.0, check=False)
        try:
            return table_of(json.loads(done.output)) if done.status == 0 else None
        except ValueError:
            return None

    def _wait(self, table: Table | None) -> None:
        """Until the kernel and udev have all partitions."""
        run(['udevadm', 'settle', '--timeout=10'], 15.0, check=False)
        deadline = time.monotonic() + 10.0
        for one in table.partitions if table else ():
            while not Path(one.path).exists() and time.monotonic() < deadline:
                time.sleep(0.1)

    def _grow(self, partition: Partition) -> None:
        run(['sfdisk', '--no-reread', '--force', '-q', '-N', str(partition.number), self.disk], 60.0, ', +\n')
        # The kernel is told of this one alone, as the others may be in use.
        run(['partx', '--update', '--nr', str(partition.number), self.disk], 30.0)
        self._say(f'{partition.path} has all of the rest of the disk')

    # ------------------------------------------------------------------ the root file system

    def _root(self, table: Table, parts: Mapping[str, bytes]) -> None:
        looked = []
        for device, partition in self._candidates(table):
            kind = self._kind(device)
            looked.append(f'{device} {kind or "?"}')
            if kind not in _ROOTS:
                continue
            try:
                with self._mounted(device, kind) as folder:
                    root = next((folder / name for name in _SUBVOLUMES if seed.is_root(folder / name)), None)
                    if root is None:
                        continue
                    self._say(f'The root file system is on {device} ({kind})')
                    self._enlarge(device, kind, folder, partition, table)
                    self._seed(root, parts)
                return
            except ToolError as error:
                self._say(str(error))
        words = f'No root file system was found on {self.disk} ({", ".join(looked) or "no partitions"})'
        if parts:
            raise Failed(f'{words}, so there is no place for user-data and network-config of the build.')
        self._say(f'{words}; nothing is grown')

    def _candidates(self, table: Table) -> Iterator[tuple[str, Partition | None]]:
        """Partitions, the largest first, then logical volumes."""
        for one in sorted(table.partitions, key=lambda one: -one.size):
            if self._kind(one.path) != 'LVM2_member':
                yield one.path, one
        if any(self._kind(one.path) == 'LVM2_member' for one in table.partitions):
            run(['lvm', 'vgchange', '--activate', 'y'], 60.0, check=False)
            done = run(['lvm', 'lvs', '--noheadings', '-o', 'lv_path'], 30.0, check=False)
            for line in done.output.splitlines():
                if path := line.strip():
                    yield path, None

    @staticmethod
    def _kind(device: str) -> str:
        return run(['blkid', '-p', '-o', 'value', '-s', 'TYPE', device], 30.0, check=False).output.strip()

    @contextmanager
    def _mounted(self, device: str, kind: str, options: str = 'rw') -> Iterator[Path]:
        """Raises ToolError."""
        MOUNT.mkdir(exist_ok=True)
        # Copies of one image have the same identifier, and xfs mounts no second one beside the first.
        extra = ',nouuid' if kind == 'xfs' else (',subvolid=5' if kind == 'btrfs' else '')
        run(['mount', '-t', kind, '-o', f'{options}{extra}', device, str(MOUNT)], 120.0)
        try:
            yield MOUNT
        finally:
            run(['umount', str(MOUNT)], 300.0)

    def _enlarge(self, device: str, kind: str, folder: Path, partition: Partition | None, table: Table) -> None:
        if partition is None:
            self._say(f'{device} is a logical volume; it keeps its size')
            return
        if table.last is not None and table.last.number != partition.number:
            self._say(f'{device} is not the last partition; it keeps its size')
            return
        commands = {
            'xfs': ['xfs_growfs', str(folder)], 'btrfs': ['btrfs', 'filesystem', 'resize', 'max', str(folder)],
            'ext4': ['resize2fs', device], 'ext3': ['resize2fs', device], 'ext2': ['resize2fs', device],
        }  # fmt: skip

        def grow() -> None:
            self._grow(partition)
            if command := commands.get(kind):
                run(command, 600.0)
                self._say(f'The file system on {device} has grown: {_free(folder)}')

        self._attempt('the root file system', grow)

    def _seed(self, root: Path, parts: Mapping[str, bytes]) -> None:
        if not parts:
            return
        try:
            seed.place(root, parts)
        except OSError as error:
            raise Failed(f'The seed cannot be written into the image: {error.strerror or error}.') from error
        self._say(f'cloud-init gets {", ".join(sorted(parts))}')
        if not seed.has_cloud_init(root):
            self._say('But the image has no cloud-init, which would read them')

    # ------------------------------------------------------------------ UEFI

    def _boot_entry(self, table: Table, architecture: str) -> None:
        for one in table.partitions:
            if one.type in (efi.ESP, 'ef'):
                with self._mounted(one.path, 'vfat', 'ro') as folder:
                    efi.add(self.disk, one.number, one.guid, folder, architecture, self._say)
                return
        self._say('The image has no EFI system partition; it may not boot on this machine, which has UEFI')


def _free(folder: Path) -> str:
    found: Any = os.statvfs(folder)
    return f'{found.f_blocks * found.f_frsize / 1e9:.1f} GB, {found.f_bavail * found.f_frsize / 1e9:.1f} GB free'
