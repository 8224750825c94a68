"""A TFTP client for tests that says exactly what it is told to, and a server on loopback to say it to."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from substruct_sidecar.boot.contents import OpenFile, Source
from substruct_sidecar.boot.tftp_server import Limits, Server
from substruct_sidecar.boot.tftp_sockets import listeners

PATIENCE = 10.0
USUAL = Limits()


def request(name: str | bytes, mode: str = 'octet', *, opcode: int = 1, **options: object) -> bytes:
    named = name if isinstance(name, bytes) else name.encode()
    fields = [named, mode.encode(), *(str(part).encode() for pair in options.items() for part in pair)]
    return opcode.to_bytes(2) + b'\0'.join(fields) + b'\0'


def ack(block: int) -> bytes:
    return b'\0\4' + (block & 0xFFFF).to_bytes(2)


@dataclass
class Served:
    server: Server
    port: int


@contextmanager
def serving(
    lookup: Callable[[str, str], Source | None], host: str = '::', *, limits: Limits = USUAL, single: bool = False
) -> Iterator[Served]:
    (mine,) = listeners([(host, 0)])
    server = Server(mine, lookup, limits=limits, single_port=single)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield Served(server, mine[0].port)
    finally:
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        server.close()
        for listener in mine:
            listener.socket.close()


def folder(path: Path) -> Callable[[str, str], Source | None]:
    """Serves the files of one folder by their plain names."""

    def lookup(name: str, client: str) -> Source | None:
        if name not in os.listdir(path):
            return None
        return OpenFile(os.open(path / name, os.O_RDONLY))

    return lookup


class Client:
    """One socket.  `said` is (opcode, block or code, rest) of a packet; `port` is the transfer's once it answered."""

    def __init__(self, port: int, host: str = '127.0.0.1', bind: str = '') -> None:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((bind or ('::' if family == socket.AF_INET6 else '0.0.0.0'), 0))
        self.host, self.asked, self.port = host, port, port

    def __enter__(self) -> 'Client':
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, *arguments: object, **options: object) -> None:
        self.send(request(*arguments, **options), self.asked)  # type: ignore[arg-type]

    def send(self, packet: bytes, port: int | None = None) -> None:
        self.socket.sendto(packet, (self.host, self.port if port is None else port))

    def hear(self) -> tuple[int, int, bytes]:
        packet, sender = self.socket.recvfrom(70_000)
        self.port = sender[1]
        self.sender = sender[0]
        return int.from_bytes(packet[:2]), int.from_bytes(packet[2:4]), packet[4:]

    def options(self) -> dict[str, str]:
        """Hear an OACK."""
        packet, sender = self.socket.recvfrom(70_000)
        self.port = sender[1]
        assert packet[:2] == b'\0\6', packet
        fields = packet[2:].decode().split('\0')[:-1]
        return dict(zip(fields[::2], fields[1::2], strict=True))

    def silence(self, seconds: float = 0.1) -> bool:
        """Whether nothing is heard for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recvfrom(70_000)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def fetch(self, name: str | bytes, mode: str = 'octet', **options: object) -> bytes:
        """A whole file, in order and without loss.  An ERROR is an AssertionError."""
        self.ask(name, mode, **options)
        size, window = 512, 1
        if options:
            agreed = self.options()
            size, window = int(agreed.get('blksize', 512)), int(agreed.get('windowsize', 1))
            self.send(ack(0))
        found = bytearray()
        block = 0
        while True:
            opcode, number, data = self.hear()
            assert opcode == 3, (opcode, number, data)
            if number != (block + 1) & 0xFFFF:
                continue
            block += 1
            found += data
            if len(data) < size:
                self.send(ack(block))
                return bytes(found)
            if block % window == 0:
                self.send(ack(block))
