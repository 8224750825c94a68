"""Run folders for labs of the tests' own, away from the lab of the tree."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CommandLine:
    """bin/lab, with a run folder of its own."""

    run: Path

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [TREE / 'bin/lab', *arguments],
            env={**os.environ, 'SUBSTRUCT_RUN': str(self.run)},
            cwd='/',
            text=True,
            capture_output=True,
            timeout=600,
        )
        output = done.stdout + done.stderr
        assert code is None or done.returncode == code, output
        return output


@pytest.fixture(scope='module')
def reachable_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can walk to when root runs the tests; pytest's own are for root alone."""
    folder = Path(tempfile.mkdtemp(prefix='substruct-test-', dir='/var/tmp'))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)
