"""How the sidecar is: gathered by the agent, written to <run>/status.json, and read by everything that shows it.

The file is replaced as a whole.  `substruct-sidecar status`, /healthz, /metrics and the heartbeat to NetBox all tell
the same.
"""

import re
import threading
import time
from pathlib import Path
from typing import Literal

import msgspec

from .files import write_atomically
from .plan import Plan, Problem

NAME = 'status.json'

type ServiceState = Literal['ok', 'degraded', 'down', 'starting']


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    add: int = 0
    change: int = 0
    remove: int = 0


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One service.  Times are seconds since 1970; None: not yet.

    `revision` is the revision of the state that is applied.  `planned` is what waits to be applied (a refused plan, or
    the one that is being applied: `applying`), `difference` its first lines as `substruct-sidecar plan` shows them;
    `fingerprint` names that plan for whoever accepts it.  `drift` counts how often the running server was found to
    differ from what had been applied.
    """

    name: str
    backend: str
    state: ServiceState = 'starting'
    message: str = ''
    revision: int = 0
    existing: int = 0
    planned: Planned = Planned()
    fingerprint: str = ''
    applying: bool = False
    last_plan: float | None = None
    last_apply: float | None = None
    last_error: str = ''
    applied_changes: int = 0
    failures: int = 0
    drift: int = 0
    plan_seconds: float = 0.0
    apply_seconds: float = 0.0
    cannot: list[str] = []
    difference: list[str] = []


class ReportedProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A `plan.Problem`, as it is reported."""

    service: str
    what: str
    id: int
    name: str
    message: str
    remedy: str = ''
    severity: str = 'error'


class NetBoxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How NetBox is reached.  `taken` is when its last whole answer was taken; `failing_since` is None while all is
    well; `message` is what is wrong."""

    url: str = ''
    state: Literal['ok', 'failing', 'unknown'] = 'unknown'
    message: str = ''
    taken: float | None = None
    failing_since: float | None = None
    answers: int = 0
    snapshots: int = 0
    failures: int = 0
    last_delta_objects: int = 0
    last_seconds: float = 0.0
    clock_offset: float | None = None
    webhook: str = ''
    heartbeat: float | None = None


class OutboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    waiting: int = 0
    oldest: float | None = None
    refused: int = 0
    delivered: int = 0
    message: str = ''


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything.  `revision`, `cursor` and the counts are those of the state on disk."""

    written: float
    started: float
    version: str
    instance: str
    boot_server: str = ''
    boot_server_id: int | None = None
    revision: int = 0
    cursor: str = ''
    counts: dict[str, int] = {}
    netbox: NetBoxStatus = NetBoxStatus()
    outbox: OutboxStatus = OutboxStatus()
    services: list[ServiceStatus] = []
    problems: list[ReportedProblem] = []
    tasks: dict[str, int] = {}
    other_instances: list[str] = []


class Board:
    """The status as it is now, changed by the agent's threads and written by one of them."""

    def __init__(self, status: Status) -> None:
        self._lock = threading.Lock()
        self._status = status
        self._services: dict[str, ServiceStatus] = {}
        self._problems: dict[str, list[Problem]] = {}
        self.changed = threading.Event()

    def update(self, **fields: object) -> None:
        with self._lock:
            self._status = msgspec.structs.replace(self._status, **fields)
        self.changed.set()

    def netbox(self, **fields: object) -> None:
        with self._lock:
            self._status = msgspec.structs.replace(
                self._status, netbox=msgspec.structs.replace(self._status.netbox, **fields)
            )
        self.changed.set()

    def outbox(self, **fields: object) -> None:
        with self._lock:
            self._status = msgspec.structs.replace(
                self._status, outbox=msgspec.structs.replace(self._status.outbox, **fields)
            )
        self.changed.set()

    def service(self, name: str, backend: str, **fields: object) -> None:
        with self._lock:
            had = self._services.get(name) or ServiceStatus(name=name, backend=backend)
            self._services[name] = msgspec.structs.replace(had, **fields)
        self.changed.set()

    def problems(self, source: str, problems: list[Problem]) -> None:
        """Replace what one source (a service, 'netbox', 'tasks') finds wrong."""
        with self._lock:
            self._problems[source] = problems
        self.changed.set()

    def now(self) -> Status:
        with self._lock:
            return msgspec.structs.replace(
                self._status,
                written=time.time(),
                services=list(self._services.values()),
                problems=[
                    ReportedProblem(
                        service=found.service, what=found.what, id=found.id, name=found.name, message=found.message,
                        remedy=found.remedy, severity=found.severity,
                    )
                    for problems in self._problems.values()
                    for found in problems
                ],
            )  # fmt: skip

    def write(self, run_folder: Path) -> None:
        write_atomically(run_folder / NAME, msgspec.json.encode(self.now()), 0o644)


# What is told of a plan, in lines and in characters of each; the whole is shown by `substruct-sidecar plan --full`.
LINES = 200
LINE = 200
# The name and password that a URL may hold.
_CREDENTIALS = re.compile(r'(?<=://)[^/\s@]+@')


def difference(plan: Plan) -> list[str]:
    """The first lines of what a plan would change, without what a URL says of who fetches it."""
    found: list[str] = []
    for number, change in enumerate(plan.changes):
        lines = [_CREDENTIALS.sub('…@', line) for line in change.lines()]
        if len(found) + len(lines) > LINES:
            found.append(f'… and {len(plan.changes) - number} more (substruct-sidecar plan {plan.service} --full)')
            break
        found += [line if len(line) <= LINE else line[: LINE - 1] + '…' for line in lines]
    return found


def planned(plan: Plan) -> Planned:
    return Planned(add=plan.count('add'), change=plan.count('change'), remove=plan.count('remove'))


def read(run_folder: Path) -> Status | None:
    """What the agent last wrote; None if there is nothing that can be read."""
    try:
        return msgspec.json.decode((run_folder / NAME).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return None
