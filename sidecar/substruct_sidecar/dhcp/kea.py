"""Kea kept as NetBox says: plans, applies and verifies, for kea-dhcp4, kea-dhcp6 or both.

Subnets, classes and options go through the control channel of each daemon (`kea_daemon`), as `kea_config` writes them.
Hosts stand in the same configuration (mode config), or in Kea's host tables (mode database, `kea_rows`), where a change
of one machine is a few statements and Kea goes on meanwhile.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import structlog

from ..ledger import Ledger
from ..plan import Change, Plan, Problem, Severity
from ..secrets import SecretError, Secrets
from ..service import ApplyError, Finding
from ..settings import Settings
from ..state import Changed, View
from . import clients
from . import kea_check as checking
from .derive import Deriver
from .kea_base import Base, BaseError
from .kea_config import Document, Parts, document, local_links, parts, served
from .kea_control import Channel, ControlError, Dialect, Family, over_http, over_socket
from .kea_daemon import Daemon
from .kea_database import DatabaseError, Key, Work, hosts_database
from .kea_hosts import EVERYWHERE, KEA_NAMES, KINDS, Reservation, fits, reservation_json, reservations, unfit
from .kea_rows import Rows
from .kea_written import Difference, Written, claim, differences
from .model import Desired, Host, Network, Subnet

log: Any = structlog.get_logger('dhcp')

_LEASES = 'kea_leases'  # the mark of the ledger: claims whose leases are to be ended
_IF_INET6 = Path('/proc/net/if_inet6')


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'Kea':
    return Kea(settings, secrets, ledger)


@dataclass(frozen=True, slots=True)
class _Target:
    """One daemon in one plan."""

    daemon: Daemon
    base: Base
    old: Written
    dialect: Dialect
    subnets: Mapping[int, Subnet]


@dataclass(frozen=True, slots=True)
class _Settled:
    """A daemon whose file was as it should be: what that was made of, so that a change of one machine need not make it
    again.  `subnets` is compared by identity: the Deriver gives the same mapping as long as no subnet has changed."""

    subnets: Mapping[int, Subnet]
    files: tuple[tuple[int, int, int] | None, ...]
    dialect: Dialect
    target: _Target
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class _Payload:
    """What `apply` is to do.  `server` is the id of the boot server whose rows are written; `claims` has the addresses
    that were given to somebody, with the identifiers of their owners (`Daemon.free`)."""

    pushes: list[tuple[Daemon, Document]] = field(default_factory=list)
    work: Work | None = None
    server: int = 0
    claims: dict[Family, dict[str, set[str]]] = field(default_factory=dict)

    def claim(self, family: Family, address: str, identifier: str) -> None:
        self.claims.setdefault(family, {}).setdefault(address, set()).add(identifier)


class Kea:
    """The service `dhcp` on Kea."""

    name = 'dhcp'
    backend = 'kea'

    def __init__(
        self, settings: Settings, secrets: Secrets, ledger: Ledger, *, channels: Mapping[Family, Channel] | None = None
    ) -> None:
        self._settings = settings.dhcp.kea
        self._ledger = ledger
        self._secrets = secrets
        self._deriver = Deriver(settings, ledger)
        self._classes = clients.table(settings.dhcp.loaders)
        found = channels if channels is not None else self._channels()
        self._daemons = [
            Daemon(family, channel, self._settings, settings.state_folder) for family, channel in found.items()
        ]
        self._rows: Rows | None = None
        if self._settings.mode == 'database':
            self._rows = Rows(self._settings.database_url, self._secret(self._settings.database_credential), ledger)
        # The skeletons (everything but hosts) that a daemon has found good, and what it refuses of the last one.
        self._good: dict[Family, str] = {}
        self._refused: dict[Family, tuple[str, dict[int, str]]] = {}
        self._settled: dict[Family, _Settled] = {}

    def _channels(self) -> dict[Family, Channel]:
        kea = self._settings
        found: dict[Family, Channel] = {}
        for family, socket, url in ((4, kea.socket4, kea.url4), (6, kea.socket6, kea.url6)):
            if socket:
                found[family] = over_socket(family, socket)  # type: ignore[index,arg-type]
            elif url:
                password = self._secret(kea.credential)
                found[family] = over_http(family, url, password, kea.ca_file)  # type: ignore[index,arg-type]
        return found

    def _secret(self, name: str) -> Callable[[], str] | None:
        """Read when it is used, so that a new password needs no restart."""
        return partial(self._secrets.get, name) if name else None

    # ------------------------------------------------------------------ what it cannot do, and whether it could work

    def cannot(self) -> Sequence[str]:
        return checking.cannot(self._daemons, database=self._rows is not None)

    def check(self) -> Iterable[Finding]:
        for daemon in self._daemons:
            yield from checking.findings(daemon, self._rows.hosts.kind if self._rows is not None else '')
        if self._rows is not None:
            yield from self._rows.check()

    # ------------------------------------------------------------------ plan

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        about = view.about()
        server = about.boot_server_id if about else 0
        # In mode config the hosts are part of the whole.
        desired = self._deriver.desired(view, changed if self._rows is not None else None)
        problems: list[Problem] = []
        before = dict(self._settled)
        targets = {
            daemon.family: target for daemon in self._daemons if (target := self._target(daemon, desired, problems))
        }
        payload = _Payload(server=server)
        changes: list[Change] = []
        names: dict[int, str] = {}
        existing = sum(target.old.parts.count for target in targets.values())
        hosts = self._reserved(desired, targets, names, problems)
        try:
            if self._rows is None:
                in_config: dict[Family, dict[int, list[bytes]]] = {family: {} for family in targets}
                for found in hosts:
                    in_config[found.family].setdefault(found.subnet, []).append(reservation_json(found))
            else:
                in_config = {}
                payload.work, rows, there = self._rows.compare(
                    desired.machines, hosts, set(targets), server, names, problems
                )
                changes += rows
                existing += there
                for found in (*payload.work.add, *payload.work.change):
                    if found.address:
                        payload.claim(found.family, found.address, found.identifier.replace(':', ''))
        except (DatabaseError, SecretError) as error:
            raise ApplyError(f'{error} Hosts stay as they are.') from error
        for family, target in targets.items():
            settled = before.get(family)
            if settled is not None and settled.target is target and self._still_runs(target, problems):
                continue  # taken over from the last plan
            found_parts = parts(
                family, target.subnets, in_config.get(family, {}), self._classes, target.dialect, self._links()
            )
            made = self._document(target, found_parts)
            changes += self._changes(target, found_parts, made, names, problems, payload)
            if made.fingerprint != target.old.fingerprint:
                self._settled.pop(family, None)
        if self._leases_left(payload) and not changes:
            words = 'of others, at addresses that belong to machines of Substruct'
            changes.append(Change('change', 'leases', words, 'ended'))
        disruption = ', '.join(f'{daemon.name} reads its configuration anew' for daemon, _ in payload.pushes)
        return Plan(
            'dhcp',
            changes,
            existing,
            [*desired.problems, *problems],
            disruption,
            desired.machines is None,
            payload=payload,
        )

    def _leases_left(self, payload: _Payload) -> bool:
        """Adds the leases that an earlier plan was to end and did not, because somebody was killed or Kea did not run.
        Whether one of them can be ended now."""
        found: dict[str, dict[str, list[str]]] = json.loads(self._ledger.mark(_LEASES) or '{}')
        for daemon in self._daemons:
            mine = payload.claims.setdefault(daemon.family, {})
            for address, identifiers in found.get(str(daemon.family), {}).items():
                mine.setdefault(address, set(identifiers))
        return any(daemon.answers and found.get(str(daemon.family)) for daemon in self._daemons)

    def _note_leases(self, claims: Mapping[Family, Mapping[str, set[str]]]) -> None:
        found = {family: {address: sorted(who) for address, who in mine.items()} for family, mine in claims.items()}
        words = json.dumps({family: mine for family, mine in found.items() if mine})
        if words != (self._ledger.mark(_LEASES) or '{}'):
            self._ledger.write((), (), **{_LEASES: words})

    def _target(self, daemon: Daemon, desired: Desired, problems: list[Problem]) -> _Target | None:
        """None, and a problem, where the daemon's files do not let anything be planned: all stays as it is."""
        dialect = daemon.dialect()
        files = daemon.files()
        settled = self._settled.get(daemon.family)
        if (
            settled is not None
            and desired.machines is not None
            and settled.subnets is desired.subnets
            and (settled.files, settled.dialect) == (files, dialect)
        ):
            problems += settled.problems
            return settled.target
        self._settled.pop(daemon.family, None)
        try:
            base, old = daemon.base(), daemon.on_disk()
        except BaseError as error:
            problems.append(
                Problem('dhcp', 'service', 0, daemon.name, str(error), 'Nothing of it is changed till then.')
            )
            return None
        mine, _ = served(desired.subnets, base)
        words, refused = self._refusals(daemon, base, mine, dialect)
        if words:
            problems.append(Problem('dhcp', 'service', 0, daemon.name, words, 'Nothing of it is changed till then.'))
            return None
        mine, faults = served(desired.subnets, base, refused)
        faults += _base_limits(daemon, base)
        problems += faults
        target = _Target(daemon, base, old, dialect, mine)
        if self._rows is not None and daemon.answers:
            self._settled[daemon.family] = _Settled(desired.subnets, files, dialect, target, tuple(faults))
        return target

    def _still_runs(self, target: _Target, problems: list[Problem]) -> bool:
        """Whether a settled daemon runs what its file says, as far as can be seen."""
        try:
            return target.daemon.running() == target.old.fingerprint
        except ControlError as error:
            problems.append(Problem('dhcp', 'service', 0, target.daemon.name, str(error)))
            return True

    def _document(self, target: _Target, mine: Parts, without_hosts: bool = False) -> Document:
        return document(target.base, mine, self._extra(target.daemon, target.base), without_hosts)

    def _extra(self, daemon: Daemon, base: Base) -> dict[str, Any]:
        """What must stand in the configuration so that Substruct can work, where the hand-written part is silent."""
        extra: dict[str, Any] = {'ip-reservations-unique': False}
        if daemon.socket and 'control-sockets' not in base.section:
            extra['control-socket'] = {'socket-type': 'unix', 'socket-name': daemon.socket}
        if self._rows is not None and not {'hosts-database', 'hosts-databases'} & base.section.keys():
            password = self._secret(self._settings.database_credential)
            extra['hosts-database'] = hosts_database(self._settings.database_url, password() if password else '')
        return extra

    def _refusals(
        self, daemon: Daemon, base: Base, subnets: Mapping[int, Subnet], dialect: Dialect
    ) -> tuple[str, dict[int, str]]:
        """(why nothing can be planned or '', the subnets that Kea does not take and its words).

        Kea tests the configuration without hosts, and only if that has changed since it was found good; what it refuses
        is narrowed down to the subnets that it is about.
        """
        extra = self._extra(daemon, base)

        def skeleton(chosen: Mapping[int, Subnet], bare: bool = False) -> Document:
            mine = Parts(daemon.family)
            if not bare:
                mine = parts(daemon.family, chosen, {}, self._classes, dialect, self._links())
            return document(base, mine, extra, without_hosts=True)

        def words(chosen: Mapping[int, Subnet], bare: bool = False) -> str:
            return daemon.test(skeleton(chosen, bare).section)

        whole = skeleton(subnets)
        fingerprint = whole.fingerprint
        if self._good.get(daemon.family) == fingerprint:
            return '', {}
        if not daemon.answers:
            return '', {}  # whoever applies says so, and its program tests the file
        known = self._refused.get(daemon.family)
        if known and known[0] == fingerprint:
            return '', known[1]
        try:
            if not words(subnets):
                if said := daemon.unreadable(whole.content):
                    return f'{daemon.name} could not read its file when it starts: {said}', {}
                self._good[daemon.family] = fingerprint
                return '', {}
            if said := words({}, bare=True):
                return f'{daemon.name} does not take {base.where} even without Substruct: {said}', {}
            refused = dict(_narrowed(list(subnets), lambda ids: words({key: subnets[key] for key in ids})))
        except ControlError:
            return '', {}  # it has just gone away
        self._refused[daemon.family] = (fingerprint, refused)
        return '', refused

    def _links(self) -> dict[Network, str]:
        found: dict[Network, str] = {}
        if not self._settings.url6:
            with contextlib.suppress(OSError):  # no IPv6 here
                found |= local_links(_IF_INET6.read_text())
        found.update({ip_network(prefix): link for prefix, link in self._settings.links.items()})
        return found

    def _reserved(
        self, desired: Desired, targets: Mapping[Family, _Target], names: dict[int, str], problems: list[Problem]
    ) -> Iterator[Reservation]:
        """All that Kea must know of the hosts, each identifier once in each subnet."""
        seen: set[Key] = set()
        everywhere = self._settings.known_everywhere
        # One that Kea refuses would keep all others out of its configuration.
        by_hand = {family: frozenset(target.base.reserved()) for family, target in targets.items()}
        only_once = {family for family, target in targets.items() if target.base.addresses_are_unique}
        placed: set[tuple[Family, int, str]] = set()

        def problem(host: Host, message: str, remedy: str, severity: Severity = 'error') -> None:
            problems.append(Problem('dhcp', 'machine', host.machine, host.machine_name, message, remedy, severity))

        for host in desired.hosts:
            names[host.machine] = host.machine_name
            problems += unfit(host)
            for family, target in targets.items():
                for found in reservations(host, (family,), target.subnets, everywhere):
                    if not fits(found.kind, found.identifier):
                        continue
                    if found.key in seen:
                        if found.subnet != EVERYWHERE:
                            problem(
                                host,
                                f'{found.kind} {found.identifier} has two addresses in '
                                f'{target.subnets[found.subnet].prefix}; {found.address} is left out.',
                                'A DHCP client gets one address in each subnet.',
                            )
                        continue
                    seen.add(found.key)
                    named = KEA_NAMES[found.kind], found.identifier.replace(':', '')
                    if found.subnet == EVERYWHERE and named in by_hand[family]:
                        problem(
                            host,
                            f'{found.kind} {found.identifier} is reserved in {target.base.where} too, which holds '
                            f'where the machine has no address.',
                            'Take it out there.',
                            'warning',
                        )
                        continue
                    if found.address and family in only_once:
                        place = family, found.subnet, found.address
                        if place in placed:
                            problem(
                                host,
                                f'{found.kind} {found.identifier} cannot have {found.address} too, because '
                                f'"ip-reservations-unique" is true in {target.base.where}.',
                                'Set it to false, or leave the key out.',
                            )
                            found = replace(found, address='')
                        placed.add(place)
                    yield found

    def _changes(
        self, target: _Target, new: Parts, made: Document, names: Mapping[int, str], problems: list[Problem],
        payload: _Payload,
    ) -> Iterator[Change]:  # fmt: skip
        daemon = target.daemon
        running: str | None = None
        try:
            running = daemon.running()
        except ControlError as error:
            problems.append(Problem('dhcp', 'service', 0, daemon.name, str(error)))
        on_disk = target.old.fingerprint
        if made.fingerprint == on_disk and running in (made.fingerprint, None):
            return
        payload.pushes.append((daemon, made))
        found = False
        for difference in differences(target.old.parts, new):
            found = True
            if claimed := claim(difference):
                payload.claim(daemon.family, *claimed)
            yield _change(daemon, difference, names)
        if not found:
            if on_disk != made.fingerprint:
                before = f'as written to {daemon.output}' if on_disk else 'without Substruct'
                after = f'with what {target.base.where} says now'
            else:
                before, after = 'it runs another configuration', f'as written to {daemon.output}'
            yield Change('change', f'configuration of {daemon.name}', before, after)

    # ------------------------------------------------------------------ apply

    def apply(self, plan: Plan) -> None:
        payload = plan.payload
        if not isinstance(payload, _Payload):
            raise ApplyError('This plan was not made by Kea.')
        self._note_leases(payload.claims)
        failed: list[str] = []
        for daemon, made in payload.pushes:
            try:
                daemon.push(made)
            except ApplyError as error:
                failed.append(str(error))
        # Hosts are served from the tables whatever became of the configuration.
        if (
            self._rows is not None
            and payload.work is not None
            and (payload.work.remove or payload.work.change or payload.work.add)
        ):
            try:
                self._rows.write(payload.work, payload.server)
            except (DatabaseError, SecretError) as error:
                failed.append(f'{error} No host was changed.')
        if failed:
            raise ApplyError(' '.join(failed))
        left = dict(payload.claims)
        for daemon in self._daemons:
            try:
                daemon.free(payload.claims.get(daemon.family, {}))
            except ControlError as error:
                # What was planned is in force; these are for the next plan.
                log.warning('leases of others were left', daemon=daemon.name, reason=str(error))
            else:
                left.pop(daemon.family, None)
        self._note_leases(left)

    def retry(self) -> None:
        for daemon in self._daemons:
            daemon.patience.forget()

    # ------------------------------------------------------------------ verify

    def verify(self, view: View) -> Iterable[Problem]:
        for daemon in self._daemons:
            try:
                on_disk = daemon.on_disk()
                if not on_disk.fingerprint:
                    continue  # nothing was applied so far
                running = daemon.running()
                sockets = daemon.channel.status().sockets
            except (BaseError, ControlError) as error:
                yield Problem('dhcp', 'service', 0, daemon.name, str(error))
                continue
            if sockets.status != 'ready':
                yield Problem(
                    'dhcp',
                    'service',
                    0,
                    daemon.name,
                    f'it cannot listen for clients ({sockets.status}): {"; ".join(sockets.errors)[:500]}',
                    'Look at "interfaces-config", and whether the interfaces are there and up.',
                )
            if on_disk.touched:
                yield Problem(
                    'dhcp', 'service', 0, daemon.name, f'{daemon.output} was changed by somebody.',
                    'It is put right with the next plan. Write into the hand-written part.',
                )  # fmt: skip
            elif running != on_disk.fingerprint:
                yield Problem(
                    'dhcp', 'service', 0, daemon.name,
                    'it runs another configuration than the one that Substruct has given it: it was started with '
                    'another file, or somebody else configures it.',
                    f'It is given {daemon.output} again. Let it start with that file.',
                )  # fmt: skip
        if self._rows is not None:
            about = view.about()
            yield from self._rows.verify(about.boot_server_id if about else 0)


def _change(daemon: Daemon, difference: Difference, names: Mapping[int, str]) -> Change:
    operation = 'add' if not difference.before else 'change' if difference.after else 'remove'
    return Change(
        operation,  # type: ignore[arg-type]
        f'{difference.what}{daemon.family} {difference.name}',
        difference.before.decode(),
        difference.after.decode(),
        names.get(difference.object, '') if difference.what == 'host' else '',
    )


def _narrowed(ids: list[int], words: Any) -> Iterator[tuple[int, str]]:
    """(id, Kea's words) of those that Kea refuses, asked for ever smaller parts of them."""
    if not ids:
        return
    said = words(ids)
    if not said:
        return
    if len(ids) == 1:
        yield ids[0], said
        return
    middle = len(ids) // 2
    yield from _narrowed(ids[:middle], words)
    yield from _narrowed(ids[middle:], words)


def _base_limits(daemon: Daemon, base: Base) -> Iterator[Problem]:
    """What the hand-written part says that keeps some hosts from being served."""
    known = base.section.get('host-reservation-identifiers')
    if isinstance(known, list):
        lacking = [KEA_NAMES[kind] for kind in KINDS[daemon.family] if KEA_NAMES[kind] not in known]
        if lacking:
            yield Problem(
                'dhcp', 'service', 0, daemon.name,
                f'"host-reservation-identifiers" in {base.where} does not name {", ".join(lacking)}: hosts known only '
                f'by these are not recognised.',
                'Add them, or leave the key out.', 'warning',
            )  # fmt: skip
    if base.addresses_are_unique:
        yield Problem(
            'dhcp', 'service', 0, daemon.name,
            f'"ip-reservations-unique" is true in {base.where}: the members of a bond cannot share an address.',
            'Set it to false, or leave the key out.', 'warning',
        )  # fmt: skip
