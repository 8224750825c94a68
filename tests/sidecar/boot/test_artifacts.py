"""Artifacts are kept by their content, for as long as a build refers to them, where the sidecar alone can read them."""

import hashlib
import os
from pathlib import Path

import pytest

from substruct_sidecar.boot import problems
from substruct_sidecar.boot.artifacts import KEEP, ArtifactError, ArtifactStore, missing
from substruct_sidecar.boot.problems import STANDS, Problems
from substruct_sidecar.plan import Problem
from tests.sidecar.world import World, artifact


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / 'artifacts')


def test_what_builds_need_and_is_not_here_is_missing(store: ArtifactStore, world: World) -> None:
    world.add_machine('idle', boot='local', mac='02:00:00:00:00:09')
    for name, content in (('srv-1', b'one'), ('srv-2', b'two'), ('srv-3', b'one')):
        machine = world.add_machine(name)
        made = [artifact(machine.id, 'preseed', 'preseed.cfg', sha256(content))]
        world.change(machine, build=world.build(machine, artifacts=made))
    with world.view() as view:
        assert {digest for _, digest in missing(view, store)} == {sha256(b'one'), sha256(b'two')}
        store.put(sha256(b'one'), b'one')
        assert [digest for _, digest in missing(view, store)] == [sha256(b'two')]


def test_nobody_else_can_read_them(store: ArtifactStore) -> None:
    store.put(sha256(b'x'), b'x')
    assert store.folder.stat().st_mode & 0o077 == 0
    assert (store.folder / sha256(b'x')).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('name', [sha256(b'other'), '../state.db', 'x', sha256(b'x').upper(), ''])
def test_what_was_not_announced_is_not_kept(store: ArtifactStore, name: str) -> None:
    with pytest.raises(ArtifactError):
        store.put(name, b'x')
    assert list(store.folder.iterdir()) == []
    assert store.read(name) is None


def test_a_disk_that_takes_nothing_is_told(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('substruct_sidecar.boot.artifacts.write_atomically', full)
    with pytest.raises(ArtifactError, match='No space left'):
        store.put(sha256(b'x'), b'x')


def test_what_no_build_refers_to_goes_after_a_while(store: ArtifactStore, world: World) -> None:
    machine = world.add_machine('srv-1')
    world.change(machine, build=world.build(machine, artifacts=[artifact(1, 'preseed', 'preseed.cfg', sha256(b'a'))]))
    for content in (b'a', b'b'):
        store.put(sha256(content), content)
    (store.folder / '.half.new').write_bytes(b'cut short')
    with world.view() as view:
        assert store.tidy(view) == 0
        for path in store.folder.iterdir():
            os.utime(path, (0, 0))
        assert store.tidy(view, now=KEEP + 1) == 2
    assert [path.name for path in store.folder.iterdir()] == [sha256(b'a')]


def test_bytes_that_are_no_text_come_back_as_they_were(store: ArtifactStore) -> None:
    content = b'\xff\x00\xfe text'
    store.put(sha256(content), content)
    read = store.read(sha256(content))
    assert read is not None
    assert read.encode('utf-8', 'surrogateescape') == content


def test_problems_stand_while_they_are_met_and_reach_the_agent(tmp_path: Path) -> None:
    now = [1000.0]
    met = Problems(tmp_path / problems.HTTP, clock=lambda: now[0])
    problem = Problem('http', 'machine', 7, 'srv-7', 'It waits.', 'Wait.')
    assert met.met(problem)
    assert not met.met(problem)
    met.write()
    assert problems.read(tmp_path / problems.HTTP) == [problem]
    now[0] += STANDS + 1
    met.write()
    assert problems.read(tmp_path / problems.HTTP) == []
    assert problems.read(tmp_path / 'none.json') == []
