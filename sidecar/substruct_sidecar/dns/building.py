"""What a plan of DNS is made of while it is being made: changes, problems, and what is handed to `apply`.  Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..desired import Zone
from ..plan import Change, Problem, Severity
from . import zonefile
from .derive import SERVICE, Content, RRset, lines_of
from .keeper import Entry, Op, Place
from .presentation import line, plain, shown


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


@dataclass(slots=True)
class Building:
    """`seen` are the names that were looked at; `lines` counts the records in zone files."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    payload: Payload = field(default_factory=Payload)
    seen: list[tuple[Place, str]] = field(default_factory=list)
    lines: int = 0


def zone_problem(zone: Zone, message: str, remedy: str, severity: Severity = 'error') -> Problem:
    return Problem(SERVICE, 'zone', zone.id, plain(zone.name), message, remedy, severity)


def content_of(entries: Iterable[Entry]) -> Content:
    content: Content = {}
    for entry in entries:
        record = int(entry.object.split()[1])
        found = content.get(entry.type)
        if found is None:
            content[entry.type] = RRset(entry.ttl, {entry.value: record})
        else:
            found.values[entry.value] = record
    return content


def text_of(name: str, type_: str, rrset: RRset) -> str:
    return '\n'.join(line(name, rrset.ttl, type_, value) for value in rrset.values)


def changes_at(name: str, before: Content, after: Content, missing: bool, doubtful: bool) -> Iterator[Change]:
    """The differences at one name, set by set; one at least where something is missing at the server, or in doubt."""
    different = False
    for type_ in sorted(before.keys() | after.keys()):
        old, new = before.get(type_), after.get(type_)
        if old == new:
            continue
        different = True
        key = f'{shown(name)} {type_}'
        if old is None and new is not None:
            yield Change('add', key, '', text_of(name, type_, new))
        elif new is None and old is not None:
            yield Change('remove', key, text_of(name, type_, old), '')
        elif old is not None and new is not None:
            was, will = text_of(name, type_, old), text_of(name, type_, new)
            if was == will:
                was, will = f'; for record {_ids(old)}', f'; for record {_ids(new)}'
            yield Change('change', key, was, will)
    if different:
        return
    text = '\n'.join(lines_of(name, after)) or '; nothing'
    if missing:
        # It takes nothing away: a server that has lost everything gets everything again.
        yield Change('add', shown(name), '; somebody changed it, or what stood in its way has gone', text)
    elif doubtful:
        yield Change('change', shown(name), '; an update was cut short here', text)


def _ids(rrset: RRset) -> str:
    return ', '.join(str(record) for record in sorted(rrset.values.values()))


def file_changes(zone: Zone, old: str, new: str) -> Iterator[Change]:
    before = dict[str, list[str]]()
    after = dict[str, list[str]]()
    was, will = set(old.splitlines()), set(new.splitlines())
    for lines, found in ((was - will, before), (will - was, after)):
        for key, text in zonefile.records_in('\n'.join(sorted(lines))):
            found.setdefault(key, []).append(text)
    for key in sorted(before.keys() | after.keys()):
        gone, come = '\n'.join(before.get(key, ())), '\n'.join(after.get(key, ()))
        yield Change('change' if gone and come else 'remove' if gone else 'add', key, gone, come)
