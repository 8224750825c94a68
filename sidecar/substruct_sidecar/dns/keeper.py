"""Keeps our records in a zone that holds other people's too: what is ours is in the ledger; nothing else is touched.

Every update is written down in the ledger before it is sent, and confirmed there when the server has answered.  So that
a sidecar that died in between can tell whether the server carried an update out, each update also replaces one TXT
record, the marker, whose value names the update, on the condition that the marker is still the one before: the zone
itself then says which update was the last, and one that is still on its way when its sidecar dies cannot come true
later.  Without a marker (where the server allows us no TXT record) what stands there exactly as we meant to write it is
taken for ours.

Not for talking to a server: that is what a `Server` does (server.py, rfc2136.py, powerdns.py).
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from ..ledger import Ledger
from ..plan import Problem
from .derive import SERVICE, Content
from .server import Conflict, Edit, Found, Refused, Server, Unreachable

log: Any = structlog.get_logger('dns')

# How much goes into one update: a message has 64 KiB at most, and while a server works on one it does nothing else.
BATCH_NAMES = 200
BATCH_CHARACTERS = 24_000
# So many refusals in a row, and none accepted, mean that the server refuses us and not some record.
REFUSALS = 24


class Place(NamedTuple):
    """A zone at a server, by one method: what the ledger's entries belong to."""

    method: str
    server: str
    zone: str

    def __str__(self) -> str:
        return f'{self.method} {self.server} {self.zone}'

    @classmethod
    def parse(cls, text: str) -> 'Place':
        return cls(*text.split(' ', 2))


class Entry(NamedTuple):
    """A record that we made.  `object` names the record of the feed that it was made for."""

    place: str
    name: str
    type: str
    value: str
    object: str
    ttl: int


def entry_of(key: str, object_: str, value: str) -> Entry:
    method, server, zone, name, type_, content = key.split(' ', 5)
    return Entry(f'{method} {server} {zone}', name, type_, content, object_, int(value))


def key_of(place: str, name: str, type_: str, value: str) -> str:
    return f'{place} {name} {type_} {value}'


@dataclass(frozen=True, slots=True)
class Op:
    """What is to stand at a name.  `careful`: look at what is there first."""

    name: str
    after: Content
    careful: bool = False


@dataclass(slots=True)
class Work:
    """The edits at one name, and what the ledger will say when they are made."""

    op: Op
    edits: list[Edit] = field(default_factory=list)
    put: list[tuple[str, str, str]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(
            len(edit.name) * 2 + sum(map(len, (*edit.expect, *edit.remove, *edit.add))) + 20 * len(edit.add)
            for edit in self.edits
        )


class Keeper:
    """`marker` is the first label of the marker's name, '' for none.  `adopt`: what stands there exactly as wanted
    becomes ours."""

    def __init__(self, ledger: Ledger, place: Place, server: Server, marker: str, *, adopt: bool = False) -> None:
        self._ledger = ledger
        self._place = place
        self._key = str(place)
        self._server = server
        self._marker = f'{marker}.{place.zone}' if marker else ''
        self._adopt = adopt
        # The names at which the server refused what was wanted.
        self.refused: set[str] = set()
        self._refusals = 0
        self._refusal: Refused | None = None
        self._accepted = False

    @staticmethod
    def names_in(intent: str) -> set[str]:
        """The names that an entry "intent …" of the ledger is about."""
        found = json.loads(intent)
        return {_name_in(key) for key in [*(key for key, _, _ in found['put']), *found['remove']]}

    # ------------------------------------------------------------------ doing

    def apply(self, ops: Iterable[Op]) -> dict[str, list[Problem]]:
        """Make it so.  Returns what could not be, by name.  Raises Refused or Unreachable; what was done by then is
        in the ledger."""
        self.settle()
        blocked: dict[str, list[Problem]] = {}
        later: list[Work] = []
        batch: list[Work] = []
        size = 0
        for op in ops:
            if op.careful:
                self._carefully(op, blocked)
                continue
            before = self._before(op.name)
            first, second = self._steps(op, before)
            if second is not None:
                later.append(second)
            if not first.edits:
                self._note(first)
                continue
            if batch and (len(batch) >= BATCH_NAMES or size + first.size > BATCH_CHARACTERS):
                self._send(batch, blocked)
                batch, size = [], 0
            batch.append(first)
            size += first.size
        self._send(batch, blocked)
        for work in later:
            self._send([work], blocked)
        if self._refusal is not None and not self._accepted:
            raise self._refusal
        return blocked

    def settle(self) -> None:
        """Find out what became of an update whose answer never came."""
        for _ in range(3):
            row = self._ledger.get(f'intent {self._key}')
            if row is None:
                return
            intent = json.loads(row[1])
            if not self._marker or not intent['marked']:
                self._settle_by_looking(intent)
                return
            current = self._read_marker()
            if current == intent['batch']:
                self._confirm(intent)
                return
            # Not yet, or never.  A new marker keeps it from coming true after this.
            fence = secrets.token_hex(8)
            try:
                self._server.send([self._marking(current, fence)])
            except Conflict:
                continue
            self._ledger.write((), [f'intent {self._key}'], **{f'marker {self._key}': fence})
            return
        raise Refused(f'The marker {self._marker} changes all the time: is another sidecar writing to this zone?')

    def release(self) -> None:
        """Take the marker away, when nothing of ours is left."""
        self.settle()
        if self._marker and (current := self._read_marker()):
            value = self._marker_value(current)
            try:
                self._server.send([Edit(self._marker, 'TXT', frozenset((value,)), (value,), (), 0)])
            except Conflict:
                log.warning('marker left', zone=self._place.zone, marker=self._marker)
        self._ledger.write((), [f'place {self._key}'], **{f'marker {self._key}': ''})

    # ------------------------------------------------------------------ batches

    def _send(self, works: list[Work], blocked: dict[str, list[Problem]]) -> None:
        """All of them; if that cannot be, by halves, so that one does not keep the others from being served."""
        if not works:
            return
        try:
            self._commit(works)
        except Conflict as conflict:
            if len(works) == 1:
                self._carefully(works[0].op, blocked)
            elif conflict.names:
                self._send([work for work in works if work.op.name not in conflict.names], blocked)
                for work in works:
                    if work.op.name in conflict.names:
                        self._carefully(work.op, blocked)
            else:
                self._halves(works, blocked)
        except Refused as refused:
            self._refused(refused)
            if len(works) == 1:
                self._note_refused(works[0].op, refused, blocked)
            else:
                self._halves(works, blocked)

    def _refused(self, refused: Refused) -> None:
        """A refusal may be due to one record; if nothing at all is accepted it is due to us."""
        self._refusals += 1
        self._refusal = refused
        if not self._accepted and self._refusals >= REFUSALS:
            raise refused

    def _note_refused(self, op: Op, refused: Refused, blocked: dict[str, list[Problem]]) -> None:
        self.refused.add(op.name)
        blocked.setdefault(op.name, []).extend(
            self._problems(op, f'The server refuses it: {refused}', 'Look into its log for the reason.')
        )

    def _problems(self, op: Op, message: str, remedy: str) -> list[Problem]:
        """One for each record that is wanted at a name; if none is, for each that cannot be taken away."""
        records = {record for rrset in op.after.values() for record in rrset.values.values()}
        if not records:
            before = self._before(op.name)
            records = {int(entry.object.split()[1]) for entries in before.values() for entry in entries.values()}
            message = f'It cannot be removed: {message}'
        found = [_problem(op.name, record, message, remedy) for record in sorted(records)]
        return found or [Problem(SERVICE, 'service', 0, op.name, message, remedy)]

    def _halves(self, works: list[Work], blocked: dict[str, list[Problem]]) -> None:
        middle = len(works) // 2
        self._send(works[:middle], blocked)
        self._send(works[middle:], blocked)

    def _commit(self, works: Sequence[Work], tries: int = 3) -> None:
        """One update: written down, sent, confirmed."""
        edits = [edit for work in works for edit in work.edits]
        batch = secrets.token_hex(8)
        intent = {
            'batch': batch, 'marked': bool(self._marker),
            'put': [entry for work in works for entry in work.put],
            'remove': [key for work in works for key in work.remove],
        }  # fmt: skip
        if self._marker:
            edits.append(self._marking(self._ledger.mark(f'marker {self._key}') or '', batch))
        name = f'intent {self._key}'
        self._ledger.write(put=[(name, 'intent', json.dumps(intent))])
        try:
            self._server.send(edits)
        except Conflict as conflict:
            self._ledger.write(remove=[name])
            suspect = self._marker and (not conflict.names or self._marker in conflict.names)
            if suspect and tries and self._remark():
                self._commit(works, tries - 1)
                return
            raise Conflict(conflict.names - {self._marker}) from None
        except Refused:
            self._ledger.write(remove=[name])
            raise
        except Unreachable as error:
            if not error.sent:
                self._ledger.write(remove=[name])
            raise
        self._accepted = True
        self._confirm(intent)

    def _confirm(self, intent: dict[str, Any]) -> None:
        marks = {f'marker {self._key}': intent['batch']} if intent['marked'] else {}
        self._ledger.write(
            [(key, object_, value) for key, object_, value in intent['put']],
            [*intent['remove'], f'intent {self._key}'],
            **marks,
        )

    def _settle_by_looking(self, intent: dict[str, Any]) -> None:
        keys = [key for key, _, _ in intent['put']] + intent['remove']
        wanted: dict[str, set[str]] = {}
        for key in keys:
            entry = entry_of(key, '', '0')
            wanted.setdefault(entry.name, set()).add(entry.type)
        found = self._server.read(wanted)

        def stands(key: str) -> bool:
            entry = entry_of(key, '', '0')
            return entry.value in found.get(entry.name, {}).get(entry.type, (0, frozenset()))[1]

        self._ledger.write(
            [(key, object_, value) for key, object_, value in intent['put'] if stands(key)],
            [*(key for key in intent['remove'] if not stands(key)), f'intent {self._key}'],
        )

    # ------------------------------------------------------------------ the marker

    def _marker_value(self, batch: str) -> str:
        return f'"substruct {batch}"'

    def _marking(self, before: str, after: str) -> Edit:
        old = (self._marker_value(before),) if before else ()
        return Edit(self._marker, 'TXT', frozenset(old), old, (self._marker_value(after),), 0)

    def _read_marker(self) -> str:
        """The batch that the marker names; '' if there is none."""
        values = self._server.read({self._marker: ('TXT',)}).get(self._marker, {}).get('TXT', (0, frozenset()))[1]
        ours = [value for value in values if value.startswith('"substruct ')]
        if len(values) != len(ours) or len(ours) > 1:
            raise Refused(
                f'There are other TXT records at {self._marker}, where Substruct notes its last update: remove '
                'them, or choose another name with the setting "marker".'
            )
        return ours[0].strip('"').partition(' ')[2] if ours else ''

    def _remark(self) -> bool:
        """Whether the marker was not what we thought it was; it is now."""
        known = self._ledger.mark(f'marker {self._key}') or ''
        current = self._read_marker()
        if current == known:
            return False
        log.warning(
            'marker is not ours', zone=self._place.zone, marker=self._marker, found=current, known=known,
            reason='removed by somebody, or another sidecar writes to this zone, or the ledger is not the newest',
        )  # fmt: skip
        self._ledger.write((), (), **{f'marker {self._key}': current})
        return True

    # ------------------------------------------------------------------ one name

    def _before(self, name: str) -> dict[str, dict[str, Entry]]:
        found: dict[str, dict[str, Entry]] = {}
        for row in self._ledger.under(f'{self._key} {name} '):
            entry = entry_of(*row)
            found.setdefault(entry.type, {})[entry.value] = entry
        return found

    def _note(self, work: Work) -> None:
        if work.put or work.remove:
            self._ledger.write(work.put, work.remove)

    def _steps(self, op: Op, before: Mapping[str, Mapping[str, Entry]]) -> tuple[Work, Work | None]:
        """What to send without having looked.  A CNAME takes the place of other records, or they its, in two updates:
        servers disagree about the order within one."""
        if before and ('CNAME' in before) != ('CNAME' in op.after) and op.after:
            gone = self._work(Op(op.name, {}), before)
            gone.op = op
            return gone, self._work(op, {})
        return self._work(op, before), None

    def _work(self, op: Op, before: Mapping[str, Mapping[str, Entry]], actual: Found | None = None) -> Work:
        """The edits that lead from what is there (what the ledger says, or what was seen) to what is wanted."""
        work = Work(op)
        for type_ in sorted(before.keys() | op.after.keys()):
            ours = before.get(type_, {})
            rrset = op.after.get(type_)
            wanted = rrset.values if rrset else {}
            ttl = rrset.ttl if rrset else 0
            if actual is None:
                there, foreign = frozenset(ours), frozenset[str]()
                stale = any(ours[value].ttl != ttl for value in ours if value in wanted)
            else:
                found_ttl, there = actual.get(type_, (ttl, frozenset()))
                foreign = there - ours.keys()
                if self._adopt:
                    foreign -= wanted.keys()
                stale = bool(there) and found_ttl != ttl
            mine = there - foreign
            remove = [value for value in sorted(mine) if value not in wanted]
            add = [value for value in wanted if value not in there]
            if rrset and stale and not foreign and any(value in mine for value in wanted):
                # Anew with the new TTL: servers disagree about adding what is there with another TTL.
                remove, add = sorted(mine), list(wanted)
            if rrset and actual is not None:
                add = self._allowed(work, type_, add, foreign, actual, before)
            if remove or add:
                alone = type_ == 'CNAME' and not there
                clear = ('name' if alone else 'cname' if type_ != 'CNAME' else '') if add else ''
                work.edits.append(Edit(op.name, type_, there, tuple(remove), tuple(add), ttl, clear))
            for value, record in wanted.items():
                if value in add or value in mine:
                    entry = (key_of(self._key, op.name, type_, value), f'record {record}', str(ttl))
                    known = ours.get(value)
                    if known is None or (known.object, known.ttl) != (entry[1], ttl):
                        work.put.append(entry)
            work.remove.extend(
                key_of(self._key, op.name, type_, value)
                for value in ours
                if not (value in wanted and (value in add or value in mine))
            )
        return work

    def _allowed(
        self,
        work: Work,
        type_: str,
        add: list[str],
        foreign: frozenset[str],
        actual: Found,
        before: Mapping[str, Mapping[str, Entry]],
    ) -> list[str]:
        """What may be added beside what is there; why not the rest."""
        rrset = work.op.after[type_]
        same = sorted(foreign & rrset.values.keys())
        for value in same:
            work.problems.append(
                _problem(
                    work.op.name, rrset.values[value],
                    f'{type_} {value} is there already, made by somebody else; it is left alone.',
                    'Remove it at the server, or name the zone in the setting dns.adopt to let Substruct have it.',
                )
            )  # fmt: skip
        if not add:
            return add
        why = ''
        if foreign and not self._server.merges:
            why = f'somebody else has {type_} records there ({", ".join(sorted(foreign)[:3])})'
        cnames = actual.get('CNAME', (0, frozenset()))[1]
        if type_ != 'CNAME' and cnames:
            why = f'there is a CNAME of that name ({", ".join(cnames)})'
        others = sorted(t for t, (_, values) in actual.items() if t not in ('CNAME', 'RRSIG', 'NSEC') and values)
        if type_ == 'CNAME' and others:
            why = f'there are other records of that name ({", ".join(others)})'
        if type_ == 'CNAME' and foreign:
            why = f'there is another CNAME ({", ".join(foreign)})'
        if not why:
            return add
        for value in add:
            work.problems.append(
                _problem(
                    work.op.name, rrset.values[value],
                    f'{type_} {value} is not served: {why}.',
                    'Remove what is there at the server, or give the record another name.',
                )
            )  # fmt: skip
        return []

    def _carefully(self, op: Op, blocked: dict[str, list[Problem]]) -> None:
        """Look at what is there, and do what can be done."""
        if self._marker:
            self._remark()
        for _ in range(2):
            work = self.look(op)
            if len({'CNAME' in (edit.type,) for edit in work.edits}) == 2:
                # A CNAME and other records change places: first what goes.
                going = self._work(Op(op.name, {}), self._before(op.name), self._read(op))
                if going.edits:
                    try:
                        self._commit([going])
                    except Conflict:
                        continue
                    work = self.look(op)
            try:
                if work.edits:
                    self._commit([work])
                else:
                    self._note(work)
            except Conflict:
                continue
            except Refused as refused:
                self._refused(refused)
                self._note_refused(op, refused, blocked)
            if work.problems:
                blocked.setdefault(op.name, []).extend(work.problems)
            return
        blocked.setdefault(op.name, []).extend(
            self._problems(op, 'The server says that it is not as it seems.', 'It is tried again later.')
        )

    def _read(self, op: Op) -> Found:
        types = {'CNAME', *self._before(op.name), *op.after}
        return self._server.read({op.name: types}, others='CNAME' in op.after).get(op.name, {})

    def look(self, op: Op) -> Work:
        """What would be done at a name, as it is at the server now."""
        return self._work(op, self._before(op.name), self._read(op))


def _name_in(key: str) -> str:
    return key.split(' ', 5)[3]


def _problem(name: str, record: int, message: str, remedy: str) -> Problem:
    return Problem(SERVICE, 'record', record, name, message, remedy)
