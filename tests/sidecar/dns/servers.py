"""Real name servers for tests, on free ports of the loopback, each in a folder of its own; and dig, to look at them.

They are ended by their process; nothing outside the folder is written.
"""

import base64
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SECRET = base64.b64encode(b'a secret of the tests, no other').decode()
KEY = f'hmac-sha256:substruct:{SECRET}'
API_KEY = 'an-api-key'
PATIENCE = 20.0


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f'{program} is not installed')


def free_port() -> int:
    """Free for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(('127.0.0.1', 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port


def until(what: Callable[[], object], words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


def zone_text(zone: str, *records: str) -> str:
    """A zone as an administrator may have made it, with records that are none of Substruct's business."""
    return (
        f'$ORIGIN {zone}.\n$TTL 3600\n@ IN SOA ns1.example.com. hostmaster.example.com. 7 3600 600 604800 300\n'
        '@ IN NS ns1.example.com.\n' + ''.join(f'{record}\n' for record in records)
    )


FOREIGN = ('ns1 A 192.0.2.53', 'old A 192.0.2.99', 'www CNAME old', 'old TXT "by hand"')


class NameServer:
    """A daemon.  `zones` are name → text of the zone."""

    programs: tuple[str, ...] = ()

    def __init__(self, folder: Path, zones: dict[str, str]) -> None:
        need(*self.programs, 'dig')
        self.folder = folder
        folder.mkdir(parents=True)
        self.zones = zones
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.prepare()
        self.start()

    def prepare(self) -> None: ...

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return all(self.soa(zone) for zone in self.zones)

    def start(self) -> None:
        self.log = self.folder / 'log'
        with self.log.open('ab') as stream:
            self.process = subprocess.Popen(self.command(), stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)

        def up() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log.read_text()[-3000:]
            return self.ready()

        try:
            until(up, f'{self.command()[0]} does not answer: {self.log.read_text()[-2000:]}')
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    @property
    def address(self) -> str:
        return f'127.0.0.1:{self.port}'

    def dig(self, name: str, type_: str = 'A', *more: str) -> list[str]:
        """The values in the answer, sorted."""
        done = subprocess.run(
            ['dig', '@127.0.0.1', '-p', str(self.port), '+short', '+norec', '+tries=1', '+time=2', *more, name, type_],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return sorted(line for line in done.stdout.splitlines() if not line.startswith(';'))

    def soa(self, zone: str) -> int:
        """The serial number, 0 if it is not served."""
        found = self.dig(zone, 'SOA')
        return int(found[0].split()[2]) if found else 0

    def everything(self, zone: str) -> set[str]:
        """All records but the SOA, by a transfer with our key."""
        done = subprocess.run(
            ['dig', '@127.0.0.1', '-p', str(self.port), '+onesoa', '+nostats', '+nocmd', '-y', KEY, zone, 'AXFR'],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = (' '.join(line.split()) for line in done.stdout.splitlines() if line and not line.startswith(';'))
        return {line for line in lines if ' SOA ' not in line and ' TSIG ' not in line}

    def update(self, zone: str, *statements: str) -> None:
        """What somebody else does, with nsupdate."""
        script = f'server 127.0.0.1 {self.port}\nzone {zone}\n' + ''.join(f'{s}\n' for s in statements) + 'send\n'
        done = subprocess.run(['nsupdate', '-v', '-y', KEY], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class Bind(NameServer):
    """BIND.  `policy` is the statement that lets updates through; without, zones are loaded from files alone."""

    programs = ('named', 'rndc', 'nsupdate')

    def __init__(self, folder: Path, zones: dict[str, str], policy: str = 'allow-update { key substruct; };') -> None:
        self.policy = policy
        super().__init__(folder, zones)

    def prepare(self) -> None:
        self.control = free_port()
        key = f'algorithm hmac-sha256; secret "{SECRET}";'
        text = f"""
            key substruct {{ {key} }}; key stranger {{ {key} }};
            options {{
                directory "{self.folder}"; pid-file "{self.folder}/named.pid"; session-keyfile none;
                managed-keys-directory "{self.folder}"; listen-on port {self.port} {{ 127.0.0.1; }};
                listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; allow-transfer {{ key substruct; }};
                notify no;
            }};
            controls {{ inet 127.0.0.1 port {self.control} allow {{ 127.0.0.1; }} keys {{ substruct; }}; }};
        """
        for zone, content in self.zones.items():
            path = self.file(zone)
            if content:
                path.write_text(content)
            text += f'zone "{zone}" {{ type primary; file "{path}"; {self.policy} }};\n'
        (self.folder / 'named.conf').write_text(text)
        (self.folder / 'rndc.conf').write_text(
            f'key substruct {{ {key} }};\n'
            f'options {{ default-key substruct; default-server 127.0.0.1; default-port {self.control}; }};\n'
        )

    def file(self, zone: str) -> Path:
        return self.folder / f'{zone.replace("/", "_")}.zone'

    def command(self) -> Sequence[str]:
        return ['named', '-g', '-n', '1', '-c', str(self.folder / 'named.conf')]

    def ready(self) -> bool:
        return 'running' in self.log.read_text()

    @property
    def rndc(self) -> list[str]:
        return ['rndc', '-c', str(self.folder / 'rndc.conf')]


class Knot(NameServer):
    programs = ('knotd', 'nsupdate')

    def prepare(self) -> None:
        (self.folder / 'db').mkdir()
        text = f"""
server:
    rundir: {self.folder}
    listen: 127.0.0.1@{self.port}
database:
    storage: {self.folder}/db
log:
  - target: stderr
    any: info
key:
  - id: substruct
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: ours
    key: substruct
    action: [update, transfer]
template:
  - id: default
    storage: {self.folder}
    semantic-checks: on
    acl: ours
zone:
"""
        for zone, content in self.zones.items():
            (self.folder / f'{zone}.zone').write_text(content)
            text += f'  - domain: {zone}\n    file: {zone}.zone\n'
        (self.folder / 'knot.conf').write_text(text)

    def command(self) -> Sequence[str]:
        return ['knotd', '-c', str(self.folder / 'knot.conf')]


class PowerDnsServer(NameServer):
    """PowerDNS with SQLite, updates and API."""

    programs = ('pdns_server', 'pdnsutil', 'nsupdate', 'sqlite3')

    SCHEMA = Path('/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql')

    def prepare(self) -> None:
        import sqlite3

        self.api = free_port()
        database = self.folder / 'pdns.sqlite3'
        with sqlite3.connect(database) as connection:
            connection.executescript(self.SCHEMA.read_text())
        connection.close()
        (self.folder / 'pdns.conf').write_text(
            f'launch=gsqlite3\ngsqlite3-database={database}\ngsqlite3-pragma-synchronous=0\n'
            f'local-address=127.0.0.1\nlocal-port={self.port}\nsocket-dir={self.folder}\nguardian=no\ndaemon=no\n'
            f'webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={self.api}\napi=yes\napi-key={API_KEY}\n'
            'dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nallow-axfr-ips=\ncache-ttl=0\nquery-cache-ttl=0\n'
            'negquery-cache-ttl=0\nzone-cache-refresh-interval=0\n'
        )
        self.util('import-tsig-key', 'substruct', 'hmac-sha256', SECRET)
        for zone, content in self.zones.items():
            path = self.folder / 'zone.txt'
            path.write_text(content)
            self.util('load-zone', zone, str(path))
            self.util('set-meta', zone, 'TSIG-ALLOW-DNSUPDATE', 'substruct')
            self.util('set-meta', zone, 'TSIG-ALLOW-AXFR', 'substruct')
            self.util('set-meta', zone, 'SOA-EDIT-API', 'INCREASE')

    def util(self, *arguments: str) -> None:
        done = subprocess.run(
            ['pdnsutil', f'--config-dir={self.folder}', *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self) -> Sequence[str]:
        return ['pdns_server', f'--config-dir={self.folder}']

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.api}'


class Nsd(NameServer):
    """NSD, which loads zone files."""

    programs = ('nsd', 'nsd-control', 'nsd-checkzone')

    def prepare(self) -> None:
        text = f"""
server:
    ip-address: 127.0.0.1@{self.port}
    username: ""
    chroot: ""
    zonesdir: "{self.folder}"
    database: ""
    pidfile: "{self.folder}/nsd.pid"
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    server-count: 1
remote-control:
    control-enable: yes
    control-interface: {self.folder}/control
"""
        for zone, content in self.zones.items():
            path = self.file(zone)
            if content:
                path.write_text(content)
            text += f'zone:\n    name: "{zone}"\n    zonefile: "{path}"\n'
        (self.folder / 'nsd.conf').write_text(text)

    def file(self, zone: str) -> Path:
        return self.folder / f'{zone.replace("/", "_")}.zone'

    def command(self) -> Sequence[str]:
        return ['nsd', '-d', '-c', str(self.folder / 'nsd.conf')]

    def ready(self) -> bool:
        return subprocess.run([*self.control, 'status'], capture_output=True, check=False).returncode == 0

    @property
    def control(self) -> list[str]:
        return ['nsd-control', '-c', str(self.folder / 'nsd.conf')]
