"""Where the lab puts its things when the usual place does not do."""

import os
import shutil
import stat
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from lab import confined, postgresql, redis_server, testbed
from lab.errors import LabError
from lab.places import Owner, Places, can_walk_to, database_owner, exclusive, run_folder
from lab.processes import Identity, Supervisor
from lab.stack import Lab

# sun_path of sockaddr_un, unix(7)
LONGEST = 107


def test_sockets_stay_short_however_deep_the_tree_is(tmp_path: Path) -> None:
    for depth in (0, 40, 90, 200):
        places = Places(tmp_path / ('d' * depth) / 'run')
        assert len(os.fsencode(places.database_sockets / '.s.PGSQL.5432.lock')) <= LONGEST
        assert len(os.fsencode(places.redis_socket)) <= LONGEST


def test_two_deep_trees_do_not_share_sockets(tmp_path: Path) -> None:
    one, other = (Places(tmp_path / ('d' * 100) / name) for name in ('one', 'other'))
    assert one.sockets != other.sockets


def test_redis_runs_in_a_deep_tree_and_goes_without_a_trace(reachable_folder: Path) -> None:
    places = Places(reachable_folder / ('d' * 100) / 'run')
    places.make()
    supervisor, service = Supervisor(places), redis_server.service(places, persistent=False)
    supervisor.up(service)
    assert redis_server.answers(places.redis_socket)
    sockets = places.sockets
    supervisor.down(service)
    places.remove()
    assert not sockets.exists()
    assert not places.run.exists()


def test_what_runs_is_ended_also_if_its_folder_was_removed_by_hand(reachable_folder: Path) -> None:
    for deep in ('', 'd' * 100):
        places = Places(reachable_folder / deep / 'gone')
        places.make()
        service = redis_server.service(places, persistent=False)
        Supervisor(places).up(service)
        record = Supervisor(places).record(service.name)
        assert record is not None
        shutil.rmtree(places.run)
        Lab(places).reset()
        assert not record.identity.alive
        assert not places.sockets.exists()
        assert not places.run.exists()


def test_two_test_runs_do_not_share_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SUBSTRUCT_RUN', str(tmp_path / 'run'))
    monkeypatch.setattr('lab.places.can_walk_to', lambda path, owner: True)
    with testbed.own_place('rack') as one:
        with testbed.own_place('rack') as other:
            assert one.run != other.run
        with testbed.own_place('rack') as again:
            assert again.run == other.run
    with testbed.own_place('rack') as again:
        assert again.run == one.run


def test_reset_ends_the_lab_of_a_test_run_that_was_killed_and_none_that_is_at_work(
    reachable_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Places(reachable_folder / 'shared')
    monkeypatch.setenv('SUBSTRUCT_RUN', str(shared.run))
    with testbed.own_place('rack') as places:
        places.make()
        service = redis_server.service(places, persistent=False)
        Supervisor(places).up(service)
        record = Supervisor(places).record(service.name)
        assert record is not None
        with pytest.raises(LabError, match='a test run is at work'):
            testbed.clean(shared)
        assert record.identity.alive
    testbed.clean(shared)
    assert not record.identity.alive
    assert not places.run.exists()


def test_the_next_test_run_ends_what_runs_in_the_folder_of_one_that_was_killed() -> None:
    gone = subprocess.Popen(['true'])
    gone.wait()
    left = testbed.FOLDERS / f'{testbed.FOLDER}-{gone.pid}-1-x'
    left.mkdir(mode=0o711)
    places = Places(left / 'run')
    places.make()
    service = redis_server.service(places, persistent=False)
    Supervisor(places).up(service)
    record = Supervisor(places).record(service.name)
    assert record is not None
    with testbed.own_folder() as own, testbed.own_folder():
        assert not left.exists()
        assert not record.identity.alive
        assert own.exists(), 'that of a run that is at work stays'
    assert not own.exists()


def test_a_folder_that_the_database_user_cannot_enter_is_noticed(tmp_path: Path) -> None:
    closed = tmp_path / 'closed'
    closed.mkdir(mode=0o700)
    stranger = Owner('stranger', 12345, 12345)
    assert not can_walk_to(closed / 'run', stranger)
    assert can_walk_to(closed / 'run', Owner('me', os.geteuid(), os.getegid()))


@pytest.mark.skipif(os.geteuid() != 0, reason='only root runs PostgreSQL as another user')
def test_root_in_a_closed_tree_gets_a_run_folder_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('SUBSTRUCT_RUN', raising=False)
    tree = tmp_path / 'tree'
    tree.mkdir(mode=0o700)
    folder = run_folder(tree)
    assert (tree / '.run').is_symlink()
    assert (tree / '.run').resolve() == folder == run_folder(tree)
    assert can_walk_to(folder.parent, database_owner())


def test_a_lock_on_a_removed_folder_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / 'lock'
    with exclusive(path):
        path.unlink()
        with exclusive(path):
            assert path.exists()


def test_a_process_is_known_by_its_start_not_by_its_number() -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not Identity(me.pid, me.started - 1, me.boot).alive
    assert not Identity(me.pid, me.started, 'another boot').alive


def test_a_running_initdb_gives_a_cluster_without_tcp(reachable_folder: Path) -> None:
    places = Places(reachable_folder / 'cluster')
    places.make()
    cluster, supervisor = postgresql.Cluster(places), Supervisor(places)
    cluster.initialise()
    supervisor.up(cluster.service())
    try:
        assert cluster.query('SHOW listen_addresses') == [('',)]
        assert stat.S_IMODE(places.database_sockets.stat().st_mode) == 0o700
    finally:
        supervisor.down(cluster.service())
        places.remove()


def test_a_cluster_comes_up_after_a_server_that_was_killed_and_that_nobody_has_waited_for(
    reachable_folder: Path,
) -> None:
    places = Places(reachable_folder / 'cluster')
    places.make()
    cluster, supervisor = postgresql.Cluster(places), Supervisor(places)
    cluster.initialise()
    supervisor.up(cluster.service())
    as_owner = {} if os.geteuid() else {'user': cluster.owner.uid}  # PostgreSQL fears only its own user's processes
    zombie = subprocess.Popen(['true'], **as_owner)
    try:
        cluster.query('CREATE TABLE kept ()')
        locks = [places.data / 'postmaster.pid', places.database_sockets / '.s.PGSQL.5432.lock']
        held = {lock: lock.read_text() for lock in locks}
        supervisor.down(cluster.service())
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        for lock, text in held.items():
            lock.write_text(f'{zombie.pid}\n' + text.split('\n', 1)[1])
            lock.chmod(0o600)
            shutil.chown(lock, cluster.owner.uid, cluster.owner.gid)
        supervisor.up(cluster.service())
        assert cluster.query("SELECT to_regclass('kept')::text") == [('kept',)]
    finally:
        zombie.wait()
        supervisor.down(cluster.service())
        places.remove()


def test_another_server_on_its_port_is_not_taken_for_the_lab(tmp_path: Path) -> None:
    class Anybody(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(('127.0.0.1', 0), Anybody)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        lab = Lab(Places(tmp_path))
        (tmp_path / 'port').write_text(str(server.server_port))
        assert lab.answers() == 0
    finally:
        server.shutdown()
        server.server_close()


def test_servers_that_the_kernel_confines_are_run_from_copies_and_no_others(
    reachable_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SUBSTRUCT_CACHE', str(reachable_folder / 'cache'))
    source = tmp_path / 'named'
    source.write_text('#!/bin/sh\necho one\n')
    source.chmod(0o755)
    monkeypatch.setattr(confined, 'PATH', f'{tmp_path}{os.pathsep}{confined.PATH}')
    monkeypatch.setattr(confined, 'is_on', lambda: False)
    assert confined.program('named') == str(source)
    monkeypatch.setattr(confined, 'is_on', lambda: True)
    copy = confined.program('named')
    assert Path(copy).parent == confined.folder() != tmp_path
    assert subprocess.run([copy], capture_output=True, text=True, check=True).stdout == 'one\n'
    source.write_text('#!/bin/sh\necho another\n')
    assert subprocess.run([confined.program('named')], capture_output=True, text=True, check=True).stdout == 'another\n'
    assert confined.program('sh') == shutil.which('sh')
    assert confined.program('no-such') == 'no-such'
