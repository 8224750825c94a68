"""How the lab tells what it is doing.  A step that takes longer than a moment is never silent."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TICK_TERMINAL = 1.0
TICK_LOG = 15.0


class Progress:
    """Prints steps to a stream: a ticking line on a terminal, a line every 15 seconds elsewhere."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or self._to_stdout
        self._terminal = write is None and sys.stdout.isatty()

    @staticmethod
    def _to_stdout(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def say(self, text: str) -> None:
        self._write(f'{text}\n')

    @contextmanager
    def step(self, what: str, usually: str = '', detail: Callable[[], str] = str) -> Iterator[None]:
        """`usually` is the usual duration in words; `detail` is asked at every tick for how far the step has come."""
        label = f'{what} (usually {usually})' if usually else what
        begun = time.monotonic()
        done = threading.Event()

        def tick() -> None:
            while not done.wait(TICK_TERMINAL if self._terminal else TICK_LOG):
                line = f'{time.monotonic() - begun:.0f} s {detail()}'.rstrip()
                self._write(f'\r==> {label} ... {line}\033[K' if self._terminal else f'    {what} ... {line}\n')

        self._write(f'==> {label}' if self._terminal else f'==> {label}\n')
        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        outcome = 'failed after'
        try:
            yield
            outcome = 'done in'
        finally:
            done.set()
            ticker.join()
            passed = time.monotonic() - begun
            if self._terminal:
                self._write(f'\r==> {what}: {outcome} {passed:.1f} s\033[K\n')
            elif passed >= 1 or outcome != 'done in':
                self._write(f'    {outcome} {passed:.1f} s\n')
