"""The ledger: what each service has made, so that it owns that and nothing else, and up to where it has applied.

Kept apart from the desired state: throwing that away costs a snapshot; throwing this away costs the knowledge of which
DNS records are ours.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import database

VERSION = 1

SCHEMA = """
CREATE TABLE entry (
    service TEXT NOT NULL, key TEXT NOT NULL, object TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (service, key)
) WITHOUT ROWID;
CREATE INDEX entry_object ON entry (service, object);
CREATE TABLE mark (service TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (service, key))
    WITHOUT ROWID;
"""


class Book:
    """The ledger's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A record that was made and is not in the ledger would stay for ever: commits survive a power cut.
        self._connection = database.connect(path, durable=True)
        database.prepare(self._connection, path, VERSION, SCHEMA)

    def of(self, service: str) -> 'Ledger':
        """The part of one service, for one thread at a time."""
        return Ledger(database.connect(self.path, durable=True), service)

    def close(self) -> None:
        self._connection.close()


class Ledger:
    """What one service has made: entries (key, object, value) and marks (key, value).

    `object` names what the entry was made for ('machine 7'), so that what a changed object had can be found.
    """

    def __init__(self, connection: sqlite3.Connection, service: str) -> None:
        self._connection = connection
        self.service = service

    def close(self) -> None:
        self._connection.close()

    def entries(self) -> Iterator[tuple[str, str, str]]:
        """All (key, object, value), in the order of their keys."""
        yield from self._connection.execute(
            'SELECT key, object, value FROM entry WHERE service = ? ORDER BY key', (self.service,)
        )

    def entries_of(self, objects: Iterable[str]) -> list[tuple[str, str, str]]:
        """The (key, object, value) that were made for these objects."""
        # The index is named because SQLite would read all entries of the service, which are in the order asked for.
        return [
            row
            for name in objects
            for row in self._connection.execute(
                'SELECT key, object, value FROM entry INDEXED BY entry_object WHERE service = ? AND object = ? '
                'ORDER BY key',
                (self.service, name),
            )
        ]

    def get(self, key: str) -> tuple[str, str] | None:
        """(object, value) of a key."""
        row = self._connection.execute(
            'SELECT object, value FROM entry WHERE service = ? AND key = ?', (self.service, key)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def under(self, prefix: str, after: str = '') -> Iterator[tuple[str, str, str]]:
        """The (key, object, value) whose keys begin with a prefix and come behind `after`, in their order."""
        yield from self._connection.execute(
            'SELECT key, object, value FROM entry WHERE service = ? AND key >= ? AND key < ? AND key > ? ORDER BY key',
            (self.service, prefix, prefix + '\U0010ffff', after),
        )

    def count(self) -> int:
        (found,) = self._connection.execute('SELECT count(*) FROM entry WHERE service = ?', (self.service,)).fetchone()
        return int(found)

    def write(self, put: Iterable[tuple[str, str, str]] = (), remove: Iterable[str] = (), **marks: str) -> None:
        """Put (key, object, value), remove keys and set marks, in one transaction that is on disk when this returns."""
        with database.transaction(self._connection) as connection:
            connection.executemany(
                'DELETE FROM entry WHERE service = ? AND key = ?', [(self.service, key) for key in remove]
            )
            connection.executemany(
                'INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)', [(self.service, *entry) for entry in put]
            )
            connection.executemany(
                'INSERT OR REPLACE INTO mark VALUES (?, ?, ?)',
                [(self.service, key, value) for key, value in marks.items()],
            )

    def mark(self, key: str) -> str | None:
        row = self._connection.execute(
            'SELECT value FROM mark WHERE service = ? AND key = ?', (self.service, key)
        ).fetchone()
        return row[0] if row else None
