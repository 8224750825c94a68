"""What machines reported → NetBox: in order, once, however often it has to be tried.

NetBox answers for each message.  When it fails at a message itself, or hangs over it, that message waits together with
all later ones of the same machine or build, longer each time, and the others go on, however many wait behind it.  Later
it is tried alone, when nothing else waits for the same request.
"""

import time
from typing import Any

import msgspec
import structlog

from .netbox import NetBox, NetBoxError, Rejected, Silent, Trouble
from .outbox import Message, Outbox, Refused, Waiting
from .status import Board

log: Any = structlog.get_logger('outbox')

BATCH = 200
# Bytes of a batch; NetBox takes requests up to Django's DATA_UPLOAD_MAX_MEMORY_SIZE, 2.5 MB.
BATCH_BYTES = 1 << 20
# Seconds for which a message at which NetBox failed waits, with all later ones of the same machine or build: after the
# first time, and at most; each time twice as long.
AGAIN, LATEST = 15.0, 900.0
# NetBox that fails at so many different ones in a row is in trouble itself.
IN_A_ROW = 3

# What messages are about, whose order must be kept.
type Subject = tuple[object, ...]


class Deliverer:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._delivered = 0
        # Until when the messages about something wait (seconds of the monotonic clock), and why.
        self._later: dict[Subject, tuple[float, str]] = {}
        # How often NetBox has failed at the first message about something.
        self._failures: dict[Subject, int] = {}

    def step(self, outbox: Outbox, netbox: NetBox) -> bool:
        """Deliver the oldest messages.  True if there may be more.  Raises NetBoxError when nothing can be done now."""
        now = time.monotonic()
        self._later = {subject: found for subject, found in self._later.items() if found[0] > now}
        waiting, suspect = self._next(outbox)
        try:
            if waiting:
                try:
                    self._deliver(outbox, netbox, waiting)
                except (Trouble, Rejected, Silent):
                    # Something is wrong with NetBox, or with one message: find out which.
                    self._one_by_one(outbox, netbox, waiting)
            if suspect is not None:
                self._one_by_one(outbox, netbox, [suspect])
        except NetBoxError as error:
            self._report(outbox, str(error))
            raise
        self._report(outbox)
        return bool(waiting) or suspect is not None

    def _next(self, outbox: Outbox) -> tuple[list[Waiting], Waiting | None]:
        """The oldest messages that need not wait, as many as go into one request; and the oldest one about something at
        which NetBox has failed before."""
        found: list[Waiting] = []
        suspect: Waiting | None = None
        size = 0
        for waiting in outbox.due(time.time()):
            about = subject(waiting.message)
            if about in self._later:
                continue
            if about in self._failures:
                suspect = suspect or waiting
                continue
            size += waiting.size
            if found and (size > BATCH_BYTES or len(found) == BATCH):
                break
            found.append(waiting)
        return found, suspect

    def _deliver(self, outbox: Outbox, netbox: NetBox, waiting: list[Waiting]) -> None:
        results = netbox.deliver([found.message for found in waiting])
        taken, refused = [], []
        for found, result in zip(waiting, results, strict=True):
            if result.status in ('ok', 'duplicate'):
                taken.append(found.sequence)
            elif result.status == 'refused':
                log.warning('message refused by netbox', key=found.message.key, code=result.code, reason=result.detail)
                refused.append(Refused(found.sequence, result.code, result.detail))
            else:
                raise Trouble(f'NetBox answered "{result.status}" to a message, which nobody knows.')
        outbox.settle(taken, refused)
        self._delivered += len(taken)

    def _one_by_one(self, outbox: Outbox, netbox: NetBox, waiting: list[Waiting]) -> None:
        row: list[Subject] = []
        for found in waiting:
            about = subject(found.message)
            if about in self._later:
                continue
            try:
                self._deliver(outbox, netbox, [found])
                row.clear()
                self._failures.pop(about, None)
            except Rejected as error:
                row.clear()
                self._failures.pop(about, None)
                log.error('message refused by netbox', key=found.message.key, code=error.code, reason=str(error))
                outbox.settle([], [Refused(found.sequence, error.code, str(error))])
            except (Trouble, Silent) as error:
                log.error('netbox fails at a message', key=found.message.key, reason=str(error))
                row.append(about)
                self._put_off(about, f'NetBox fails at {found.message.key}: {error}')
                if len(row) == IN_A_ROW:
                    # It is hardly for what they say: they need not wait longer than others.
                    for one in row:
                        self._failures.pop(one, None)
                    raise

    def _put_off(self, about: Subject, why: str) -> None:
        count = self._failures[about] = self._failures.get(about, 0) + 1
        self._later[about] = (time.monotonic() + min(LATEST, AGAIN * 2.0 ** min(count - 1, 10)), why)

    def _report(self, outbox: Outbox, message: str = '') -> None:
        depth = outbox.depth()
        message = message or next((reason for _, reason in self._later.values()), '')
        self._board.outbox(
            waiting=depth.waiting, oldest=depth.oldest, refused=depth.refused, delivered=self._delivered,
            message=message,
        )  # fmt: skip


def subject(message: Message) -> Subject:
    """Messages about the same build, machine, unknown machine or boot file are delivered in their order."""
    if message.build is not None or message.machine is not None:
        return message.build, message.machine
    if message.type == 'facts':
        return 'facts', msgspec.json.encode(message.identity, order='sorted')
    return message.type, str(message.data.get('url', ''))
