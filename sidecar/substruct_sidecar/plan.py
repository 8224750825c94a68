"""Plans: what a service would change, as a value that can be printed, tested and refused.  Pure.

A plan that would take away or alter too large a share of what exists is refused until a person says so: an account that
suddenly sees nothing, or a template that renames everything, must not empty a DHCP server.  (The idea is octoDNS's.)
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

type Operation = Literal['add', 'change', 'remove']
type Severity = Literal['warning', 'error']

_SIGNS: dict[str, str] = {'add': '+', 'change': '~', 'remove': '-'}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be served as it stands in NetBox, or that is not as it should be.

    `what` and `id` name the object as the feed does (machine, subnet, zone, record, task, boot-image), or `service` and
    0 for a service as a whole; `name` is what people call it.  `message` says what is wrong, `remedy` what to do.
    """

    service: str
    what: str
    id: int
    name: str
    message: str
    remedy: str = ''
    severity: Severity = 'error'

    def __str__(self) -> str:
        remedy = f' {self.remedy}' if self.remedy else ''
        return f'{self.what} {self.name}: {self.message}{remedy}'


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is added, changed or removed.

    `key` names the thing within its service and is stable (a host's MAC address, a record's name and type); `before`
    and `after` are what it is and will be, in words or in the service's own syntax, for people.  `payload` is for the
    backend alone.
    """

    operation: Operation
    key: str
    before: str = ''
    after: str = ''
    machine: str = ''
    payload: Any = field(default=None, compare=False, repr=False)

    def lines(self) -> Iterator[str]:
        whose = f'  [{self.machine}]' if self.machine else ''
        yield f'{_SIGNS[self.operation]} {self.key}{whose}'
        if self.before:
            for line in self.before.splitlines():
                yield f'    - {line}'
        if self.after:
            for line in self.after.splitlines():
                yield f'    + {line}'


@dataclass(frozen=True, slots=True)
class Plan:
    """What one service would change.

    `existing` is the number of things (hosts, records, files) of Substruct that the service has now; `disruption` says
    in words what applying it interrupts ('' if nothing: for example 'dhcpd is restarted').  `full` is whether the
    plan looked at everything or at the objects that changed; `looked_at` names others, (what, id), whose problems it
    knows anew because they share something with what changed.  `payload` is for the backend alone.
    """

    service: str
    changes: Sequence[Change] = ()
    existing: int = 0
    problems: Sequence[Problem] = ()
    disruption: str = ''
    full: bool = True
    looked_at: frozenset[tuple[str, int]] = frozenset()
    payload: Any = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def count(self, operation: Operation) -> int:
        return sum(change.operation == operation for change in self.changes)

    @property
    def fingerprint(self) -> str:
        """Names what is to be done: a person who accepts a plan accepts this and nothing else."""
        digest = hashlib.sha256()
        for change in sorted(self.changes, key=lambda change: (change.key, change.operation)):
            digest.update(
                '\0'.join((change.operation, change.key, change.before, change.after, '')).encode(
                    'utf-8', 'backslashreplace'
                )
            )
        return digest.hexdigest()[:12]

    def summary(self) -> str:
        return f'{self.count("add")} to add, {self.count("change")} to change, {self.count("remove")} to remove'

    def diff(self) -> Iterator[str]:
        """The lines of `substruct-sidecar plan`."""
        yield f'{self.service}: {self.summary()}; {self.existing} there now'
        if self.disruption:
            yield f'  applying it: {self.disruption}'
        for change in self.changes:
            for line in change.lines():
                yield f'  {line}'
        for problem in self.problems:
            yield f'  ! {problem}'


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of what exists a plan may take away or alter by itself.

    Shares are of `Plan.existing`.  Up to `floor` removals and changes are always allowed, so that small installations
    can work.
    """

    removed: float = 0.2
    changed: float = 0.5
    floor: int = 10


class Unsafe(Exception):
    """A plan was refused; `plan` is what it was."""

    def __init__(self, plan: Plan, message: str) -> None:
        super().__init__(message)
        self.plan = plan


def guard(plan: Plan, limits: Limits, accepted: Callable[[str], bool] = lambda fingerprint: False) -> None:
    """Raise Unsafe if the plan goes beyond the limits and nobody has accepted its fingerprint."""
    for operation, verb, share in (('remove', 'remove', limits.removed), ('change', 'change', limits.changed)):
        count = plan.count(operation)  # type: ignore[arg-type]
        if count > limits.floor and count > share * plan.existing:
            if accepted(plan.fingerprint):
                return
            raise Unsafe(
                plan,
                f'The plan for {plan.service} would {verb} {count} of {plan.existing}, more than {share:.0%}: it is '
                f'refused until a person has looked at it (substruct-sidecar plan {plan.service}) and accepts it '
                f'(substruct-sidecar apply {plan.service} --accept {plan.fingerprint}).',
            )
