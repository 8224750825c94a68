"""Starting, knowing again and stopping the lab's services.

A service is a process that outlives the command that started it.  It is known again by its process id together with
its start time and the boot it belongs to, so that a reused id is never taken for it and never killed.  A service whose
record was never written (its starter was killed in between) is found by a mark in its environment.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.files import write_atomically
from lab.places import Owner, Places

MARK = 'SUBSTRUCT_SERVICE'
LARGEST_LOG = 5_000_000


@cache
def boot_id() -> str:
    return Path('/proc/sys/kernel/random/boot_id').read_text().strip()


@dataclass(frozen=True)
class Identity:
    """One process, for ever: ids are reused, but not with the same start time within one boot."""

    pid: int
    started: int  # clock ticks since boot, field 22 of /proc/<pid>/stat, proc(5)
    boot: str

    @classmethod
    def of(cls, pid: int) -> 'Identity | None':
        """None when there is no such process, or only its zombie."""
        try:
            stat = Path(f'/proc/{pid}/stat').read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command in field 2 may hold spaces and parentheses; the last parenthesis ends it.
        fields = stat[stat.rindex(')') + 2 :].split()
        if fields[0] in 'ZX':
            return None
        return cls(pid, int(fields[19]), boot_id())

    @property
    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signals exactly this process: the descriptor keeps its id from being reused between check and signal."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    @property
    def age(self) -> float:
        """Seconds since it started."""
        uptime = float(Path('/proc/uptime').read_text().split()[0])
        return max(0.0, uptime - self.started / os.sysconf('SC_CLK_TCK'))


@dataclass(frozen=True)
class Service:
    """What is to run, and how it is known to be well."""

    name: str
    command: Sequence[str]
    ready: Callable[[Identity], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    # What else decides whether a running one is still the wanted one: code, settings.
    signature: str = ''
    patience: float = 60.0
    # Signals that end it, each with the seconds that it is given.
    endings: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
    # Folders that are the working directory of this service's processes and of nobody else's.
    own_folder: Path | None = None
    # Called before each start, when none of the service's processes is left.
    before: Callable[[], object] = lambda: None

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256('\0'.join([*self.command, self.signature]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """What is kept on disk of a started service."""

    identity: Identity
    fingerprint: str
    command: list[str]


class Supervisor:
    """Starts and stops the services of one run folder.  It is no process itself."""

    def __init__(self, places: Places) -> None:
        self.places = places

    # ------------------------------------------------------------------ records

    def _path(self, name: str) -> Path:
        return self.places.run / 'services' / f'{name}.json'

    def log(self, name: str) -> Path:
        return self.places.logs / f'{name}.log'

    def record(self, name: str) -> Record | None:
        """The record of a service that runs, or None."""
        try:
            raw = json.loads(self._path(name).read_text())
            record = Record(Identity(**raw['identity']), raw['fingerprint'], raw['command'])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return record if record.identity.alive else None

    def marked(self, name: str) -> dict[str, str]:
        """The environment by which a process of that name is found, should its starter be killed."""
        return {MARK: f'{self.places.run.resolve()}:{name}'}

    def strays(self, service: Service) -> Iterator[Identity]:
        """Every process of this service, recorded or not: by the mark in its environment, or by its own folder."""
        mark = f'{MARK}={self.marked(service.name)[MARK]}'.encode()
        for entry in Path('/proc').iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                ours = mark in (entry / 'environ').read_bytes().split(b'\0')
                if not ours and service.own_folder is not None:
                    ours = os.readlink(entry / 'cwd').removesuffix(' (deleted)') == str(service.own_folder.resolve())
                    ours = ours and Path(os.readlink(entry / 'exe')).name == Path(service.command[0]).resolve().name
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            identity = Identity.of(int(entry.name)) if ours else None
            if identity is not None:
                yield identity

    def known(self, prefix: str) -> set[str]:
        """The names of the services that begin so: what was written down, and what is found among all processes."""
        found = {path.stem for path in (self.places.run / 'services').glob(f'{prefix}*.json')}
        mark = f'{MARK}={self.marked(prefix)[MARK]}'.encode()
        for entry in Path('/proc').iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    words = (entry / 'environ').read_bytes().split(b'\0')
                except OSError:
                    continue
                found.update(word.decode().rpartition(':')[2] for word in words if word.startswith(mark))
        return found

    # ------------------------------------------------------------------ starting

    def up(self, service: Service) -> bool:
        """Makes sure that the service runs as wanted.  True when it had to be started."""
        record = self.record(service.name)
        if record and record.fingerprint == service.fingerprint and self._answers(service, record.identity):
            return False
        self.down(service)
        service.before()
        self._start(service)
        return True

    def _answers(self, service: Service, identity: Identity, within: float = 5.0) -> bool:
        until = time.monotonic() + within
        while identity.alive:
            if service.ready(identity):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return False

    def _start(self, service: Service) -> None:
        log = self.log(service.name)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix('.log.1'))
        environment = {**os.environ, **service.environment, **self.marked(service.name)}
        with log.open('ab') as output:
            begins = output.tell()
            process = subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd='/',
                start_new_session=True,
                umask=0o077,
                **_as_user(service.owner),
            )
        identity = Identity.of(process.pid)
        if identity is not None:
            record = Record(identity, service.fingerprint, list(service.command))
            write_atomically(self._path(service.name), json.dumps(asdict(record)))
            if self._answers(service, identity, service.patience):
                return
        code = process.poll()
        came_to = f'ended with exit code {code}' if code is not None else f'did not answer in {service.patience:.0f} s'
        self.down(service)
        raise LabError(f'{service.name} {came_to}; the end of {log}:\n{tail(log, after=begins)}')

    # ------------------------------------------------------------------ stopping

    def down(self, service: Service) -> None:
        """Ends the service and everything that belongs to it.  Nothing else is ever signalled."""
        record = self.record(service.name)
        if record:
            for number, seconds in service.endings:
                record.identity.send(number)
                if wait_gone([record.identity], seconds):
                    break
        # Workers end by themselves when their parent does; what is still there was left by a kill -9.
        left = list(self.strays(service))
        if left and not wait_gone(left, 2.0 if record else 0.0):
            for number, seconds in service.endings:
                for identity in left:
                    identity.send(number)
                if wait_gone(left, seconds):
                    break
            else:
                raise LabError(f'{service.name} could not be stopped: process {left[0].pid} does not end')
        self._path(service.name).unlink(missing_ok=True)


def _as_user(owner: Owner | None) -> dict[str, Any]:
    if owner is None or owner.uid == os.geteuid():
        return {}
    return {'user': owner.uid, 'group': owner.gid, 'extra_groups': []}


def run_as(owner: Owner, command: Sequence[str]) -> 'subprocess.CompletedProcess[str]':
    """Runs a short command as the database's user."""
    return subprocess.run(
        list(command), cwd='/', text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False, **_as_user(owner)
    )


def wait_gone(identities: Sequence[Identity], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(identity.alive for identity in identities):
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True


def tail(path: Path, lines: int = 25, after: int = 0) -> str:
    """The last lines of a log, indented to be quoted in an error; only what was written after that offset."""
    try:
        with path.open('rb') as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(after, size - 20_000))
            text = log.read().decode(errors='replace')
    except FileNotFoundError:
        return '    (there is no log)'
    return '\n'.join(f'    | {line}' for line in text.splitlines()[-lines:]) or '    (it is empty)'
