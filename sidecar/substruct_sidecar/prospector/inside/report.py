"""What is told of a build under its token: progress, log, finishing, done, failed."""

import threading
import time
from collections.abc import Callable

from . import web

# Percents, and seconds, between two reports of progress.
STEP, PAUSE = 5.0, 5.0


class Failed(Exception):
    """The build cannot be carried out; the message says why, to whoever looks after the machine."""


class Ended(Exception):
    """The boot server says that the build was taken away: whoever is writing a disk stops."""


class Report:
    """Progress is told by a thread of its own, and only the newest: nothing waits for it."""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        self.url = url
        self._say = say
        self._percent, self._when = -100.0, -100.0
        self._next: str | None = None
        self._wake = threading.Condition()
        self._telling = False
        self._ended = False

    def progress(self, percent: float, words: str, *, always: bool = True) -> None:
        """`always`: a step of its own, rather than how far one is; such are also shown.

        Raises Ended when the boot server has said that the build was taken away.
        """
        if self._ended:
            raise Ended
        now = time.monotonic()
        gone = percent - self._percent
        if not always and gone < STEP and not (gone >= 1.0 and now - self._when >= PAUSE):
            return
        self._percent, self._when = percent, now
        self._say(f'{percent:3.0f} % {words}')
        with self._wake:
            self._next = f'{percent:.0f}% {words}'
            if not self._telling:
                self._telling = True
                threading.Thread(target=self._tell, daemon=True).start()
            self._wake.notify()

    def _tell(self) -> None:
        while True:
            with self._wake:
                while self._next is None:
                    self._wake.wait()
                words, self._next = self._next, None
            try:
                answer = web.ask(f'{self.url}/progress', 'POST', words.encode(), silence=10.0)
                self._ended = answer.headers.get('x-substruct-build') == 'ended'
            except web.WebError:
                pass  # the next one is newer

    def log(self, text: str, tries: int = 5) -> None:
        """Lines for the build's page; they are not worth waiting for ever."""
        try:
            self._post('log', text, tries)
        except web.WebError as error:
            self._say(f'The log is not told: {error}')

    def finishing(self, words: str) -> None:
        """The disk is written, and the machine boots it from now on."""
        self._post('finishing', words, None)
        self._say(f'The boot server knows: {words}')

    def done(self, log: str) -> None:
        self._end('done', log)

    def failed(self, reason: str, log: str) -> None:
        """The first line is what people see first."""
        self._end('failed', f'{reason}\n\n{log}')

    def _end(self, name: str, text: str) -> None:
        """Told until it is heard: what the machine boots next depends on it."""
        self._post(name, text, None)
        self._say(f'The boot server knows that the build {"is done" if name == "done" else "has failed"}')

    def _post(self, name: str, text: str, tries: int | None) -> None:
        body = text.encode('utf-8', 'replace')
        web.patiently(
            lambda: web.ask(f'{self.url}/{name}', 'POST', body),
            lambda words: self._say(f'The boot server cannot be told ({name}): {words}'), tries,
        )  # fmt: skip

    def artifact(self, name: str) -> bytes | None:
        """One of the build; None where it has none of that name.  Asked for until there is an answer."""
        try:
            return web.patiently(
                lambda: _or_nothing(f'{self.url}/{name}'),
                lambda words: self._say(f'{name} of the build is not to be had yet: {words}'), None,
            ).body  # fmt: skip
        except _Nothing:
            return None


class _Nothing(Exception):
    pass


def _or_nothing(url: str) -> web.Answer:
    try:
        return web.ask(url)
    except web.WebError as error:
        if error.status == 404:
            raise _Nothing from None
        raise
