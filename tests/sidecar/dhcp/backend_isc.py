"""The real ISC dhcpd, one for DHCPv4 and one for DHCPv6, with main files written by hand that include Substruct's."""

import base64
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from substruct_sidecar.dhcp.isc import IscService, build
from substruct_sidecar.ledger import Book, Ledger
from substruct_sidecar.plan import Plan
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dhcp, Isc, Settings
from substruct_sidecar.state import View
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC, Backend, Capability, settings
from tests.sidecar.net import Lan, lives, run

BINARY = shutil.which('dhcpd', path='/usr/sbin:/usr/bin:/sbin:/bin') or 'dhcpd'
PORT = 7911
SECRET = base64.b64encode(b'not a secret, for it is in a test').decode()

MAIN4 = """# by hand; "quoted", and with an umlaut: ü
ping-check false;
omapi-port {port};
key "substruct" {{
  algorithm {algorithm};
  secret "{secret}";
}};
omapi-key substruct;
option domain-name "by-hand.example";
host by-hand {{
  hardware ethernet {mac};
  fixed-address {address};
}}
include "{folder}/substruct/substruct4.conf";
"""

MAIN6 = """# by hand; "quoted", and with an umlaut: ü
include "{folder}/substruct/substruct6.conf";
"""

# Ends it and starts it again, as a service manager does: dhcpd goes into the background when it has read everything.
# It is killed, for it takes two seconds to end by itself; its leases are on disk before it answers.
RESTART = """#!/bin/sh
echo restart >> {folder}/restarts{version}
if [ -s {folder}/dhcpd{version}.pid ]; then
  pid=$(cat {folder}/dhcpd{version}.pid)
  kill -9 $pid 2>/dev/null
  # Where nobody collects the ended at once, they are still there, as zombies.
  while grep -qs '^State:.[^Z]' /proc/$pid/status; do sleep 0.01; done
  rm {folder}/dhcpd{version}.pid
fi
touch {folder}/leases{version}
exec {binary} -{version} -cf {folder}/dhcpd{version}.conf -lf {folder}/leases{version} \\
  -pf {folder}/dhcpd{version}.pid br0
"""


class IscBackend(Backend):
    name = 'isc'
    binaries = ('dhcpd',)
    lacks: ClassVar[Mapping[Capability, str]] = {'any-duid': r'DUID', 'duid-changes': r'DUID'}
    omapi: ClassVar[bool] = True
    v6: ClassVar[bool] = True
    algorithm: str = 'hmac-sha256'

    service: IscService

    def __init__(self, lan: Lan, folder: Path) -> None:
        super().__init__(lan, folder)
        self.directory = folder / 'substruct'
        self._book: Book | None = None

    def start(self, view: View) -> Plan:
        self.prepare()
        return self.apply(view)

    def prepare(self) -> None:
        """Everything but the daemons themselves."""
        self.directory.mkdir(exist_ok=True)
        (self.folder / 'secrets').mkdir(exist_ok=True)
        (self.folder / 'secrets' / 'omapi').write_text(SECRET + '\n')
        values = {
            'folder': self.folder, 'port': PORT, 'algorithm': self.algorithm, 'secret': SECRET, 'binary': BINARY,
            'mac': HAND_WRITTEN_MAC, 'address': HAND_WRITTEN_ADDRESS,
        }  # fmt: skip
        (self.folder / 'dhcpd4.conf').write_text(MAIN4.format(**values))
        (self.folder / 'dhcpd6.conf').write_text(MAIN6.format(**values))
        for version in self.versions:
            command = self.folder / f'restart{version}.sh'
            command.write_text(RESTART.format(version=version, **values))
            command.chmod(0o755)
        self.restart_service()

    def restart_service(self) -> None:
        if self._book is not None:
            self._book.close()
        self._book = Book(self.folder / 'ledger.sqlite')
        self.service = build(self.settings_with(), self.secrets, self.ledger())

    @property
    def versions(self) -> tuple[int, ...]:
        return (4, 6) if self.v6 else (4,)

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.folder / 'secrets', {})

    def ledger(self) -> Ledger:
        assert self._book is not None
        return self._book.of('dhcp isc')

    def settings_with(self, **values: Any) -> Settings:
        """The sidecar's settings, with other values for dhcpd where some are given."""
        found: dict[str, Any] = {
            'binary': BINARY, 'config4': str(self.folder / 'dhcpd4.conf'),
            'config6': str(self.folder / 'dhcpd6.conf') if self.v6 else '',
            'directory': str(self.directory), 'omapi_port': PORT if self.omapi else 0, 'omapi_key_name': 'substruct',
            'omapi_credential': 'omapi', 'omapi_algorithm': self.algorithm, 'restart_interval': 0.0,
            'restart4': [str(self.folder / 'restart4.sh')], 'restart6': [str(self.folder / 'restart6.sh')],
            'pid_file4': str(self.folder / 'dhcpd4.pid'), 'pid_file6': str(self.folder / 'dhcpd6.pid'), **values,
        }  # fmt: skip
        return settings(self.folder, Dhcp(backend='isc', isc=Isc(**found)))

    def restart_daemon(self) -> None:
        for version in self.versions:
            self.lan.server.run([self.folder / f'restart{version}.sh'])

    def pid(self, version: int) -> int:
        """The daemon's, 0 if there is none."""
        try:
            return int((self.folder / f'dhcpd{version}.pid').read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def end(self, version: int, number: signal.Signals = signal.SIGKILL) -> None:
        """End one daemon."""
        if pid := self.pid(version):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                deadline = time.monotonic() + 5
                while lives(pid) and time.monotonic() < deadline:
                    time.sleep(0.01)

    def stop(self) -> None:
        for version in self.versions:
            self.end(version)
        if self._book is not None:
            self._book.close()
            self._book = None

    def hand_written(self) -> Mapping[Path, bytes]:
        return {path: path.read_bytes() for path in (self.folder / 'dhcpd4.conf', self.folder / 'dhcpd6.conf')}

    def check(self) -> None:
        for version in self.versions:
            run([BINARY, f'-{version}', '-t', '-cf', self.folder / f'dhcpd{version}.conf'])

    def restarts(self, version: int = 4) -> int:
        """How often it was restarted by the command."""
        counted = self.folder / f'restarts{version}'
        return counted.read_text().count('restart') if counted.exists() else 0


class IscV4(IscBackend):
    """Without DHCPv6."""

    v6 = False


class IscWithoutOmapi(IscV4):
    """Every change by file and restart."""

    omapi = False


# The other one is tested in test_isc.py alone: whatever is not a live change is the same.
BACKENDS: list[type[Backend]] = [IscBackend]
