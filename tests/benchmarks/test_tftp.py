"""A thousand TFTP clients at once, beside tftpd-hpa and dnsmasq, all in one private network namespace and one run.

The load is a C program (tftp_load.c), the same for every server: each client has its own address, acknowledges as
firmware does, compares every byte and asks again after a second of silence.  The servers take turns; the middle of
their times counts.  The kernel here may have no netem, so losses happen in the load, in both directions and by a fixed
seed.  SUBSTRUCT_BENCH=200 measures with fewer clients.
"""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.conftest import Report, sizes
from tests.sidecar import net

SIZE = 1 << 20
BLKSIZE = 1468
PORT = 69
LIMIT = 300
ROUNDS = int(os.environ.get('SUBSTRUCT_BENCH_ROUNDS', '3'))

PEERS = {
    'tftpd-hpa': 'in.tftpd',
    'dnsmasq': 'dnsmasq',
}


@dataclass(frozen=True)
class Result:
    """Seconds until the last client had the file; `cpu` are the server's seconds, None where they are not known."""

    complete: int
    failed: int
    wrong: int
    seconds: float
    p50: float
    p99: float
    received: int
    sent: int
    cpu: float | None = None

    def __str__(self) -> str:
        cpu = f', CPU {self.cpu:.1f} s' if self.cpu is not None else ''
        failed = f', {self.failed} FAILED' if self.failed or self.wrong else ''
        return f'{self.seconds:.2f} s{cpu}{failed}'


class Range:
    """The namespace, the file and the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / 'root'
        self.root.mkdir(mode=0o755)
        self.file = self.root / 'file'
        self.file.write_bytes(os.urandom(SIZE))
        self.load = folder / 'tftp_load'
        source = Path(__file__).with_name('tftp_load.c')
        subprocess.run(['gcc', '-O2', '-Wall', '-Werror', '-o', self.load, source], check=True)
        self.namespace = net.Namespace('tftp')
        # in.tftpd resolves nothing where there is only loopback (AI_ADDRCONFIG).
        self.namespace.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
        self.namespace.ip('address', 'add', '192.0.2.1/24', 'dev', 'v0')
        for link in ('v0', 'v1'):
            self.namespace.ip('link', 'set', link, 'up')

    def command(self, server: str, clients: int) -> list[str]:
        if server == 'tftpd-hpa':
            return [
                'in.tftpd',
                '--foreground',
                '--address',
                f'127.0.0.1:{PORT}',
                '-u',
                'root',
                '--secure',
                str(self.root),
            ]
        if server == 'dnsmasq':
            return [
                'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--port=0',
                '--enable-tftp', f'--tftp-root={self.root}', f'--tftp-max={2 * clients}',
                f'--log-facility={self.folder / "dnsmasq.log"}',
            ]  # fmt: skip
        settings = self.folder / 'sidecar.toml'
        settings.write_text(
            f'[netbox]\nurl="http://127.0.0.1:1"\nboot_server="x"\n[paths]\nstate="{self.folder}/state"\n'
            f'run="{self.folder}/run"\nloaders="{self.root}"\n[boot]\ntftp=["127.0.0.1:{PORT}"]\n'
        )
        return [sys.executable, '-m', 'substruct_sidecar', '--config', str(settings), 'process', 'tftp']

    def measure(self, server: str, clients: int, window: int, loss: float) -> Result:
        before = _children()
        daemon = self.namespace.start(self.command(server, clients), log=self.folder / f'{server}.log')
        try:
            daemon.wait_for(self._answers, f'{server} answers')
            done = self.namespace.run(
                [self.load, '127.0.0.1', str(PORT), 'file', self.file, str(clients), str(BLKSIZE), str(window),
                 str(loss), str(LIMIT)], timeout=LIMIT + 30,
            )  # fmt: skip
            load = _children() - before
        finally:
            daemon.stop()
        # in.tftpd's own children are not counted by the kernel where nobody waits for them.
        cpu = None if server == 'tftpd-hpa' else _children() - before - load
        return Result(**json.loads(done.stdout), cpu=cpu)

    def _answers(self) -> bool:
        with self.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.3)
            probe.sendto(b'\0\1nothing\0octet\0', ('127.0.0.1', PORT))
            try:
                return probe.recv(100)[:2] == b'\0\5'
            except OSError:
                return False

    def close(self) -> None:
        self.namespace.close()


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    if reason := net.missing():
        pytest.skip(reason)
    if missing := [program for program in ('gcc', *PEERS.values()) if shutil.which(program) is None]:
        pytest.skip(f'not installed: {", ".join(missing)}')
    net.sweep()
    folder = tmp_path_factory.mktemp('tftp')
    for above in (folder, folder.parent):
        above.chmod(0o755)
    made = Range(folder)
    yield made
    made.close()


@pytest.mark.parametrize('clients', sizes((1000,)))
@pytest.mark.parametrize(
    ('window', 'loss', 'peers'),
    [(1, 0.0, ('dnsmasq', 'tftpd-hpa')), (1, 0.05, ('dnsmasq',)), (8, 0.0, ()), (8, 0.05, ())],
    ids=['lock step', 'lock step, 5 % lost', 'window of 8', 'window of 8, 5 % lost'],
)  # fmt: skip
def test_many_clients_at_once(
    place: Range, report: Report, clients: int, window: int, loss: float, peers: tuple[str, ...]
) -> None:
    """The peers know no windows: what a window gains is seen beside lock step."""
    found: dict[str, list[Result]] = {}
    for _ in range(ROUNDS if not loss else 1):
        for server in ('substruct', *peers):
            found.setdefault(server, []).append(place.measure(server, clients, window, loss))
    middle = {
        server: sorted(results, key=lambda result: result.seconds)[len(results) // 2]
        for server, results in found.items()
    }
    ours = middle.pop('substruct')
    lost = f', {loss:.0%} lost' if loss else ''
    best = min((result.seconds for result in middle.values() if not result.failed), default=None)
    report.add(
        f'TFTP, {clients:,} clients of 1 MB, window {window}{lost}',
        str(ours),
        '; '.join(f'{server} {result}' for server, result in middle.items()) or 'no peer has windows',
        f'{ours.seconds / best:.2f} of the better one’s time (aim: at most 1)' if best else '',
    )
    for results in found['substruct']:
        assert (results.complete, results.failed, results.wrong) == (clients, 0, 0)
