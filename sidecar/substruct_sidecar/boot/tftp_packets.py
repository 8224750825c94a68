"""TFTP packets: bytes become small typed values, and values become bytes.  Pure.

What a server that only sends needs of RFC 1350, and the options of RFC 2347.  What the values mean for a transfer is
decided in `tftp_transfer`; sockets are in `tftp`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

# Requests of real clients fit into 512 bytes (RFC 2347 says so of requests with options); this leaves room.
LONGEST_REQUEST = 2048


class Opcode(IntEnum):
    """RFC 1350 section 5; OACK is of RFC 2347."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class Code(IntEnum):
    """What an ERROR packet says (RFC 1350 appendix; 8 is of RFC 2347)."""

    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    FULL = 3
    ILLEGAL = 4
    UNKNOWN_ID = 5
    EXISTS = 6
    NO_USER = 7
    OPTIONS = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A request to read (or to write, which is refused).

    `name` and the options are what the client wrote, bytes that are no UTF-8 as surrogates; nothing is cleaned here.
    Options are (name, value) in the client's order and spelling, each name once: the first one counts.
    """

    write: bool
    name: str
    mode: Literal['octet', 'netascii']
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ack:
    block: int


@dataclass(frozen=True, slots=True)
class Error:
    code: int
    message: str


class Malformed(Exception):
    """A packet that is none.  `answer` is what its sender is told; None where it is not worth an answer."""

    def __init__(self, message: str, answer: Code | None = Code.ILLEGAL) -> None:
        super().__init__(message)
        self.answer = answer


def parse(packet: bytes) -> Request | Ack | Error:
    """What a client has sent.  Raises Malformed; packets that only a server sends are malformed too.

    An ERROR or garbage is never answered with an error, or two servers could talk for ever.
    """
    if len(packet) < 4 or packet[0] != 0:
        raise Malformed('no TFTP packet', answer=None)
    opcode = packet[1]
    if opcode == Opcode.ACK:
        return Ack(packet[2] << 8 | packet[3])
    if opcode == Opcode.ERROR:
        message = packet[4:260].partition(b'\0')[0]
        return Error(packet[2] << 8 | packet[3], message.decode('utf-8', 'backslashreplace'))
    if opcode in (Opcode.RRQ, Opcode.WRQ):
        return _request(packet)
    raise Malformed(f'opcode {opcode} is not for a server that sends files', answer=None)


def _request(packet: bytes) -> Request:
    if len(packet) > LONGEST_REQUEST:
        raise Malformed(f'a request of {len(packet)} bytes')
    # What stands after the last NUL is no field; some clients pad with NULs, which then are empty names of options.
    fields = [field.decode('utf-8', 'surrogateescape') for field in packet[2:].split(b'\0')[:-1]]
    if len(fields) < 2:
        raise Malformed('a request without name and mode')
    mode = fields[1].lower()
    if mode not in ('octet', 'netascii'):
        raise Malformed('a mode other than octet and netascii')
    options: dict[str, tuple[str, str]] = {}
    for name, value in zip(fields[2::2], fields[3::2], strict=False):
        if name:
            options.setdefault(name.lower(), (name, value))
    return Request(
        write=packet[1] == Opcode.WRQ,
        name=fields[0],
        mode='octet' if mode == 'octet' else 'netascii',
        options=tuple(options.values()),
    )


def option_ack(options: tuple[tuple[str, str], ...]) -> bytes:
    fields = b''.join(_text(name) + b'\0' + _text(value) + b'\0' for name, value in options)
    return b'\0\6' + fields


def error(code: Code, message: str) -> bytes:
    return b'\0\5' + code.to_bytes(2) + _text(message)[:200] + b'\0'


def _text(value: str) -> bytes:
    return value.encode('utf-8', 'surrogateescape').replace(b'\0', b'')


def netascii(content: bytes) -> bytes:
    """Text as RFC 764 has it: lines end with CR LF, a CR alone is CR NUL (RFC 1350 section 1)."""
    return content.replace(b'\r', b'\r\0').replace(b'\n', b'\r\n')
