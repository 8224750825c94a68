"""The programs that make images: whether they are there, and how they are run."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.processes import tail

# Where Debian keeps what only root runs; a user's PATH often lacks it.
PATH = os.pathsep.join(dict.fromkeys([*os.environ.get('PATH', '').split(os.pathsep), '/usr/sbin', '/sbin']))

# program or file → the Debian package that brings it
PACKAGES = {
    'mmdebstrap': 'mmdebstrap',
    'mke2fs': 'e2fsprogs',
    'sgdisk': 'gdisk',
    'mformat': 'mtools',
    'mcopy': 'mtools',
    'grub-mkimage': 'grub-common',
    '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
    '/usr/lib/grub/x86_64-efi/moddep.lst': 'grub-efi-amd64-bin',
    'zstd': 'zstd',
    'fakeroot': 'fakeroot',
    'newuidmap': 'uidmap',
    'dpkg-deb': 'dpkg',
    'apt-get': 'apt',
}


def there(name: str) -> bool:
    return Path(name).exists() if name.startswith('/') else shutil.which(name, path=PATH) is not None


def missing(names: Sequence[str]) -> list[str]:
    """The packages that lack, of those that bring these programs and files."""
    return list(dict.fromkeys(PACKAGES[name] for name in names if not there(name)))


def need(what: str, names: Sequence[str]) -> None:
    if lacking := missing(names):
        raise LabError(
            f'{what} cannot be made: these packages are missing: {" ".join(lacking)}\n'
            f'Install them with:  sudo apt-get install --no-install-recommends {" ".join(lacking)}'
        )


def environment(**more: str) -> dict[str, str]:
    # Tools that translate what they say would not be understood where it is read.
    return {**os.environ, 'PATH': PATH, 'LC_ALL': 'C.UTF-8', **more}


def run(what: str, command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None) -> None:
    """Runs a program to its end, with what it says in a log; a failure shows the end of that."""
    with log.open('ab') as output:
        begins = output.tell()
        done = subprocess.run(
            [str(word) for word in command],
            env=dict(env) if env is not None else environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise LabError(f'{what} failed ({command[0]} ended with {done.returncode}):\n{tail(log, after=begins)}')
