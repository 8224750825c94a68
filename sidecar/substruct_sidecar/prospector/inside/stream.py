"""A file over HTTP as a stream that goes on where it broke off."""

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator

from . import web

PART = 1 << 20


class Fetch:
    """Iterating gives the file's bytes, in parts.  `size` is the whole file's where the server says it; `done` counts
    what has come.  Raises WebError where it can never be had, or `tries` failed one after the other without a byte
    (None: it is tried for ever)."""

    def __init__(
        self, url: str, say: Callable[[str], None], tries: int | None = None,
        sleep: Callable[[float], None] = time.sleep, silence: float = web.SILENCE,
    ) -> None:  # fmt: skip
        self.url = url
        self.size: int | None = None
        self.done = 0
        self._say = say
        self._tries = tries
        self._sleep = sleep
        self._silence = silence
        # Called before every wait for a server that does not answer; what it raises ends the fetching.
        self.waiting: Callable[[], None] = lambda: None
        self._mark = ''
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what has come until now."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        waits, failed = web.delays(), 0
        while True:
            before = self.done
            try:
                yield from self._rest()
                return
            except web.WebError as error:
                if error.lasting:
                    raise
                words = str(error)
            except (OSError, http.client.HTTPException) as error:
                words = f'the connection broke off ({web.words_of(error)})'
            if self.done > before:
                waits, failed = web.delays(), 0
            failed += 1
            if self._tries is not None and failed >= self._tries:
                raise web.WebError(f'{self.url}: {words}, {failed} times')
            wait = next(waits)
            where = f' after {self.done / 1e6:.1f} MB' if self.done else ''
            self._say(f'{self.url}: {words}{where}; trying again in {wait:.0f} s')
            self.waiting()
            self._sleep(wait)

    def _rest(self) -> Iterator[bytes]:
        headers = {'Accept-Encoding': 'identity'}
        if self.done:
            headers['Range'] = f'bytes={self.done}-'
            if self._mark:
                headers['If-Range'] = self._mark
        with web.opened(self.url, headers=headers, silence=self._silence) as answer:
            if answer.status == 416 and self.size is not None and self.done == self.size:
                return
            if answer.status not in (200, 206):
                raise web.WebError(f'{answer.status} {answer.reason}', answer.status)
            skip = self._begin(answer)
            while part := answer.read(PART):
                if skip:
                    part, skip = part[skip:], max(0, skip - len(part))
                    if not part:
                        continue
                self.done += len(part)
                self._digest.update(part)
                yield part
        if self.size is not None and self.done < self.size:
            raise ConnectionError(f'{self.size - self.done} bytes are missing')

    def _begin(self, answer: http.client.HTTPResponse) -> int:
        """Bytes at the beginning of the answer that we have already.  Raises WebError if it is another file now."""
        mark = answer.headers.get('etag', '')
        mark = mark if not mark.startswith('W/') else ''
        total = _total(answer)
        if self.done and ((self._mark and mark and mark != self._mark) or (self.size and total and total != self.size)):
            raise web.WebError(f'{self.url} has changed while it was fetched', 409)
        self._mark = self._mark or mark
        self.size = self.size or total
        if answer.status == 206:
            begin = answer.headers.get('content-range', '').partition(' ')[2].partition('-')[0]
            if begin != str(self.done):
                raise web.WebError(f'the answer begins at byte {begin or "?"}, and not at {self.done}')
            return 0
        return self.done


def _total(answer: http.client.HTTPResponse) -> int | None:
    if answer.status == 206:
        text = answer.headers.get('content-range', '').rpartition('/')[2]
    else:
        text = answer.headers.get('content-length', '')
    return int(text) if text.isdigit() else None
