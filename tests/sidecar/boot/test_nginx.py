"""The example of an nginx in front of the boot service, with the real nginx."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecar.boot.serving import BootServer

EXAMPLE = Path(__file__).parents[3] / 'sidecar' / 'examples' / 'nginx.conf'
NGINX = shutil.which('nginx') or shutil.which('nginx', path='/usr/sbin')
CONTENT = bytes(range(256)) * 20_000

pytestmark = pytest.mark.skipif(NGINX is None, reason='nginx is not installed')


@contextlib.contextmanager
def in_front_of(server: BootServer, folder: Path, port: int) -> Iterator[None]:
    """The example with nothing changed but addresses and folders."""
    text = EXAMPLE.read_text()
    for had, now in (
        ('server 127.0.0.1:8080;', f'server 127.0.0.1:{server.ports["boot"]};'),
        ('listen 80 default_server;', f'listen 127.0.0.1:{port};'),
        ('    listen [::]:80 default_server;\n', ''),
        ('/var/lib/substruct/files/', f'{server.folder}/files/'),
    ):
        assert had in text
        text = text.replace(had, now)
    config = folder / 'nginx.conf'
    paths = ''.join(
        f'{name}_temp_path {folder}/{name};\n' for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    )
    config.write_text(
        f'user root;\ndaemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n'
        f'events {{}}\nhttp {{\n{paths}{text}}}\n'
    )
    assert NGINX is not None
    checked = subprocess.run([NGINX, '-t', '-c', config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([NGINX, '-c', config], stderr=subprocess.DEVNULL)
    try:
        own, server.ports['boot'] = server.ports['boot'], port
        deadline = time.monotonic() + 10
        while True:
            try:
                server.get('/healthz')
                break
            except OSError:
                assert time.monotonic() < deadline, (folder / 'error.log').read_text()
                time.sleep(0.02)
        yield
        server.ports['boot'] = own
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def server(tmp_path: Path, free_port: int) -> Iterator[BootServer]:
    boot = {
        'trusted_proxies': ['127.0.0.1/32'], 'accel_redirect': '/substruct-files',
        'base_url': f'http://127.0.0.1:{free_port}',
    }  # fmt: skip
    with BootServer(tmp_path, boot=boot) as made, in_front_of(made, tmp_path, free_port):
        yield made


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


def test_files_come_from_nginx_and_scripts_and_reports_through_it(server: BootServer, free_port: int) -> None:
    srv = server.building('srv-1', mac='02:00:00:00:00:01')
    server.world.sync()
    name = server.file(CONTENT)
    said = server.get(f'/files/{name}')
    assert (said.status, said.body) == (200, CONTENT)
    assert said.headers['server'].startswith('nginx')
    assert said.headers['etag'] != f'"{name}"'  # nginx's own: it sent the file
    part = server.get(f'/files/{name}', {'Range': 'bytes=100-199', 'If-Range': said.headers['etag']})
    assert (part.status, part.body) == (206, CONTENT[100:200])
    assert server.get(f'/files/{name}', {'If-None-Match': said.headers['etag']}).status == 304
    script = server.script(mac='02:00:00:00:00:01').text
    assert f'kernel http://127.0.0.1:{free_port}/files/' in script
    assert srv.build is not None
    assert server.post(f'/build/{srv.build.token}/failed', b'x' * 100_000).status == 200
    assert 'failed' in server.kinds()


def test_nobody_reaches_the_files_past_the_sidecar(server: BootServer) -> None:
    name = server.file(CONTENT)
    assert server.get(f'/substruct-files/{name}').status == 404
    assert server.get('/files/../outbox.db').status in (400, 404)
    assert server.get('/files/' + 'b' * 64).status == 404


def test_what_a_machine_says_of_its_own_address_does_not_count(server: BootServer) -> None:
    server.world.add_subnet('127.0.0.0/8', discovery_enabled=False)
    server.world.add_subnet('10.9.0.0/16', discovery_enabled=True)
    server.world.sync()
    said = server.get('/boot.ipxe?mac=02:00:00:00:00:99', {'X-Forwarded-For': '10.9.9.9'})
    assert 'discovery is off in 127.0.0.0/8' in said.text
