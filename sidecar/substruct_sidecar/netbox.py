"""The client of NetBox: the feed, and what a boot server reports.  The one place where HTTP to NetBox is spoken.

It stands on pynetbox (which knows both kinds of token) and its session.  What can go wrong is one of a few errors, each
with what it means for the sidecar: it goes on with what it has, always.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pynetbox
import requests
from requests.adapters import HTTPAdapter

from . import desired
from .outbox import Message
from .settings import NetBox as Settings
from .settings import SettingsError
from .version import __version__

# Seconds that a whole answer may take, however slowly it comes.
DEADLINE = 1800.0
CHUNK = 1 << 18


class NetBoxError(Exception):
    """NetBox did not do what was asked.  What the sidecar has stays as it is."""


class Unreachable(NetBoxError):
    """No connection, no answer in time, or an answer that broke off."""


class Silent(Unreachable):
    """NetBox was reached, and gave no answer in time: it may be busy with the request for ever."""


class Trouble(NetBoxError):
    """NetBox answered with an error of its own (5xx), or with something that is no answer."""


class Denied(NetBoxError):
    """The token, its permissions or the boot server is gone: a person has to act."""


class Incompatible(NetBoxError):
    """The plugin is missing, or speaks another protocol: one of the two has to be upgraded."""


class TooOld(NetBoxError):
    """The cursor cannot be used any more: take a snapshot."""


class Rejected(NetBoxError):
    """NetBox refuses this request and will refuse it again."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class BootServer(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    base_url: str = ''


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A task that this sidecar is to do.  `attempt` names this try and comes back with the answer."""

    id: int
    kind: str
    attempt: int
    machine: int | None = None
    build: int | None = None
    parameters: dict[str, Any] = {}


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    tasks: list[Claimed]


class OtherInstance(msgspec.Struct, frozen=True, kw_only=True):
    instance: str


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """NetBox's answer to a heartbeat.  `time` is its clock; others report under the same name."""

    time: str
    other_instances: list[OtherInstance] = []


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    status: str
    code: str = ''
    detail: str = ''


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    results: list[Delivered]


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    secret: str = ''


@dataclass(frozen=True, slots=True)
class Feed:
    """A whole answer of the feed, in a file: the header, then the lines."""

    header: desired.Header
    path: Path

    def lines(self) -> Iterator[tuple[desired.AnyLine, bytes]]:
        """Each line but the header, with its bytes without the line break.  Raises Trouble for what is no line."""
        decode = msgspec.json.Decoder(desired.AnyLine).decode
        with self.path.open('rb') as file:
            next(file)
            for raw in file:
                raw = raw.rstrip(b'\n')
                try:
                    yield decode(raw), raw
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise Trouble(f'The feed holds a line that cannot be read: {error}.') from error


class NetBox:
    """One client, for one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = pynetbox.api(settings.url, token=read_token(settings))
        session = requests.Session()
        # Whoever calls decides when to try again; two connections are enough for one thread.
        session.mount('http://', HTTPAdapter(pool_maxsize=2))
        session.mount('https://', HTTPAdapter(pool_maxsize=2))
        session.verify = settings.ca_file or settings.verify_tls
        session.trust_env = True
        session.headers['User-Agent'] = f'substruct-sidecar/{__version__}'
        session.request = _bounded(session.request, settings.timeout)  # type: ignore[method-assign]
        self._api.http_session = session
        self._session = session
        self._boot_server: BootServer | None = None

    def close(self) -> None:
        self._session.close()

    # ------------------------------------------------------------------ what it is

    def status(self) -> dict[str, Any]:
        """What NetBox says of itself (/api/status/)."""
        with _explained():
            found = self._api.status()
        if not isinstance(found, dict):
            raise Trouble('NetBox’s /api/status/ is no JSON object: is this URL really a NetBox?')
        return found

    def boot_server(self) -> BootServer:
        """The boot server of the settings.  Raises Denied if it cannot be seen."""
        if self._boot_server is None:
            name = self._settings.boot_server
            with _explained():
                found = self._api.plugins.substruct.boot_servers.get(name=name, fields='id,name,base_url')
            if found is None:
                raise Denied(
                    f'NetBox has no boot server "{name}" that this token may see: make it (Substruct, Boot servers), '
                    f'or give the token’s user the permissions view and feed on it.'
                )
            self._boot_server = BootServer(id=found.id, name=found.name, base_url=found.base_url)
        return self._boot_server

    def _at(self, *path: object) -> str:
        base = self._api.base_url  # ends with /api
        return '/'.join([base, 'plugins', 'substruct', 'boot-servers', str(self.boot_server().id), *map(str, path), ''])

    def forget(self) -> None:
        """Look the boot server up again at the next request, with the token that is there now: one may have been made
        anew, or the other."""
        self._boot_server = None
        with suppress(SettingsError):  # the file is just being replaced
            self._api.token = read_token(self._settings)

    # ------------------------------------------------------------------ the feed

    def feed(self, into: Path, after: str | None = None) -> Feed:
        """Read the feed into a file, whole.  Raises TooOld for a cursor of no use any more.

        Whether the answer is whole is checked when it is taken (`state.Intake`): the file may hold half an answer.
        """
        deadline = time.monotonic() + DEADLINE
        with _explained(), self._get(self._at('feed'), {'after': after} if after else {}) as response:
            _raise_for(response)
            with into.open('wb') as file:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    if time.monotonic() > deadline:
                        raise Unreachable(f'NetBox’s answer took longer than {DEADLINE:.0f} seconds and was given up.')
        with into.open('rb') as file:
            return Feed(_header(file), into)

    def look_at_feed(self) -> str:
        """Whether the feed may be read: its first line, and no more of it.  Gives NetBox's time."""
        with _explained(), self._get(self._at('feed'), {}) as response:
            _raise_for(response)
            first = next(response.iter_lines(), b'')
        return _parse_header(first).generated

    def artifact(self, artifact: int) -> bytes:
        """The content of an artifact of a build that is under way."""
        with _explained(), self._get(self._at('artifacts', artifact), {}) as response:
            _raise_for(response)
            return response.content

    # ------------------------------------------------------------------ what is reported

    def heartbeat(self, body: dict[str, Any]) -> Heard:
        return self._post(self._at('heartbeat'), body, Heard)

    def deliver(self, messages: list[Message]) -> list[Delivered]:
        """NetBox's answer to each message, in order."""
        answer = self._post(self._at('deliver'), {'messages': messages}, Delivery).results
        if [result.key for result in answer] != [message.key for message in messages]:
            raise Trouble('NetBox answered to other messages than it was given.')
        return answer

    def claim(self, instance: str, key: str, limit: int) -> list[Claimed]:
        return self._post(self._at('tasks', 'claim'), {'instance': instance, 'key': key, 'limit': limit}, Claims).tasks

    def answer(self, task: int, body: dict[str, Any]) -> None:
        self._post_for_task(task, 'answer', body)

    def renew(self, task: int, instance: str, attempt: int) -> None:
        self._post_for_task(task, 'renew', {'instance': instance, 'attempt': attempt})

    def _post_for_task(self, task: int, what: str, body: dict[str, Any]) -> None:
        """Raises Rejected for a task that somebody has removed, or given to another boot server."""
        try:
            self._post(self._at('tasks', task, what), body, dict)
        except Incompatible as error:
            self.forget()
            self.boot_server()  # says what is wrong if it is not the task that is missing
            raise Rejected(f'Task {task} is not there for this boot server any more.', 'gone', 404) from error

    def webhook(self, url: str) -> Hook:
        """Let NetBox wake this sidecar at `url`; '' ends it."""
        return self._post(self._at('webhook'), {'url': url}, Hook)

    def _get(self, url: str, params: dict[str, Any]) -> requests.Response:
        return self._session.get(url, params=params, headers=self._headers(), stream=True)

    def _headers(self) -> dict[str, str]:
        token = self._api.token or ''
        scheme = 'Bearer' if token.startswith('nbt_') else 'Token'
        return {'Authorization': f'{scheme} {token}', 'Accept-Encoding': 'gzip'}

    def _post[T](self, url: str, body: Any, type_: type[T]) -> T:
        with _explained():
            response = self._session.post(
                url, data=msgspec.json.encode(body), headers={**self._headers(), 'Content-Type': 'application/json'}
            )
            _raise_for(response)
            try:
                return msgspec.json.decode(response.content or b'{}', type=type_)
            except msgspec.DecodeError as error:
                raise Trouble(f'NetBox’s answer from {_path(response)} cannot be read: {error}.') from error


def read_token(settings: Settings) -> str:
    if settings.token:
        return settings.token
    if settings.token_file:
        try:
            return Path(settings.token_file).read_text('utf-8').strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'it is no text'
            raise SettingsError(f'netbox.token_file: {settings.token_file} cannot be read ({reason}).') from error
    raise SettingsError(
        'netbox.token_file: there is no token. Make one in NetBox (Admin, API Tokens), write it into a file that only '
        'the sidecar can read and name that here, or set SUBSTRUCT_NETBOX_TOKEN.'
    )


def _bounded(request: Any, timeout: float) -> Any:
    """Every request has a limit: to connect, and between two pieces of the answer."""

    def bounded(method: str, url: str, **options: Any) -> Any:
        options.setdefault('timeout', (min(timeout, 10.0), timeout))
        # A redirect would hand the token to another host, or turn a POST into a GET.
        options['allow_redirects'] = False
        return request(method, url, **options)

    return bounded


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of the libraries as ours."""
    try:
        yield
    except pynetbox.RequestError as error:
        _raise_for(error.req)
        raise Trouble(str(error)) from error
    except pynetbox.ContentError as error:
        raise Trouble('NetBox’s answer is no JSON: is this URL really a NetBox, or is a proxy answering?') from error
    except requests.exceptions.SSLError as error:
        raise Unreachable(
            f'NetBox’s certificate is not trusted ({_words(error)}): name its authority in netbox.ca_file.'
        ) from error
    except requests.ReadTimeout as error:
        raise Silent('NetBox does not answer in time.') from error
    except requests.Timeout as error:
        raise Unreachable('NetBox does not answer in time.') from error
    except requests.RequestException as error:
        raise Unreachable(f'NetBox cannot be reached: {_words(error)}.') from error


def _words(error: BaseException) -> str:
    """The innermost reason: what people can read of a chain of library errors."""
    reason: Any = error
    while True:
        inner = getattr(reason, 'reason', None) or (reason.args[-1] if getattr(reason, 'args', ()) else None)
        if not isinstance(inner, BaseException):
            return str(reason).rsplit('>: ', 1)[-1]
        reason = inner


def _path(response: requests.Response) -> str:
    return response.url.partition('?')[0]


def _raise_for(response: requests.Response) -> None:
    """Raise what an answer means; nothing for 2xx."""
    status = response.status_code
    if 200 <= status < 300:
        return
    detail, code = _detail(response)
    where = f'{_path(response)} ({status})'
    if 300 <= status < 400:
        raise Denied(
            f'NetBox redirects {where} to {response.headers.get("Location", "nowhere")}: set netbox.url to where it '
            f'really is.'
        )
    if status in (401, 403):
        raise Denied(f'NetBox refuses the token at {where}: {detail}. Check the token and its permissions.')
    if status == 410:
        raise TooOld(detail)
    if status == 404:
        raise Incompatible(
            f'NetBox knows nothing at {where}: {detail}. Is the plugin netbox_substruct installed, in a version that '
            f'fits this sidecar ({__version__}), and may the token’s user see the boot server?'
        )
    if status in (408, 425, 429) or status >= 500:
        raise Trouble(f'NetBox is in trouble at {where}: {detail}.')
    raise Rejected(f'NetBox refuses {where}: {detail}.', code, status)


def _detail(response: requests.Response) -> tuple[str, str]:
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        return (response.reason or 'no reason given'), ''
    if isinstance(body, dict) and 'detail' in body:
        return str(body['detail'])[:500].rstrip('.'), str(body.get('code', ''))
    return json.dumps(body)[:500], ''


def _header(file: BinaryIO) -> desired.Header:
    return _parse_header(file.readline())


def _parse_header(raw: bytes) -> desired.Header:
    try:
        header = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Trouble('The feed does not begin with a header: a proxy may be answering.') from error
    if header.get('kind') != 'header':
        raise Trouble('The feed does not begin with a header: a proxy may be answering.')
    if header.get('protocol') != desired.PROTOCOL:
        raise Incompatible(
            f'The plugin speaks protocol {header.get("protocol")} and this sidecar ({__version__}) protocol '
            f'{desired.PROTOCOL}: upgrade the older of the two.'
        )
    try:
        return msgspec.convert(header, desired.Header)
    except msgspec.ValidationError as error:
        raise Trouble(f'The feed’s header cannot be read: {error}.') from error
