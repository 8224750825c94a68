"""What people read on the machine's screen and serial lines: one line for each thing, with the seconds since it
started.

Nothing is drawn over, so that it can be read over a serial line, from a log, and afterwards.  Every console is written
by a thread of its own: a serial line that nobody takes from holds up nobody.
"""

import contextlib
import os
import queue
import re
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

# Lines that are kept for the boot server, and characters of one.
KEPT = 4000
LONGEST = 1000

_UNSEEN = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def shown(text: str) -> str:
    """One line that does nothing to a terminal, whatever a machine or a server put into it."""
    found = _UNSEEN.sub('?', text.replace('\n', ' ').replace('\t', '    ')).strip()
    return found if len(found) <= LONGEST else f'{found[: LONGEST - 1]}…'


def uptime() -> float:
    """Seconds since the kernel started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Console:
    def __init__(self, clock: Callable[[], float] = uptime) -> None:
        self._clock = clock
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._writers: list[_Writer] = []
        self._lock = threading.Lock()
        self._said: dict[str, tuple[str, float]] = {}

    def write_to(self, path: str) -> None:
        """Everything from here on goes there too."""
        self._writers.append(_Writer(path))

    def say(self, text: str) -> None:
        line = f'[{self._clock():7.1f}] {shown(text)}'
        with self._lock:
            self._lines.append(line)
            for writer in self._writers:
                writer.put(line)

    def again(self, topic: str, text: str, seconds: float = 60.0) -> None:
        """The same thing as before is said again only after a while."""
        now = self._clock()
        words, when = self._said.get(topic, ('', 0.0))
        if words == text and now - when < seconds:
            return
        self._said[topic] = (text, now)
        self.say(text)

    def quiet(self, path: str) -> None:
        """A console becomes a shell's."""
        with self._lock:
            for writer in self._writers:
                if writer.path == path:
                    writer.end()
            self._writers = [writer for writer in self._writers if writer.path != path]

    @property
    def paths(self) -> list[str]:
        return [writer.path for writer in self._writers]

    def log(self) -> str:
        with self._lock:
            return '\n'.join(self._lines) + '\n'

    def flush(self, seconds: float = 3.0) -> None:
        """Before the machine goes: let slow lines take what was said."""
        deadline = time.monotonic() + seconds
        for writer in self._writers:
            writer.flush(deadline)


class _Writer:
    def __init__(self, path: str) -> None:
        self.path = path
        self._queue: queue.Queue[str | None] = queue.Queue(maxsize=1000)
        self._lost = 0
        self._idle = threading.Event()
        threading.Thread(target=self._write, daemon=True).start()

    def put(self, line: str) -> None:
        self._idle.clear()
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def end(self) -> None:
        """After what waits to be written; not at all where nobody takes it."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def flush(self, deadline: float) -> None:
        self._idle.wait(max(0.0, deadline - time.monotonic()))

    def _write(self) -> None:
        stream: int | None = None
        while True:
            if self._queue.empty():
                self._idle.set()
            line = self._queue.get()
            if line is None:
                if stream is not None:
                    os.close(stream)
                return
            if self._lost:
                line, self._lost = f'({self._lost} lines were lost here)\r\n{line}', 0
            try:
                if stream is None:
                    stream = os.open(self.path, os.O_WRONLY | os.O_NOCTTY)
                rest = f'{line}\r\n'.encode()
                while rest:
                    rest = rest[os.write(stream, rest) :]
                _drain(stream)
            except OSError:
                # A console that has gone (a USB serial line); it may come back.
                if stream is not None:
                    os.close(stream)
                    stream = None
                time.sleep(1.0)


def _drain(stream: int) -> None:
    try:
        termios.tcdrain(stream)
    except termios.error:
        pass  # a file


def consoles(root: Path = Path('/')) -> list[str]:
    """Where people may look: the kernel's own consoles, the screen, and the first serial line if there is one."""
    try:
        names = (root / 'sys/class/tty/console/active').read_text().split()
    except OSError:
        names = []
    names = [*names, 'tty0', 'ttyS0']
    found = []
    for name in dict.fromkeys(names):
        if not re.fullmatch(r'[A-Za-z]+[0-9]*', name) or not (root / 'dev' / name).exists():
            continue
        try:
            # 0 is a port without hardware behind it (Linux, include/uapi/linux/serial.h, PORT_UNKNOWN).
            if name.startswith('ttyS') and (root / 'sys/class/tty' / name / 'type').read_text().strip() == '0':
                continue
        except OSError:
            pass
        found.append(f'/dev/{name}')
    return found


def prepare(path: str, active: bool) -> None:
    """A serial line that is no console of the kernel's has no speed yet; 115200 is what management controllers
    expect."""
    if active or not path.startswith('/dev/ttyS'):
        return
    try:
        line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        settings = termios.tcgetattr(line)
        settings[4] = settings[5] = termios.B115200
        settings[2] |= termios.CLOCAL
        termios.tcsetattr(line, termios.TCSANOW, settings)
    except termios.error:
        pass
    finally:
        os.close(line)
