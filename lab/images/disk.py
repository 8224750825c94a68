"""A disk that boots by BIOS and by UEFI, out of a file: GPT, a BIOS boot partition, an EFI system partition, and room
for the root file system.

GRUB's installer wants a mounted disk.  What it does for a disk with a BIOS boot partition is small and is done here:
two addresses are written into its first two stages (GRUB 2.06, util/setup.c and include/grub/i386/pc/boot.h).  Both
cores hold every module that they need, so nothing of GRUB but its configuration stands in the root file system.
"""

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab.images import tools

SECTOR = 512
MIB = 1 << 20
# In MiB from the start of the disk.  The root file system is the last, so that it can be grown.
BIOS_BOOT, ESP, ROOT = 1, 2, 10
# Room for the second GPT at the end.
TAIL = 1 * MIB

# Offsets in boot.img and core.img.
BOOT_KERNEL_SECTOR, BOOT_DRIVE_CHECK, BOOT_PARTITION_TABLE = 0x5C, 0x66, 0x1B8
CORE_BLOCK_LIST = SECTOR - 12
CORE_SEGMENT = 0x820  # 0x800, where GRUB's core is loaded, and the sector that is there already

MODULES = (
    'part_gpt', 'ext2', 'search', 'search_fs_uuid', 'normal', 'configfile', 'linux', 'boot', 'echo', 'serial',
    'terminal', 'test', 'halt', 'reboot', 'ls', 'cat', 'all_video',
)  # fmt: skip

_NAMES = uuid.UUID('5e1f0d3a-6f6e-4b0e-8a3c-6a1f3f6f0b7d')


@dataclass(frozen=True)
class Identity:
    """The names by which a disk and its parts are known; the same for the same recipe."""

    recipe: str

    def of(self, part: str) -> str:
        return str(uuid.uuid5(_NAMES, f'{self.recipe}:{part}'))


def partition(disk: Path, identity: Identity, log: Path) -> None:
    """Make a disk of a file that holds the root file system, and nothing else, where that belongs."""
    root_bytes = disk.stat().st_size - ROOT * MIB
    root_bytes += -root_bytes % MIB
    with disk.open('r+b') as file:
        file.truncate(ROOT * MIB + root_bytes + TAIL)

    def sectors(first_mib: int, end_mib: int) -> str:
        return f'{first_mib * MIB // SECTOR}:{end_mib * MIB // SECTOR - 1}'

    end = ROOT + root_bytes // MIB
    tools.run(
        'making the partition table',
        [
            'sgdisk', '--clear', f'--disk-guid={identity.of("disk")}',
            f'--new=1:{sectors(BIOS_BOOT, ESP)}', '--typecode=1:ef02', '--change-name=1:BIOS boot',
            f'--partition-guid=1:{identity.of("bios")}',
            f'--new=2:{sectors(ESP, ROOT)}', '--typecode=2:ef00', '--change-name=2:EFI system',
            f'--partition-guid=2:{identity.of("efi")}',
            f'--new=3:{sectors(ROOT, end)}', '--typecode=3:8304', '--change-name=3:root',
            f'--partition-guid=3:{identity.of("root")}',
            disk,
        ],
        log,
    )  # fmt: skip


def make_bootable(disk: Path, folder: Path, identity: Identity, log: Path) -> None:
    """Put both boot loaders on the disk; they go on with /boot/grub/grub.cfg of the root file system."""
    early = folder / 'early.cfg'
    early.write_text(
        f'search --no-floppy --fs-uuid --set=root {identity.of("filesystem")}\n'
        'set prefix=($root)/boot/grub\n'
        'configfile $prefix/grub.cfg\n'
    )
    core, efi = folder / 'core.img', folder / 'bootx64.efi'
    for target, output, more in (('i386-pc', core, ('biosdisk',)), ('x86_64-efi', efi, ('efi_gop',))):
        tools.run(
            f'making GRUB for {target}',
            [
                'grub-mkimage', '--format', target, '--directory', f'/usr/lib/grub/{target}', '--config', early,
                '--prefix', '/boot/grub', '--output', output, *MODULES, *more,
            ],
            log,
        )  # fmt: skip
    write_bios_loader(disk, Path('/usr/lib/grub/i386-pc/boot.img').read_bytes(), core.read_bytes())
    write_efi_loader(disk, efi, folder / 'esp.img', log)


def bios_loader(boot: bytes, core: bytes, at: int) -> tuple[bytes, bytes]:
    """GRUB's first stage and core as they are written, the core at the byte `at` of the disk."""
    sector = at // SECTOR
    boot_sector = bytearray(boot)
    struct.pack_into('<Q', boot_sector, BOOT_KERNEL_SECTOR, sector)
    # The jump over the check of the drive number, which some BIOSes give wrongly, is for floppies: two NOPs.
    boot_sector[BOOT_DRIVE_CHECK : BOOT_DRIVE_CHECK + 2] = b'\x90\x90'
    whole = bytearray(core + bytes(-len(core) % SECTOR))
    struct.pack_into('<QHH', whole, CORE_BLOCK_LIST, sector + 1, len(whole) // SECTOR - 1, CORE_SEGMENT)
    return bytes(boot_sector), bytes(whole)


def write_bios_loader(disk: Path, boot: bytes, core: bytes) -> None:
    room = (ESP - BIOS_BOOT) * MIB
    if len(core) > room:
        raise ValueError(f'GRUB for BIOS has {len(core)} bytes, and its partition {room}')
    boot_sector, whole = bios_loader(boot, core, BIOS_BOOT * MIB)
    with disk.open('r+b') as file:
        file.write(boot_sector[:BOOT_PARTITION_TABLE])  # behind it stands the protective partition table
        file.seek(BIOS_BOOT * MIB)
        file.write(whole)


def write_efi_loader(disk: Path, efi: Path, image: Path, log: Path) -> None:
    """The EFI system partition with the loader at the path that firmware looks at without being told."""
    size = (ROOT - ESP) * MIB
    with image.open('wb') as file:
        file.truncate(size)
    tools.run('making the EFI system partition', ['mformat', '-i', image, '-v', 'EFI', '::'], log)
    tools.run('making the EFI system partition', ['mmd', '-i', image, '::/EFI', '::/EFI/BOOT'], log)
    tools.run('making the EFI system partition', ['mcopy', '-i', image, efi, '::/EFI/BOOT/BOOTX64.EFI'], log)
    with disk.open('r+b') as file:
        file.seek(ESP * MIB)
        file.write(image.read_bytes())
