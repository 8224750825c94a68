"""The service "files": keeps the boot files that NetBox's boot images name, and takes away what none names.

Fetching may take hours, and a build that is requested meanwhile must not wait for it.  So `apply` hands over what is
wanted to threads that fetch it, what builds under way need first, and returns; failures are tried again there and are
reported by `verify`.  Where all threads are busy with what no build waits for, there are as many again for what one
waits for.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from .. import wake
from ..files import write_atomically
from ..ledger import Ledger
from ..outbox import Message, Outbox
from ..plan import Change, Plan, Problem
from ..secrets import Secrets
from ..service import ApplyError, Finding
from ..settings import Settings
from ..state import Changed, View
from . import fetch
from .fetch import Cancelled, FetchError, Terms, Wanted
from .files_store import About, FilesStore, name_of

log: Any = structlog.get_logger('files')

NAME = 'files.json'
# Seconds before a file that could not be fetched is tried again: after the first failure, the second, …
BACK_OFF = (2.0, 10.0, 30.0, 60.0, 300.0, 900.0)
# Progress is written at most every so many seconds.
PROGRESS = 1.0
# NetBox is told how far a file is every so many seconds.
TELL = 20.0

_ROLES = {'kernel': 0, 'initrd': 1, 'disk': 2}


class FileStatus(msgspec.Struct, kw_only=True):
    """One file in <run>/files.json.  `state`: waiting, fetching, failed.  Sizes in bytes, 0 if not known."""

    name: str
    url: str
    images: list[str]
    state: str = 'waiting'
    bytes: int = 0
    total: int = 0
    error: str = ''


@dataclass(frozen=True, slots=True)
class Need:
    """A file that boot images need, and how urgently: builds under way first, then kernels before disk images."""

    wanted: Wanted
    image: int
    images: tuple[str, ...]
    urgency: tuple[int, int]


def needs_of(view: View) -> dict[str, Need]:
    """What is to be here, by name.  Costs what boot images and builds under way cost, not all machines."""
    building = {
        machine.build.boot_image
        for machine in view.machines(view.claimants('token'))
        if machine.build is not None and machine.boot.action == 'build'
    }
    found: dict[str, Need] = {}
    for image in view.objects('boot-image'):
        for file in image.files:
            name = name_of(file)
            urgency = (0 if image.id in building else 1, _ROLES.get(file.role, 3))
            had = found.get(name)
            wanted = Wanted(name, file.url, '' if name.startswith('url-') else name)
            found[name] = Need(
                had.wanted if had else wanted,
                had.image if had else image.id,
                (*(had.images if had else ()), image.name),
                min(urgency, had.urgency) if had else urgency,
            )
    return found


@dataclass
class _Job:
    need: Need
    status: FileStatus
    failures: int = 0
    due: float = 0.0
    busy: bool = False
    again: bool = field(default=False)  # it is here, and only asked for anew

    @property
    def urgent(self) -> bool:
        """Whether a build waits for it."""
        return self.need.urgency[0] == 0


class Fetcher:
    """The threads that fetch.  They begin when there is something to do and end when there is not."""

    def __init__(
        self,
        store: FilesStore,
        terms: Terms,
        parallel: int,
        report: Callable[[Need, str, int, int, str], None],
        status_file: Path,
    ) -> None:
        self._store = store
        self._terms = terms
        self._parallel = parallel
        self._report = report
        self._status_file = status_file
        self._lock = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._threads = 0
        self._written = 0.0

    def want(self, needs: Iterable[Need], again: bool = False) -> None:
        """Fetch these too.  `again`: they are here; ask whether their source still has the same."""
        with self._lock:
            for need in needs:
                name = need.wanted.name
                job = self._jobs.get(name)
                if job is None:
                    status = FileStatus(name=name, url=need.wanted.url, images=list(need.images))
                    self._jobs[name] = _Job(need, status, again=again)
            self._start()
            self._lock.notify_all()

    def prefer(self, needs: dict[str, Need]) -> None:
        """What is needed now, and how urgently; everything else is not fetched any further."""
        with self._lock:
            for name, job in list(self._jobs.items()):
                if name in needs:
                    if job.need.wanted != needs[name].wanted:
                        job.failures, job.due, job.status.url = 0, 0.0, needs[name].wanted.url
                    job.need = needs[name]
                elif not job.busy:
                    del self._jobs[name]
                else:
                    job.status.state = 'cancelled'
            self._start()
            self._lock.notify_all()

    def knows(self, name: str) -> bool:
        with self._lock:
            return name in self._jobs

    def failed(self) -> list[tuple[Need, str]]:
        with self._lock:
            return [(job.need, job.status.error) for job in self._jobs.values() if job.status.error and not job.again]

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is being fetched or about to be; files that failed are not waited for."""
        deadline = time.monotonic() + seconds
        with self._lock:
            while any(job.busy or not job.failures for job in self._jobs.values()):
                if not self._lock.wait(deadline - time.monotonic()):
                    return False
        return True

    def _start(self) -> None:
        urgent = sum(not job.busy and job.urgent for job in self._jobs.values())
        while self._threads < min(self._parallel + min(self._parallel, urgent), len(self._jobs)):
            self._threads += 1
            threading.Thread(target=self._work, name='fetch', daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                job = self._next()
                if job is None:
                    self._threads -= 1
                    self._lock.notify_all()
                    return
                job.busy = True
                job.status.state = 'fetching'
            self._one(job)

    def _next(self) -> _Job | None:
        """The most urgent one that is due; waits while there are only others.  None if there are none at all, or if
        there are threads enough for what is not urgent."""
        while self._jobs:
            now = time.monotonic()
            many = self._threads > self._parallel
            free = [job for job in self._jobs.values() if not job.busy and (job.urgent or not many)]
            due = [job for job in free if job.due <= now]
            if due:
                return min(due, key=lambda job: (job.need.urgency, job.failures, job.need.wanted.name))
            if not free:
                return None
            self._lock.wait(max(0.01, min(job.due for job in free) - now))
        return None

    def _one(self, job: _Job) -> None:
        wanted = job.need.wanted
        told = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal told
            job.status.bytes, job.status.total = done, total
            if job.status.state == 'cancelled':
                raise Cancelled
            self._write_status(at_once=False)
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                self._report(job.need, 'fetching', done, total, '')

        how = fetch.revalidate if job.again else fetch.fetch
        error = ''
        about = About()
        try:
            if not job.again and self._store.has(wanted.name):
                about = self._store.about(wanted.name)
            else:
                about = how(wanted, self._store, self._terms, progress)
        except Cancelled:
            error = 'cancelled'
        except FetchError as failure:
            error = str(failure)
        except Exception as failure:
            # Whatever goes wrong with one file, the others are fetched.
            log.exception('fetching failed', url=wanted.url)
            error = f'{wanted.url}: {type(failure).__name__}: {failure}'
        if error and error != 'cancelled':
            log.warning('boot file not fetched', file=wanted.name[:16], images=list(job.need.images), reason=error)
        # NetBox is told of every file that came, and of each new reason why one did not.
        if (error and error not in ('cancelled', job.status.error)) or (not error and not job.again):
            size, total = (job.status.bytes, job.status.total) if error else (about.size, about.size)
            self._report(job.need, 'failed' if error else 'present', size, total, error)
        with self._lock:
            job.busy = False
            if not error or error == 'cancelled' or job.status.state == 'cancelled' or job.again:
                self._jobs.pop(wanted.name, None)
            else:
                job.failures += 1
                job.due = time.monotonic() + BACK_OFF[min(job.failures, len(BACK_OFF)) - 1]
                job.status.state, job.status.error = 'failed', error
            self._lock.notify_all()
        self._write_status(at_once=True)

    def _write_status(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if not at_once and now - self._written < PROGRESS:
            return
        self._written = now
        with self._lock:
            found = msgspec.json.encode({
                'written': time.time(), 'files': [job.status for job in self._jobs.values()]
            })  # fmt: skip
        try:
            write_atomically(self._status_file, found)
        except OSError as error:
            log.error('progress not written', reason=str(error))


class Files:
    """The service (`service.Service`)."""

    name = 'files'
    backend = 'http'

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = FilesStore(settings.files_folder, settings.prospector_folder)
        boot = settings.boot
        self._terms = Terms(boot.fetch_timeout, boot.keep_free, [Path(folder) for folder in boot.local_sources])
        self.fetcher = Fetcher(
            self.store, self._terms, boot.fetch_parallel, self._report, settings.run_folder / NAME
        )  # fmt: skip

    def cannot(self) -> Sequence[str]:
        if self._settings.boot.local_sources:
            return ()
        return ('Boot images with file:// URLs are not fetched: boot.local_sources names no folder.',)

    def check(self) -> Iterable[Finding]:
        folder = self.store.folder
        # Nothing is made here: where the folder is not there yet, it is the one that it will be made in that counts.
        there = next((one for one in (self.store.partial, folder, *folder.parents) if one.exists()), folder)
        try:
            free = shutil.disk_usage(there).free
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield Finding('files', 'error', f'{folder} cannot be written: {error.strerror}.',
                          'Give it to the user that the sidecar runs as (paths.files).')  # fmt: skip
            return
        if free < self._settings.boot.keep_free:
            yield Finding('files', 'warning', f'Only {free >> 20} MiB are free in {folder}: nothing is fetched.',
                          'Make room, or lower boot.keep_free.')  # fmt: skip
        else:
            yield Finding('files', 'ok', f'{len(self.store.names())} boot files, {free >> 20} MiB free in {folder}.')

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        """Always looks at everything: there are few boot images, and few builds at a time."""
        needs = needs_of(view)
        # Nothing that is served changes by this; only the order in which files are fetched.
        self.fetcher.prefer(needs)
        here = self.store.names()
        changes = [
            Change('add', f'files/{name}', after=need.wanted.url, payload=need)
            for name, need in sorted(needs.items(), key=lambda found: found[1].urgency)
            if name not in here and not self.fetcher.knows(name)
        ]
        before = time.time() - self._settings.boot.keep_unreferenced
        changes += [
            Change('remove', f'files/{name}', before=self.store.about(name).url or f'{size} bytes', payload=name)
            for name, size in here.items()
            if name not in needs and 0 < self.store.about(name).unneeded <= before
        ]
        return Plan(self.name, changes, existing=len(here))

    def apply(self, plan: Plan) -> None:
        """Begins to fetch what is missing, and removes what nothing refers to.  Raises ApplyError."""
        self.fetcher.want(change.payload for change in plan.changes if change.operation == 'add')
        try:
            for change in plan.changes:
                if change.operation == 'remove':
                    about = self.store.about(change.payload)
                    self.store.remove(change.payload)
                    self._tell(change.payload, about.url, about.sha256, 'removed', 0, 0, '')
        except OSError as error:
            raise ApplyError(f'Boot files cannot be removed from {self.store.folder}: {error}.') from error

    def settle(self, seconds: float) -> bool:
        """Wait until everything that was handed over is here or has failed."""
        return self.fetcher.settle(seconds)

    def verify(self, view: View) -> Iterable[Problem]:
        """Notes what is needed, asks sources anew where no SHA-256 is known, and tells what is wrong."""
        needs = needs_of(view)
        self.fetcher.prefer(needs)
        yield from self._damaged(needs)
        self._remember_unneeded(needs)
        now = time.time()
        self.fetcher.want(
            (
                need for name, need in needs.items()
                if name.startswith('url-') and self.store.has(name)
                and self.store.about(name).checked < now - self._settings.boot.revalidate
            ),
            again=True,
        )  # fmt: skip
        for need, error in self.fetcher.failed():
            yield Problem(
                self.name, 'boot-image', need.image, ', '.join(need.images), error,
                'It is tried again; builds that need it wait.',
            )  # fmt: skip

    def _damaged(self, needs: dict[str, Need]) -> Iterable[Problem]:
        """Files that are not as long as they were when they were published: taken away, and so fetched again."""
        for name, size in self.store.names().items():
            known = self.store.about(name).size
            if name in needs and known and known != size and not self.fetcher.knows(name):
                self.store.remove(name)
                yield Problem(
                    self.name, 'boot-image', needs[name].image, ', '.join(needs[name].images),
                    f'{name[:16]} had {size} bytes instead of {known}: it is fetched again.',
                )  # fmt: skip

    def _remember_unneeded(self, needs: dict[str, Need]) -> None:
        now = time.time()
        for name in self.store.names():
            about = self.store.about(name)
            if (name in needs) == bool(about.unneeded):
                self.store.remember(name, msgspec.structs.replace(about, unneeded=0.0 if name in needs else now))
        for partial in self.store.partials():
            if partial.name.removesuffix('.about') not in needs and not self.fetcher.knows(partial.name):
                age = now - partial.stat().st_mtime
                if age > self._settings.boot.keep_unreferenced:
                    partial.unlink(missing_ok=True)

    def _report(self, need: Need, state: str, size: int, total: int, error: str) -> None:
        """Tell NetBox."""
        if state == 'present':
            log.info('boot file here', file=need.wanted.name[:16], images=list(need.images), bytes=size)
        sha256 = need.wanted.sha256 or self.store.about(need.wanted.name).sha256
        self._tell(need.wanted.name, need.wanted.url, sha256, state, size, total, error)

    def _tell(self, name: str, url: str, sha256: str, state: str, size: int, total: int, error: str) -> None:
        now = time.time()
        message = Message(
            key=f'file/{name}/{state}/{now:.3f}', type='file', time=now,
            data={'url': url, 'sha256': sha256, 'state': state, 'bytes': size, 'total': total, 'error': error},
        )  # fmt: skip
        try:
            outbox = Outbox(self._settings.state_folder / 'outbox.db')
            try:
                outbox.put(message)
            finally:
                outbox.close()
        except Exception as failure:
            # The file is here all the same; NetBox hears of it with the next one.
            log.error('not reported', file=name[:16], reason=str(failure))
        wake.send(self._settings.run_folder, 'outbox')


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> Files:
    """The files themselves say what is here, so the ledger stays empty; sources need no secrets."""
    return Files(settings)
