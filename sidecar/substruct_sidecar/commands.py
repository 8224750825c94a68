"""What `plan`, `apply` and `status` do.  They read the same files as the running sidecar, and change things only
through it, or in its place where none runs."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta

import msgspec

from . import status as board
from . import wake
from .agent import AlreadyRunning, Lock
from .assembly import services_of
from .boot.files_service import Files
from .feeding import REFUSED
from .ledger import Book
from .log import printable
from .outbox import Outbox
from .plan import Limits, Problem, Unsafe, guard
from .service import ApplyError, Service
from .settings import Settings
from .state import State
from .status import ServiceStatus, Status

# A status that is older than this is of a sidecar that no longer runs.
STALE = 30.0
SHOWN = 200
PATIENCE = 120.0
# Boot files may be large, and their sources slow.
FETCHING = 86400.0


def plan(settings: Settings, names: Sequence[str], *, everything: bool) -> int:
    if not _has_state(settings):
        return 1
    refused = False
    if not names or 'state' in names:
        refused = _refused_state(settings, everything=everything, asked='state' in names)
    if names == ['state']:
        return 1 if refused else 0
    with closing(Book(settings.state_folder / 'ledger.db')) as book:
        for service in _chosen(services_of(settings, book), names):
            with closing(_state(settings)) as state, state.view(_finished(settings)) as view:
                try:
                    found = service.plan(view)
                except ApplyError as error:
                    refused = True
                    print(printable(f'{service.name}: {error}'))
                    continue
                for number, line in enumerate(found.diff()):
                    if number >= SHOWN and not everything:
                        print('  … (--full shows everything)')
                        break
                    print(printable(line))
                try:
                    guard(found, _limits(settings), state.accepted)
                except Unsafe as error:
                    refused = True
                    print(f'  {error}')
    return 1 if refused else 0


def _refused_state(settings: Settings, *, everything: bool, asked: bool) -> bool:
    """Show the answer of NetBox that was not taken because it would remove too much."""
    try:
        lines = (settings.state_folder / REFUSED).read_text('utf-8').splitlines()
    except OSError:
        if asked:
            print('state: nothing of what NetBox says was refused.')
        return False
    for line in lines if everything or len(lines) <= SHOWN else [*lines[:SHOWN], '  … (--full shows all)', lines[-1]]:
        print(printable(line))
    return True


def apply(settings: Settings, names: Sequence[str], accept: str | None) -> int:
    if not _has_state(settings):
        return 1
    if accept:
        with closing(_state(settings)) as state:
            state.accept(accept, time.time())
    try:
        lock = Lock(settings.state_folder)
    except AlreadyRunning:
        return _through_the_agent(settings, names)
    try:
        if 'state' in names:
            print('state: no sidecar runs; what was accepted is taken when it starts.')
        return _here(settings, names) if list(names) != ['state'] else 0
    finally:
        lock.close()


def _through_the_agent(settings: Settings, names: Sequence[str]) -> int:
    """Let the running sidecar do it, and wait until it has."""
    asked = time.time()
    if not wake.send(settings.run_folder, 'services'):
        print('The running sidecar cannot be woken: is this its run folder (paths.run)?', file=sys.stderr)
        return 1
    deadline = time.monotonic() + PATIENCE
    if 'state' in names:
        while time.monotonic() < deadline:
            found = board.read(settings.run_folder)
            if found and (found.netbox.taken or 0) > asked:
                print(f'state: taken, revision {found.revision}')
                return 0
            time.sleep(0.2)
        print(f'The state was not taken in {PATIENCE:.0f} seconds; substruct-sidecar status says why.', file=sys.stderr)
        return 1
    while time.monotonic() < deadline:
        found = board.read(settings.run_folder)
        wanted = [service for service in found.services if not names or service.name in names] if found else []
        if wanted and all((service.last_plan or 0) > asked for service in wanted):
            if any(service.applying for service in wanted):
                if found is not None and time.time() - found.written < STALE:
                    deadline = max(deadline, time.monotonic() + PATIENCE)  # as long as it works it is waited for
                time.sleep(0.2)
                continue
            for service in wanted:
                print(printable(_service_line(service)))
            return 0 if all(service.state == 'ok' for service in wanted) else 1
        time.sleep(0.2)
    print(
        'The running sidecar has not planned anew in two minutes; substruct-sidecar status says more.', file=sys.stderr
    )
    return 1


def _here(settings: Settings, names: Sequence[str]) -> int:
    failed = False
    with closing(Book(settings.state_folder / 'ledger.db')) as book:
        for service in _chosen(services_of(settings, book), names):
            with closing(_state(settings)) as state, state.view(_finished(settings)) as view:
                problems: Sequence[Problem] = ()
                try:
                    found = service.plan(view)
                    problems = found.problems
                    guard(found, _limits(settings), state.accepted)
                    if found:
                        service.apply(found)
                    if isinstance(service, Files):
                        # They are fetched by threads of this process, which ends with it.
                        service.settle(FETCHING)
                        for problem in service.verify(view):
                            failed = True
                            print(printable(f'  ! {problem}'))
                    state.used(found.fingerprint)
                    print(f'{service.name}: {found.summary()}: done')
                except (Unsafe, ApplyError) as error:
                    failed = True
                    print(printable(f'{service.name}: {error}'))
                for problem in problems:
                    print(printable(f'  ! {problem}'))
    return 1 if failed else 0


def status(settings: Settings, *, as_json: bool) -> int:
    found = board.read(settings.run_folder)
    if as_json:
        sys.stdout.write((msgspec.json.encode(found) if found else b'null').decode() + '\n')
    else:
        for line in _status_lines(found):
            print(printable(line))
    return 0 if found is not None and _well(found) else 1


def _well(found: Status) -> bool:
    return (
        time.time() - found.written < STALE
        and found.netbox.state == 'ok'
        and all(service.state == 'ok' for service in found.services)
    )


def _status_lines(found: Status | None) -> Iterator[str]:
    if found is None:
        yield 'No sidecar has run here (there is no status in paths.run).'
        return
    age = time.time() - found.written
    if age > STALE:
        yield f'The agent does not run: its last word is {_ago(age)} old. What it had left is below.'
    yield f'Boot server  {found.boot_server or "unknown"}, sidecar {found.version} ({found.instance})'
    counts = ', '.join(f'{count} {kind}s' for kind, count in found.counts.items())
    taken = f'{_ago(time.time() - found.netbox.taken)} old' if found.netbox.taken else 'none yet'
    yield f'State        revision {found.revision}, {taken}: {counts or "empty"}'
    yield f'NetBox       {found.netbox.url}: {found.netbox.state}{_because(found.netbox.message)}'
    yield f'Webhook      {found.netbox.webhook or "not set up"}'
    waiting = f'{found.outbox.waiting} waiting' + (
        f' since {_ago(time.time() - found.outbox.oldest)}' if found.outbox.oldest else ''
    )
    yield f'Outbox       {waiting}, {found.outbox.refused} refused by NetBox{_because(found.outbox.message)}'
    for service in found.services:
        yield _service_line(service)
        for text in service.cannot:
            yield f'               cannot: {text}'
    for problem in found.problems[:50]:
        remedy = f' {problem.remedy}' if problem.remedy else ''
        yield f'  ! [{problem.service}] {problem.what} {problem.name}: {problem.message}{remedy}'
    if len(found.problems) > 50:
        yield f'  … and {len(found.problems) - 50} problems more (--json has all)'


def _service_line(service: ServiceStatus) -> str:
    applied = f'applied {_ago(time.time() - service.last_apply)} ago' if service.last_apply else 'nothing applied yet'
    return (
        f'{service.name:<12} {service.backend}: {service.state}, {service.existing} there, {applied}'
        f'{_because(service.message)}'
    )


def _because(message: str) -> str:
    return f' ({message})' if message else ''


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f'{max(0, seconds):.0f} s'
    return str(timedelta(seconds=round(seconds)))


def _chosen(services: Iterable[Service], names: Sequence[str]) -> Iterator[Service]:
    found = list(services)
    known = {service.name for service in found}
    for name in names:
        if name not in known and name != 'state':
            raise SystemExit(f'There is no service "{name}" here; there is: {", ".join(sorted(known)) or "none"}.')
    for service in found:
        if not names or service.name in names:
            yield service


def _has_state(settings: Settings) -> bool:
    if (settings.state_folder / 'state.db').exists():
        with closing(_state(settings)) as state:
            if state.about() is not None:
                return True
    print(
        f'There is no desired state in {settings.state_folder} yet: start the sidecar (substruct-sidecar run) and let '
        f'it reach NetBox once.',
        file=sys.stderr,
    )
    return False


def _state(settings: Settings) -> State:
    return State(settings.state_folder / 'state.db')


def _finished(settings: Settings) -> frozenset[str]:
    with closing(Outbox(settings.state_folder / 'outbox.db')) as outbox:
        return outbox.finished()


def _limits(settings: Settings) -> Limits:
    return Limits(settings.safety.removed, settings.safety.changed, settings.safety.floor)
