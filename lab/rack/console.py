"""A machine's serial console: written by its `bmc` as it comes, read by others, with the time of each line.

`console.raw` holds the bytes, `console.times` says when the byte at which offset came; a log for people has a line for
each line.  What firmware does to a screen (positions, colours, rewritten lines) becomes lines too.
"""

import bisect
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# Escape sequences (ECMA-48): CSI with parameters, other two-byte ones.  Group 1: what moves the cursor to a place.
_TOKEN = re.compile(
    rb'\x1b\[(?:[0-9;]*([Hf])|[0-9;?<=>!]*[@-~])|\x1b[()][0-9A-Za-z]|\x1b[=>78cDEMNO]|\r\n|[\r\n\x0b\x0c]|\x08|[\x00-\x1f\x7f]'
)
# The beginning of a sequence whose end has not come yet.
_UNFINISHED = re.compile(rb'(?:\x1b(?:\[[0-9;?<=>!]*|[()])?|\r)\Z')
# Control characters that UTF-8 writes in two bytes; terminals take them for escape sequences too.
_C1 = dict.fromkeys(range(0x80, 0xA0))
LONGEST_LINE = 4096
# Columns of a BIOS screen: what is longer goes on in the next line.
SCREEN = 80
# Seconds after which a line that does not grow is taken for whole.
GROWING = 0.3


@dataclass(frozen=True)
class Line:
    """`time` is when it began, in seconds since 1970; `match` is what `wait_for` has found in it."""

    time: float
    text: str
    match: re.Match[str] | None = None


class Splitter:
    """Bytes as they come into lines.  `partial` is the line that has not ended yet."""

    def __init__(self) -> None:
        self._rest = b''
        self._wraps = True
        self._returned = False
        self._at = 0  # offset of the next byte, `_rest` included
        self._line = bytearray()
        self._begin = 0

    @property
    def partial(self) -> tuple[int, str]:
        return self._begin, self._text()

    def feed(self, data: bytes) -> Iterator[tuple[int, str]]:
        """(offset, text) of each line that has ended and is not empty."""
        data = self._rest + data
        unfinished = _UNFINISHED.search(data[-64:])
        cut = len(data) - (len(unfinished[0]) if unfinished else 0)
        data, self._rest = data[:cut], data[cut:]
        position = 0
        for token in _TOKEN.finditer(data):
            self._add(data[position : token.start()], self._at + position)
            position = token.end()
            if token[0] == b'\x08':
                del self._line[-1:]
            elif token[0] == b'\r\n' and self._line and len(self._line) % SCREEN == 0 and self._wraps:
                continue  # the line goes on
            elif token[0] == b'\r':
                self._returned = True  # what follows is written over it
            elif token[1] or token[0] in (b'\r\n', b'\n', b'\x0b', b'\x0c'):
                yield from self._end()
        self._add(data[position:], self._at + position)
        if len(self._line) > LONGEST_LINE:
            yield from self._end()
        self._at += cut

    def _add(self, text: bytes, offset: int) -> None:
        if text:
            if self._returned:
                self._line.clear()
                self._returned = False
            if not self._line:
                self._begin = offset
            self._line += text
            # A system's serial console has no screen; firmware comes back with the next start.
            self._wraps = (self._wraps and len(text) <= SCREEN) or b'SeaBIOS' in text

    def _text(self) -> str:
        return self._line.decode('utf-8', 'replace').translate(_C1).rstrip()

    def _end(self) -> Iterator[tuple[int, str]]:
        if text := self._text():
            yield self._begin, text
        self._line.clear()
        self._returned = False


class Writer:
    """What `bmc` has of it.  `log` is the one for people."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._raw = (folder / 'console.raw').open('ab', buffering=0)
        self._times = (folder / 'console.times').open('a')
        self._log = log.open('a')
        self._splitter = Splitter()

    def write(self, data: bytes) -> None:
        now = time.time()
        # The time first: nobody may read bytes that have none.
        self._times.write(f'{self._raw.tell()} {now:.3f}\n')
        self._times.flush()
        self._raw.write(data)
        for _, text in self._splitter.feed(data):
            self._log.write(f'{_stamp(now)} {text}\n')
        self._log.flush()

    def note(self, text: str) -> None:
        """A line of its own in the log for people: what was done to the machine."""
        self._log.write(f'{_stamp(time.time())} ---- {text}\n')
        self._log.flush()


class Console:
    """What a machine has said.  Each reader has its own place in it, at which `wait_for` goes on."""

    def __init__(self, folder: Path, name: str = '') -> None:
        self._folder, self._name = folder, name
        self._splitter = Splitter()
        self._offsets: list[int] = []
        self._times: list[float] = []
        self._times_read = self._raw_read = 0
        self._lines: list[tuple[int, str]] = []
        self._place = (0, 0)  # line and letter

    def _read(self) -> list[tuple[int, str]]:
        """All lines so far, the unfinished one included."""
        try:
            with (self._folder / 'console.raw').open('rb') as raw:
                raw.seek(self._raw_read)
                data = raw.read()
            with (self._folder / 'console.times').open() as times:
                times.seek(self._times_read)
                text = times.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind('\n') + 1]
        self._times_read += len(whole)
        for row in whole.splitlines():
            offset, moment = row.split()
            self._offsets.append(int(offset))
            self._times.append(float(moment))
        self._raw_read += len(data)
        self._lines.extend(self._splitter.feed(data))
        partial = self._splitter.partial
        return [*self._lines, partial] if partial[1] else self._lines

    def _line(self, found: tuple[int, str], match: re.Match[str] | None = None) -> Line:
        number = max(0, bisect.bisect_right(self._offsets, found[0]) - 1)
        return Line(self._times[number] if self._times else 0.0, found[1], match)

    def lines(self, since: float = 0.0) -> list[Line]:
        return [line for found in self._read() if (line := self._line(found)).time >= since]

    @property
    def text(self) -> str:
        return '\n'.join(text for _, text in self._read())

    def new_lines(self) -> list[Line]:
        """Lines that have ended since this reader's place, which goes behind them."""
        self._read()
        first, letter = self._place
        found = [Line(line.time, line.text) for line in map(self._line, self._lines[first:])]
        if found:
            begin = found[0].text[letter:]
            found[:1] = [Line(found[0].time, begin)] if begin else []
            self._place = (len(self._lines), 0)
        return found

    def skip(self) -> None:
        """Go on behind all that was said until now."""
        self._read()
        self._place = (len(self._lines), len(self._splitter.partial[1]))

    def find(self, pattern: str) -> Line | None:
        """The next line, from this reader's place on, in which the pattern is found; the place is then behind it."""
        lines = self._read()
        expression = re.compile(pattern)
        first, letter = self._place
        for number in range(first, len(lines)):
            if match := expression.search(lines[number][1], letter if number == first else 0):
                self._place = (number, match.end())
                return self._line(lines[number], match)
        return None

    def wait_for(self, pattern: str, seconds: float = 60.0) -> Line:
        """Like `find`, as soon as it is there.  AssertionError with the last lines if it does not come in time."""
        deadline = time.monotonic() + seconds
        while True:
            if found := self.find(pattern):
                return self._ended(found)
            if time.monotonic() > deadline:
                raise AssertionError(f'{self._name} has not said /{pattern}/ within {seconds:.0f} s:\n{self.tail()}')
            time.sleep(0.05)

    def _ended(self, found: Line) -> Line:
        """The same with the whole of its line, if that is still growing."""
        number, still = self._place[0], time.monotonic() + GROWING
        while number == len(self._lines) and time.monotonic() < still:
            time.sleep(0.05)
            lines = self._read()
            if number < len(lines) and lines[number][1] != found.text:
                found, still = Line(found.time, lines[number][1], found.match), time.monotonic() + GROWING
        return found

    def tail(self, count: int = 40) -> str:
        """The last lines with their times, to be quoted."""
        found = [self._line(line) for line in self._read()[-count:]]
        return '\n'.join(f'    {shown(line)}' for line in found) or '    (its console is empty)'


def shown(line: Line) -> str:
    return f'{_stamp(line.time)} {line.text}'


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime('%H:%M:%S.%f')[:-3]
