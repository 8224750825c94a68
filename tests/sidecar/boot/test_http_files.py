"""Files over HTTP: whole, in parts, conditional; and nothing but what is in the store."""

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecar.boot.serving import BootServer

CONTENT = bytes(range(256)) * 20_000  # 5 MB: more than a socket buffer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        yield made


@pytest.fixture
def name(server: BootServer) -> str:
    return server.file(CONTENT)


def test_a_file_is_served_whole_with_its_sha256_as_etag(server: BootServer, name: str) -> None:
    said = server.get(f'/files/{name}')
    assert (said.status, said.body) == (200, CONTENT)
    assert said.headers['etag'] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert said.headers['content-length'] == str(len(CONTENT))
    assert said.headers['accept-ranges'] == 'bytes'
    assert said.headers['content-type'] == 'application/octet-stream'


def test_head_tells_the_same_without_the_file(server: BootServer, name: str) -> None:
    said = server.ask('HEAD', f'/files/{name}')
    assert (said.status, said.body, said.headers['content-length']) == (200, b'', str(len(CONTENT)))


def test_parts_of_a_file_together_are_the_file(server: BootServer, name: str) -> None:
    parts = []
    for start in range(0, len(CONTENT), 2_000_000):
        said = server.get(f'/files/{name}', {'Range': f'bytes={start}-{start + 1_999_999}'})
        assert said.status == 206
        end = min(start + 1_999_999, len(CONTENT) - 1)
        assert said.headers['content-range'] == f'bytes {start}-{end}/{len(CONTENT)}'
        parts.append(said.body)
    assert b''.join(parts) == CONTENT


def test_beyond_the_end_there_is_nothing(server: BootServer, name: str) -> None:
    said = server.get(f'/files/{name}', {'Range': f'bytes={len(CONTENT)}-'})
    assert (said.status, said.headers['content-range'], said.body) == (416, f'bytes */{len(CONTENT)}', b'')


def test_several_ranges_at_once_get_the_whole_file(server: BootServer, name: str) -> None:
    said = server.get(f'/files/{name}', {'Range': 'bytes=0-1,5-6'})
    assert (said.status, len(said.body)) == (200, len(CONTENT))


def test_a_file_that_is_known_is_not_sent_again(server: BootServer, name: str) -> None:
    said = server.get(f'/files/{name}', {'If-None-Match': f'"{name}"'})
    assert (said.status, said.body) == (304, b'')
    assert 'content-length' not in said.headers
    date = server.get(f'/files/{name}').headers['last-modified']
    assert server.get(f'/files/{name}', {'If-Modified-Since': date}).status == 304


def test_half_of_an_old_file_is_not_joined_to_half_of_a_new_one(server: BootServer) -> None:
    by_url = f'url-{"a" * 64}'
    server.file(b'old' * 1000, by_url)
    first = server.get(f'/files/{by_url}', {'Range': 'bytes=0-99'})
    server.file(b'new' * 1000, by_url)
    resumed = server.get(f'/files/{by_url}', {'Range': 'bytes=100-', 'If-Range': first.headers['etag']})
    assert (resumed.status, resumed.body) == (200, b'new' * 1000)
    again = server.get(f'/files/{by_url}', {'Range': 'bytes=100-', 'If-Range': resumed.headers['etag']})
    assert (again.status, again.body) == (206, (b'new' * 1000)[100:])


def test_a_connection_is_used_for_many_files(server: BootServer, name: str) -> None:
    connection = http.client.HTTPConnection('127.0.0.1', server.ports['boot'], timeout=20)
    for _ in range(3):
        connection.request('GET', f'/files/{name}')
        assert connection.getresponse().read() == CONTENT
        connection.request('GET', '/files/none')
        assert connection.getresponse().read() == b'not found\n'
    connection.close()


def test_a_client_that_resets_its_connection_harms_nobody(server: BootServer, name: str) -> None:
    for _ in range(5):
        rude = socket.create_connection(('127.0.0.1', server.ports['boot']))
        rude.sendall(f'GET /files/{name} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        rude.recv(1000)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        rude.close()
    assert server.get(f'/files/{name}').body == CONTENT


def test_neither_idle_connections_nor_slow_clients_hold_up_the_end(
    server: BootServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    monkeypatch.setattr('substruct_sidecar.boot.http.LINGER', 0.3)
    server.start()
    idle = [socket.create_connection(('127.0.0.1', server.ports['boot'])) for _ in range(3)]
    idle[0].sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    assert idle[0].recv(100)
    idle[1].sendall(b'GET /heal')
    slow = socket.create_connection(('127.0.0.1', server.ports['boot']))
    slow.sendall(f'GET /files/{name} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    assert slow.recv(100)
    server.stop()
    server.start()
    assert server.get(f'/files/{name}').body == CONTENT
    for one in (*idle, slow):
        one.close()


@pytest.mark.parametrize(
    'path',
    [
        '/files/../outbox.db', '/files/..%2foutbox.db', '/files/%2e%2e/outbox.db', '/files//etc/passwd', '/files/',
        '/files/%00', '/files/.about', '/files/.partial', '/files/' + 'A' * 64, '/files/' + 'a' * 64 + '%0a',
        '/prospector/../state.db/vmlinuz', '/prospector/x86_64/..%2f..%2foutbox.db', '/prospector/%2e%2e/vmlinuz',
        '/loaders/../../etc/passwd', '/loaders/..%2fpasswd', '/loaders/.hidden', '/loaders/%2fetc%2fpasswd',
        '/outbox.db', '/../etc/passwd', '//etc/passwd',
    ],
)  # fmt: skip
def test_nothing_else_can_be_read(server: BootServer, name: str, path: str) -> None:
    said = server.get(path)
    assert said.status in (404, 403), said
    assert b'root:' not in said.body
    assert b'SQLite' not in said.body


def test_the_prospector_is_served_from_its_own_folder(server: BootServer) -> None:
    server.local_prospector()
    assert server.get('/prospector/x86_64/vmlinuz').body == b'prospector kernel'
    assert server.get('/prospector/x86_64/initrd.img').body == b'prospector initrd'
    assert server.get('/prospector/aarch64/vmlinuz').status == 404


def test_loaders_are_served_and_what_leads_them_here(server: BootServer) -> None:
    (server.loaders / 'my.efi').write_bytes(b'a loader')
    said = server.get('/loaders/my.efi')
    assert (said.status, said.body) == (200, b'a loader')
    assert server.get('/loaders/my.efi', {'If-None-Match': said.headers['etag']}).status == 304
    assert (
        'chain --replace --autofree http://10.60.0.1:8080/boot.ipxe?mac=' in server.get('/loaders/autoexec.ipxe').text
    )
    assert server.get('/loaders/no.efi').status == 404


# ---------------------------------------------------------------------- where machines reach it


def test_the_host_header_decides_nothing(server: BootServer) -> None:
    server.building('srv-1', mac='02:00:00:00:00:01')
    server.world.sync()
    said = server.get('/boot.ipxe?mac=02:00:00:00:00:01', {'Host': 'evil.example', 'X-Forwarded-Host': 'evil.example'})
    assert 'evil.example' not in said.text
    assert 'http://10.60.0.1:8080/files/' in said.text


def test_on_a_multi_homed_host_each_machine_gets_the_url_of_its_side(tmp_path: Path) -> None:
    advertise = [
        {'prefix': '10.1.0.0/16', 'url': 'http://10.1.0.2:8080'}, {'prefix': '10.1.7.0/24', 'url': 'http://10.1.7.2'},
        {'prefix': '2001:db8::/32', 'url': 'http://[2001:db8::2]:8080/'},
    ]  # fmt: skip
    with BootServer(tmp_path, boot={'advertise': advertise, 'trusted_proxies': ['127.0.0.0/8']}) as server:
        server.building('srv-1', mac='02:00:00:00:00:01')
        server.world.sync()
        for client, url in (
            ('10.1.3.3', 'http://10.1.0.2:8080/files/'), ('10.1.7.9', 'http://10.1.7.2/files/'),
            ('2001:db8::77', 'http://[2001:db8::2]:8080/files/'), ('192.0.2.1', 'http://10.60.0.1:8080/files/'),
        ):  # fmt: skip
            said = server.get('/boot.ipxe?mac=02:00:00:00:00:01', {'X-Forwarded-For': client})
            assert url in said.text, client


def test_whom_nobody_trusts_is_not_believed_about_addresses(tmp_path: Path) -> None:
    advertise = [{'prefix': '10.1.0.0/16', 'url': 'http://10.1.0.2:8080'}]
    with BootServer(
        tmp_path, boot={'advertise': advertise, 'accel_redirect': '/x', 'trusted_proxies': ['192.0.2.0/24']}
    ) as server:
        server.building('srv-1', mac='02:00:00:00:00:01')
        server.world.sync()
        said = server.get('/boot.ipxe?mac=02:00:00:00:00:01', {'X-Forwarded-For': '10.1.3.3'})
        assert 'http://10.60.0.1:8080/files/' in said.text
        # Whoever comes past the proxy gets the file itself.
        (kernel,) = server.files.names()
        assert server.get(f'/files/{kernel}').body == b'a kernel'


# ---------------------------------------------------------------------- how it is


def test_health_is_told_on_both_listeners(server: BootServer) -> None:
    for at in ('boot', 'manage'):
        said = server.get('/healthz', at=at)
        found = json.loads(said.body)
        assert said.status == 200
        assert found['status'] == 'degraded'
        assert found['revision'] == 1 or found['revision'] == 0
        assert found['messages'] == ['The agent is not running: nothing changes until it is.']
    assert server.get('/metrics').status == 404
    assert server.post('/hook').status == 404


def test_the_numbers_are_there_for_prometheus(server: BootServer, name: str) -> None:
    server.building('srv-1', mac='02:00:00:00:00:01')
    server.world.sync()
    server.script(mac='02:00:00:00:00:01')
    server.get(f'/files/{name}')
    server.get('/build/wrong/preseed.cfg')
    (server.run / 'tftp.json').write_text('{"transfers": 7, "name": "x"}')
    text = server.get('/metrics', at='manage').text
    for line in (
        'substruct_http_requests_total{kind="script",status="200"} 1.0', 'substruct_token_misses_total 1.0',
        'substruct_boot_scripts_total{action="build"} 1.0', 'substruct_file_bytes_total 5.12e+06',
        '# TYPE substruct_outbox_waiting gauge', 'substruct_agent_up 0.0', 'substruct_tftp_transfers 7.0',
        'substruct_http_request_seconds_count{kind="file"} 1.0',
    ):  # fmt: skip
        assert line in text, line


def test_problems_are_left_where_the_agent_finds_them(server: BootServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.stop()
    monkeypatch.setattr('substruct_sidecar.boot.http.REPORT', 0.05)
    server.building('srv-1', mac='02:00:00:00:00:01', artifacts={'preseed': ('preseed.cfg', '@@substruct:secret:x@@')})
    server.building('srv-2', mac='02:00:00:00:00:01')
    server.world.sync()
    server.start()
    server.script(mac='02:00:00:00:00:01')

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = json.loads((server.run / 'http.json').read_bytes()) if (server.run / 'http.json').exists() else {}
        if found.get('problems'):
            break
        time.sleep(0.02)
    (problem,) = found['problems']
    assert (problem['what'], problem['name']) == ('machine', 'srv-1')
    assert 'belongs to several machines in NetBox: srv-1, srv-2' in problem['message']
