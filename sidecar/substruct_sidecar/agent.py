"""The agent: the process that talks to NetBox and keeps the services in step.  Machines never talk to it.

Its threads, each of which can fail, hang or wait without holding up the others:

    listener    hears that there is something to look at (webhooks, machines' reports, the command line)
    feed        NetBox → state
    <service>   state → DHCP, DNS, boot files: one thread each (`reconcile.Runner`)
    outbox      what machines reported → NetBox
    tasks       NetBox's tasks → done → answered
    heartbeat   how all this is → NetBox and <run>/status.json
"""

import fcntl
import os
import secrets
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from . import wake
from .boot import problems as met_problems
from .delivery import Deliverer
from .feeding import Feeder
from .files import write_atomically
from .ledger import Book
from .netbox import NetBox, NetBoxError, Rejected
from .outbox import Outbox
from .plan import Limits, Problem
from .reconcile import Runner
from .service import Service
from .settings import Settings
from .state import State
from .status import Board, NetBoxStatus, Status
from .tasks import Handler, Journal, Tasks
from .version import __version__

log: Any = structlog.get_logger('agent')

# Seconds before NetBox is tried again: after the first failure, the second, …; never longer than the poll interval.
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
# Changes that come within this many seconds of each other are read at once.
GATHER = 0.05
STATUS_INTERVAL = 5.0
# A thread that failed is told of for so many seconds; it is begun again sooner than that.
FAILED_RECENTLY = 150.0
# Words that wake the agent may be lost: every so many seconds it is looked whether builds have ended here.
LOOK_AGAIN = 10.0
# Seconds that all threads together have to end in; the supervisor's patience is longer.
ENDING = 10.0
# Every so many seconds what is old is removed from the outbox, and NetBox is asked anew for its webhook.
HOURLY = 3600.0
# How many problems NetBox is told of at most (its own limit).
PROBLEMS_TOLD = 1000

HOOK_SECRET = 'hook-secret'  # noqa: S105  (a file's name)


class AlreadyRunning(Exception):
    """Another sidecar uses the same state."""


class Lock:
    """One agent for one state folder; the lock goes with the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._file = (folder / 'lock').open('a+')
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or 'unknown'
            self._file.close()
            raise AlreadyRunning(
                f'Another sidecar (process {holder}) uses the state in {folder}. Stop it, or give this one another '
                f'folder (paths.state).'
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def is_held(folder: Path) -> bool:
        """Whether an agent, or a command in its place, uses the state; nothing is made or written."""
        try:
            with (folder / 'lock').open() as file:
                # An agent that starts in this very moment is begun again.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class Agent:
    """`services` are kept in step; `handlers` carry out tasks by kind; `prepare` is called after each look at
    the feed, with NetBox's client (it fetches the artifacts of new builds; until then their machines wait)."""

    def __init__(
        self,
        settings: Settings,
        services: Callable[[Book], Sequence[Service]],
        handlers: Mapping[str, Handler] | None = None,
        prepare: Callable[[NetBox, State], list[Problem]] | None = None,
    ) -> None:
        self._settings = settings
        self._folder = settings.state_folder
        self._lock = Lock(self._folder)
        settings.run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._instance = _instance(self._folder)
        self._stop = threading.Event()
        self.board = Board(Status(written=time.time(), started=time.time(), version=__version__,
                                  instance=self._instance, netbox=NetBoxStatus(url=settings.netbox.url)))  # fmt: skip
        self._book = Book(self._folder / 'ledger.db')
        with closing(self._state()), closing(self._outbox()):
            pass  # the files are there before any thread, and before the other processes, look for them
        finished = Finished(self._folder / 'outbox.db')
        limits = Limits(settings.safety.removed, settings.safety.changed, settings.safety.floor)
        self._finished = finished
        self.runners = [
            Runner(service, self._state, self._book.of(f'{service.name} applied'), self.board, limits, finished.now)
            for service in services(self._book)
        ]
        self._feed_event = threading.Event()
        self._outbox_event = threading.Event()
        self._feeder = Feeder(self._folder, self._state, self.board, limits, prepare, self._state_changed)
        self._deliverer = Deliverer(self.board)
        self._tasks = Tasks(Journal(self._folder / 'tasks.db'), handlers or {}, self._instance)
        self._hook_url: str | None = None
        self._hook_set = self._tidied = float('-inf')
        self._met: list[Problem] = []
        # When each thread failed last (seconds of the monotonic clock), and of what.
        self._failed: dict[str, tuple[float, str]] = {}

    def _state(self) -> State:
        return State(self._folder / 'state.db')

    def _outbox(self) -> Outbox:
        return Outbox(self._folder / 'outbox.db')

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        threads = [
            threading.Thread(target=self._guarded, args=(name, target), name=name, daemon=True)
            for name, target in (
                ('listener', self._listen),
                ('feed', self._feed),
                ('outbox', self._deliver),
                ('tasks', self._do_tasks),
                ('heartbeat', self._beat),
                *((runner.service.name, lambda runner=runner: runner.run(self._stop)) for runner in self.runners),
            )
        ]
        for thread in threads:
            thread.start()
        log.info('agent started', version=__version__, instance=self._instance, state=str(self._folder))
        while not self._stop.wait(STATUS_INTERVAL if not self.board.changed.is_set() else 0.5):
            self._write_status()
        for runner in self.runners:
            runner.wake()
        self._feed_event.set()
        self._outbox_event.set()
        deadline = time.monotonic() + ENDING
        for thread in threads:
            # What hangs in a network call is not waited for: everything that matters is on disk.
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        self._write_status()
        log.info('agent stopped')
        self._lock.close()
        return 0

    def _guarded(self, name: str, target: Callable[[], None]) -> None:
        """A thread that dies would be missed for ever: it is begun again."""
        failures = 0
        while not self._stop.is_set():
            try:
                target()
                return
            except Exception as error:  # whatever it was: the other threads go on, and this one is begun again
                failures += 1
                self._failed[name] = (time.monotonic(), f'{type(error).__name__}: {error}')
                log.exception('thread failed and is begun again', thread=name, failures=failures)
                self._stop.wait(patience(failures))

    def _write_status(self) -> None:
        self.board.changed.clear()
        try:
            self._hear_of_problems()
            self.board.write(self._settings.run_folder)
        except (OSError, ValueError) as error:
            log.error('status cannot be written', reason=str(error))

    def _hear_of_problems(self) -> None:
        """What the process that machines talk to has met."""
        found = met_problems.read(self._settings.run_folder / met_problems.HTTP)
        if found != self._met:
            self._met = found
            self.board.problems('http', found)
        now = time.monotonic()
        failed = [
            Problem('agent', 'service', 0, name, f'The thread {name} failed: {reason}.', 'It is begun again.')
            for name, (when, reason) in dict(self._failed).items()
            if now - when < FAILED_RECENTLY
        ]
        self.board.problems('threads', failed)

    # ------------------------------------------------------------------ listener

    def _listen(self) -> None:
        looked = float('-inf')
        with closing(wake.Listener(self._settings.run_folder)) as listener:
            while not self._stop.is_set():
                words = listener.wait(1.0)
                if 'feed' in words:
                    self._feed_event.set()
                if 'outbox' in words:
                    self._outbox_event.set()
                if 'outbox' in words or time.monotonic() - looked > LOOK_AGAIN:
                    looked = time.monotonic()
                    self._take_ended()
                if 'services' in words:
                    # Somebody has accepted a plan, or asks for everything to be looked at.
                    self._feed_event.set()
                    for runner in self.runners:
                        runner.look_at_everything()

    def _take_ended(self) -> None:
        """Builds that have just ended here: what their machines boot has changed for the services too."""
        try:
            new = self._finished.refresh()
            if not new:
                return
            with closing(self._state()) as state:
                with state.view() as view:
                    machines = [machine for token in new for machine in view.holders('token', token)]
                if machines:
                    state.touch('machine', machines)
            self._finished.told(new)
        except sqlite3.Error as error:
            log.error('ended builds not taken; it is tried again', reason=str(error))
        else:
            self._wake_services()

    def _state_changed(self) -> None:
        self._wake_services()
        with closing(self._outbox()) as outbox, closing(self._state()) as state, state.view() as view:

            def asks(machine: int, action: str) -> bool:
                found = view.object('machine', machine)
                return found is not None and found.boot.action == action

            outbox.forget_served(asks)
            if time.monotonic() - self._tidied > HOURLY:
                outbox.tidy(time.time(), lambda token: bool(view.holders('token', token)))
                self._tidied = time.monotonic()

    def _wake_services(self) -> None:
        for runner in self.runners:
            runner.wake()

    # ------------------------------------------------------------------ the threads that talk to NetBox

    def _feed(self) -> None:
        failures = 0
        with closing(NetBox(self._settings.netbox)) as netbox:
            while not self._stop.is_set():
                self._feed_event.clear()
                try:
                    self._feeder.pull(netbox)
                    self._keep_hook(netbox)
                    failures = 0
                    wait = self._settings.netbox.poll_interval
                except NetBoxError:
                    # The feeder has reported it.
                    netbox.forget()
                    wait = min(self._settings.netbox.poll_interval, BACK_OFF[min(failures, len(BACK_OFF) - 1)])
                    failures += 1
                self._forget_tombstones()
                # A webhook ends the wait, but not the patience with a NetBox that is in trouble.
                if failures:
                    self._stop.wait(wait)
                elif self._feed_event.wait(wait):
                    self._stop.wait(GATHER)

    def _keep_hook(self, netbox: NetBox) -> None:
        """Let NetBox wake us, with a secret of its own making."""
        url = self._settings.manage.hook_url
        if url == self._hook_url and (not url or time.monotonic() - self._hook_set < HOURLY):
            return
        try:
            hook = netbox.webhook(url)
            if url:
                write_atomically(self._folder / HOOK_SECRET, hook.secret, 0o600)
            else:
                (self._folder / HOOK_SECRET).unlink(missing_ok=True)
        except Rejected as error:
            self.board.netbox(webhook=f'NetBox does not take the webhook: {error}')
            log.error('webhook refused', reason=str(error))
        except (NetBoxError, OSError) as error:
            # It is tried again with the next poll; until then changes come with it too.
            self.board.netbox(webhook=f'not set up yet: {error}')
            return
        else:
            self.board.netbox(webhook=url or 'off')
        self._hook_url, self._hook_set = url, time.monotonic()

    def _forget_tombstones(self) -> None:
        applied = [found for runner in self.runners if (found := runner.applied) is not None]
        if len(applied) == len(self.runners):
            try:
                with closing(self._state()) as state:
                    about = state.about()
                    state.forget(min(applied, default=about.revision if about else 0))
            except sqlite3.Error as error:
                log.error('what has gone is not forgotten yet', reason=str(error))

    def _deliver(self) -> None:
        failures = 0
        with closing(NetBox(self._settings.netbox)) as netbox, closing(self._outbox()) as outbox:
            while not self._stop.is_set():
                self._outbox_event.clear()
                try:
                    more = self._deliverer.step(outbox, netbox)
                    failures = 0
                    due = outbox.next_due()
                    wait = 0.0 if more else min(10.0, max(0.05, due - time.time())) if due else 10.0
                except NetBoxError:
                    netbox.forget()
                    wait = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
                    failures += 1
                if failures:
                    self._stop.wait(wait)
                else:
                    self._outbox_event.wait(wait)

    def _do_tasks(self) -> None:
        failures = 0
        with closing(NetBox(self._settings.netbox)) as netbox:
            while not self._stop.is_set():
                try:
                    with closing(self._state()) as state, state.view() as view:
                        # Asking NetBox costs it a transaction: only when the feed has shown a task, or one is ours.
                        wanted = view.count('task') > 0
                    if wanted or self._tasks.unsettled:
                        self._tasks.step(netbox)
                    self.board.update(tasks=dict(self._tasks.counts))
                    failures = 0
                    wait = 2.0
                except NetBoxError as error:
                    log.warning('tasks', reason=str(error))
                    netbox.forget()
                    wait = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
                    failures += 1
                self._stop.wait(wait)

    # ------------------------------------------------------------------ heartbeat

    def _beat(self) -> None:
        with closing(NetBox(self._settings.netbox)) as netbox:
            while not self._stop.is_set():
                began = time.time()
                self._look()
                try:
                    heard = netbox.heartbeat(heartbeat_of(self.board.now()))
                except NetBoxError as error:
                    netbox.forget()
                    log.warning('heartbeat', reason=str(error))
                    if isinstance(error, Rejected):
                        # It is reached and does not listen: nobody there sees how this sidecar is.
                        name = self._settings.netbox.boot_server
                        message = f'NetBox does not take what is reported of this sidecar: {error}'
                        self.board.problems('agent', [Problem('agent', 'service', 0, name, message)])
                else:
                    now = time.time()
                    offset = None
                    with suppress(ValueError):
                        offset = datetime.fromisoformat(heard.time).timestamp() - (began + now) / 2
                    others = [other.instance for other in heard.other_instances]
                    self.board.netbox(heartbeat=now, clock_offset=None if offset is None else round(offset, 3))
                    self.board.update(other_instances=others)
                    self._tell_problems(others, offset)
                self._stop.wait(self._settings.netbox.heartbeat_interval)

    def _look(self) -> None:
        """What is on disk, for the status."""
        with closing(self._state()) as state, state.view() as view:
            about = view.about()
            counts = {kind: view.count(kind) for kind in ('machine', 'subnet', 'zone', 'record', 'boot-image')}
        if about is not None:
            self.board.update(
                revision=about.revision, cursor=about.cursor, counts=counts, boot_server=about.boot_server,
                boot_server_id=about.boot_server_id,
            )  # fmt: skip
            self.board.netbox(taken=about.taken)
        with closing(self._outbox()) as outbox:
            depth = outbox.depth()
            self.board.outbox(waiting=depth.waiting, oldest=depth.oldest, refused=depth.refused)

    def _tell_problems(self, others: list[str], offset: float | None) -> None:
        name = self._settings.netbox.boot_server
        found: list[Problem] = []
        if others:
            found.append(
                Problem(
                    'agent', 'service', 0, name, f'Another sidecar works as this boot server too: {", ".join(others)}.',
                    'Give each sidecar a boot server of its own in NetBox (netbox.boot_server).', 'warning',
                )
            )  # fmt: skip
        if offset is not None and abs(offset) > 30:
            found.append(
                Problem(
                    'agent', 'service', 0, name,
                    f'The clock here and NetBox’s are {abs(offset):.0f} seconds apart: webhooks are refused as stale.',
                    'Keep both in time with NTP.', 'warning',
                )
            )  # fmt: skip
        self.board.problems('agent', found)


class Finished:
    """The builds that have ended here, as the outbox has them, for all threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()
        self.told(self.refresh())

    def refresh(self) -> frozenset[str]:
        """Read them again; gives those of which the services were not told yet."""
        with closing(Outbox(self._path)) as outbox:
            self._known = outbox.finished()
        return self._known - self._told

    def told(self, tokens: frozenset[str]) -> None:
        self._told = (self._told | tokens) & self._known

    def now(self) -> frozenset[str]:
        return self._known


def patience(failures: int) -> float:
    """Seconds before a thread that has failed so often is begun again."""
    return float(min(60, 2 ** min(failures, 6)))


def heartbeat_of(status: Status) -> dict[str, Any]:
    """The status as NetBox's heartbeat endpoint takes it."""
    return {
        'instance': status.instance,
        'version': status.version,
        'applied_cursor': status.cursor,
        'started': _iso(status.started),
        'state_age': max(0.0, round(status.written - status.netbox.taken, 1)) if status.netbox.taken else None,
        'services': [
            {
                'name': service.name,
                'backend': service.backend,
                'state': service.state if service.state != 'starting' else 'degraded',
                'message': service.message or ('It has not begun yet.' if service.state == 'starting' else ''),
                'existing': service.existing,
                'planned': {
                    'add': service.planned.add, 'change': service.planned.change, 'remove': service.planned.remove
                },
                'last_plan': _iso(service.last_plan),
                'last_apply': _iso(service.last_apply),
                'cannot': service.cannot,
                'difference': service.difference,
            }
            for service in status.services
        ],
        'problems': [
            {
                'service': found.service, 'what': found.what, 'id': found.id, 'name': found.name,
                'message': found.message, 'remedy': found.remedy, 'severity': found.severity,
            }
            for found in status.problems[:PROBLEMS_TOLD]
        ],
    }  # fmt: skip


def _iso(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when).astimezone().isoformat(timespec='milliseconds')


def _instance(folder: Path) -> str:
    """What this sidecar is called among others of the same boot server: made once, kept with its state."""
    path = folder / 'instance'
    try:
        found = path.read_text('ascii').strip()
    except FileNotFoundError:
        found = ''
    if not found:
        found = f'{os.uname().nodename.partition(".")[0][:40]}-{secrets.token_hex(4)}'
        write_atomically(path, found)
    return found
