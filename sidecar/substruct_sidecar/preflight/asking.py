"""Asking the DHCP servers of a link what they would offer a machine: one DHCPDISCOVER in its name, and no more.

A DISCOVER takes no lease (RFC 2131 section 3.1: that needs the REQUEST, which is never sent).  The packet goes out by
an ordinary UDP socket of one interface.  Servers on other hosts answer by broadcast, and are heard by that socket.  A
server on this host hears it too, for the kernel shows it what goes out; dnsmasq's answer comes back the same way, but
ISC dhcpd and Kea write theirs straight onto the wire, which only a packet socket sees.  So without CAP_NET_RAW those
two cannot be asked from their own host: `deaf` says so.
"""

import contextlib
import fcntl
import secrets
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

SERVER, CLIENT = 67, 68
_COOKIE = b'\x63\x82\x53\x63'
_ETH_P_ALL = 0x0003
_SIOCGIFADDR = 0x8915
_SO_NO_CHECK = 11  # linux/socket.h: without a checksum, which the wire would fill in and a server here would not see
_BROADCAST_FLAG = 0x8000
_DISCOVER, _OFFER = 1, 2
# Subnet mask, router, name servers, host name, domain, lease time, server, TFTP server name, boot file.
_WANTED = bytes((1, 3, 6, 12, 15, 51, 54, 60, 66, 67, 43, 97))


class CannotAsk(Exception):
    """There is no way to ask from here; the message says why."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one server offers.  `file` is what firmware loads, '' if nothing; `server` is the server's identifier."""

    address: str
    server: str
    next_server: str
    file: str
    options: dict[int, bytes] = field(repr=False, default_factory=dict)


def interface_in(network: IPv4Network) -> str | None:
    """An interface of this host with an address in a prefix."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack('256s', name.encode()[:15])
            try:
                found = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # it has no address
                continue
            if IPv4Address(found[20:24]) in network:
                return name
    return None


def discover(
    interface: str, mac: str, *, architecture: int | None = None, patience: float = 3.0, others: float = 0.5
) -> tuple[list[Offer], bool]:
    """What is offered within `patience` seconds, and whether this host's own ISC dhcpd or Kea could not be heard.

    `architecture` is option 93 of a PXE client.  After the first offer it is listened for others for `others` seconds.
    Raises CannotAsk.
    """
    xid = secrets.token_bytes(4)
    with contextlib.ExitStack() as stack:
        sender = stack.enter_context(_sender(interface))
        tap = _tap(interface)
        listeners = [sender]
        if tap is not None:
            listeners.append(stack.enter_context(tap))
        try:
            sender.sendto(message(mac, xid, architecture), ('255.255.255.255', SERVER))
        except OSError as error:
            raise CannotAsk(f'nothing can be sent on {interface}: {error.strerror}') from error
        offers: dict[str, Offer] = {}
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(listeners, [], [], left)
            for one in ready:
                data = one.recv(4096)
                offer = read(data if one is sender else _udp_payload(data), xid)
                if offer is not None and offer.server not in offers:
                    offers[offer.server] = offer
                    deadline = min(deadline, time.monotonic() + others)
    return list(offers.values()), tap is None


def _sender(interface: str) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        found.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b'\0')
        found.bind(('', CLIENT))
    except OSError as error:
        found.close()
        raise CannotAsk(f'the DHCP client’s port cannot be used on {interface}: {error.strerror}') from error
    return found


def _tap(interface: str) -> socket.socket | None:
    """Sees what this host sends and hears; None without the permission."""
    try:
        found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    except OSError:
        return None
    found.bind((interface, _ETH_P_ALL))
    return found


def message(mac: str, xid: bytes, architecture: int | None = None) -> bytes:
    """A DHCPDISCOVER (RFC 2131 section 2) that is to be answered by broadcast; of a PXE client, with option 93."""
    options = bytes((53, 1, _DISCOVER, 55, len(_WANTED))) + _WANTED
    if architecture is not None:
        # RFC 4578: architecture, network interface (UNDI 2.1); the vendor class says both once more.
        name = f'PXEClient:Arch:{architecture:05}:UNDI:002001'.encode()
        options += struct.pack('!BBH', 93, 2, architecture) + bytes((94, 3, 1, 2, 1, 60, len(name))) + name
    hardware = bytes.fromhex(mac.replace(':', ''))
    head = struct.pack('!BBBB4sHH16s16s', 1, 1, 6, 0, xid, 0, _BROADCAST_FLAG, bytes(16), hardware)
    return (head + bytes(192) + _COOKIE + options + b'\xff').ljust(300, b'\0')


def read(data: bytes, xid: bytes) -> Offer | None:
    """None for everything but an offer to us."""
    if len(data) < 240 or data[0] != 2 or data[4:8] != xid or data[236:240] != _COOKIE:
        return None
    options: dict[int, bytes] = {}
    for code, value in _options(data[240:]):
        options[code] = options.get(code, b'') + value
    file, name = data[108:236], data[44:108]
    overload = options.get(52, b'\0')[:1]
    for bit, area in ((1, file), (2, name)):
        if overload and overload[0] & bit:
            for code, value in _options(area):
                options[code] = options.get(code, b'') + value
    if options.get(53) != bytes((_OFFER,)):
        return None
    server = options.get(54, b'')
    shown = file.split(b'\0')[0] if not (overload and overload[0] & 1) else b''
    siaddr = data[20:24]
    return Offer(
        address=str(IPv4Address(data[16:20])),
        server=str(IPv4Address(server)) if len(server) == 4 else '',
        next_server=str(IPv4Address(siaddr)) if any(siaddr) else _text(options.get(66, b'')),
        file=_text(options.get(67, b'')) or _text(shown),
        options=options,
    )


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 2 > len(data):
            return
        length = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + length]
        at += 2 + length


def _text(data: bytes) -> str:
    return data.rstrip(b'\0').decode('ascii', 'backslashreplace')


def _udp_payload(frame: bytes) -> bytes:
    """What an Ethernet frame has for the DHCP client's port; b'' if nothing."""
    if len(frame) < 42 or frame[12:14] != b'\x08\x00' or frame[23] != socket.IPPROTO_UDP:
        return b''
    start = 14 + (frame[14] & 0x0F) * 4
    if frame[start + 2 : start + 4] != struct.pack('!H', CLIENT):
        return b''
    return frame[start + 8 :]
