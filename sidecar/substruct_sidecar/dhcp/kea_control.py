"""Kea's control channel: commands to one daemon over its Unix socket, or over HTTP to it or its control agent.

It knows how commands are sent and answered, and what versions of Kea call things; not what is to be configured.
Sources: Kea Administrator Reference Manual, "Management API" (ctrl-channel), and the release notes of 2.4 to 3.0.
"""

import base64
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

type Family = Literal[4, 6]

# Answers to these need no work; a daemon that takes longer hangs.
QUICK = 10.0
# A configuration of a hundred thousand hosts takes some seconds, on a busy machine ten times that.
SLOW = 300.0

_PIECE = 1 << 16


class ControlError(Exception):
    """A daemon could not be asked.  The message says which, how, and what to do."""


class Refused(ControlError):
    """The daemon answered, and refused the command.  `words` are Kea's own."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


class Unsupported(Refused):
    """The daemon does not know this command (result 2)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a version of Kea calls things."""

    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        return '.'.join(map(str, self.version))

    @property
    def when_listed(self) -> str:
        """The key of a class that is evaluated only where it is listed (renamed in 2.7.4)."""
        return 'only-in-additional-list' if self.version >= (2, 7, 4) else 'only-if-required'

    @property
    def list_key(self) -> str:
        """The key of a subnet that lists such classes (renamed in 2.7.4)."""
        return 'evaluate-additional-classes' if self.version >= (2, 7, 4) else 'require-client-classes'

    @property
    def backends_are_hooks(self) -> bool:
        """Whether host databases need a hook library (since 2.7.5: libdhcp_pgsql.so, libdhcp_mysql.so)."""
        return self.version >= (2, 7, 5)


# Debian 12's; what is written when no daemon can be asked.  2.7.4 and later still read the older names.
OLDEST = Dialect((2, 2, 0))


def dialect(version: str) -> Dialect:
    """Of the text of `version-get`, "2.2.0" or "2.7.4-git"."""
    found = re.match(r'(\d+)\.(\d+)(?:\.(\d+))?', version)
    if found is None:
        raise ControlError(f'Kea says that its version is "{version[:50]}", which names no version.')
    return Dialect((int(found[1]), int(found[2]), int(found[3] or 0)))


class Channel:
    """Commands to one daemon.  `exchange` sends the bytes of a command and returns those of the answer."""

    def __init__(self, family: Family, place: str, exchange: Callable[[bytes, float], bytes]) -> None:
        self.family = family
        self.place = place
        self._exchange = exchange

    @property
    def daemon(self) -> str:
        return f'kea-dhcp{self.family}'

    def ask(self, command: str, arguments: Any = None, *, timeout: float = QUICK, type_: Any = Any) -> Any:
        """The `arguments` of the answer as `type_`, None where there are none.  Raises ControlError (Refused,
        Unsupported).

        `arguments` is anything that msgspec encodes; `timeout` in seconds is for the whole exchange.
        """
        message: dict[str, Any] = {'command': command, 'service': [f'dhcp{self.family}']}
        if arguments is not None:
            message['arguments'] = arguments
        raw = self._exchange(msgspec.json.encode(message), timeout)
        try:
            answer = msgspec.json.decode(raw, type=Answer | list[Answer])
            if isinstance(answer, list):  # that is how the control agent answers
                if len(answer) != 1:
                    raise ControlError(f'{self.daemon} at {self.place}: {len(answer)} answers to {command}, not one.')
                answer = answer[0]
            if answer.result == 3:  # it was understood, and there is nothing
                return None
            if answer.result == 0:
                return msgspec.json.decode(answer.arguments, type=type_) if answer.arguments else None
        except msgspec.DecodeError as error:
            raise ControlError(
                f'{self.daemon} at {self.place}: what it answers to {command} cannot be understood ({error}). '
                f'Is it Kea that listens there?'
            ) from error
        words = answer.text[:2000]
        kind = Unsupported if answer.result == 2 else Refused
        raise kind(f'{self.daemon} refuses {command}: {words}', words)

    def version(self) -> Dialect:
        # The number stands in the text and nowhere else.
        raw = self._exchange(msgspec.json.encode({'command': 'version-get', 'service': [f'dhcp{self.family}']}), QUICK)
        try:
            answer = msgspec.json.decode(raw, type=Answer | list[Answer])
        except msgspec.DecodeError as error:
            raise ControlError(f'{self.daemon} at {self.place}: no answer of Kea ({error}).') from error
        return dialect((answer[0] if isinstance(answer, list) and answer else answer).text)  # type: ignore[union-attr]

    def status(self) -> 'Status':
        found: Status = self.ask('status-get', type_=Status)
        return found

    def commands(self) -> frozenset[str]:
        return frozenset(self.ask('list-commands', type_=list[str]))


class Answer(msgspec.Struct):
    result: int
    text: str = ''
    arguments: msgspec.Raw = msgspec.Raw(b'')


class Sockets(msgspec.Struct):
    status: str = 'ready'
    errors: list[str] = []


class Status(msgspec.Struct):
    """`reload` and `uptime` are seconds since it was configured and started; `sockets` those for DHCP."""

    pid: int
    uptime: int
    reload: int
    sockets: Sockets = msgspec.field(default_factory=Sockets)


def over_socket(family: Family, path: str) -> Channel:
    """The daemon's own Unix socket (`control-socket`)."""
    daemon = f'kea-dhcp{family}'

    def exchange(message: bytes, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as link:
                link.settimeout(min(timeout, QUICK))
                link.connect(path)
                view = memoryview(message)
                while view:
                    link.settimeout(_left(deadline))
                    view = view[link.send(view[:_PIECE]) :]
                received = bytearray()
                while True:
                    link.settimeout(_left(deadline))
                    piece = link.recv(_PIECE)
                    if not piece:
                        break
                    received += piece
        except FileNotFoundError:
            raise ControlError(
                f'{daemon}: there is no control socket at {path}. Is it running, and is that path what its '
                f'"control-socket" says? (dhcp.kea.socket{family})'
            ) from None
        except ConnectionRefusedError:
            raise ControlError(f'{daemon}: nobody listens at the control socket {path}. Start it.') from None
        except PermissionError:
            raise ControlError(
                f'{daemon}: the control socket {path} may not be used by this user. Put it into the group that owns '
                f'the socket (on Debian: _kea).'
            ) from None
        except TimeoutError:
            raise ControlError(
                f'{daemon}: it did not answer at {path} within {timeout:g} s. It hangs, or is very busy; look at its '
                f'log.'
            ) from None
        except OSError as error:
            raise ControlError(f'{daemon}: the control socket {path} broke off: {error.strerror or error}.') from error
        if not received:
            raise ControlError(f'{daemon}: it closed {path} without an answer; look at its log.')
        return bytes(received)

    return Channel(family, path, exchange)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def over_http(family: Family, url: str, password: Callable[[], str] | None = None, ca_file: str = '') -> Channel:
    """A control agent, or a daemon of Kea 2.7.2 or later with an HTTP control socket.

    `password` gives "user:password" for HTTP's basic authentication.
    """
    parts = urlsplit(url)
    daemon = f'kea-dhcp{family}'

    def exchange(message: bytes, timeout: float) -> bytes:
        host = parts.hostname or ''
        headers = {'Content-Type': 'application/json'}
        if password is not None:
            headers['Authorization'] = 'Basic ' + base64.b64encode(password().encode()).decode()
        connection: http.client.HTTPConnection
        if parts.scheme == 'https':
            context = ssl.create_default_context(cafile=ca_file or None)
            connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        try:
            connection.request('POST', parts.path or '/', message, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(
                f'{daemon}: no answer from the control agent at {url}: {error or type(error).__name__}.'
            ) from error
        finally:
            connection.close()
        if answer.status == 401:
            raise ControlError(f'{daemon}: the control agent at {url} wants other credentials (dhcp.kea.credential).')
        if answer.status != 200:
            raise ControlError(f'{daemon}: the control agent at {url} answers {answer.status} {answer.reason}.')
        return body

    return Channel(family, url, exchange)
