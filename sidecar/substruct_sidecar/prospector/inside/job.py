"""Runs the script of a build, with its output on the console and on the build's page."""

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from .report import Failed, Report

FOLDER = Path('/run/prospector/job')
# Seconds, and bytes, after which output is told.
PAUSE, MOST = 3.0, 64 << 10
# Bytes of one line; characters that wait to be told while the boot server is away; seconds for output after the end.
LONGEST, WAITING, LEFT = 8 << 10, 4 << 20, 5.0


def run(content: bytes, report: Report, say: Callable[[str], None], environment: Mapping[str, str]) -> str:
    """The end of its output.  Raises Failed for a script that fails."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / 'script'
    path.write_bytes(content if content.startswith(b'#!') else b'#!/bin/sh\n' + content)
    path.chmod(0o700)
    try:
        process = subprocess.Popen(
            [str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=FOLDER,
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Failed(
            f'The script cannot be started: {error.strerror}. Is its first line a program of this system?'
        ) from None
    output = _Output(report)
    reading = threading.Thread(target=_read, args=(process, output, say), daemon=True)
    reading.start()
    status = process.wait()
    # What it has left running in the background may keep its output open for ever.
    reading.join(LEFT)
    if reading.is_alive():
        say('The script has ended, and something that it started has not; the build does not wait for it')
    output.close()
    if status:
        how = f'exit status {status}' if status > 0 else f'signal {-status}'
        raise Failed(f'The script ended with {how}{f": {output.last}" if output.last else ""}.')
    return output.tail()


def _read(process: 'subprocess.Popen[bytes]', output: '_Output', say: Callable[[str], None]) -> None:
    assert process.stdout is not None
    # In parts: what has no lines would fill the memory.
    while raw := process.stdout.readline(LONGEST):
        line = raw.decode('utf-8', 'replace').rstrip('\r\n')
        output.add(line)
        say(f'| {line}')


class _Output:
    """Lines are told in batches by a thread of its own, so that the script never waits for the network."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lines: deque[str] = deque()
        self._size = 0
        self._lost = 0
        self._kept: deque[str] = deque(maxlen=2000)
        # The last line that says something.
        self.last = ''
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._size += len(line) + 1
            self._kept.append(line)
            self.last = line.strip() or self.last
            while self._size > WAITING:
                self._size -= len(self._lines.popleft()) + 1
                self._lost += 1
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(60.0)

    def tail(self) -> str:
        with self._changed:
            return '\n'.join(self._kept) + '\n'

    def _tell(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._closed:
                    self._changed.wait()
                if not self._lines:
                    return
                deadline = time.monotonic() + PAUSE
                while not self._closed and self._size < MOST and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
                lines, self._lines, self._size = self._lines, deque(), 0
                if self._lost:
                    lines.appendleft(f'({self._lost} lines were left out: the boot server did not answer)')
                    self._lost = 0
            self._report.log('\n'.join(lines) + '\n')
