"""DHCP messages as bytes: writing what clients and relays say, reading what servers answer.  Pure.

Written from the RFCs and from nothing of the sidecar's, so that it can disagree with it: DHCPv4 is RFC 2131 and 2132,
long options RFC 3396, PXE RFC 4578, relays RFC 3046; DHCPv6 is RFC 8415, network boot RFC 5970.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

COOKIE = b'\x63\x82\x53\x63'

TYPES = {1: 'discover', 2: 'offer', 3: 'request', 4: 'decline', 5: 'ack', 6: 'nak', 7: 'release', 8: 'inform'}
TYPES6 = {
    1: 'solicit', 2: 'advertise', 3: 'request', 4: 'confirm', 5: 'renew', 6: 'rebind', 7: 'reply', 8: 'release',
    9: 'decline', 10: 'reconfigure', 11: 'information-request', 12: 'relay-forward', 13: 'relay-reply',
}  # fmt: skip
_NUMBERS = {name: number for number, name in TYPES.items()}
_NUMBERS6 = {name: number for number, name in TYPES6.items()}

type Options = Mapping[int, bytes]


@dataclass(frozen=True)
class Answer:
    """What a DHCPv4 server said.  `options` by code, joined and without overload; `relayed` is option 82, echoed."""

    type: str
    xid: int
    yiaddr: str
    siaddr: str
    ciaddr: str
    giaddr: str
    chaddr: str
    sname: str
    file: str
    options: Options = field(repr=False)
    source: str = ''
    source_mac: str = ''

    @property
    def address(self) -> str | None:
        return None if self.yiaddr == '0.0.0.0' else self.yiaddr

    @property
    def mask(self) -> str:
        return str(IPv4Address(self.options[1]))

    @property
    def routers(self) -> list[str]:
        return self.addresses(3)

    @property
    def name_servers(self) -> list[str]:
        return self.addresses(6)

    @property
    def hostname(self) -> str | None:
        return self.text(12)

    @property
    def domain(self) -> str | None:
        return self.text(15)

    @property
    def lease_time(self) -> int:
        return int.from_bytes(self.options[51])

    @property
    def server(self) -> str:
        return str(IPv4Address(self.options[54]))

    @property
    def vendor_class(self) -> str | None:
        return self.text(60)

    @property
    def boot_file(self) -> str | None:
        """What firmware loads: option 67, else the field `file`; None where neither is there."""
        return self.text(67) or self.file or None

    @property
    def next_server(self) -> str | None:
        """Where firmware loads it: the field `siaddr`, else option 66, else the field `sname`; None without a file."""
        if self.siaddr != '0.0.0.0':
            return self.siaddr
        return self.text(66) or self.sname or None

    @property
    def path_prefix(self) -> str | None:
        return self.text(210)

    def text(self, code: int) -> str | None:
        """An option as text, without the NUL that some servers put at the end."""
        return self.options[code].rstrip(b'\0').decode('utf-8', 'backslashreplace') if code in self.options else None

    def addresses(self, code: int) -> list[str]:
        data = self.options.get(code, b'')
        return [str(IPv4Address(data[i : i + 4])) for i in range(0, len(data), 4)]


def message4(
    kind: str,
    xid: int,
    mac: str,
    options: Iterable[tuple[int, bytes]],
    *,
    ciaddr: str = '0.0.0.0',
    giaddr: str = '0.0.0.0',
    hops: int = 0,
    broadcast: bool = True,
    seconds: int = 0,
) -> bytes:
    hardware = mac_bytes(mac)
    head = struct.pack(
        '!BBBBIHH4s4s4s4s16s64s128s', 1, 1, 6, hops, xid, seconds, 0x8000 if broadcast else 0,
        IPv4Address(ciaddr).packed, bytes(4), bytes(4), IPv4Address(giaddr).packed, hardware, b'', b'',
    )  # fmt: skip
    body = b''.join(_option4(code, data) for code, data in [(53, bytes([_NUMBERS[kind]])), *options])
    return (head + COOKIE + body + b'\xff').ljust(300, b'\0')


def read4(data: bytes, *, source: str = '', source_mac: str = '') -> Answer | None:
    """None for what is no answer of a DHCP server."""
    if len(data) < 240 or data[0] != 2 or data[236:240] != COOKIE:
        return None
    (xid,) = struct.unpack('!I', data[4:8])
    ciaddr, yiaddr, siaddr, giaddr = (str(IPv4Address(data[i : i + 4])) for i in range(12, 28, 4))
    sname, file = data[44:108], data[108:236]
    options: dict[int, bytes] = {}
    _read_options4(data[240:], options)
    overload = options.pop(52, b'\0')[0]
    if overload & 1:
        _read_options4(file, options)
        file = b''
    if overload & 2:
        _read_options4(sname, options)
        sname = b''
    kind = TYPES.get(options.pop(53, b'\0')[0], 'bootp')
    return Answer(
        type=kind, xid=xid, yiaddr=yiaddr, siaddr=siaddr, ciaddr=ciaddr, giaddr=giaddr, chaddr=mac_text(data[28:34]),
        sname=_field(sname), file=_field(file), options=options, source=source, source_mac=source_mac,
    )  # fmt: skip


def _option4(code: int, data: bytes) -> bytes:
    parts = [data[i : i + 255] for i in range(0, len(data), 255)] or [b'']
    return b''.join(bytes([code, len(part)]) + part for part in parts)


def _read_options4(data: bytes, into: dict[int, bytes]) -> None:
    place = 0
    while place < len(data) and data[place] != 255:
        if data[place] == 0:
            place += 1
            continue
        code, length = data[place], data[place + 1]
        part = data[place + 2 : place + 2 + length]
        assert len(part) == length, f'option {code} says {length} bytes and has {len(part)}'
        into[code] = into.get(code, b'') + part
        place += 2 + length


def _field(data: bytes) -> str:
    return data.partition(b'\0')[0].decode('utf-8', 'backslashreplace')


@dataclass(frozen=True)
class Answer6:
    """What a DHCPv6 server said.  `options` by code (the last of each); `addresses` of all IA_NA; `status` is the
    first status code that is not Success (RFC 8415 section 21.13), 0 if there is none."""

    type: str
    xid: int
    addresses: tuple[str, ...]
    status: int
    options: Options = field(repr=False)
    source: str = ''
    relay_options: Options = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str | None:
        return self.addresses[0] if self.addresses else None

    @property
    def name_servers(self) -> list[str]:
        data = self.options.get(23, b'')
        return [str(IPv6Address(data[i : i + 16])) for i in range(0, len(data), 16)]

    @property
    def boot_file(self) -> str | None:
        """Option 59, the URL of what firmware loads (RFC 5970 section 3.1)."""
        return self.options[59].rstrip(b'\0').decode('utf-8', 'backslashreplace') if 59 in self.options else None

    @property
    def vendor_class(self) -> bytes | None:
        return self.options.get(16)


def message6(kind: str, xid: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    return struct.pack('!I', _NUMBERS6[kind] << 24 | xid) + b''.join(option6(*option) for option in options)


def relay_forward(message: bytes, link: str, peer: str, options: Iterable[tuple[int, bytes]]) -> bytes:
    """RFC 8415 section 9: what a relay makes of a client's message."""
    head = bytes([12, 0]) + IPv6Address(link).packed + IPv6Address(peer).packed
    return head + b''.join(option6(*option) for option in [*options, (9, message)])


def option6(code: int, data: bytes) -> bytes:
    return struct.pack('!HH', code, len(data)) + data


def read6(data: bytes, *, source: str = '') -> Answer6 | None:
    """None for what is no answer of a DHCPv6 server.  A relay-reply is unwrapped."""
    if not data or data[0] not in (2, 7, 13):
        return None
    if data[0] == 13:
        outer = dict(_read_options6(data[34:]))
        inner = read6(outer.get(9, b''), source=source)
        if inner is None:
            return None
        return Answer6(inner.type, inner.xid, inner.addresses, inner.status, inner.options, source, outer)
    options, addresses, statuses = dict[int, bytes](), list[str](), list[int]()
    for code, value in _read_options6(data[4:]):
        options[code] = value
        if code == 13:
            statuses.append(int.from_bytes(value[:2]))
        if code == 3:
            for inner_code, inner_value in _read_options6(value[12:]):
                if inner_code == 5 and int.from_bytes(inner_value[20:24]):  # a valid lifetime of 0 takes it away
                    addresses.append(str(IPv6Address(inner_value[:16])))
                if inner_code == 13:
                    statuses.append(int.from_bytes(inner_value[:2]))
    status = next((found for found in statuses if found), 0)
    return Answer6(TYPES6[data[0]], int.from_bytes(data[1:4]), tuple(addresses), status, options, source)


def _read_options6(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        code, length = struct.unpack('!HH', data[place : place + 4])
        part = data[place + 4 : place + 4 + length]
        assert len(part) == length, f'option {code} says {length} bytes and has {len(part)}'
        yield code, part
        place += 4 + length


def duid(kind: Literal['ll', 'llt', 'en', 'uuid'], mac: str, uuid: bytes = bytes(16)) -> bytes:
    """RFC 8415 section 11; the time of an LLT and the number of an EN are fixed, so that they are the same again."""
    if kind == 'll':
        return struct.pack('!HH', 3, 1) + mac_bytes(mac)
    if kind == 'llt':
        return struct.pack('!HHI', 1, 1, 0x2A3B4C5D) + mac_bytes(mac)
    if kind == 'en':
        return struct.pack('!HI', 2, 32473) + b'substruct-' + mac_bytes(mac)
    return struct.pack('!H', 4) + uuid


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(':', ''))


def mac_text(data: bytes) -> str:
    return data.hex(':')


def link_local(mac: str) -> str:
    """The address that SLAAC makes of a MAC address (RFC 4291 appendix A)."""
    data = mac_bytes(mac)
    return str(IPv6Address(b'\xfe\x80' + bytes(6) + bytes([data[0] ^ 2]) + data[1:3] + b'\xff\xfe' + data[3:]))


# Frames


def frame4(source_mac: str, target_mac: str, source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    """An Ethernet frame with a UDP datagram."""
    addresses = IPv4Address(source[0]).packed + IPv4Address(target[0]).packed
    udp = _udp(addresses + bytes([0, 17]) + struct.pack('!H', len(data) + 8), source[1], target[1], data)
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    head = head[:10] + struct.pack('!H', _checksum(head + addresses)) + addresses
    return mac_bytes(target_mac) + mac_bytes(source_mac) + b'\x08\x00' + head + udp


def frame6(source_mac: str, target_mac: str, source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    pseudo = _pseudo6(source[0], target[0], len(data) + 8, 17)
    udp = _udp(pseudo, source[1], target[1], data)
    return _ethernet6(source_mac, target_mac, source[0], target[0], 17, udp, hops=64)


def neighbour_advertisement(mac: str, address: str, target_mac: str, target: str) -> bytes:
    """RFC 4861 section 4.4: this address is at this MAC address."""
    body = b'\x60\0\0\0' + IPv6Address(address).packed + b'\x02\x01' + mac_bytes(mac)
    checksum = _checksum(_pseudo6(address, target, len(body) + 4, 58) + b'\x88\0\0\0' + body)
    message = b'\x88\0' + struct.pack('!H', checksum) + body
    return _ethernet6(mac, target_mac, address, target, 58, message, hops=255)


def arp_reply(mac: str, address: str, target_mac: str, target: str) -> bytes:
    body = b'\0\x01\x08\0\x06\x04\0\x02' + mac_bytes(mac) + IPv4Address(address).packed
    return (
        mac_bytes(target_mac) + mac_bytes(mac) + b'\x08\x06' + body + mac_bytes(target_mac) + IPv4Address(target).packed
    )


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram out of a frame."""

    version: int
    source_mac: str
    source: str
    source_port: int
    target: str
    target_port: int
    data: bytes


def read_frame(frame: bytes) -> Datagram | None:
    """None for what is no UDP datagram in one piece."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b'\x08\x00' and len(packet) >= 28 and packet[9] == 17:
        length = (packet[0] & 15) * 4
        source, target = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
        udp, version = packet[length : int.from_bytes(packet[2:4])], 4
    elif kind == b'\x86\xdd' and len(packet) >= 48 and packet[6] == 17:
        source, target = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
        udp, version = packet[40 : 40 + int.from_bytes(packet[4:6])], 6
    else:
        return None
    ports = struct.unpack('!HH', udp[:4])
    return Datagram(version, mac_text(frame[6:12]), source, ports[0], target, ports[1], udp[8:])


def _ethernet6(source_mac: str, target_mac: str, source: str, target: str, kind: int, body: bytes, hops: int) -> bytes:
    head = (
        struct.pack('!IHBB', 6 << 28, len(body), kind, hops) + IPv6Address(source).packed + IPv6Address(target).packed
    )
    return mac_bytes(target_mac) + mac_bytes(source_mac) + b'\x86\xdd' + head + body


def _pseudo6(source: str, target: str, length: int, kind: int) -> bytes:
    return IPv6Address(source).packed + IPv6Address(target).packed + struct.pack('!II', length, kind)


def _udp(pseudo: bytes, source: int, target: int, data: bytes) -> bytes:
    head = struct.pack('!HHHH', source, target, len(data) + 8, 0)
    return head[:6] + struct.pack('!H', _checksum(pseudo + head + data) or 0xFFFF) + data


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
