"""What machines reported → NetBox: in order, once, however often it has to be tried.

NetBox answers for each message.  When it fails at a message itself, that message waits together with all later ones of
the same machine or build, and the others go on, however many wait behind it.
"""

import time
from typing import Any

import msgspec
import structlog

from .netbox import NetBox, NetBoxError, Rejected, Trouble
from .outbox import Message, Outbox, Refused, Waiting
from .status import Board

log: Any = structlog.get_logger('outbox')

BATCH = 200
# Bytes of a batch; NetBox takes requests up to Django's DATA_UPLOAD_MAX_MEMORY_SIZE, 2.5 MB.
BATCH_BYTES = 1 << 20
# Seconds for which a message at which NetBox failed waits, with all later ones of the same machine or build.
AGAIN = 15.0
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

    def step(self, outbox: Outbox, netbox: NetBox) -> bool:
        """Deliver the oldest messages.  True if there may be more.  Raises NetBoxError when nothing can be done now."""
        now = time.monotonic()
        self._later = {subject: found for subject, found in self._later.items() if found[0] > now}
        waiting = self._next(outbox)
        if not waiting:
            self._report(outbox)
            return False
        try:
            try:
                self._deliver(outbox, netbox, waiting)
            except (Trouble, Rejected):
                # Something is wrong with NetBox, or with one message: find out which.
                self._one_by_one(outbox, netbox, waiting)
        except NetBoxError as error:
            self._report(outbox, str(error))
            raise
        self._report(outbox)
        return True

    def _next(self, outbox: Outbox) -> list[Waiting]:
        """The oldest messages that need not wait: as many as go into one request."""
        found: list[Waiting] = []
        after, size = 0, 0
        while page := outbox.due(time.time(), BATCH, after):
            after = page[-1].sequence
            for waiting in page:
                if subject(waiting.message) in self._later:
                    continue
                size += len(msgspec.json.encode(waiting.message))
                if found and (size > BATCH_BYTES or len(found) == BATCH):
                    return found
                found.append(waiting)
        return found

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
        failed = 0
        for found in waiting:
            about = subject(found.message)
            if about in self._later:
                continue
            try:
                self._deliver(outbox, netbox, [found])
                failed = 0
            except Rejected as error:
                failed = 0
                log.error('message refused by netbox', key=found.message.key, code=error.code, reason=str(error))
                outbox.settle([], [Refused(found.sequence, error.code, str(error))])
            except Trouble as error:
                failed += 1
                log.error('netbox fails at a message', key=found.message.key, reason=str(error))
                self._later[about] = (time.monotonic() + AGAIN, f'NetBox fails at {found.message.key}: {error}')
                if failed == IN_A_ROW:
                    raise

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
