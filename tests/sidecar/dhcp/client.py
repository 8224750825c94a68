"""DHCP clients for tests: any firmware, any MAC address, straight on the link or behind a relay; and the real dhclient.

    link = Link(lan.near)                                   # may be used by any number of clients, one after another
    offer = Client(link, '02:00:00:00:00:11', UEFI).discover()
    ack = Client(link, '02:00:00:00:00:11').lease()         # DISCOVER, OFFER, REQUEST, ACK
    ack = Client(Relay(lan), '02:…', BIOS).lease()          # through a relay agent that adds option 82
    reply = Client6(link, '02:…', HTTP).lease()             # SOLICIT, ADVERTISE, REQUEST, REPLY

A packet socket is opened in the client's namespace; an exchange takes as long as the server does.
"""

import errno
import itertools
import os
import random
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

from tests.sidecar.dhcp import wire
from tests.sidecar.dhcp.wire import Answer, Answer6
from tests.sidecar.net import Daemon, Lan, Namespace

# Seconds until a client gives up, and between its attempts, as a server may have just been started.
PATIENCE = 6.0
RESEND = 1.0

BROADCAST = 'ff:ff:ff:ff:ff:ff'
SERVERS6 = ('ff02::1:2', '33:33:00:01:00:02')
_PROMISCUOUS = struct.pack('IHH8s', 0, 1, 0, b'')
_numbers = itertools.count(random.randrange(1 << 20) << 8)

UUID = bytes.fromhex('4c4c4544003510568051b4c04f4a3332')


class NoAnswer(AssertionError):
    """No server said what the client waited for."""


# What a client says of itself


@dataclass(frozen=True, eq=False)
class Firmware:
    """What a kind of client says in each message, beyond its MAC address.  `wants` is the parameter request list."""

    name: str
    options: Mapping[int, bytes] = field(default_factory=dict)
    wants: tuple[int, ...] = (1, 3, 6, 12, 15, 26, 28, 42, 51, 54, 119, 121)
    options6: Mapping[int, bytes] = field(default_factory=dict)
    wants6: tuple[int, ...] = (23, 24)

    def __str__(self) -> str:
        return self.name


# What Intel's ROMs and EDK2 ask for.
_PXE_WANTS = (1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97, *range(128, 136))  # fmt: skip  # noqa: E501
_IPXE_WANTS = (1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, *range(128, 136), 175, 203)
# Option 175 of iPXE 1.21: bus id (177), version (235), and features, each with its number (ipxe/features.h).
_IPXE_FEATURES = bytes.fromhex('b105011af41000eb03011501') + b''.join(
    bytes([feature, 1, 2 if feature == 0x10 else 1])
    for feature in (0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17, 0x18, 0x19, 0x21, 0x22, 0x27)
)


def _vendor6(text: str) -> bytes:
    """RFC 8415 section 21.16, with Intel's enterprise number, as UEFI writes it."""
    return struct.pack('!IH', 343, len(text)) + text.encode()


def pxe(arch: int, name: str = '') -> Firmware:
    vendor = f'PXEClient:Arch:{arch:05}:UNDI:003016'
    return Firmware(
        name or f'pxe-{arch}',
        {60: vendor.encode(), 93: struct.pack('!H', arch), 94: b'\x01\x03\x10', 97: b'\0' + UUID},
        _PXE_WANTS,
        {61: struct.pack('!H', arch), 62: b'\x01\x03\x10', 16: _vendor6(vendor)},
        (23, 24, 59, 60),
    )


def http(arch: int, name: str = '') -> Firmware:
    vendor = f'HTTPClient:Arch:{arch:05}:UNDI:003016'
    return Firmware(
        name or f'http-{arch}',
        {60: vendor.encode(), 93: struct.pack('!H', arch), 94: b'\x01\x03\x10', 97: b'\0' + UUID},
        _PXE_WANTS,
        {61: struct.pack('!H', arch), 62: b'\x01\x03\x10', 16: _vendor6(vendor)},
        (16, 23, 24, 59, 60),
    )


def ipxe(arch: int, name: str = '') -> Firmware:
    vendor = f'PXEClient:Arch:{arch:05}:UNDI:003001'
    return Firmware(
        name or f'ipxe-{arch}',
        {
            60: vendor.encode(), 77: b'iPXE', 93: struct.pack('!H', arch), 94: b'\x01\x03\x01', 97: b'\0' + UUID,
            175: _IPXE_FEATURES,
        },
        _IPXE_WANTS,
        {61: struct.pack('!H', arch), 62: b'\x01\x03\x01', 16: _vendor6(vendor), 15: b'\x00\x04iPXE'},
        (23, 24, 59, 60),
    )  # fmt: skip


PLAIN = Firmware('plain')
BIOS = pxe(0, 'bios')
UEFI = pxe(7, 'uefi')
UEFI_BC = pxe(9, 'uefi-bc')  # some firmware for x86-64 says 9 (EFI BC), see RFC 4578 erratum 4625
UEFI_ARM64 = pxe(11, 'uefi-arm64')
HTTP = http(16, 'http')
HTTP_ARM64 = http(19, 'http-arm64')
IPXE_BIOS = ipxe(0, 'ipxe-bios')
IPXE_UEFI = ipxe(7, 'ipxe-uefi')
IPXE_ARM64 = ipxe(11, 'ipxe-arm64')


# Ways to a server


class Way(ABC):
    """How messages get to a server and back.  Answers are kept until the client that they are for asks for them."""

    def __init__(self) -> None:
        self._heard: list[Answer | Answer6] = []

    @abstractmethod
    def send4(self, message: bytes, mac: str, *, source: str, target: str, target_mac: str, port: int) -> None: ...

    @abstractmethod
    def send6(self, message: bytes, mac: str) -> None: ...

    @abstractmethod
    def dress4(self, options: list[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], str, int]:
        """What happens to a message on the way: its options as they arrive, giaddr, hops."""

    @abstractmethod
    def own(self, mac: str, address: str) -> None:
        """From now on answer whoever asks which MAC address has this address."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _hear(self, version: int, deadline: float) -> bool:
        """Take in what comes next; False if nothing came until the deadline."""

    def receive4(self, xid: int, deadline: float) -> Answer | None:
        """The next answer with this number; None at the deadline."""
        found = self._receive(4, xid, deadline)
        assert not isinstance(found, Answer6)
        return found

    def receive6(self, xid: int, deadline: float) -> Answer6 | None:
        found = self._receive(6, xid, deadline)
        assert not isinstance(found, Answer)
        return found

    def _receive(self, version: int, xid: int, deadline: float) -> Answer | Answer6 | None:
        kind = Answer if version == 4 else Answer6
        while True:
            for found in self._heard:
                if isinstance(found, kind) and found.xid == xid:
                    self._heard.remove(found)
                    return found
            if not self._hear(version, deadline):
                return None


class Link(Way):
    """The link of a namespace's interface.  It carries frames of any MAC address, and answers ARP and ND for them."""

    def __init__(self, namespace: Namespace, interface: str = 'eth0') -> None:
        super().__init__()
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
            self._socket.bind((interface, 3))
            index = socket.if_nametoindex(interface)
        # SOL_PACKET, PACKET_ADD_MEMBERSHIP: frames to MAC addresses of our clients are not the interface's own.
        self._socket.setsockopt(263, 1, struct.pack('IHH8s', index, 1, 0, b''))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._owned: dict[str, str] = {}

    def close(self) -> None:
        self._socket.close()

    def own(self, mac: str, address: str) -> None:
        self._owned[address] = mac

    def send4(self, message: bytes, mac: str, *, source: str, target: str, target_mac: str, port: int) -> None:
        self._put(wire.frame4(mac, target_mac, (source, 68), (target, port), message))

    def dress4(self, options: list[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], str, int]:
        return options, '0.0.0.0', 0

    def send6(self, message: bytes, mac: str) -> None:
        address = wire.link_local(mac)
        self.own(mac, address)
        self._put(wire.frame6(mac, SERVERS6[1], (address, 546), (SERVERS6[0], 547), message))

    def _hear(self, version: int, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            # What has already come is still read.
            self._socket.setblocking(False)
        else:
            self._socket.settimeout(left)
        try:
            frame, (_, _, direction, *_) = self._socket.recvfrom(65536)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            return True
        if direction == 4:  # PACKET_OUTGOING
            return True
        self._answer_neighbours(frame)
        found = wire.read_frame(frame)
        if found is None:
            return True
        if found.version == 4 and found.target_port in (68, 4011):
            answer = wire.read4(found.data, source=found.source, source_mac=found.source_mac)
            if answer is not None:
                self._heard.append(answer)
        elif found.version == 6 and found.target_port == 546:
            answer6 = wire.read6(found.data, source=found.source)
            if answer6 is not None:
                self._heard.append(answer6)
        return True

    def _put(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
        except OSError as error:
            # Said once by a socket whose interface was down for a moment (for dhclient): it is up again.
            if error.errno != errno.ENETDOWN:
                raise
            self._socket.send(frame)

    def _answer_neighbours(self, frame: bytes) -> None:
        kind, packet, asker = frame[12:14], frame[14:], wire.mac_text(frame[6:12])
        if kind == b'\x08\x06' and packet[6:8] == b'\0\x01':
            wanted, who = str(IPv4Address(packet[24:28])), str(IPv4Address(packet[14:18]))
            if wanted in self._owned:
                self._put(wire.arp_reply(self._owned[wanted], wanted, asker, who))
        elif kind == b'\x86\xdd' and packet[6] == 58 and packet[40] == 135:
            wanted, who = str(IPv6Address(packet[48:64])), str(IPv6Address(packet[8:24]))
            if wanted in self._owned and who != '::':
                self._put(wire.neighbour_advertisement(self._owned[wanted], wanted, asker, who))


class Relay(Way):
    """A relay agent of our own (RFC 1542, RFC 3046, RFC 8415), between the far segment and the server.

    Not beside a dhcrelay: both want port 67.
    """

    def __init__(
        self,
        lan: Lan,
        *,
        circuit_id: bytes = b'eth1',
        remote_id: bytes = b'',
        giaddr: str = Lan.RELAY4,
        link_address: str = Lan.RELAY6,
        interface_id: bytes = b'eth1',
        client_mac: bool = True,
    ) -> None:
        super().__init__()
        self._agent = (b'\x01' + bytes([len(circuit_id)]) + circuit_id if circuit_id else b'') + (
            b'\x02' + bytes([len(remote_id)]) + remote_id if remote_id else b''
        )
        self._link_address = link_address
        self._interface_id, self._client_mac = interface_id, client_mac
        with lan.relay.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((giaddr, 67))
            self._socket6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._uplink = socket.if_nametoindex('eth0')
            self._socket6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._uplink)
        self.giaddr = giaddr

    def close(self) -> None:
        self._socket.close()
        self._socket6.close()

    def own(self, mac: str, address: str) -> None:
        """Nobody behind this relay is asked."""

    def dress4(self, options: list[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], str, int]:
        return [*options, (82, self._agent)] if self._agent else options, self.giaddr, 1

    def send4(self, message: bytes, mac: str, *, source: str, target: str, target_mac: str, port: int) -> None:
        self._socket.sendto(message, (Lan.SERVER4, port))

    def send6(self, message: bytes, mac: str) -> None:
        if not self._socket6.getsockname()[1]:  # not before it is needed, so that relays of several subnets can be
            self._socket6.bind(('2001:db8:60::fe', 547))
        options = [(18, self._interface_id)] if self._interface_id else []
        if self._client_mac:
            options.append((79, b'\0\x01' + wire.mac_bytes(mac)))  # RFC 6939
        relayed = wire.relay_forward(message, self._link_address, wire.link_local(mac), options)
        self._socket6.sendto(relayed, (SERVERS6[0], 547, 0, self._uplink))

    def _hear(self, version: int, deadline: float) -> bool:
        found = _receive(self._socket if version == 4 else self._socket6, deadline)
        if found is None:
            return False
        data, source = found
        answer = wire.read4(data, source=source) if version == 4 else wire.read6(data, source=source)
        if answer is not None:
            self._heard.append(answer)
        return True


def _receive(opened: socket.socket, deadline: float) -> tuple[bytes, str] | None:
    opened.settimeout(max(deadline - time.monotonic(), 0.0001))
    try:
        data, address = opened.recvfrom(65536)
    except (TimeoutError, BlockingIOError):
        return None
    return data, str(address[0])


# Clients


@dataclass
class Client:
    """One DHCPv4 client.  `identifier` is option 61 (RFC 2132 section 9.14: type and bytes), none by default; `more`
    are further options; `wants` goes beyond what the firmware asks for."""

    path: Way
    mac: str
    firmware: Firmware = PLAIN
    identifier: bytes | None = None
    hostname: str | None = None
    more: Mapping[int, bytes] = field(default_factory=dict)
    wants: tuple[int, ...] = ()
    broadcast: bool = True
    patience: float = PATIENCE

    def discover(self, accept: Callable[[Answer], bool] = lambda answer: True) -> Answer:
        """The first OFFER that is acceptable.  Raises NoAnswer."""
        return self.exchange('discover', (), ('offer',), accept)

    def request(self, offer: Answer) -> Answer:
        """Ask for what was offered: ACK or NAK."""
        return self.exchange(
            'request',
            [(50, IPv4Address(offer.yiaddr).packed), (54, offer.options[54])],
            ('ack', 'nak'),
        )

    def lease(self) -> Answer:
        """DISCOVER, OFFER, REQUEST, ACK.  Raises NoAnswer, also after a NAK."""
        answer = self.request(self.discover())
        if answer.type != 'ack':
            raise NoAnswer(f'{self}: NAK {answer.text(56)!r}')
        self.path.own(self.mac, answer.yiaddr)
        return answer

    def reboot(self, address: str) -> Answer:
        """INIT-REBOOT (RFC 2131 section 3.2): a client that remembers its address."""
        return self.exchange('request', [(50, IPv4Address(address).packed)], ('ack', 'nak'))

    def renew(self, ack: Answer) -> Answer:
        """RENEWING: by unicast from the address that it has."""
        self.path.own(self.mac, ack.yiaddr)
        return self.exchange(
            'request', (), ('ack', 'nak'), ciaddr=ack.yiaddr, source=ack.yiaddr, target=ack.server,
            target_mac=ack.source_mac or BROADCAST, broadcast=False,
        )  # fmt: skip

    def inform(self, address: str) -> Answer:
        self.path.own(self.mac, address)
        return self.exchange('inform', (), ('ack',), ciaddr=address, source=address, broadcast=False)

    def proxy(self, ack: Answer, server: str, server_mac: str = BROADCAST) -> Answer:
        """Ask a proxy DHCP server on port 4011 for the boot file (PXE 2.1 section 2.2.3)."""
        self.path.own(self.mac, ack.yiaddr)
        return self.exchange(
            'request', (), ('ack',), ciaddr=ack.yiaddr, source=ack.yiaddr, target=server, target_mac=server_mac,
            port=4011, broadcast=False,
        )  # fmt: skip

    def release(self, ack: Answer) -> None:
        """Give the address back.  There is no answer."""
        self._send(
            self._message('release', next(_numbers), [(54, ack.options[54])], ack.yiaddr, False),
            source=ack.yiaddr, target=ack.server, target_mac=ack.source_mac or BROADCAST, port=67,
        )  # fmt: skip

    def decline(self, address: str, server: str) -> None:
        """Say that somebody else has this address.  There is no answer."""
        options = [(50, IPv4Address(address).packed), (54, IPv4Address(server).packed)]
        self._send(self._message('decline', next(_numbers), options, '0.0.0.0', True))

    def offers(self, witness: 'Client | None' = None) -> list[Answer]:
        """All OFFERs that come before a witness, who asks afterwards, has got one (without: within half a second)."""
        xid = next(_numbers)
        self._send(self._message('discover', xid, (), '0.0.0.0', self.broadcast))
        if witness is not None:
            witness.discover()
        found, deadline = [], time.monotonic() + (0.05 if witness is not None else 0.5)
        while (answer := self.path.receive4(xid, deadline)) is not None:
            found.append(answer)
        return found

    def hears_nothing(self, witness: 'Client') -> bool:
        """Whether a DISCOVER stays without an answer, although a witness who asks afterwards gets one.

        Servers answer in order, so nothing has to be waited for."""
        return not self.offers(witness)

    def exchange(
        self,
        kind: str,
        options: 'list[tuple[int, bytes]] | tuple[()]',
        wanted: tuple[str, ...],
        accept: Callable[[Answer], bool] = lambda answer: True,
        *,
        ciaddr: str = '0.0.0.0',
        source: str = '0.0.0.0',
        target: str = '255.255.255.255',
        target_mac: str = BROADCAST,
        port: int = 67,
        broadcast: bool | None = None,
    ) -> Answer:
        xid = next(_numbers)
        message = self._message(kind, xid, options, ciaddr, self.broadcast if broadcast is None else broadcast)
        end = time.monotonic() + self.patience
        passed: list[str] = []
        while time.monotonic() < end:
            self._send(message, source=source, target=target, target_mac=target_mac, port=port)
            deadline = min(end, time.monotonic() + RESEND)
            while (answer := self.path.receive4(xid, deadline)) is not None:
                if answer.type in wanted and accept(answer):
                    return answer
                passed.append(f'{answer.type} from {answer.source}')
        heard = f' (but {", ".join(passed)})' if passed else ''
        raise NoAnswer(f'{self.firmware} client {self.mac}: no {" or ".join(wanted)} to its {kind}{heard}')

    def _message(
        self, kind: str, xid: int, options: 'list[tuple[int, bytes]] | tuple[()]', ciaddr: str, broadcast: bool
    ) -> bytes:
        said = [*options, *self.firmware.options.items(), *self.more.items()]
        if self.identifier is not None:
            said.append((61, self.identifier))
        if self.hostname is not None:
            said.append((12, self.hostname.encode()))
        if kind not in ('release', 'decline'):
            said.append((57, struct.pack('!H', 1472)))
            said.append((55, bytes((*self.firmware.wants, *self.wants))))
        said, giaddr, hops = self.path.dress4(said)
        return wire.message4(kind, xid, self.mac, said, ciaddr=ciaddr, giaddr=giaddr, hops=hops, broadcast=broadcast)

    def _send(
        self,
        message: bytes,
        *,
        source: str = '0.0.0.0',
        target: str = '255.255.255.255',
        target_mac: str = BROADCAST,
        port: int = 67,
    ) -> None:
        self.path.send4(message, self.mac, source=source, target=target, target_mac=target_mac, port=port)


@dataclass
class Client6:
    """One DHCPv6 client.  `duid` is a kind of DUID made of its MAC address, or bytes."""

    path: Way
    mac: str
    firmware: Firmware = PLAIN
    duid: Literal['ll', 'llt', 'en', 'uuid'] | bytes = 'llt'
    iaid: int = 1
    more: Mapping[int, bytes] = field(default_factory=dict)
    wants: tuple[int, ...] = ()
    patience: float = PATIENCE

    @property
    def identity(self) -> bytes:
        return self.duid if isinstance(self.duid, bytes) else wire.duid(self.duid, self.mac, UUID)

    def solicit(self) -> Answer6:
        return self.exchange('solicit', [(3, self._ia())], ('advertise',))

    def request(self, advertised: Answer6) -> Answer6:
        body = b''.join(wire.option6(5, IPv6Address(address).packed + bytes(8)) for address in advertised.addresses)
        return self.exchange('request', [(2, advertised.options[2]), (3, self._ia(body))], ('reply',))

    def lease(self) -> Answer6:
        """SOLICIT, ADVERTISE, REQUEST, REPLY."""
        return self.request(self.solicit())

    def information(self) -> Answer6:
        """INFORMATION-REQUEST: options without an address."""
        return self.exchange('information-request', [], ('reply',))

    def release(self, reply: Answer6) -> Answer6:
        body = b''.join(wire.option6(5, IPv6Address(address).packed + bytes(8)) for address in reply.addresses)
        return self.exchange('release', [(2, reply.options[2]), (3, self._ia(body))], ('reply',))

    def hears_nothing(self, witness: 'Client6') -> bool:
        """Whether a SOLICIT gets no address, although a witness who asks afterwards gets one.

        A server may say that it has none (NoAddrsAvail), or say nothing."""
        xid = next(_numbers) & 0xFFFFFF
        self.path.send6(self._message('solicit', xid, [(3, self._ia())]), self.mac)
        witness.solicit()
        answer = self.path.receive6(xid, time.monotonic() + 0.05)
        return answer is None or not answer.addresses

    def exchange(self, kind: str, options: list[tuple[int, bytes]], wanted: tuple[str, ...]) -> Answer6:
        xid = next(_numbers) & 0xFFFFFF
        message = self._message(kind, xid, options)
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            self.path.send6(message, self.mac)
            deadline = min(end, time.monotonic() + RESEND)
            while (answer := self.path.receive6(xid, deadline)) is not None:
                if answer.type in wanted:
                    return answer
        raise NoAnswer(f'{self.firmware} client {self.mac}: no {" or ".join(wanted)} to its {kind} (DHCPv6)')

    def _ia(self, body: bytes = b'') -> bytes:
        return struct.pack('!III', self.iaid, 0, 0) + body

    def _message(self, kind: str, xid: int, options: list[tuple[int, bytes]]) -> bytes:
        wanted = (*self.firmware.wants6, *self.wants)
        said = [(1, self.identity), *options, (8, b'\0\0'), (6, struct.pack(f'!{len(wanted)}H', *wanted))]
        return wire.message6(kind, xid, [*said, *self.firmware.options6.items(), *self.more.items()])


# Real programs


@dataclass(frozen=True)
class Lease:
    """What dhclient got: the variables that it hands to its script (dhclient-script(8)), without "new_"."""

    reason: str
    values: Mapping[str, str]

    @property
    def address(self) -> str | None:
        return self.values.get('ip_address') or self.values.get('ip6_address')


_SCRIPT = '#!/bin/sh\nenv >"{folder}/answer.new" && mv "{folder}/answer.new" "{folder}/answer.$reason"\nexit 0\n'


def dhclient(
    namespace: Namespace, folder: Path, mac: str, *, version: Literal[4, 6] = 4, config: str = '', timeout: float = 15.0
) -> Lease:
    """Run the real dhclient on eth0 until it has an address.  It touches nothing outside `folder`, no address either.

    Raises NoAnswer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('answer.*'):
        old.unlink()
    script, configuration = folder / 'script', folder / 'dhclient.conf'
    script.write_text(_SCRIPT.format(folder=folder))
    script.chmod(0o755)
    leases = folder / f'leases-{mac.replace(":", "")}'
    configuration.write_text(f'timeout {int(timeout)};\ninitial-interval 1;\nretry 1;\n{config}')
    # Down and up, so that the link-local address is that of the new MAC address.
    for change in (('down',), ('address', mac), ('up',)):
        namespace.ip('link', 'set', 'eth0', *change)
    _wait_for_link_local(namespace)
    daemon = namespace.start(
        [
            'dhclient', f'-{version}', '-1', '-d', '-cf', configuration, '-lf', leases,
            '-pf', folder / 'dhclient.pid', '-sf', script, *(('-D', 'LL') if version == 6 else ()), 'eth0',
        ],
        log=folder / 'dhclient.log',
    )  # fmt: skip
    bound = [folder / f'answer.{reason}' for reason in ('BOUND', 'REBOOT', 'BOUND6', 'REBIND6')]
    try:
        daemon.wait_for(lambda: any(path.exists() for path in bound), 'dhclient has an address', timeout)
    except AssertionError as error:
        raise NoAnswer(str(error)) from None
    finally:
        daemon.stop()
    found = next(path for path in bound if path.exists())
    lines = (line.partition('=') for line in found.read_text().splitlines())
    values = {key.removeprefix('new_'): value for key, _, value in lines if key.startswith('new_')}
    return Lease(found.suffix[1:], values)


def _wait_for_link_local(namespace: Namespace) -> None:
    deadline = time.monotonic() + 5
    while 'fe80:' not in namespace.ip('-6', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'link', '-tentative'):
        assert time.monotonic() < deadline, f'eth0 in {namespace.name} got no link-local address'
        time.sleep(0.01)


@contextmanager
def dhcrelay(lan: Lan, folder: Path, version: Literal[4, 6] = 4) -> Iterator[Daemon]:
    """The real relay between the far segment and the server, with option 82 (or the interface's id)."""
    if version == 4:
        how = ['-4', '-a', '-id', 'eth1', '-iu', 'eth0', Lan.SERVER4]
        ready = 'Sending on   Socket/fallback'
    else:
        how = ['-6', '-I', '-l', f'{Lan.RELAY6}%eth1', '-u', f'{Lan.SERVER6}%eth0']
        ready = 'Sending on   Socket/'
    log = folder / f'dhcrelay{version}.log'
    daemon = lan.relay.start(['dhcrelay', '-d', '--no-pid', *how], log=log)
    try:
        daemon.wait_for(lambda: ready in daemon.said(), 'dhcrelay listens')
        yield daemon
    finally:
        daemon.stop()


def random_mac() -> str:
    """A locally administered address that nobody has."""
    return wire.mac_text(b'\x06' + os.urandom(5))
