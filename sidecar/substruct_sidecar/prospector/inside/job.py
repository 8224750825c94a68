"""Runs the script of a build, with its output on the console and on the build's page."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .report import Failed, Report

FOLDER = Path('/run/prospector/job')
# Seconds, and bytes, after which output is told.
PAUSE, MOST = 3.0, 64 << 10


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
    assert process.stdout is not None
    last = ''
    for raw in process.stdout:
        line = raw.decode('utf-8', 'replace').rstrip('\r\n')
        output.add(line)
        say(f'| {line}')
        last = line.strip() or last
    status = process.wait()
    output.close()
    if status:
        how = f'exit status {status}' if status > 0 else f'signal {-status}'
        raise Failed(f'The script ended with {how}{f": {last}" if last else ""}.')
    return output.tail()


class _Output:
    """Lines are told in batches by a thread of its own, so that the script never waits for the network."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lines: list[str] = []
        self._size = 0
        self._kept: list[str] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._size += len(line)
            self._kept.append(line)
            del self._kept[:-2000]
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(60.0)

    def tail(self) -> str:
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
                lines, self._lines, self._size = self._lines, [], 0
            self._report.log('\n'.join(lines) + '\n')
