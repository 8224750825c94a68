"""Talking to the boot server: requests over HTTP with patience.

A boot server may be restarted, or be too busy to answer, at any time; who asks here waits and asks again, and says so.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

# Seconds of silence after which a connection is taken for dead.
SILENCE = 30.0
# Seconds between tries: the first ones come quickly, later ones do not load a server that has just come back.
FIRST, LONGEST = 1.0, 30.0
# Bytes of an answer that is read as a whole.
MOST = 16 << 20


class WebError(Exception):
    """No answer, or one that helps nobody; the message says which.  `status` is 0 without an answer; it may be
    `lasting`, so that to ask again is of no use."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status

    @property
    def lasting(self) -> bool:
        return 400 <= self.status < 500 and self.status not in (408, 425, 429)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """Raises WebError."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise WebError(f'the boot server’s answer is no JSON: {error}') from None

    @property
    def date(self) -> float | None:
        """Seconds since 1970, by the server's clock."""
        try:
            return parsedate_to_datetime(self.headers.get('date', '')).timestamp()
        except (TypeError, ValueError):
            return None


@contextmanager
def opened(
    url: str, method: str = 'GET', body: bytes | None = None, headers: Mapping[str, str] | None = None,
    silence: float = SILENCE,
) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
    """An answer whose body is still to be read; redirections are followed.  Raises WebError; what breaks while the body
    is read is an OSError or HTTPException of the reader's."""
    for _ in range(6):
        connection, response = _asked(url, method, body, headers or {}, silence)
        where = response.headers.get('location')
        if response.status not in (301, 302, 303, 307, 308) or not where or method != 'GET':
            break
        connection.close()
        url = urljoin(url, where)
    try:
        yield response
    finally:
        connection.close()


def _asked(
    url: str, method: str, body: bytes | None, headers: Mapping[str, str], silence: float
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or '', parts.port
    except ValueError as error:
        raise WebError(f'{url} is no URL: {error}', 400) from None
    connection: http.client.HTTPConnection
    if parts.scheme == 'https':
        connection = http.client.HTTPSConnection(host, port, timeout=silence, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=silence)
    path = (parts.path or '/') + (f'?{parts.query}' if parts.query else '')
    try:
        connection.request(method, path, body, {'User-Agent': 'substruct-prospector', **headers})
        return connection, connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        raise WebError(f'{host}:{connection.port} does not answer ({words_of(error)})') from None


def words_of(error: Exception) -> str:
    """An error of the network in words."""
    if isinstance(error, TimeoutError):
        return 'no answer in time'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def ask(
    url: str, method: str = 'GET', body: bytes | None = None, kind: str = 'text/plain', silence: float = SILENCE
) -> Answer:
    """One request, and its whole answer.  Raises WebError for everything but success."""
    headers = {} if body is None else {'Content-Type': kind}
    with opened(url, method, body, headers, silence) as response:
        try:
            found = response.read(MOST)
        except (OSError, http.client.HTTPException) as error:
            raise WebError(f'the answer broke off ({words_of(error)})') from None
    if not 200 <= response.status < 300:
        said = found[:200].decode('utf-8', 'replace').strip()
        raise WebError(f'{response.status} {response.reason}' + (f': {said}' if said else ''), response.status)
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, found)


def delays() -> Iterator[float]:
    """Seconds to wait before the next try, for ever."""
    wait = FIRST
    while True:
        yield wait
        wait = min(LONGEST, wait * 1.6)


def patiently(
    do: Callable[[], Answer], say: Callable[[str], None], tries: int | None = None,
    sleep: Callable[[float], None] = time.sleep, refusals: int | None = None,
) -> Answer:  # fmt: skip
    """Ask until there is an answer: for ever, or so often.  Raises the last WebError; one that lasts at once, unless it
    is to be tried for ever, and then after so many `refusals` one after the other."""
    refused = 0
    for count, wait in enumerate(delays(), 1):
        try:
            return do()
        except WebError as error:
            refused = refused + 1 if error.lasting else 0
            if tries is not None and (error.lasting or count >= tries):
                raise
            if refusals is not None and refused >= refusals:
                raise
            say(f'{error}; asking again in {wait:.0f} s')
        sleep(wait)
    raise AssertionError
