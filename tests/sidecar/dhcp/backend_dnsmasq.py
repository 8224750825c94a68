"""The real dnsmasq, with a main file written by hand that reads Substruct's folder."""

import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from substruct_sidecar.dhcp.dnsmasq import Dnsmasq
from substruct_sidecar.dhcp.dnsmasq_check import RELOADS, Program
from substruct_sidecar.plan import Plan
from substruct_sidecar.settings import Dhcp
from substruct_sidecar.settings import Dnsmasq as DnsmasqSettings
from substruct_sidecar.state import View
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC, Backend, Capability, settings
from tests.sidecar.net import Lan, run

BINARY = (
    os.environ.get('SUBSTRUCT_TEST_DNSMASQ')
    or shutil.which('dnsmasq', path='/usr/sbin:/usr/bin:/sbin:/bin')
    or 'dnsmasq'
)

MAIN = """# by hand; "quoted", and with an umlaut: ü
port=0
interface=br0
bind-interfaces
user=root
no-ping
dhcp-authoritative
pid-file={folder}/dnsmasq.pid
dhcp-leasefile={folder}/leases
log-facility={folder}/dnsmasq.log
log-dhcp
dhcp-host={mac},{address},by-hand
{line}
"""

# Ends it and starts it again, as a service manager does: it is back when it has read everything and gone into the
# background, and a configuration that it does not take is an error.
RESTART = """#!/bin/sh
echo restart >> {folder}/restarts
if [ -s {folder}/dnsmasq.pid ]; then
  pid=$(cat {folder}/dnsmasq.pid)
  kill $pid 2>/dev/null
  # One that has ended may stay as a zombie until init looks at it.
  while grep -qs '^State:.[^Z]' /proc/$pid/status; do sleep 0.01; done
fi
exec {binary} -C {folder}/dnsmasq.conf
"""


class DnsmasqBackend(Backend):
    name = 'dnsmasq'
    binaries = ('dnsmasq',)
    proxy: ClassVar[bool] = False
    sighup: ClassVar[Literal['yes', 'no']] = 'no'
    lacks: ClassVar[Mapping[Capability, str]] = {
        'duid-changes': 'to another machine or DUID is given to it only when the lease of the first has ended',
        'http6': 'UEFI HTTP boot over DHCPv6 is not answered',
    }

    service: Dnsmasq

    def __init__(self, lan: Lan, folder: Path) -> None:
        super().__init__(lan, folder)
        self.directory = folder / 'substruct'
        self.main = folder / 'dnsmasq.conf'
        self.pid_file = folder / 'dnsmasq.pid'
        self.log = folder / 'dnsmasq.log'
        self.command = folder / 'restart.sh'

    def start(self, view: View) -> Plan:
        self.prepare()
        plan = self.apply(view)
        self.restart_daemon()
        return plan

    def prepare(self) -> None:
        """Everything but the daemon itself."""
        self.restart_service()
        line = self.service.line_to_add
        self.main.write_text(
            MAIN.format(folder=self.folder, mac=HAND_WRITTEN_MAC, address=HAND_WRITTEN_ADDRESS, line=line)
        )
        self.command.write_text(RESTART.format(folder=self.folder, binary=BINARY))
        self.command.chmod(0o755)

    def restart_service(self) -> None:
        own = DnsmasqSettings(
            binary=BINARY, directory=str(self.directory), config=str(self.main), pid_file=str(self.pid_file),
            restart=[str(self.command)], proxy=self.proxy, restart_interval=0.0, sighup=self.sighup,
        )  # fmt: skip
        self.service = Dnsmasq(settings(self.folder, Dhcp(backend='dnsmasq', dnsmasq=own)))

    def restart_daemon(self) -> None:
        self.lan.server.run([self.command])
        assert self.pid

    @property
    def pid(self) -> int:
        """The daemon's, 0 if there is none."""
        try:
            return int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon alone."""
        pid = self.pid
        if pid and _lives(pid):
            os.kill(pid, number)
            deadline = time.monotonic() + 5
            while _lives(pid) and time.monotonic() < deadline:
                time.sleep(0.01)

    def stop(self) -> None:
        self.end()

    def hand_written(self) -> Mapping[Path, bytes]:
        return {self.main: self.main.read_bytes()}

    def check(self) -> None:
        run([BINARY, '--test', '-C', self.main])
        complaints = [row for row in self.said().splitlines() if ' at line ' in row]
        assert complaints == []

    def said(self) -> str:
        return self.log.read_text('utf-8', 'replace') if self.log.exists() else ''

    def restarts(self) -> int:
        """How often it was restarted by the command."""
        counted = self.folder / 'restarts'
        return counted.read_text().count('restart') if counted.exists() else 0


def _lives(pid: int) -> bool:
    """Whether a process is there, and is dnsmasq: a pid file may be older than the process that has its number."""
    try:
        if Path(f'/proc/{pid}/comm').read_text().strip() != Path(BINARY).name:
            return False
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


class DnsmasqReloading(DnsmasqBackend):
    """With SIGHUP and new hosts at once, by a dnsmasq that bears it: SUBSTRUCT_TEST_DNSMASQ may name one."""

    name = 'dnsmasq-sighup'
    sighup = 'yes'

    @classmethod
    def missing(cls) -> str:
        if super().missing() or 'SUBSTRUCT_TEST_DNSMASQ' in os.environ or Program(BINARY).version >= RELOADS:
            return super().missing()
        return f'{BINARY} dies of SIGHUP'


class DnsmasqProxy(DnsmasqBackend):
    """Beside another DHCP server, which a test brings."""

    name = 'dnsmasq-proxy'
    proxy = True


BACKENDS: list[type[Backend]] = [kind for kind in (DnsmasqBackend, DnsmasqReloading) if not kind.missing()] or [
    DnsmasqBackend
]
