"""Every installer of the library for every machine of the matrix: read by the tool that reads it, and kept to be read.

    SUBSTRUCT_SNAPSHOTS=1 .venv/bin/pytest -n 0 tests/plugin/rendering/test_matrix.py

writes the artifacts below snapshots/, and the table of the manual, anew.
"""

import os
from pathlib import Path

import pytest

from .matrix import CELLS, SNAPSHOTS, Cell, table

DOCS = Path(__file__).parents[3] / 'docs'
RENEW = bool(os.environ.get('SUBSTRUCT_SNAPSHOTS'))


@pytest.mark.parametrize('cell', CELLS, ids=lambda cell: f'{cell.family.template}, {cell.release}, {cell.machine}')
def test_the_tool_that_reads_it_takes_it(cell: Cell, tmp_path: Path) -> None:
    bundle = cell.bundle()
    assert not bundle.errors, '\n'.join(map(str, bundle.errors))
    cell.family.check(bundle, cell.family.releases[cell.release], tmp_path)
    if cell.snapshot is None:
        return
    text = bundle.artifacts[0].content
    if RENEW:
        cell.snapshot.parent.mkdir(parents=True, exist_ok=True)
        cell.snapshot.write_text(text)
    assert cell.snapshot.read_text() == text, 'look at what has changed, and write it anew (see above)'


def test_no_snapshot_is_left_of_what_is_no_longer_made() -> None:
    made = {cell.snapshot for cell in CELLS if cell.snapshot}
    for path in SNAPSHOTS.rglob('*.txt'):
        if RENEW and path not in made:
            path.unlink()
        else:
            assert path in made, path


def test_the_manual_claims_what_is_run_here_and_nothing_else() -> None:
    page = DOCS / 'template-matrix.md'
    head, mark, _ = page.read_text().partition('<!-- Made from')
    if RENEW:
        page.write_text(head + table())
    assert mark and page.read_text() == head + table()
