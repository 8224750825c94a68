"""The DHCP service by ISC dhcpd 4.4: generated files, live changes of hosts by OMAPI, a restart only where needed.

dhcpd cannot read its configuration again while it runs, so what is not a host's needs a restart.  Hosts of DHCPv4 are
made and removed through OMAPI, and stand in our files at the same time: dhcpd keeps what it was told live in its leases
file and reads that after its configuration.  Names that are never used twice keep the two apart (see `HostBlock`):

- a host that is in both: dhcpd says that it exists already, and goes by our file;
- a static host that was removed live: its removal in the leases file names nothing that our file still has;
- a host that was made live and has been replaced in our file since: dhcpd would bring it back, so the ledger knows the
  names of all that were made live, and those that are not in our files are removed after a restart.

What each killed step leaves is mended by the next plan: `loaded` says which configuration dhcpd runs, and `flight`
which hosts were being changed.  The syntax is in `isc_syntax`, the files in `isc_files`, OMAPI in `isc_omapi`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import structlog

from ..files import write_atomically
from ..ledger import Ledger
from ..plan import Change, Operation, Plan, Problem
from ..secrets import SecretError, Secrets
from ..service import ApplyError, Finding
from ..settings import Isc, Settings
from ..state import Changed, View
from . import clients, isc_syntax
from .derive import Deriver
from .isc_files import Damaged, Entry, Manifest, Store, digest
from .isc_omapi import Connection, Key, OmapiError, connect
from .isc_syntax import BUCKET, HostBlock, Live, SubnetBlock, Version
from .model import Desired, Host

log = structlog.get_logger('dhcp')

LIVE_MOST = 1000
"""With more changes of hosts than this at once a restart is quicker: OMAPI does some hundred in a second."""
START_TIMEOUT = 60.0
_COMMAND_TIMEOUT = 180.0
_SAMPLE = 3


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'IscService':
    return IscService(settings, secrets, ledger)


@dataclass(slots=True)
class _Work:
    """What is to be done for one dhcpd.  `base` is the configuration that the plan started from.

    `hosts` has new contents by bucket (empty: the file goes); `remove` and `add` are what changes in the running dhcpd,
    where it can be changed live; `finish` are names of hosts that were in flight when somebody was killed.
    """

    version: Version
    base: str
    generation: int
    common: str | None = None
    subnets: tuple[str, int] | None = None
    hosts: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    add: list[Live] = field(default_factory=list)
    finish: list[str] = field(default_factory=list)
    restart: str = ''
    changes: int = 0


class IscService:
    name = 'dhcp'
    backend = 'isc'

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings.dhcp.isc
        self._ledger = ledger
        self._deriver = Deriver(settings)
        self._table = clients.table(settings.dhcp.loaders)
        self._omapi = _Omapi(self._settings, secrets)
        self._clock, self._sleep = clock, sleep
        self._daemons = {
            version: _Daemon(version, self._settings, self._omapi if version == 4 else None)
            for version in (4, 6)
            if (self._settings.config4 if version == 4 else self._settings.config6)
        }

    # --- what it can, and whether it could ---------------------------------------------------------------------------

    def cannot(self) -> Sequence[str]:
        found: list[str] = []
        if 4 not in self._daemons:
            found.append('DHCPv4 is not served: dhcp.isc.config4 names no configuration.')
        elif not self._omapi.port:
            found.append('Every change restarts dhcpd, because OMAPI is not set up (dhcp.isc.omapi_port).')
        else:
            found.append(
                'Changes of subnets, options and client classes, and of hosts known by the circuit ID of a relay, '
                'restart dhcpd.'
            )
        if 6 not in self._daemons:
            found.append('DHCPv6 is not served: dhcp.isc.config6 names no configuration.')
        else:
            found.append('Every change of DHCPv6 restarts dhcpd, which has no OMAPI for it.')
            found.append(
                'In DHCPv6 a MAC address is known only from a DUID that holds it (DUID-LLT, DUID-LL) or from a relay '
                'that adds it (RFC 6939); other machines need their DUID in NetBox.'
            )
            found.append('In DHCPv6 hosts are not known by client identifier or circuit ID.')
        return found

    def check(self) -> Iterable[Finding]:
        binary = self._settings.binary
        if shutil.which(binary, path=_PATH) is None:
            yield Finding(
                'dhcpd', 'error', f'{binary} is not there.', 'Install isc-dhcp-server, or set dhcp.isc.binary.'
            )
        else:
            yield Finding('dhcpd', 'ok', f'{binary} is there.')
        if not self._daemons:
            yield Finding('dhcpd', 'error', 'No configuration is named.', 'Set dhcp.isc.config4 or dhcp.isc.config6.')
        directory = Path(self._settings.directory)
        if not os.access(directory if directory.exists() else directory.parent, os.W_OK):
            yield Finding(
                'dhcpd files', 'error', f'{directory} cannot be written.', 'Make it and give it to the sidecar.'
            )
        for daemon in self._daemons.values():
            yield from daemon.check()
        if 4 in self._daemons:
            yield self._omapi.check()

    # --- planning ----------------------------------------------------------------------------------------------------

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        planners = [self._planner(daemon) for daemon in self._daemons.values()]
        if any(planner.needs_all for planner in planners):
            changed = None
        desired = self._deriver.desired(view, changed)
        full = desired.machines is None
        for planner in planners:
            if full:
                planner.configuration(self._table, desired)
        buckets = _by_bucket(desired.hosts)
        if desired.machines is None:
            visited: set[int] = set()
            for bucket, hosts in buckets:
                visited.add(bucket)
                for planner in planners:
                    planner.bucket(bucket, hosts, None)
            for planner in planners:
                planner.leave(visited)
        else:
            found = dict(buckets)
            machines = sorted(desired.machines)
            for bucket, ids in groupby(machines, lambda key: key // BUCKET):
                only = frozenset(ids)
                for planner in planners:
                    planner.bucket(bucket, found.get(bucket, []), only)
        for planner in planners:
            planner.settle()
        return Plan(
            'dhcp',
            [change for planner in planners for change in planner.changes] + list(_of_hosts(planners)),
            existing=_existing(planners),
            problems=list(desired.problems),
            disruption='; '.join(planner.work.restart for planner in planners if planner.work.restart),
            full=full,
            payload=[planner.work for planner in planners if planner.changes or planner.hosts],
        )

    def _planner(self, daemon: '_Daemon') -> '_Planner':
        last = int(self._ledger.mark('isc_generation') or 0)
        loaded = self._ledger.mark(f'isc_loaded{daemon.version}') or ''
        flight: list[str] = json.loads(self._ledger.mark(f'isc_flight{daemon.version}') or '[]')
        return _Planner(daemon, max(last + 1, int(self._clock())), loaded, flight)

    # --- applying ----------------------------------------------------------------------------------------------------

    def apply(self, plan: Plan) -> None:
        failed: list[ApplyError] = []
        for work in plan.payload or ():
            try:
                self._carry_out(self._daemons[work.version], work)
            except ApplyError as error:
                failed.append(error)  # the other dhcpd can do nothing for it
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise ApplyError('  '.join(map(str, failed))) from failed[0]

    def _carry_out(self, daemon: '_Daemon', work: _Work) -> None:
        store, version = daemon.store, work.version
        try:
            store.prepare()
            before = store.read_top()
            if digest(before) != work.base:
                raise ApplyError(f'{store.top} has changed since the plan was made.  Nothing was done; plan again.')
            daemon.must_be_included()
            manifest = self._write(store, work, store.manifest(before))
            after = store.text(manifest)
            if work.restart:
                daemon.check_all(after)
            elif work.hosts:
                daemon.check_some(manifest, work.hosts)
            self._ledger.write(isc_generation=str(work.generation))
            if work.restart:
                self._restart(daemon, before, after)
            else:
                self._live(daemon, work, after)
            self._ledger.write((), (), **{f'isc_loaded{version}': digest(after), f'isc_flight{version}': '[]'})
            store.clean([manifest])
        except OSError as error:
            raise ApplyError(
                f'The files of dhcpd cannot be written: {error.filename or store.folder}: {error.strerror}.  '
                f'dhcpd runs on as it was.'
            ) from error

    @staticmethod
    def _write(store: Store, work: _Work, before: Manifest) -> Manifest:
        """Everything new, beside what is in force."""
        common, subnets, hosts = before.common, before.subnets, dict(before.hosts)
        if work.common is not None:
            common = store.write('global', work.common, 1)
        if work.subnets is not None:
            subnets = store.write('subnets', *work.subnets)
        for bucket, (text, count) in work.hosts.items():
            if text:
                hosts[bucket] = store.write(f'hosts-{bucket}', text, count)
            else:
                hosts.pop(bucket, None)
        store.flush()
        return Manifest(common, subnets, hosts)

    def _live(self, daemon: '_Daemon', work: _Work, after: str) -> None:
        """The order matters: first it is on disk what is about to change, then our files say it, then dhcpd does it."""
        version = work.version
        added = [host.name for host in work.add]
        flight = [*work.finish, *work.remove, *added]
        self._ledger.write([(f'{version}:{name}', '', '') for name in added], **{
            f'isc_flight{version}': json.dumps(flight)
        })  # fmt: skip
        write_atomically(daemon.store.top, after)
        finish = daemon.hosts_of(work.finish)
        try:
            with self._omapi.connected() as connection:
                for name, host in finish.items():
                    if host is None:
                        connection.remove(name)
                for name in work.remove:
                    connection.remove(name)
                for host in [*(host for host in finish.values() if host is not None), *work.add]:
                    connection.add(host)
        except OmapiError as error:
            raise ApplyError(
                f'{error}  The new hosts are in our files; dhcpd gets what is missing with the next plan, or by a '
                f'restart.'
            ) from error
        self._ledger.write(remove=[f'{version}:{name}' for name in (*work.remove, *(
            name for name, host in finish.items() if host is None
        ))])  # fmt: skip

    def _restart(self, daemon: '_Daemon', before: str, after: str) -> None:
        version, store = daemon.version, daemon.store
        if not daemon.can_restart:
            raise ApplyError(
                f'dhcpd (IPv{version}) would have to be restarted, and there is no command for that: set '
                f'dhcp.isc.restart{version}, for example ["systemctl", "restart", "isc-dhcp-server"].  Nothing was '
                f'changed.'
            )
        if self._ledger.mark(f'isc_loaded{version}') in (None, digest(before)):
            write_atomically(daemon.good, before)
        self._wait(version)
        write_atomically(store.top, after)
        words = daemon.restart(self._clock)
        self._ledger.write((), (), **{f'isc_restarted{version}': repr(self._clock())})
        if words is None:
            self._sweep(daemon)
            return
        said = f'dhcpd (IPv{version}) did not come up with the new configuration: {words}'
        log.error('dhcpd did not start', version=version, reason=words)
        good = daemon.good.read_text('utf-8') if daemon.good.exists() else ''
        if not good:
            raise ApplyError(f'{said}  There is no configuration of before that could be put back.')
        write_atomically(store.top, good)
        again = daemon.restart(self._clock)
        if again is not None:
            raise ApplyError(f'{said}  The last good one was put back, but with that it did not start either: {again}')
        self._ledger.write((), (), **{f'isc_loaded{version}': digest(good), f'isc_flight{version}': '[]'})
        raise ApplyError(f'{said}  The last good one was put back, and dhcpd runs with that.')

    def _wait(self, version: Version) -> None:
        """systemd gives up a unit that is restarted too often, so restarts are gathered."""
        last = float(self._ledger.mark(f'isc_restarted{version}') or 0)
        wait = last + self._settings.restart_interval - self._clock()
        if 0 < wait <= self._settings.restart_interval:
            self._sleep(wait)

    def _sweep(self, daemon: '_Daemon') -> None:
        """After a restart: hosts that dhcpd brought back out of its leases file and that our files no longer have."""
        if daemon.version != 4:
            return
        made = [key.partition(':')[2] for key, _, _ in self._ledger.entries() if key.startswith('4:')]
        if not made:
            return
        stale = [name for name, host in daemon.hosts_of(made).items() if host is None]
        if stale and self._omapi.port:
            try:
                with self._omapi.connected() as connection:
                    for name in stale:
                        connection.remove(name)
            except OmapiError as error:
                log.warning('hosts of before may be back', reason=str(error), hosts=len(stale))
                return
        self._ledger.write(remove=[f'4:{name}' for name in made])

    # --- verifying ---------------------------------------------------------------------------------------------------

    def verify(self, view: View) -> Iterable[Problem]:
        for daemon in self._daemons.values():
            loaded = self._ledger.mark(f'isc_loaded{daemon.version}')
            if loaded is not None:
                yield from daemon.verify(loaded)


def _problem(message: str, remedy: str) -> Problem:
    return Problem('dhcp', 'service', 0, 'dhcp', message, remedy)


def _of_hosts(planners: Sequence['_Planner']) -> Iterator[Change]:
    """A host is one thing, whether one dhcpd knows it or both."""
    if len(planners) == 1:
        found: Mapping[str, list[_HostChange]] = {key: [change] for key, change in planners[0].hosts.items()}
    else:
        both: dict[str, list[_HostChange]] = {}
        for planner in planners:
            for key, change in planner.hosts.items():
                both.setdefault(key, []).append(change)
        found = both
    for key, changes in found.items():
        before = '\n'.join([change.before for change in changes if change.before])
        after = '\n'.join([change.after for change in changes if change.after])
        yield Change(_operation(before, after), f'host {key}', before, after, changes[0].machine)


def _existing(planners: Sequence['_Planner']) -> int:
    subnets = sum(planner.manifest.subnets.count for planner in planners if planner.manifest.subnets)
    return subnets + max((planner.manifest.count_hosts() for planner in planners), default=0)


def _by_bucket(hosts: Iterable[Host]) -> Iterator[tuple[int, list[Host]]]:
    """Hosts come in the order of their machines' ids, so each bucket comes once."""
    for bucket, found in groupby(hosts, lambda host: host.machine // BUCKET):
        yield bucket, list(found)


# --- one dhcpd: its plan ---------------------------------------------------------------------------------------------


class _HostChange(NamedTuple):
    before: str
    after: str
    machine: str


class _Planner:
    """Compares what is desired with our files, for one dhcpd.  `changes` are those of its configuration, `hosts` those
    of hosts by their key."""

    def __init__(self, daemon: '_Daemon', generation: int, loaded: str, flight: list[str]) -> None:
        self.changes: list[Change] = []
        self.hosts: dict[str, _HostChange] = {}
        self._daemon = daemon
        self._version = daemon.version
        try:
            top = daemon.store.read_top()
        except OSError:
            top = ''
        self.manifest = daemon.store.manifest(top)
        self.work = _Work(daemon.version, digest(top or daemon.store.text(Manifest())), generation)
        self._generation = _base36(generation)
        self._damaged = ''
        self._flight = flight
        self._operations = 0
        self._is_loaded = loaded == digest(top)
        if not self._is_loaded and not flight:
            self.work.restart = f'dhcpd (IPv{daemon.version}) is restarted'
        # Without a configuration that can be compared, a change of one machine is not all that is to be done.
        self.needs_all = not self.manifest.common or not self._is_loaded

    def _read(self, entry: Entry | None) -> str:
        if entry is None:
            return ''
        try:
            return self._daemon.store.read(entry)
        except Damaged as error:
            self._damaged = str(error)
            return ''

    def configuration(self, table: Sequence[clients.ClientClass], desired: Desired) -> None:
        """Options, classes and subnets."""
        mine = [subnet for subnet in desired.subnets.values() if subnet.prefix.version == self._version]
        if self._version == 4:
            common, texts = isc_syntax.globals4(table, mine), isc_syntax.subnets4(mine)
        else:
            common, texts = isc_syntax.globals6(table, mine), isc_syntax.subnets6(mine)
        old = _without_head(self._read(self.manifest.common))
        subnets = isc_syntax.read_subnets(self._read(self.manifest.subnets))
        if old != common:
            self._changed(_operation(old, common), f'client classes (IPv{self._version})', old, common)
            self.work.common = common
        blocks = {
            subnet.id: SubnetBlock(subnet.id, str(subnet.prefix), subnet.shared, texts[subnet.id]) for subnet in mine
        }
        differ = False
        for key in sorted(subnets.keys() | blocks.keys()):
            before, after = subnets.get(key), blocks.get(key)
            if before == after:
                continue
            differ = True
            old, new = str(before or ''), str(after or '')
            prefix = (after or before or _NOBODY).prefix
            self._changed(_operation(old, new), f'subnet {prefix}', old, new)
        if differ or self.manifest.subnets is None or self._damaged:
            text = isc_syntax.subnet_file(blocks.values())
            if not blocks and not self._daemon.declares_subnets():
                text = isc_syntax.no_subnet(self._version)
            self.work.subnets = text, len(blocks)
            if not differ:  # the file is not there or was changed by somebody
                self._changed('change', f'subnets (IPv{self._version})', '', 'the file is written again')
        if self.work.common is not None or self.work.subnets is not None:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'

    def _changed(self, operation: Operation, key: str, before: str, after: str) -> None:
        self.changes.append(Change(operation, key, before, after))

    def bucket(self, bucket: int, hosts: list[Host], only: frozenset[int] | None) -> None:
        """The hosts of one file; with `only`, those of these machines."""
        entry = self.manifest.hosts.get(bucket)
        existing: dict[str, HostBlock] = {}
        damaged = False
        if entry is not None:
            text = self._read(entry)
            damaged = not text
            existing = isc_syntax.read_hosts(text)
        write = isc_syntax.host4 if self._version == 4 else isc_syntax.host6
        blocks: list[HostBlock] = [] if only is None else [
            block for block in existing.values() if block.machine not in only
        ]  # fmt: skip
        unseen = {key for key, block in existing.items() if only is None or block.machine in only}
        differ = damaged
        for host in hosts:
            bodies = write(host)
            if not bodies:
                continue
            before = existing.get(host.key)
            unseen.discard(host.key)
            if before is not None and before.bodies == bodies:
                blocks.append(before)
                continue
            differ = True
            after = HostBlock(host.key, host.machine, host.machine_name, bodies, self._generation)
            blocks.append(after)
            self._host(before, after)
        for key in sorted(unseen):
            differ = True
            self._host(existing[key], None)
        if damaged:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
            if not hosts:
                self._changed('change', f'hosts {bucket * BUCKET} to {(bucket + 1) * BUCKET - 1}', '', self._damaged)
        if differ:
            blocks.sort(key=_order)
            self.work.hosts[bucket] = isc_syntax.host_file(blocks), len(blocks)

    def leave(self, visited: set[int]) -> None:
        """Files of hosts none of which is wanted any more."""
        for bucket in self.manifest.hosts.keys() - visited:
            self.bucket(bucket, [], None)

    def _host(self, before: HostBlock | None, after: HostBlock | None) -> None:
        block = after or before
        assert block is not None
        self.hosts[block.key] = _HostChange(_shown(before), _shown(after), block.machine_name)
        if self.work.restart or self._operations > LIVE_MOST:
            return
        removed = before.names() if before else []
        added = [
            isc_syntax.live(name, body)
            for name, body in zip(after.names(), after.bodies.split('\n'), strict=True)
        ] if after else []  # fmt: skip
        self._operations += len(removed) + len(added)
        possible = [host for host in added if host is not None]
        known_by_more = before is not None and 'host-identifier' in before.bodies
        if not self._daemon.live or len(possible) < len(added) or known_by_more or self._operations > LIVE_MOST:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
            return
        self.work.remove += removed
        self.work.add += possible

    def settle(self) -> None:
        """At the end: what was left half done by somebody who was killed."""
        if self._flight and not self.work.restart:
            if self._daemon.live:
                self.work.finish = self._flight
                words = 'live changes of hosts that were not finished'
            else:
                self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
                words = 'hosts that were not finished'
            self._changed('change', f'dhcpd (IPv{self._version})', words, 'finished')
        elif not self.changes and not self.hosts and self.work.restart:
            self._changed(
                'change', f'dhcpd (IPv{self._version})', 'runs with an older configuration', 'runs with the present one'
            )


_NOBODY = SubnetBlock(0, '', '', '')


def _operation(before: str, after: str) -> Operation:
    return 'add' if not before else 'remove' if not after else 'change'


def _shown(block: HostBlock | None) -> str:
    if block is None:
        return ''
    stem = isc_syntax.name_stem(block.key)
    return '\n'.join([f'host {stem} {{ {body} }}' for body in block.bodies.split('\n')])


def _order(block: HostBlock) -> tuple[int, int]:
    return block.machine, int(block.key.rpartition('.')[2])


def _without_head(text: str) -> str:
    return text.partition('\n')[2]


def _base36(number: int) -> str:
    digits = ''
    while number:
        number, digit = divmod(number, 36)
        digits = '0123456789abcdefghijklmnopqrstuvwxyz'[digit] + digits
    return digits or '0'


# --- one dhcpd: its process ------------------------------------------------------------------------------------------

_PATH = os.pathsep.join((os.environ.get('PATH', ''), '/usr/sbin', '/sbin'))
_FAULT = re.compile(r'^(?P<file>/[^\n]*?) line (?P<line>[0-9]+): (?P<words>.*)$', re.MULTILINE)


class _Daemon:
    def __init__(self, version: Version, settings: Isc, omapi: '_Omapi | None') -> None:
        self.version = version
        self.store = Store(Path(settings.directory), version)
        self.good = self.store.folder / 'last-good'
        self._binary = settings.binary
        self._main = Path(settings.config4 if version == 4 else settings.config6)
        self._command = settings.restart4 if version == 4 else settings.restart6
        self._pid_file = settings.pid_file4 if version == 4 else settings.pid_file6
        self._omapi = omapi

    @property
    def live(self) -> bool:
        return self._omapi is not None and self._omapi.port > 0

    @property
    def can_restart(self) -> bool:
        return bool(self._command)

    def check(self) -> Iterator[Finding]:
        part = f'dhcpd (IPv{self.version})'
        try:
            text = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            yield Finding(part, 'error', f'{self._main} cannot be read: {error.strerror}.', 'Correct dhcp.isc.config.')
            return
        if str(self.store.top) in isc_syntax.includes(text):
            yield Finding(part, 'ok', f'{self._main} includes {self.store.top}.')
        else:
            yield Finding(part, 'error', f'{self._main} does not include our files.', self._add_line())
        ours = {block.prefix for block in self._subnets().values()}
        if twice := sorted(ours.intersection(isc_syntax.declared_subnets(text))):
            yield Finding(
                part, 'error', f'{self._main} declares {", ".join(twice)}, which NetBox has too.',
                'Remove the declaration there, or turn DHCP off for that prefix in NetBox.',
            )  # fmt: skip
        if not self._command:
            yield Finding(
                part, 'warning', 'No command is set that restarts dhcpd.',
                f'Set dhcp.isc.restart{self.version}, for example ["systemctl", "restart", "isc-dhcp-server"].',
            )  # fmt: skip

    def declares_subnets(self) -> bool:
        """Whether the main file has subnets of its own."""
        try:
            return bool(isc_syntax.declared_subnets(self._main.read_text('utf-8', 'replace')))
        except OSError:
            return False

    def _add_line(self) -> str:
        return f'Add this line at its end: {self.store.statement}'

    def _subnets(self) -> dict[int, SubnetBlock]:
        try:
            entry = self.store.manifest(self.store.read_top()).subnets
            return isc_syntax.read_subnets(self.store.read(entry)) if entry else {}
        except (OSError, Damaged):
            return {}

    def must_be_included(self) -> None:
        try:
            text = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            raise ApplyError(f'{self._main} cannot be read: {error.strerror}.  Nothing was changed.') from error
        if str(self.store.top) not in isc_syntax.includes(text):
            raise ApplyError(f'{self._main} does not include our files, so nothing was changed.  {self._add_line()}')

    def check_all(self, top: str) -> None:
        """Let dhcpd read its whole configuration as it would be.  Raises ApplyError with its words."""
        candidate = self.store.folder / '.candidate.conf'
        write_atomically(candidate, top)
        main = self._main.read_bytes().replace(f'"{self.store.top}"'.encode(), f'"{candidate}"'.encode())
        self._check(main)

    def check_some(self, manifest: Manifest, buckets: Iterable[int]) -> None:
        """Let dhcpd read only the files of hosts that are new: what costs grows with what changed."""
        entries = [manifest.common, *(manifest.hosts.get(bucket) for bucket in buckets)]
        lines = [f'include "{self.store.folder / entry.name}";' for entry in entries if entry is not None]
        self._check('\n'.join((*lines, '')).encode())

    def _check(self, main: bytes) -> None:
        path = self.store.folder / '.check.conf'
        write_atomically(path, main, 0o600)  # the main file may hold keys
        try:
            done = self._run([self._binary, f'-{self.version}', '-t', '-cf', str(path)])
        finally:
            path.unlink(missing_ok=True)
        if done.returncode:
            raise ApplyError(
                f'dhcpd refuses the new configuration; it runs on as it was.  {self._explained(done.stdout)}'
            )

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Its output goes through a file: a daemon that keeps it open would keep a pipe from ending."""
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_COMMAND_TIMEOUT,
                    env={**os.environ, 'PATH': _PATH}, check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                return subprocess.CompletedProcess(command, -1, f'it did not end in {_COMMAND_TIMEOUT:.0f} seconds')
            except OSError as error:
                return subprocess.CompletedProcess(command, -1, f'{command[0]}: {error.strerror}')
            output.seek(0)
            return subprocess.CompletedProcess(command, code, output.read(1 << 20).decode('utf-8', 'replace'))

    def _explained(self, said: str) -> str:
        """dhcpd's own words, with what the line that it names is about."""
        match = _FAULT.search(said)
        if match is None:
            told = said.partition('If you think you have received this message')[0].strip().splitlines()
            return ' '.join(line.strip() for line in told[-4:] if line.strip())
        about = ''
        path = Path(match['file'])
        if path.parent == self.store.folder and path.exists():
            lines = path.read_text('utf-8', 'replace').splitlines()[: int(match['line'])]
            head = next((line for line in reversed(lines) if line.startswith('#=')), '')
            about = f' ({head[2:].strip()})' if head else ''
        return f'{match["file"]} line {match["line"]}{about}: {match["words"]}'

    def restart(self, clock: Callable[[], float]) -> str | None:
        """Restart dhcpd and wait until it is there.  Gives None, or what went wrong in words."""
        since = clock()
        done = self._run(self._command)
        if done.returncode:
            said = self._explained(done.stdout)
            return f'"{" ".join(self._command)}" failed ({done.returncode}): {said}'
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            reason = self._absent(since)
            if not reason:
                return None
            if time.monotonic() > deadline:
                return reason
            time.sleep(0.05)

    def _absent(self, since: float = 0.0) -> str:
        """Why it does not seem to run; '' if it does, or if there is no way to tell."""
        if self._pid_file:
            try:
                pid = int(Path(self._pid_file).read_text('ascii').strip())
                started = os.stat(f'/proc/{pid}').st_mtime
                if Path(f'/proc/{pid}/stat').read_text('ascii', 'replace').rpartition(')')[2].split()[0] == 'Z':
                    raise ProcessLookupError  # it has ended, and its parent has not looked yet
            except (OSError, ValueError, IndexError):
                return f'it does not run (there is no process for {self._pid_file}).'
            if started + 2 < since:
                return f'it was not restarted (process {pid} is older).'
        if self._omapi is not None and self._omapi.port:
            try:
                with self._omapi.connected():
                    pass
            except OmapiError as error:
                return str(error)
        return ''

    def hosts_of(self, names: Iterable[str]) -> Mapping[str, Live | None]:
        """What our files say of these declarations; None: they have none of that name."""
        manifest = self.store.manifest(self.store.read_top())
        wanted: dict[int, list[tuple[str, str]]] = {}
        found: dict[str, Live | None] = {}
        for name in names:
            found[name] = None
            if key := isc_syntax.key_of_name(name):
                wanted.setdefault(int(key[1 : key.index('.')]) // BUCKET, []).append((key, name))
        for bucket, keys in wanted.items():
            entry = manifest.hosts.get(bucket)
            if entry is None:
                continue
            try:
                blocks = isc_syntax.read_hosts(self.store.read(entry))
            except Damaged:
                continue
            for key, name in keys:
                block = blocks.get(key)
                if block is not None and name in block.names():
                    number = block.names().index(name)
                    found[name] = isc_syntax.live(name, block.bodies.split('\n')[number])
        return found

    def verify(self, loaded: str) -> Iterator[Problem]:
        try:
            top = self.store.read_top()
            main = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            yield _problem(f'{error.filename} cannot be read: {error.strerror}.', 'Give the sidecar access to it.')
            return
        if str(self.store.top) not in isc_syntax.includes(main):
            yield _problem(f'{self._main} does not include our files any more.', self._add_line())
        if digest(top) != loaded:
            yield _problem(
                f'{self.store.top} is not what dhcpd was started with.', 'It is mended by the next full plan.'
            )
        manifest = self.store.manifest(top)
        for words in self.store.damaged(manifest):
            yield _problem(f'{words}.', 'It is mended by the next full plan (substruct-sidecar apply dhcp).')
        if reason := self._absent():
            yield _problem(f'dhcpd (IPv{self.version}): {reason}', 'Start it, and look at its log.')
            return
        if self.live:
            yield from self._sample(manifest)

    def _sample(self, manifest: Manifest) -> Iterator[Problem]:
        """A few hosts, others each time, asked of the running dhcpd."""
        assert self._omapi is not None
        buckets = sorted(manifest.hosts)
        if not buckets:
            return
        try:
            blocks = list(
                isc_syntax.read_hosts(self.store.read(manifest.hosts[buckets[_turn() % len(buckets)]])).values()
            )
            with self._omapi.connected() as connection:
                for number in range(min(_SAMPLE, len(blocks))):
                    block = blocks[(_turn() + number) % len(blocks)]
                    if not connection.has(block.name(0)):
                        yield Problem(
                            'dhcp', 'machine', block.machine, block.machine_name,
                            'dhcpd does not have its host, although our files do.', 'Restart dhcpd.',
                        )  # fmt: skip
        except OmapiError as error:
            yield _problem(str(error), 'Look at its log.')
        except Damaged:
            return  # said already


def _turn() -> int:
    return int(time.monotonic())


class _Omapi:
    """How OMAPI is reached, by the settings."""

    def __init__(self, settings: Isc, secrets: Secrets) -> None:
        self.port = settings.omapi_port
        self._settings = settings
        self._secrets = secrets

    def connected(self) -> AbstractContextManager[Connection]:
        """Raises OmapiError when it is entered."""
        settings = self._settings
        key = None
        if settings.omapi_key_name:
            try:
                secret = self._secrets.get(settings.omapi_credential or settings.omapi_key_name)
            except SecretError as error:
                raise OmapiError(str(error)) from error
            key = Key(settings.omapi_key_name, settings.omapi_algorithm, secret)
        return connect(settings.omapi_host, settings.omapi_port, key)

    def check(self) -> Finding:
        if not self.port:
            return Finding(
                'OMAPI', 'warning', 'OMAPI is not set up, so every change restarts dhcpd.',
                'Add omapi-port and omapi-key to dhcpd.conf, and set dhcp.isc.omapi_port and omapi_key_name.',
            )  # fmt: skip
        try:
            with self.connected():
                pass
        except OmapiError as error:
            return Finding('OMAPI', 'error', str(error), 'Compare the settings with dhcpd.conf.')
        if not self._settings.omapi_key_name:
            return Finding(
                'OMAPI', 'warning', 'OMAPI has no key: whoever reaches its port can change dhcpd.',
                'Add a key and omapi-key to dhcpd.conf.',
            )  # fmt: skip
        return Finding('OMAPI', 'ok', f'dhcpd answers at {self._settings.omapi_host} port {self.port}.')
