"""What all routes for machines share: who asks, how much is read of what is sent, what is said when things go wrong.

Nobody is authenticated here.  An address is the client's, or what a proxy that the settings trust says it is.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from ..settings import Settings
from ..state import About
from . import answers, identify
from .clients import Proxies
from .metrics import Metrics
from .reading import NoState, Reader
from .urls import base_url_for

log: Any = structlog.get_logger('http')

# Seconds that a machine has to send its report; of a log, that it may be silent, and in all.
PATIENCE = 60.0
LONGEST = 1800.0

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _TooLong(Exception):
    """A body has more bytes than are taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Front:
    """For one event loop."""

    def __init__(self, settings: Settings, reader: Reader, metrics: Metrics) -> None:
        self.settings = settings
        self.reader = reader
        self.metrics = metrics
        self._proxies = Proxies(settings.boot.trusted_proxies)

    # ------------------------------------------------------------------ who asks

    def address(self, request: web.Request) -> str:
        return self._proxies.client(request.remote or '', request.headers.getall('X-Forwarded-For', ()))

    def comes_from_a_proxy(self, request: web.Request) -> bool:
        return self._proxies.trusts(self._proxies.client(request.remote or '', ()))

    def about(self) -> About | None:
        """The same object for as long as the desired state is the same."""
        try:
            return self.reader.about()
        except NoState:
            return None

    def base_url(self, address: str) -> str:
        return base_url_for(self.settings, self.about(), address)

    @staticmethod
    def said(request: web.Request, mac: str = '') -> identify.Claims:
        """What a machine says of itself in its query; of several MAC addresses that of its boot port comes first."""
        query = request.query
        macs = [mac] if mac else [one for given in query.getall('mac', ()) for one in given.split(',')]
        return identify.claims(
            macs, query.get('uuid', ''), query.get('serial', ''), query.get('arch', ''),
            query.get('platform', ''),
        )  # fmt: skip

    # ------------------------------------------------------------------ what is sent

    @staticmethod
    async def body(request: web.Request, limit: int) -> bytes:
        """All of it; _TooLong, which is answered with 413, if it is longer than that."""
        found = bytearray()
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > limit:
                    raise _TooLong(limit)
        return bytes(found)

    @staticmethod
    async def body_end(request: web.Request, keep: int) -> tuple[bytes, bool]:
        """Its last bytes, and whether there were more."""
        # However long it is: what it is about, the end of a build perhaps, must not be lost over its log.
        found = bytearray()
        total = 0
        async with asyncio.timeout(LONGEST):
            while not request.content.at_eof():
                async with asyncio.timeout(PATIENCE):
                    chunk = await request.content.readany()
                found += chunk
                total += len(chunk)
                if len(found) > 2 * keep:
                    del found[:-keep]
        return bytes(found[-keep:]), total > keep

    # ------------------------------------------------------------------ routes

    def get(self, path: str, kind: str, handler: Handler, *, head: bool = True) -> web.RouteDef:
        return web.get(path, self._timed(kind, handler), allow_head=head)

    def post(self, path: str, kind: str, handler: Handler) -> web.RouteDef:
        return web.post(path, self._timed(kind, handler))

    def _timed(self, kind: str, handler: Handler) -> Handler:
        """Count and time, and make an answer of everything that can go wrong."""
        seconds = self.metrics.seconds.labels(kind)
        counts: dict[int, Any] = {}

        async def answered(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            answer = await self._guarded(request, handler)

            def at_end() -> None:
                count = counts.get(answer.status)
                if count is None:
                    count = counts[answer.status] = self.metrics.requests.labels(kind, answer.status)
                count.inc()
                seconds.observe(time.perf_counter() - began)
                if isinstance(answer, answers.FileAnswer):
                    self.metrics.file_bytes.inc(answer.sent)

            if isinstance(answer, answers.FileAnswer):
                answer.at_end = at_end  # it is sent after this
            else:
                at_end()
            return answer

        return answered

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise
        except NoState as error:
            return answers.unavailable(str(error))
        except _TooLong as error:
            answer = answers.text(f'At most {error.limit} bytes are taken.\n', 413)
            answer.force_close()
            return answer
        except web.RequestPayloadError as error:
            answer = answers.text(f'The body cannot be read: {error}\n', 400)
            answer.force_close()
            return answer
        except TimeoutError:
            answer = answers.text('The report did not come in time.\n', 408)
            answer.force_close()
            return answer
        except (sqlite3.Error, OSError) as error:
            # Nothing was kept, so the machine must not be told that all is well: it will say it again.
            log.error('not kept', path=request.path, reason=f'{type(error).__name__}: {error}')
            return answers.unavailable('The boot server cannot keep this now; say it again.')
