"""UDP sockets as TFTP needs them: which address was asked, answers from it, buffers, the MTU on the way to a client.

What Linux offers beyond Python's socket module stands here: ip(7), ipv6(7), socket(7).
"""

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AddressFamily

import structlog

log = structlog.get_logger('tftp')

# As the socket module gives and takes it, for IPv4 and for IPv6 (with flow and scope).
type Address = tuple[str, int] | tuple[str, int, int, int]

# A thousand machines that are switched on together ask together; the usual buffer holds a few hundred requests.
RECEIVE_BUFFER = 4 << 20
# A transfer's own socket receives acknowledgements only.
ACK_BUFFER = 16 << 10

# linux/in.h, linux/in6.h, asm-generic/socket.h
_IP_PKTINFO = 8
_IP_MTU_DISCOVER = 10
_IP_MTU = 14
_IP_PMTUDISC_DONT = 0
_IPV6_MTU_DISCOVER = 23
_IPV6_MTU = 24
_SO_RCVBUFFORCE = 33
# struct in_pktinfo: interface, the address to answer from, the address in the packet.
# struct in6_pktinfo: address, interface.
_PKTINFO4 = struct.Struct('@I4s4s')
_PKTINFO6 = struct.Struct('@16sI')
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_PKTINFO4.size)
# IP header, UDP header, TFTP header
_OVERHEAD = {socket.AF_INET: 20 + 8 + 4, socket.AF_INET6: 40 + 8 + 4}
_USUAL_MTU = 1500


class CannotListen(Exception):
    """The message says on which address, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Local:
    """An address of this host that a client asked; `interface` is the number of the one it came in by."""

    host: str
    interface: int


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that requests arrive at."""

    socket: socket.socket
    family: AddressFamily
    port: int

    def receive(self, longest: int) -> tuple[bytes, Address, Local | None]:
        """A packet (at most one byte more than `longest`), its sender, and the address that it was sent to.

        That is None for broadcasts and multicasts.  Raises OSError (BlockingIOError where there is none).
        """
        packet, ancillary, _, sender = self.socket.recvmsg(longest + 1, _ANCILLARY)
        return packet, sender, _asked(ancillary)

    def send(self, packet: bytes, client: Address, local: Local) -> None:
        """Send from the address that was asked.  Raises OSError."""
        self.socket.sendmsg((packet,), (_answer_from(self.family, local),), 0, client)


def _asked(ancillary: Sequence[tuple[int, int, bytes]]) -> Local | None:
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) >= _PKTINFO4.size:
            interface, mine, asked = _PKTINFO4.unpack(value[: _PKTINFO4.size])
            return Local(socket.inet_ntop(socket.AF_INET, mine), interface) if mine == asked else None
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(value) >= _PKTINFO6.size:
            asked, interface = _PKTINFO6.unpack(value[: _PKTINFO6.size])
            return Local(socket.inet_ntop(socket.AF_INET6, asked), interface) if asked[0] != 0xFF else None
    return None


def _answer_from(family: AddressFamily, local: Local) -> tuple[int, int, bytes]:
    address = socket.inet_pton(family, local.host)
    if family == socket.AF_INET6:
        interface = local.interface if _link_local(local.host) else 0
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(address, interface)
    return socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO4.pack(0, address, bytes(4))


def _link_local(host: str) -> bool:
    return host.lower().startswith(('fe8', 'fe9', 'fea', 'feb'))


def listeners(endpoints: Sequence[tuple[str, int]], shares: int = 1) -> list[list[Listener]]:
    """Sockets on all endpoints, once for each of so many processes, among which the kernel shares out the clients.

    '::' takes IPv4 too, unless 0.0.0.0 is named beside it.  With port 0 any free port is taken, the same for all.
    Raises CannotListen, also where another server has the port.
    """
    made: list[list[Listener]] = [[] for _ in range(shares)]
    try:
        for host, port in _spread(endpoints):
            if not port and host == '0.0.0.0' and made[0]:  # noqa: S104
                port = made[0][-1].port
            # The first one is alone on its port, or fails; only then may the others join it.
            for share in made:
                if (listener := _listen(host, port, joins=share is not made[0])) is None:
                    break
                share.append(listener)
                port = listener.port
        if not made[0]:
            raise CannotListen('TFTP has no address to listen on. Set boot.tftp, for example to ["[::]:69"].')
    except BaseException:
        for listener in (listener for share in made for listener in share):
            listener.socket.close()
        raise
    return made


def _spread(endpoints: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for host, port in dict.fromkeys(endpoints):
        yield host, port
        if host == '::' and ('0.0.0.0', port) not in endpoints:  # noqa: S104
            yield '0.0.0.0', port  # noqa: S104


def _listen(host: str, port: int, joins: bool) -> Listener | None:
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT and host == '::':
            log.warning('this system has no IPv6: TFTP listens on IPv4 alone')
            return None
        raise CannotListen(f'TFTP cannot listen on {host}: {error.strerror}.') from error
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        _may_be_fragmented(made, family)
        _receive_buffer(made)
        if joins:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        made.close()
        raise CannotListen(_why(host, port, error)) from error
    return Listener(made, family, made.getsockname()[1])


def _why(host: str, port: int, error: OSError) -> str:
    remedy = {
        errno.EADDRINUSE: 'Another TFTP server has the port: stop it (ss -ulpn shows it), or set boot.tftp.',
        errno.EADDRNOTAVAIL: 'This host has no such address: set boot.tftp.',
        errno.EACCES: 'Ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit gives it).',
    }.get(error.errno or 0, 'Set boot.tftp.')
    return f'TFTP cannot listen on {host} port {port}: {error.strerror}. {remedy}'


def _receive_buffer(made: socket.socket) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)  # with CAP_NET_ADMIN
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    # The kernel doubles what it is asked for (socket(7)).
    if (got := made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2) < RECEIVE_BUFFER:
        log.warning(
            'the receive buffer is small: when very many machines start at once, some will have to ask again',
            bytes=got, remedy=f'sysctl net.core.rmem_max={RECEIVE_BUFFER}',
        )  # fmt: skip


def _may_be_fragmented(made: socket.socket, family: AddressFamily) -> None:
    # A tunnel on the way that is narrower than it says would otherwise swallow every full block.
    if family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DONT)


@dataclass(frozen=True, slots=True)
class Port:
    """A transfer's own port: `client` hears and reaches the client alone, `others` hears everybody else.

    A connected socket is a good deal quicker; without the other one strays would get no proper answer.
    """

    client: socket.socket
    others: socket.socket

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self.client, self.others


def open_port(family: AddressFamily, local: Local, client: Address) -> Port:
    """A free port of the address that was asked.  Raises OSError."""
    scope = (0, local.interface if _link_local(local.host) else 0) if family == socket.AF_INET6 else ()
    made: list[socket.socket] = []
    try:
        number = 0
        for _ in range(2):
            each = socket.socket(family, socket.SOCK_DGRAM)
            made.append(each)
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ACK_BUFFER)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((local.host, number, *scope))
            number = each.getsockname()[1]
        others, own = made
        _may_be_fragmented(own, family)
        own.connect(client)
        for each in made:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # for nobody else
    except BaseException:
        for each in made:
            each.close()
        raise
    return Port(own, others)


class Ways:
    """How large a block may be so that it travels in one piece, as far as the kernel knows the way."""

    def __init__(self) -> None:
        self._probes: dict[AddressFamily, socket.socket] = {}

    def largest_block(self, family: AddressFamily, client: Address) -> int:
        """In bytes.  Asks the kernel's routes; sends nothing."""
        level, option = (socket.IPPROTO_IPV6, _IPV6_MTU) if family == socket.AF_INET6 else (socket.IPPROTO_IP, _IP_MTU)
        try:
            if family not in self._probes:
                self._probes[family] = socket.socket(family, socket.SOCK_DGRAM)
            probe = self._probes[family]
            probe.connect(client)
            mtu = probe.getsockopt(level, option)
        except OSError:
            mtu = _USUAL_MTU
        return mtu - _OVERHEAD[family]

    def close(self) -> None:
        for probe in self._probes.values():
            probe.close()
        self._probes.clear()
