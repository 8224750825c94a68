"""The sidecar in the rack: its settings, and how it is run inside the namespace."""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.confined import PATH
from lab.files import write_atomically
from lab.places import short_hash
from lab.processes import Identity, Service
from lab.rack.holder import SERVER
from lab.rack.namespace import Namespace
from lab.rack.seed import BASE_URL, BOOT_SERVER
from lab.rack.servers import Server, quoted

MANAGE, BOOT = '127.0.0.1:8081', f'{SERVER}:8080'


@dataclass(frozen=True)
class Doors:
    """Ports of the host's loopback: NetBox's own, and those that lead to the sidecar, for NetBox and for machines."""

    netbox: int
    manage: int
    boot: int


def write(
    folder: Path, sockets: Path, doors: Doors, token: str, servers: list[Server], prospector: Path, files: Path,
    poll: float,
) -> Path:  # fmt: skip
    """sidecar.toml and what it names.  `sockets` has a short path (unix(7))."""
    for name in ('state', 'secrets'):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (sockets / 'sidecar').mkdir(mode=0o700, exist_ok=True)
    write_atomically(folder / 'token', token)
    settings = folder / 'sidecar.toml'
    write_atomically(
        settings,
        f"""\
[netbox]
url = "http://127.0.0.1:{doors.netbox}"
boot_server = {quoted(BOOT_SERVER)}
token_file = {quoted(folder / 'token')}
poll_interval = {poll}
heartbeat_interval = {poll}
timeout = 15

[paths]
state = {quoted(folder / 'state')}
run = {quoted(sockets / 'sidecar')}
prospector = {quoted(prospector)}

[boot]
http = ["{BOOT}"]
tftp = ["{SERVER}:69"]
base_url = {quoted(BASE_URL)}
local_sources = [{quoted(files)}]
keep_free = 67108864

[manage]
listen = ["{MANAGE}"]
hook_url = "http://127.0.0.1:{doors.manage}/hook"

[secrets]
directory = {quoted(folder / 'secrets')}

{''.join(server.settings for server in servers)}""",
    )
    return settings


def service(settings: Path, namespace: Namespace, doors: Doors, environment: Mapping[str, str]) -> Service:
    """`environment` is what the DHCP server has too, whose configuration the sidecar checks with the same program."""

    def ready(_identity: Identity) -> bool:
        # 503 where it has no state yet: it runs all the same.
        return bool(answer(doors, '/healthz'))

    return Service(
        name='rack-sidecar',
        command=namespace.command([sys.executable, '-m', 'substruct_sidecar', '--config', settings, 'run']),
        environment={**environment, 'PATH': PATH},
        ready=ready,
        signature=short_hash(settings.read_text()),
        patience=40.0,
    )


def answer(doors: Doors, path: str) -> bytes:
    """What the sidecar says on its port for management; b'' if it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f'http://127.0.0.1:{doors.manage}{path}', timeout=5) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        return bytes(error.read())
    except OSError:
        return b''
