"""What machines reported → NetBox: in order, once, however often it has to be tried.

NetBox answers for each message.  When it fails at a message itself, that message waits together with all later ones of
the same machine or build, and the others go on.
"""

import time
from typing import Any

import structlog

from .netbox import NetBox, NetBoxError, Rejected, Trouble
from .outbox import Message, Outbox, Refused, Waiting
from .status import Board

log: Any = structlog.get_logger('outbox')

BATCH = 200


class Deliverer:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._delivered = 0

    def step(self, outbox: Outbox, netbox: NetBox) -> bool:
        """Deliver the oldest messages.  True if there may be more.  Raises NetBoxError when nothing can be done now."""
        waiting = outbox.due(time.time(), BATCH)
        if not waiting:
            self._report(outbox, '')
            return False
        try:
            self._deliver(outbox, netbox, waiting)
        except Trouble:
            # Something is wrong with NetBox, or with one message: find out which.
            self._one_by_one(outbox, netbox, waiting)
        except Rejected:
            self._one_by_one(outbox, netbox, waiting)
        except NetBoxError as error:
            self._report(outbox, str(error))
            raise
        self._report(outbox, '')
        return len(waiting) == BATCH

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
        blocked: set[tuple[int | None, int | None]] = set()
        last: NetBoxError | None = None
        for found in waiting:
            if _subject(found.message) in blocked:
                continue
            try:
                self._deliver(outbox, netbox, [found])
            except Rejected as error:
                log.error('message refused by netbox', key=found.message.key, code=error.code, reason=str(error))
                outbox.settle([], [Refused(found.sequence, error.code, str(error))])
            except Trouble as error:
                last = error
                blocked.add(_subject(found.message))
                if len(blocked) >= 3:
                    break  # it is NetBox, and not the message
        if last is not None:
            self._report(outbox, str(last))
            raise last

    def _report(self, outbox: Outbox, message: str) -> None:
        depth = outbox.depth()
        self._board.outbox(
            waiting=depth.waiting, oldest=depth.oldest, refused=depth.refused, delivered=self._delivered,
            message=message,
        )  # fmt: skip


def _subject(message: Message) -> tuple[int | None, int | None]:
    return message.build, message.machine
