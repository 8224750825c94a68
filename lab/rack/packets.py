"""A pcap file in words: who asked for what when, in DHCP, TFTP, DNS and HTTP.  Pure, but for reading the file.

Sources: RFC 2131 and 2132 (DHCP), 4578 (PXE options), 3004 (user class), 1350 and 2347 to 2349 (TFTP).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b'\x63\x82\x53\x63'
_DHCP = {1: 'DISCOVER', 2: 'OFFER', 3: 'REQUEST', 4: 'DECLINE', 5: 'ACK', 6: 'NAK', 7: 'RELEASE', 8: 'INFORM'}
_TFTP_ERRORS = {1: 'not found', 8: 'options refused'}


@dataclass(frozen=True)
class Packet:
    """`time` in seconds since 1970; addresses of IPv4 with ports; `tcp` or udp.

    `payload` is as much as was kept of `size` bytes.
    """

    time: float
    source_mac: str
    source: str
    source_port: int
    target: str
    target_port: int
    tcp: bool
    payload: bytes
    size: int


@dataclass(frozen=True)
class Event:
    """One thing that happened.  `who` is the machine's MAC address; `what` is in words."""

    time: float
    who: str
    protocol: str
    what: str


def read(path: Path) -> Iterator[Packet]:
    """TCP and UDP over IPv4; everything else is left out."""
    with path.open('rb') as file:
        magic = file.read(24)[:4]
        if magic != b'\xd4\xc3\xb2\xa1':
            raise ValueError(f'{path} is no pcap file of this machine')
        while len(head := file.read(16)) == 16:
            seconds, parts, length, _ = struct.unpack('<IIII', head)
            frame = file.read(length)
            if (packet := _packet(frame, seconds + parts / 1e6)) is not None:
                yield packet


def _packet(frame: bytes, moment: float) -> Packet | None:
    if len(frame) < 34 or frame[12:14] != b'\x08\x00' or frame[23] not in (6, 17):
        return None
    at = 14 + (frame[14] & 0x0F) * 4
    end = 14 + int.from_bytes(frame[16:18])
    tcp = frame[23] == 6
    begin = at + (8 if not tcp else (frame[at + 12] >> 4) * 4 if len(frame) > at + 12 else 20)
    return Packet(
        moment, frame[6:12].hex(':'), _ip(frame[26:30]), int.from_bytes(frame[at : at + 2]), _ip(frame[30:34]),
        int.from_bytes(frame[at + 2 : at + 4]), tcp, frame[begin:end] if end > begin else b'', max(0, end - begin),
    )  # fmt: skip


def _ip(raw: bytes) -> str:
    return '.'.join(map(str, raw))


def summary(path: Path) -> list[Event]:
    """In the order of time."""
    reader = _Reader()
    found = [event for packet in read(path) for event in reader.take(packet)]
    return sorted([*found, *reader.rest()], key=lambda event: event.time)


def shown(events: list[Event]) -> str:
    """A table for people; times in seconds since the first."""
    begun = events[0].time if events else 0.0
    return '\n'.join(f'{event.time - begun:9.3f}  {event.who}  {event.protocol:<5} {event.what}' for event in events)


@dataclass
class _Transfer:
    begun: float
    who: str
    name: str
    size: int = 0
    last: float = 0.0
    block: int = 512


class _Reader:
    def __init__(self) -> None:
        self._macs: dict[str, str] = {}  # machine by address
        self._transfers: dict[tuple[str, int], _Transfer] = {}
        self._requests: dict[tuple[str, int, str, int], str] = {}

    def take(self, packet: Packet) -> Iterator[Event]:
        ports = {packet.source_port, packet.target_port}
        if packet.tcp:
            yield from self._http(packet)
        elif ports & {67, 68}:
            yield from self._dhcp(packet)
        elif packet.target_port == 53:
            yield from self._dns(packet)
        elif packet.target_port == 69 or (packet.target, packet.target_port) in self._transfers:
            yield from self._tftp(packet)
        elif (packet.source, packet.source_port) in self._transfers:
            self._macs.setdefault(packet.source, packet.source_mac)

    def rest(self) -> Iterator[Event]:
        for transfer in self._transfers.values():
            yield from self._finished(transfer)

    def _event(self, packet: Packet, protocol: str, what: str, address: str = '') -> Event:
        return Event(packet.time, self._macs.get(address or packet.source, packet.source_mac), protocol, what)

    # ------------------------------------------------------------------ DHCP

    def _dhcp(self, packet: Packet) -> Iterator[Event]:
        body = packet.payload
        if len(body) < 240 or body[236:240] != _MAGIC:
            return
        options = dict(_options(body[240:]))
        kind = _DHCP.get(int.from_bytes(options.get(53, b'')), 'BOOTP')
        mac = body[28:34].hex(':')
        given, server, file = _ip(body[16:20]), _ip(body[20:24]), _text(body[108:236])
        words = [kind]
        if body[0] == 1:
            words += [f'wants {_ip(options[50])}'] if 50 in options else []
            words += [f'vendor class "{_text(options[60])}"'] if 60 in options else []
            words += [f'architecture {int.from_bytes(options[93])}'] if 93 in options else []
            words += [f'user class "{_text(options[77])}"'] if 77 in options else []
            words += ['iPXE features (175)'] if 175 in options else []
        else:
            self._macs[given] = mac
            words += [given]
            words += [f'next server {server}'] if server != '0.0.0.0' else []  # noqa: S104
            name = _text(options.get(67, b'')) or file
            words += [f'file {name}'] if name else []
        yield Event(packet.time, mac, 'DHCP', ', '.join(words))

    # ------------------------------------------------------------------ TFTP

    def _tftp(self, packet: Packet) -> Iterator[Event]:
        code = int.from_bytes(packet.payload[:2])
        if packet.target_port == 69:
            self._macs.setdefault(packet.source, packet.source_mac)
            parts = packet.payload[2:].split(b'\0')
            name, rest = _text(parts[0]), [_text(part) for part in parts[2:] if part]
            options = ', '.join(f'{key} {value}' for key, value in zip(rest[::2], rest[1::2], strict=False))
            yield self._event(packet, 'TFTP', f'wants {name}{f" ({options})" if options else ""}')
            self._transfers[(packet.source, packet.source_port)] = _Transfer(
                packet.time, self._macs[packet.source], name
            )
            return
        transfer = self._transfers[(packet.target, packet.target_port)]
        if code == 6 and (found := re.search(rb'blksize\0(\d+)', packet.payload)):
            transfer.block = int(found[1])
        elif code == 3:
            transfer.size += packet.size - 4
            transfer.last = packet.time
            if packet.size - 4 < transfer.block:
                del self._transfers[(packet.target, packet.target_port)]
                yield from self._finished(transfer)
        elif code == 5:
            del self._transfers[(packet.target, packet.target_port)]
            why = _TFTP_ERRORS.get(int.from_bytes(packet.payload[2:4]), _text(packet.payload[4:]))
            yield Event(packet.time, transfer.who, 'TFTP', f'{transfer.name}: {why}')

    def _finished(self, transfer: _Transfer) -> Iterator[Event]:
        if transfer.size:
            seconds = transfer.last - transfer.begun
            yield Event(
                transfer.last, transfer.who, 'TFTP', f'{transfer.name}: {transfer.size:,} bytes in {seconds:.2f} s'
            )

    # ------------------------------------------------------------------ DNS and HTTP

    def _dns(self, packet: Packet) -> Iterator[Event]:
        labels, at = [], 12
        while at < len(packet.payload) and (length := packet.payload[at]):
            labels.append(_text(packet.payload[at + 1 : at + 1 + length]))
            at += 1 + length
        if labels:
            yield self._event(packet, 'DNS', f'asks for {".".join(labels)}')

    def _http(self, packet: Packet) -> Iterator[Event]:
        line, _, _ = packet.payload.partition(b'\r\n')
        ends = (packet.source, packet.source_port, packet.target, packet.target_port)
        if found := re.fullmatch(rb'(GET|HEAD|POST|PUT) (\S+) HTTP/1\.[01]', line):
            asked = f'{found[1].decode()} {_text(found[2])}'
            self._requests[ends] = asked
            agent = re.search(rb'(?i)\r\nUser-Agent: ([^\r]+)', packet.payload)
            yield self._event(packet, 'HTTP', f'{asked}{f" ({_text(agent[1])})" if agent else ""}')
        elif found := re.match(rb'HTTP/1\.[01] (\d{3})', line):
            asked = self._requests.pop((*ends[2:], *ends[:2]), '')
            length = re.search(rb'(?i)\r\nContent-Length: (\d+)', packet.payload)
            size = f', {int(length[1]):,} bytes' if length else ''
            path = asked.partition('?')[0]
            yield self._event(packet, 'HTTP', f'{found[1].decode()} for {path}{size}', packet.target)


def _options(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(body) and body[at] != 255:
        if body[at] == 0:
            at += 1
            continue
        length = body[at + 1]
        yield body[at], body[at + 2 : at + 2 + length]
        at += 2 + length


def _text(raw: bytes) -> str:
    """Up to the first NUL; what cannot be shown is not."""
    text = raw.partition(b'\0')[0].decode('utf-8', 'replace')
    return ''.join(letter if letter.isprintable() else '·' for letter in text)
