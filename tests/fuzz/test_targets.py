"""Every fuzz target for a second, each in a process of its own: that it works, and that no fault is easily found."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('atheris', reason='atheris is not installed')

TREE = Path(__file__).parents[2]
TARGETS = sorted(path.stem for path in Path(__file__).parent.glob('fuzz_*.py'))


@pytest.mark.parametrize('name', TARGETS)
def test_target(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / 'corpus'
    corpus.mkdir()
    done = subprocess.run(
        [sys.executable, '-m', f'tests.fuzz.{name}', '-max_total_time=1', '-seed=1', f'-artifact_prefix={tmp_path}/',
         str(corpus)],
        cwd=TREE, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert 'Done' in done.stderr, 'the fuzzer has run'
