"""The service 'dns': every zone of the feed, kept by the update method that NetBox names for it.

Plans compare what the records of the feed derive to (derive.py) with what the ledger says that we made, or with the
zone file that we wrote.  A zone that cannot be kept does not hold up the others.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import structlog

from ..desired import Record, Zone
from ..ledger import Ledger
from ..plan import Change, Plan, Problem
from ..secrets import SecretError, Secrets
from ..service import ApplyError, Finding
from ..settings import Dns as DnsSettings
from ..settings import Settings
from ..state import Changed, View
from . import zonefile
from .access import Access, Unset
from .building import Building, Payload, changes_at, content_of, text_of, zone_problem
from .derive import SERVICE, Candidate, Content, Derived, decide, delegation, places
from .drift import SAMPLE, Drift
from .files import ZoneFiles
from .keeper import Entry, Keeper, Op, Place, entry_of
from .powerdns import PowerDns
from .presentation import Unusable, plain, shown
from .server import Refused, Server, Unreachable
from .tsig import InvalidKey, parse_key

log: Any = structlog.get_logger('dns')

# Seconds before what a server has refused is tried again.
REFUSED_AGAIN = 900.0
# The most lines of drift that are told one by one.
TOLD = 100

EXPECTED = (Refused, Unreachable, Unset, SecretError, InvalidKey)
_LEDGERED = ('rfc2136', 'powerdns')


class Blocked(NamedTuple):
    """What could not be made at a name, and what was wanted there."""

    after: Content
    problems: list[Problem]
    # When the server refused it, in seconds of the monotonic clock; None: something stands in its way.
    refused: float | None


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
        self.access = Access(settings, secrets, ledger)
        self.files = ZoneFiles(settings, ledger, clock)
        self._drift = Drift(settings.rfc2136, ledger)
        self._methods: frozenset[str] = frozenset()
        self._zones: list[Zone] = []
        self._primed = False
        self._blocked: dict[tuple[Place, str], Blocked] = {}
        self._untold: set[tuple[Place, str]] = set()
        self._failed: set[Place] = set()
        self._again: set[tuple[Place, str]] = set()

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
            or bool(self._again or self.files.reload)
            or ('zonefile' in self._methods and bool(changed.of('record')))
        )
        if whole:
            return self._plan_everything(view, zones)
        assert changed is not None
        return self._plan_some(view, zones, changed.of('record'))

    def _plan_everything(self, view: View, zones: list[Zone]) -> Plan:
        build = Building()
        derived = Derived(zones).add(view.objects('record'))
        build.problems.extend(derived.problems)
        by_place: dict[str, tuple[Place, Zone]] = {}
        unset: list[Zone] = []
        for zone in zones:
            place = self._place_or_problem(zone, build)
            if place is None:
                unset.append(zone)
                continue
            if place.method == 'zonefile':
                self.files.plan(zone, derived, build)
            elif str(place) in by_place:
                build.problems.append(zone_problem(zone, 'Another zone has the same name and server.', 'Remove one.'))
            else:
                by_place[str(place)] = (place, zone)
                build.payload.zones[place] = zone
        pending = self._pending()
        waits = self._kept_for(unset)
        existing = 0
        for (text, name), group in groupby(self._entries(), lambda entry: (entry.place, entry.name)):
            entries = list(group)
            existing += len(entries)
            found = by_place.get(text)
            if found is None:
                if text in waits:
                    continue
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
            elif text not in waits:
                self._leave(Place.parse(text), name, [], build)
        self._plan_places(by_place.keys() | waits, build)
        self._primed = True
        existing += build.lines
        current = set(build.seen)
        self._blocked = {key: found for key, found in self._blocked.items() if key in current}
        return Plan(SERVICE, build.changes, existing, build.problems, '', True, frozenset(), build.payload)

    def _plan_some(self, view: View, zones: list[Zone], ids: frozenset[int]) -> Plan:
        """What follows from some records, and from those that share a name or an address with them."""
        build = Building()
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

    def _place_or_problem(self, zone: Zone, build: Building) -> Place | None:
        try:
            return self.access.place_of(zone)
        except Unset as error:
            build.problems.append(zone_problem(zone, str(error), error.remedy))
            return None

    def _compare(
        self, place: Place, zone: Zone, name: str, entries: list[Entry], candidates: list[Candidate],
        pending: set[tuple[str, str]], build: Building,
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
        before = content_of(entries)
        blocked = self._blocked.get(key)
        if blocked is not None and not careful:
            if blocked.after == content:
                build.problems.extend(blocked.problems)
                self._untold.discard(key)
                if not doubtful:
                    return
            else:
                del self._blocked[key]
        changes = list(changes_at(name, before, content, missing=careful, doubtful=doubtful))
        if not changes:
            return
        build.changes.extend(changes)
        build.payload.ops.setdefault(place, []).append(Op(name, content, careful))

    def _without_apex(self, zone: Zone, name: str, content: Content, build: Building) -> Content:
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

    def _leave(self, place: Place, name: str, entries: list[Entry], build: Building) -> None:
        """What we made where nothing is to be any more: the zone has gone, or is kept elsewhere now."""
        forgotten = ' (given up: dns.forget names the server)' if place.server in self._settings.forget else ''
        for type_, rrset in content_of(entries).items():
            build.changes.append(
                Change('remove', f'{shown(name)} {type_} at {place.server}', text_of(name, type_, rrset), forgotten)
            )
        build.payload.ops.setdefault(place, []).append(Op(name, {}))

    def _kept_for(self, zones: list[Zone]) -> set[str]:
        """Where records of some zones were made.  A zone that cannot be kept as it is set now has not gone: what it has
        stays."""
        objects, names = {f'zone {zone.id}' for zone in zones}, {plain(zone.name) for zone in zones}
        found = ((key.removeprefix('place '), object_) for key, object_, _ in self._ledger.under('place '))
        return {text for text, object_ in found if object_ in objects or Place.parse(text).zone in names}

    def _plan_places(self, known: Set[str], build: Building) -> None:
        for key, _, _ in self._ledger.under('place '):
            text = key.removeprefix('place ')
            if text not in known:
                place = Place.parse(text)
                build.payload.left.append(place)
                build.changes.append(
                    Change('remove', f'zone {place.zone} at {place.server}', 'what Substruct keeps there')
                )
        build.problems.extend(self.files.left(self._zones))

    # ------------------------------------------------------------------ apply

    def apply(self, plan: Plan) -> None:
        payload: Payload = plan.payload
        failures: list[str] = []
        dead: dict[tuple[str, str], str] = {}
        done = 0
        # Those that failed come last: one that takes all the patience with its server does not keep the others waiting.
        for place in sorted(dict.fromkeys([*payload.ops, *payload.left]), key=lambda place: place in self._failed):
            ops = payload.ops.get(place, [])
            if place.server in self._settings.forget and place in payload.left:
                self._forget(place)
                continue
            if reason := dead.get((place.method, place.server)):
                failures.append(f'{place.zone}: {reason}')
                continue
            self._failed.add(place)
            try:
                self._keep(place, ops, payload)
                self._failed.discard(place)
                done += 1
            except Unreachable as error:
                dead[(place.method, place.server)] = str(error)
                failures.append(_failure(place, error, payload))
            except (Refused, Unset, SecretError, InvalidKey) as error:
                failures.append(_failure(place, error, payload))
            except Exception as error:  # whatever is wrong with one zone: the others are kept
                log.exception('zone failed', zone=place.zone, server=place.server)
                failures.append(_failure(place, error, payload))
        for wanted in payload.files:
            try:
                self.files.publish(wanted)
                self.files.reload.discard(wanted.zone.id)
                done += 1
            except (zonefile.FileError, Unusable) as error:
                failures.append(f'{plain(wanted.zone.name)}: {error}')
            except Exception as error:  # as above
                log.exception('zone failed', zone=wanted.zone.name)
                failures.append(f'{plain(wanted.zone.name)}: {type(error).__name__}: {error}')
        if failures:
            more = f' (and {len(failures) - 10} zones more)' if len(failures) > 10 else ''
            raise ApplyError(
                f'{len(failures)} of {len(failures) + done} zones could not be brought up to date, and are as they '
                f'were: {" | ".join(failures[:10])}{more}'
            )

    def _keep(self, place: Place, ops: list[Op], payload: Payload) -> None:
        zone = payload.zones.get(place)
        credential = self.access.credential(place, zone)
        server = self.access.server(place, credential)
        try:
            if self._ledger.get(f'place {place}') != (f'zone {zone.id if zone else 0}', credential) and zone:
                self._ledger.write([(f'place {place}', f'zone {zone.id}', credential)])
            if zone is not None and isinstance(server, PowerDns):
                self._create(server, zone)
            keeper = self.access.keeper(place, server)
            blocked = keeper.apply(ops)
            if place in payload.left and not any(True for _ in self._ledger.under(f'{place} ')):
                keeper.release()
        finally:
            server.close()
        for op in ops:
            key = (place, op.name)
            self._again.discard(key)
            if op.name in blocked:
                refused = time.monotonic() if op.name in keeper.refused else None
                self._blocked[key] = Blocked(op.after, list(dict.fromkeys(blocked[op.name])), refused)
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

    # ------------------------------------------------------------------ verify

    def verify(self, view: View) -> Iterable[Problem]:
        for zone in view.objects('zone'):
            try:
                place = self.access.place_of(zone)
            except Unset:
                continue  # the plan says so
            if place.method == 'zonefile':
                yield from self.files.verify(zone)
                continue
            try:
                server = self.access.server(place, self.access.credential(place, zone))
            except (Unset, SecretError, InvalidKey) as error:
                yield zone_problem(zone, str(error), '')
                continue
            try:
                yield from self._verify_zone(place, server)
            except (Refused, Unreachable) as error:
                yield zone_problem(zone, str(error), '')
            except Exception as error:  # whatever is wrong with one zone: the others are looked at
                log.exception('zone failed', zone=place.zone, server=place.server)
                yield zone_problem(zone, f'{type(error).__name__}: {error}', '')
            finally:
                server.close()
        for key in sorted(self._untold):
            if found := self._blocked.get(key):
                yield from found.problems
        self._untold.clear()

    def _verify_zone(self, place: Place, server: Server) -> Iterator[Problem]:
        keeper = self.access.keeper(place, server)
        missing = self._drift.missing(place, server)
        for entry in missing[:TOLD]:
            yield Problem(
                SERVICE, 'record', int(entry.object.split()[1]), entry.name,
                f'{entry.type} {entry.value} was removed or changed at {place.server} by somebody else.',
                'It is made again.', 'warning',
            )  # fmt: skip
        self._again.update((place, entry.name) for entry in missing)
        now = time.monotonic()
        waiting = [
            key
            for key, found in self._blocked.items()
            if key[0] == place
            and key not in self._untold
            and (found.refused is None or now - found.refused > REFUSED_AGAIN)
        ]
        for key in waiting[:SAMPLE]:
            found = self._blocked.pop(key)
            message, remedy = 'The server refused it before.', 'It is tried again.'
            if found.refused is None:
                message, remedy = 'What stood in its way has gone.', 'It is made now.'
                if keeper.look(Op(key[1], found.after)).problems:
                    self._blocked[key] = found  # at the end: the others have their turn
                    continue
            self._again.add(key)
            yield replace(found.problems[0], message=message, remedy=remedy, severity='warning')

    # ------------------------------------------------------------------ check

    def see(self, view: View) -> None:
        self._zones = list(view.objects('zone'))
        self._methods = frozenset(zone.update_method for zone in self._zones)

    def check(self) -> Iterable[Finding]:
        """Looks at the zones of the last plan (or `see`); before the first, only at the settings."""
        settings = self._settings
        if settings.zonefile.directory:
            yield from self.files.check()
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
            place = self.access.place_of(zone)
            if place.method == 'zonefile':
                zonefile.apex(zone)
                zonefile.soa(zone, 1)
            else:
                server = self.access.server(place, self.access.credential(place, zone))
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


def _failure(place: Place, error: Exception, payload: Payload) -> str:
    left = f' (It is no longer kept there; if {place.server} is gone for good, name it in dns.forget.)'
    words = str(error) if isinstance(error, EXPECTED) else f'{type(error).__name__}: {error}'
    return f'{place.zone}: {words}{left if place in payload.left else ""}'
