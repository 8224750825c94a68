"""A shell on every console, for people in front of it."""

import os
import subprocess
import termios
import threading
import time
from collections.abc import Mapping

from .console import Console

# What starts a shell: Enter or Ctrl-C.
_KEYS = b'\r\n\x03'


def offer(console: Console, environment: Mapping[str, str]) -> None:
    """On each console, whoever presses Enter gets a shell; when it ends, it is offered again."""
    for path in console.paths:
        threading.Thread(target=_serve, args=(console, path, environment), daemon=True).start()
    console.say('Press Enter for a shell')


def _serve(console: Console, path: str, environment: Mapping[str, str]) -> None:
    while True:
        try:
            if _pressed(path):
                console.quiet(path)
                _shell(path, environment)
                console.write_to(path)
                console.say(f'The shell on {path} has ended; press Enter for another')
        except (OSError, termios.error):
            time.sleep(5.0)  # no line there now


def _pressed(path: str) -> bool:
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        before = termios.tcgetattr(line)
        now = termios.tcgetattr(line)
        now[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
        termios.tcsetattr(line, termios.TCSANOW, now)
        try:
            found = os.read(line, 1)
            if not found:
                time.sleep(1.0)
            return bool(found) and found in _KEYS
        finally:
            termios.tcsetattr(line, termios.TCSANOW, before)
    finally:
        os.close(line)


def _shell(path: str, environment: Mapping[str, str]) -> None:
    """A login shell with the line as its terminal; /dev/tty0 stands for the screen, and cannot be one."""
    terminal = '/dev/tty1' if path == '/dev/tty0' else path
    kind = 'linux' if terminal[len('/dev/tty') :].isdigit() else 'vt220'
    handle = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    try:
        subprocess.run(
            ['busybox', 'setsid', '-c', 'sh', '-l'], stdin=handle, stdout=handle, stderr=handle, cwd='/root',
            env={**os.environ, **environment, 'PS1': 'prospector:\\w# ', 'TERM': kind},
        )  # fmt: skip
    finally:
        os.close(handle)
