"""The last known good desired state, on disk: what the feed said, and who claims which MAC address, address and name.

One process writes (`State.intake`), any number read (`View`).  A feed's answer is taken as a whole or not at all, its
cursor in the same transaction.  Objects are kept as the lines they came in and read one by one, so that starting costs
nothing and memory does not grow with the number of machines.

Every object has the revision at which it last changed.  A service remembers up to which revision it has applied, and
asks for what changed since; an object that has gone stays as a tombstone until no service needs it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from . import database
from .claims import DISABLED, EXCLUSIVE, claims_of, places_of, token_key
from .desired import KINDS, Boot, End, Gone, Header, Machine, Object, Record, What
from .plan import Change, Limits, Plan, guard

VERSION = 3

# Tokens of builds that NetBox has taken away or replaced: their machines are told so.
_FORMER = 'CREATE TABLE former (token TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;\n'
SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE object (
    kind TEXT NOT NULL, id INTEGER NOT NULL, revision INTEGER NOT NULL, body BLOB,
    PRIMARY KEY (kind, id)
);
CREATE INDEX object_revision ON object (revision);
CREATE INDEX object_there ON object (kind) WHERE body IS NOT NULL;
CREATE INDEX object_gone ON object (revision) WHERE body IS NULL;
CREATE TABLE claim (
    kind TEXT NOT NULL, value TEXT NOT NULL, machine INTEGER NOT NULL, PRIMARY KEY (kind, value, machine)
) WITHOUT ROWID;
CREATE INDEX claim_machine ON claim (machine);
CREATE TABLE record_at (place TEXT NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (place, record)) WITHOUT ROWID;
CREATE INDEX record_at_record ON record_at (record);
CREATE TABLE accepted (fingerprint TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
{_FORMER}"""

# Seconds for which a token is remembered whose build has gone.
FORMER_REMEMBERED = 30 * 86400

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(type_) for kind, type_ in KINDS.items()}


def _claim_anew(connection: sqlite3.Connection) -> None:
    """In earlier versions, interfaces that are switched off claimed what is theirs."""
    ids = connection.execute(
        "SELECT id FROM object WHERE kind = 'machine' AND instr(body, ?) > 0", (b'"enabled":false',)
    ).fetchall()
    for key in ids:
        (body,) = connection.execute("SELECT body FROM object WHERE kind = 'machine' AND id = ?", key).fetchone()
        connection.execute('DELETE FROM claim WHERE machine = ?', key)
        connection.executemany(
            'INSERT OR IGNORE INTO claim VALUES (?, ?, ?)',
            [(*claim, *key) for claim in claims_of(_DECODERS['machine'].decode(body))],
        )


STEPS: Mapping[int, database.Step] = {2: _FORMER, 3: _claim_anew}


class HalfAnswer(Exception):
    """An answer of the feed ended early, or with another number of lines than it said."""


@dataclass(frozen=True, slots=True)
class About:
    """Where the state comes from.  `taken` is the time of the last successful answer, in seconds since 1970."""

    cursor: str
    revision: int
    boot_server_id: int
    boot_server: str
    status: str
    base_url: str
    generated: str
    taken: float


@dataclass(frozen=True, slots=True)
class Changed:
    """The ids of the objects that changed, came or went in (since, until], by kind."""

    since: int
    until: int
    ids: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def of(self, kind: What) -> frozenset[int]:
        return self.ids.get(kind, frozenset())

    def __bool__(self) -> bool:
        return any(self.ids.values())


class State:
    """The file.  `State(path)` opens it for writing and makes it if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = database.connect(path)
        database.prepare(self._connection, path, VERSION, SCHEMA, STEPS)

    def close(self) -> None:
        self._connection.close()

    def view(self, finished: frozenset[str] = frozenset()) -> 'View':
        return View(self.path, finished)

    def about(self) -> About | None:
        return _about(self._connection)

    @contextmanager
    def intake(self, header: Header, now: float, *, limits: Limits | None = None) -> Iterator['Intake']:
        """Take one answer of the feed.  Everything is undone if the block is left with an exception, or before
        `Intake.end` was called (HalfAnswer).  With `limits`, an answer that takes away too large a share of any kind
        of object raises `plan.Unsafe`."""
        with database.transaction(self._connection):
            intake = Intake(self._connection, header)
            yield intake
            intake.finish(now, limits)

    def touch(self, kind: What, ids: Iterable[int]) -> None:
        """Let services look at these objects again, as if they had changed."""
        with database.transaction(self._connection) as connection:
            revision = _revision(connection) + 1
            connection.executemany(
                'UPDATE object SET revision = ? WHERE kind = ? AND id = ?', [(revision, kind, key) for key in ids]
            )
            _put(connection, 'revision', str(revision))

    def accept(self, fingerprint: str, now: float) -> None:
        """A person allows the plan of this fingerprint.  It holds until it is used."""
        with database.transaction(self._connection) as connection:
            connection.execute('INSERT OR REPLACE INTO accepted VALUES (?, ?)', (fingerprint, now))

    def accepted(self, fingerprint: str) -> bool:
        found = self._connection.execute('SELECT 1 FROM accepted WHERE fingerprint = ?', (fingerprint,)).fetchone()
        return found is not None

    def used(self, fingerprint: str) -> None:
        with database.transaction(self._connection) as connection:
            connection.execute('DELETE FROM accepted WHERE fingerprint = ?', (fingerprint,))

    def forget(self, until: int) -> None:
        """Drop the tombstones of what went at or before a revision that every service has applied."""
        with database.transaction(self._connection) as connection:
            connection.execute('DELETE FROM object WHERE body IS NULL AND revision <= ?', (until,))


class Intake:
    """One answer of the feed while it is being taken.  Made by `State.intake`."""

    def __init__(self, connection: sqlite3.Connection, header: Header) -> None:
        self._connection = connection
        self._header = header
        self._revision = _revision(connection) + 1
        self._snapshot = header.mode == 'snapshot'
        self._lines = 0
        self._ended = False
        self._touched: set[int] = set()
        self._former: set[str] = set()
        self._gone: dict[str, list[int]] = {}
        self._came: dict[str, int] = {}
        self._gone_names: dict[tuple[str, int], str] = {}
        self._changes = 0
        connection.execute('CREATE TEMP TABLE IF NOT EXISTS seen (kind TEXT, id INTEGER, PRIMARY KEY (kind, id))')
        connection.execute('DELETE FROM seen')

    @property
    def changes(self) -> int:
        """How many objects came, changed or went so far."""
        return self._changes

    def line(self, line: Object, raw: bytes) -> None:
        """One object; `raw` is the line as it came."""
        self._lines += 1
        kind: str = line.__struct_config__.tag  # type: ignore[assignment]
        key: int = line.id
        if self._snapshot:
            self._connection.execute('INSERT OR REPLACE INTO seen VALUES (?, ?)', (kind, key))
        found = self._connection.execute('SELECT body FROM object WHERE kind = ? AND id = ?', (kind, key)).fetchone()
        if found is not None and found[0] == raw:
            return
        self._changes += 1
        if found is None or found[0] is None:
            self._came[kind] = self._came.get(kind, 0) + 1
        self._connection.execute('INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)', (kind, key, self._revision, raw))
        if isinstance(line, Machine):
            self._claim(key, set(claims_of(line)))
        elif isinstance(line, Record):
            if found is not None:
                self._connection.execute('DELETE FROM record_at WHERE record = ?', (key,))
            self._connection.executemany(
                'INSERT OR IGNORE INTO record_at VALUES (?, ?)', [(place, key) for place in places_of(line)]
            )

    def gone(self, line: Gone) -> None:
        self._lines += 1
        self._remove(line.what, line.id)

    def end(self, line: End) -> None:
        if line.lines != self._lines:
            raise HalfAnswer(f'The feed said that it holds {line.lines} lines, but {self._lines} came.')
        self._ended = True

    def finish(self, now: float, limits: Limits | None) -> None:
        """Called by `State.intake` at the end."""
        if not self._ended:
            raise HalfAnswer(f'The feed broke off after {self._lines} lines.')
        if self._snapshot:
            missing = self._connection.execute(
                'SELECT o.kind, o.id FROM object o LEFT JOIN seen s ON s.kind = o.kind AND s.id = o.id '
                'WHERE o.body IS NOT NULL AND s.id IS NULL'
            ).fetchall()
            for kind, key in missing:
                self._remove(kind, key)
        self._connection.execute('DELETE FROM seen')
        if limits is not None:
            for plan in self._removals():
                guard(plan, limits, self._accepted)
        # A claim that came or went decides anew between all who hold it.
        self._connection.executemany(
            "UPDATE object SET revision = ? WHERE kind = 'machine' AND id = ?",
            [(self._revision, key) for key in self._touched],
        )
        self._connection.execute('DELETE FROM former WHERE at < ?', (now - FORMER_REMEMBERED,))
        self._connection.executemany(
            'INSERT OR REPLACE INTO former VALUES (?, ?)', [(token, now) for token in self._former]
        )
        self._connection.execute("DELETE FROM former WHERE token IN (SELECT value FROM claim WHERE kind = 'token')")
        server = self._header.boot_server
        self._move(server.base_url)
        for key, value in (
            ('cursor', self._header.cursor), ('revision', str(self._revision if self._changes else self._revision - 1)),
            ('boot_server_id', str(server.id)), ('boot_server', server.name), ('status', server.status),
            ('base_url', server.base_url), ('generated', self._header.generated), ('taken', repr(now)),
        ):  # fmt: skip
            _put(self._connection, key, value)

    def _move(self, base_url: str) -> None:
        """Where machines boot is part of what subnets hand out: with another base URL all of them have changed."""
        known = self._connection.execute("SELECT value FROM meta WHERE key = 'base_url'").fetchone()
        if known is not None and known[0] != base_url:
            self._changes += self._connection.execute(
                "UPDATE object SET revision = ? WHERE kind = 'subnet' AND body IS NOT NULL", (self._revision,)
            ).rowcount

    def _accepted(self, fingerprint: str) -> bool:
        """Whether a person accepted this; it is then used up, in the same transaction."""
        return self._connection.execute('DELETE FROM accepted WHERE fingerprint = ?', (fingerprint,)).rowcount > 0

    def _removals(self) -> Iterator[Plan]:
        for kind, ids in self._gone.items():
            if kind in ('task', 'script'):
                # Tasks end all the time, and ending takes nothing away; scripts come and go with the plugin's version.
                continue
            changes = [Change('remove', f'{kind} {key}', self._name(kind, key)) for key in ids]
            before = _count(self._connection, kind) + len(ids) - self._came.get(kind, 0)
            yield Plan('state', changes, before)

    def _name(self, kind: str, key: int) -> str:
        return self._gone_names.get((kind, key), '')

    def _remove(self, kind: str, key: int) -> None:
        known = self._connection.execute(
            'SELECT body FROM object WHERE kind = ? AND id = ? AND body IS NOT NULL', (kind, key)
        ).fetchone()
        if known is None:
            return
        self._connection.execute(
            'UPDATE object SET revision = ?, body = NULL WHERE kind = ? AND id = ?', (self._revision, kind, key)
        )
        self._changes += 1
        self._gone_names[kind, key] = _name_of(known[0])
        self._gone.setdefault(kind, []).append(key)
        if kind == 'machine':
            self._claim(key, set())
        elif kind == 'record':
            self._connection.execute('DELETE FROM record_at WHERE record = ?', (key,))

    def _claim(self, machine: int, wanted: set[tuple[str, str]]) -> None:
        had = set(self._connection.execute('SELECT kind, value FROM claim WHERE machine = ?', (machine,)).fetchall())
        for kind, value in had - wanted:
            self._connection.execute(
                'DELETE FROM claim WHERE kind = ? AND value = ? AND machine = ?', (kind, value, machine)
            )
        self._connection.executemany(
            'INSERT INTO claim VALUES (?, ?, ?)', [(kind, value, machine) for kind, value in wanted - had]
        )
        # A machine that goes altogether may be another boot server's now, and its build may go on.
        if wanted:
            self._former |= {value for kind, value in had - wanted if kind == 'token'}
        for kind, value in had ^ wanted:
            if kind in EXCLUSIVE:
                self._touched.update(
                    row[0]
                    for row in self._connection.execute(
                        'SELECT machine FROM claim WHERE kind = ? AND value = ? AND machine <> ?',
                        (kind, value, machine),
                    )
                )


class _Named(msgspec.Struct):
    name: str = ''
    prefix: str = ''


_decode_name = msgspec.json.Decoder(_Named).decode


def _name_of(body: bytes) -> str:
    """What people call an object."""
    found = _decode_name(body)
    return found.name or found.prefix


class View:
    """The state at one moment, for reading.  Use it as a context manager, or call `moment` where it moves on.

    `finished` holds the digests of the tokens of builds that have ended for this sidecar although NetBox may not know
    it yet: their machines boot their own disk.
    """

    def __init__(self, path: Path, finished: frozenset[str] = frozenset()) -> None:
        self.finished = finished
        self._connection = database.connect(path, readonly=True)

    def __enter__(self) -> Self:
        self._connection.execute('BEGIN')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def about(self) -> About | None:
        return _about(self._connection)

    @property
    def revision(self) -> int:
        return _revision(self._connection)

    def data_version(self) -> int:
        """A number that differs from the last one if another connection has written (PRAGMA data_version)."""
        (found,) = self._connection.execute('PRAGMA data_version').fetchone()
        return int(found)

    def changed(self, since: int) -> Changed:
        ids: dict[str, set[int]] = {}
        for kind, key in self._connection.execute('SELECT kind, id FROM object WHERE revision > ?', (since,)):
            ids.setdefault(kind, set()).add(key)
        return Changed(since, self.revision, {kind: frozenset(found) for kind, found in ids.items()})

    def objects(self, kind: What, ids: Iterable[int] | None = None) -> Iterator[Any]:
        """The objects of a kind in the order of their ids, or those of `ids` that are there, as `desired` has them."""
        decode = _DECODERS[kind].decode
        for body in self.bodies(kind, ids):
            found = decode(body)
            yield self.as_it_boots(found) if kind == 'machine' else found

    def bodies(self, kind: What, ids: Iterable[int] | None = None) -> Iterator[bytes]:
        """The same as the lines they came in, for whoever needs few fields of very many.  What machines boot is not
        corrected (see `as_it_boots`)."""
        if ids is None:
            query = self._connection.execute(
                'SELECT body FROM object WHERE kind = ? AND body IS NOT NULL ORDER BY id', (kind,)
            )
            rows: Iterable[tuple[bytes]] = query
        else:
            rows = self._some(kind, ids)
        for (body,) in rows:
            yield body

    def _some(self, kind: str, ids: Iterable[int]) -> Iterator[tuple[bytes]]:
        for key in sorted(ids):
            row = self._connection.execute(
                'SELECT body FROM object WHERE kind = ? AND id = ? AND body IS NOT NULL', (kind, key)
            ).fetchone()
            if row is not None:
                yield row

    def object(self, kind: What, key: int) -> Any:
        """One object, or None."""
        return next(self.objects(kind, (key,)), None)

    def machines(self, ids: Iterable[int] | None = None) -> Iterator[Machine]:
        return self.objects('machine', ids)

    def as_it_boots(self, machine: Machine) -> Machine:
        """The machine with what it boots corrected for builds that have ended here."""
        if machine.boot.action != 'build' or machine.build is None or not self.finished:
            return machine
        if token_key(machine.build.token) not in self.finished:
            return machine
        reason = f'Build #{machine.build.id} has ended, or goes on from there: its own disk.'
        return msgspec.structs.replace(
            machine, boot=Boot(action='local', reason=reason, local_method=machine.boot.local_method)
        )

    def count(self, kind: What) -> int:
        return _count(self._connection, kind)

    def holders(self, kind: str, value: str) -> list[int]:
        """The ids of the machines that claim a value, the oldest first (kinds: see `claims_of`)."""
        return [
            row[0]
            for row in self._connection.execute(
                'SELECT machine FROM claim WHERE kind = ? AND value = ? ORDER BY machine', (kind, value)
            )
        ]

    def is_former(self, token: str) -> bool:
        """Whether a token (its digest) was that of a build which NetBox has taken away or replaced."""
        try:
            return self._connection.execute('SELECT 1 FROM former WHERE token = ?', (token,)).fetchone() is not None
        except sqlite3.OperationalError:
            return False  # the file is of an older sidecar, and the agent has not opened it yet

    def meant_by(self, kind: str, value: str) -> list[int]:
        """The same, and where nobody claims it, those with an interface that has it and is switched off."""
        return self.holders(kind, value) or self.holders(f'{DISABLED}{kind}', value)

    def claimants(self, kind: str) -> list[int]:
        """The ids of the machines that claim any value of a kind ('token': those with a build)."""
        return [
            row[0]
            for row in self._connection.execute(
                'SELECT DISTINCT machine FROM claim WHERE kind = ? ORDER BY machine', (kind,)
            )
        ]

    def at_address(self, address: str) -> list[int]:
        """The ids of the machines with an IP address, in whatever VRF: what a packet from there tells."""
        return [
            row[0]
            for row in self._connection.execute(
                "SELECT DISTINCT machine FROM claim WHERE kind = 'address' AND value >= ? AND value < ? "
                'ORDER BY machine',
                (f'{address}%', f'{address}&'),  # "%" stands before the VRF, and "&" follows it in ASCII
            )
        ]

    def records_at(self, places: Iterable[str]) -> set[int]:
        """The ids of the records with one of these names or addresses (see `places_of`)."""
        return {
            row[0]
            for place in places
            for row in self._connection.execute('SELECT record FROM record_at WHERE place = ?', (place,))
        }

    def contested(self, kind: str) -> dict[str, list[int]]:
        """The values that several machines claim, with their ids, the oldest first."""
        found: dict[str, list[int]] = {}
        for value, machine in self._connection.execute(
            'SELECT c.value, c.machine FROM claim c JOIN (SELECT value FROM claim WHERE kind = ? GROUP BY value '
            'HAVING count(*) > 1) d ON d.value = c.value WHERE c.kind = ? ORDER BY c.value, c.machine',
            (kind, kind),
        ):
            found.setdefault(value, []).append(machine)
        return found


def _count(connection: sqlite3.Connection, kind: str) -> int:
    (found,) = connection.execute('SELECT count(*) FROM object WHERE kind = ? AND body IS NOT NULL', (kind,)).fetchone()
    return int(found)


def _revision(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()
    return int(row[0]) if row else 0


def _put(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute('INSERT OR REPLACE INTO meta VALUES (?, ?)', (key, value))


def _about(connection: sqlite3.Connection) -> About | None:
    found = dict(connection.execute('SELECT key, value FROM meta').fetchall())
    if 'cursor' not in found:
        return None
    return About(
        cursor=found['cursor'],
        revision=int(found['revision']),
        boot_server_id=int(found['boot_server_id']),
        boot_server=found['boot_server'],
        status=found['status'],
        base_url=found['base_url'],
        generated=found['generated'],
        taken=float(found['taken']),
    )
