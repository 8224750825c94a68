"""A running dnsmasq, by its pid file: whether it is there, signals, and when it has done what it was told.

Linux only (proc(5)).  Nothing here knows what is in its files.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

# Seconds that reading all hosts again may take, before nobody waits for it any more.
READING = 300.0


class Process:
    """`name` is the program's, as in /proc/<pid>/comm: a pid file may be older than the process that has its number."""

    def __init__(self, pid_file: Path, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._pid_file = pid_file
        self._name = name[:15]  # as the kernel cuts it
        self._sleep = sleep

    def pid(self) -> int | None:
        """The number of the process; None if it does not run."""
        try:
            pid = int(self._pid_file.read_text().strip())
            name = Path(f'/proc/{pid}/comm').read_text().rstrip('\n')
            state = _stat(pid)[0]
        except (OSError, ValueError, IndexError):
            return None
        return pid if name == self._name and state not in 'ZX' else None

    def identity(self) -> str:
        """Names this run of it: its number and the time of its start, in this boot of the machine; '' if there is
        none."""
        pid = self.pid()
        if pid is None:
            return ''
        try:
            boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
            return f'{pid}:{_stat(pid)[19]}:{boot}'
        except (OSError, IndexError):
            return ''

    def may_signal(self) -> bool:
        pid = self.pid()
        try:
            os.kill(pid or 0, 0) if pid else None
        except OSError:
            return False
        return pid is not None

    def signal(self, number: signal.Signals) -> None:
        """Raises OSError; PermissionError if it is somebody else's process."""
        pid = self.pid()
        if pid is None:
            raise ProcessLookupError('it does not run')
        os.kill(pid, number)

    def settle(self, seconds: float = READING) -> bool:
        """Wait until it has nothing more to do: it sleeps, and no signal is left that it has not taken.

        A signal and a change of a watched folder wake it before the call that caused them returns, and it reads files
        without sleeping in between."""
        deadline = time.monotonic() + seconds
        while (pid := self.pid()) is not None:
            try:
                if _stat(pid)[0] == 'S' and not _pending(pid):
                    return True
            except (OSError, IndexError):
                continue
            if time.monotonic() > deadline:
                return False
            self._sleep(0.002)
        return False

    def came_up(self, before: str, ports: set[int], seconds: float) -> str:
        """'' as soon as another run than `before` is there, listens on one of `ports` and sleeps; else what is wrong
        after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.identity()
            if not now:
                fault = f'it does not run ({self._pid_file} names no process of that name).'
            elif now == before:
                fault = 'it is still the same process: the command did not restart it.'
            elif ports and not ports & _listening(int(now.partition(':')[0])):
                fault = f'it runs, but does not listen on UDP port {min(ports)}.'
            else:
                self.settle(max(0.0, deadline - time.monotonic()))
                if self.identity() == now:
                    return ''
                fault = 'it ended again.'
            if time.monotonic() > deadline:
                return fault
            self._sleep(0.02)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on (state is the first, start time the twentieth)."""
    return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()


def _pending(pid: int) -> bool:
    """Whether SIGHUP waits to be taken."""
    for row in Path(f'/proc/{pid}/status').read_text().splitlines():
        if row.startswith(('SigPnd:', 'ShdPnd:')) and int(row.split()[1], 16) & (1 << (signal.SIGHUP - 1)):
            return True
    return False


def _listening(pid: int) -> set[int]:
    """The UDP ports in use in the network namespace of a process."""
    found: set[int] = set()
    for name in ('udp', 'udp6'):
        try:
            rows = Path(f'/proc/{pid}/net/{name}').read_text().splitlines()[1:]
        except OSError:
            continue
        found |= {int(row.split()[1].rpartition(':')[2], 16) for row in rows}
    return found
