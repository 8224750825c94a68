"""What stands in a configuration that Substruct wrote earlier, and how it differs from one that is wanted.  Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from .kea_base import CONTEXT, OWN
from .kea_config import Parts, fingerprint_of
from .kea_control import Family
from .kea_hosts import EVERYWHERE, ReservationLine

_encode = msgspec.json.Encoder().encode


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
    """What stands in a file that Substruct wrote.  `fingerprint` is that of what the file holds now, '' for one that it
    did not write; `touched`: somebody has changed the file since."""

    parts: Parts
    fingerprint: str
    touched: bool = False


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
    fingerprint = _fingerprint(content)
    return Written(Parts(family, classes, subnets, hosts), fingerprint, fingerprint != own.get('fingerprint'))


def _fingerprint(content: bytes) -> str:
    """That of what stands in a file, as `document` makes it; a word that is none where it does not look like that."""
    begin = content.find(b',\n', content.find(b'\n"user-context":'))
    end = content.find(b'\n}', begin)
    tagged = content.rfind(b',\n"server-tag":"%b' % OWN.encode(), begin, end)
    if begin < 0 or end < 0:
        return 'changed'
    # The tag is made of the fingerprint, so it is not part of it; it is the last line.
    return fingerprint_of(memoryview(content)[begin : tagged if tagged >= 0 else end])


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
    found = msgspec.json.decode(raw, type=ReservationLine)
    for kind in ('hw_address', 'duid', 'circuit_id', 'client_id'):
        if value := getattr(found, kind):
            return f'{kind.replace("_", "-")} {value}', raw
    return 'unknown', raw


def claim(difference: Difference) -> tuple[str, str] | None:
    """(address, identifier without colons) of a host that has come or changed."""
    if difference.what != 'host' or not difference.after:
        return None
    found = msgspec.json.decode(difference.after, type=ReservationLine)
    address = found.ip_address or ''.join(found.ip_addresses[:1])
    identifier = found.hw_address or found.client_id or found.duid or found.circuit_id
    return (address, identifier.replace(':', '')) if address else None


def _machine(raw: bytes) -> int:
    context = msgspec.json.decode(raw, type=ReservationLine).user_context.get(CONTEXT)
    machine = context.get('machine') if isinstance(context, dict) else None
    return machine if isinstance(machine, int) else 0
