"""Waking the agent: a datagram on a socket in the run folder says that there is something to look at.

It carries a word and no data.  A datagram that is lost costs time, not correctness: everything is looked at again after
a while anyhow.
"""

import socket
from pathlib import Path
from typing import Literal

type Word = Literal['feed', 'outbox', 'services', 'stop']

NAME = 'wake'


def send(run_folder: Path, word: Word) -> bool:
    """Wake the agent.  False if nobody listens.  Never fails: what it is about is on disk already."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.setblocking(False)
            end.sendto(word.encode(), str(run_folder / NAME))
    except BlockingIOError:
        return True  # its queue is full: it will look
    except OSError:
        return False  # also where there is no descriptor left for it
    return True


class Listener:
    """The agent's end.  Whatever lay there from a process before is replaced."""

    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / NAME
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._path.chmod(0o660)

    def wait(self, seconds: float) -> frozenset[str]:
        """The words that came, all that are there at once; empty if none came in time."""
        self._socket.settimeout(seconds)
        words: set[str] = set()
        try:
            words.add(self._receive())
            self._socket.setblocking(False)
            while True:
                words.add(self._receive())
        except (TimeoutError, BlockingIOError):
            return frozenset(words)

    def _receive(self) -> str:
        return self._socket.recv(64).decode('ascii', 'replace')

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
