"""A transfer with its client, its file and its port: which bytes are which packet.

When what is sent decides `tftp_transfer`, and who reads the sockets is `tftp_server`.
"""

import struct
from collections.abc import Callable

from . import tftp_packets as packets
from .contents import Content
from .tftp_packets import Request
from .tftp_sockets import Address, Listener, Local, Port
from .tftp_transfer import Terms, Transfer

header = struct.Struct('!HH').pack


class Session:
    """A transfer with its client, its file and its port (None: it shares the listener's)."""

    __slots__ = (
        'begun', 'blksize', 'client', 'content', 'key', 'memory', 'name', 'oack', 'port', 'receive', 'request',
        'scheduled', 'send', 'text', 'transfer',
    )  # fmt: skip

    def __init__(
        self, client: Address, local: Local, listener: Listener, port: Port | None, request: Request, content: Content,
        terms: Terms, text: bool, now: float,
    ) -> None:  # fmt: skip
        self.client, self.port = client, port
        self.request, self.name, self.content, self.text = request, request.name, content, text
        self.key = (client, local)
        self.receive: Callable[[int], bytes] = port.client.recv if port else _nothing
        self.send: Callable[[bytes], object] = (
            port.client.send if port else lambda packet: listener.send(packet, client, local)
        )
        self.blksize = terms.blksize
        self.memory = content.in_memory(text)
        self.oack = packets.option_ack(terms.accepted)
        self.transfer = Transfer(content.length(text), terms)
        self.begun = now
        # When the timer that counts goes off; others of this session are of no account.
        self.scheduled = float('inf')

    def packet(self, block: int) -> bytes:
        """The packet of a block; 0 is the option acknowledgement.  Raises NoContent."""
        if not block:
            return self.oack
        size = self.blksize
        start = (block - 1) * size
        memory = self.memory
        data = self.content.read(start, size) if memory is None else memory[start : start + size]
        return header(3, block & 0xFFFF) + data


def _nothing(length: int) -> bytes:
    raise BlockingIOError
