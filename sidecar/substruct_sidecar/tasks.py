"""Tasks: work that NetBox has for this boot server; each is claimed, carried out and answered.

NetBox gives one task to one sidecar at a time.  What was claimed, begun and finished here is written down before the
next step, so that a sidecar that is killed neither loses a result nor does the work a second time: a task that was
begun and has no result is answered as interrupted, and NetBox decides whether it is tried again.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from . import database
from .netbox import Claimed, NetBox, NetBoxError, Rejected, Silent, Trouble

log: Any = structlog.get_logger('tasks')

VERSION = 1

SCHEMA = """
CREATE TABLE claim (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE task (
    id INTEGER NOT NULL, attempt INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL, answer BLOB, at REAL NOT NULL,
    PRIMARY KEY (id, attempt)
) WITHOUT ROWID;
"""  # noqa: E501

LIMIT = 5
INTERRUPTED = 'The sidecar was stopped while this was being done; it is not known how far it came.'

# Called by a handler every now and then: keeps the task ours.  Raises TaskLost when it is not any more, or when NetBox
# has not been heard for so long that it may have been given to another; the handler then stops at once.
type Keep = Callable[[], None]
# A handler does the work and returns the answer (a JSON object), or raises TaskError.
type Handler = Callable[[Claimed, Keep], Mapping[str, Any]]

# Seconds between renewals, and after which a task that could not be renewed is given up: less than NetBox's lease
# (its setting task_lease, 300 seconds).
RENEW = 60.0
GIVE_UP = 240.0


class TaskError(Exception):
    """The work could not be done; the message says why and what to do."""


class TaskLost(Exception):
    """The task is not ours any more."""


class NotYet(Exception):
    """A handler that only waits for something raises it: it is called again later, and other tasks go on meanwhile.

    Such a handler may be called any number of times, also after a restart of the sidecar.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    task: Claimed
    state: str
    answer: dict[str, Any] | None


class Journal:
    """What was claimed here and how far it is, on disk."""

    def __init__(self, path: Path) -> None:
        self._connection = database.connect(path, durable=True)
        database.prepare(self._connection, path, VERSION, SCHEMA)

    def claim_key(self) -> str:
        """The key of the claim that is under way: the same until its answer has been taken."""
        row = self._connection.execute('SELECT key FROM claim').fetchone()
        if row:
            return str(row[0])
        key = secrets.token_hex(16)
        with database.transaction(self._connection) as connection:
            connection.execute('INSERT INTO claim VALUES (?)', (key,))
        return key

    def take(self, tasks: list[Claimed]) -> None:
        """The answer to the claim that is under way."""
        with database.transaction(self._connection) as connection:
            connection.execute('DELETE FROM claim')
            for task in tasks:
                connection.execute(
                    'INSERT OR IGNORE INTO task VALUES (?, ?, ?, ?, NULL, ?)',
                    (task.id, task.attempt, msgspec.json.encode(task), 'claimed', time.time()),
                )

    def entries(self) -> list[Entry]:
        return [
            Entry(msgspec.json.decode(body, type=Claimed), state, msgspec.json.decode(answer) if answer else None)
            for body, state, answer in self._connection.execute('SELECT body, state, answer FROM task ORDER BY id')
        ]

    def begun(self, task: Claimed) -> None:
        self._set(task, 'begun', None)

    def waiting(self, task: Claimed) -> None:
        self._set(task, 'waiting', None)

    def finished(self, task: Claimed, answer: dict[str, Any]) -> None:
        self._set(task, 'finished', msgspec.json.encode(answer))

    def answered(self, task: Claimed) -> None:
        with database.transaction(self._connection) as connection:
            connection.execute('DELETE FROM task WHERE id = ? AND attempt = ?', (task.id, task.attempt))

    def _set(self, task: Claimed, state: str, answer: bytes | None) -> None:
        with database.transaction(self._connection) as connection:
            connection.execute(
                'UPDATE task SET state = ?, answer = ?, at = ? WHERE id = ? AND attempt = ?',
                (state, answer, time.time(), task.id, task.attempt),
            )

    def close(self) -> None:
        self._connection.close()


class Tasks:
    """`instance` names this running sidecar to NetBox."""

    def __init__(self, journal: Journal, handlers: Mapping[str, Handler], instance: str) -> None:
        self._journal = journal
        self._handlers = handlers
        self._instance = instance
        self.counts = {'done': 0, 'failed': 0}
        # When each task that waits was last renewed, by id and attempt; seconds of the monotonic clock.
        self._renewed: dict[tuple[int, int], float] = {}
        self._settle_interrupted()

    def _settle_interrupted(self) -> None:
        for entry in self._journal.entries():
            if entry.state == 'begun':
                log.warning('task interrupted', task=entry.task.id, kind=entry.task.kind)
                self._journal.finished(entry.task, {'error': INTERRUPTED})

    @property
    def unsettled(self) -> bool:
        """Whether something was claimed here that NetBox has no answer to yet."""
        return bool(self._journal.entries())

    def step(self, netbox: NetBox) -> int:
        """Answer what is finished, claim what there is, do it.  Returns how many were done.

        Raises NetBoxError: at once where NetBox cannot be talked to; where it only fails at one task, after the others.
        """
        failed: dict[tuple[int, int], NetBoxError] = {}
        self._answer(netbox, failed)
        had = len(self._journal.entries())
        if had < LIMIT:
            self._journal.take(netbox.claim(self._instance, self._journal.claim_key(), LIMIT - had))
        done = 0
        for entry in self._journal.entries():
            if entry.state in ('claimed', 'waiting'):
                try:
                    done += self._do(entry, netbox)
                except (Trouble, Silent) as error:
                    failed[_key(entry.task)] = error
        self._answer(netbox, failed)
        for found in failed.values():
            raise found
        return done

    def _do(self, entry: Entry, netbox: NetBox) -> bool:
        """Whether it has come to an end."""
        task, key = entry.task, _key(entry.task)
        if entry.state == 'claimed' or time.monotonic() - self._renewed.get(key, -RENEW) >= RENEW:
            try:
                # Whether it is still ours: it may have been cancelled, or given to another while NetBox was away.
                netbox.renew(task.id, self._instance, task.attempt)
            except Rejected as error:
                log.info('task is not ours any more', task=task.id, kind=task.kind, reason=str(error))
                self._forget(task)
                return True
            self._renewed[key] = time.monotonic()
        if entry.state == 'claimed':
            self._journal.begun(task)
        handler = self._handlers.get(task.kind)
        try:
            if handler is None:
                able = ', '.join(sorted(self._handlers)) or 'none at all'
                raise TaskError(f'This boot server cannot carry out tasks of the kind {task.kind} (it can: {able}).')
            answer: dict[str, Any] = {'answer': dict(handler(task, self._keep(task, netbox)))}
            self.counts['done'] += 1
        except NotYet:
            if entry.state != 'waiting':
                self._journal.waiting(task)
            return False
        except TaskLost as error:
            log.warning('task was lost', task=task.id, kind=task.kind, reason=str(error))
            self._forget(task)
            return True
        except TaskError as error:
            answer = {'error': str(error)}
            self.counts['failed'] += 1
        except Exception as error:  # a task that breaks its driver is answered like any that failed
            log.exception('task failed', task=task.id, kind=task.kind)
            answer = {'error': f'{type(error).__name__}: {error}'}
            self.counts['failed'] += 1
        self._journal.finished(task, answer)
        log.info('task carried out', task=task.id, kind=task.kind, error=answer.get('error', ''))
        return True

    def _forget(self, task: Claimed) -> None:
        self._renewed.pop(_key(task), None)
        self._journal.answered(task)

    def _keep(self, task: Claimed, netbox: NetBox) -> Keep:
        renewed = time.monotonic()

        def keep() -> None:
            nonlocal renewed
            since = time.monotonic() - renewed
            if since < RENEW:
                return
            try:
                netbox.renew(task.id, self._instance, task.attempt)
                renewed = time.monotonic()
            except Rejected as error:
                raise TaskLost(str(error)) from error
            except NetBoxError as error:
                if since > GIVE_UP:
                    raise TaskLost(f'NetBox has not been reached for {since:.0f} seconds.') from error

        return keep

    def _answer(self, netbox: NetBox, failed: dict[tuple[int, int], NetBoxError]) -> None:
        """Those at which NetBox fails are put into `failed`, and not tried if they are there."""
        for entry in self._journal.entries():
            key = _key(entry.task)
            if entry.state != 'finished' or entry.answer is None or key in failed:
                continue
            try:
                netbox.answer(
                    entry.task.id, {'instance': self._instance, 'attempt': entry.task.attempt, **entry.answer}
                )
            except Rejected as error:
                log.warning('answer refused', task=entry.task.id, kind=entry.task.kind, reason=str(error))
            except (Trouble, Silent) as error:
                failed[key] = error
                continue
            self._forget(entry.task)


def _key(task: Claimed) -> tuple[int, int]:
    """A task and the try of it."""
    return task.id, task.attempt
