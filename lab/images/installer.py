"""The Debian installer's kernel and initrd for network boot, out of the package that Debian ships them in.

The package is fetched with apt and unpacked in the cache; it is not installed.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.images import debian, kept, tools
from lab.processes import tail
from lab.progress import Progress

NAME = 'debian-12-installer-amd64'
PACKAGE = 'debian-installer-12-netboot-amd64'
INSIDE = 'usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64'
FILES = {'kernel': 'linux', 'initrd': 'initrd.gz'}


@dataclass(frozen=True)
class Installer:
    kernel: Path
    kernel_sha256: str
    initrd: Path
    initrd_sha256: str


def installer(progress: Progress) -> Installer:
    """Kernel and initrd; fetched when they are not there."""
    found = kept.ensure(NAME, _recipe(), lambda folder: _make(folder, progress), progress)
    about = found.about
    return Installer(
        found.folder / FILES['kernel'], about['kernel_sha256'], found.folder / FILES['initrd'], about['initrd_sha256']
    )


def _recipe() -> dict[str, Any]:
    return {'layout': 1, 'versions': debian.versions((PACKAGE,))}


def _make(folder: Path, progress: Progress) -> Mapping[str, Any]:
    tools.need('the Debian installer', ['apt-get', 'dpkg-deb'])
    installed = Path('/', INSIDE)
    if not all((installed / name).exists() for name in FILES.values()):
        installed = _fetched(folder, progress)
    for name in FILES.values():
        shutil.copyfile(installed / name, folder / name)
    shutil.rmtree(folder / 'package', ignore_errors=True)
    return {f'{role}_sha256': kept.sha256_of(folder / name) for role, name in FILES.items()}


def _fetched(folder: Path, progress: Progress) -> Path:
    package, log = folder / 'package', kept.images_folder() / f'{NAME}.log'
    package.mkdir()
    with log.open('wb') as output, progress.step(f'fetching {PACKAGE} (133 MB)', '5-60 s'):
        done = subprocess.run(
            # apt's own user may not write into a private folder.
            ['apt-get', *(['-o', 'APT::Sandbox::User=root'] if os.geteuid() == 0 else []), 'download', PACKAGE],
            cwd=package, env=tools.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    found = list(package.glob('*.deb'))
    if done.returncode or not found:
        raise LabError(
            f'apt could not fetch {PACKAGE} (a package of Debian 12; it may lack a fresh  apt-get update):\n{tail(log)}'
        )
    tools.run('unpacking the installer', ['dpkg-deb', '--extract', found[0], package / 'tree'], log)
    return package / 'tree' / INSIDE
