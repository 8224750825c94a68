"""Live changes of hosts in a running dhcpd through OMAPI (dhcpd(8), omshell(1)).

The protocol is pypureomapi's; what is added is HMAC with SHA-2, which dhcpd 4.4 knows, and the few operations that are
needed, each of which may be repeated: what is to be made may be there, what is to go may be gone.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pypureomapi

from .isc_syntax import Live

ALGORITHMS = {'hmac-md5': hashlib.md5, 'hmac-sha1': hashlib.sha1, 'hmac-sha256': hashlib.sha256,
              'hmac-sha384': hashlib.sha384, 'hmac-sha512': hashlib.sha512}  # fmt: skip
TIMEOUT = 10.0
_ETHERNET = struct.pack('!I', 1)
_YES = struct.pack('!I', 1)
_NOT_FOUND = 23  # ISC_R_NOTFOUND
_EXISTS = 18  # ISC_R_EXISTS
_CONFLICT = 0x60007  # DHCP_R_KEYCONFLICT


class OmapiError(Exception):
    """dhcpd cannot be reached by OMAPI, or refused something; says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """`secret` is in Base64, as in dhcpd.conf."""

    name: str
    algorithm: str
    secret: str


class _Authenticator(pypureomapi.OmapiAuthenticatorBase):
    def __init__(self, key: Key) -> None:
        self._name = key.name.encode()
        self._algorithm = key.algorithm
        self._digest = ALGORITHMS[key.algorithm]
        try:
            self._secret = base64.b64decode(key.secret, validate=True)
        except binascii.Error:
            raise OmapiError(f'The OMAPI key "{key.name}" is no Base64: copy it from dhcpd.conf.') from None
        self.authlen = self._digest().digest_size

    def auth_object(self) -> dict[bytes, bytes]:
        return {b'name': self._name, b'algorithm': f'{self._algorithm}.SIG-ALG.REG.INT.'.encode()}

    def sign(self, message: bytes) -> bytes:
        return hmac.new(self._secret, message, self._digest).digest()


class Connection:
    def __init__(self, omapi: pypureomapi.Omapi) -> None:
        self._omapi = omapi

    def add(self, host: Live) -> None:
        """Make a host, or leave it where it is there already (a name always has the same contents)."""
        hardware = [(b'hardware-address', host.hardware), (b'hardware-type', _ETHERNET)] if host.hardware else []
        values: list[tuple[bytes, bytes]] = []
        if host.client_id:
            values.append((b'dhcp-client-identifier', host.client_id))
        if host.addresses:
            values.append((b'ip-address', host.addresses))
        if host.statements:
            values.append((b'statements', host.statements.encode()))
        answer = self._create(host.name, hardware + values)
        if answer.opcode == pypureomapi.OMAPI_OP_UPDATE or _result(answer) == _EXISTS:
            return
        if hardware and not host.client_id and _result(answer) == _CONFLICT:
            # In its files dhcpd takes several hosts with one MAC address, but OMAPI looks for an object by all values
            # and does not make a second.  So it is made with a client identifier that nobody sends, its name, and gets
            # its MAC address afterwards.  Whoever was killed between the two has left half of it.
            self.remove(host.name)
            answer = self._create(host.name, [(b'dhcp-client-identifier', host.name.encode()), *values])
            if answer.opcode == pypureomapi.OMAPI_OP_UPDATE:
                message = pypureomapi.OmapiMessage.update(answer.handle)
                message.obj += hardware
                answer = self._ask(message)
                if _result(answer) == 0:
                    return
        raise OmapiError(f'dhcpd refused the host {host.name}: {_words(answer)}.')

    def _create(self, name: str, values: list[tuple[bytes, bytes]]) -> pypureomapi.OmapiMessage:
        message = pypureomapi.OmapiMessage.open(b'host')
        message.message += [(b'create', _YES), (b'exclusive', _YES)]
        message.obj += [(b'name', name.encode()), *values]
        return self._ask(message)

    def remove(self, name: str) -> None:
        handle = self._find(name)
        if handle is None:
            return
        answer = self._ask(pypureomapi.OmapiMessage.delete(handle))
        if answer.opcode != pypureomapi.OMAPI_OP_STATUS or _result(answer) not in (0, _NOT_FOUND):
            raise OmapiError(f'dhcpd did not remove the host {name}: {_words(answer)}.')

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def _find(self, name: str) -> int | None:
        message = pypureomapi.OmapiMessage.open(b'host')
        message.obj.append((b'name', name.encode()))
        answer = self._ask(message)
        if answer.opcode == pypureomapi.OMAPI_OP_UPDATE:
            return int(answer.handle)
        if _result(answer) == _NOT_FOUND:
            return None
        raise OmapiError(f'dhcpd could not say whether it has the host {name}: {_words(answer)}.')

    def _ask(self, message: pypureomapi.OmapiMessage) -> pypureomapi.OmapiMessage:
        try:
            return self._omapi.query_server(message)
        except (OSError, pypureomapi.OmapiError) as error:
            raise OmapiError(f'The OMAPI connection to dhcpd broke: {error}.') from error


@contextmanager
def connect(host: str, port: int, key: Key | None, timeout: float = TIMEOUT) -> Iterator[Connection]:
    """Raises OmapiError, also where a key is wrong."""
    authenticator = _Authenticator(key) if key else None
    try:
        omapi = pypureomapi.Omapi(host, port, timeout=timeout)
    except (OSError, pypureomapi.OmapiError) as error:
        raise OmapiError(
            f'dhcpd does not answer OMAPI at {host} port {port}: {getattr(error, "strerror", None) or error}.'
        ) from error
    try:
        if authenticator is not None:
            try:
                omapi.initialize_authenticator(authenticator)
                Connection(omapi).has('substruct')  # the first thing that is signed: now dhcpd looks at the key
            except (OSError, pypureomapi.OmapiError, OmapiError) as error:
                assert key is not None
                raise OmapiError(
                    f'dhcpd refused the OMAPI key "{key.name}" ({key.algorithm}): name, algorithm and secret must be '
                    f'those of "key" and "omapi-key" in dhcpd.conf.'
                ) from error
        yield Connection(omapi)
    finally:
        omapi.close()


def _result(answer: pypureomapi.OmapiMessage) -> int:
    for name, value in answer.message:
        if name == b'result' and len(value) == 4:
            return int.from_bytes(value)
    return -1


def _words(answer: pypureomapi.OmapiMessage) -> str:
    for name, value in answer.message:
        if name == b'message':
            return str(value.decode('ascii', 'replace'))
    return f'it answered {answer.opcode} ({_result(answer)})'
