"""Dynamic updates (RFC 2136) with TSIG (RFC 8945) over TCP: one zone at BIND, Knot, PowerDNS or any other such server.

Each edit carries its condition into the update as prerequisites (section 2.4), so it is the server that decides, in one
step, whether what is there is what we think, and nothing of other origin is overwritten.
"""

import re
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update

from .presentation import name_of, plain, rdata, text_of
from .server import Conflict, Edit, Found, Refused, Unreachable

PORT = 53
_PREREQUISITES = (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET)
_WHY = {
    dns.rcode.REFUSED: 'its policy does not allow this key or address to do so',
    dns.rcode.NOTAUTH: 'it is not the primary server of this zone, or the key is not for it',
    dns.rcode.NOTZONE: 'a name is not in this zone',
    dns.rcode.NOTIMP: 'it takes no dynamic updates',
    dns.rcode.FORMERR: 'it does not understand the update',
    dns.rcode.SERVFAIL: 'it failed; its log says why (it could not load the zone, or cannot write its journal)',
}


# Not what resolvers fail at in ways of their own: empty labels, labels that are too long, other bytes.
_HOST = re.compile(r'(?=.{1,253}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?\Z')


def address_of(server: str, usual: int = PORT) -> tuple[str, int]:
    """(host, port) of "host", "host:port", "[::1]:5353" or a bare IPv6 address.  Raises ValueError."""
    host, port = server.strip(), str(usual)
    if host.startswith('['):
        host, bracket, rest = host[1:].partition(']')
        if not bracket or (rest and not rest.startswith(':')):
            raise ValueError(f'"{server[:300]}" is no server: write host, host:port or [address]:port.')
        port = rest[1:] or port
    elif host.count(':') == 1:
        host, _, port = host.partition(':')
    if not _is_host(host) or not re.fullmatch('[0-9]{1,5}', port) or not 0 < int(port) < 65536:
        raise ValueError(f'"{server[:300]}" is no server: write host, host:port or [address]:port.')
    return host, int(port)


def _is_host(text: str) -> bool:
    if ':' not in text:
        return _HOST.match(text) is not None
    try:
        return text.isprintable() and ip_address(text).version == 6
    except ValueError:
        return False


class DnsServer:
    """A zone at a name server, spoken to over one TCP connection that is made when it is needed.

    `server` is host or host:port; without a key nothing is signed.  `timeout` is in seconds, for each answer.
    """

    merges = False

    def __init__(self, server: str, zone: str, key: dns.tsig.Key | None, timeout: float) -> None:
        self.server = server
        self._address = address_of(server)
        self._zone = plain(zone)
        self._origin = name_of(self._zone)
        self._key = key
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # ------------------------------------------------------------------ updates

    def send(self, edits: Sequence[Edit]) -> None:
        message = dns.update.UpdateMessage(self._origin)
        for edit in edits:
            self._prerequisites(message, edit)
        for edit in edits:
            name = name_of(edit.name)
            for value in edit.remove:
                message.delete(name, rdata(edit.type, value))
        for edit in edits:
            name = name_of(edit.name)
            for value in edit.add:
                message.add(name, edit.ttl, rdata(edit.type, value))
        answer = self._ask(message)
        if answer.rcode() in _PREREQUISITES:
            raise Conflict
        self._well(answer, 'The update')

    def _prerequisites(self, message: dns.update.UpdateMessage, edit: Edit) -> None:
        name = name_of(edit.name)
        if edit.clear == 'name':
            message.absent(name)
            return
        if edit.clear == 'cname':
            message.absent(name, dns.rdatatype.CNAME)
        if edit.expect:
            # Section 2.4.2: these values and no others.
            for value in sorted(edit.expect):
                message.present(name, rdata(edit.type, value))
        else:
            message.absent(name, edit.type)

    # ------------------------------------------------------------------ questions

    def read(self, wanted: Mapping[str, Iterable[str]], *, others: bool = False) -> dict[str, Found]:
        """By one query for each type; one of type ANY tells whether there is anything else (RFC 8482: not what)."""
        return {
            name: self._look_at(name, [*sorted(types), 'ANY'] if others else sorted(types))
            for name, types in wanted.items()
        }

    def _look_at(self, name: str, types: Iterable[str]) -> Found:
        owner = name_of(name)
        found: dict[str, tuple[int, frozenset[str]]] = {}
        for type_ in types:
            answer = self._query(name, dns.rdatatype.from_text(type_))
            if not answer.flags & dns.flags.AA:
                break  # below a delegation: none of this zone's
            for rrset in answer.answer:
                if rrset.name == owner and rrset.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC):
                    values = frozenset(text_of(value) for value in rrset)
                    found[dns.rdatatype.to_text(rrset.rdtype)] = (rrset.ttl, values)
        return found

    def serial(self) -> int:
        answer = self._query(self._zone, dns.rdatatype.SOA)
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.SOA and rrset.name == self._origin and answer.flags & dns.flags.AA:
                return int(rrset[0].serial)
        raise Refused(f'{self.server} does not answer for {self._zone}: it has no such zone, or could not load it.')

    def everything(self) -> Iterator[tuple[str, str, int, str]]:
        """By a transfer (AXFR, RFC 5936), signed like all else."""
        query = dns.message.make_query(self._origin, dns.rdatatype.AXFR)
        query.flags &= ~dns.flags.RD
        if self._key is not None:
            query.use_tsig(self._key)
        self.close()
        seen_soa = False
        context = None
        first = True
        connection = self._connected()
        try:
            _send(connection, query.to_wire())
            while True:
                answer = dns.message.from_wire(
                    _receive(connection), keyring=query.keyring, request_mac=query.mac, xfr=True,
                    tsig_ctx=context, multi=True, one_rr_per_rrset=False,
                )  # fmt: skip
                context = answer.tsig_ctx
                if answer.rcode() != dns.rcode.NOERROR:
                    raise Refused(f'{self.server} gives no transfer of {self._zone} ({_rcode(answer)}).')
                if first and self._key is not None and not answer.had_tsig:
                    raise Refused(f'{self.server} answered a signed question without signing.')
                first = False
                for rrset in answer.answer:
                    type_ = dns.rdatatype.to_text(rrset.rdtype)
                    name = plain(rrset.name.to_text())
                    if type_ == 'SOA' and rrset.name == self._origin:
                        if seen_soa or len(rrset) > 1:
                            return
                        seen_soa = True
                    for value in rrset:
                        yield name, type_, rrset.ttl, text_of(value)
        except (OSError, EOFError, dns.exception.DNSException) as error:
            raise self._failure(error, sent=False) from error
        finally:
            self.close()

    # ------------------------------------------------------------------ the wire

    def _query(self, name: str, type_: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name_of(name), type_)
        query.flags &= ~dns.flags.RD
        answer = self._ask(query)
        if answer.rcode() != dns.rcode.NXDOMAIN:
            self._well(answer, 'A question')
        return answer

    def _ask(self, message: dns.message.Message) -> dns.message.Message:
        if self._key is not None:
            message.use_tsig(self._key)
        try:
            wire = message.to_wire(max_size=65535)
        except dns.exception.TooBig:
            raise Refused('The update is larger than a message may be.') from None
        for again in (False, True):
            connection = self._connected()
            sent = False
            try:
                sent = True
                _send(connection, wire)
                answer = dns.message.from_wire(_receive(connection), keyring=message.keyring, request_mac=message.mac)
                if not message.is_response(answer):
                    raise EOFError
            except (OSError, EOFError, dns.exception.DNSException) as error:
                self.close()
                broken = isinstance(error, (OSError, EOFError)) and not isinstance(error, TimeoutError)
                if broken and not again and message.opcode() == dns.opcode.QUERY:
                    continue  # servers close what was idle, and everything while they reload: a question may come again
                raise self._failure(error, sent=sent) from error
            if self._key is not None and not answer.had_tsig and answer.rcode() == dns.rcode.NOERROR:
                self.close()
                raise Unreachable(
                    f'{self.server} answered a signed message without signing: is it who it says?', sent=True
                )
            return answer
        raise AssertionError('not reached')

    def _connected(self) -> socket.socket:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(self._address, self._timeout)
            except OSError as error:
                raise Unreachable(
                    f'The name server {self.server} cannot be reached over TCP: {error.strerror or error}.'
                ) from error
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _well(self, answer: dns.message.Message, what: str) -> None:
        code = answer.rcode()
        if code != dns.rcode.NOERROR:
            why = f': {_WHY[code]}' if code in _WHY else ''
            raise Refused(f'{what} was refused by {self.server} for {self._zone} ({_rcode(answer)}){why}.')

    def _failure(self, error: BaseException, *, sent: bool) -> Refused | Unreachable:
        key = f'the key {plain(self._key.name.to_text())}' if self._key is not None else 'the key'
        if isinstance(error, dns.tsig.PeerBadKey):
            return Refused(
                f'{self.server} does not know {key} (BADKEY): its name and algorithm must be the same there.'
            )
        if isinstance(error, dns.tsig.PeerBadSignature):
            return Refused(f'{self.server} says that {key} has another secret (BADSIG).')
        if isinstance(error, dns.tsig.PeerBadTime):
            return Refused(f'{self.server} has another time than this machine (BADTIME): set both clocks.')
        if isinstance(error, (dns.tsig.BadSignature, dns.tsig.BadTime, dns.message.UnknownTSIGKey)):
            return Unreachable(f'The answer of {self.server} is not signed with {key}.', sent=sent)
        if isinstance(error, TimeoutError):
            return Unreachable(f'{self.server} did not answer within {self._timeout:g} seconds.', sent=sent)
        if isinstance(error, EOFError):
            return Unreachable(f'{self.server} closed the connection without an answer.', sent=sent)
        return Unreachable(f'{self.server}: {error or type(error).__name__}.', sent=sent)


def _rcode(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())


def _send(connection: socket.socket, wire: bytes) -> None:
    connection.sendall(struct.pack('!H', len(wire)) + wire)


def _receive(connection: socket.socket) -> bytes:
    """One message (RFC 1035 section 4.2.2)."""
    (length,) = struct.unpack('!H', _exactly(connection, 2))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        part = connection.recv(length - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)
