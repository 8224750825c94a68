"""`substruct-sidecar run`: starts the processes of the sidecar and starts again what ends.

    agent   talks to NetBox and keeps the services in step
    http    what machines fetch and report over HTTP; webhooks; /healthz and /metrics
    tftp    what machines fetch over TFTP

They share nothing but files, so that none takes another down.  systemd is told when machines are served (sd_notify(3)).
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from .settings import Settings

log: Any = structlog.get_logger('run')

# Seconds before a process that ended is started again: the first time, the second, …; a minute of quiet forgets them.
BACK_OFF = (0.2, 1.0, 5.0, 15.0, 30.0)
QUIET = 60.0
# Seconds that processes have to end before they are killed.
PATIENCE = 15.0
# Seconds by which the agent starts later: on a small machine it would take the processor from those that serve.
AGENT_LATER = 1.0
# A process that ends with this cannot be helped by being started again (sysexits.h: EX_CONFIG).
HOPELESS = 78
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0
    given_up: bool = False
    restarts: int = field(default=0)

    def start(self) -> None:
        """Raises OSError (no memory, no more processes)."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)

    def failed(self, reason: str) -> None:
        now = time.monotonic()
        self.failures = 0 if now - self.started > QUIET else self.failures
        wait = BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures += 1
        self.restarts += 1
        self.due = now + wait
        log.error('process ended and is started again', name=self.name, reason=reason, seconds=wait)


_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _end_with_parent() -> None:
    """In the child: SIGTERM when the supervisor dies (prctl(2)), or its ports would be taken when it starts again."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def processes(settings: Settings) -> list[str]:
    """In the order in which they start: machines are served first."""
    return ['http', *(['tftp'] if settings.boot.tftp else []), 'agent']


def run(settings: Settings, config: Path | None) -> int:
    """Until SIGTERM or SIGINT.  0 if all was well; 78 if a process cannot work with these settings."""
    arguments = ['--config', str(config)] if config else []
    children = [
        Child(name, [sys.executable, '-m', 'substruct_sidecar', *arguments, 'process', name])
        for name in processes(settings)
    ]
    children[-1].due = time.monotonic() + AGENT_LATER
    settings.run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    settings.state_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    stop = False

    def asked_to_stop(*_: object) -> None:
        nonlocal stop
        stop = True

    wakeup, waker = socket.socketpair()
    wakeup.settimeout(1.0)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, asked_to_stop)
    signal.signal(signal.SIGINT, asked_to_stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told = False
    try:
        while not stop:
            look_after(children)
            if any(child.given_up for child in children):
                break
            if not told and all(child.process is not None for child in children):
                notify('READY=1')
                told = True
            notify('WATCHDOG=1')
            try:
                wakeup.recv(64)
            except TimeoutError:
                pass
    finally:
        notify('STOPPING=1')
        _end(children)
    return HOPELESS if any(child.given_up for child in children) else 0


def look_after(children: list[Child]) -> None:
    for child in children:
        if child.process is not None and (code := child.process.poll()) is not None:
            child.process = None
            if code == HOPELESS:
                log.error('process cannot work with these settings', name=child.name)
                child.given_up = True
                continue
            child.failed(f'it ended with {code}')
        if child.process is None and time.monotonic() >= child.due and not child.given_up:
            try:
                child.start()
            except OSError as error:
                child.failed(f'it cannot be started: {error.strerror}')


def _end(children: list[Child]) -> None:
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error('process did not end and is killed', pid=process.pid)
            process.kill()
            process.wait()


def notify(message: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens where there is none."""
    address = os.environ.get('NOTIFY_SOCKET')
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        end.setblocking(False)  # whoever does not read what is told must not hold up the processes
        try:
            end.connect('\0' + address[1:] if address.startswith('@') else address)
            end.sendall(message.encode())
        except OSError:
            pass
