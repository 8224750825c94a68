"""What is told of a build under its token: progress, log, finishing, done, failed."""

import threading
import time
from collections.abc import Callable

from . import web

# Percents, and seconds, between two reports of progress; seconds after which it is told also that there is none, since
# the answer says whether the build still stands.
STEP, PAUSE, STILL = 5.0, 5.0, 30.0
# How often, one after the other, a boot server may say that it knows no such build until it is believed: some minutes.
REFUSALS = 20
# The header by which a boot server says that a build has ended.
_STATE = 'x-substruct-build'


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
        silent = now - self._when
        if not always and gone < STEP and not (gone >= 1.0 and silent >= PAUSE) and silent < STILL:
            return
        self._shown(percent, words)
        with self._wake:
            self._next = f'{percent:.0f}% {words}'
            if not self._telling:
                self._telling = True
                threading.Thread(target=self._tell, daemon=True).start()
            self._wake.notify()

    def begin(self, percent: float, words: str) -> None:
        """The same for a step that destroys something, which is not begun until the boot server has answered.

        Raises Ended when the build was taken away, or the boot server knows no such build.
        """
        self._shown(percent, words)
        text = f'{percent:.0f}% {words}'.encode()
        try:
            answer = web.patiently(
                lambda: self._begun(text),
                lambda said: self._say(f'The boot server does not say whether the build stands: {said}'), None,
                refusals=REFUSALS,
            )  # fmt: skip
        except web.WebError:
            raise Ended from None
        if answer.headers.get(_STATE) == 'ended':
            raise Ended

    def _begun(self, text: bytes) -> web.Answer:
        try:
            return web.ask(f'{self.url}/progress', 'POST', text)
        except web.WebError as error:
            if error.status == 429:
                return web.Answer(429, {}, b'')  # it has been told too much of this build, which therefore stands
            raise

    def _shown(self, percent: float, words: str) -> None:
        self._percent, self._when = percent, time.monotonic()
        self._say(f'{percent:3.0f} % {words}')

    def _tell(self) -> None:
        while True:
            with self._wake:
                while self._next is None:
                    self._wake.wait()
                words, self._next = self._next, None
            try:
                answer = web.ask(f'{self.url}/progress', 'POST', words.encode(), silence=10.0)
                self._ended = answer.headers.get(_STATE) == 'ended'
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
        if self._heard('finishing', words):
            self._say(f'The boot server knows: {words}')

    def done(self, log: str) -> None:
        self._end('done', log)

    def failed(self, reason: str, log: str) -> None:
        """The first line is what people see first."""
        self._end('failed', f'{reason}\n\n{log}')

    def _end(self, name: str, text: str) -> None:
        if self._heard(name, text):
            self._say(f'The boot server knows that the build {"is done" if name == "done" else "has failed"}')

    def _heard(self, name: str, text: str) -> bool:
        """Told until it is heard: what the machine boots next depends on it.  False where the boot server insists that
        there is no such build: then nothing depends on it any more, and nobody is waited for."""
        try:
            self._post(name, text, None)
        except web.WebError as error:
            self._say(f'The boot server knows of no such build and is not told any more ({name}): {error}')
            return False
        return True

    def _post(self, name: str, text: str, tries: int | None) -> None:
        body = text.encode('utf-8', 'replace')
        web.patiently(
            lambda: web.ask(f'{self.url}/{name}', 'POST', body),
            lambda words: self._say(f'The boot server cannot be told ({name}): {words}'), tries, refusals=REFUSALS,
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
