"""One TFTP transfer: what was agreed, which blocks go out after which acknowledgement, when to lose patience.  Pure.

Time is given in, in seconds of any steady clock; what is to be sent comes out as a range of block numbers.  Reading
files and sending packets is done in `tftp`.

Sources: RFC 1350, RFC 2347 (options), RFC 2348 (blksize), RFC 2349 (timeout, tsize), RFC 7440 (windowsize), and RFC
1123 section 4.2.3.1 for the sorcerer's apprentice: a duplicate ACK is never answered at once, or every packet of a
transfer would travel twice from then on.
"""

from dataclasses import dataclass
from typing import Literal

from .tftp_packets import Request

# RFC 1350's block, for clients that ask for none.
BLOCK = 512
# A window travels as a burst, and must fit into the buffers of sockets and switches.
LARGEST_WINDOW = 64
LARGEST_BURST = 128 * 1024

# Seconds.  The interval is what a lost packet costs; it doubles with each repetition.
INTERVAL = 0.25
LONGEST_INTERVAL = 4.0
# Answers that come sooner say nothing about the interval.
_QUICK = INTERVAL / 4
# A client may ask for up to 255 (RFC 2349), but a transfer that waits so long is only a burden.
LONGEST_TIMEOUT = 30
# How late a partial or repeated ACK of a window is answered: out of order packets draw one such ACK each, and the
# answer to all of them is one window.
LATE = 0.01
# Without progress for so long, the client has gone.
PATIENCE = 30.0
# How often the first packet is sent: whoever forges a source address shall not draw many.
FIRST_TRIES = 6
# When all but the last ACK has come: the client has what it wanted and may have closed its socket.
LAST_TRIES = 6

type Range = tuple[int, int]

# First greater than last: nothing to send.
NOTHING: Range = (1, 0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What server and client agree on.  `timeout` is what the client asked for in seconds, or None; `accepted` are the
    options to acknowledge, in the client's order and spelling."""

    blksize: int = BLOCK
    windowsize: int = 1
    timeout: int | None = None
    accepted: tuple[tuple[str, str], ...] = ()


def negotiate(request: Request, size: int, largest_block: int) -> Terms:
    """The terms for a request: nothing but what was asked, clamped to what fits; what cannot be read is passed over.

    `size` in bytes is what will be sent (after netascii); `largest_block` is what fits into a packet unfragmented.
    """
    blksize, windowsize, timeout = BLOCK, 1, None
    asked: list[tuple[str, str]] = []
    for spelled, text in request.options:
        name = spelled.lower()
        value = _number(text)
        if value is None:
            continue
        if name == 'blksize' and 8 <= value <= 65464:
            blksize = min(value, max(largest_block, BLOCK))
            asked.append((spelled, name))
        elif name == 'timeout' and 1 <= value <= LONGEST_TIMEOUT:
            timeout = value
            asked.append((spelled, name))
        elif name == 'windowsize' and 1 <= value <= 65535:
            windowsize = value
            asked.append((spelled, name))
        elif name == 'tsize':
            asked.append((spelled, name))
    windowsize = max(1, min(windowsize, LARGEST_WINDOW, LARGEST_BURST // blksize))
    values = {'blksize': blksize, 'timeout': timeout, 'windowsize': windowsize, 'tsize': size}
    return Terms(blksize, windowsize, timeout, tuple((spelled, str(values[name])) for spelled, name in asked))


def _number(text: str) -> int | None:
    # int() would take signs, underscores, blanks and digits of other scripts.
    return int(text) if len(text) <= 20 and text.isascii() and text.isdigit() else None


class Transfer:
    """The sender's side of one transfer.

    Blocks count from 1 without end; block 0 is the option acknowledgement.  `begin`, `acknowledged` and `overdue` give
    the blocks to send now as (first, last); the last block of all, `last`, is the one that is not full (it may be
    empty).  `deadline` is when `overdue` is to be called.  `state` is `open` until it is `complete`, `unconfirmed` (all
    was sent, and all but the last block acknowledged) or `abandoned`.
    """

    __slots__ = (
        '_interval', '_late', '_longest', '_patience', '_progress', '_repeats', '_rtt', '_silent', '_tries', '_wait',
        'acked', 'deadline', 'last', 'resent', 'sent', 'state', 'window',
    )  # fmt: skip

    def __init__(self, size: int, terms: Terms) -> None:
        self.last = size // terms.blksize + 1
        self.window = terms.windowsize
        self.state: Literal['open', 'complete', 'unconfirmed', 'abandoned'] = 'open'
        # Without options there is nothing to acknowledge before block 1.
        self.acked = -1 if terms.accepted else 0
        self.sent = self._silent = self.acked
        # How many times a block was sent again.
        self.resent = 0
        self.deadline = 0.0
        self._interval = INTERVAL if terms.timeout is None else float(terms.timeout)
        self._longest = max(LONGEST_INTERVAL, self._interval)
        self._patience = max(PATIENCE, 4 * self._interval)
        self._rtt = 0.0
        self._wait = self._interval
        self._tries = 0
        self._repeats = 0
        self._late = False
        self._progress = 0.0

    @property
    def ended(self) -> bool:
        return self.state != 'open'

    def begin(self, now: float) -> Range:
        """The first packet: the option acknowledgement, else block 1."""
        self._progress = now
        self.deadline = now + self._interval
        first = self.sent = self.acked + 1
        return first, first

    def acknowledged(self, number: int, now: float) -> Range:
        """The client has everything up to the block of this number (the 16 bits of it that are sent)."""
        acked = self.acked
        ahead = (number - acked) & 0xFFFF
        outstanding = self.sent - acked
        if not ahead <= outstanding or self.state != 'open':
            return NOTHING  # of another time
        if ahead == outstanding != 0:
            took = now - self._progress
            if took > _QUICK or self._wait != self._interval:
                self._learn(took)
            self._tries = self._repeats = 0
            self._late = False
            self._progress = now
            self.acked = acked = self.sent
            last = self.last
            if acked == last:
                self.state = 'complete'
                return NOTHING
            sent = acked + self.window
            self.sent = sent = sent if sent < last else last
            self.deadline = now + self._wait
            return acked + 1, sent
        if self.window == 1:
            return NOTHING  # a repetition: answering it would double every packet from here on
        if ahead:
            # A part of the window has arrived; the client wants the rest again.
            self.acked = acked + ahead
            self._progress = now
            self._repeats = self._tries = 0
            self._answer_late(now)
        elif acked >= 0 and not self._late:
            self._answer_late(now)
        return NOTHING

    def _learn(self, took: float) -> None:
        """How long the way is, where it is so long that blocks would be repeated for nothing."""
        took = min(took, self._longest / 2)
        if self._tries:
            # Which of the packets was acknowledged nobody knows (Karn's algorithm), but the way may be this long.
            self._rtt = max(self._rtt, 0.6 * took)
        else:
            # Quickly: what was learnt from a loss is mostly wrong, and makes the next one dearer.
            self._rtt += (took - self._rtt) / 2
        self._wait = max(self._interval, 2 * self._rtt)

    def _answer_late(self, now: float) -> None:
        self._late = True
        # An ACK that is repeated for ever must not draw a window each time: longer and longer.
        self.deadline = min(self.deadline, now + LATE * 2**self._repeats)

    def overdue(self, now: float) -> Range:
        """What to send because `deadline` has come.  May end the transfer."""
        if self.state != 'open' or now < self.deadline:
            return NOTHING
        if self._late:
            self._late = False
            self._repeats = min(self._repeats + 1, 16)
        else:
            self._tries += 1
        heard = self.acked != self._silent
        if now - self._progress > self._patience or (not heard and self._tries >= FIRST_TRIES):
            self.state = 'abandoned'
            return NOTHING
        if self.acked == self.last - 1 and self.sent == self.last and self._tries >= LAST_TRIES:
            self.state = 'unconfirmed'
            return NOTHING
        self.resent += self.sent - self.acked
        self.sent = min(self.acked + self.window, self.last) if self.acked >= 0 else 0
        # After LATE has been doubled four times, repeated ACKs draw no more than silence does.
        doubled = min(self._tries + max(0, self._repeats - 4), 16)
        self.deadline = now + min(self._wait * 2**doubled, self._longest)
        return self.acked + 1, self.sent

    def refused(self) -> None:
        """The client's host says that nobody listens there.  Anybody can forge that, so it ends little: a transfer that
        was never acknowledged, or of which only the last acknowledgement is missing."""
        if self.state != 'open':
            return
        if self.acked == self._silent:
            self.state = 'abandoned'
        elif self.acked == self.last - 1 and self.sent == self.last:
            self.state = 'unconfirmed'

    def held_back(self, block: int, now: float) -> None:
        """The socket took no more: this block and those after it were not sent.  They follow soon."""
        self.sent = block - 1
        self._late = True
        self.deadline = now + min(LATE * 2**self._repeats, self._longest)
