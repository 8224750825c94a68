"""The service 'dns': every zone of the feed, kept by the update method that NetBox names for it.

Plans compare what the records of the feed derive to (derive.py) with what the ledger says that we made, or with the
zone file that we wrote.  A zone that cannot be kept does not hold up the others.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from ..desired import Record, Zone
from ..files import write_atomically
from ..ledger import Ledger
from ..plan import Change, Plan, Problem
from ..secrets import SecretError, Secrets
from ..service import ApplyError, Finding
from ..settings import Dns as DnsSettings
from ..settings import Settings
from ..state import Changed, View
from . import zonefile
from .derive import SERVICE, Candidate, Content, Derived, RRset, contents, decide, delegation, lines_of, places
from .keeper import Entry, Keeper, Op, Place, Refused, Server, Unreachable, entry_of
from .powerdns import PowerDns
from .presentation import Unusable, is_name, line, plain, shown
from .rfc2136 import DnsServer, address_of
from .tsig import InvalidKey, parse_key

log: Any = structlog.get_logger('dns')

# How many of our records, and of those that could not be made, are asked for at each `verify`, for each zone.
SAMPLE = 20
# The most lines of drift that are told one by one.
TOLD = 100

_LEDGERED = ('rfc2136', 'powerdns')


class Unset(ValueError):
    """A zone cannot be kept as NetBox and the settings have it: message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class FilePlan(NamedTuple):
    """A zone file that is to be written (or, with the digest of the old one, loaded again)."""

    zone: Zone
    body: str
    digest: str
    include: Path | None
    write: bool


@dataclass(slots=True)
class Payload:
    """What a plan hands to `apply`."""

    ops: dict[Place, list[Op]] = field(default_factory=dict)
    files: list[FilePlan] = field(default_factory=list)
    zones: dict[Place, Zone] = field(default_factory=dict)
    left: list[Place] = field(default_factory=list)


class Blocked(NamedTuple):
    """What could not be made at a name, and what was wanted there."""

    after: Content
    problems: list[Problem]


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'Dns':
    return Dns(settings.dns, secrets, ledger)


class Dns:
    """`clock` gives the time in seconds since 1970, for the first serial number of a zone file."""

    name = SERVICE

    def __init__(
        self, settings: DnsSettings, secrets: Secrets, ledger: Ledger, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._ledger = ledger
        self._clock = clock
        self._methods: frozenset[str] = frozenset()
        self._zones: list[Zone] = []
        self._primed = False
        self._blocked: dict[tuple[Place, str], Blocked] = {}
        self._untold: set[tuple[Place, str]] = set()
        self._again: set[tuple[Place, str]] = set()
        self._reload: set[int] = set()
        self._sampled: dict[Place, str] = {}
        self._compared: dict[Place, tuple[int, float]] = {}

    @property
    def backend(self) -> str:
        return ', '.join(sorted(self._methods)) or 'none'

    def cannot(self) -> Sequence[str]:
        found = [
            'DNS does not create zones at name servers, but for PowerDNS where dns.powerdns.create_zones is set.',
            'A classless reverse zone (RFC 2317) needs CNAME records in the zone around it, which are not made.',
            'Zones are not signed here: let the name server sign them (DNSSEC).',
        ]
        if not self._settings.rfc2136.marker or not self._settings.powerdns.marker:
            found.append(
                'Without a marker, a record that somebody else makes exactly like ours, in the moment in which an '
                'update is cut short, is taken for ours.'
            )
        if 'powerdns' in self._methods:
            found.append('The API of PowerDNS has no conditions: two who change one set at once may lose a change.')
        if 'zonefile' in self._methods:
            found.append('Zone files are whole zones: records of others belong in the .include file beside them.')
        return found

    # ------------------------------------------------------------------ plan

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        self._zones = zones = list(view.objects('zone'))
        self._methods = frozenset(zone.update_method for zone in zones)
        whole = (
            changed is None
            or not self._primed
            or bool(changed.of('zone'))
            or bool(self._again or self._reload)
            or ('zonefile' in self._methods and bool(changed.of('record')))
        )
        if whole:
            return self._plan_everything(view, zones)
        assert changed is not None
        return self._plan_some(view, zones, changed.of('record'))

    def _plan_everything(self, view: View, zones: list[Zone]) -> Plan:
        build = _Building(self)
        derived = Derived(zones).add(view.objects('record'))
        build.problems.extend(derived.problems)
        by_place: dict[str, tuple[Place, Zone]] = {}
        for zone in zones:
            place = self._place_or_problem(zone, build)
            if place is None:
                continue
            if place.method == 'zonefile':
                self._plan_file(zone, derived, build)
            elif str(place) in by_place:
                build.problems.append(_zone_problem(zone, 'Another zone has the same name and server.', 'Remove one.'))
            else:
                by_place[str(place)] = (place, zone)
                build.payload.zones[place] = zone
        pending = self._pending()
        existing = 0
        for (text, name), group in groupby(self._entries(), lambda entry: (entry.place, entry.name)):
            entries = list(group)
            existing += len(entries)
            found = by_place.get(text)
            if found is None:
                self._leave(Place.parse(text), name, entries, build)
                continue
            place, zone = found
            candidates = derived.names[zone.id].pop(name, None)
            if candidates is not None and len(candidates) == 1 == len(entries):
                one, entry = candidates[0], entries[0]
                if (
                    (one.type, one.value, one.ttl, f'record {one.record}')
                    == (entry.type, entry.value, entry.ttl, entry.object)
                    and (place, name) not in self._again
                    and (text, name) not in pending
                ):  # fmt: skip
                    continue
            self._compare(place, zone, name, entries, candidates or [], pending, build)
        for place, zone in by_place.values():
            for name, candidates in derived.names[zone.id].items():
                self._compare(place, zone, name, [], candidates, pending, build)
        for text, name in sorted(pending):
            if text in by_place:
                self._compare(*by_place[text], name, [], [], pending, build)
            else:
                self._leave(Place.parse(text), name, [], build)
        self._plan_places(by_place, build)
        self._primed = True
        existing += build.lines
        current = set(build.seen)
        self._blocked = {key: found for key, found in self._blocked.items() if key in current}
        return Plan(
            SERVICE, build.changes, existing, build.problems, build.disruption, True, frozenset(), build.payload
        )

    def _plan_some(self, view: View, zones: list[Zone], ids: frozenset[int]) -> Plan:
        """What follows from some records, and from those that share a name or an address with them."""
        build = _Building(self)
        by_place: dict[str, tuple[Place, Zone]] = {}
        for zone in zones:
            if (place := self._place_or_problem(zone, build)) is not None and place.method in _LEDGERED:
                by_place[str(place)] = (place, zone)
                build.payload.zones[place] = zone
        build.problems.clear()  # those of zones are known from the plan before
        names = {entry_of(*row).name for row in self._ledger.entries_of(f'record {key}' for key in ids)}
        names |= self._names_of(zones, view.objects('record', ids))
        involved = ids | view.records_at(places(names))
        names |= self._names_of(zones, view.objects('record', involved))
        derived = Derived(zones).add(view.objects('record', view.records_at(places(names)) | involved))
        build.problems.extend(derived.problems)
        pending = self._pending()
        for text, (place, zone) in by_place.items():
            for name in sorted(names | {name for where, name in pending if where == text}):
                entries = [entry_of(*row) for row in self._ledger.under(f'{text} {name} ')]
                candidates = derived.names[zone.id].get(name, [])
                if entries or candidates or (text, name) in pending:
                    self._compare(place, zone, name, entries, candidates, pending, build)
        build.problems = [p for p in build.problems if p.id in involved]
        looked_at = frozenset(('record', key) for key in involved)
        return Plan(SERVICE, build.changes, self._ledger.count(), build.problems, '', False, looked_at, build.payload)

    def _names_of(self, zones: Iterable[Zone], records: Iterable[Record]) -> set[str]:
        derived = Derived(zones).add(records)
        return {name for names in derived.names.values() for name in names}

    def _entries(self) -> Iterator[Entry]:
        for method in sorted(_LEDGERED):
            for row in self._ledger.under(f'{method} '):
                yield entry_of(*row)

    def _pending(self) -> set[tuple[str, str]]:
        """(place, name) of everything in updates whose answer never came."""
        found: set[tuple[str, str]] = set()
        for key, _, value in self._ledger.under('intent '):
            place = key.removeprefix('intent ')
            found.update((place, name) for name in Keeper.names_in(value))
            found.add((place, place.split(' ')[2]))  # an update without names still has to be settled
        return found

    def _place_or_problem(self, zone: Zone, build: '_Building') -> Place | None:
        try:
            return self.place_of(zone)
        except Unset as error:
            build.problems.append(_zone_problem(zone, str(error), error.remedy))
            return None

    def place_of(self, zone: Zone) -> Place:
        """Where a zone is kept.  Raises Unset."""
        settings = self._settings
        name = plain(zone.name)
        if not is_name(name):
            raise Unset(f'"{name[:100]}" is no name of a zone.', 'Correct it in NetBox.')
        if zone.update_method == 'zonefile':
            if not settings.zonefile.directory:
                raise Unset('There is no folder for zone files.', 'Set dns.zonefile.directory.')
            return Place('zonefile', settings.zonefile.directory, name)
        if zone.update_method == 'rfc2136':
            server = zone.server or settings.rfc2136.server
            if not server:
                raise Unset('It names no name server.', 'Give the zone a server in NetBox, or set dns.rfc2136.server.')
            try:
                address_of(server)
            except ValueError as error:
                raise Unset(str(error), 'Correct the zone’s server in NetBox.') from None
            return Place('rfc2136', server.strip(), name)
        if zone.update_method == 'powerdns':
            url = _url(zone.server) if zone.server else settings.powerdns.url.rstrip('/')
            if any(c.isspace() for c in url):
                raise Unset(f'"{url}" is no server.', 'Correct the zone’s server in NetBox.')
            if not url:
                raise Unset('It names no API.', 'Give the zone a server in NetBox, or set dns.powerdns.url.')
            return Place('powerdns', url, name)
        raise Unset(
            f'Its update method "{zone.update_method}" is not known here.', 'Choose another, or update the sidecar.'
        )

    def _compare(
        self, place: Place, zone: Zone, name: str, entries: list[Entry], candidates: list[Candidate],
        pending: set[tuple[str, str]], build: '_Building',
    ) -> None:  # fmt: skip
        """Plan one name."""
        key = (place, name)
        build.seen.append(key)
        content: Content = {}
        if candidates:
            content, problems = decide(zone, name, candidates)
            build.problems.extend(problems)
            content = self._without_apex(zone, name, content, build)
        doubtful = (str(place), name) in pending
        pending.discard((str(place), name))
        careful = key in self._again
        before = _content_of(entries)
        blocked = self._blocked.get(key)
        if blocked is not None and not careful:
            if blocked.after == content:
                build.problems.extend(blocked.problems)
                self._untold.discard(key)
                if not doubtful:
                    return
            else:
                del self._blocked[key]
        changes = list(_changes(name, before, content, careful or doubtful))
        if not changes:
            return
        build.changes.extend(changes)
        build.payload.ops.setdefault(place, []).append(Op(name, content, careful))

    def _without_apex(self, zone: Zone, name: str, content: Content, build: '_Building') -> Content:
        """A zone's own NS records stay with its server, which has others than NetBox may know."""
        if name != plain(zone.name) or 'NS' not in content:
            return content
        for value, record in content['NS'].values.items():
            build.problems.append(
                Problem(
                    SERVICE, 'record', record, name, f'NS {value} is not made: the zone’s own NS records stay as its '
                    f'name server has them.', 'Set them there, and name them in the zone’s name servers in NetBox.',
                    'warning',
                )
            )  # fmt: skip
        return {type_: rrset for type_, rrset in content.items() if type_ != 'NS'}

    def _leave(self, place: Place, name: str, entries: list[Entry], build: '_Building') -> None:
        """What we made where nothing is to be any more: the zone has gone, or is kept elsewhere now."""
        forgotten = ' (given up: dns.forget names the server)' if place.server in self._settings.forget else ''
        for type_, rrset in _content_of(entries).items():
            build.changes.append(
                Change('remove', f'{shown(name)} {type_} at {place.server}', _text(name, type_, rrset), forgotten)
            )
        build.payload.ops.setdefault(place, []).append(Op(name, {}))

    def _plan_places(self, by_place: dict[str, tuple[Place, Zone]], build: '_Building') -> None:
        for key, _, _ in self._ledger.under('place '):
            text = key.removeprefix('place ')
            if text not in by_place:
                place = Place.parse(text)
                build.payload.left.append(place)
                build.changes.append(
                    Change('remove', f'zone {place.zone} at {place.server}', 'what Substruct keeps there')
                )
        files = {key for key, _, _ in self._ledger.under('file ')}
        for zone in self._zones:
            files.discard(f'file {plain(zone.name)}' if zone.update_method == 'zonefile' else '')
        for key in sorted(files):
            row = self._ledger.get(key)
            path = Path(row[1]) if row else Path()
            if path.exists():
                build.problems.append(
                    Problem(
                        SERVICE, 'zone', int((row or ('zone 0', ''))[0].split()[1]), key.removeprefix('file '),
                        f'It is no longer kept here, but its file {path} is still there.',
                        'Remove the zone from the name server’s configuration, then the file.', 'warning',
                    )
                )  # fmt: skip

    # ------------------------------------------------------------------ zone files

    def _plan_file(self, zone: Zone, derived: Derived, build: '_Building') -> None:
        directory = Path(self._settings.zonefile.directory)
        path = directory / zonefile.file_name(zone.name)
        include = zonefile.include_path(directory, zone.name)
        lines: list[str] = []
        for name, content, problems in contents(derived, zone.id):
            build.problems.extend(problems)
            lines.extend(lines_of(name, content))
        try:
            body = zonefile.body_of(zone, lines)
            extra = include.read_bytes() if include.exists() else None
            digest = zonefile.digest_of(zone, body, extra)
            old = zonefile.read(path)
        except Unusable as error:
            build.problems.append(_zone_problem(zone, str(error), 'Correct the zone in NetBox.'))
            return
        except zonefile.FileError as error:
            build.problems.append(_zone_problem(zone, str(error), ''))
            return
        except OSError as error:
            build.problems.append(_zone_problem(zone, f'{include} cannot be read ({error.strerror}).', ''))
            return
        build.lines += old.body.count('\n') if old else 0
        loaded = self._ledger.mark(f'loaded {plain(zone.name)}')
        label = f'zone {plain(zone.name)}'
        if old is None or old.digest != digest or not old.intact:
            before = len(build.changes)
            build.changes.extend(_file_changes(zone, old.body if old else '', body))
            if len(build.changes) == before:
                what = 'SOA or included records' if old and old.intact else 'edited by hand: written anew'
                build.changes.append(Change('change', label, after=what))
            build.payload.files.append(FilePlan(zone, body, digest, include if extra is not None else None, True))
        elif loaded != str(old.serial) or zone.id in self._reload:
            build.changes.append(Change('change', label, after=f'; loaded again (serial {old.serial})'))
            build.payload.files.append(FilePlan(zone, body, digest, include if extra is not None else None, False))

    def _commands(self, zone: Zone) -> zonefile.Commands:
        settings = self._settings.zonefile
        server = zone.server or settings.server

        def serial() -> int | None:
            if not server:
                return None
            asked = DnsServer(server, zone.name, None, self._settings.rfc2136.timeout)
            try:
                return asked.serial()
            except (Refused, Unreachable) as error:
                raise zonefile.FileError(f'Its serial number cannot be asked for: {error}') from error
            finally:
                asked.close()

        return zonefile.Commands(settings.check, settings.reload, serial, settings.timeout, settings.patience)

    def _publish(self, wanted: FilePlan) -> None:
        zone = wanted.zone
        name = plain(zone.name)
        directory = Path(self._settings.zonefile.directory)
        path = directory / zonefile.file_name(zone.name)
        commands = self._commands(zone)
        old = zonefile.read(path)
        if not wanted.write:
            assert old is not None
            commands.reloaded(name, old.serial)
            self._ledger.write((), (), **{f'loaded {name}': str(old.serial)})
            return
        noted = self._ledger.mark(f'serial {name}')
        try:
            served = commands.serial()
        except zonefile.FileError:
            served = None  # it may not have the zone yet
        known = (old.serial if old else None, int(noted) if noted else None, served)
        serial = zonefile.next_serial(known, self._clock())
        # Before anybody can see it: a serial number that was once out is never given again.
        self._ledger.write([(f'file {name}', f'zone {zone.id}', str(path))], (), **{f'serial {name}': str(serial)})
        text = zonefile.text_of(zone, wanted.body, serial, wanted.digest, wanted.include)
        zonefile.publish(path, text, name, serial, commands)
        self._ledger.write((), (), **{f'loaded {name}': str(serial)})

    # ------------------------------------------------------------------ apply

    def apply(self, plan: Plan) -> None:
        payload: Payload = plan.payload
        failures: list[str] = []
        dead: dict[tuple[str, str], str] = {}
        done = 0
        for place in dict.fromkeys([*payload.ops, *payload.left]):
            ops = payload.ops.get(place, [])
            if place.server in self._settings.forget and place in payload.left:
                self._forget(place)
                continue
            if reason := dead.get((place.method, place.server)):
                failures.append(f'{place.zone}: {reason}')
                continue
            try:
                self._keep(place, ops, payload)
                done += 1
            except Unreachable as error:
                dead[(place.method, place.server)] = str(error)
                failures.append(_failure(place, error, payload))
            except (Refused, Unset, SecretError, InvalidKey) as error:
                failures.append(_failure(place, error, payload))
        for wanted in payload.files:
            try:
                self._publish(wanted)
                self._reload.discard(wanted.zone.id)
                done += 1
            except (zonefile.FileError, Unusable) as error:
                failures.append(f'{plain(wanted.zone.name)}: {error}')
        if failures:
            more = f' (and {len(failures) - 10} zones more)' if len(failures) > 10 else ''
            raise ApplyError(
                f'{len(failures)} of {len(failures) + done} zones could not be brought up to date, and are as they '
                f'were: {" | ".join(failures[:10])}{more}'
            )

    def _keep(self, place: Place, ops: list[Op], payload: Payload) -> None:
        zone = payload.zones.get(place)
        credential = self._credential(place, zone)
        server = self._server(place, credential)
        try:
            if self._ledger.get(f'place {place}') != (f'zone {zone.id if zone else 0}', credential) and zone:
                self._ledger.write([(f'place {place}', f'zone {zone.id}', credential)])
            if zone is not None and isinstance(server, PowerDns):
                self._create(server, zone)
            keeper = self._keeper(place, server)
            blocked = keeper.apply(ops)
            if place in payload.left:
                keeper.release()
        finally:
            server.close()
        for op in ops:
            key = (place, op.name)
            self._again.discard(key)
            if op.name in blocked:
                self._blocked[key] = Blocked(op.after, list(dict.fromkeys(blocked[op.name])))
                self._untold.add(key)
            else:
                self._blocked.pop(key, None)
                self._untold.discard(key)

    def _create(self, server: PowerDns, zone: Zone) -> None:
        if not self._settings.powerdns.create_zones or server.exists():
            return
        try:
            soa, _ = zonefile.soa(zone, zonefile.next_serial((), self._clock())), zonefile.apex(zone)
        except Unusable as error:
            raise Refused(f'It cannot be created: {error}') from None
        server.create(zone.name_servers, self._settings.powerdns.kind, soa, zone.ttl)
        log.info('zone created', zone=zone.name, server=server.url)

    def _forget(self, place: Place) -> None:
        """Give up what was made at a server that is gone for good."""
        keys = [key for key, _, _ in self._ledger.under(f'{place} ')]
        self._ledger.write(remove=[*keys, f'intent {place}', f'place {place}'])

    def _credential(self, place: Place, zone: Zone | None) -> str:
        """The name of the secret; that of the last time where the zone has gone."""
        if zone is not None:
            section = self._settings.rfc2136 if place.method == 'rfc2136' else self._settings.powerdns
            return zone.credential or section.credential
        row = self._ledger.get(f'place {place}')
        return row[1] if row else ''

    def _server(self, place: Place, credential: str) -> Server:
        if place.method == 'rfc2136':
            key = parse_key(self._secrets.get(credential), credential) if credential else None
            return DnsServer(place.server, place.zone, key, self._settings.rfc2136.timeout)
        settings = self._settings.powerdns
        if not credential:
            raise Unset('It names no API key.', '')
        key_text = self._secrets.get(credential).strip()
        return PowerDns(place.server, settings.server_id, place.zone, key_text, settings.timeout)

    def _keeper(self, place: Place, server: Server) -> Keeper:
        section = self._settings.rfc2136 if place.method == 'rfc2136' else self._settings.powerdns
        adopt = place.zone in (plain(name) for name in self._settings.adopt)
        return Keeper(self._ledger, place, server, section.marker, adopt=adopt)

    # ------------------------------------------------------------------ verify

    def verify(self, view: View) -> Iterable[Problem]:
        for zone in view.objects('zone'):
            try:
                place = self.place_of(zone)
            except Unset:
                continue  # the plan says so
            if place.method == 'zonefile':
                yield from self._verify_file(zone)
                continue
            try:
                server = self._server(place, self._credential(place, zone))
            except (Unset, SecretError, InvalidKey) as error:
                yield _zone_problem(zone, str(error), '')
                continue
            try:
                yield from self._verify_zone(place, server)
            except (Refused, Unreachable) as error:
                yield _zone_problem(zone, str(error), '')
            finally:
                server.close()
        for key in sorted(self._untold):
            if found := self._blocked.get(key):
                yield from found.problems
        self._untold.clear()

    def _verify_zone(self, place: Place, server: Server) -> Iterator[Problem]:
        serial = server.serial()
        keeper = self._keeper(place, server)
        missing: list[Entry] = []
        now = time.monotonic()
        compared, at = self._compared.get(place, (-1, float('-inf')))
        settings = self._settings.rfc2136
        if compared == serial:
            pass  # nobody has changed anything since everything was compared
        elif settings.transfer and now - at >= settings.transfer_interval:
            try:
                missing = self._missing(place, server.everything())
            except Refused:
                missing = self._missing_of_some(place, server)
                serial = -1
            self._compared[place] = (serial, now)
        else:
            missing = self._missing_of_some(place, server)
        for entry in missing[:TOLD]:
            yield Problem(
                SERVICE, 'record', int(entry.object.split()[1]), entry.name,
                f'{entry.type} {entry.value} was removed or changed at {place.server} by somebody else.',
                'It is made again.', 'warning',
            )  # fmt: skip
        self._again.update((place, entry.name) for entry in missing)
        waiting = [key for key in self._blocked if key[0] == place and key not in self._untold]
        for key in waiting[:SAMPLE]:
            found = self._blocked.pop(key)
            if keeper.look(Op(key[1], found.after)).problems:
                self._blocked[key] = found  # at the end: the others have their turn
                continue
            self._again.add(key)
            yield Problem(
                SERVICE, 'record', found.problems[0].id, key[1], 'What stood in its way has gone.', 'It is made now.',
                'warning',
            )  # fmt: skip

    def _missing(self, place: Place, there: Iterable[tuple[str, str, int, str]]) -> list[Entry]:
        ours = {(e.name, e.type, e.value): e for row in self._ledger.under(f'{place} ') if (e := entry_of(*row))}
        for name, type_, ttl, value in there:
            entry = ours.get((name, type_, value))
            if entry is not None and (entry.ttl == ttl or place.method == 'powerdns'):
                del ours[(name, type_, value)]
        return list(ours.values())

    def _missing_of_some(self, place: Place, server: Server) -> list[Entry]:
        """Of the next few of our records, those that are not there: in the course of time it is the turn of all."""
        rows = list(islice(self._ledger.under(f'{place} ', self._sampled.get(place, '')), SAMPLE))
        self._sampled[place] = rows[-1][0] if len(rows) == SAMPLE else ''
        entries = [entry_of(*row) for row in rows]
        wanted: dict[str, set[str]] = {}
        for entry in entries:
            wanted.setdefault(entry.name, set()).add(entry.type)
        found = server.read(wanted)
        return [
            entry
            for entry in entries
            if entry.value not in found.get(entry.name, {}).get(entry.type, (0, frozenset()))[1]
        ]

    def _verify_file(self, zone: Zone) -> Iterator[Problem]:
        path = Path(self._settings.zonefile.directory) / zonefile.file_name(zone.name)
        try:
            file = zonefile.read(path)
            if file is None or self._ledger.mark(f'loaded {plain(zone.name)}') is None:
                return  # the plan makes it
            if not file.intact:
                yield _zone_problem(zone, f'{path} was edited by hand.', 'It is written anew.', 'warning')
            served = self._commands(zone).serial()
        except zonefile.FileError as error:
            self._reload.add(zone.id)
            yield _zone_problem(zone, str(error), 'Look into the name server’s log and configuration.')
            return
        if served is not None and served != file.serial:
            self._reload.add(zone.id)
            yield _zone_problem(
                zone, f'Serial {served} is served instead of {file.serial}.', 'It is loaded again.', 'warning'
            )

    # ------------------------------------------------------------------ check

    def check(self) -> Iterable[Finding]:
        """Looks at the zones of the last plan; before the first, only at the settings."""
        settings = self._settings
        if settings.zonefile.directory:
            yield from self._check_files()
        for name, credential in (('rfc2136', settings.rfc2136.credential), ('powerdns', settings.powerdns.credential)):
            if credential:
                try:
                    secret = self._secrets.get(credential)
                    if name == 'rfc2136':
                        parse_key(secret, credential)
                    yield Finding(f'dns {name}', 'ok', f'The secret "{credential}" can be read.')
                except (SecretError, InvalidKey) as error:
                    yield Finding(f'dns {name}', 'error', str(error))
        for zone in self._zones:
            yield from self.check_zone(zone)

    def check_zone(self, zone: Zone) -> Iterator[Finding]:
        part = f'zone {plain(zone.name)}'
        try:
            place = self.place_of(zone)
            if place.method == 'zonefile':
                zonefile.apex(zone)
                zonefile.soa(zone, 1)
            else:
                server = self._server(place, self._credential(place, zone))
                try:
                    yield Finding(part, 'ok', f'{place.server} has it, with serial {server.serial()}.')
                    if isinstance(server, PowerDns) and not server.counts_up():
                        yield Finding(
                            part,
                            'warning',
                            'Its serial number stays the same, so secondaries hear of no change.',
                            f'pdnsutil set-meta {place.zone} SOA-EDIT-API DEFAULT',
                        )
                finally:
                    server.close()
        except (Unset, SecretError, InvalidKey, Unusable, Refused, Unreachable) as error:
            yield Finding(part, 'error', str(error), getattr(error, 'remedy', ''))
        if lines := delegation(zone):
            yield Finding(part, 'ok', f'The zone around it must hold: {"; ".join(lines)}')

    def _check_files(self) -> Iterator[Finding]:
        settings = self._settings.zonefile
        directory = Path(settings.directory)
        try:
            write_atomically(directory / '.substruct-check', b'')
            os.unlink(directory / '.substruct-check')
            yield Finding('dns zonefile', 'ok', f'Zone files can be written to {directory}.')
        except OSError as error:
            yield Finding(
                'dns zonefile', 'error', f'{directory}: {error.strerror}.', 'Make the folder, writable by the sidecar.'
            )
        for what, command in (('check', settings.check), ('reload', settings.reload)):
            if command and shutil.which(command[0]) is None:
                yield Finding(
                    'dns zonefile', 'error', f'There is no {command[0]}.', f'Install it, or set dns.zonefile.{what}.'
                )
        if not settings.reload:
            yield Finding('dns zonefile', 'warning', 'No name server is told of new files.', 'Set dns.zonefile.reload.')


class _Building:
    """What a plan is made of while it is being made."""

    def __init__(self, service: Dns) -> None:
        self.changes: list[Change] = []
        self.problems: list[Problem] = []
        self.payload = Payload()
        self.seen: list[tuple[Place, str]] = []
        self.lines = 0
        self.disruption = ''


def _failure(place: Place, error: Exception, payload: Payload) -> str:
    left = f' (It is no longer kept there; if {place.server} is gone for good, name it in dns.forget.)'
    return f'{place.zone}: {error}{left if place in payload.left else ""}'


def _zone_problem(zone: Zone, message: str, remedy: str, severity: Any = 'error') -> Problem:
    return Problem(SERVICE, 'zone', zone.id, plain(zone.name), message, remedy, severity)


def _url(server: str) -> str:
    if server.startswith(('http://', 'https://')):
        return server.rstrip('/')
    host, port = (server, '8081') if ':' not in server else server.rsplit(':', 1)
    return f'http://{host}:{port}'


def _content_of(entries: Iterable[Entry]) -> Content:
    content: Content = {}
    for entry in entries:
        record = int(entry.object.split()[1])
        found = content.get(entry.type)
        if found is None:
            content[entry.type] = RRset(entry.ttl, {entry.value: record})
        else:
            found.values[entry.value] = record
    return content


def _text(name: str, type_: str, rrset: RRset) -> str:
    return '\n'.join(line(name, rrset.ttl, type_, value) for value in rrset.values)


def _changes(name: str, before: Content, after: Content, anyway: bool) -> Iterator[Change]:
    """The differences at one name, set by set; with `anyway`, one at least."""
    different = False
    for type_ in sorted(before.keys() | after.keys()):
        old, new = before.get(type_), after.get(type_)
        if old == new:
            continue
        different = True
        key = f'{shown(name)} {type_}'
        if old is None and new is not None:
            yield Change('add', key, '', _text(name, type_, new))
        elif new is None and old is not None:
            yield Change('remove', key, _text(name, type_, old), '')
        elif old is not None and new is not None:
            was, will = _text(name, type_, old), _text(name, type_, new)
            if was == will:
                was, will = f'; for record {_ids(old)}', f'; for record {_ids(new)}'
            yield Change('change', key, was, will)
    if anyway and not different:
        yield Change(
            'change',
            shown(name),
            '; an update was cut short here, or somebody changed it',
            '\n'.join(lines_of(name, after)) or '; nothing',
        )


def _ids(rrset: RRset) -> str:
    return ', '.join(str(record) for record in sorted(rrset.values.values()))


def _file_changes(zone: Zone, old: str, new: str) -> Iterator[Change]:
    before = dict[str, list[str]]()
    after = dict[str, list[str]]()
    was, will = set(old.splitlines()), set(new.splitlines())
    for lines, found in ((was - will, before), (will - was, after)):
        for key, text in zonefile.records_in('\n'.join(sorted(lines))):
            found.setdefault(key, []).append(text)
    for key in sorted(before.keys() | after.keys()):
        gone, come = '\n'.join(before.get(key, ())), '\n'.join(after.get(key, ()))
        yield Change('change' if gone and come else 'remove' if gone else 'add', key, gone, come)
