"""The webhook receiver: verifies that NetBox sent it just now, then wakes the agent.  It carries no data.

Whatever a webhook says, the feed is what counts; so a forged, replayed or lost one costs a needless look at the feed,
or some seconds.  NetBox signs the raw body with HMAC-SHA512 (X-Hook-Signature, hexadecimal); the body holds the time.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from . import wake

log: Any = structlog.get_logger('hooks')

# Bytes of a webhook; NetBox sends whole objects with their data before and after.
LIMIT = 4 << 20
SECRET = 'hook-secret'  # noqa: S105  (a file's name)
# A refused webhook is told in the log at most every so many seconds: anybody can send one.
TOLD_AGAIN = 10.0


class Refused(Exception):
    """A webhook that does not count; the message says why, and holds nothing of it but times."""


def verify(body: bytes, signature: str, secret: bytes, now: float, tolerance: float) -> None:
    """Raise Refused unless `body` was signed with `secret` and its time is within `tolerance` seconds of `now`.

    Nothing in the body is looked at before its signature was found right.
    """
    if not secret:
        raise Refused('there is no secret yet: the agent has not registered its webhook with NetBox')
    wanted = hmac.new(secret, body, hashlib.sha512).hexdigest()
    if not hmac.compare_digest(wanted.encode(), signature.strip().lower().encode('ascii', 'replace')):
        raise Refused('the signature is wrong or missing; is this another boot server’s webhook?')
    age = now - _time_of(body)
    if age > tolerance:
        raise Refused(f'it is {age:.0f} seconds old; at most {tolerance:.0f} are taken. Are the clocks right?')
    if age < -tolerance:
        raise Refused(
            f'it is {-age:.0f} seconds in the future; at most {tolerance:.0f} are taken. Are the clocks right?'
        )


def _time_of(body: bytes) -> float:
    """The body's `timestamp`, in seconds since 1970."""
    try:
        found = json.loads(body)
        moment = datetime.fromisoformat(found['timestamp'])
        if moment.tzinfo is None:
            raise ValueError('no time zone')
        return moment.timestamp()
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise Refused('it has no "timestamp" with a time zone, which NetBox puts into every webhook') from None


class Secret:
    """The webhooks' secret as the agent keeps it on disk; read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int, int] | None = None
        self._value = b''

    def get(self) -> bytes:
        """b'' if there is none."""
        try:
            found = os.stat(self._path)
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._known:
                self._value = self._path.read_bytes().strip()
                self._known = seen
        except OSError:
            self._known, self._value = None, b''
        return self._value


class Hooks:
    """POST /hook.  `count` is called with the verdict: taken, refused or unheard."""

    def __init__(
        self,
        secret: Secret,
        run_folder: Path,
        tolerance: float,
        count: Callable[[str], None] = lambda verdict: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._run_folder = run_folder
        self._tolerance = tolerance
        self._count = count
        self._clock = clock
        self._told = 0.0

    async def receive(self, request: web.Request) -> web.Response:
        """200 if the agent was woken, 202 if it does not listen right now (it will look when it starts); 401, 413."""
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > LIMIT:
                self._count('refused')
                answer = web.json_response({'error': f'A webhook has at most {LIMIT} bytes.'}, status=413)
                answer.force_close()
                return answer
        try:
            signature = request.headers.get('X-Hook-Signature', '')
            verify(bytes(body), signature, self._secret.get(), self._clock(), self._tolerance)
        except Refused as refused:
            self._count('refused')
            if self._clock() - self._told > TOLD_AGAIN:
                self._told = self._clock()
                log.warning('webhook refused', address=request.remote, reason=str(refused))
            return web.json_response({'error': f'The webhook is refused: {refused}.'}, status=401)
        if not wake.send(self._run_folder, 'feed'):
            self._count('unheard')
            log.warning('webhook unheard', reason='The agent does not listen; it looks at the feed when it starts.')
            return web.json_response({'woken': False}, status=202)
        self._count('taken')
        return web.json_response({'woken': True})
