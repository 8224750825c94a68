"""What a network card's neighbours say of themselves: LLDP (IEEE 802.1AB) and CDP frames.  Reading them is pure.

lldpd would bring 43 MB of libraries with it, for what is one kind of frame to read and one to send.
"""

import ipaddress
import os
import socket
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ETHERTYPE = 0x88CC
# Where neighbours send: the nearest bridge, the nearest that is no repeater, the nearest customer bridge; and CDP.
GROUPS = ('01:80:c2:00:00:0e', '01:80:c2:00:00:03', '01:80:c2:00:00:00', '01:00:0c:cc:cc:cc')
# Seconds between two announcements of our own.
EVERY = 30.0
_DOT1, _CISCO_SNAP = b'\x00\x80\xc2', b'\xaa\xaa\x03\x00\x00\x0c\x20\x00'
_ETH_P_ALL, _SOL_PACKET, _ADD_MEMBERSHIP, _MULTICAST, _ATTACH_FILTER = 0x0003, 263, 1, 0, 26


@dataclass(frozen=True)
class Neighbour:
    """`vlan` is the untagged one of the port, `tagged` those that are announced beside it."""

    protocol: str
    chassis_id: str = ''
    chassis_name: str = ''
    chassis_description: str = ''
    port_id: str = ''
    port_description: str = ''
    management_addresses: tuple[str, ...] = ()
    vlan: int | None = None
    tagged: tuple[int, ...] = ()

    def document(self) -> dict[str, object]:
        """As it stands in the facts."""
        return {
            'protocol': self.protocol, 'chassis_id': self.chassis_id, 'chassis_name': self.chassis_name,
            'chassis_description': self.chassis_description, 'port_id': self.port_id,
            'port_description': self.port_description, 'management_addresses': list(self.management_addresses),
            'vlan': self.vlan, 'tagged_vlans': list(self.tagged),
        }  # fmt: skip


def parse(frame: bytes) -> Neighbour | None:
    """A neighbour out of an Ethernet frame; None where it is none, or is broken."""
    try:
        if frame[12:14] == b'\x88\xcc':
            return _lldp(frame[14:])
        if frame[14:22] == _CISCO_SNAP:
            return _cdp(frame[22:])
    except (struct.error, IndexError, ValueError):
        pass
    return None


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(data):
        (header,) = struct.unpack_from('!H', data, at)
        kind, length = header >> 9, header & 0x1FF
        if kind == 0:
            return
        if at + 2 + length > len(data):
            raise ValueError('it is cut off')
        yield kind, data[at + 2 : at + 2 + length]
        at += 2 + length


def _lldp(data: bytes) -> Neighbour | None:
    texts = {4: 'port_description', 5: 'chassis_name', 6: 'chassis_description'}
    found: dict[str, str] = {}
    addresses: list[str] = []
    vlan: int | None = None
    named: list[int] = []
    lives = True
    for kind, value in _values(data):
        if kind == 1:
            found['chassis_id'] = _identifier(value, mac=4, address=5)
        elif kind == 2:
            found['port_id'] = _identifier(value, mac=3, address=4)
        elif kind == 3:
            lives = struct.unpack('!H', value[:2])[0] > 0
        elif kind in texts:
            found[texts[kind]] = _text(value)
        elif kind == 8 and len(value) > 2:
            if address := _address(value[1], value[2 : 1 + value[0]]):
                addresses.append(address)
        elif kind == 127 and value[:3] == _DOT1 and len(value) >= 6:
            number = struct.unpack_from('!H', value, 4)[0]
            if value[3] == 1:
                vlan = number or None
            elif value[3] == 3:
                named.append(number)
    if not lives or 'chassis_id' not in found or 'port_id' not in found:
        return None
    tagged = tuple(sorted({number for number in named if 1 <= number <= 4094 and number != vlan}))
    return Neighbour('lldp', management_addresses=tuple(dict.fromkeys(addresses)), vlan=vlan, tagged=tagged, **found)


def _identifier(value: bytes, mac: int, address: int) -> str:
    kind, rest = value[0], value[1:]
    if kind == mac and len(rest) == 6:
        return rest.hex(':')
    if kind == address and len(rest) > 1:
        return _address(rest[0], rest[1:]) or _text(rest)
    return _text(rest)


def _address(family: int, data: bytes) -> str:
    """By IANA's numbers of address families: 1 is IPv4, 2 IPv6, 6 a MAC address."""
    if (family, len(data)) in ((1, 4), (2, 16)):
        return str(ipaddress.ip_address(data))
    return data.hex(':') if (family, len(data)) == (6, 6) else ''


def _text(data: bytes) -> str:
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in data.decode('utf-8', 'replace')).split())[:255]


def _cdp(data: bytes) -> Neighbour | None:
    found: dict[str, str] = {}
    addresses: list[str] = []
    vlan: int | None = None
    at = 4
    while at + 4 <= len(data):
        kind, length = struct.unpack_from('!HH', data, at)
        if length < 4:
            break
        value = data[at + 4 : at + length]
        at += length
        if kind == 1:
            found['chassis_id'] = found['chassis_name'] = _text(value)
        elif kind == 3:
            found['port_id'] = found['port_description'] = _text(value)
        elif kind == 5:
            found['chassis_description'] = _text(value)
        elif kind in (2, 22) and len(value) >= 13 and value[4:9] == b'\x01\x01\xcc\x00\x04':
            addresses.append(str(ipaddress.ip_address(value[9:13])))
        elif kind == 10 and len(value) >= 2:
            vlan = struct.unpack_from('!H', value)[0] or None
    if 'chassis_id' not in found or 'port_id' not in found:
        return None
    kept = tuple(dict.fromkeys(addresses))
    return Neighbour('cdp', management_addresses=kept, vlan=vlan, tagged=(), **found)


def announcement(mac: str, name: str, description: str, seconds: int = 120) -> bytes:
    """A frame of our own.  A switch that sees a new neighbour tells of itself at once (802.1AB, 9.2.5.3), not only
    after half a minute."""
    address = bytes.fromhex(mac.replace(':', ''))

    def value(kind: int, content: bytes) -> bytes:
        return struct.pack('!H', kind << 9 | len(content)) + content

    return (
        bytes.fromhex(GROUPS[0].replace(':', '')) + address + struct.pack('!H', ETHERTYPE)
        + value(1, b'\x04' + address) + value(2, b'\x03' + address) + value(3, struct.pack('!H', seconds))
        + value(5, name.encode()[:200]) + value(6, description.encode()[:200])
        + value(7, struct.pack('!HH', 0x80, 0x80))
        + value(0, b'')
    )  # fmt: skip


@dataclass
class Listener:
    """Listens on network cards, each with a thread of its own, and tells them of this machine."""

    heard: Callable[[str, Neighbour], None]
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)

    def start(self, interface: str, mac: str) -> None:
        if interface not in self._running:
            self._running.add(interface)
            threading.Thread(target=self._listen, args=(interface, mac), daemon=True).start()

    def _listen(self, interface: str, mac: str) -> None:
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as line:
                _filter(line)
                line.bind((interface, 0))
                index = socket.if_nametoindex(interface)
                for group in GROUPS:
                    address = bytes.fromhex(group.replace(':', ''))
                    request = struct.pack('iHH8s', index, _MULTICAST, 6, address)
                    line.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
                while True:
                    try:
                        line.send(announcement(mac, 'prospector', f'Substruct prospector on {os.uname().machine}'))
                    except OSError:
                        pass  # the link is down
                    self._receive(line, interface)
        except OSError:
            self._running.discard(interface)  # it has gone

    def _receive(self, line: socket.socket, interface: str) -> None:
        """For half a minute, however much is heard: switches speak every two seconds (spanning tree)."""
        deadline = time.monotonic() + EVERY
        while (left := deadline - time.monotonic()) > 0:
            try:
                line.settimeout(left)
                frame, where = line.recvfrom(2048)
            except TimeoutError:
                return
            except OSError as error:
                if error.errno != 100:  # ENETDOWN: it comes up again
                    raise
                continue
            if where[2] == socket.PACKET_OUTGOING:
                continue
            found = parse(frame)
            known = self.neighbours.get(interface)
            # Where both are spoken, LLDP says more.
            if found is None or found == known or (known and known.protocol == 'lldp' and found.protocol == 'cdp'):
                continue
            self.neighbours[interface] = found
            self.heard(interface, found)


def _filter(line: socket.socket) -> None:
    """Let the kernel pass only frames to the groups above (by their first three bytes), or every packet that the
    machine receives would wake us (Linux, Documentation/networking/filter.rst)."""
    program = [
        (0x20, 0, 0, 0),  # load the first four bytes of the destination
        (0x54, 0, 0, 0xFFFFFF00),
        (0x15, 1, 0, 0x0180C200),
        (0x15, 0, 1, 0x01000C00),
        (0x06, 0, 0, 0x00000800),
        (0x06, 0, 0, 0),
    ]
    code = array('B', b''.join(struct.pack('HBBI', *step) for step in program))
    line.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack('HL', len(program), code.buffer_info()[0]))
