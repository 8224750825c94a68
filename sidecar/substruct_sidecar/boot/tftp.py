"""The TFTP process: what its names stand for, its workers, and the numbers that it tells.

The server itself is `tftp_server`.  Several workers serve the same port, and the kernel shares out the clients among
them; they share nothing, so one that ends is started again without the others noticing.

    <loader>                        `loaders`: the folder of the settings, packages, and what leads to the scripts
    pxelinux.cfg/01-<mac>, <uuid>   PXELINUX' configuration out of the machine's build, if it has one
    grub/grub.cfg-<mac>             GRUB's configuration of the machine
    files/<name>                    boot files, for boot loaders without HTTP
    prospector/<arch>/<name>        the same
"""

import ctypes
import json
import os
import queue
import re
import resource
import select
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import structlog

from .. import wake
from ..files import write_atomically
from ..identity import clean_mac
from ..outbox import Outbox
from ..secrets import Secrets
from ..settings import Settings
from ..settings_checks import endpoint
from . import callbacks, identify
from .artifacts import FOLDER, ArtifactStore
from .contents import OpenFile, Source
from .files_store import FilesStore, Opened
from .loaders import Loaders, clean, made
from .reading import NoState, Reader
from .scripts import Answer, Scripts
from .tftp_server import Counts, Limits, Server
from .tftp_sockets import CannotListen, Listener, listeners
from .underway import known_at, loader_words
from .urls import base_url_for

log: Any = structlog.get_logger('tftp')

# Seconds between two writings of the numbers, and that transfers have to end when the process is asked to.
TELL = 5.0
GRACE = 5.0
MOST_WORKERS = 4
# Steps of builds that are remembered as told, so as not to write them again.
MOST_TOLD = 65536
# Seconds before a worker that ended is started again.
AGAIN = 1.0
# Nothing can be done by starting again (sysexits.h: EX_CONFIG), as `supervisor` understands it.
HOPELESS = 78

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # prctl(2)

_MAC = r'[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}'
_PXELINUX = re.compile(rf'(?:.*/)?pxelinux\.cfg/(?:01-(?P<mac>{_MAC})|(?P<uuid>[0-9a-fA-F-]{{36}}))\Z')
_GRUB = re.compile(rf'(?:.*/)?grub\.cfg-(?:01-)?(?P<mac>{_MAC})\Z')
_ANY_MAC = re.compile(rf'(?<![0-9a-fA-F])(?:01-)?(?P<mac>{_MAC})\Z')


# What takes a step of a build: its number, the digest of its token, the kind of the step, and words.
type Tell = Callable[[int, str, str, str], None]


class Steps:
    """Writes the steps of builds that are seen here, in a thread of its own: no block waits for the disk.

    Each is told once for a build (the key of its message makes it so among workers).  A step that cannot be written is
    lost, and that is all: the machine boots all the same.
    """

    def __init__(self, outbox: Path, run_folder: Path) -> None:
        self._path, self._run_folder = outbox, run_folder
        self._told: set[tuple[str, str]] = set()
        self._waiting: queue.SimpleQueue[tuple[int, str, str, str, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name='tftp steps', daemon=True)
        self._thread.start()

    def tell(self, build: int, digest: str, kind: str, words: str) -> None:
        if (digest, kind) in self._told:
            return
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        self._told.add((digest, kind))
        self._waiting.put((build, digest, kind, words, time.time()))

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(GRACE)

    def _write(self) -> None:
        outbox: Outbox | None = None
        while (step := self._waiting.get()) is not None:
            try:
                outbox = outbox or Outbox(self._path)
                if outbox.put(callbacks.step(*step)):
                    wake.send(self._run_folder, 'outbox')
            except (sqlite3.Error, OSError) as error:
                log.warning('step not kept', build=step[0], kind=step[2], reason=str(error))
        if outbox is not None:
            outbox.close()


class Names:
    """What a name stands for, for the client at an address.  For one thread."""

    def __init__(self, settings: Settings, tell: Tell | None = None) -> None:
        folder = settings.state_folder
        self._settings = settings
        self._tell = tell
        self._reader = Reader(folder / 'state.db', folder / 'outbox.db')
        self._files = FilesStore(settings.files_folder, settings.prospector_folder)
        self._loaders = Loaders.of(settings)
        self._scripts = Scripts(
            self._reader, ArtifactStore(folder / FOLDER), self._files, Secrets(Path(settings.secrets.directory)).get
        )

    def close(self) -> None:
        self._reader.close()

    def find(self, asked: str, client: str) -> Source | None:
        """The file or the text; None where there is nothing of that name."""
        name = clean(asked)
        if name is None:
            return None
        if match := _GRUB.match(name):
            found = self._scripts.grub(identify.claims(mac=match['mac']), self._base_url(client))
            return self._told(found, client)
        if match := _PXELINUX.match(name):
            said = identify.claims(mac=match['mac'] or '', uuid=match['uuid'] or '')
            answer = self._scripts.pxelinux(said, self._base_url(client))
            return self._told(answer, client) if answer is not None else None
        kind, _, rest = name.partition('/')
        if kind == 'files':
            self._file(client, rest)
            return _taken(self._files.open(rest))
        if kind == 'prospector':
            self._file(client, rest)
            return _taken(self._files.open_prospector(rest))
        # What somebody put into the folder of the loaders stands before what is made here.
        descriptor = self._loaders.open(name)
        if descriptor is not None:
            self._loader(client, name)
            return OpenFile(descriptor)
        return made(name, self._base_url(client))

    # Steps of builds: what the machine at that address has come to.

    def _told(self, answer: Answer, client: str) -> bytes:
        if answer.build is not None and self._tell is not None:
            self._tell(answer.build.id, answer.digest, 'script-fetched', f'Boot script fetched from {client} by TFTP')
        return answer.text.encode()

    def _loader(self, client: str, name: str) -> None:
        if self._tell is not None and (found := known_at(client, self._reader, self._scripts)) is not None:
            self._tell(found.build.id, found.digest, 'loader-fetched', loader_words(name, client, 'TFTP'))

    def _file(self, client: str, name: str) -> None:
        if self._tell is None or (found := known_at(client, self._reader, self._scripts)) is None:
            return
        if '/' in name or name in found.files:
            words = f'Boot files fetched from {client} by TFTP'
            self._tell(found.build.id, found.digest, 'kernel-fetched', words)

    def whose(self, client: str, asked: str) -> str:
        """The machine's name, by the MAC address in a file name, else by the address that it asks from."""
        try:
            found = _ANY_MAC.search(asked[-64:])
            mac = clean_mac(found['mac']) if found else None
            holders = self._reader.holders('mac', mac) if mac else []
            holders = holders or self._reader.at_address(client)
            machine = self._reader.machine(holders[0]) if len(holders) == 1 else None
        except (NoState, sqlite3.Error):
            return ''
        return machine.name if machine is not None else ''

    def _base_url(self, client: str) -> str:
        try:
            about = self._reader.about()
        except (NoState, sqlite3.Error):
            about = None
        return base_url_for(self._settings, about, client)


def _taken(opened: Opened | None) -> Source | None:
    if opened is None:
        return None
    with opened.stream:
        return OpenFile(os.dup(opened.stream.fileno()))


# ---------------------------------------------------------------------- one worker


def run(settings: Settings, stop: threading.Event, sockets: Sequence[Listener] | None = None) -> int:
    """Serve in this process until `stop` is set.  Raises CannotListen."""
    mine = list(sockets) if sockets is not None else listeners(_endpoints(settings))[0]
    try:
        _serve(settings, mine, stop, _Numbers(settings.run_folder).tell)
    finally:
        if sockets is None:
            for listener in mine:
                listener.socket.close()
    return 0


def _serve(
    settings: Settings, sockets: Sequence[Listener], stop: threading.Event, tell: Callable[[int, dict[str, int]], None],
    workers: int = 1,
) -> None:  # fmt: skip
    steps = Steps(settings.state_folder / 'outbox.db', settings.run_folder)
    names = Names(settings, steps.tell)
    limits = Limits(
        transfers=_transfers(settings, workers),
        transfers_per_client=settings.boot.tftp_transfers_per_client,
        largest_block=settings.boot.tftp_largest_block,
    )
    server = Server(
        sockets, names.find, whose=names.whose, limits=limits, single_port=settings.boot.tftp_single_port
    )  # fmt: skip

    def look_after() -> None:
        while not stop.wait(TELL):
            tell(0, numbers(server.counts, server.active))
        server.stop()

    beside = threading.Thread(target=look_after, name='tftp numbers', daemon=True)
    beside.start()
    try:
        server.serve(GRACE)
    finally:
        stop.set()
        beside.join()
        tell(0, numbers(server.counts, server.active))
        server.close()
        names.close()
        steps.close()


def _transfers(settings: Settings, workers: int) -> int:
    """As many as the settings say and descriptors allow: a transfer has two sockets."""
    wanted = -(-settings.boot.tftp_transfers // workers)
    needed = 2 * wanted + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = max(1, min(wanted, (soft - 200) // 2))
    if possible < wanted and not settings.boot.tftp_single_port:
        log.warning(
            'fewer transfers at once than boot.tftp_transfers says: there may be too few open files',
            transfers=possible * workers, remedy=f'LimitNOFILE={needed} in the systemd unit',
        )  # fmt: skip
        return possible
    return wanted


def numbers(counts: Counts, active: int) -> dict[str, int]:
    """Flat, for /metrics."""
    found: dict[str, int] = {'active': active}
    for name in (field.name for field in fields(counts)):
        value = getattr(counts, name)
        if isinstance(value, int):
            found[name] = value
        else:
            found.update({f'{name}_{int(code)}': number for code, number in value.copy().items()})
    return found


class _Numbers:
    """The sum of all workers, as a file.  Those of workers that ended stay in it, but for what was under way."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / 'tftp.json'
        self._past: dict[str, int] = {}
        self._now: dict[int, dict[str, int]] = {}

    def tell(self, worker: int, found: dict[str, int]) -> None:
        self._now[worker] = found
        self.write()

    def ended(self, worker: int) -> None:
        for name, value in self._now.pop(worker, {}).items():
            if name != 'active':
                self._past[name] = self._past.get(name, 0) + value

    def write(self) -> None:
        total = dict(self._past)
        for found in self._now.values():
            for name, value in found.items():
                total[name] = total.get(name, 0) + value
        try:
            write_atomically(self._path, json.dumps({**total, 'written': int(time.time())}))
        except OSError as error:
            log.error('the numbers could not be written', path=str(self._path), reason=error.strerror)


# ---------------------------------------------------------------------- the process


def main(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT.  78 where that is impossible with these settings."""
    settings.run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    settings.state_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    workers = _workers(settings)
    try:
        shares = listeners(_endpoints(settings), workers)
    except CannotListen as error:
        log.error('not started', reason=str(error))
        return HOPELESS
    log.info('serving', tftp=[listener.socket.getsockname()[:2] for listener in shares[0]], workers=workers)
    return _Workers(settings, shares).run()


def _endpoints(settings: Settings) -> list[tuple[str, int]]:
    return [endpoint(address) for address in settings.boot.tftp]


def _workers(settings: Settings) -> int:
    return settings.boot.tftp_workers or min(len(os.sched_getaffinity(0)), MOST_WORKERS)


class _Workers:
    """Starts the workers, starts again what ends, and adds up their numbers."""

    def __init__(self, settings: Settings, shares: Sequence[Sequence[Listener]]) -> None:
        self._settings, self._shares = settings, shares
        self._numbers = _Numbers(settings.run_folder)
        # By the descriptor of the pipe on which a worker tells its numbers: which one it is, and its process.
        self._running: dict[int, tuple[int, int]] = {}
        self._heard: dict[int, bytes] = {}
        self._stop = False

    def run(self) -> int:
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        due = dict.fromkeys(range(len(self._shares)), 0.0)
        while self._running or not self._stop:
            now = time.monotonic()
            for worker in [worker for worker, at in due.items() if at <= now and not self._stop]:
                del due[worker]
                self._start(worker, (wake, waker))
            readable, _, _ = select.select([wake, *self._running], [], [], AGAIN if due and not self._stop else None)
            for descriptor in readable:
                if descriptor == wake:
                    os.read(wake, 4096)
                elif (ended := self._read(descriptor)) is not None:
                    due[ended] = time.monotonic() + AGAIN
        self._numbers.write()
        return 0

    def _asked_to_stop(self, *_: object) -> None:
        self._stop = True
        for _worker, process in self._running.values():
            os.kill(process, signal.SIGTERM)

    def _start(self, worker: int, not_theirs: Sequence[int]) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        signals = {signal.SIGTERM, signal.SIGINT}
        # A signal must not come between the fork and the handler of the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        process = os.fork()
        if process == 0:
            code = 1
            try:
                stop = threading.Event()
                # Without the process that looks after it, a worker would only keep the port from the next one.
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.set_wakeup_fd(-1)
                for number in signals:
                    signal.signal(number, lambda *_: stop.set())
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
                for descriptor in (*not_theirs, *self._running, reading):
                    os.close(descriptor)
                self._work(worker, writing, stop)
                code = 0
            except BaseException:
                log.exception('a worker has failed')
            finally:
                os._exit(code)
        self._running[reading] = (worker, process)
        self._heard[reading] = b''
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        os.close(writing)

    def _work(self, worker: int, writing: int, stop: threading.Event) -> None:
        def tell(_: int, found: dict[str, int]) -> None:
            try:
                os.write(writing, json.dumps(found).encode() + b'\n')
            except OSError:
                stop.set()  # the process that started this one is gone

        _serve(self._settings, self._shares[worker], stop, tell, len(self._shares))

    def _read(self, descriptor: int) -> int | None:
        """Take a worker's numbers; the worker, if it has ended."""
        worker, process = self._running[descriptor]
        found = os.read(descriptor, 65536)
        if found:
            *lines, self._heard[descriptor] = (self._heard[descriptor] + found).split(b'\n')
            if lines:
                self._numbers.tell(worker, json.loads(lines[-1]))
            return None
        os.close(descriptor)
        del self._running[descriptor], self._heard[descriptor]
        _, status = os.waitpid(process, 0)
        self._numbers.ended(worker)
        if not self._stop:
            log.error(
                'a worker ended and is started again',
                worker=worker,
                code=os.waitstatus_to_exitcode(status),
                seconds=AGAIN,
            )
        return worker
