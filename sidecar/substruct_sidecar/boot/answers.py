"""Answers of HTTP: a file by sendfile with ranges and conditions, and short texts."""

import asyncio
import os
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .files_store import Opened
from .ranges import part_of

# The kernel is asked to read so much ahead before a file is sent, so that a cold disk holds up others less.
AHEAD = 16 << 20


def text(body: str, status: int = 200, content_type: str = 'text/plain') -> web.Response:
    return web.Response(
        body=body.encode('utf-8', 'surrogateescape'),
        status=status,
        headers={'Content-Type': f'{content_type}; charset=utf-8', 'Cache-Control': 'no-store'},
    )


def unavailable(words: str) -> web.Response:
    """Ask again soon."""
    answer = text(f'{words}\n', 503)
    answer.headers['Retry-After'] = '5'
    return answer


class FileAnswer(web.StreamResponse):
    """A file that is open, or the part of it that was asked for; it is closed when it was sent.

    Bodies go from the page cache to the socket without passing through Python (sendfile(2)); that needs the standard
    event loop.
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened
        self.content_type = 'application/octet-stream'
        self.sent = 0
        # Called when all is sent, or the client has gone: `sent` has the bytes.
        self.at_end: Callable[[], None] = lambda: None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Called by aiohttp once the handler has returned this; there, a client that goes away is no error."""
        try:
            return await self._answer(request)
        finally:
            self._opened.stream.close()
            self.at_end()

    async def _answer(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        opened = self._opened
        part = part_of(request.headers, opened.size, opened.etag, int(opened.modified), get=request.method == 'GET')
        self.set_status(part.status)
        self.headers['ETag'] = f'"{opened.etag}"'
        self.headers['Accept-Ranges'] = 'bytes'
        if part.status in (200, 206, 304):
            self.headers['Last-Modified'] = formatdate(int(opened.modified), usegmt=True)
        if part.status == 206:
            self.headers['Content-Range'] = f'bytes {part.start}-{part.start + part.count - 1}/{opened.size}'
        elif part.status == 416:
            self.headers['Content-Range'] = f'bytes */{opened.size}'
        if part.status != 304:
            self.content_length = part.count
        if not part.count or request.method == 'HEAD':
            writer = await super().prepare(request)
            await super().write_eof()
            return writer
        os.posix_fadvise(opened.stream.fileno(), part.start, min(part.count, AHEAD), os.POSIX_FADV_WILLNEED)
        writer = await super().prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError('The client has gone.')
        try:
            self.sent = await asyncio.get_running_loop().sendfile(transport, opened.stream, part.start, part.count)
        except ConnectionError as error:
            # Firmware resets connections in the middle and begins anew; that is no error of ours.
            raise ConnectionResetError('The client has gone.') from error
        await super().write_eof()
        return writer
