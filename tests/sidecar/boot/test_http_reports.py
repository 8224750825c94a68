"""What machines report of their builds and of themselves: on disk before it is answered, once, and not without end."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from substruct_sidecar.boot import callbacks
from substruct_sidecar.boot.recorder import Recorder
from substruct_sidecar.claims import token_key
from substruct_sidecar.desired import Machine
from substruct_sidecar.outbox import Message, Outbox
from tests.sidecar.boot.serving import BootServer, at

MAC = '02:00:00:00:00:01'
FACTS = '{"identity": {"macs": ["02:aa:bb:cc:dd:ee"]}, "x": 1}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        yield made


@pytest.fixture
def srv(server: BootServer) -> Machine:
    made = server.building('srv-1', mac=MAC)
    server.world.sync()
    return made


# ---------------------------------------------------------------------- callbacks


@pytest.mark.parametrize(('callback', 'kind'), [('done', 'finished'), ('failed', 'failed')])
def test_the_end_of_a_build_is_kept_once_with_its_log(
    server: BootServer, srv: Machine, callback: str, kind: str
) -> None:
    for _ in range(3):
        assert server.post(at(srv, callback), 'disk /dev/sda: no space\nline 2\n').text == 'ok\n'
    (message,) = server.messages()
    assert srv.build is not None
    assert (message.type, message.kind, message.build) == ('event', kind, srv.build.id)
    assert message.log == 'disk /dev/sda: no space\nline 2\n'
    assert server.outbox.outcome(token_key(srv.build.token)) == callback


def test_what_cloud_init_phones_home_is_read_as_lines(server: BootServer, srv: Machine) -> None:
    form = 'pub_key_ed25519=ssh-ed25519+AAAAC3Nz%2Bx+root%40srv-1%0A&instance_id=substruct-build-7&hostname=srv-1&fqdn='
    headers = {'Content-Type': 'application/x-www-form-urlencoded'}
    assert server.post(at(srv, 'done'), form, headers).status == 200
    (message,) = server.messages()
    assert message.log == (
        'pub_key_ed25519: ssh-ed25519 AAAAC3Nz+x root@srv-1\ninstance_id: substruct-build-7\nhostname: srv-1\nfqdn: \n'
    )


@pytest.mark.parametrize('body', ['instance_id=1&rm=all', 'all%20well', 'instance_id=1&&', 'a=b&c', 'x' * 10])
def test_any_other_text_stays_as_it_is_whatever_wget_calls_it(server: BootServer, srv: Machine, body: str) -> None:
    server.post(at(srv, 'done'), body, {'Content-Type': 'application/x-www-form-urlencoded'})
    assert server.messages()[0].log == body


def test_the_first_outcome_stands(server: BootServer, srv: Machine) -> None:
    server.post(at(srv, 'done'))
    assert server.post(at(srv, 'failed'), 'late').status == 200
    assert server.kinds() == ['finished']


def test_reports_after_the_end_are_answered_well_even_when_netbox_has_taken_the_build_away(
    server: BootServer, srv: Machine
) -> None:
    server.post(at(srv, 'done'))
    assert server.post(at(srv, 'log'), 'last words').status == 200
    server.world.change(srv, build=None)
    server.world.boots(srv, 'local')
    server.world.sync()
    for callback in ('done', 'failed', 'progress', 'log'):
        assert server.post(at(srv, callback), 'again').status == 200
    assert server.kinds() == ['finished', 'note']


def test_an_installer_that_can_only_get_may_end_its_build_so(server: BootServer, srv: Machine) -> None:
    assert server.ask('HEAD', at(srv, 'done')).status == 404
    assert server.messages() == []
    assert server.get(at(srv, 'progress?message=50%25+%C3%BCber')).status == 200
    assert server.get(at(srv, 'failed?message=no%20disk')).status == 200
    progress, failed = server.messages()
    assert (progress.message, progress.progress) == ('50% über', 50)
    assert failed.message.endswith(': no disk')


@pytest.mark.parametrize(
    ('body', 'line', 'percent'),
    [
        (b'40% packages', '40% packages', 40), (b' 7.5 % x', '7.5 % x', 7), (b'\n\nlate line\nmore', 'late line', None),
        (b'', 'Progress', None), (b'\xff\xfe\x00bad', '\ufffd\ufffd\ufffdbad', None), (b'900%', '900%', 100),
        ('\u202egnirts\x1b[31m'.encode(), 'gnirts [31m', None), (b'x' * 5000, 'x' * 199 + '…', None),
    ],
)  # fmt: skip
def test_progress_is_one_line_and_perhaps_a_number(
    server: BootServer, srv: Machine, body: bytes, line: str, percent: int | None
) -> None:
    assert server.post(at(srv, 'progress'), body).status == 200
    (message,) = server.messages()
    assert (message.kind, message.message, message.progress) == ('progress', line, percent)


def test_a_machine_that_begins_anew_or_says_that_it_still_works_is_heard_again(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise NetBox would hear nothing of it, and take its build for stalled."""
    for line in ('10% writing', '10% writing', '20% writing', '10% writing', 'still here', 'still here'):
        assert server.post(at(srv, 'progress'), line).status == 200
    # The second percentage gave way to the third, and what was said twice in a row is one.
    assert [one.message for one in server.messages()] == ['10% writing', '10% writing', 'still here']
    monkeypatch.setattr('substruct_sidecar.boot.build_routes.REPEATED', 0.0)
    server.post(at(srv, 'progress'), 'still here')
    assert [one.message for one in server.messages()][2:] == ['still here', 'still here']


def test_of_a_long_log_the_end_is_kept(server: BootServer, srv: Machine) -> None:
    log = b''.join(b'line %07d\n' % number for number in range(200_000))
    assert len(log) > 2 * callbacks.LOG
    assert server.post(at(srv, 'failed'), log).status == 200
    (message,) = server.messages()
    assert message.log.startswith('(the beginning was left out)\nline ')
    assert message.log.endswith('line 0199999\n')
    assert len(message.log) <= callbacks.LOG + 40


def test_a_build_ends_however_long_its_log_is(server: BootServer, srv: Machine) -> None:
    assert server.post(at(srv, 'done'), b'verbose\n' * (9 << 20)).status == 200
    assert server.kinds() == ['finished']
    assert server.messages()[0].log.endswith('verbose\n')


def test_a_log_that_comes_slowly_is_waited_for_as_long_as_it_comes(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('substruct_sidecar.boot.front.PATIENCE', 4.0)

    def say(pieces: list[bytes], total: int) -> bytes:
        with socket.create_connection(('127.0.0.1', server.ports['boot'])) as end:
            end.sendall(f'POST {at(srv, "log")} HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n'.encode())
            for piece in pieces:
                end.sendall(piece)
                time.sleep(1.2)
            end.settimeout(20)
            return end.recv(4096)

    assert b' 200 ' in say([b'line\n'] * 4, 20)
    assert b' 408 ' in say([b'line\n'], 20), 'but not for ever'


def test_of_a_long_log_that_is_one_line_the_end_is_kept_too(server: BootServer, srv: Machine) -> None:
    """Programs that draw how far they are send no line breaks."""
    log = b''.join(b'\r%7d bytes' % number for number in range(200_000))
    assert server.post(at(srv, 'log'), log).status == 200
    (message,) = server.messages()
    assert message.log.endswith('\r 199999 bytes')
    assert len(message.log) > 1_000_000


def test_a_failure_with_a_long_log_says_what_stands_at_its_end(server: BootServer, srv: Machine) -> None:
    assert server.post(at(srv, 'failed'), b'packages\n' * 200_000 + b'dpkg: no space\n\n').status == 200
    assert server.messages()[0].message == 'Reported failed from 127.0.0.1: dpkg: no space'


@pytest.mark.parametrize('body', [b'\x00\xff\xfe', '\ud800'.encode('utf-8', 'surrogatepass'), b'\x80' * 100, b'\r\n'])
def test_no_log_is_too_broken_to_be_kept(server: BootServer, srv: Machine, body: bytes) -> None:
    assert server.post(at(srv, 'log'), body).status == 200
    (message,) = server.messages()
    assert '\0' not in message.log
    json.dumps(message.log).encode()


def test_a_build_that_reports_without_end_is_stopped_but_may_end(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('substruct_sidecar.boot.build_routes.REPORTS', 3)
    assert [server.post(at(srv, 'progress'), f'step {n}').status for n in range(5)] == [200, 200, 200, 429, 429]
    assert server.post(at(srv, 'done')).status == 200


def test_of_a_build_that_sends_logs_without_end_so_many_are_kept_and_it_may_end(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('substruct_sidecar.boot.build_routes.LOGS', 2500)
    assert [server.post(at(srv, 'log'), f'{n}' * 1000).status for n in range(4)] == [200, 200, 429, 429]
    assert server.post(at(srv, 'progress'), 'still here').status == 200
    assert server.post(at(srv, 'failed'), 'x' * 5000).status == 200
    assert server.kinds() == ['note', 'note', 'progress', 'failed']


def test_the_last_room_on_the_disk_is_for_the_end_of_builds(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    for path, body in ((at(srv, 'progress'), '10%'), (at(srv, 'log'), 'x'), ('/facts', FACTS)):
        said = server.post(path, body)
        assert (said.status, said.headers['retry-after']) == (503, '5')
        assert 'nearly full' in said.text
    assert server.post(at(srv, 'finishing')).status == 200
    assert server.post(at(srv, 'done'), 'x' * 100_000).status == 200
    assert server.kinds() == ['finishing', 'finished']


def test_what_cannot_be_kept_is_not_answered_as_if_it_were(
    server: BootServer, srv: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise sqlite3.OperationalError('database or disk is full')

    with monkeypatch.context() as patched:
        for name in ('put_all', 'put_end', 'put_once'):
            patched.setattr(Outbox, name, full)
        assert server.post(at(srv, 'done')).status == 503
        assert server.post(at(srv, 'progress'), 'x').status == 503
        assert server.script(mac=MAC).status == 503  # its step cannot be kept; iPXE asks again
    assert 'token=' in server.script(mac=MAC).text
    assert server.post(at(srv, 'done')).status == 200


# ---------------------------------------------------------------------- facts


def test_facts_are_kept_with_the_machine_they_are_of(server: BootServer, srv: Machine) -> None:
    body = {
        'source': 'prospector', 'format_version': 1, 'data': {'cpu': 'x\0y', 'n': 10**30},
        'identity': {'macs': ['02-00-00-00-00-01', 'nonsense', 7], 'serial': 'To be filled by O.E.M.', 'uuid': None},
    }  # fmt: skip
    for _ in range(2):
        assert server.post('/facts', json.dumps(body)).status == 200
    (message,) = server.messages()
    assert (message.type, message.machine, message.source) == ('facts', srv.id, 'prospector')
    assert message.identity == {'uuid': None, 'serial': None, 'macs': [MAC]}
    assert message.data == {'cpu': 'x\ufffdy', 'n': str(10**30)}


def test_facts_of_nobody_known_are_kept_too(server: BootServer) -> None:
    assert server.post('/facts', b'{"identity": {"macs": ["02:aa:bb:cc:dd:ee"]}, "x": 1}').status == 200
    (message,) = server.messages()
    assert message.machine is None
    assert message.data['x'] == 1


@pytest.mark.parametrize(
    'identity',
    [
        {'macs': [MAC], 'uuid': '4c4c4544-0035-3510-8052-b4c04f4a3133'},
        {'macs': ['02:00:00:00:00:0b'], 'uuid': '4c4c4544-0035-3510-8052-b4c04f4a3132'},
        {'macs': [MAC, '02:00:00:00:00:0b']}, {'macs': ['02:00:00:00:00:0b'], 'serial': 'A1'},
    ],
)  # fmt: skip
def test_facts_that_contradict_themselves_are_given_to_no_machine_here(
    server: BootServer, identity: dict[str, object]
) -> None:
    """NetBox looks for itself, and shows the contradiction."""
    server.world.add_machine('a', mac=MAC, uuid='4c4c4544-0035-3510-8052-b4c04f4a3132', serial='A1')
    server.world.add_machine('b', mac='02:00:00:00:00:0b')
    server.world.sync()
    assert server.post('/facts', json.dumps({'identity': identity})).status == 200
    (message,) = server.messages()
    assert message.machine is None


@pytest.mark.parametrize(
    'body', [b'', b'nonsense', b'[]', b'"x"', b'{}', b'{"identity": {"macs": ["x"]}}', b'[' * 100_000, b'{"a":' * 5000]
)
def test_what_are_no_facts_is_refused_in_words(server: BootServer, body: bytes) -> None:
    said = server.post('/facts', body)
    assert said.status == 400
    assert len(said.text) > 10
    assert server.messages() == []


@pytest.mark.parametrize(
    ('sent', 'said'),
    [
        (b'POST /facts HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde', b' 400 '),
        (b'POST /facts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n', b' 400 '),
        (b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: x\r\n\r\n', b' 400 '),
        (b'\x16\x03\x01 no HTTP at all\r\n\r\n', b' 400 '),
    ],
    ids=['no gzip', 'no chunk', 'too long', 'no HTTP'],
)  # fmt: skip
def test_what_is_no_http_is_refused_without_filling_the_log(
    server: BootServer, sent: bytes, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(('127.0.0.1', server.ports['boot'])) as end:
        end.settimeout(20)
        end.sendall(sent)
        assert said in end.recv(4096)
    assert [record for record in caplog.records if record.exc_info] == []


def test_nobody_fills_the_outbox_with_facts(server: BootServer, srv: Machine) -> None:
    """Whoever is on the boot network may report facts of machines that there are not."""
    filling = 'x' * 3_900_000
    said = [
        server.post('/facts', json.dumps({'identity': {'macs': [f'02:00:00:00:09:{n:02x}']}, 'data': {'x': filling}}))
        for n in range(20)
    ]
    assert {one.status for one in said} == {200, 429}
    assert said[0].status == 200 and said[-1].status == 429
    assert 1 <= int(said[-1].headers['retry-after']) <= 20
    assert sum(len(json.dumps(one.data)) for one in server.messages()) < 50_000_000
    assert server.post(at(srv, 'done')).status == 200


def test_a_rack_that_tells_its_facts_through_one_address_is_heard(server: BootServer) -> None:
    said = [
        server.post('/facts', json.dumps({'identity': {'macs': [f'02:00:00:00:09:{n:02x}']}, 'data': {'n': n}})).status
        for n in range(200)
    ]
    assert said == [200] * 200


def test_too_many_facts_are_refused(server: BootServer) -> None:
    said = server.post('/facts', b'x' * (callbacks.FACTS + 1))
    assert (said.status, said.text) == (413, 'At most 4194304 bytes are taken.\n')


# ---------------------------------------------------------------------- kill -9


def test_whatever_was_answered_is_on_disk_after_kill_9(tmp_path: Path) -> None:
    """The real process; machines report from several sides; it is killed in the middle of it."""
    with BootServer(tmp_path) as server:
        machines = [server.building(f'srv-{n}', mac=f'02:00:00:00:01:{n:02x}') for n in range(30)]
        server.world.sync()
        server.stop()
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        config = tmp_path / 'real.toml'
        config.write_text((tmp_path / 'sidecar.toml').read_text().replace('127.0.0.1:0', f'127.0.0.1:{port}', 1))
        process = subprocess.Popen(
            [sys.executable, '-m', 'substruct_sidecar', '--config', str(config), 'process', 'http'],
            stderr=subprocess.PIPE,
        )
        server.ports['boot'] = port
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                server.get('/healthz')
                break
            except OSError:
                time.sleep(0.05)
        answered = []
        for number, machine in enumerate(machines):
            try:
                if server.post(at(machine, 'done')).status == 200:
                    answered.append(machine)
            except OSError:
                continue
            if number == 14:
                os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        assert process.stderr is not None
        process.stderr.close()
        assert 15 <= len(answered) < 30
        server.start()
        after = Outbox(server.folder / 'outbox.db')
        ended = after.finished()
        after.close()
        for machine in machines:
            assert machine.build is not None
            done = token_key(machine.build.token) in ended
            assert done or machine not in answered
            mac = machine.interfaces[0].macs[0]
            assert ('token=' in server.script(mac=mac).text) is not done


def test_a_rack_that_reports_at_once_is_heard_as_a_whole(server: BootServer) -> None:
    machines = [server.building(f'srv-{n}', mac=f'02:00:00:00:02:{n:02x}') for n in range(40)]
    server.world.sync()
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda machine: server.post(at(machine, 'progress'), machine.name).status, machines))
        assert said == [200] * 40
        said = list(pool.map(lambda machine: server.post(at(machine, 'done')).status, machines * 2))
        assert said == [200] * 80
    assert sorted(server.kinds()) == ['finished'] * 40 + ['progress'] * 40


def test_a_message_that_cannot_be_kept_costs_no_other(tmp_path: Path) -> None:
    async def put_three() -> list[object]:
        recorder = Recorder(tmp_path / 'outbox.db', tmp_path)
        bad = Message(key='bad', type='event', time=0.0, data={'x': object()})
        good = [Message(key=key, type='event', time=0.0) for key in 'ab']
        found = await asyncio.gather(*map(recorder.put, (good[0], bad, good[1])), return_exceptions=True)
        recorder.close()
        return list(found)

    first, bad, second = asyncio.run(put_three())
    assert (first, second) == (True, True)
    assert isinstance(bad, TypeError)


def test_nobody_waits_for_ever_when_there_is_no_descriptor_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rack that is switched on takes all; then the agent cannot be woken, and what was said is kept all the same."""

    async def put() -> bool:
        recorder = Recorder(tmp_path / 'outbox.db', tmp_path)
        try:
            with monkeypatch.context() as patched:
                patched.setattr(socket, 'socket', _none_left)
                return await asyncio.wait_for(recorder.put(Message(key='a', type='event', time=0.0)), 10)
        finally:
            recorder.close()

    assert asyncio.run(put())
    outbox = Outbox(tmp_path / 'outbox.db')
    assert [waiting.message.key for waiting in outbox.waiting()] == ['a']
    outbox.close()


def test_nobody_waits_for_ever_whatever_fails_while_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def put() -> None:
        recorder = Recorder(tmp_path / 'outbox.db', tmp_path)
        monkeypatch.setattr('substruct_sidecar.wake.send', _none_left)
        try:
            await asyncio.wait_for(recorder.put(Message(key='a', type='event', time=0.0)), 10)
        finally:
            recorder.close()

    with pytest.raises(OSError, match='too many'):
        asyncio.run(put())


def _none_left(*_: object) -> None:
    raise OSError(errno.EMFILE, 'too many open files')
