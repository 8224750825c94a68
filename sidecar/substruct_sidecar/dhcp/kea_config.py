"""Kea's configuration out of what DHCP is to do: classes, subnets, reservations, and what stands there by hand.  Pure.

The hand-written part (the base) is read as Kea reads it, and everything in it is kept: Substruct adds elements to the
lists of subnets, shared networks, classes and reservations, all of which can be told by their names (`substruct-…`) or
by their user context.  Options are written as bytes in hexadecimal, so that no definition of Kea's is needed.

Who is offered the boot chain: what kind of client it is, is known from its packet (classes `substruct-is-…`).  What a
client of that kind is given stands in classes that are evaluated only where a subnet lists them, which Kea does after
it has found the host and chosen the subnet; so they can ask whether the host is one that boots (its reservation puts
it into `substruct-boot`) or, on a subnet with discovery, one that nobody knows (ARM, "Client Classification", steps 8
to 12).  Kea's own UNKNOWN is not enough: a machine may be known and not boot.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from typing import Any, Literal

import msgspec

from ..plan import Problem
from .clients import (
    V4_ARCHITECTURE,
    V4_BOOT_FILE,
    V4_TFTP_SERVER_NAME,
    V4_USER_CLASS,
    V4_VENDOR_CLASS,
    V6_ARCHITECTURE,
    V6_BOOT_URL,
    V6_USER_CLASS,
    V6_VENDOR_CLASS,
    Answer,
    ClientClass,
    Match,
)
from .kea_control import Dialect, Family
from .model import BootAt, Host, IdentifierKind, Network, Option, Subnet

OWN = 'substruct-'
KNOWN_TO_BOOT = f'{OWN}boot'
KNOWN_ONLY = f'{OWN}known'
"""For hosts that do not boot: Kea refuses a reservation that gives its client nothing at all."""
UNKNOWN_HERE = f'{OWN}unknown'
CONTEXT = 'substruct'
EVERYWHERE = 0
"""Kea's subnet id of reservations that hold wherever a client turns up."""

_KEA_NAMES: dict[IdentifierKind, str] = {
    'mac': 'hw-address',
    'client-id': 'client-id',
    'duid': 'duid',
    'circuit-id': 'circuit-id',
}
KINDS: dict[Family, tuple[IdentifierKind, ...]] = {4: ('mac', 'duid', 'circuit-id', 'client-id'), 6: ('mac', 'duid')}


class BaseError(Exception):
    """The hand-written part cannot be used; the message says where and what to do."""


# ------------------------------------------------------------------ the hand-written part

_TOKENS = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")'
    r'|(?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)'
    r'|<\?include\s+"(?P<include>[^"\n]+)"\s*\?>'
    r'|(?P<comma>,)(?=(?:\s|//[^\n]*|\#[^\n]*|/\*.*?\*/)*[\]}])',
    re.DOTALL,
)


def parse(text: str, where: str, read: Callable[[str], str] | None = None, depth: int = 0) -> Any:
    """Kea's JSON: with comments (//, # and /* */), includes, and commas at the end of lists.  Raises BaseError.

    `read` gives the text of an included file by its name.  A key that stands twice in one map is an error, as in Kea.
    """
    plain = _plain(text, where, read, depth)
    try:
        return json.loads(plain, object_pairs_hook=_once, parse_constant=_no_constant, strict=False)
    except json.JSONDecodeError as error:
        raise BaseError(f'{where}: line {error.lineno}, column {error.colno}: {error.msg}.') from error
    except (ValueError, RecursionError) as error:
        raise BaseError(f'{where}: {error}.') from error


def _plain(text: str, where: str, read: Callable[[str], str] | None, depth: int) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found['string'] is not None:
            return found[0]
        if (name := found['include']) is not None:
            if read is None or depth >= 10:
                raise BaseError(f'{where}: the include of "{name}" is nested too deeply.')
            return _plain(read(name), name, read, depth + 1)
        # The same number of lines and columns, so that an error names the right place.
        return re.sub(r'[^\n]', ' ', found[0])

    return _TOKENS.sub(replaced, text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'"{twice}" stands there twice in one map')
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f'{name} is no JSON')


@dataclass(frozen=True, slots=True)
class Base:
    """The hand-written part for one daemon.  `section` is what stands below "Dhcp4" or "Dhcp6"."""

    family: Family
    where: str
    section: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)

    def subnets(self) -> Iterator[Mapping[str, Any]]:
        yield from self.section.get(f'subnet{self.family}', ())
        for network in self.section.get('shared-networks', ()):
            yield from network.get(f'subnet{self.family}', ())


def base(family: Family, document: Any, where: str) -> Base:
    """Checks what must hold so that something can be added.  Raises BaseError."""
    name = f'Dhcp{family}'
    section = document.get(name) if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise BaseError(f'{where}: there is no map "{name}", which kea-dhcp{family} reads.')
    lists = ('client-classes', 'shared-networks', f'subnet{family}', 'reservations')
    for key in lists:
        found = section.get(key, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise BaseError(f'{where}: "{key}" is no list of maps.')
    if not isinstance(section.get('user-context', {}), dict):
        raise BaseError(f'{where}: "user-context" is no map.')
    made = Base(family, where, section, {key: value for key, value in document.items() if key != name})
    for key in ('client-classes', 'shared-networks'):
        for entry in section.get(key, ()):
            if str(entry.get('name', '')).startswith(OWN):
                raise BaseError(
                    f'{where}: "{entry["name"]}" in "{key}" begins with {OWN}, which is for what Substruct makes: give '
                    f'it another name. (Is this file one that Substruct has written?)'
                )
    if CONTEXT in section.get('user-context', {}):
        raise BaseError(
            f'{where}: was written by Substruct itself. Name the hand-written file there, and this one as '
            f'dhcp.kea.output{family}.'
        )
    for subnet in made.subnets():
        number = subnet.get('id')
        if not isinstance(number, int) or number <= 0:
            raise BaseError(
                f'{where}: the subnet {subnet.get("subnet")} has no "id". Give it one that stays (see dhcp-kea.md): '
                f'Kea would number it anew beside those of Substruct, and its leases would be lost.'
            )
    return made


def plain_base(family: Family, interfaces: Sequence[str], lease_commands: str = '') -> Base:
    """What stands there where nothing was written by hand: these interfaces, and leases in a file.

    `lease_commands` is the path of the hook library lease_cmds.
    """
    section: dict[str, Any] = {
        'interfaces-config': {'interfaces': list(interfaces)},
        'lease-database': {'type': 'memfile', 'persist': True, 'lfc-interval': 3600},
    }
    if lease_commands:
        section['hooks-libraries'] = [{'library': lease_commands}]
    return Base(family, 'the settings', section)


# ------------------------------------------------------------------ classes


def quote(data: bytes) -> str:
    """A literal of Kea's expressions.  Hexadecimal: those in apostrophes have no way to write an apostrophe."""
    return f'0x{data.hex()}'


def _starts(option: str, offset: int, text: str) -> str:
    data = text.encode()
    return f'substring({option}.hex,{offset},{len(data)}) == {quote(data)}'


def _test(match: Match, family: Family) -> str:
    """One match as an expression (ARM, "Using Expressions in Classification")."""
    parts = []
    if match.architectures:
        code = V4_ARCHITECTURE if family == 4 else V6_ARCHITECTURE
        parts.append(
            _any(f'substring(option[{code}].hex,0,2) == {quote(kind.to_bytes(2))}' for kind in match.architectures)
        )
    if match.vendor_class:
        # v6: the enterprise number (4 bytes) and a length (2) come first (RFC 8415 section 21.16).
        parts.append(
            _starts(f'option[{V4_VENDOR_CLASS}]', 0, match.vendor_class)
            if family == 4
            else _starts(f'option[{V6_VENDOR_CLASS}]', 6, match.vendor_class)
        )
    if match.user_class:
        # v4: with a length before it (RFC 3004) or without (iPXE); v6: always with two bytes of length.
        parts.append(
            _any(_starts(f'option[{V4_USER_CLASS}]', offset, match.user_class) for offset in (0, 1))
            if family == 4
            else _starts(f'option[{V6_USER_CLASS}]', 2, match.user_class)
        )
    if match.option is not None:
        parts.append(f'option[{match.option}].exists')
    if match.macs:
        parts.append(
            _any(
                f'substring(pkt4.mac,0,{len(start)}) == {quote(start)}'
                for start in (bytes.fromhex(mac.replace(':', '')) for mac in match.macs)
            )
        )
    return ' and '.join(f'({part})' for part in parts)


def _any(parts: Iterable[str]) -> str:
    return ' or '.join(parts)


def recognised(classes: Sequence[ClientClass], family: Family) -> Iterator[dict[str, Any]]:
    """A class for each kind of client.  The first that matches excludes those after it."""
    before: list[str] = []
    for found in classes:
        matches = found.matches_of(family)
        if not matches:
            continue
        test = _any(f'({_test(match, family)})' for match in matches)
        excluded = ''.join(f" and not member('{name}')" for name in before)
        name = f'{OWN}is-{found.name}'
        yield {'name': name, 'test': f'({test}){excluded}' if excluded else test}
        before.append(name)


def place_name(boot: BootAt) -> str:
    """Names one place to boot from.  Short, and the same in every run."""
    return hashlib.sha256(f'{boot.base_url} {boot.tftp or ""}'.encode()).hexdigest()[:8]


def offers(
    classes: Sequence[ClientClass], boot: BootAt, family: Family, dialect: Dialect
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, class) of what each kind of client is given where machines boot at `boot`."""
    for found in classes:
        answer = found.answer(boot, family) if found.matches_of(family) else None
        if answer is None:
            continue
        name = f'{OWN}{place_name(boot)}-{found.name}'
        test = f"member('{OWN}is-{found.name}') and (member('{KNOWN_TO_BOOT}') or member('{UNKNOWN_HERE}'))"
        yield name, {'name': name, 'test': test, dialect.when_listed: True, **_given(answer, family)}


def _given(answer: Answer, family: Family) -> dict[str, Any]:
    options = [option_data(option, family, always=True) for option in answer.options]
    given: dict[str, Any] = {}
    file = answer.file.encode()
    if family == 6:
        if file:
            options.append(option_data(Option(V6_BOOT_URL, file), family, always=True))
    else:
        if answer.next_server is not None:
            given['next-server'] = str(answer.next_server)
            server = str(answer.next_server).encode()
            options.append(option_data(Option(V4_TFTP_SERVER_NAME, server), family))
        if file and answer.in_header:
            given['boot-file-name'] = answer.file
        if file:
            options.append(option_data(Option(V4_BOOT_FILE, file), family, always=not answer.in_header))
    if options:
        given['option-data'] = options
    return given


def option_data(option: Option, family: Family, *, always: bool = False) -> dict[str, Any]:
    """An option by code and bytes.  Without `always` it is sent to those who ask for it (and where DHCP demands it)."""
    written: dict[str, Any] = {
        'code': option.code, 'space': f'dhcp{family}', 'csv-format': False, 'data': option.data.hex()
    }  # fmt: skip
    if always:
        written['always-send'] = True
    return written


# ------------------------------------------------------------------ reservations


@dataclass(frozen=True, slots=True)
class Reservation:
    """One client, known by one identifier, in one subnet or everywhere (`subnet` 0).

    `address` is text or ''.  (family, subnet, kind, identifier) is unique in Kea.
    """

    family: Family
    subnet: int
    kind: IdentifierKind
    identifier: str
    address: str
    hostname: str
    boot: bool
    machine: int
    host: str

    @property
    def key(self) -> tuple[Family, int, IdentifierKind, str]:
        return self.family, self.subnet, self.kind, self.identifier


def reservations(
    host: Host, families: Iterable[Family], served: Mapping[int, Subnet], everywhere: bool = True
) -> Iterator[Reservation]:
    """What Kea must know of a host.

    In each subnet where it has an address it has a reservation with that address.  Beside it stands one that holds in
    every subnet, without an address: a machine that turns up elsewhere is then still known by its name, and whether
    it boots.  Without `everywhere` only hosts that have no address are known so.
    """
    for family in families:
        placed = [found for found in host.version(family) if found.subnet in served]
        for kind in KINDS[family]:
            for identifier in host.of(kind):
                common = (host.hostname, host.boot, host.machine, host.key)
                if everywhere or not placed:
                    yield Reservation(family, EVERYWHERE, kind, identifier, '', *common)
                for found in placed:
                    yield Reservation(family, found.subnet, kind, identifier, str(found.address), *common)


class _Written(msgspec.Struct, omit_defaults=True, rename='kebab', gc=False):
    hw_address: str = ''
    duid: str = ''
    circuit_id: str = ''
    client_id: str = ''
    ip_address: str = ''
    ip_addresses: tuple[str, ...] = ()
    hostname: str = ''
    client_classes: tuple[str, ...] = ()
    user_context: dict[str, Any] = {}


_encode = msgspec.json.Encoder().encode


def class_of(found: Reservation) -> str:
    return KNOWN_TO_BOOT if found.boot else KNOWN_ONLY


def reservation_json(found: Reservation) -> bytes:
    written = _Written(
        hostname=found.hostname,
        client_classes=(class_of(found),),
        user_context={CONTEXT: {'machine': found.machine, 'host': found.host}},
    )
    setattr(written, _KEA_NAMES[found.kind].replace('-', '_'), found.identifier)
    if found.address:
        if found.family == 4:
            written.ip_address = found.address
        else:
            written.ip_addresses = (found.address,)
    return _encode(written)


# ------------------------------------------------------------------ all of it


@dataclass(frozen=True, slots=True)
class Parts:
    """What is Substruct's in the configuration of one daemon, as JSON.

    `classes` by name and `subnets` by id are without reservations; `subnets` holds (prefix, name of the shared network
    or '', JSON).  `hosts` has the reservations of each subnet (0: everywhere).
    """

    family: Family
    classes: Mapping[str, bytes] = field(default_factory=dict)
    subnets: Mapping[int, tuple[str, str, bytes]] = field(default_factory=dict)
    hosts: Mapping[int, Sequence[bytes]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.subnets) + sum(map(len, self.hosts.values()))


def served(
    subnets: Mapping[int, Subnet], base: Base, refused: Mapping[int, str] | None = None
) -> tuple[dict[int, Subnet], list[Problem]]:
    """The subnets of the base's family that can be served beside what stands there by hand.

    `refused` holds those that Kea itself does not take, with its words.
    """
    by_prefix: dict[Network, Mapping[str, Any]] = {}
    by_id: dict[int, Mapping[str, Any]] = {}
    for written in base.subnets():
        by_id[int(written['id'])] = written
        try:
            by_prefix[ip_network(str(written.get('subnet', '')), strict=False)] = written
        except ValueError:
            continue  # Kea itself says what is wrong with it
    mine: dict[int, Subnet] = {}
    problems: list[Problem] = []

    def trouble(subnet: Subnet, message: str, remedy: str) -> None:
        problems.append(Problem('dhcp', 'subnet', subnet.id, str(subnet.prefix), message, remedy))

    for subnet in subnets.values():
        if subnet.prefix.version != base.family:
            continue
        if same := by_prefix.get(subnet.prefix):
            trouble(
                subnet,
                f'{base.where} has this prefix too, as subnet {same["id"]}; what is written by hand is served.',
                'Take it out of the one or the other: there, or switch DHCP off for the prefix in NetBox.',
            )
        elif same := by_id.get(subnet.id):
            trouble(
                subnet,
                f'{base.where} has another subnet, {same.get("subnet")}, with the same id {subnet.id}; that one is '
                f'served.',
                'Give the hand-written subnet an id of its own, for example from 3000000000 on.',
            )
        elif words := (refused or {}).get(subnet.id):
            trouble(
                subnet, f'Kea does not take it, so it is not served: {words}', 'Look at its DHCP options in NetBox.'
            )
        else:
            mine[subnet.id] = subnet
    return mine, problems


def parts(
    family: Family,
    subnets: Mapping[int, Subnet],
    hosts: Mapping[int, Sequence[bytes]],
    classes: Sequence[ClientClass],
    dialect: Dialect,
    links: Mapping[Network, str] | None = None,
) -> Parts:
    """Classes and subnets as JSON.  `links` has the interface of a v6 prefix whose clients are on the server's own
    link: their addresses do not tell Kea which subnet they are in."""
    written: dict[str, bytes] = {}
    listed: dict[BootAt, list[str]] = {}
    if subnets:
        for name in (KNOWN_TO_BOOT, KNOWN_ONLY):  # no test: only reservations put hosts into them
            written[name] = _encode({'name': name})
        written[UNKNOWN_HERE] = _encode({'name': UNKNOWN_HERE, 'test': "member('UNKNOWN')", dialect.when_listed: True})
        for found in recognised(classes, family):
            written[found['name']] = _encode(found)
    for boot in sorted({subnet.boot for subnet in subnets.values()}, key=place_name):
        listed[boot] = []
        for name, offer in offers(classes, boot, family, dialect):
            written[name] = _encode(offer)
            listed[boot].append(name)
    sections: dict[int, tuple[str, str, bytes]] = {}
    for subnet in sorted(subnets.values(), key=lambda found: found.id):
        asked = ([UNKNOWN_HERE] if subnet.discovery else []) + listed[subnet.boot]
        section: dict[str, Any] = {
            'id': subnet.id,
            'subnet': str(subnet.prefix),
            'pools': [{'pool': f'{subnet.lease_range[0]} - {subnet.lease_range[1]}'}] if subnet.lease_range else [],
            'valid-lifetime': subnet.lease_time,
            'reservations-global': True,
            'reservations-in-subnet': True,
            dialect.list_key: asked,
            'option-data': [option_data(option, family) for option in subnet.options],
            'user-context': {CONTEXT: {'subnet': subnet.id}},
        }
        if family == 4:
            # A machine is the same machine in firmware, iPXE and operating system, whatever client id each makes up.
            section['match-client-id'] = False
        else:
            # Kea refuses a preferred lifetime (by default 3600 s) above the valid one.
            section['preferred-lifetime'] = subnet.lease_time * 5 // 8
            link = (links or {}).get(subnet.prefix)
            if link:
                section['interface'] = link
        sections[subnet.id] = (str(subnet.prefix), f'{OWN}{subnet.shared}' if subnet.shared else '', _encode(section))
    return Parts(family, written, sections, hosts)


@dataclass(frozen=True, slots=True)
class Document:
    """`content` is the file, `section` what goes to a running daemon ({"Dhcp4": …}); `fingerprint` names both."""

    content: bytes
    section: bytes
    fingerprint: str


def tag(fingerprint: str) -> str:
    return f'{OWN}{fingerprint}'


def document(base: Base, mine: Parts, extra: Mapping[str, Any], without_hosts: bool = False) -> Document:
    """The base with Substruct's parts.  `extra` is put where the base says nothing.

    One class, subnet and reservation stands in each line, so that people find them.
    """
    family = base.family
    big = {f'subnet{family}', 'shared-networks', 'client-classes', 'reservations', 'user-context'}
    small = {key: value for key, value in base.section.items() if key not in big}
    small |= {key: value for key, value in extra.items() if key not in small}
    hosts = {} if without_hosts else mine.hosts

    def entries(key: str) -> list[bytes]:
        return [_encode(entry) for entry in base.section.get(key, ())]

    subnets, networks = entries(f'subnet{family}'), entries('shared-networks')
    shared: dict[str, list[bytes]] = {}
    for number, (_, network, section) in mine.subnets.items():
        found = _with_hosts(section, hosts.get(number, ()))
        (shared.setdefault(network, []) if network else subnets).append(found)
    for network, members in sorted(shared.items()):
        networks.append(
            b'{"name":%b,%b"subnet%d":%b}' % (_encode(network), _interface_of(members), family, _lines(members))
        )
    lists = [
        ('client-classes', entries('client-classes') + list(mine.classes.values())),
        ('shared-networks', networks),
        (f'subnet{family}', subnets),
        ('reservations', entries('reservations') + list(hosts.get(EVERYWHERE, ()))),
    ]
    body = b''.join(b',\n%b:%b' % (_encode(key), _encode(value)) for key, value in small.items())
    # Kea's grammar for files, which is stricter than that for commands, takes no empty list of classes.
    body += b''.join(b',\n%b:%b' % (_encode(key), _lines(found)) for key, found in lists if found)
    fingerprint = hashlib.sha256(body).hexdigest()[:16]
    context = base.section.get('user-context', {}) | {
        CONTEXT: {
            'note': f'Written by substruct-sidecar. Edit {base.where} instead.',
            'fingerprint': fingerprint,
        }
    }
    if not {'server-tag', 'config-control'} & base.section.keys():
        # Of use with databases of configurations alone; without, it is the one value that Kea tells at no cost.
        body += b',\n"server-tag":%b' % _encode(tag(fingerprint))
    section = b'{\n"user-context":%b%b\n}' % (_encode(context), body)
    name = _encode(f'Dhcp{family}')
    beside = b''.join(b',\n%b:%b' % (_encode(key), _encode(value)) for key, value in base.beside.items())
    return Document(
        content=b'{%b:%b%b}\n' % (name, section, beside),
        section=b'{%b:%b}' % (name, section),
        fingerprint=fingerprint,
    )


def _lines(found: Sequence[bytes]) -> bytes:
    return b'[\n' + b',\n'.join(found) + b'\n]' if found else b'[]'


def _with_hosts(section: bytes, hosts: Sequence[bytes]) -> bytes:
    return b'%b,"reservations":%b}' % (section[:-1], _lines(hosts))


def _interface_of(members: Sequence[bytes]) -> bytes:
    """Subnets of one shared network must all have the same interface, so it is said for the network."""
    for member in members:
        found = msgspec.json.decode(member, type=_Linked).interface
        if found:
            return b'"interface":%b,' % _encode(found)
    return b''


class _Linked(msgspec.Struct):
    interface: str = ''


# ------------------------------------------------------------------ what an earlier document holds


class _OldSubnet(msgspec.Struct, rename='kebab'):
    id: int = 0
    subnet: str = ''
    user_context: dict[str, Any] = {}
    reservations: list[msgspec.Raw] = []


class _OldClass(msgspec.Struct):
    name: str = ''


class _OldNetwork(msgspec.Struct):
    name: str = ''
    subnet4: list[msgspec.Raw] = []
    subnet6: list[msgspec.Raw] = []


class _OldSection(msgspec.Struct, rename='kebab'):
    user_context: dict[str, Any] = {}
    client_classes: list[msgspec.Raw] = []
    shared_networks: list[_OldNetwork] = []
    subnet4: list[msgspec.Raw] = []
    subnet6: list[msgspec.Raw] = []
    reservations: list[msgspec.Raw] = []


class _OldDocument(msgspec.Struct):
    Dhcp4: _OldSection | None = None
    Dhcp6: _OldSection | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a file that Substruct wrote.  `fingerprint` is '' for one that it did not write."""

    parts: Parts
    fingerprint: str


def written(family: Family, content: bytes) -> Written:
    """Raises ValueError where it is no such file at all."""
    try:
        found = msgspec.json.decode(content, type=_OldDocument)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    section = found.Dhcp4 if family == 4 else found.Dhcp6
    if section is None:
        raise ValueError(f'there is no "Dhcp{family}"')
    own = section.user_context.get(CONTEXT)
    if not isinstance(own, dict):
        return Written(Parts(family), '')
    classes = {}
    for raw in section.client_classes:
        name = msgspec.json.decode(raw, type=_OldClass).name
        if name.startswith(OWN):
            classes[name] = bytes(raw)
    subnets: dict[int, tuple[str, str, bytes]] = {}
    hosts: dict[int, list[bytes]] = {}
    everywhere = [bytes(raw) for raw in section.reservations if b'"user-context":{"substruct":' in bytes(raw)]
    if everywhere:
        hosts[EVERYWHERE] = everywhere
    networks = [('', section.subnet4 if family == 4 else section.subnet6)]
    networks += [(old.name, old.subnet4 if family == 4 else old.subnet6) for old in section.shared_networks]
    for network, members in networks:
        for raw in members:
            subnet = msgspec.json.decode(raw, type=_OldSubnet)
            if CONTEXT not in subnet.user_context:
                continue
            # Exactly what `_with_hosts` has added.
            bare = bytes(raw).partition(b',"reservations":[')[0] + b'}'
            subnets[subnet.id] = (subnet.subnet, network, bare)
            if subnet.reservations:
                hosts[subnet.id] = [bytes(entry) for entry in subnet.reservations]
    return Written(Parts(family, classes, subnets, hosts), str(own.get('fingerprint', '')))


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing of Substruct's that differs: `what` is classes, subnet or host; `name` is what people call it.

    `object` is the id in NetBox (a machine's for a host, 0 for classes).
    """

    what: Literal['classes', 'subnet', 'host']
    name: str
    before: bytes
    after: bytes
    object: int = 0


def differences(old: Parts, new: Parts) -> Iterator[Difference]:
    """What is to be changed so that `old` becomes `new`, without what only stands in another order."""
    # All classes are one thing, as the table that they stand for: their names follow from where machines boot, so that
    # another base URL takes away as many as it brings, and a plan that takes away much is refused.
    names = [
        name
        for name in sorted(old.classes.keys() | new.classes.keys())
        if old.classes.get(name) != new.classes.get(name)
    ]
    if names:
        yield Difference('classes', 'of clients', _each(names, old.classes), _each(names, new.classes))
    nothing = ('', '', b'')
    for number in sorted(old.subnets.keys() | new.subnets.keys()):
        was, now = old.subnets.get(number, nothing), new.subnets.get(number, nothing)
        if was != now:
            yield Difference('subnet', now[0] or was[0], _in_network(was), _in_network(now), number)
    for number in sorted(old.hosts.keys() | new.hosts.keys()):
        had, has = old.hosts.get(number, ()), new.hosts.get(number, ())
        if had == has:
            continue
        place = new.subnets.get(number, old.subnets.get(number, nothing))[0] or 'every subnet'
        here, there = set(has), set(had)
        gone = dict(_named(raw) for raw in had if raw not in here)
        come = dict(_named(raw) for raw in has if raw not in there)
        for name in [*gone, *(name for name in come if name not in gone)]:
            before, after = gone.get(name, b''), come.get(name, b'')
            yield Difference('host', f'{name} in {place}', before, after, _machine(after or before))


def _each(names: Iterable[str], classes: Mapping[str, bytes]) -> bytes:
    return b'\n'.join(classes[name] for name in names if name in classes)


def _in_network(found: tuple[str, str, bytes]) -> bytes:
    return found[2] + (b' in shared network %b' % _encode(found[1]) if found[1] else b'')


def _named(raw: bytes) -> tuple[str, bytes]:
    found = msgspec.json.decode(raw, type=_Written)
    for kind in ('hw_address', 'duid', 'circuit_id', 'client_id'):
        if value := getattr(found, kind):
            return f'{kind.replace("_", "-")} {value}', raw
    return 'unknown', raw


def claim(difference: Difference) -> tuple[str, str] | None:
    """(address, identifier without colons) of a host that has come or changed."""
    if difference.what != 'host' or not difference.after:
        return None
    found = msgspec.json.decode(difference.after, type=_Written)
    address = found.ip_address or ''.join(found.ip_addresses[:1])
    identifier = found.hw_address or found.client_id or found.duid or found.circuit_id
    return (address, identifier.replace(':', '')) if address else None


def _machine(raw: bytes) -> int:
    context = msgspec.json.decode(raw, type=_Written).user_context.get(CONTEXT)
    machine = context.get('machine') if isinstance(context, dict) else None
    return machine if isinstance(machine, int) else 0


def local_links(text: str) -> dict[Network, str]:
    """The interface of each IPv6 prefix of this host, out of /proc/net/if_inet6 (proc(5))."""
    found: dict[Network, str] = {}
    for line in text.splitlines():
        address, _, length, scope, _, interface = line.split()
        if scope == '00':  # global
            found[IPv6Network((int(address, 16), int(length, 16)), strict=False)] = interface
    return found
