"""The DHCP service by ISC dhcpd 4.4: generated files, live changes of hosts by OMAPI, a restart only where needed.

dhcpd cannot read its configuration again while it runs, so what is not a host's needs a restart.  Hosts of DHCPv4 are
made and removed through OMAPI, and stand in our files at the same time: dhcpd keeps what it was told live in its leases
file and reads that after its configuration.  Names that are never used twice keep the two apart (see `HostBlock`):

- a host that is in both: dhcpd says that it exists already, and goes by our file;
- a static host that was removed live: its removal in the leases file names nothing that our file still has;
- a host that was made live and has been replaced in our file since: dhcpd would bring it back, so the ledger knows the
  names of all that were made live, and those that are not in our files are removed after a restart.

What each killed step leaves is mended by the next plan: `loaded` says which configuration dhcpd runs, and `flight`
which hosts were being changed.  Elsewhere: the language in `isc_syntax`, the files in `isc_files`, what there is to do
in `isc_plan`, the process in `isc_daemon`, OMAPI in `isc_omapi`.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import structlog

from ..files import write_atomically
from ..ledger import Ledger
from ..plan import Plan, Problem
from ..secrets import Secrets
from ..service import ApplyError, Finding
from ..settings import Settings
from ..state import Changed, View
from . import clients
from .derive import Deriver
from .isc_daemon import PATH, Daemon, Omapi
from .isc_files import Manifest, Store, digest
from .isc_omapi import OmapiError
from .isc_plan import Planner, Work, by_bucket, existing, of_hosts
from .isc_syntax import BUCKET, Version

log = structlog.get_logger('dhcp')


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'IscService':
    return IscService(settings, secrets, ledger)


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
        self._deriver = Deriver(settings, ledger)
        self._table = clients.table(settings.dhcp.loaders)
        self._omapi = Omapi(self._settings, secrets)
        self._clock, self._sleep = clock, sleep
        self._daemons = {
            version: Daemon(version, self._settings, self._omapi if version == 4 else None)
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
        if shutil.which(binary, path=PATH) is None:
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
        buckets = by_bucket(desired.hosts)
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
            [change for planner in planners for change in planner.changes] + list(of_hosts(planners)),
            existing=existing(planners),
            problems=list(desired.problems),
            disruption='; '.join(planner.work.restart for planner in planners if planner.work.restart),
            full=full,
            payload=[planner.work for planner in planners if planner.changes or planner.hosts],
        )

    def _planner(self, daemon: Daemon) -> Planner:
        last = int(self._ledger.mark('isc_generation') or 0)
        loaded = self._ledger.mark(f'isc_loaded{daemon.version}') or ''
        flight: list[str] = json.loads(self._ledger.mark(f'isc_flight{daemon.version}') or '[]')
        return Planner(daemon, max(last + 1, int(self._clock())), loaded, flight)

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

    def _carry_out(self, daemon: Daemon, work: Work) -> None:
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
                self._restart(daemon, before, after, work.fingerprint)
            else:
                self._live(daemon, work, after)
            # Before the files of the one before go, which would else be what is put back.
            write_atomically(daemon.good, after)
            self._ledger.write((), (), **{f'isc_loaded{version}': digest(after), f'isc_flight{version}': '[]'})
            store.clean([manifest])
        except OSError as error:
            raise ApplyError(
                f'The files of dhcpd cannot be written: {error.filename or store.folder}: {error.strerror}.  '
                f'dhcpd runs on as it was.'
            ) from error

    @staticmethod
    def _write(store: Store, work: Work, before: Manifest) -> Manifest:
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

    def _live(self, daemon: Daemon, work: Work, after: str) -> None:
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

    def _restart(self, daemon: Daemon, before: str, after: str, fingerprint: str) -> None:
        version, store = daemon.version, daemon.store
        if not daemon.can_restart:
            raise ApplyError(
                f'dhcpd (IPv{version}) would have to be restarted, and there is no command for that: set '
                f'dhcp.isc.restart{version}, for example ["systemctl", "restart", "isc-dhcp-server"].  Nothing was '
                f'changed.'
            )
        daemon.patience.ask(fingerprint, f'dhcpd (IPv{version})')
        if self._ledger.mark(f'isc_loaded{version}') in (None, digest(before)):
            write_atomically(daemon.good, before)
        self._wait(version)
        write_atomically(store.top, after)
        words = daemon.restart()
        self._ledger.write((), (), **{f'isc_restarted{version}': repr(self._clock())})
        if words is None:
            daemon.patience.forget()
            self._sweep(daemon)
            return
        daemon.patience.failed(fingerprint)
        said = f'dhcpd (IPv{version}) did not come up with the new configuration: {words}'
        log.error('dhcpd did not start', version=version, reason=words)
        good = daemon.good.read_text('utf-8') if daemon.good.exists() else ''
        if not good:
            raise ApplyError(f'{said}  There is no configuration of before that could be put back.')
        write_atomically(store.top, good)
        again = daemon.restart()
        if again is not None:
            raise ApplyError(f'{said}  The last good one was put back, but with that it did not start either: {again}')
        self._ledger.write((), (), **{f'isc_loaded{version}': digest(good)})
        self._finish(daemon)
        self._sweep(daemon)
        raise ApplyError(f'{said}  The last good one was put back, and dhcpd runs with that.')

    def _wait(self, version: Version) -> None:
        """systemd gives up a unit that is restarted too often, so restarts are gathered."""
        last = float(self._ledger.mark(f'isc_restarted{version}') or 0)
        wait = last + self._settings.restart_interval - self._clock()
        if 0 < wait <= self._settings.restart_interval:
            self._sleep(wait)

    def _finish(self, daemon: Daemon) -> None:
        """After going back: hosts that were being changed live are in dhcpd's leases file as they were to be; what is
        deleted there is not brought back by a file that has it."""
        mark = f'isc_flight{daemon.version}'
        flight: list[str] = json.loads(self._ledger.mark(mark) or '[]')
        if not flight or not daemon.live:
            return
        found = daemon.hosts_of(flight)
        try:
            with self._omapi.connected() as connection:
                for name, host in found.items():
                    if host is None:
                        connection.remove(name)
                for host in found.values():
                    if host is not None:
                        connection.add(host)
        except OmapiError as error:
            log.warning('live changes are not finished', reason=str(error), hosts=len(flight))
            return  # the next plan does it
        self._ledger.write((), (), **{mark: '[]'})

    def _sweep(self, daemon: Daemon) -> None:
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

    def retry(self) -> None:
        for daemon in self._daemons.values():
            daemon.patience.forget()

    # --- verifying ---------------------------------------------------------------------------------------------------

    def verify(self, view: View) -> Iterable[Problem]:
        for daemon in self._daemons.values():
            loaded = self._ledger.mark(f'isc_loaded{daemon.version}')
            if loaded is not None:
                yield from daemon.verify(loaded)
