"""Programs that check what others read, out of PyPI or of Debian packages that are unpacked here and not installed.

Installed, cloud-init would set up this very machine when it boots next, and netplan its network.
"""

import contextlib
import io
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

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


def debconf(file: Path) -> tuple[int, str, str]:
    """What debconf-set-selections(1) says of a preseed file: its exit code, errors and output.  Skips without it."""
    program = shutil.which('debconf-set-selections')
    if program is None:
        pytest.skip('no debconf here')
    ran = subprocess.run([program, '--checkonly', file], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr, ran.stdout


def ksvalidator(file: Path, version: str) -> tuple[int, str]:
    """Runs pykickstart's own program on a kickstart file; what it finds wrong, in words.  Skips where it is missing."""
    program = Path(sys.executable).with_name('ksvalidator')
    if not program.exists():
        pytest.skip('pykickstart is not installed')
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        # In this process: a fresh one takes longer to start than the program to run.
        code, messages = _ksvalidator(program)['main'](['-v', version, str(file)])
    return code, '\n'.join([said.getvalue().partition(f'{file}\n')[2].strip(), *messages]).strip()


@cache
def _ksvalidator(program: Path) -> dict[str, Any]:
    return runpy.run_path(str(program))
