"""What the shared tests need of a DHCP backend: the real daemon in a namespace, with the sidecar's service in front.

Each backend has a module `backend_<name>.py` beside this one, with `BACKENDS`, a list of subclasses of `Backend`.
"""

import importlib
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from substruct_sidecar.plan import Limits, Plan, guard
from substruct_sidecar.service import Service
from substruct_sidecar.settings import Advertise, Boot, Dhcp, NetBox, Paths, Settings
from substruct_sidecar.state import Changed, View
from tests.sidecar.net import Lan

type Capability = Literal[
    'v6',  # DHCPv6
    'boot6',  # boot files in DHCPv6 by architecture (option 59)
    'http6',  # … also for UEFI HTTP boot
    'any-duid',  # DHCPv6 hosts by their MAC address, whatever kind of DUID they have
    'any-duid-local',  # … also where the MAC address is a locally administered one
    'duid-changes',  # … also while the address is leased to them under another DUID (firmware, then the system)
    'plain-relay6',  # … also behind a relay that does not tell the MAC address (without the option of RFC 6939)
    'shared',  # several prefixes on one link
    'bond',  # several MAC addresses for one host, one at a time
    'bond-unreleased',  # … also while the address is leased to the one that asked before
    'discovery',  # the boot chain for unknown machines only where it is wanted
    'client-id',  # hosts by option 61
    'duid',  # hosts by DUID
    'circuit-id',  # hosts by the relay's circuit id
]


# Where machines of the tests boot: DHCPv4 as NetBox says (world.BASE_URL), DHCPv6 by a setting.
BASE_URL6 = f'http://[{Lan.SERVER6}]:8080'


def settings(folder: Path, dhcp: Dhcp) -> Settings:
    """The settings of a sidecar in these tests, with its files in `folder`."""
    (folder / 'state').mkdir(exist_ok=True)
    (folder / 'run').mkdir(exist_ok=True)
    return Settings(
        netbox=NetBox(url='http://127.0.0.1:1', boot_server='boot-ber', token='none'),
        paths=Paths(state=str(folder / 'state'), run=str(folder / 'run')),
        boot=Boot(advertise=[Advertise(prefix='2001:db8::/32', url=BASE_URL6)]),
        dhcp=dhcp,
    )


# Words in hand-written configuration, which must come through everything unchanged and in force.
HAND_WRITTEN_MAC = '02:00:00:00:99:01'
HAND_WRITTEN_ADDRESS = '10.60.0.199'


class Backend(ABC):
    """One daemon with its service, in `lan.server` on br0 with its files in `folder`.

    `start` prepares the hand-written configuration of an administrator who has put in the lines that the documentation
    asks for, and a host with HAND_WRITTEN_MAC and HAND_WRITTEN_ADDRESS; it makes the service, applies the full plan of
    the view, and runs the daemon (before or after that, as it would be in life).  When it returns, the daemon answers.
    Conflict detection by ping is off.
    """

    name: ClassVar[str]
    binaries: ClassVar[tuple[str, ...]]
    # For each thing that it cannot a pattern (re, without case) for its sentence in `cannot()`.
    lacks: ClassVar[Mapping[Capability, str]] = {}

    service: Service

    def __init__(self, lan: Lan, folder: Path) -> None:
        self.lan = lan
        self.folder = folder

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be tested here, '' if it can."""
        absent = [
            binary for binary in cls.binaries if shutil.which(binary, path='/usr/sbin:/usr/bin:/sbin:/bin') is None
        ]
        return f'{", ".join(absent)} is not installed' if absent else ''

    def can(self, capability: Capability) -> bool:
        """Whether it can.  If not, it must say so, or this is an AssertionError."""
        if capability not in self.lacks:
            return True
        sentences = list(self.service.cannot())
        assert any(re.search(self.lacks[capability], sentence, re.IGNORECASE) for sentence in sentences), (
            f'{self.name} cannot do "{capability}" and does not say so: {sentences}'
        )
        return False

    @abstractmethod
    def start(self, view: View) -> Plan:
        """See above.  Gives the plan that was applied."""

    @abstractmethod
    def stop(self) -> None:
        """End the daemon.  Also after a start that failed."""

    @abstractmethod
    def restart_daemon(self) -> None:
        """End the daemon and start it again, as a reboot of the server would, without the sidecar.  Gives back when it
        answers."""

    @abstractmethod
    def restart_service(self) -> None:
        """Make the service anew, as a restart of the sidecar would: ledger and files are those that were there."""

    @abstractmethod
    def hand_written(self) -> Mapping[Path, bytes]:
        """The files of the administrator, as they are now."""

    @abstractmethod
    def check(self) -> None:
        """Let the daemon's own checker read what is in force now.  Raises AssertionError with its words."""

    def apply(self, view: View, changed: Changed | None = None, limits: Limits | None = None) -> Plan:
        """Plan, guard, apply, as the agent does; gives the plan when clients see the result.  Raises plan.Unsafe."""
        with self.lan.server.entered():
            plan = self.service.plan(view, changed)
            guard(plan, limits or Limits())
            if plan:
                self.service.apply(plan)
        self.settle()
        return plan

    def settle(self) -> None:  # noqa: B027  (most backends have nothing to wait for)
        """Wait until the daemon works with what was applied last (where `apply` of the service does not do so)."""


def known() -> list[type[Backend]]:
    """The backends that have a module here."""
    found: list[type[Backend]] = []
    for path in sorted(Path(__file__).parent.glob('backend_*.py')):
        found += importlib.import_module(f'tests.sidecar.dhcp.{path.stem}').BACKENDS
    return found
