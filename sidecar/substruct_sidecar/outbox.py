"""The outbox: what machines reported, on disk before they get their answer, until NetBox has taken it.

Messages are delivered in the order in which they were put, each once: every message has an idempotency key, which
NetBox knows too.  Only percentages pass: of one build they are delivered every few seconds at most, and one that still
waits gives way to the next, for each costs NetBox as much as a message that matters.

What one message means for this sidecar at once (a build has ended, a wipe was served) is written in the same
transaction, so that no crash lies between the two.

Any process of the sidecar may put; the agent alone delivers.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from . import database

VERSION = 2

# `due` is when a percentage may be delivered; everything else, and a percentage that need not wait, has 0.  `pace` has
# when the last one of a build was (or is) due.
_PACE = """
CREATE INDEX message_of_build ON message (build) WHERE body IS NOT NULL AND build IS NOT NULL;
CREATE TABLE pace (build INTEGER PRIMARY KEY, at REAL NOT NULL);
"""
STEPS = {
    2: 'ALTER TABLE message ADD COLUMN due REAL NOT NULL DEFAULT 0;\nALTER TABLE message ADD COLUMN build INTEGER;\n'
    + _PACE
}
SCHEMA = f"""
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at REAL NOT NULL, body BLOB,
    due REAL NOT NULL DEFAULT 0, build INTEGER
);
CREATE INDEX message_waiting ON message (sequence) WHERE body IS NOT NULL;
CREATE TABLE refused (
    sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, at REAL NOT NULL, code TEXT, detail TEXT, body BLOB
);
CREATE TABLE ended (
    token TEXT PRIMARY KEY, build INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE once (machine INTEGER NOT NULL, action TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (machine, action))
    WITHOUT ROWID;
{_PACE}"""

# Keys of delivered messages are remembered for this many seconds, for machines that repeat themselves.
REMEMBERED = 14 * 86400
# An ended build is remembered for this many seconds: NetBox may be restored from a backup in which it is under way.
ENDED_REMEMBERED = 400 * 86400
# Refused messages are kept for people to look at; the newest so many, and of them so many bytes.
REFUSED_KEPT = 1000
REFUSED_BYTES = 64 << 20
# Seconds between two percentages of a build on their way to NetBox.
PACE = 5.0
# What stands in `ended` for a build whose disk is written and that goes on from there.
WRITTEN = 'finishing'

type MessageType = Literal['event', 'facts', 'seen', 'file', 'served-once']
type Outcome = Literal['done', 'failed']


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, as it goes to NetBox.

    `key` is unique for ever (for example build/7/done).  `time` is when it happened, in seconds since 1970.  The other
    fields depend on `type`: event has build, kind, message, progress (percent) and log; facts has machine (None for an
    unknown one), source, format_version, data and identity {uuid, serial, macs}; seen has machine and data; file has
    data {url, sha256, state, bytes, total, error}; served-once has machine and action.
    """

    key: str
    type: MessageType
    time: float
    build: int | None = None
    machine: int | None = None
    kind: str = ''
    action: str = ''
    message: str = ''
    progress: int | None = None
    log: str = ''
    source: str = ''
    format_version: int = 1
    data: dict[str, Any] = {}
    identity: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that NetBox does not have yet; `size` is that of its body in bytes."""

    sequence: int
    message: Message
    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that NetBox will never take, and why."""

    sequence: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits, since when (seconds since 1970; None if nothing does), and how much was refused."""

    waiting: int
    oldest: float | None
    refused: int = field(default=0)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class Outbox:
    """The file.  One object is for one thread at a time; open as many as there are threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = database.connect(path, durable=True)
        database.prepare(self._connection, path, VERSION, SCHEMA, STEPS)

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------ what machines report

    def put(self, message: Message) -> bool:
        """Keep a message; it is on disk when this returns.  False if a message with its key was kept before.

        Raises sqlite3.Error if it cannot be kept (a full disk): the machine must not be told that all is well.
        """
        with database.transaction(self._connection) as connection:
            return _insert(connection, message)

    def put_all(self, messages: Iterable[Message]) -> list[bool]:
        """The same for several, in one transaction: a rack that is switched on reports all at once."""
        with database.transaction(self._connection) as connection:
            return [_insert(connection, message) for message in messages]

    def put_end(self, message: Message, build: int, token: str, outcome: Outcome) -> bool:
        """Keep the message that a build has ended, and that its machine boots its own disk from now on.

        `token` is the digest of the build's token (`claims.token_key`): unlike a number it is never given out twice,
        not even by a NetBox that was restored from a backup.  The first outcome stands; False if there was one.
        """
        with database.transaction(self._connection) as connection:
            _insert(connection, message)
            return (
                connection.execute(
                    'INSERT INTO ended VALUES (?, ?, ?, ?) ON CONFLICT (token) DO UPDATE '
                    'SET outcome = excluded.outcome, at = excluded.at WHERE outcome = ?',
                    (token, build, outcome, message.time, WRITTEN),
                ).rowcount
                > 0
            )

    def put_written(self, message: Message, build: int, token: str) -> bool:
        """Keep the message that a build's disk is written, and that its machine boots that disk from now on, while the
        build goes on there.  False if that was known, or the build has ended."""
        with database.transaction(self._connection) as connection:
            first = (
                connection.execute(
                    'INSERT OR IGNORE INTO ended VALUES (?, ?, ?, ?)', (token, build, WRITTEN, message.time)
                ).rowcount
                > 0
            )
            if first:
                _insert(connection, message)
            return first

    def put_once(self, message: Message, machine: int, action: str) -> bool:
        """Keep the message that something asked for once was served.  False if it had been served before."""
        with database.transaction(self._connection) as connection:
            first = (
                connection.execute(
                    'INSERT OR IGNORE INTO once VALUES (?, ?, ?)', (machine, action, message.time)
                ).rowcount
                > 0
            )
            if first:
                _insert(connection, message)
            return first

    def finished(self) -> frozenset[str]:
        """The digests of the tokens of the builds whose machines boot their own disks, whether or not NetBox knows.

        They have ended here, or go on from the disk that they have written.
        """
        return frozenset(row[0] for row in self._connection.execute('SELECT token FROM ended'))

    def outcome(self, token: str) -> Outcome | None:
        """How the build of a token (its digest) has ended here."""
        row = self._connection.execute('SELECT outcome FROM ended WHERE token = ?', (token,)).fetchone()
        return row[0] if row and row[0] != WRITTEN else None

    def boots_its_disk(self, token: str) -> bool:
        """Whether the machine of a build boots its own disk: the build has ended here, or goes on from there."""
        return self._connection.execute('SELECT 1 FROM ended WHERE token = ?', (token,)).fetchone() is not None

    def last_served_once(self, machine: int, action: str) -> float | None:
        """When a machine was last served what it was asked for once, as far back as keys are remembered."""
        (found,) = self._connection.execute(
            'SELECT max(at) FROM message WHERE key >= ? AND key < ?',
            (f'once/{machine}/{action}/', f'once/{machine}/{action}0'),
        ).fetchone()
        return found

    def was_served_once(self, machine: int, action: str) -> bool:
        return (
            self._connection.execute(
                'SELECT 1 FROM once WHERE machine = ? AND action = ?', (machine, action)
            ).fetchone()
            is not None
        )

    def served_once(self) -> frozenset[tuple[int, str]]:
        return frozenset(self._connection.execute('SELECT machine, action FROM once').fetchall())

    # ------------------------------------------------------------------ what the agent delivers

    def waiting(self, limit: int = 200) -> list[Waiting]:
        """The oldest messages that wait, in order."""
        return list(islice(self._waiting('TRUE', ()), limit))

    def due(self, now: float) -> Iterator[Waiting]:
        """The messages that may be delivered, in order; read one by one, for a few of them may be large.  Nothing is
        to be put or settled before the last one that is wanted was taken."""
        # One that is due much later than it can be is there because the clock was set back.
        return self._waiting('(due <= ? OR due > ?)', (now, now + 2 * PACE))

    def _waiting(self, condition: str, parameters: tuple[float, ...]) -> Iterator[Waiting]:
        query = f'SELECT sequence, body FROM message WHERE body IS NOT NULL AND {condition} ORDER BY sequence'  # noqa: S608
        with closing(self._connection.execute(query, parameters)) as rows:
            for sequence, body in rows:
                yield Waiting(sequence, _decode(body), len(body))

    def next_due(self) -> float | None:
        """When the next percentage may be delivered; None if none waits."""
        (found,) = self._connection.execute(
            'SELECT min(due) FROM message WHERE body IS NOT NULL AND due > 0'
        ).fetchone()
        return found

    def settle(self, taken: Sequence[int], refused: Iterable[Refused] = ()) -> None:
        """NetBox has taken these, and will never take those."""
        now, refused = time.time(), list(refused)
        with database.transaction(self._connection) as connection:
            for answer in refused:
                connection.execute(
                    'INSERT OR REPLACE INTO refused SELECT sequence, key, ?, ?, ?, body FROM message '
                    'WHERE sequence = ?',
                    (now, answer.code, answer.detail, answer.sequence),
                )
                connection.execute('UPDATE message SET body = NULL WHERE sequence = ?', (answer.sequence,))
            if refused:
                connection.execute(
                    'DELETE FROM refused WHERE sequence IN (SELECT sequence FROM (SELECT sequence, '
                    'row_number() OVER newest AS number, sum(length(body)) OVER newest AS bytes FROM refused '
                    'WINDOW newest AS (ORDER BY sequence DESC)) WHERE number > ? OR (bytes > ? AND number > 1))',
                    (REFUSED_KEPT, REFUSED_BYTES),
                )
            connection.executemany(
                'UPDATE message SET body = NULL WHERE sequence = ?', [(sequence,) for sequence in taken]
            )

    def depth(self) -> Depth:
        waiting, oldest = self._connection.execute(
            'SELECT count(*), min(at) FROM message WHERE body IS NOT NULL'
        ).fetchone()
        (refused,) = self._connection.execute('SELECT count(*) FROM refused').fetchone()
        return Depth(waiting, oldest, refused)

    def refusals(self, limit: int = 20) -> list[tuple[str, str, str]]:
        """(key, code, detail) of the newest messages that NetBox refused."""
        return self._connection.execute(
            'SELECT key, code, detail FROM refused ORDER BY sequence DESC LIMIT ?', (limit,)
        ).fetchall()

    def forget_served(self, asks: Callable[[int, str], bool]) -> None:
        """Forget what was served once where NetBox has been told and asks no longer.

        `asks` says whether the desired state still asks for an action of a machine.  It is asked while nobody can put
        anything: what is served right now is looked at before or after, never overlooked.
        """
        if not self.served_once():
            return  # the usual case costs no lock
        with database.transaction(self._connection) as connection:
            connection.executemany(
                'DELETE FROM once WHERE machine = ? AND action = ?',
                [served for served in self.served_once() if not asks(*served)],
            )

    def tidy(self, now: float, current: Callable[[str], bool]) -> None:
        """Forget what is so old that it cannot matter any more.

        `current` says whether the desired state still has a build, by its token's digest: while it has, its end is
        never forgotten, whatever a clock says that may have jumped.
        """
        with database.transaction(self._connection) as connection:
            old = connection.execute('SELECT token FROM ended WHERE at < ?', (now - ENDED_REMEMBERED,)).fetchall()
            connection.executemany('DELETE FROM ended WHERE token = ?', [row for row in old if not current(row[0])])
            connection.execute('DELETE FROM message WHERE body IS NULL AND at < ?', (now - REMEMBERED,))
            connection.execute('DELETE FROM pace WHERE at < ?', (now - REMEMBERED,))


def _insert(connection: sqlite3.Connection, message: Message) -> bool:
    if connection.execute('SELECT 1 FROM message WHERE key = ?', (message.key,)).fetchone() is not None:
        return False
    due = _due(connection, message) if message.build is not None else 0.0
    connection.execute(
        'INSERT INTO message (key, at, body, due, build) VALUES (?, ?, ?, ?, ?)',
        (message.key, message.time, _encode(message), due, message.build),
    )
    return True


def _due(connection: sqlite3.Connection, message: Message) -> float:
    """When a message of a build may be delivered; what waits of the same build gives way to it, or goes before it."""
    if message.kind != 'progress' or message.progress is None:
        # Nothing overtakes what was said before it.
        connection.execute(
            'UPDATE message SET due = 0 WHERE build = ? AND body IS NOT NULL AND due > 0', (message.build,)
        )
        return 0.0
    waiting = connection.execute(
        'SELECT sequence, due FROM message WHERE build = ? AND body IS NOT NULL AND due > 0', (message.build,)
    ).fetchone()
    if waiting is not None:
        # If it is being delivered right now it arrives, and this one after it.
        connection.execute('UPDATE message SET body = NULL WHERE sequence = ?', (waiting[0],))
        return float(waiting[1])
    last = connection.execute('SELECT at FROM pace WHERE build = ?', (message.build,)).fetchone()
    due = float(last[0] + PACE if last is not None and abs(message.time - last[0]) < PACE else message.time)
    connection.execute('INSERT OR REPLACE INTO pace VALUES (?, ?)', (message.build, due))
    # The first one stays whatever comes: it says when that began.
    return due if last is not None else 0.0
