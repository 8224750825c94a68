"""How the sidecar's SQLite files are opened: the same durability, the same waiting, the same check of the version.

Write-ahead logging lets readers go on while one writes; a process that is killed at any point leaves the last committed
state.  What must survive a power cut asks for `durable`.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# Seconds to wait for another writer.  A snapshot of a hundred thousand machines holds the lock for some.
WAIT = 120.0


class WrongVersion(Exception):
    """A file was written by a newer sidecar."""


def connect(path: Path, *, durable: bool = False, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun by `transaction` and by nothing else.

    A read-only connection never waits for a writer.  It may be used by one thread at a time.  A new file is for its
    owner and group.
    """
    if not readonly:
        # Build tokens and what machines report are in there; the files beside it get the mode of this one.  It is not
        # opened: closing it would end the locks of this process's other connections (sqlite.org/howtocorrupt.html).
        with suppress(OSError):  # it is there, or SQLite says what is wrong
            os.mknod(path, 0o640)
    mode = '?mode=ro' if readonly else ''
    connection = sqlite3.connect(
        f'file:{_escaped(path)}{mode}', uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
    )
    if not readonly:
        _write_ahead(connection)
        # Without FULL a power cut may lose a commit, but never tears one (sqlite.org/pragma.html#pragma_synchronous).
        connection.execute(f'PRAGMA synchronous = {"FULL" if durable else "NORMAL"}')
    connection.execute('PRAGMA foreign_keys = ON')
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for others where they make a new file change its mode at the same time."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            connection.execute('PRAGMA journal_mode = WAL')
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _escaped(path: Path) -> str:
    return str(path).replace('%', '%25').replace('?', '%3f').replace('#', '%23')


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A write transaction: all of it or nothing."""
    connection.execute('BEGIN IMMEDIATE')
    try:
        yield connection
    except BaseException:
        # A full disk has rolled it back already.
        if connection.in_transaction:
            connection.execute('ROLLBACK')
        raise
    connection.execute('COMMIT')


# What leads to a version from the one before: statements, or a function that is given the connection.
type Step = str | Callable[[sqlite3.Connection], None]


def prepare(
    connection: sqlite3.Connection, path: Path, version: int, schema: str, steps: Mapping[int, Step] | None = None
) -> None:
    """Make the tables in a new file, or bring an older one up to date, all of it or nothing; raise WrongVersion for one
    of a newer sidecar."""
    (found,) = connection.execute('PRAGMA user_version').fetchone()
    if found > version:
        raise WrongVersion(
            f'{path} was written by a newer sidecar (its format is {found}, this one knows {version}). '
            f'Install the newer sidecar again, or move the file away to begin anew.'
        )
    if found < version:
        with transaction(connection):
            # Processes that start together all find a new file: only the first makes the tables.
            (found,) = connection.execute('PRAGMA user_version').fetchone()
            if found >= version:
                return
            todo = [schema] if found == 0 else [(steps or {})[step] for step in range(found + 1, version + 1)]
            for step in todo:
                if callable(step):
                    step(connection)
                    continue
                for statement in step.split(';\n'):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f'PRAGMA user_version = {version}')
