"""The whole of it: the lab's NetBox with its worker, the sidecar as `substruct-sidecar run`, Kea in a namespace, BIND.

The sidecar stands where NetBox is and reaches Kea over its Unix socket; DHCP clients stand in the namespaces.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynetbox

from lab import sidecar as lab_sidecar
from lab.files import write_atomically
from lab.places import private_folder
from lab.stack import Lab, port_is_free
from lab.testbed import own_place
from substruct_sidecar import status as board
from tests.sidecar.dhcp import kea_servers
from tests.sidecar.dhcp.client import Client, Firmware, Link, Relay
from tests.sidecar.dhcp.wire import Answer
from tests.sidecar.dns.servers import KEY, Bind, free_port, zone_text
from tests.sidecar.net import Daemon, Lan, a_lan

HOST = '127.0.0.1'
BOOT_SERVER = 'boot-ber'
FORWARD, REVERSE = 'e2e.example.com', '60.10.in-addr.arpa'
BASE_URL = f'http://{Lan.SERVER4}:8080'  # what machines are told; tests ask the sidecar itself on the loopback


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError):
            if found := condition():
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(0.05)


class Whole:
    """Made by `whole`; everything that runs is ended and removed with it."""

    def __init__(self, lab: Lab, lan: Lan, folder: Path, boot_server: str = BOOT_SERVER, poll: float = 5.0) -> None:
        self.lab, self.lan, self.folder = lab, lan, folder
        self.boot_server, self.poll = boot_server, poll
        self.api = pynetbox.api(lab.url.rstrip('/'), token=lab.accounts.token)
        self.substruct = self.api.plugins.substruct
        self.http, self.tftp, self.manage = free_port(), free_port(), free_port()
        self.state, self.run = folder / 'state', folder / 'run'
        self.sidecar: subprocess.Popen[bytes] | None = None
        self.kea: Daemon | None = None
        self.database: kea_servers.PostgreSql | None = None
        self.named: Bind | None = None
        self._link: Link | None = None

    # ------------------------------------------------------------------ servers

    def start_kea(self) -> None:
        """Kea with what an administrator has written by hand, and hosts in PostgreSQL."""
        self.database = kea_servers.PostgreSql()
        self.database.empty()
        base = {
            'Dhcp4': {
                'interfaces-config': {'interfaces': ['br0'], 'dhcp-socket-type': 'raw'},
                'control-socket': {'socket-type': 'unix', 'socket-name': str(self.folder / 'kea4')},
                'lease-database': {'type': 'memfile', 'persist': False},
                'hosts-database': self.database.words,
            }
        }
        (self.folder / 'base4.json').write_text(json.dumps(base))
        environment = {
            'KEA_PIDFILE_DIR': str(self.folder), 'KEA_LOCKFILE_DIR': str(self.folder),
            'KEA_LOGGER_DESTINATION': 'stdout', **self.database.environment,
        }  # fmt: skip
        self.kea = self.lan.server.start(
            ['kea-dhcp4', '-c', self.folder / 'base4.json'], log=self.folder / 'kea.log', environment=environment
        )
        self.kea.wait_for((self.folder / 'kea4').exists, 'kea-dhcp4 answers')

    def start_named(self) -> None:
        self.named = Bind(
            self.folder / 'named', {FORWARD: zone_text(FORWARD, 'old A 192.0.2.99'), REVERSE: zone_text(REVERSE)}
        )

    # ------------------------------------------------------------------ the sidecar

    def configure(self) -> Path:
        account = lab_sidecar.account_of(self.lab, self.boot_server)
        (self.folder / 'secrets').mkdir(mode=0o700, exist_ok=True)
        (self.folder / 'secrets' / 'tsig').write_text(KEY)
        (self.folder / 'secrets' / 'root-password').write_text('correct horse')
        (self.folder / 'token').write_text(account.token)
        dhcp = (
            f"""
[dhcp]
backend = "kea"
[dhcp.kea]
mode = "database"
socket4 = {json.dumps(str(self.folder / 'kea4'))}
base4 = {json.dumps(str(self.folder / 'base4.json'))}
output4 = {json.dumps(str(self.folder / 'kea4.conf'))}
database_url = {json.dumps(self.database.url)}
"""
            if self.database
            else ''
        )
        dns = (
            f"""
[dns]
enabled = true
[dns.rfc2136]
server = "{self.named.address}"
credential = "tsig"
"""
            if self.named
            else ''
        )
        path = self.folder / 'sidecar.toml'
        path.write_text(
            f"""
[netbox]
url = {json.dumps(self.lab.url.rstrip('/'))}
boot_server = {json.dumps(self.boot_server)}
token_file = {json.dumps(str(self.folder / 'token'))}
poll_interval = {self.poll}
heartbeat_interval = 1
timeout = 10
[paths]
state = {json.dumps(str(self.state))}
run = {json.dumps(str(self.run))}
[boot]
http = ["{HOST}:{self.http}"]
tftp = ["{HOST}:{self.tftp}"]
base_url = "{BASE_URL}"
[manage]
listen = ["{HOST}:{self.manage}"]
hook_url = "http://{HOST}:{self.manage}/hook"
[secrets]
directory = {json.dumps(str(self.folder / 'secrets'))}
[log]
format = "json"
{dhcp}{dns}"""
        )
        return path

    def start_sidecar(self) -> None:
        config = self.configure()
        with (self.folder / 'sidecar.log').open('ab') as log:
            self.sidecar = subprocess.Popen(
                [sys.executable, '-m', 'substruct_sidecar', '--config', str(config), 'run'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

        def answers() -> bool:
            assert self.sidecar is not None
            if self.sidecar.poll() is not None:
                raise RuntimeError(f'the sidecar ended:\n{self.said()[-4000:]}')
            return self.get('/healthz')[0] == 200

        until(answers, 'the sidecar answers')

    def stop_sidecar(self) -> None:
        if self.sidecar is not None:
            self.sidecar.send_signal(signal.SIGTERM)
            try:
                self.sidecar.wait(30)
            except subprocess.TimeoutExpired:
                self.sidecar.kill()
                self.sidecar.wait()
            self.sidecar = None

    def processes(self) -> dict[str, int]:
        """The sidecar's processes by name."""
        assert self.sidecar is not None
        found = {}
        for task in Path(f'/proc/{self.sidecar.pid}/task').iterdir():
            for pid in (task / 'children').read_text().split():
                words = Path(f'/proc/{pid}/cmdline').read_text().split('\0')
                if 'process' in words:  # one that has just ended has no words
                    found[words[words.index('process') + 1]] = int(pid)
        return found

    def kill(self, name: str) -> None:
        """kill -9 one of its processes, and wait until another has taken its place."""
        pid = self.processes()[name]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.processes().get(name, pid) != pid, f'{name} is started again')

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of substruct-sidecar."""
        return subprocess.run(
            [sys.executable, '-m', 'substruct_sidecar', '--config', str(self.folder / 'sidecar.toml'), *arguments],
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip

    def status(self) -> board.Status:
        found = board.read(self.run)
        assert found is not None
        return found

    def settled(self) -> None:
        """Wait until everything that NetBox says now is in every service."""
        since = time.time()

        def done() -> bool:
            found = self.status()
            return (
                (found.netbox.taken or 0) > since
                and found.netbox.state == 'ok'
                and all(service.state in ('ok', 'degraded') for service in found.services)
                and all(service.revision == found.revision for service in found.services if service.name != 'files')
            )

        until(done, f'every service is in step; {self.folder / "sidecar.log"} says more')

    def said(self) -> str:
        path = self.folder / 'sidecar.log'
        return path.read_text('utf-8', 'replace') if path.exists() else ''

    # ------------------------------------------------------------------ what machines do

    def get(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """(status, text) of a request to the boot service, a POST if there is a body."""
        request = urllib.request.Request(f'http://{HOST}:{self.http}{path}', data=body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode('utf-8', 'replace')
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode('utf-8', 'replace')
        except OSError:
            return 0, ''

    def get_manage(self, path: str) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f'http://{HOST}:{self.manage}{path}', timeout=10) as answer:
            return str(answer.read().decode())

    def script(self, mac: str) -> str:
        return self.get(f'/boot.ipxe?mac={mac}')[1]

    def discover(self, mac: str, firmware: Firmware | None = None) -> Answer:
        if self._link is None:
            self._link = Link(self.lan.near)
        client = Client(self._link, mac, firmware) if firmware else Client(self._link, mac)
        return client.discover()

    def discover_from_afar(self, mac: str) -> Answer:
        return Client(Relay(self.lan), mac).discover()

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        self.stop_sidecar()
        if self._link is not None:
            self._link.close()
        if self.kea is not None:
            self.kea.stop()
        if self.named is not None:
            self.named.stop()
        if self.database is not None:
            self.database.close()


def a_quiet_port() -> int:
    while not port_is_free(port := random.randrange(20000, 30000)):
        pass
    return port


@contextlib.contextmanager
def a_lab(name: str) -> Iterator[Lab]:
    """A lab of its own in the run folder, removed at the end."""
    with own_place(name) as places:
        lab = Lab(places)
        lab.reset()  # what a run that was killed has left
        # A port of its own, outside of those that the kernel gives out: stories stop the web server and start it again,
        # and meanwhile nobody else, another lab among them, may take it.
        private_folder(places.run)
        write_atomically(places.run / 'port', str(a_quiet_port()))
        try:
            lab.up()
            yield lab
        finally:
            lab.reset()


@contextlib.contextmanager
def the_whole(lab: Lab, **options: Any) -> Iterator[Whole]:
    """Without its servers started yet; ended and removed at the end."""
    lan = a_lan()
    # Short, because the path of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix='substruct-') as folder:
        found = Whole(lab, lan, Path(folder), **options)
        try:
            yield found
        finally:
            found.close()
            lan.close()
