"""The TFTP server: the loop that carries packets between sockets and transfers.

What packets mean is in `tftp_packets`, what a transfer sends when in `tftp_transfer`, which bytes that are in
`tftp_session`, sockets are made in `tftp_sockets`, and what a name stands for says the `lookup` that the server is
given.  It only reads: nothing here can create, change or remove a file.

One thread, non-blocking sockets and epoll.  Each transfer has a socket and so a port of its own (RFC 1350 section 4),
or all share the one port, where firewalls and address translation need that.  Answers come from the address that was
asked.
"""

import contextlib
import errno
import heapq
import os
import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import structlog

from . import tftp_packets as packets
from .contents import Content, Contents, NoContent, Source
from .tftp_packets import Ack, Code, Error, Malformed, Request
from .tftp_session import Session
from .tftp_sockets import Address, Listener, Local, Ways, open_port
from .tftp_transfer import negotiate
from .tftp_words import Chatter, shown

log = structlog.get_logger('tftp')

# What a name stands for, for the client at an address; None: nothing.  Called between packets, so it must be quick.
type Lookup = Callable[[str, str], Source | None]
# The machine that a client is, by its address and the name that it asked for; '' where nobody knows.
type Whose = Callable[[str, str], str]

number_of = int.from_bytes
# An ACK of block 0, as a number.
_ACK = 4 << 16

# Requests taken from a listening socket before transfers have their turn.
TURN = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """`transfers` at once, in all and for one client address; what is beyond gets no answer, and asks again.

    `largest_block` bounds blksize where the MTU does not; 0: the MTU alone.
    """

    transfers: int = 4096
    transfers_per_client: int = 256
    largest_block: int = 0


@dataclass(slots=True)
class Counts:
    """What has happened since the start.

    `complete` transfers were acknowledged to the end, `unconfirmed` all but the last block; `aborted` were ended by the
    client, `abandoned` had no answer for too long, `broken` could not be read to the end.  `turned_away` were beyond
    the limits.  Errors are counted by their code.
    """

    requests: int = 0
    complete: int = 0
    unconfirmed: int = 0
    aborted: int = 0
    abandoned: int = 0
    broken: int = 0
    turned_away: int = 0
    bytes: int = 0
    blocks_resent: int = 0
    strays: int = 0
    malformed: int = 0
    errors_sent: Counter[int] = field(default_factory=Counter)
    errors_received: Counter[int] = field(default_factory=Counter)


class Server:
    """`serve` serves until `stop` is called.  The listeners stay their owner's; `close` lets go of everything else."""

    def __init__(
        self, listeners: Sequence[Listener], lookup: Lookup, *, whose: Whose = lambda client, name: '',
        limits: Limits = Limits(), single_port: bool = False, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._lookup, self._whose, self._limits, self._single = lookup, whose, limits, single_port
        self._clock = clock
        self._now = clock()
        self._listeners = {made.socket.fileno(): made for made in listeners}
        self._ways = Ways()
        self._contents = Contents()
        self._by_socket: dict[int, tuple[Callable[[Session], None], Session]] = {}
        self._by_client: dict[tuple[Address, Local], Session] = {}
        self._per_client: Counter[str] = Counter()
        self._timers: list[tuple[float, int, Session]] = []
        self._number = count()
        self._chatter = Chatter(clock)
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for descriptor in (self._wake, *self._listeners):
            self._epoll.register(descriptor, select.EPOLLIN)
        self._stopping = False

    @property
    def active(self) -> int:
        """How many transfers are under way."""
        return len(self._by_client)

    @property
    def stopping(self) -> bool:
        """Whether new requests are left unanswered."""
        return self._stopping

    def stop(self) -> None:
        """End `serve`; may be called from a signal handler or another thread."""
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        for session in list(self._by_client.values()):
            self._end(session)
        self._ways.close()
        self._contents.close()
        self._epoll.close()
        os.close(self._wake)

    def serve(self, grace: float = 0.0) -> None:
        """Serve until `stop`, then at most `grace` seconds longer for what is under way."""
        until = float('inf')
        poll, by_socket = self._epoll.poll, self._by_socket
        while True:
            now = self._now = self._clock()
            if self._timers and self._timers[0][0] <= now:
                self._overdue(now)
            if self._stopping and (not self._by_client or now >= until):
                return
            next_timer = self._timers[0][0] if self._timers else now + 60.0
            ready = poll(max(0.0, min(next_timer, until) - now))
            self._now = self._clock()
            for descriptor, _ in ready:
                reaction = by_socket.get(descriptor)
                if reaction is not None:
                    react, session = reaction
                    react(session)
                elif descriptor in self._listeners:
                    self._requests(self._listeners[descriptor])
                elif descriptor == self._wake:
                    self._epoll.unregister(self._wake)
                    self._stopping = True
                    until = self._now + grace

    # Packets of transfers

    def _ready(self, session: Session) -> None:
        """Take what has arrived.  The short way first, for nearly all packets: an ACK in lock step draws a block.

        epoll tells of each arrival once (EPOLLET).  A packet that draws an answer ends the turn, for what stands behind
        it is older than the answer; after one that draws none, the next is looked at.
        """
        try:
            packet = session.receive(600)
        except OSError as error:
            self._nothing_there(session, error)
            return
        number = number_of(packet) - _ACK
        if 0 <= number <= 0xFFFF and len(packet) == 4:
            transfer = session.transfer
            first, last = transfer.acknowledged(number, self._now)
            if first == last:
                try:
                    session.send(session.packet(first))
                except (OSError, NoContent) as error:
                    self._hindered(session, first, error)
                if transfer.deadline < session.scheduled:
                    self._schedule(session)
                return
            if first < last:
                self._send(session, first, last)
                return
            self._look_after(session)
        else:
            self._packet(session, packet)
        for _ in range(TURN):
            if session.transfer.ended:
                return
            before = session.transfer.sent
            try:
                packet = session.receive(600)
            except OSError as error:
                self._nothing_there(session, error)
                return
            self._packet(session, packet)
            if session.transfer.sent != before:
                return  # drew an answer

    def _nothing_there(self, session: Session, error: OSError) -> None:
        if isinstance(error, ConnectionRefusedError):
            session.transfer.refused()
            self._look_after(session)

    def _look_after(self, session: Session) -> None:
        """Nothing was to be sent."""
        if session.transfer.state != 'open':
            self._finish(session)
        elif session.transfer.deadline < session.scheduled:
            self._schedule(session)

    def _stray(self, session: Session) -> None:
        """Somebody else's packet is answered, and nothing else happens (RFC 1350 section 4)."""
        assert session.port is not None
        with contextlib.suppress(OSError):
            _, sender = session.port.others.recvfrom(1)
            self.counts.strays += 1
            self.counts.errors_sent[Code.UNKNOWN_ID] += 1
            session.port.others.sendto(packets.error(Code.UNKNOWN_ID, 'this port is not for you'), sender)

    def _packet(self, session: Session, packet: bytes) -> None:
        """A packet of a transfer's client."""
        try:
            found = packets.parse(packet)
        except Malformed:
            self.counts.malformed += 1
            return
        if isinstance(found, Ack):
            first, last = session.transfer.acknowledged(found.block, self._now)
            if first <= last:
                self._send(session, first, last)
            else:
                self._look_after(session)
        elif isinstance(found, Error):
            # Firmware that only wants to know the size does this, too.
            self.counts.errors_received[found.code] += 1
            self.counts.aborted += 1
            self._say(session, 'the client ended the transfer', code=found.code, error=found.message)
            self._end(session)

    def _send(self, session: Session, first: int, last: int) -> None:
        block = first
        try:
            while block <= last:
                session.send(session.packet(block))
                block += 1
        except (OSError, NoContent) as error:
            self._hindered(session, block, error)
        if session.transfer.deadline < session.scheduled:
            self._schedule(session)

    def _hindered(self, session: Session, block: int, error: OSError | NoContent) -> None:
        """A block could not be sent."""
        if isinstance(error, NoContent):
            self._break(session, str(error))
            return
        if error.errno == errno.EMSGSIZE:
            self._break(session, f'blocks of {session.blksize} bytes are too large')
            return
        if isinstance(error, ConnectionRefusedError):
            session.transfer.refused()
            if session.transfer.state != 'open':
                self._finish(session)
                return
        # Full buffers, or a route that has gone for a moment; if it is for good, patience ends.
        session.transfer.held_back(block, self._now)

    def _break(self, session: Session, reason: str) -> None:
        self.counts.broken += 1
        self.counts.errors_sent[Code.UNDEFINED] += 1
        with contextlib.suppress(OSError):
            session.send(packets.error(Code.UNDEFINED, reason))
        self._say(session, 'the transfer was ended', reason=reason)
        self._end(session)

    def _refuse(self, listener: Listener, client: Address, local: Local, code: Code, message: str) -> None:
        self.counts.errors_sent[code] += 1
        with contextlib.suppress(OSError):
            listener.send(packets.error(code, message), client, local)

    def _finish(self, session: Session) -> None:
        """A transfer has come to its end by itself."""
        transfer = session.transfer
        seconds = round(self._now - session.begun, 3)
        size = session.content.length(session.text)
        if transfer.state == 'abandoned':
            self.counts.abandoned += 1
            sent = min(max(transfer.acked, 0) * session.blksize, size)
            self._say(session, 'the client does not answer', bytes=sent, of=size, seconds=seconds)
        else:
            if transfer.state == 'complete':
                self.counts.complete += 1
            else:
                self.counts.unconfirmed += 1
            self._say(session, 'sent', bytes=size, seconds=seconds, resent=transfer.resent)
        self._end(session)

    def _end(self, session: Session) -> None:
        transfer = session.transfer
        self.counts.blocks_resent += transfer.resent
        self.counts.bytes += min(max(transfer.acked, 0) * session.blksize, session.content.length(session.text))
        transfer.state = 'abandoned' if transfer.state == 'open' else transfer.state
        session.scheduled = float('inf')
        if session.port is not None:
            for each in session.port.sockets:
                del self._by_socket[each.fileno()]
                each.close()  # which takes it out of epoll
        if self._by_client.get(session.key) is session:
            del self._by_client[session.key]
            host = session.client[0]
            self._per_client[host] -= 1
            if not self._per_client[host]:
                del self._per_client[host]
        self._contents.release(session.content)

    # Timers: each session has one entry that counts; the others are passed over when their time comes.

    def _schedule(self, session: Session) -> None:
        if session.transfer.state != 'open':
            return
        session.scheduled = session.transfer.deadline
        heapq.heappush(self._timers, (session.scheduled, next(self._number), session))

    def _overdue(self, now: float) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now:
            at, _, session = heapq.heappop(timers)
            if at != session.scheduled:
                continue
            session.scheduled = float('inf')
            transfer = session.transfer
            if session.port is not None and transfer.deadline <= now:
                self._ready(session)  # nothing that has come by now shall be overlooked
            if transfer.ended:
                continue
            first, last = transfer.overdue(now)
            if first <= last:
                self._send(session, first, last)
            elif transfer.state != 'open':
                self._finish(session)
            else:
                self._schedule(session)

    # Requests

    def _requests(self, listener: Listener) -> None:
        for _ in range(TURN):
            try:
                packet, client, local = listener.receive(packets.LONGEST_REQUEST)
            except OSError:
                return
            if local is None:
                continue  # requests to a broadcast address are not answered (RFC 1123 section 4.2.3.5)
            if self._single and (session := self._by_client.get((client, local))) and packet[:2] != b'\0\1':
                self._packet(session, packet)
                continue
            if self._stopping:
                continue
            try:
                self._first_packet(listener, client, local, packet)
            except Exception:
                # Whatever a request may do, the other machines' transfers go on.
                log.exception('a request could not be served', client=client[0], packet=packet[:80])
                self._refuse(listener, client, local, Code.UNDEFINED, 'this request cannot be served')

    def _first_packet(self, listener: Listener, client: Address, local: Local, packet: bytes) -> None:
        try:
            found = packets.parse(packet)
        except Malformed as error:
            self.counts.malformed += 1
            if error.answer is not None:
                self._refuse(listener, client, local, error.answer, str(error))
            return
        if isinstance(found, Ack):
            # Of a transfer that this server does not know (any more).
            self.counts.strays += 1
            self._refuse(listener, client, local, Code.UNKNOWN_ID, 'there is no such transfer')
        elif isinstance(found, Request):
            self.counts.requests += 1
            self._request(listener, client, local, found)

    def _request(self, listener: Listener, client: Address, local: Local, request: Request) -> None:
        host, name = client[0], request.name
        if request.write:
            self._chat('nothing can be written here', host, name)
            self._refuse(listener, client, local, Code.ACCESS, 'this server only sends files')
            return
        if (other := self._by_client.get((client, local))) is not None:
            if other.request == request and other.transfer.acked <= 0:
                return  # the same request again; the answer to it is on its way, and will be repeated
            # Another one from the same port, as EDK II asks first for the size and then for the file: its goodbye to
            # the first may be read after this.
            other.transfer.state = 'unconfirmed' if other.transfer.acked >= other.transfer.last - 1 else 'abandoned'
            self._finish(other)
        if (
            len(self._by_client) >= self._limits.transfers
            or self._per_client[host] >= self._limits.transfers_per_client
        ):
            self.counts.turned_away += 1
            self._chat('too many transfers at once', host, name, transfers=len(self._by_client))
            return
        source = self._lookup(name, host)
        if source is None:
            self._chat('there is no such file', host, name)
            self._refuse(listener, client, local, Code.NOT_FOUND, 'there is no such file')
            return
        try:
            content = self._contents.take(source)
        except NoContent as error:
            self._chat('the file cannot be sent', host, name, reason=str(error))
            self._refuse(listener, client, local, Code.UNDEFINED, str(error))
            return
        try:
            self._begin(listener, client, local, request, content)
        except NoContent as error:
            self._contents.release(content)
            self._chat('the file cannot be sent', host, name, reason=str(error))
            self._refuse(listener, client, local, Code.UNDEFINED, str(error))
        except OSError as error:
            # No more descriptors or ports: as with the limits.
            self._contents.release(content)
            self.counts.turned_away += 1
            self._chat('no socket for another transfer', host, name, reason=error.strerror)

    def _begin(
        self, listener: Listener, client: Address, local: Local, request: Request, content: Content
    ) -> None:  # fmt: skip
        text = request.mode == 'netascii'
        size = content.length(text)
        largest = self._ways.largest_block(listener.family, client)
        if self._limits.largest_block:
            largest = min(largest, self._limits.largest_block)
        terms = negotiate(request, size, largest)
        port = None if self._single else open_port(listener.family, local, client)
        session = Session(client, local, listener, port, request, content, terms, text, self._now)
        if port is not None:
            for each, react, events in (
                (port.client, self._ready, select.EPOLLIN | select.EPOLLET), (port.others, self._stray, select.EPOLLIN)
            ):  # fmt: skip
                self._epoll.register(each.fileno(), events)
                self._by_socket[each.fileno()] = (react, session)
        self._by_client[session.key] = session
        self._per_client[client[0]] += 1
        self._send(session, *session.transfer.begin(self._now))

    # Words

    def _say(self, session: Session, event: str, **words: object) -> None:
        self._chat(event, session.client[0], session.name, **words)

    def _chat(self, event: str, host: str, name: str, **words: object) -> None:
        if not self._chatter.allows():
            return
        machine = self._whose(host, name)
        if machine:
            words['machine'] = machine
        log.info(event, file=shown(name), client=host, **words)
