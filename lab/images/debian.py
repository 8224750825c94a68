"""A small Debian for the lab's machines: boots by BIOS and UEFI, from virtio, NVMe and SATA disks, with cloud-init.

mmdebstrap makes the file system's content, as root or as an ordinary user; mke2fs puts it onto the disk without a
mount.  It is Debian, made quick to write and to boot for machines that are emulated: no documentation, an initrd with
little in it, no timers.  Kernel updates keep booting, for GRUB's configuration names the links that Debian maintains.
"""

import getpass
import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.images import disk, kept, tools
from lab.processes import tail
from lab.progress import Progress

NAME = 'debian-12-amd64'
SUITE = 'bookworm'
ARCHITECTURE = 'amd64'
KEYRING = Path('/usr/share/keyrings/debian-archive-keyring.gpg')
FALLBACK = (
    ('http://deb.debian.org/debian', SUITE),
    ('http://deb.debian.org/debian', f'{SUITE}-updates'),
    ('http://deb.debian.org/debian-security', f'{SUITE}-security'),
)

NEEDED = (
    'mmdebstrap', 'mke2fs', 'sgdisk', 'mformat', 'mcopy', 'grub-mkimage', '/usr/lib/grub/i386-pc/boot.img',
    '/usr/lib/grub/x86_64-efi/moddep.lst', 'zstd',
)  # fmt: skip

PACKAGES = (
    'linux-image-cloud-amd64', 'initramfs-tools', 'zstd', 'systemd-sysv', 'dbus', 'udev', 'systemd-resolved',
    'cloud-init', 'netplan.io', 'cloud-guest-utils', 'e2fsprogs', 'iproute2', 'iputils-ping', 'kmod', 'login', 'sudo',
    'tzdata', 'ca-certificates',
    # Without it, all of Perl comes to merge /usr, which is merged from the start.
    'usr-is-merged',
)  # fmt: skip

# The image is made again when one of these is newer.
WATCHED = ('linux-image-cloud-amd64', 'systemd', 'cloud-init', 'netplan.io', 'libc6', 'grub-pc-bin')

# The disks of QEMU's machines and of clouds; udev finds them by their identifiers.
INITRD_HOOK = """\
#!/bin/sh
case $1 in prereqs) exit 0 ;; esac
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk virtio_scsi sd_mod nvme ahci ata_piix ext4
"""

GRUB = """\
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
echo 'GRUB: Debian from the local disk'
linux /vmlinuz root=UUID={root} ro console=tty0 console=ttyS0,115200 mitigations=off
initrd /initrd.img
boot
"""

# What user-data can ask for stays; what looks for things that are not here (and costs seconds each) goes.
CLOUD = """\
datasource_list: [NoCloud, None]
locale: C.UTF-8
manage_etc_hosts: true
disable_root: false
cloud_init_modules:
  [bootcmd, write-files, growpart, resizefs, disk_setup, mounts, set_hostname, update_hostname, update_etc_hosts,
   ca-certs, users-groups]
cloud_config_modules: [locale, set-passwords, timezone, ntp, runcmd]
cloud_final_modules:
  [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot,
   scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
"""

# What udev would load for emulated hardware that nobody uses: seconds of processor time.
UNUSED_MODULES = (
    'kvm', 'kvm_amd', 'kvm_intel', 'powernow_k8', 'acpi_cpufreq', 'sr_mod', 'sg', 'floppy', 'psmouse', 'pcspkr',
    'parport_pc', 'joydev', 'mousedev', 'bochs', 'cirrus',
)  # fmt: skip

FILES: Mapping[str, str] = {
    'etc/fstab': 'UUID={root} / ext4 errors=remount-ro 0 1\n',
    'etc/hostname': 'debian\n',
    # Empty: made at the first start.  ("uninitialized" would make systemd enable every unit again.)
    'etc/machine-id': '',
    'etc/cloud/cloud.cfg.d/90_substruct_lab.cfg': CLOUD,
    'boot/grub/grub.cfg': GRUB,
    'etc/default/locale': 'LANG=C.UTF-8\n',
    'etc/modprobe.d/substruct-lab.conf': ''.join(f'install {module} /bin/false\n' for module in UNUSED_MODULES),
    'etc/systemd/journald.conf.d/lab.conf': '[Journal]\nStorage=volatile\n',
    # Beside other machines on few processors, the serial port may take longer than the usual minute and a half.
    'etc/systemd/system.conf.d/lab.conf': '[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n',
}

EXCLUDED = (
    '/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/lintian/*',
    '/usr/share/bash-completion/*', '/usr/share/zoneinfo/right/*', '/usr/share/i18n/*',
)  # fmt: skip

MASKED = (
    'apt-daily.timer', 'apt-daily-upgrade.timer', 'e2scrub_all.timer', 'e2scrub_reap.service', 'fstrim.timer',
    'systemd-pstore.service', 'cloud-init-hotplugd.socket', 'modprobe@drm.service', 'modprobe@loop.service',
    'modprobe@fuse.service', 'modprobe@dm_mod.service', 'sys-fs-fuse-connections.mount', 'systemd-binfmt.service',
    'proc-sys-fs-binfmt_misc.automount', 'dev-hugepages.mount', 'sys-kernel-tracing.mount', 'sys-kernel-debug.mount',
)  # fmt: skip


# Of the code that runs: a change of the files meanwhile is another image's.
_CODE = hashlib.sha256(b''.join(Path(module).read_bytes() for module in (__file__, disk.__file__))).hexdigest()


@dataclass(frozen=True)
class DiskImage:
    """A disk image, compressed.  `sha256` is that of the file; sizes in bytes."""

    path: Path
    sha256: str
    size: int
    raw_size: int
    seconds: float


def hosts(field: str, value: str) -> list[tuple[str, str]]:
    """(site, release) of the sources of this machine's apt of which a field of indextargets begins with that word."""
    if not tools.there('apt-get'):
        return []
    done = subprocess.run(
        ['apt-get', 'indextargets', '--format', f'$(SITE)\t$(RELEASE)\t$({field})', 'Created-By: Packages'],
        env=tools.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [(*line.split('\t'), '', '')[:3] for line in done.stdout.splitlines()]
    return [
        (site, release) for site, release, found in rows
        if site.startswith(('http://', 'https://')) and found.partition('-')[0] == value
    ]  # fmt: skip


def sources() -> list[str]:
    """Where this machine's apt has Debian 12 from, in the form of sources.list; else Debian's own servers."""
    found = hosts('CODENAME', SUITE)
    signed = f'[signed-by={KEYRING}] ' if KEYRING.exists() else ''
    return [f'deb {signed}{site} {release} main' for site, release in dict.fromkeys(found or FALLBACK)]


def versions(names: Sequence[str] = WATCHED) -> dict[str, str]:
    """The versions that apt would install here; empty where this is no Debian 12."""
    if not hosts('CODENAME', SUITE):
        return {}
    done = subprocess.run(
        ['apt-cache', 'show', '--no-all-versions', *names],
        env=tools.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found, name = {}, ''
    for line in done.stdout.splitlines():
        word, _, value = line.partition(': ')
        if word == 'Package':
            name = value
        elif word == 'Version':
            found[name] = value
    return found


def recipe() -> dict[str, Any]:
    """All that the image depends on."""
    return {'code': _CODE, 'versions': versions()}


def needed() -> list[str]:
    """The programs that it takes, for tools.need and tools.missing."""
    return [*NEEDED, *([] if os.geteuid() == 0 else ['fakeroot', 'newuidmap'])]


def lacks() -> list[str]:
    """What is missing to make the image here, each with what to do; nothing if it is made already."""
    if kept.is_made(NAME, recipe()):
        return []
    users = _lacks_users()
    return [*(f'the package {name}' for name in tools.missing(needed())), *([users] if users else [])]


def _lacks_users() -> str:
    """Packages are installed as root, or as root of a user namespace of one's own with many users (subuid(5))."""
    if os.geteuid() == 0:
        return ''
    name = getpass.getuser()
    found = []
    for file in ('/etc/subuid', '/etc/subgid'):
        try:
            ranges = Path(file).read_text().splitlines()
        except OSError:
            ranges = []
        if not any(line.partition(':')[0] in (name, str(os.geteuid())) for line in ranges):
            found.append(file)
    if not found:
        return ''
    return (
        f'lines for {name} in {" and ".join(found)}, for users of a namespace in which the disk image is made '
        f'(sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name})'
    )


def disk_image(progress: Progress) -> DiskImage:
    """The image; made when it is not there."""
    wanted = recipe()

    def make(folder: Path) -> Mapping[str, Any]:
        return _make(folder, kept.key(wanted), progress)

    found = kept.ensure(NAME, wanted, make, progress)
    about = found.about
    return DiskImage(found.folder / about['file'], about['sha256'], about['size'], about['raw_size'], about['seconds'])


def _make(folder: Path, key: str, progress: Progress) -> Mapping[str, Any]:
    tools.need('the Debian disk image', needed())
    if lacking := _lacks_users():
        raise LabError(f'the Debian disk image cannot be made: that needs {lacking}')
    begun = time.monotonic()
    identity, log, raw = disk.Identity(key), folder / 'log', folder / 'disk.img'
    try:
        with progress.step('making a Debian 12 for a disk image', '40-60 s'):
            _filesystem(folder, raw, identity, log)
        with progress.step('making it bootable and small', '10-20 s'):
            disk.partition(raw, identity, log)
            disk.make_bootable(raw, folder, identity, log)
            packed = folder / 'debian-12.img.zst'
            tools.run('compressing the image', ['zstd', '-q', '-T0', '-9', raw, '-o', packed], log)
    except BaseException:
        # The folder goes, so its log has to be where it can be looked at.
        shutil.copy(log, kept.images_folder() / f'{NAME}.failed.log')
        raise
    raw_size = raw.stat().st_size
    for left in folder.iterdir():
        if left not in (packed, log):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return {
        'file': packed.name,
        'sha256': kept.sha256_of(packed),
        'size': packed.stat().st_size,
        'raw_size': raw_size,
        'seconds': round(time.monotonic() - begun, 1),
    }


# Reads the file system's content as a tar file; $1 folder, $2 disk, $3 offset in bytes, $4 UUID.  Devices are the
# kernel's (devtmpfs).  The size is what the files take, room for the file system's own, and 32 MiB to begin with.
FILL = """\
set -eu
umask 022
mkdir "$1/tree"
tar --extract --preserve-permissions --numeric-owner --directory "$1/tree" --exclude './dev/*' --file -
cp --recursive --no-dereference --preserve=mode,links "$1/overlay/." "$1/tree/"
used=$(du --summarize --block-size=1M "$1/tree" | cut -f 1)
inodes=$(du --summarize --inodes "$1/tree" | cut -f 1)
size=$((used * 102 / 100 + inodes / 4096 + 16 + 32))
mke2fs -q -t ext4 -L root -U "$4" -b 4096 -i 8192 -m 0 -J size=16 -d "$1/tree" \\
    -E "offset=$3,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" "$2" "${size}M"
"""


def _filesystem(folder: Path, raw: Path, identity: disk.Identity, log: Path) -> None:
    """The file system with all its files, where it belongs in the disk's file."""
    _overlay(folder / 'overlay', identity)
    fill = ['sh', '-c', FILL, 'fill', folder, raw, disk.ROOT * disk.MIB, identity.of('filesystem')]
    with log.open('ab') as output:
        unpack = subprocess.Popen(
            _mmdebstrap(), env=tools.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output
        )
        try:
            done = subprocess.run(
                [*([] if os.geteuid() == 0 else ['fakeroot']), *(str(word) for word in fill)],
                env=tools.environment(), stdin=unpack.stdout, stdout=output, stderr=output, check=False,
            )  # fmt: skip
        finally:
            if unpack.stdout is not None:
                unpack.stdout.close()
            code = unpack.wait()
    if code or done.returncode:
        program = 'mmdebstrap' if code else 'tar, cp or mke2fs'
        raise LabError(f'the Debian disk image could not be made: {program} failed; the end of its log:\n{tail(log)}')


def _mmdebstrap() -> list[str]:
    hook = '/etc/initramfs-tools/hooks/substruct-lab'
    return [
        'mmdebstrap', '--variant=apt', f'--architectures={ARCHITECTURE}', f'--include={",".join(PACKAGES)}',
        '--format=tar', '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
        '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"',
        *(f'--dpkgopt=path-exclude={pattern}' for pattern in EXCLUDED),
        # Before the kernel is installed, whose initrd they shape.
        '--essential-hook=mkdir -p "$1/etc/initramfs-tools/hooks" "$1/etc/initramfs-tools/conf.d"',
        '--essential-hook=echo MODULES=list >"$1/etc/initramfs-tools/conf.d/substruct-lab"',
        f'--essential-hook=printf %s {shlex.quote(INITRD_HOOK)} >"$1{hook}"; chmod 755 "$1{hook}"',
        '--customize-hook=chroot "$1" systemctl --quiet enable systemd-networkd.service',
        SUITE, '-', *sources(),
    ]  # fmt: skip


def _overlay(folder: Path, identity: disk.Identity) -> None:
    """The files that are put over what the packages bring."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace('{root}', identity.of('filesystem')))
    units = folder / 'etc/systemd/system'
    units.mkdir(parents=True, exist_ok=True)
    for unit in MASKED:
        (units / unit).symlink_to('/dev/null')
    # The lab's processes have a private umask; in the image these are files like any others.
    for path in [folder, *folder.rglob('*')]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
