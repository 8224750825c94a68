"""What `substruct-sidecar check` says of dnsmasq, and what this backend cannot do, in sentences for people."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..service import Finding
from ..settings import Dnsmasq as DnsmasqSettings
from .dnsmasq_handwritten import Checker, included, reads, words_of
from .dnsmasq_leases import file_of
from .dnsmasq_process import Process
from .dnsmasq_store import Store

OLDEST = (2, 86)
# The first that bears SIGHUP (bugs.launchpad.net/bugs/2026757).
RELOADS = (2, 91)

_VERSION = re.compile(r'version ([0-9]+)\.([0-9]+)')


class Program:
    """The binary: its version and abilities, asked once."""

    def __init__(self, binary: str) -> None:
        self.binary = binary
        self._said: str | None = None

    def said(self) -> str:
        """Raises OSError and subprocess.SubprocessError."""
        if self._said is None:
            self._said = subprocess.run(
                [self.binary, '--version'], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=10,
                encoding='utf-8', errors='replace', env={**os.environ, 'LC_ALL': 'C'},
            ).stdout  # fmt: skip
        return self._said

    @property
    def version(self) -> tuple[int, int]:
        """(0, 0) where it cannot be run."""
        try:
            found = _VERSION.search(self.said())
        except (OSError, subprocess.SubprocessError):
            return 0, 0
        return (int(found[1]), int(found[2])) if found else (0, 0)


def findings(
    own: DnsmasqSettings, program: Program, store: Store, process: Process, checker: Checker, line_to_add: str
) -> Iterator[Finding]:
    """Everything that `check` looks at.  Changes nothing."""
    yield from _binary(program, store)
    yield from _folder(store)
    yield from _configuration(Path(own.config), store, checker, line_to_add)
    yield from _daemon(own, process)


def _binary(program: Program, store: Store) -> Iterator[Finding]:
    part = 'dnsmasq'
    try:
        said = program.said()
    except (OSError, subprocess.SubprocessError) as error:
        words = f'{program.binary} cannot be run: {words_of(error)}.'
        yield Finding(part, 'error', words, 'Install it, or set dhcp.dnsmasq.binary.')
        return
    version = program.version
    if version < OLDEST:
        words = f'{program.binary} is not dnsmasq {OLDEST[0]}.{OLDEST[1]} or newer.'
        yield Finding(part, 'error', words, 'Install a newer one.')
        return
    abilities = said.partition('Compile time options:')[2].split()
    for ability in ('DHCP', 'inotify'):
        if ability not in abilities:
            yield Finding(part, 'error', f'it was built without {ability}.', 'Install another build.')
    if 'DHCPv6' not in abilities:
        yield Finding(part, 'warning', 'it was built without DHCPv6.', 'Install another build if you need it.')
    how = 'changes by SIGHUP' if store.reloads else 'each change is a restart'
    yield Finding(part, 'ok', f'dnsmasq {version[0]}.{version[1]}; {how}')


def _folder(store: Store) -> Iterator[Finding]:
    part = 'dnsmasq folder'
    above = store.folder if store.folder.exists() else store.folder.parent
    if not os.access(above, os.W_OK | os.X_OK):
        remedy = f'install -d -o substruct {store.folder}, or set dhcp.dnsmasq.directory.'
        yield Finding(part, 'error', f'{store.folder} cannot be written.', remedy)
    else:
        yield Finding(part, 'ok', f'{store.folder} can be written')


def _configuration(path: Path, store: Store, checker: Checker, line_to_add: str) -> Iterator[Finding]:
    part = 'dnsmasq configuration'
    try:
        files = dict(included(path))
    except OSError as error:
        remedy = 'Let the sidecar read it, or set dhcp.dnsmasq.config.'
        yield Finding(part, 'error', f'{path} cannot be read: {error.strerror}.', remedy)
        return
    rows = [
        (name, row.strip()) for name, text in files.items() if name != store.conf for row in text.splitlines()
    ]  # fmt: skip
    if any(reads(row, store.conf.parent) for _, row in rows):
        yield Finding(part, 'ok', f'{path} reads {store.conf.parent}')
    else:
        yield Finding(part, 'error', f'{path} does not read {store.conf.parent}.', f'Add the line: {line_to_add}')
    for name, row in rows:
        if name.parent not in store.folders and re.match(
            r'(dhcp-boot|pxe-service|pxe-prompt)\s*=(?!\s*(tag|net):)', row
        ):
            words = f'"{row[:60]}" in {name} holds for machines of Substruct that boot nothing, too.'
            yield Finding(part, 'warning', words, 'Give it a tag.')
    leases = file_of(files.values())
    if leases.exists() and not os.access(leases, os.R_OK):
        words = f'{leases} cannot be read: leases that stand in the way of a reservation are waited for.'
        yield Finding(part, 'warning', words, 'Let the sidecar read it.')
    if (refusal := checker.refusal(path, store.conf.parent)) is not None:
        yield Finding(part, 'error', f'dnsmasq refuses it: {refusal.words}.', 'Correct it.')


def _daemon(own: DnsmasqSettings, process: Process) -> Iterator[Finding]:
    part = 'dnsmasq daemon'
    if not process.identity():
        words = f'it does not run, or {own.pid_file} is not its pid file.'
        yield Finding(part, 'warning', words, 'Start it, or set dhcp.dnsmasq.pid_file.')
    elif not own.reload and not process.may_signal():
        remedy = 'Set dhcp.dnsmasq.reload to a command that may, or give the sidecar CAP_KILL.'
        yield Finding(part, 'error', 'the sidecar may not send it signals.', remedy)
    else:
        yield Finding(part, 'ok', 'it runs')
    if not own.restart:
        words = 'changes need a restart, and no command is known for it.'
        remedy = 'Set dhcp.dnsmasq.restart, for example to ["systemctl", "restart", "dnsmasq"].'
        yield Finding(part, 'warning', words, remedy)


def cannot(*, reloads: bool, proxy: bool) -> Sequence[str]:
    return [*(_CHANGES if reloads else _CHANGES_BY_RESTART), *(_PROXY if proxy else _ALWAYS)]


_CHANGES = (
    (
        'dnsmasq forgets and changes hosts only when it reads all of them again (SIGHUP), for which it needs time that '
        'grows with the square of their number: it is made for up to some ten thousand.'
    ),
    'A new or changed subnet, client class or boot server is a restart of dnsmasq, which takes a moment.',
)

_CHANGES_BY_RESTART = (
    (
        'Every change is a restart of dnsmasq: versions from 2.86 to 2.90 die when they are told to read hosts with '
        'tags again (SIGHUP; fixed in 2.91, or set dhcp.dnsmasq.sighup to "yes" where a distribution has mended it).'
    ),
    (
        'A restart takes dnsmasq a time that grows with the square of the number of hosts: it is made for up to some '
        'ten thousand.'
    ),
)

_ALWAYS = (
    (
        'An IPv6 address that is moved to another machine or DUID is given to it only when the lease of the first has '
        'ended (IPv4 leases are given back by the sidecar, if it can read the lease file).'
    ),
    (
        'DHCPv6 behind a relay that does not tell the MAC address of the client (RFC 6939): machines are known by '
        'their DUID only, or by one that is made of the MAC address alone (DUID-LL).'
    ),
    (
        'A circuit id gives a machine its address, name and boot chain, but each change of one is a restart, and a '
        'machine that takes the place of another on the same port waits until the lease of the first has ended.'
    ),
    'A machine with several DHCP client identifiers has its reserved IPv4 address by the first of them.',
    'A host name that looks like a time ("12", "30m") is not sent.',
    'Lease times below two minutes become two minutes.',
    'DHCPv6 is served in prefixes of length 64 or more only.',
    (
        'UEFI HTTP boot over DHCPv6 is not answered: dnsmasq cannot send the vendor class that firmware wants back. '
        'Over DHCPv4 it is.'
    ),
    'Options whose values dnsmasq writes in its own way (addresses, text, domain names) cannot hold other bytes.',
    'Of several subnets on one link, dnsmasq must have an address in each, or know the address of a relay in one.',
)

_PROXY = (
    'A proxy gives no addresses, host names and options: the other DHCP server does.',
    (
        'A proxy is not heard by clients for UEFI HTTP boot (HTTPClient): dnsmasq answers PXEClient only. '
        'Set these machines to PXE.'
    ),
    'A proxy does not serve DHCPv6.',
    'A proxy knows machines by MAC address and client identifier, not by circuit id.',
    (
        'A proxy has 127 bytes for what a machine boots: with a long base URL the boot script is told less about the '
        'machine (never less than its MAC address).'
    ),
    'The other DHCP server must not name a boot file and next-server itself, or machines take those.',
    (
        'UEFI asks a proxy a second time, on UDP port 4011: a firewall must let that through, and a relay does not '
        'carry it, so that dnsmasq must be reachable by the machines themselves.'
    ),
    (
        'Firmware that waits for menus of PXE (option 43), and GRUB and shim, which ask only the DHCP server where '
        'they come from, may not find their way: give such machines full DHCP.'
    ),
)
