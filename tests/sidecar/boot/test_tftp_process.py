"""The TFTP process: what names stand for beside a desired state, and its workers' lives."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from substruct_sidecar.boot import tftp
from substruct_sidecar.boot.contents import OpenFile
from substruct_sidecar.boot.tftp import Names
from substruct_sidecar.boot.tftp_sockets import listeners
from substruct_sidecar.settings import load

from .serving import BootServer
from .tftp_client import Client, ack

MAC = '02:00:00:00:00:01'
BASE = 'http://10.60.0.1:8080'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    made = BootServer(tmp_path, boot={'base_url': BASE})
    yield made
    made.world.close()
    made.outbox.close()


@pytest.fixture
def names(server: BootServer) -> Iterator[Names]:
    made = Names(server.settings)
    yield made
    made.close()


def content(names: Names, name: str, client: str = '10.60.0.11') -> bytes | None:
    found = names.find(name, client)
    if isinstance(found, OpenFile):
        with os.fdopen(found.descriptor, 'rb') as stream:
            return stream.read()
    return found


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize('name', [f'grub/grub.cfg-{MAC}', '\\grub\\grub.cfg-01-02-00-00-00-00-01'])
def test_grub_gets_the_configuration_of_its_machines_build(server: BootServer, names: Names, name: str) -> None:
    server.building('srv-1', mac=MAC, artifacts={'grub': ('grub.cfg', 'linux @@substruct:base-url@@/kernel\n')})
    server.world.sync()
    assert content(names, name) == f'linux {BASE}/kernel\n'.encode()


def test_grub_of_a_machine_that_boots_its_disk_looks_there(server: BootServer, names: Names) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='local')
    server.world.sync()
    assert b'chainloader' in (content(names, f'grub/grub.cfg-{MAC}') or b'')


def test_pxelinux_gets_its_machines_configuration_and_else_goes_on_to_ipxe(server: BootServer, names: Names) -> None:
    server.building('srv-1', mac=MAC, artifacts={'pxelinux': ('pxelinux.cfg', 'DEFAULT x\n')})
    server.world.sync()
    assert content(names, 'pxelinux.cfg/01-02-00-00-00-00-01') == b'DEFAULT x\n'
    assert content(names, 'pxelinux.cfg/01-02-00-00-00-00-02') is None
    assert content(names, 'pxelinux.cfg/0A3C000B') is None
    assert f'KERNEL {BASE}/loaders/ipxe.lkrn'.encode() in (content(names, 'pxelinux.cfg/default') or b'')


def test_without_any_state_loaders_are_served_all_the_same(tmp_path: Path) -> None:
    (tmp_path / 'loaders').mkdir()
    (tmp_path / 'loaders' / 'own.efi').write_bytes(b'own')
    path = tmp_path / 'sidecar.toml'
    path.write_text(
        f'[netbox]\nurl="http://127.0.0.1:1"\nboot_server="x"\n[paths]\nstate="{tmp_path}/state"\n'
        f'run="{tmp_path}/run"\nloaders="{tmp_path}/loaders"\n[boot]\nbase_url="{BASE}"\n'
    )
    (tmp_path / 'state').mkdir()
    found = Names(load(path, environment={}))
    assert content(found, 'own.efi') == b'own'
    assert content(found, 'grub/grub.cfg') is not None
    assert b'has not reached NetBox' in (content(found, f'grub/grub.cfg-{MAC}') or b'')
    assert found.whose('10.0.0.1', 'own.efi') == ''
    found.close()


def test_boot_files_and_the_prospector_for_loaders_without_http(server: BootServer, names: Names) -> None:
    kernel = server.file(b'a kernel')
    server.local_prospector()
    assert content(names, f'/files/{kernel}') == b'a kernel'
    assert content(names, 'prospector/x86_64/vmlinuz') == b'prospector kernel'
    for name in (f'files/../state.db{"x" * 55}', 'files/.about', 'files/', 'prospector/../state.db', 'state.db'):
        assert content(names, name) is None


def test_machines_are_told_the_url_of_their_own_network(server: BootServer) -> None:
    boot = msgspec.structs.replace(
        server.settings.boot,
        advertise=[msgspec.convert({'prefix': '10.9.0.0/16', 'url': 'http://10.9.0.1'}, tftp_advertise())],
    )
    found = Names(msgspec.structs.replace(server.settings, boot=boot))
    assert b'http://10.9.0.1/boot.ipxe?' in (content(found, 'boot.ipxe', '10.9.1.1') or b'')
    assert f'{BASE}/boot.ipxe?'.encode() in (content(found, 'boot.ipxe', '10.8.1.1') or b'')
    found.close()


def tftp_advertise() -> type[msgspec.Struct]:
    from substruct_sidecar.settings import Advertise

    return Advertise


def test_the_log_knows_whose_request_it_is(server: BootServer, names: Names) -> None:
    server.world.add_subnet('10.60.0.0/24')
    server.world.add_machine('srv-1', mac=MAC, address='10.60.0.11/24', boot='local')
    server.world.add_machine('srv-2', mac='02:00:00:00:00:02', address='10.60.0.12/24', boot='local')
    server.world.sync()
    assert names.whose('10.60.0.12', 'lpxelinux.0') == 'srv-2'
    assert names.whose('10.60.0.99', 'pxelinux.cfg/01-02-00-00-00-00-01') == 'srv-1'
    assert names.whose('10.60.0.99', f'grub/grub.cfg-{MAC}') == 'srv-1'
    assert names.whose('10.60.0.99', 'lpxelinux.0') == ''


# ------------------------------------------------------------------ steps of builds


def test_what_a_machine_under_build_fetches_is_a_step_of_its_build(server: BootServer) -> None:
    srv = server.building(
        'srv-1', mac=MAC, address='10.60.0.11/24', artifacts={'grub': ('grub.cfg', 'linux x\n')}
    )  # fmt: skip
    server.world.sync()
    server.local_prospector()
    (server.loaders / 'snponly.efi').write_bytes(b'a loader')
    told: list[tuple[int, str, str]] = []
    names = Names(server.settings, lambda build, digest, kind, words: told.append((build, kind, words)))
    (kernel,) = server.files.names()
    for client in ('10.60.0.11', '10.60.0.99'):
        for name in ('snponly.efi', 'no.efi', 'autoexec.ipxe', f'files/{kernel}', 'prospector/x86_64/vmlinuz'):
            content(names, name, client)
    assert srv.build is not None
    assert told == [
        (srv.build.id, 'loader-fetched', 'snponly.efi fetched from 10.60.0.11 by TFTP'),
        (srv.build.id, 'kernel-fetched', 'Boot files fetched from 10.60.0.11 by TFTP'),
        (srv.build.id, 'kernel-fetched', 'Boot files fetched from 10.60.0.11 by TFTP'),
    ]
    content(names, f'grub/grub.cfg-{MAC}', '10.60.0.99')
    assert told[-1][1:] == ('script-fetched', 'Boot script fetched from 10.60.0.99 by TFTP')
    server.world.boots(srv, 'local')
    server.world.sync()
    content(names, 'snponly.efi')
    assert len(told) == 4, 'it does not boot its build'
    names.close()


def test_steps_are_kept_once_and_one_that_cannot_be_kept_stops_nothing(server: BootServer) -> None:
    steps = tftp.Steps(server.folder / 'outbox.db', server.run)
    for kind in ('loader-fetched', 'loader-fetched', 'script-fetched'):
        steps.tell(7, 'd' * 64, kind, 'words')
    steps.close()
    assert server.kinds() == ['loader-fetched', 'script-fetched']
    nowhere = tftp.Steps(server.folder / 'nowhere' / 'outbox.db', server.run)
    nowhere.tell(7, 'd' * 64, 'loader-fetched', 'words')
    nowhere.close()


# ------------------------------------------------------------------ the process


def test_a_step_that_a_worker_sees_is_in_the_outbox(tmp_path: Path, server: BootServer) -> None:
    server.building('srv-1', mac=MAC, address='127.0.0.1/8')
    server.world.sync()
    port = free_port()
    made = Process(tmp_path, port)
    try:
        wait_for(lambda: len(made.workers()) == 2 and 'serving' in made.log.read_text())
        fetch(port)
        wait_for(lambda: server.kinds() == ['loader-fetched'])
        assert server.messages()[0].message == 'own.efi fetched from 127.0.0.1 by TFTP'
        assert made.end() == 0
    finally:
        made.process.kill()
        made.process.wait(20)


def test_a_server_in_a_thread_tells_its_numbers_when_it_ends(server: BootServer) -> None:
    server.file(b'a kernel')
    name = next(iter(server.files.names()))
    (mine,) = listeners([('127.0.0.1', 0)])
    stop = threading.Event()
    thread = threading.Thread(target=tftp.run, args=(server.settings, stop, mine))
    thread.start()
    with Client(mine[0].port) as client:
        assert client.fetch(f'files/{name}') == b'a kernel'
    wait_for(lambda: client.socket.fileno() == -1)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    for listener in mine:
        listener.socket.close()
    found = json.loads((server.run / 'tftp.json').read_text())
    assert (found['requests'], found['complete'], found['bytes'], found['active']) == (1, 1, 8, 0)
    assert all(name.isidentifier() and isinstance(value, int) for name, value in found.items())


class Process:
    """`substruct-sidecar process tftp` with two workers on a free port of loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        (folder / 'loaders').mkdir(exist_ok=True)
        (folder / 'loaders' / 'own.efi').write_bytes(bytes(100_000))
        self.run = folder / 'run'
        path = folder / 'sidecar.toml'
        path.write_text(
            f'[netbox]\nurl="http://127.0.0.1:1"\nboot_server="x"\n[paths]\nstate="{folder}/state"\n'
            f'run="{folder}/run"\nloaders="{folder}/loaders"\n[boot]\ntftp=["127.0.0.1:{port}"]\ntftp_workers=2\n'
        )
        self.log = folder / 'log'
        with self.log.open('ab') as sink:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'substruct_sidecar', '--config', str(path), 'process', 'tftp'],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            )  # fmt: skip

    def workers(self) -> list[int]:
        found = Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text()
        return [int(pid) for pid in found.split()]

    def numbers(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.run / 'tftp.json').read_text())
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def free_port() -> int:
    (found,) = listeners([('127.0.0.1', 0)])
    found[0].socket.close()
    return found[0].port


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    made = Process(tmp_path, port)
    wait_for(lambda: len(made.workers()) == 2 and 'serving' in made.log.read_text())
    yield made, port
    made.process.kill()
    made.process.wait(20)


def fetch(port: int) -> None:
    with Client(port) as client:
        assert client.fetch('own.efi', blksize=1468) == bytes(100_000)


def test_two_workers_share_a_port_and_add_up_their_numbers(process: tuple[Process, int]) -> None:
    made, port = process
    for _ in range(12):
        fetch(port)
    assert made.end() == 0
    numbers = made.numbers()
    assert (numbers['requests'], numbers['bytes']) == (12, 1_200_000)
    assert numbers['complete'] + numbers['unconfirmed'] == 12


def test_a_worker_that_is_killed_is_started_again_and_no_client_goes_away_empty(process: tuple[Process, int]) -> None:
    made, port = process
    before = made.workers()
    os.kill(before[0], signal.SIGKILL)
    for _ in range(6):  # some of them wait at the killed worker's port until the next one takes it over
        fetch(port)
    wait_for(lambda: len(set(made.workers()) - set(before)) == 1)
    assert made.process.poll() is None
    assert 'is started again' in made.log.read_text()


def test_a_transfer_under_way_ends_before_the_process_does(process: tuple[Process, int]) -> None:
    made, port = process
    with Client(port) as client:
        client.ask('own.efi', blksize=60_000)
        client.options()
        client.send(ack(0))
        client.hear()
        made.process.send_signal(signal.SIGTERM)
        client.send(ack(1))
        opcode, block, data = client.hear()
        assert (opcode, block, len(data)) == (3, 2, 40_000)
        client.send(ack(2))
    assert made.process.wait(20) == 0


def test_workers_do_not_outlive_their_process_so_that_the_next_one_gets_the_port(
    process: tuple[Process, int], tmp_path: Path
) -> None:
    made, port = process
    workers = made.workers()
    made.process.kill()
    made.process.wait(20)
    wait_for(lambda: not any(Path(f'/proc/{pid}').exists() and not _is_zombie(pid) for pid in workers))
    following = Process(tmp_path, port)
    try:
        wait_for(lambda: len(following.workers()) == 2)
        fetch(port)
    finally:
        assert following.end() == 0


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


def test_a_port_that_is_taken_is_an_error_that_starting_again_does_not_help(tmp_path: Path) -> None:
    (mine,) = listeners([('127.0.0.1', 0)])
    made = Process(tmp_path, mine[0].port)
    assert made.process.wait(20) == tftp.HOPELESS
    assert 'Another TFTP server has the port' in made.log.read_text()
    mine[0].socket.close()
