"""What DNS should hold, derived from the records of the feed: which values stand at which name of which zone.  Pure.

An address record gives A or AAAA in its forward zone and PTR in its reverse zone; other records are as they were
written.  Where records do not go together (RFC 1034 section 3.6.2, two names for the PTR of one address) one is left
out and reported, and the rest is served.
"""

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import NamedTuple

from ..desired import Record, Zone
from ..plan import Problem
from .presentation import Unusable, address_value, is_hostname, is_name, line, plain, shown, value_of

SERVICE = 'dns'
MAX_TTL = 2**31 - 1  # RFC 2181 section 8


class Candidate(NamedTuple):
    """One value that a record would have at a name.  `given`: it was written so, not derived from an address."""

    type: str
    value: str
    ttl: int
    record: int
    given: bool


class RRset(NamedTuple):
    """The values of one type at one name, each with the id of the record that it comes from."""

    ttl: int
    values: dict[str, int]


# What is wanted at one name, by type.
type Content = dict[str, RRset]


class Derived:
    """The candidates of every zone by name, and what is wrong with records by themselves."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self.zones: dict[int, Zone] = {zone.id: zone for zone in zones}
        self.names: dict[int, dict[str, list[Candidate]]] = {key: {} for key in self.zones}
        self.problems: list[Problem] = []
        self._frames = {key: Frame(zone) for key, zone in self.zones.items()}

    def add(self, records: Iterable[Record]) -> 'Derived':
        frames, names = self._frames, self.names
        for record in records:
            name = plain(record.name)
            if record.type == 'address':
                # The usual case, without a detour: there may be very many.
                try:
                    type_, value = address_value(record.address or '')
                except Unusable as error:
                    self._complain(record, str(error), 'Correct it in NetBox.')
                    continue
                wildcard = name.startswith('*.')
                if not is_hostname(name[2:] if wildcard else name):
                    self._complain(
                        record,
                        f'"{name[:100]}" is no name of a host.',
                        'Use letters, digits and hyphens, in labels of at most 63 characters, joined by dots.',
                    )
                    continue
                if (frame := frames.get(record.forward_zone or 0)) is not None:
                    if name.endswith(frame.suffix) or name == frame.name:
                        ttl = frame.ttl if record.ttl is None else self._ttl(record, frame)
                        place = names[frame.id].setdefault(name, [])
                        place.append(Candidate(type_, value, ttl, record.id, False))
                    else:
                        self._complain(record, f'is not in the zone {frame.name}.', 'Correct its name or its zone.')
                if (frame := frames.get(record.reverse_zone or 0)) is not None and not wildcard:
                    owner = frame.reverse_name(value)
                    if owner is None:
                        self._complain(
                            record, f'{value} is not in the reverse zone {frame.name}.', 'Correct the zone’s name.'
                        )
                        continue
                    ttl = frame.ttl if record.ttl is None else self._ttl(record, frame)
                    place = names[frame.id].setdefault(owner, [])
                    place.append(Candidate('PTR', name + '.', ttl, record.id, False))
            elif (frame := frames.get(record.forward_zone or 0)) is not None:
                self._other(record, name, frame)
        return self

    def _other(self, record: Record, name: str, frame: 'Frame') -> None:
        """A record as somebody wrote it (netbox_dns)."""
        type_ = record.type.upper()
        remedy = 'Correct the record in NetBox.'
        if not is_name(name):
            self._complain(record, f'"{name[:100]}" is no DNS name.', remedy)
        elif not (name.endswith(frame.suffix) or name == frame.name):
            self._complain(record, f'is not in the zone {frame.name}.', remedy)
        elif type_ in ('A', 'AAAA', 'MX') and not is_hostname(name.removeprefix('*.')):
            self._complain(record, f'"{name[:100]}" is no name of a host, as {type_} records need.', remedy)
        else:
            try:
                value = value_of(type_, record.value or '', frame.name)
            except Unusable as error:
                self._complain(record, str(error), remedy)
                return
            if type_ in ('CNAME', 'DNAME') and name == frame.name:
                self._complain(record, f'A zone itself cannot be a {type_}.', remedy)
                return
            if type_ == 'NS' and name == frame.name and value in frame.name_servers:
                return  # said twice: the zone has it
            self.names[frame.id].setdefault(name, []).append(
                Candidate(type_, value, self._ttl(record, frame), record.id, True)
            )

    def _ttl(self, record: Record, frame: 'Frame') -> int:
        if record.ttl is None or 0 <= record.ttl <= MAX_TTL:
            return frame.ttl if record.ttl is None else record.ttl
        self._complain(record, f'{record.ttl} is no TTL; the zone’s is served.', 'Give 0 to 2147483647 seconds.')
        return frame.ttl

    def _complain(self, record: Record, message: str, remedy: str) -> None:
        self.problems.append(Problem(SERVICE, 'record', record.id, record.name[:255], message, remedy))


class Frame:
    """What is needed of a zone again and again."""

    __slots__ = ('_cut', '_networks', 'id', 'name', 'name_servers', 'suffix', 'ttl')

    def __init__(self, zone: Zone) -> None:
        self.id = zone.id
        self.name = plain(zone.name)
        self.suffix = '.' + self.name
        self.ttl = zone.ttl if 0 <= zone.ttl <= MAX_TTL else 3600
        self.name_servers = frozenset(shown(plain(server)) for server in zone.name_servers)
        self._networks = classless(self.name)
        # With a classless zone: the suffix of the names of its addresses in the zone around it.
        self._cut = '.' + self.name.partition('.')[2] if self._networks else ''

    def reverse_name(self, address: str) -> str | None:
        """The name of the PTR record of an address (as `address_value` has it); None if it is not in this zone."""
        name = reverse_name(address)
        if not self._cut:
            return name if name.endswith(self.suffix) or name == self.name else None
        if not name.endswith(self._cut) or not any(IPv4Address(address) in network for network in self._networks):
            return None
        return name.partition('.')[0] + self.suffix


def reverse_name(address: str) -> str:
    """192.0.2.1 → 1.2.0.192.in-addr.arpa (RFC 1035 section 3.5); IPv6 by nibbles (RFC 3596 section 2.5)."""
    if ':' in address:
        return '.'.join(reversed(IPv6Address(address).packed.hex())) + '.ip6.arpa'
    a, b, c, d = address.split('.')
    return f'{d}.{c}.{b}.{a}.in-addr.arpa'


def address_at(name: str) -> str | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for, in a classless zone too; None if none."""
    labels = name.split('.')
    try:
        if name.endswith('.in-addr.arpa') and len(labels) in (6, 7):
            return str(IPv4Address('.'.join([*labels[-3:-6:-1], labels[0]])))
        if name.endswith('.ip6.arpa') and len(labels) == 34:
            # As `state.places_of` writes it: Python's own form of mapped addresses differs between versions.
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(''.join(labels[31::-1])))
    except ValueError:
        pass
    return None


_CLASSLESS = re.compile(r'([0-9]{1,3})([/-])([0-9]{1,3})((?:\.[0-9]{1,3}){3})\.in-addr\.arpa\Z')


def classless(zone: str) -> tuple[IPv4Network, ...]:
    """The networks that a zone of RFC 2317 may stand for; empty for any other name.

    `0/26.2.0.192.in-addr.arpa` and `0-26.…` are first address and prefix length; `0-63.…` is first and last address.
    `0-31` may be read both ways: its addresses are those of either.
    """
    match = _CLASSLESS.match(zone)
    if match is None:
        return ()
    first, second = int(match[1]), int(match[3])
    octets = '.'.join(match[4].split('.')[:0:-1])
    found = []
    if 24 < second <= 32:
        found.append(f'{octets}.{first}/{second}')
    size = second - first + 1
    if match[2] == '-' and size > 0 and size & (size - 1) == 0:
        found.append(f'{octets}.{first}/{33 - size.bit_length()}')
    networks = []
    for text in found:
        try:
            networks.append(IPv4Network(text))
        except ValueError:
            continue
    return tuple(networks)


def delegation(zone: Zone) -> tuple[str, ...]:
    """What the zone around a classless zone must hold, in zone file syntax (RFC 2317 section 4); empty for others.

    Without the CNAME records nobody finds the PTR records, for resolvers ask for the ordinary name.
    """
    name = plain(zone.name)
    networks = classless(name)
    if not networks:
        return ()
    widest = min(networks, key=lambda network: network.prefixlen)
    first, last = int(widest[0]) & 255, int(widest[-1]) & 255
    parent = shown(name.partition('.')[2])
    servers = [f'{shown(name)} IN NS {shown(plain(server))}' for server in zone.name_servers]
    return (*servers, f'$GENERATE {first}-{last} $.{parent} CNAME $.{shown(name)}')


def decide(zone: Zone, name: str, candidates: list[Candidate]) -> tuple[Content, list[Problem]]:
    """What stands at one name, and what cannot."""
    if len(candidates) == 1:
        only = candidates[0]
        return {only.type: RRset(only.ttl, {only.value: only.record})}, []
    problems: list[Problem] = []

    def leave_out(candidate: Candidate, message: str, remedy: str) -> None:
        problems.append(Problem(SERVICE, 'record', candidate.record, name, message, remedy))

    candidates = sorted(candidates, key=lambda candidate: candidate.record)
    kept: list[Candidate] = []
    others = any(candidate.type != 'CNAME' for candidate in candidates)
    pointers = [c for c in candidates if c.type == 'PTR']
    given = {c.value for c in pointers if c.given}
    first: dict[str, str] = {}
    for candidate in candidates:
        if candidate.type == 'CNAME' and others:
            leave_out(
                candidate,
                'is not served: a CNAME cannot stand beside other records of the same name (RFC 1034 section 3.6.2).',
                'Remove one of them.',
            )
            continue
        if candidate.type in ('CNAME', 'DNAME') or (candidate.type == 'PTR' and not candidate.given):
            wins = first.setdefault(candidate.type, candidate.value)
            if given and candidate.type == 'PTR':
                if candidate.value not in given:
                    leave_out(candidate, 'Another PTR record is written for its address.', 'Remove one of them.')
                continue
            if candidate.value != wins:
                about = f'the address of {name}' if candidate.type == 'PTR' else 'the name'
                leave_out(
                    candidate,
                    f'{candidate.value} is not served: {about} stands for {wins} already.',
                    'Give each address one name, and each name one CNAME.',
                )
                continue
        kept.append(candidate)
    content: Content = {}
    for candidate in kept:
        found = content.get(candidate.type)
        if found is None:
            content[candidate.type] = RRset(candidate.ttl, {candidate.value: candidate.record})
        elif candidate.value not in found.values:
            # All records of a set have one TTL (RFC 2181 section 5.2): the shortest.
            found.values[candidate.value] = candidate.record
            content[candidate.type] = RRset(min(found.ttl, candidate.ttl), found.values)
    return content, problems


def contents(derived: Derived, zone: int) -> Iterator[tuple[str, Content, list[Problem]]]:
    """(name, what stands there, what cannot) of all names of a zone."""
    found = derived.zones[zone]
    for name, candidates in derived.names[zone].items():
        content, problems = decide(found, name, candidates)
        yield name, content, problems


def places(names: Iterable[str]) -> set[str]:
    """Where records stand that share one of these names (see `state.View.records_at`)."""
    found = set(names)
    found.update(address for name in names if (address := address_at(name)))
    return found


def lines_of(name: str, content: Mapping[str, RRset]) -> Iterator[str]:
    for type_, rrset in content.items():
        for value in rrset.values:
            yield line(name, rrset.ttl, type_, value)
