"""The outbox: what machines reported, on disk before they get their answer, until NetBox has taken it.

Messages are delivered in the order in which they were put, each once: every message has an idempotency key, which
NetBox knows too.  What one message means for this sidecar at once (a build has ended, a wipe was served) is written in
the same transaction, so that no crash lies between the two.

Any process of the sidecar may put; the agent alone delivers.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from . import database

VERSION = 1

SCHEMA = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at REAL NOT NULL, body BLOB
);
CREATE INDEX message_waiting ON message (sequence) WHERE body IS NOT NULL;
CREATE TABLE refused (sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, at REAL NOT NULL, code TEXT, detail TEXT, body BLOB);
CREATE TABLE ended (token TEXT PRIMARY KEY, build INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE once (machine INTEGER NOT NULL, action TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (machine, action))
    WITHOUT ROWID;
"""  # noqa: E501

# Keys of delivered messages are remembered for this many seconds, for machines that repeat themselves.
REMEMBERED = 14 * 86400
# An ended build is remembered for this many seconds: NetBox may be restored from a backup in which it is under way.
ENDED_REMEMBERED = 400 * 86400
# Refused messages are kept for people to look at; the newest so many.
REFUSED_KEPT = 1000

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
    """A message that NetBox does not have yet."""

    sequence: int
    message: Message


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
        database.prepare(self._connection, path, VERSION, SCHEMA)

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

        `token` is the digest of the build's token (`state.token_key`): unlike a number it is never given out twice, not
        even by a NetBox that was restored from a backup.  The first outcome stands; False if there was one.
        """
        with database.transaction(self._connection) as connection:
            _insert(connection, message)
            return (
                connection.execute(
                    'INSERT OR IGNORE INTO ended VALUES (?, ?, ?, ?)', (token, build, outcome, message.time)
                ).rowcount
                > 0
            )

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
        """The digests of the tokens of the builds that have ended here, whether or not NetBox knows."""
        return frozenset(row[0] for row in self._connection.execute('SELECT token FROM ended'))

    def outcome(self, token: str) -> Outcome | None:
        """How the build of a token (its digest) has ended here."""
        row = self._connection.execute('SELECT outcome FROM ended WHERE token = ?', (token,)).fetchone()
        return row[0] if row else None

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
        return [
            Waiting(sequence, _decode(body))
            for sequence, body in self._connection.execute(
                'SELECT sequence, body FROM message WHERE body IS NOT NULL ORDER BY sequence LIMIT ?', (limit,)
            )
        ]

    def settle(self, taken: Sequence[int], refused: Iterable[Refused] = ()) -> None:
        """NetBox has taken these, and will never take those."""
        now = time.time()
        with database.transaction(self._connection) as connection:
            for answer in refused:
                connection.execute(
                    'INSERT OR REPLACE INTO refused SELECT sequence, key, ?, ?, ?, body FROM message '
                    'WHERE sequence = ?',
                    (now, answer.code, answer.detail, answer.sequence),
                )
                connection.execute('UPDATE message SET body = NULL WHERE sequence = ?', (answer.sequence,))
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

    def tidy(self, now: float, asked: frozenset[tuple[int, str]], current: Callable[[str], bool]) -> None:
        """Forget what cannot matter any more.

        `asked` are the (machine, action) that the desired state still asks for once: what was served is forgotten when
        NetBox has been told and asks no longer.  `current` says whether the desired state still has a build, by its
        token's digest: while it has, its end is never forgotten, whatever a clock says that may have jumped.
        """
        with database.transaction(self._connection) as connection:
            old = connection.execute('SELECT token FROM ended WHERE at < ?', (now - ENDED_REMEMBERED,)).fetchall()
            connection.executemany('DELETE FROM ended WHERE token = ?', [row for row in old if not current(row[0])])
            for machine, action in connection.execute('SELECT machine, action FROM once').fetchall():
                if (machine, action) not in asked:
                    connection.execute('DELETE FROM once WHERE machine = ? AND action = ?', (machine, action))
            connection.execute('DELETE FROM message WHERE body IS NULL AND at < ?', (now - REMEMBERED,))
            connection.execute(
                'DELETE FROM refused WHERE sequence NOT IN '
                '(SELECT sequence FROM refused ORDER BY sequence DESC LIMIT ?)',
                (REFUSED_KEPT,),
            )


def _insert(connection: sqlite3.Connection, message: Message) -> bool:
    return (
        connection.execute(
            'INSERT OR IGNORE INTO message (key, at, body) VALUES (?, ?, ?)',
            (message.key, message.time, _encode(message)),
        ).rowcount
        > 0
    )
