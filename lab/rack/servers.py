"""The DHCP and DNS servers in the rack: their own configuration, how they are started, and what the sidecar is told.

Each is written as an administrator would have it before Substruct comes; the sidecar adds what NetBox says.
"""

import base64
import json
import secrets
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lab import confined
from lab.confined import program
from lab.files import write_atomically
from lab.places import TREE
from lab.processes import Identity, Service
from lab.rack.holder import BRIDGE, SERVER
from lab.rack.namespace import Namespace

type Kind = Literal['kea', 'isc', 'dnsmasq']
KINDS: tuple[Kind, ...] = get_args(Kind.__value__)
DEFAULT: Kind = 'kea'

DOMAIN, REVERSE = 'rack.test', '0.30.172.in-addr.arpa'
KEY = 'substruct'  # the name of the keys for OMAPI and for DNS updates

_OMAPI_PORT = 7911


@dataclass(frozen=True)
class Server:
    """`settings` is a part of sidecar.toml."""

    service: Service
    settings: str


def quoted(value: object) -> str:
    """As TOML has it; JSON's strings and lists are TOML's too."""
    return json.dumps(str(value) if isinstance(value, Path) else value)


def dhcp(kind: Kind, folder: Path, sockets: Path, namespace: Namespace, secret_folder: Path) -> Server:
    """Writes its files and says how it is run.  `sockets` is a folder with a short path (unix(7))."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make = {'kea': _kea, 'isc': _isc, 'dnsmasq': _dnsmasq}[kind]
    return make(folder, sockets, namespace, secret_folder)


def _kea(folder: Path, sockets: Path, namespace: Namespace, _secrets: Path) -> Server:
    private = _sockets_of_kea(sockets)
    private.mkdir(mode=0o700, exist_ok=True)
    control = private / 'kea4'
    base = {
        'Dhcp4': {
            # By its address, for Kea would hear messages twice on an interface with two.
            'interfaces-config': {'interfaces': [f'{BRIDGE}/{SERVER}'], 'dhcp-socket-type': 'raw'},
            'control-socket': {'socket-type': 'unix', 'socket-name': str(control)},
            'lease-database': {
                'type': 'memfile',
                'persist': True,
                'name': str(folder / 'leases4.csv'),
                'lfc-interval': 0,
            },
            'hooks-libraries': [{'library': str(path)} for path in _kea_hooks()],
            'loggers': [{'name': 'kea-dhcp4', 'severity': 'INFO', 'output_options': [{'output': 'stdout'}]}],
        }
    }
    write_atomically(folder / 'base4.json', json.dumps(base, indent=2) + '\n')

    def ready(_identity: Identity) -> bool:
        return _answers_on(control)

    return Server(
        Service(
            name='rack-dhcp',
            command=namespace.command([program('kea-dhcp4'), '-c', folder / 'base4.json']),
            environment={
                **places_of_kea(folder, sockets), 'KEA_PIDFILE_DIR': str(folder), 'KEA_LOCKFILE_DIR': str(folder),
                'KEA_LOGGER_DESTINATION': 'stdout',
            },
            ready=ready,
            patience=20.0,
            # One that was killed has left its id, which may be that of any process now: Kea would not start.
            before=lambda: _remove(folder.glob('*.pid')),
        ),
        f"""\
[dhcp]
backend = "kea"
[dhcp.kea]
socket4 = {quoted(control)}
base4 = {quoted(folder / 'base4.json')}
output4 = {quoted(folder / 'kea-dhcp4.conf')}
binary4 = {quoted(program('kea-dhcp4'))}
""",
    )  # fmt: skip


def _sockets_of_kea(sockets: Path) -> Path:
    return sockets / 'kea'


def places_of_kea(folder: Path, sockets: Path) -> dict[str, str]:
    """The environment of everybody who runs Kea's programs."""
    return confined.kea(_sockets_of_kea(sockets), folder)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _kea_hooks() -> list[Path]:
    """The library that lets a lease be ended; it is part of Kea."""
    return sorted(Path('/usr/lib').glob('*/kea/hooks/libdhcp_lease_cmds.so'))[:1]


def _answers_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _managed(folder: Path, namespace: Namespace, ending: str, words: list[str]) -> Service:
    """A daemon that its sidecar restarts."""

    def ready(identity: Identity) -> bool:
        try:
            return (folder / 'manager.pid').read_text() == str(identity.pid)
        except FileNotFoundError:
            return False

    return Service(
        name='rack-dhcp',
        command=namespace.command([sys.executable, '-m', 'lab.rack.daemon', 'run', folder, ending, *words]),
        environment={'PYTHONPATH': str(TREE)},
        ready=ready,
        patience=20.0,
    )


def _restart(folder: Path) -> str:
    return quoted([sys.executable, '-m', 'lab.rack.daemon', 'restart', str(folder)])


def _isc(folder: Path, _sockets: Path, namespace: Namespace, secret_folder: Path) -> Server:
    key = _secret(secret_folder / 'omapi')
    write_atomically(
        folder / 'dhcpd.conf',
        f"""\
ping-check false;
authoritative;
omapi-port {_OMAPI_PORT};
key "{KEY}" {{ algorithm hmac-sha256; secret "{key}"; }};
omapi-key {KEY};
include "{folder}/substruct/substruct4.conf";
""",
    )
    (folder / 'substruct').mkdir(exist_ok=True)
    (folder / 'leases').touch()
    words = [
        program('dhcpd'), '-4', '-f', '-d', '--no-pid', '-cf', str(folder / 'dhcpd.conf'),
        '-lf', str(folder / 'leases'), BRIDGE,
    ]  # fmt: skip
    return Server(
        _managed(folder, namespace, 'SIGKILL', words),  # it takes two seconds to end by itself; its leases are on disk
        f"""\
[dhcp]
backend = "isc"
[dhcp.isc]
binary = {quoted(program('dhcpd'))}
config4 = {quoted(folder / 'dhcpd.conf')}
directory = {quoted(folder / 'substruct')}
omapi_port = {_OMAPI_PORT}
omapi_key_name = "{KEY}"
omapi_credential = "omapi"
restart4 = {_restart(folder)}
pid_file4 = {quoted(folder / 'daemon.pid')}
restart_interval = 1.0
""",
    )


def _dnsmasq(folder: Path, _sockets: Path, namespace: Namespace, _secrets: Path) -> Server:
    write_atomically(
        folder / 'dnsmasq.conf',
        f"""\
port=0
interface={BRIDGE}
bind-interfaces
user=root
no-ping
dhcp-authoritative
pid-file={folder}/dnsmasq.pid
dhcp-leasefile={folder}/leases
log-facility=-
log-dhcp
conf-dir={folder}/substruct/conf/,*.conf
""",
    )
    (folder / 'substruct' / 'conf').mkdir(parents=True, exist_ok=True)
    words = [program('dnsmasq'), '--keep-in-foreground', '-C', str(folder / 'dnsmasq.conf')]
    return Server(
        _managed(folder, namespace, 'SIGTERM', words),
        f"""\
[dhcp]
backend = "dnsmasq"
[dhcp.dnsmasq]
binary = {quoted(program('dnsmasq'))}
directory = {quoted(folder / 'substruct')}
config = {quoted(folder / 'dnsmasq.conf')}
pid_file = {quoted(folder / 'daemon.pid')}
restart = {_restart(folder)}
restart_interval = 1.0
""",
    )


# ---------------------------------------------------------------------- DNS


def _secret(path: Path) -> str:
    """A key in Base64, made once."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, base64.b64encode(secrets.token_bytes(32)).decode())
    return path.read_text().rpartition(':')[2].strip()


def dns(folder: Path, namespace: Namespace, secret_folder: Path) -> Server:
    """BIND with the rack's two zones, which the holder of the key may update."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = secret_folder / 'tsig'
    key = _secret(path)
    write_atomically(path, f'hmac-sha256:{KEY}:{key}')
    zones = ''
    for zone in (DOMAIN, REVERSE):
        file = folder / f'{zone}.zone'
        if not file.exists():
            file.write_text(
                f'$ORIGIN {zone}.\n$TTL 3600\n@ IN SOA ns.{DOMAIN}. hostmaster.{DOMAIN}. 1 3600 600 604800 300\n'
                f'@ IN NS ns.{DOMAIN}.\n' + (f'ns IN A {SERVER}\n' if zone == DOMAIN else '')
            )
        zones += f'zone "{zone}" {{ type primary; file "{file}"; allow-update {{ key {KEY}; }}; }};\n'
    write_atomically(
        folder / 'named.conf',
        f"""\
key {KEY} {{ algorithm hmac-sha256; secret "{key}"; }};
options {{
    directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile none; managed-keys-directory "{folder}";
    listen-on {{ {SERVER}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no;
    allow-transfer {{ key {KEY}; }}; notify no;
}};
controls {{ }};
{zones}""",
    )

    def ready(identity: Identity) -> bool:
        return ':0035 ' in Path(f'/proc/{identity.pid}/net/tcp').read_text()

    return Server(
        Service(
            name='rack-dns',
            command=namespace.command([program('named'), '-g', '-n', '1', '-c', folder / 'named.conf']),
            ready=ready,
            patience=20.0,
        ),
        f"""\
[dns]
enabled = true
[dns.rfc2136]
server = "{SERVER}:53"
credential = "tsig"
""",
    )
