"""What a disk needs after an image was written to it, so that it boots here as this machine: all of the disk used, a
seed for cloud-init, an entry in UEFI.  This changes the disk and the firmware's entries.

Nothing of it is worth more than the image itself: what fails is said, and only what makes the machine useless (a seed
that has no place) fails the build.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def lvm_filter(devices: Sequence[str]) -> str:
    """LVM's configuration that lets it see these devices and no others (lvm.conf(5), devices/filter)."""
    accepted = ', '.join(f'"a|^{re.escape(device)}$|"' for device in devices)
    return f'devices {{ filter = [ {accepted}, "r|.*|" ] }}'


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
        with self._volumes(table) as volumes:
            self._in_root(table, list(self._candidates(table, volumes)), parts)

    def _in_root(
        self, table: Table, candidates: Sequence[tuple[str, Partition | None]], parts: Mapping[str, bytes]
    ) -> None:
        looked = []
        for device, partition in candidates:
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
                    over = self._seed(root, parts)
                    if over is not None and kind == 'btrfs' and over.kind == 'btrfs' and over.subvolume:
                        self._place(folder / over.subvolume, parts, over.folder)
                        over = None
                if over is not None:
                    self._seed_elsewhere(over, [one for one, _ in candidates if one != device], parts)
                return
            except ToolError as error:
                self._say(str(error))
        words = f'No root file system was found on {self.disk} ({", ".join(looked) or "no partitions"})'
        if parts:
            raise Failed(f'{words}, so there is no place for user-data and network-config of the build.')
        self._say(f'{words}; nothing is grown')

    def _candidates(self, table: Table, volumes: Sequence[str]) -> Iterator[tuple[str, Partition | None]]:
        """Partitions, the largest first, then logical volumes."""
        for one in sorted(table.partitions, key=lambda one: -one.size):
            if self._kind(one.path) != 'LVM2_member':
                yield one.path, one
        for path in volumes:
            yield path, None

    @contextmanager
    def _volumes(self, table: Table) -> Iterator[list[str]]:
        """The logical volumes on this disk, in use until the end.

        LVM sees no other disk: a machine's other disks may hold another system, or the same volumes by the same names
        (an earlier copy of this image), and are not to be touched.
        """
        members = [one.path for one in table.partitions if self._kind(one.path) == 'LVM2_member']
        if not members:
            yield []
            return
        only = lvm_filter(members)
        done = run(['lvm', 'vgchange', '--config', only, '--activate', 'y'], 60.0, check=False)
        if done.status:
            self._say(f'The logical volumes of {self.disk} cannot be used: {done.last()}')
        try:
            said = run(['lvm', 'lvs', '--config', only, '--noheadings', '--options', 'lv_path'], 30.0, check=False)
            yield [path for line in said.output.splitlines() if (path := line.strip())]
        finally:
            done = run(['lvm', 'vgchange', '--config', only, '--activate', 'n'], 60.0, check=False)
            if done.status:
                self._say(f'The logical volumes of {self.disk} stay in use: {done.last()}')

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

    def _seed(self, root: Path, parts: Mapping[str, bytes]) -> seed.Mount | None:
        """What the image mounts over the place of the seed, which then is there; None where it is done."""
        if not parts:
            return None
        if not seed.has_cloud_init(root):
            self._say('The image has no cloud-init, which would read user-data and network-config')
        try:
            fstab = seed.inside(root, 'etc/fstab').read_text('utf-8', 'replace')
        except OSError:
            fstab = ''
        over = seed.mount_over(fstab)
        if over is None:
            self._place(root, parts)
        return over

    def _place(self, folder: Path, parts: Mapping[str, bytes], mounted: str = '') -> None:
        try:
            if mounted and not folder.is_dir():
                raise FileNotFoundError(f'there is no {folder.relative_to(MOUNT)} for /{mounted}')
            seed.place(folder, parts, mounted)
        except OSError as error:
            raise Failed(f'The seed cannot be written into the image: {error.strerror or error}.') from error
        self._say(f'cloud-init gets {", ".join(sorted(parts))}')

    def _seed_elsewhere(self, over: seed.Mount, devices: Sequence[str], parts: Mapping[str, bytes]) -> None:
        """Into another file system of the image's.  Raises Failed, ToolError."""
        for device in devices:
            if over.source not in self._names(device):
                continue
            with self._mounted(device, kind := self._kind(device)) as folder:
                self._say(f'/{over.folder} of the image is on {device} ({kind})')
                self._place(folder / over.subvolume if kind == 'btrfs' else folder, parts, over.folder)
            return
        raise Failed(
            f'The image mounts {over.source} at /{over.folder}, where the seed belongs, and that is not on {self.disk}.'
        )

    @staticmethod
    def _names(device: str) -> set[str]:
        """How an fstab may name a device."""
        found = {device, os.path.realpath(device)}
        done = run(['blkid', '-p', '-o', 'export', device], 30.0, check=False)
        words = dict(line.split('=', 1) for line in done.output.splitlines() if '=' in line)
        for name, key in (('UUID', 'UUID'), ('LABEL', 'LABEL'), ('PARTUUID', 'PART_ENTRY_UUID'),
                          ('PARTLABEL', 'PART_ENTRY_NAME')):  # fmt: skip
            if value := words.get(key):
                found.add(f'{name}={value}')
        if len(parts := device.split('/')) == 4 and parts[1] == 'dev':
            # /dev/<group>/<volume>, with a hyphen of a name doubled.
            found.add('/dev/mapper/' + '-'.join(part.replace('-', '--') for part in parts[2:]))
        return found

    # ------------------------------------------------------------------ UEFI

    def _boot_entry(self, table: Table, architecture: str) -> None:
        for one in table.partitions:
            if one.type in (efi.ESP, 'ef'):
                with self._mounted(one.path, 'vfat', 'ro') as folder:
                    efi.add(self.disk, one.number, one.guid, folder, architecture, _partition_guids(), self._say)
                return
        self._say('The image has no EFI system partition; it may not boot on this machine, which has UEFI')


def _partition_guids(folder: Path = Path('/dev/disk/by-partuuid')) -> set[str]:
    """Of all partitions of the machine, as udev knows them."""
    return {path.name.lower() for path in folder.iterdir()} if folder.is_dir() else set()


def _free(folder: Path) -> str:
    found: Any = os.statvfs(folder)
    return f'{found.f_blocks * found.f_frsize / 1e9:.1f} GB, {found.f_bavail * found.f_frsize / 1e9:.1f} GB free'
