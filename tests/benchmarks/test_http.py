"""The boot service's HTTP beside nginx: large files to many clients, and small scripts to very many.

Both serve the same bytes on loopback, one after the other, one process each on a core of its own; wrk asks from another
core.  SUBSTRUCT_BENCH_SECONDS sets how long each is measured (10).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sidecar.boot.serving import BootServer

WRK = shutil.which('wrk')
NGINX = shutil.which('nginx') or shutil.which('nginx', path='/usr/sbin')
SECONDS = float(os.environ.get('SUBSTRUCT_BENCH_SECONDS', '10'))
MACHINES = 1000
SIZE = 100 << 20

pytestmark = pytest.mark.skipif(WRK is None or NGINX is None, reason='wrk and nginx are needed (tools/system-packages)')

_LUA = """
local paths, at = {}, 0
init = function(args)
    for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = wrk.format("GET", line) end
end
request = function() at = at % #paths + 1; return paths[at] end
done = function(summary, latency, requests)
    io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.bytes, summary.duration,
        summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


def _on(core: int) -> Callable[[], None]:
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


def _cpu(process: int) -> float:
    """CPU seconds that a process and its children have used."""
    found = 0.0
    for pid in [process, *_children(process)]:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        found += (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
    return found


def _children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f'/proc/{process}/task/{process}/children').read_text().split()]


class Measured:
    def __init__(self, output: str, cpu: float) -> None:
        match = re.search(r'RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)', output)
        assert match is not None, output
        requests, size, duration, self.errors, p50, p99 = map(int, match.groups())
        self.per_second = requests / duration * 1e6
        self.megabytes = size / duration
        self.p50, self.p99 = p50 / 1000, p99 / 1000
        self.cpu_per_gb = cpu / (size / 1e9)
        self.cpu_per_thousand = cpu / max(1, requests) * 1000


def measure(port: int, paths: list[str], connections: int, server: int, folder: Path) -> Measured:
    """Asks for `paths` in turn over so many connections.  Some of it is asked for before, and not counted: the page
    cache, the steps that a build's first script leaves in the outbox."""
    ask(port, paths, connections, server, folder, min(2.0, SECONDS))
    return ask(port, paths, connections, server, folder, SECONDS)


def ask(port: int, paths: list[str], connections: int, server: int, folder: Path, seconds: float) -> Measured:
    (folder / 'wrk.lua').write_text(_LUA)
    (folder / 'paths').write_text('\n'.join(paths) + '\n')
    command = [WRK, '-t1', f'-c{connections}', f'-d{seconds:g}s', '--timeout', '60s', '-s', folder / 'wrk.lua']
    before = _cpu(server)
    ran = subprocess.run(
        [*command, f'http://127.0.0.1:{port}/'], env=os.environ | {'PATHS': str(folder / 'paths')},
        capture_output=True, text=True, check=True, preexec_fn=_on(1),
    )  # fmt: skip
    found = Measured(ran.stdout, _cpu(server) - before)
    assert not found.errors, ran.stdout
    return found


def _answers(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextmanager
def sidecar(server: BootServer) -> Iterator[tuple[int, int]]:
    """The real process: (port, pid)."""
    port = _free_port()
    config = server.folder / 'bench.toml'
    text = (server.folder.parent / 'sidecar.toml').read_text().replace('127.0.0.1:0', f'127.0.0.1:{port}', 1)
    config.write_text(text)
    process = subprocess.Popen(
        [sys.executable, '-m', 'substruct_sidecar', '--config', config, 'process', 'http'],
        stderr=subprocess.DEVNULL, preexec_fn=_on(0),
    )  # fmt: skip
    try:
        _answers(port)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[tuple[int, int]]:
    port = _free_port()
    paths = ''.join(
        f'{name}_temp_path {folder}/{name};\n' for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    )
    (folder / 'nginx.conf').write_text(
        f'user root;\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n'
        f'events {{ worker_connections 4096; }}\nhttp {{\n{paths}access_log off; sendfile on; tcp_nopush on; '
        f'keepalive_requests 1000000; open_file_cache max=10000;\n'
        f'server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}\n}}\n'
    )
    process = subprocess.Popen([NGINX, '-c', folder / 'nginx.conf'], stderr=subprocess.DEVNULL, preexec_fn=_on(0))
    try:
        _answers(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        made.stop()
        yield made
        made.start()


def test_64_clients_of_a_100_mb_file(server: BootServer, tmp_path: Path) -> None:
    name = server.file(os.urandom(1 << 20) * (SIZE >> 20))
    path = f'/files/{name}'
    with nginx(server.folder, tmp_path) as (port, pid):
        peer = measure(port, [path], 64, pid, tmp_path)
    with sidecar(server) as (port, pid):
        ours = measure(port, [path], 64, pid, tmp_path)
    for who, found in (('sidecar', ours), ('nginx', peer)):
        print(f'\n64 clients of 100 MB: {who} {found.megabytes:,.0f} MB/s, {found.cpu_per_gb:.2f} CPU-s/GB', end='')
    print(f'\n{ours.megabytes / peer.megabytes:.2f} of nginx')


def test_scripts_per_second_with_512_connections(server: BootServer, tmp_path: Path) -> None:
    """1,000 machines ask in turn; half of them are under build.  nginx has their scripts as files."""
    root = tmp_path / 'static'
    root.mkdir()
    paths, static = [], []
    first = server.building('srv-0', mac='02:00:00:00:00:00')
    for number in range(1, MACHINES):
        mac = f'02:00:00:00:{number >> 8:02x}:{number & 255:02x}'
        if number % 2:
            machine = server.world.add_machine(f'srv-{number}', mac=mac)
            assert first.build is not None
            build = server.world.build(
                machine, token=f'token-of-number-{number}', boot_image=first.build.boot_image,
                artifacts=first.build.artifacts,
            )  # fmt: skip
            server.world.change(machine, build=build)
        else:
            server.world.add_machine(f'srv-{number}', mac=mac, boot='local')
        paths.append(
            f'/boot.ipxe?mac={mac.replace(":", "-")}&uuid=4c4c4544-0035-3510-8052-{number:012x}&serial=S{number}'
            f'&arch=x86_64&platform=efi'
        )
    server.world.sync()
    server.start()
    for number, path in enumerate(paths):
        (root / f'{number}.ipxe').write_bytes(server.get(path).body)
        static.append(f'/{number}.ipxe')
    server.stop()
    with nginx(root, tmp_path) as (port, pid):
        peer = measure(port, static, 512, pid, tmp_path)
    with sidecar(server) as (port, pid):
        ours = measure(port, paths, 512, pid, tmp_path)
        numbers = {'sidecar': ours, 'nginx': peer}
    for who, found in numbers.items():
        print(
            f'\nscripts, 512 connections: {who} {found.per_second:,.0f}/s, p50 {found.p50:.1f} ms, '
            f'p99 {found.p99:.1f} ms, {found.cpu_per_thousand * 1000:.0f} µs of CPU each',
            end='',
        )
    print(f'\n{ours.per_second / peer.per_second:.2f} of nginx')


def test_scripts_while_the_desired_state_changes(server: BootServer, tmp_path: Path) -> None:
    """The same, but every script is worked out anew each time: what a change of NetBox every moment would cost."""
    paths = [f'/boot.ipxe?mac=02-00-00-00-00-00&serial=S{number}' for number in range(100_000)]
    server.building('srv-0', mac='02:00:00:00:00:00')
    server.world.sync()
    with sidecar(server) as (port, pid):
        ours = measure(port, paths, 512, pid, tmp_path)
    print(f'\nscripts worked out anew: {ours.per_second:,.0f}/s, p99 {ours.p99:.1f} ms')
