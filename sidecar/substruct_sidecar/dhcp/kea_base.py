"""The part of Kea's configuration that somebody wrote by hand: read as Kea reads it, and never written.  Pure.

Everything in it is kept.  What Substruct adds can be told from it by names that begin with `OWN`, or by `CONTEXT` in
the user context; so neither may stand in the hand-written part.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .kea_control import Family

OWN = 'substruct-'
CONTEXT = 'substruct'


class BaseError(Exception):
    """The hand-written part cannot be used; the message says where and what to do."""


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

    @property
    def addresses_are_unique(self) -> bool:
        """Whether Kea refuses a second reservation of one address; where nothing is said, it takes them."""
        return self.section.get('ip-reservations-unique') is True

    def reserved(self) -> Iterator[tuple[str, str]]:
        """(Kea's name of a kind of identifier, bytes in hexadecimal) of what is reserved in every subnet."""
        for entry in self.section.get('reservations', ()):
            for kind in ('hw-address', 'duid', 'circuit-id', 'client-id'):
                if isinstance(value := entry.get(kind), str):
                    yield kind, _hexadecimal(value)


def _hexadecimal(text: str) -> str:
    """Bytes as people write them for Kea: 'text', 01:2:03, 01 02 03, 0x010203 or 010203."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].encode().hex()
    parts = re.split('[: ]', text.strip().lower().removeprefix('0x'))
    return ''.join(part.zfill(len(part) + len(part) % 2) for part in parts)


def base(family: Family, document: Any, where: str) -> Base:
    """Checks what must hold so that something can be added.  Raises BaseError."""
    name = f'Dhcp{family}'
    section = document.get(name) if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise BaseError(f'{where}: there is no map "{name}", which kea-dhcp{family} reads.')
    lists = ('client-classes', 'shared-networks', f'subnet{family}', 'reservations')
    for key in lists:
        _list_of_maps(section, key, where)
    for network in section.get('shared-networks', ()):
        _list_of_maps(network, f'subnet{family}', where)
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


def _list_of_maps(section: Mapping[str, Any], key: str, where: str) -> None:
    found = section.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise BaseError(f'{where}: "{key}" is no list of maps.')


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
