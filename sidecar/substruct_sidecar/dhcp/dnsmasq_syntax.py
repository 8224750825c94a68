"""dnsmasq's syntax: values to lines, and lines to the blocks of a file that is ours.  Pure.

What dnsmasq does with a line was read in the source of 2.90 (option.c: read_file, one_opt, parse_dhcp_opt) and tried.
Three things make its syntax unsafe: a line is cut after 1,024 bytes and its rest is taken for another line; how a
value is read depends on the option's number, so that there is no one way to write bytes; and words of a host's line
are guessed by their looks (a host name "12h" is a lease time).  So every value goes through `quoted`, `option` or
`host_lines`, every line through `line`, and what cannot be said raises `Unsayable` and is said nowhere.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from .model import Host, Option

# Bytes of a line without its end.  dnsmasq reads 1,024 with it, and quotes and tags need no more than this leaves.
LONGEST = 1000

# How dnsmasq reads the value of an option is decided by its number alone (opttab and opttab6 in dhcp-common.c).
_ADDRESSES = {
    4: frozenset((1, 3, 6, 7, 9, 16, 21, 28, 32, 33, 41, 42, 44, 45, 48, 49, 50, 54, 65, 68, 69, 70, 71, 74, 150, 255)),
    6: frozenset((22, 23, 27, 28, 31)),
}
_TEXTS = {4: frozenset((12, 15, 17, 18, 40, 64, 66, 67, 100, 101)), 6: frozenset((41, 42, 59))}
_DOMAINS = {4: frozenset((119,)), 6: frozenset((21, 24, 29, 30, 39))}
_TIMES = {4: frozenset((51, 58, 59)), 6: frozenset((32,))}
_STRINGS = {4: frozenset[int](), 6: frozenset((60,))}
_NEVER = {4: frozenset[int](), 6: frozenset((15, 16))}

_LABEL = re.compile(r'[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z')
_MAC = re.compile(r'[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z')
_HOSTNAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z')
_TAG = re.compile(r'!?[a-z0-9][a-z0-9.-]*\Z')
# All digits, perhaps with a unit: what dnsmasq takes for a lease time.
_DURATION = re.compile(r'[0-9]+[wdhmsWDHMS]?\Z')
_WORDS = ('ignore', 'infinite')

KEY = re.compile(r'[a-z0-9][a-z0-9.-]*\Z')


class Unsayable(ValueError):
    """dnsmasq's syntax has no way to say this.  The message is a sentence's end: 'it …'."""


def line(name: str, *parts: str) -> str:
    """One line of configuration; the parts are already quoted.  Raises Unsayable if it is too long."""
    return _fits(f'{name}={",".join(parts)}')


def _fits(text: str) -> str:
    if len(text.encode('utf-8', 'surrogateescape')) > LONGEST:
        raise Unsayable(f'its line would have more than {LONGEST} bytes')
    if '\n' in text or '\r' in text or '\0' in text:
        raise AssertionError('an unquoted value reached a line')
    return text


def quoted(value: str | bytes) -> str:
    """Text in quotes.  dnsmasq hides everything within them from its own splitting and guessing.

    Control characters are refused: dnsmasq uses these bytes itself, for what it hides.
    """
    data = value.encode('utf-8', 'surrogateescape') if isinstance(value, str) else value
    if any(byte < 0x20 or byte == 0x7F for byte in data):
        raise Unsayable('its text has control characters')
    text = data.decode('utf-8', 'surrogateescape')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unsayable('its text is no UTF-8') from None
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def comment(text: str) -> str:
    """Text from outside in a comment: printable ASCII, and short, so that the line is never cut."""
    return ''.join(character if ' ' <= character <= '~' else '?' for character in text[:80]).strip()


def tag(name: str, *, set_: bool = False) -> str:
    if not _TAG.match(name):
        raise AssertionError(f'"{name}" is no tag')
    return f'{"set" if set_ else "tag"}:{name}'


def hexadecimal(data: bytes) -> str:
    """Bytes.  A single one has no colon, by which dnsmasq knows hexadecimal, and is a number with its width."""
    return f'{data[0]}b' if len(data) == 1 else data.hex(':')


def option(found: Option, version: Literal[4, 6] = 4) -> tuple[str, ...]:
    """(number, value…) of an option, so that exactly its bytes are sent.  Raises Unsayable."""
    code, data = found.code, found.data
    name = str(code) if version == 4 else f'option6:{code}'
    if code in _NEVER[version]:
        raise Unsayable('it is one that dnsmasq writes itself')
    if not data:
        return (name,)
    if code in _ADDRESSES[version]:
        return name, *_addresses(data, version)
    if code in _TEXTS[version]:
        return name, quoted(data)
    if code in _DOMAINS[version]:
        return name, *_domains(data)
    if code in _TIMES[version]:
        seconds = int.from_bytes(data)
        if len(data) != 4 or seconds >= 1 << 31:
            raise Unsayable('its value is no time that dnsmasq can write')
        return name, str(seconds)
    if code in _STRINGS[version]:
        return name, *_strings(data)
    return name, hexadecimal(data)


def _addresses(data: bytes, version: Literal[4, 6]) -> Iterator[str]:
    width = 4 if version == 4 else 16
    if len(data) % width:
        raise Unsayable('its value is no list of addresses')
    for at in range(0, len(data), width):
        part = data[at : at + width]
        if not any(part):
            raise Unsayable('its value has the address zero, in place of which dnsmasq writes its own')
        yield str(IPv4Address(part)) if version == 4 else f'[{IPv6Address(part)}]'


def _domains(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        labels = []
        while at < len(data) and data[at]:
            length = data[at]
            label = data[at + 1 : at + 1 + length].decode('ascii', 'replace')
            if length > 63 or not _LABEL.match(label):
                raise Unsayable('its value is no list of domain names')
            labels.append(label)
            at += 1 + length
        if at >= len(data) or not labels:
            raise Unsayable('its value is no list of domain names')
        at += 1
        yield '.'.join(labels)


def _strings(data: bytes) -> Iterator[str]:
    """RFC 5970 section 3.2: strings, each after its length in two bytes."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2])
        text = data[at + 2 : at + 2 + length]
        if not length or len(text) != length:
            raise Unsayable('its value is no list of texts')
        yield quoted(text)
        at += 2 + length


def mac(value: str) -> str:
    if not _MAC.match(value):
        raise Unsayable(f'"{ascii(value)[1:-1][:40]}" is no MAC address')
    return value


def identifier(value: str) -> str:
    """id:… of a client identifier or DUID in hexadecimal."""
    data = bytes.fromhex(value)
    if len(data) < 2:
        raise Unsayable('its client identifier has less than two bytes')
    return f'id:{data.hex(":")}'


def hostname(value: str) -> str:
    """A host name, so that dnsmasq takes it for one.  Raises Unsayable."""
    if not _HOSTNAME.match(value):
        raise Unsayable(f'"{ascii(value)[1:-1][:80]}" is no host name')
    if _DURATION.match(value):
        raise Unsayable(f'its host name "{value}" looks like a lease time to dnsmasq')
    # dnsmasq compares its words by their exact letters, and names are the same in any case.
    return value.capitalize() if value in _WORDS else value


@dataclass(frozen=True, slots=True)
class HostLines:
    """The lines of a host in a hosts file, and what they do not say, for people."""

    lines: tuple[str, ...]
    unsaid: tuple[str, ...] = ()


def host_lines(host: Host, *, boot_tag: str, placed_tag: str, addresses: bool = True) -> HostLines:
    """The lines of one host (dhcp-host without its name).  Raises Unsayable if nothing can be said of it.

    The first line of all knows the machine in any subnet; a line for each address follows.  Those require
    `placed_tag`, which every packet has: dnsmasq prefers lines that require a tag, whatever their order, and the order
    changes as files are read (find_config in dhcp-common.c).
    """
    unsaid: list[str] = []
    macs = [mac(value) for value in host.of('mac')]
    client_ids = [identifier(value) for value in host.of('client-id')]
    duids = [identifier(value) for value in host.of('duid')]
    if not macs and not client_ids and not duids:
        return HostLines(())
    boot = [tag(boot_tag, set_=True)] if host.boot else []
    name: list[str] = []
    if host.hostname:
        try:
            name = [hostname(host.hostname)]
        except Unsayable as error:
            unsaid.append(f'{error}: it is served without a name.')
    # A line has one identifier beside any number of MAC addresses.
    identifiers = [*client_ids, *duids] or ['']
    lines = [
        _host(*(macs if place == 0 else ()), found, *boot, *name) for place, found in enumerate(identifiers)
    ]  # fmt: skip
    if not addresses:
        return HostLines(tuple(lines), tuple(unsaid))
    if placed := [placement.address for placement in host.version(4)]:
        if len(client_ids) > 1:
            # dnsmasq refuses a second line with the same IPv4 address.
            unsaid.append('dnsmasq knows a reserved address by one client identifier: the first is used.')
        if macs or client_ids:
            lines += [
                _host(*macs, *client_ids[:1], tag(placed_tag), *boot, str(address), *name) for address in placed
            ]  # fmt: skip
        else:
            unsaid.append('it has an IPv4 address, but only a DUID to be known by.')
    if placed6 := [f'[{placement.address}]' for placement in host.version(6)]:
        # A relay may not tell a client's MAC address (RFC 6939), but a DUID of the link-layer kind holds it (RFC 8415
        # section 11.4; the other kinds hold a time too, or none).
        known = list(dict.fromkeys((*duids, *(f'id:00:03:00:01:{value}' for value in macs)))) or ['']
        lines += [
            _host(*(macs if place == 0 else ()), found, tag(placed_tag), *boot, *placed6, *name)
            for place, found in enumerate(known)
        ]
    return HostLines(tuple(lines), tuple(unsaid))


def _host(*parts: str) -> str:
    return _fits(','.join(part for part in parts if part))


# --- files ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A comment line with a key and a name for people, and the lines up to the next."""

    key: str
    name: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return '\n'.join((f'# {self.key} {self.name}'.rstrip(), *self.lines, ''))


def block(key: str, name: str, lines: Iterable[str]) -> Block:
    if not KEY.match(key):
        raise AssertionError(f'"{key}" is no key of a block')
    return Block(key, comment(name), tuple(lines))


def written(blocks: Iterable[Block]) -> str:
    return ''.join(found.text for found in blocks)


def read(text: str) -> dict[str, Block]:
    """The blocks of a file.  What stands before the first, or is no block of ours, is in blocks with odd keys, so
    that it differs from anything that is wanted."""
    found: dict[str, Block] = {}
    key, name, lines = '', '', list[str]()

    def end() -> None:
        if key or lines:
            # A key that is there twice is somebody's work: both are kept apart, and neither is what is wanted.
            place = key if key not in found else f'{key} again {len(found)}'
            found[place] = Block(place, name, tuple(lines))

    for row in text.split('\n'):
        if row.startswith('# '):
            end()
            key, _, name = row[2:].partition(' ')
            lines = []
        elif row:
            lines.append(row)
    end()
    return found


def place_of(text: str, number: int) -> str:
    """The key of the block in which a line stands (counted from 1), '' before the first."""
    key = ''
    for row in text.split('\n')[:number]:
        if row.startswith('# '):
            key = row[2:].partition(' ')[0]
    return key


def owners(block: Block) -> dict[IPv4Address, frozenset[str]]:
    """Who may have the reserved IPv4 addresses in a host's lines: MAC addresses, and client identifiers in hexadecimal
    with colons."""
    found: dict[IPv4Address, frozenset[str]] = {}
    for row in block.lines:
        parts = row.split(',')
        names = {part.removeprefix('id:') for part in parts if _MAC.match(part) or part.startswith('id:')}
        for part in parts:
            if re.fullmatch(r'[0-9.]{7,15}', part) and '.' in part:
                found[IPv4Address(part)] = frozenset(names)
    return found


def difference(
    before: Mapping[str, Block], after: Mapping[str, Block]
) -> Iterator[tuple[str, Block | None, Block | None]]:
    """(key, before, after) of the blocks whose lines differ, in the order of their keys."""
    for key in sorted(before.keys() | after.keys(), key=_natural):
        old, new = before.get(key), after.get(key)
        if old is None or new is None or old.lines != new.lines:
            yield key, old, new


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'([0-9]+)', key)]
