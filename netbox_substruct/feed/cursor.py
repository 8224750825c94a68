"""Cursors: the point up to which a reader of the feed has seen everything.

A cursor is a database snapshot, `xmin:xmax:in-progress transactions` (PostgreSQL, "pg_snapshot"), with the epoch in
which it is meaningful.  What a reader has not seen yet are the changes whose transaction was not visible in that
snapshot; a transaction with a low number that commits late is among them, and a transaction is visible as a whole or
not at all.

The epoch changes when transaction numbers may have started over or repeat (another cluster, a restored backup, a
promoted standby) and when the log cannot be trusted (triggers made anew, woken up or reset).  Pure.
"""

import hashlib
import re
from dataclasses import dataclass

_SNAPSHOT = re.compile(r'[0-9]{1,20}:[0-9]{1,20}:(?:[0-9]{1,20}(?:,[0-9]{1,20})*)?\Z')
_EPOCH = re.compile(r'[0-9a-f]{16}\Z')


class CursorError(Exception):
    """The reader cannot go on from its cursor and has to take a snapshot (HTTP 410).  `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cursor:
    epoch: str
    snapshot: str

    def __str__(self) -> str:
        return f'{self.epoch}.{self.snapshot.replace(":", ".")}'

    @property
    def xmin(self) -> int:
        """Every transaction with a lower number has been seen, or was rolled back."""
        return int(self.snapshot.split(':', 1)[0])

    @property
    def xmax(self) -> int:
        """No transaction with this number or a higher one has been seen."""
        return int(self.snapshot.split(':')[1])

    @classmethod
    def parse(cls, text: str) -> 'Cursor':
        """Read a cursor as `str` writes it.  Raises CursorError('malformed') for anything else."""
        epoch, _, rest = text.partition('.')
        snapshot = ':'.join(rest.split('.'))
        if not _EPOCH.match(epoch) or not _SNAPSHOT.match(snapshot):
            raise CursorError('malformed', 'This is no cursor of this feed. Take a snapshot: leave "after" out.')
        xmin, xmax, running = snapshot.split(':')
        numbers = [int(n) for n in running.split(',')] if running else []
        if int(xmin) > int(xmax) or any(not int(xmin) <= n < int(xmax) for n in numbers) or int(xmax) >= 2**63:
            raise CursorError('malformed', 'This is no cursor of this feed. Take a snapshot: leave "after" out.')
        return cls(epoch, snapshot)


def epoch(*parts: object) -> str:
    """The epoch that these facts about the database and the log make together."""
    return hashlib.sha256('|'.join(str(part) for part in parts).encode()).hexdigest()[:16]


def check(cursor: Cursor, current: Cursor, horizon: int) -> None:
    """Raise CursorError if changes since `cursor` cannot be told from the log that reaches back to `horizon`."""
    if cursor.epoch != current.epoch:
        raise CursorError(
            'epoch', 'The feed has begun anew (database restored or upgraded, or feed reset). Take a snapshot.'
        )
    if cursor.xmin < horizon:
        raise CursorError('too-old', 'The cursor is older than the log of changes. Take a snapshot.')
    if cursor.xmax > current.xmax:
        raise CursorError('epoch', 'The cursor comes from the future of this database. Take a snapshot.')
