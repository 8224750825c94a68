"""Kea's configuration out of what DHCP is to do: classes, subnets, reservations, and what stands there by hand.  Pure.

To the hand-written part (`kea_base`) Substruct adds elements of the lists of subnets, shared networks, classes and
reservations (`kea_hosts`).  Options are written as bytes in hexadecimal, so that no definition of Kea's is needed.

Who is offered the boot chain: what kind of client it is, is known from its packet (classes `substruct-is-…`).  What a
client of that kind is given stands in classes that are evaluated only where a subnet lists them, which Kea does after
it has found the host and chosen the subnet; so they can ask whether the host is one that boots (its reservation puts
it into `substruct-boot`) or, on a subnet with discovery, one that nobody knows (ARM, "Client Classification", steps 8
to 12).  Kea's own UNKNOWN is not enough: a machine may be known and not boot.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from typing import Any

import msgspec

from ..plan import Problem, Severity
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
from .kea_base import CONTEXT, OWN, Base
from .kea_control import Dialect, Family
from .kea_hosts import EVERYWHERE, KNOWN_ONLY, KNOWN_TO_BOOT
from .model import BootAt, Network, Option, Subnet

UNKNOWN_HERE = f'{OWN}unknown'

_encode = msgspec.json.Encoder().encode

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

    def trouble(subnet: Subnet, message: str, remedy: str, severity: Severity = 'error') -> None:
        problems.append(Problem('dhcp', 'subnet', subnet.id, str(subnet.prefix), message, remedy, severity))

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
            for prefix, other in by_prefix.items():
                if prefix.version == base.family and subnet.prefix.overlaps(prefix):
                    trouble(
                        subnet,
                        f'it overlaps {prefix}, which stands in {base.where} as subnet {other["id"]}: Kea takes one of '
                        f'the two for a machine whose address is in both.',
                        'Take one of them out.',
                        'warning',
                    )
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


_BOOT_FIELDS = ('next-server', 'server-hostname', 'boot-file-name')


@dataclass(frozen=True, slots=True)
class Document:
    """`content` is the file, `section` what goes to a running daemon ({"Dhcp4": …}); `fingerprint` names both."""

    content: bytes
    section: bytes
    fingerprint: str


def fingerprint_of(body: bytes | memoryview) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


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
    # Written by hand for everybody, these are for the subnets written by hand: ours would inherit them, and with them
    # machines that must not boot.
    everybody = {key: small.pop(key) for key in _BOOT_FIELDS if key in small}

    def entries(key: str, inherited: Mapping[str, Any] | None = None) -> list[bytes]:
        return [_encode({**(inherited or {}), **entry}) for entry in base.section.get(key, ())]

    subnets, networks = entries(f'subnet{family}', everybody), entries('shared-networks', everybody)
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
    fingerprint = fingerprint_of(body)
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


def local_links(text: str) -> dict[Network, str]:
    """The interface of each IPv6 prefix of this host, out of /proc/net/if_inet6 (proc(5))."""
    found: dict[Network, str] = {}
    for line in text.splitlines():
        address, _, length, scope, _, interface = line.split()
        if scope == '00':  # global
            found[IPv6Network((int(address, 16), int(length, 16)), strict=False)] = interface
    return found
