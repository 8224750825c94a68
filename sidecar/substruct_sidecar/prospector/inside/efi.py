"""UEFI's boot entries: one for the loader on the disk, without a change of what is booted first.

The machine must go on booting from the network first; whether it then boots its disk is the boot server's to say.
Reading and choosing is pure.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .tools import run

# Loaders on an EFI system partition, most specific first: shim where it stands, then GRUB, then systemd-boot.
LOADERS = (
    'shim{arch}.efi', 'shim.efi', 'grub{arch}.efi', 'grub.efi', 'systemd-boot{arch}.efi', 'bootmgfw.efi',
)  # fmt: skip
ARCHITECTURES = {'x86_64': 'x64', 'aarch64': 'aa64', 'riscv64': 'riscv64'}
# What our entries' names begin with.
LABEL = 'Substruct: '
ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'


@dataclass(frozen=True)
class Entries:
    """`paths` are the entries' labels and device paths by their number, as efibootmgr shows them."""

    order: tuple[str, ...]
    next: str
    paths: dict[str, str]


def parse(text: str) -> Entries:
    """What efibootmgr -v prints."""
    order: tuple[str, ...] = ()
    following = ''
    paths = {}
    for line in text.splitlines():
        if match := re.match(r'BootOrder: ([0-9A-Fa-f,]+)', line):
            order = tuple(match[1].split(','))
        elif match := re.match(r'BootNext: ([0-9A-Fa-f]{4})', line):
            following = match[1]
        elif match := re.match(r'Boot([0-9A-Fa-f]{4})\*? (.*)', line):
            paths[match[1]] = match[2]
    return Entries(order, following, paths)


def has_entry(entries: Entries, partition: str, loader: str) -> bool:
    """Whether an entry starts that loader from that partition (by its GUID)."""
    tail = loader.replace('/', '\\').lower()
    return any(partition.lower() in path.lower() and tail in path.lower() for path in entries.paths.values())


def stale(entries: Entries, there: Collection[str]) -> list[str]:
    """Entries that an earlier installation got from here, for partitions that are on no disk any more (`there` are the
    GUIDs of those that are): the firmware's memory is small, and every new image would leave one in it."""
    found = []
    for number, text in entries.paths.items():
        guid = re.search(r'HD\(\d+,GPT,([0-9a-f-]{36})', text, re.IGNORECASE)
        if text.startswith(LABEL) and guid is not None and guid[1].lower() not in there:
            found.append(number)
    return found


def loader_in(files: Sequence[str], architecture: str) -> str:
    """The loader on an EFI system partition, as a path below it ('' if there is none).  `files` are all that are below
    /EFI there: EFI/debian/shimx64.efi …"""
    short = ARCHITECTURES.get(architecture, 'x64')
    by_name: dict[str, list[str]] = {}
    for path in sorted(files):
        parts = path.split('/')
        if len(parts) >= 3 and parts[1].lower() != 'boot':
            by_name.setdefault(parts[-1].lower(), []).append(path)
    for name in LOADERS:
        if found := by_name.get(name.format(arch=short)):
            return found[0]
    removable = f'boot{short}.efi'
    return next((path for path in sorted(files) if path.lower() == f'efi/boot/{removable}'), '')


def label_of(loader: str) -> str:
    vendor = loader.split('/')[1]
    return f'{LABEL}disk' if vendor.lower() == 'boot' else f'{LABEL}{vendor}'


def add(
    disk: str, number: int, partition: str, esp: Path, architecture: str, there: Collection[str],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """An entry for the loader on the partition, at the end of the order; those of ours for partitions that are not
    `there` go.  Raises ToolError."""
    files = [str(path.relative_to(esp)) for path in esp.glob('[Ee][Ff][Ii]/**/*') if path.is_file()]
    loader = loader_in(files, architecture)
    if not loader:
        say('The EFI system partition of the image has no boot loader for this machine; it may not boot')
        return
    before = parse(run(['efibootmgr', '-v']).output)
    for old in stale(before, {*there, partition.lower()}):
        run(['efibootmgr', '--bootnum', old, '--delete-bootnum'])
        say(f'UEFI had an entry for a disk that is gone: Boot{old}')
        before = parse(run(['efibootmgr', '-v']).output)
    if has_entry(before, partition, loader):
        say(f'UEFI has an entry for {loader} already')
        return
    # Some firmware keeps no entry that is in no order, so it is put into it, and then to its end.
    run(['efibootmgr', '--create', '--disk', disk, '--part', str(number), '--loader', '\\' + loader.replace('/', '\\'),
         '--label', label_of(loader)])  # fmt: skip
    after = parse(run(['efibootmgr', '-v']).output)
    new = [one for one in after.paths if one not in before.paths]
    order = [*before.order, *(one for one in new if one not in before.order)]
    if order and tuple(order) != after.order:
        run(['efibootmgr', '--bootorder', ','.join(order)])
    if before.next and before.next != after.next:
        run(['efibootmgr', '--bootnext', before.next])
    say(f'UEFI has an entry for {loader}, after what it had before')
