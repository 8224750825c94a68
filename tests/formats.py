"""Programs that check what others read, out of Debian packages that are unpacked here and not installed.

Installed, cloud-init would set up this very machine when it boots next, and netplan its network.
"""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / '.run' / 'test' / 'packages'


@cache
def unpacked(*packages: str) -> Path:
    """The root of a file system with these packages, fetched by apt once.  Skips the test where that is impossible."""
    if not all(shutil.which(program) for program in ('apt-get', 'dpkg-deb')):
        pytest.skip('no apt here')
    target = FOLDER / '+'.join(sorted(packages))
    if not target.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            ran = subprocess.run(
                ['apt-get', 'download', '-q', *packages], cwd=folder, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                pytest.skip(f'apt has not given {", ".join(packages)}: {ran.stderr.strip()[-200:]}')
            for archive in Path(folder).glob('*.deb'):
                subprocess.run(['dpkg-deb', '-x', archive, Path(folder, 'root')], check=True)
            try:
                Path(folder, 'root').rename(target)
            except OSError:
                assert target.is_dir(), 'another process was first'
    return target


def cloud_init(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `cloud-init` with Debian's Python, whose libraries it needs.  Skips the test where they are missing."""
    root = unpacked('cloud-init')
    environment = {**os.environ, 'PYTHONPATH': str(root / 'usr/lib/python3/dist-packages')}
    environment.pop('VIRTUAL_ENV', None)
    ran = subprocess.run(
        ['/usr/bin/python3', '-m', 'cloudinit.cmd.main', *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if 'ModuleNotFoundError' in ran.stderr:
        pytest.skip(f'cloud-init lacks a library: {ran.stderr.strip().splitlines()[-1]}')
    return ran


def netplan(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs netplan's generator on the root folder that holds etc/netplan; it checks every word."""
    root = unpacked('netplan.io', 'libnetplan0')
    (generate,) = root.glob('lib/netplan/generate')
    (library,) = root.glob('usr/lib/*/libnetplan.so.*.*')
    return subprocess.run(
        [root.joinpath('usr/libexec/netplan/generate') if generate.is_symlink() else generate, '--root-dir', folder],
        env={**os.environ, 'LD_LIBRARY_PATH': str(library.parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
