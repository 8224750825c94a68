"""A service manager for one daemon, for DHCP servers that their sidecar restarts.

    python -m lab.rack.daemon run <folder> <signal that ends it> <program> …     keeps it in the foreground
    python -m lab.rack.daemon restart <folder>                                   back when the new one is started

`daemon.pid` in the folder names the daemon's process.  One that ends by itself is started again after a second, as
often as it takes; it ends with its manager.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab.files import write_atomically
from lab.rack.bmc import die_with_parent

PATIENCE = 20.0


class Manager:
    def __init__(self, folder: Path, ending: signal.Signals, words: list[str]) -> None:
        self.folder, self.ending, self.words = folder, ending, words
        self.restart = self.stop = False

    def run(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, 'restart', True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, 'stop', True))
        write_atomically(self.folder / 'manager.pid', str(os.getpid()))
        while not self.stop:
            self.restart = False
            daemon = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
            write_atomically(self.folder / 'daemon.pid', f'{daemon.pid}\n')
            while daemon.poll() is None and not (self.stop or self.restart):
                time.sleep(0.02)
            if daemon.poll() is None:
                daemon.send_signal(self.ending)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    daemon.wait(5)
                daemon.kill()
                daemon.wait()
            else:
                print(f'{self.words[0]} has ended with {daemon.returncode}', flush=True)
                until = time.monotonic() + 1
                while time.monotonic() < until and not (self.stop or self.restart):
                    time.sleep(0.02)
        (self.folder / 'daemon.pid').unlink(missing_ok=True)


def restart(folder: Path) -> int:
    before = (folder / 'daemon.pid').read_text()
    os.kill(int((folder / 'manager.pid').read_text()), signal.SIGHUP)
    until = time.monotonic() + PATIENCE
    while (folder / 'daemon.pid').read_text() == before:
        if time.monotonic() > until:
            print('the daemon was not restarted', file=sys.stderr)
            return 1
        time.sleep(0.02)
    return 0


def main() -> int:
    if sys.argv[1] == 'restart':
        return restart(Path(sys.argv[2]))
    folder, ending, *words = sys.argv[2:]
    Manager(Path(folder), signal.Signals[ending], words).run()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
