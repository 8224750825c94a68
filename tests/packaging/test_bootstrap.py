"""tools/bootstrap: what it says when it may not install, and that it does nothing when nothing changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups']


@pytest.fixture
def tree(reachable_folder: Path) -> Path:
    """A tree with nothing in it but what bootstrap reads, owned by nobody."""
    tree = reachable_folder / 'tree'
    (tree / 'sidecar').mkdir(parents=True)
    shutil.copytree(TREE / 'tools', tree / 'tools')
    for name in ('pyproject.toml', 'setup.py', 'sidecar/pyproject.toml'):
        shutil.copy(TREE / name, tree / name)
    for path in (tree, *tree.rglob('*')):
        shutil.chown(path, 'nobody', 'nogroup')
    return tree


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which('apt-get'), reason='needs root, to become nobody, and apt')
def test_without_root_the_one_command_to_run_is_said(tree: Path) -> None:
    with (tree / 'tools/system-packages').open('a') as packages:
        packages.write('base | substruct-no-such-package | /nonexistent | a package that is surely missing\n')
    done = subprocess.run(
        [*NOBODY, 'tools/bootstrap'], cwd=tree, env={'PATH': '/usr/bin:/bin', 'HOME': str(tree)}, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode != 0
    commands = [line for line in done.stderr.splitlines() if line.strip().startswith('sudo ')]
    assert len(commands) == 1, done.stderr
    assert 'apt-get install' in commands[0]
    assert 'substruct-no-such-package' in commands[0]


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    """It asks neither apt nor an index: with these variables both would fail."""
    nowhere = dict.fromkeys(('http_proxy', 'https_proxy', 'UV_DEFAULT_INDEX'), 'http://127.0.0.1:9')
    stamp = TREE / '.venv/.bootstrap'
    if not stamp.exists():
        pytest.skip('this environment was not made by tools/bootstrap')
    before = stamp.read_bytes()
    done = subprocess.run([TREE / 'tools/bootstrap'], env={**os.environ, **nowhere}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '==>' not in done.stdout
    assert stamp.read_bytes() == before
