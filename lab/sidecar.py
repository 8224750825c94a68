"""`bin/lab sidecar`: a sidecar beside the lab's NetBox, on ports of the loopback interface that nobody else has.

It is one of NetBox's boot servers (the first, or one that is made for it) with an account that may do nothing else.  It
serves boot files and scripts and shows on the boot server's page how it is; DHCP and DNS need a network of their own.
"""

import argparse
import json
import socket
import subprocess
import sys
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.accounts import random_text
from lab.errors import LabError
from lab.files import write_atomically
from lab.places import Places, short_hash
from lab.processes import Identity, Service, tail

if TYPE_CHECKING:
    from lab.cli import Commands
    from lab.stack import Lab

HOST = '127.0.0.1'


@dataclass(frozen=True)
class Account:
    """The sidecar's user in NetBox, its token, and the boot server that it is."""

    username: str
    token_key: str
    token_secret: str
    boot_server: str = ''

    @property
    def token(self) -> str:
        return f'nbt_{self.token_key}.{self.token_secret}'


@dataclass(frozen=True)
class Ports:
    http: int
    tftp: int
    manage: int


def folder(places: Places) -> Path:
    return places.run / 'sidecar'


def account_file(places: Places) -> Path:
    return folder(places) / 'account.json'


def kept_account(path: Path) -> Account:
    """The account in that file, made up if it is not there (lengths: users.constants of NetBox)."""
    try:
        return Account(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        made = Account('sidecar', random_text(12), random_text(40))
        write_atomically(path, json.dumps(asdict(made), indent=2) + '\n')
        return made


def ports(places: Places) -> Ports:
    """The ports it had, or free ones."""
    path = folder(places) / 'ports.json'
    try:
        return Ports(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        found = Ports(_free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM), _free(socket.SOCK_STREAM))
        write_atomically(path, json.dumps(asdict(found)) + '\n')
        return found


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def exists(places: Places) -> bool:
    return (folder(places) / 'sidecar.toml').exists()


def service(places: Places) -> Service:
    def ready(_identity: Identity) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f'http://{HOST}:{ports(places).manage}/healthz', timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    settings = folder(places) / 'sidecar.toml'
    return Service(
        name='sidecar',
        command=[sys.executable, '-m', 'substruct_sidecar', '--config', str(settings), 'run'],
        ready=ready,
        signature=short_hash(settings.read_text()) if settings.exists() else '',
        patience=30.0,
    )


def account_of(lab: 'Lab', boot_server: str = '') -> Account:
    """The sidecar's user, made or put right in NetBox, for a boot server (by default the first that there is)."""
    places = lab.places
    folder(places).mkdir(mode=0o700, exist_ok=True)
    kept = kept_account(account_file(places))
    if boot_server:
        write_atomically(
            account_file(places), json.dumps(asdict(replace(kept, boot_server=boot_server)), indent=2) + '\n'
        )
    log = places.logs / 'prepare-sidecar.log'
    with log.open('w') as output, lab.progress.step('an account for the sidecar in NetBox', '3-6 s'):
        done = subprocess.run(
            [sys.executable, '-m', 'lab.prepare', 'sidecar'], env=lab.environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, cwd='/',
        )  # fmt: skip
    if done.returncode:
        raise LabError(f'NetBox could not be prepared for the sidecar; the end of {log}:\n{tail(log)}')
    return kept_account(account_file(places))


def up(lab: 'Lab') -> None:
    _write_settings(lab, account_of(lab))
    lab.start_sidecar()


def _write_settings(lab: 'Lab', account: Account) -> None:
    places, found = lab.places, ports(lab.places)
    place = folder(places)
    write_atomically(place / 'token', account.token)
    write_atomically(
        place / 'sidecar.toml',
        f"""\
[netbox]
url = {json.dumps(lab.url.rstrip('/'))}
boot_server = {json.dumps(account.boot_server)}
token_file = {json.dumps(str(place / 'token'))}
poll_interval = 10

[paths]
state = {json.dumps(str(place / 'state'))}
run = {json.dumps(str(places.sockets / 'sidecar'))}

[boot]
http = ["{HOST}:{found.http}"]
tftp = ["{HOST}:{found.tftp}"]
base_url = "http://{HOST}:{found.http}"

[manage]
listen = ["{HOST}:{found.manage}"]
hook_url = "http://{HOST}:{found.manage}/hook"

[secrets]
directory = {json.dumps(str(place / 'secrets'))}
""",
    )


def where_to_look(lab: 'Lab') -> str:
    found, account = ports(lab.places), kept_account(account_file(lab.places))
    return f"""\
  sidecar     is the boot server {account.boot_server}: {lab.url}plugins/substruct/boot-servers/
              a machine's script: curl 'http://{HOST}:{found.http}/boot.ipxe?mac=<MAC address>'
              how it is: http://{HOST}:{found.manage}/healthz and /metrics; bin/lab sidecar status
"""


def register(commands: 'Commands') -> None:
    command = commands.add_parser(
        'sidecar',
        help='start the sidecar, or run one of its commands (check, plan, status, show …)',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        'arguments', nargs=argparse.REMAINDER, help='up (the default), or a command of substruct-sidecar'
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from lab.stack import Lab

    lab = Lab()
    if not lab.places.settings.exists() or lab.answers() != 200:
        raise LabError('the lab is not up; run  bin/lab up')
    if not arguments.arguments or arguments.arguments == ['up']:
        up(lab)
        print(where_to_look(lab))
        return 0
    if not exists(lab.places):
        raise LabError('there is no sidecar yet; run  bin/lab sidecar up')
    settings = str(folder(lab.places) / 'sidecar.toml')
    return subprocess.run(
        [sys.executable, '-m', 'substruct_sidecar', '--config', settings, *arguments.arguments]
    ).returncode
