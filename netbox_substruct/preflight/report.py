"""All that preflight says of a machine: NetBox's own steps, and what its boot servers last answered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import TaskStateChoices
from ..lifecycle.states import TASK_OPEN
from . import answers, asking, checks, gathering
from .steps import Group, Link, Outcome, Step, age, groups, in_order, worst

# An answer that is older than this is shown, and blocks nothing: what was wrong may have been mended.
HOLDS = timedelta(minutes=10)
# One that is older than this is asked for anew by whoever opens the page.
FRESH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A boot server: when it was asked last, when the answer came that is shown, and how it stands."""

    name: str
    link: Link | None
    state: Literal['never', 'asked', 'answered', 'failed']
    asked: datetime | None = None
    answered: datetime | None = None
    error: str = ''

    @property
    def asked_ago(self) -> str:
        return age(self.asked) if self.asked is not None else ''

    @property
    def answered_ago(self) -> str:
        return age(self.answered) if self.answered is not None else ''


@dataclass(frozen=True, slots=True)
class Report:
    steps: tuple[Step, ...]
    servers: tuple[Asked, ...]

    @property
    def outcome(self) -> Outcome:
        return worst(self.steps)

    @property
    def blocking(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.blocking)

    @property
    def groups(self) -> tuple[Group, ...]:
        return groups(self.steps)

    @property
    def waiting(self) -> bool:
        """Whether an answer is still to come."""
        return any(server.state == 'asked' for server in self.servers)

    @property
    def stale(self) -> bool:
        """Whether a boot server should be asked (again)."""
        now = timezone.now()
        return any(
            server.state != 'asked' and (server.asked is None or now - server.asked > FRESH) for server in self.servers
        )

    def count(self, outcome: Outcome) -> int:
        return sum(step.outcome == outcome for step in self.steps)


def look(machine: Any, *, user: Any = None, profile: Any = None) -> Report:
    """What is known now; nobody is asked.  Permission: preview or build on the machine.

    With a `user`, what that user may not view is neither named nor linked.
    """
    found = gathering.gather(machine, user, profile)
    steps = list(checks.check(found))
    wanted = asking.parameters_of(found.image.id if found.image is not None else None, found.rendered)
    tasks = asking.newest(machine, [server.id for server in found.servers], wanted)
    servers = []
    told: list[list[Step]] = []
    for server in found.servers:
        asked, said = _of_server(server, tasks.get(server.id, []))
        servers.append(asked)
        told.append(said)
    # What NetBox has said already is not said again.
    said_already = {(step.key, step.words) for step in steps}
    answered = [step for step in blocking_only_where_all_do(told) if (step.key, step.words) not in said_already]
    return Report(in_order([*steps, *answered]), tuple(servers))


def _of_server(server: gathering.Server, tasks: list[Any]) -> tuple[Asked, list[Step]]:
    if not tasks:
        return Asked(server.name, server.link, 'never'), []
    last = tasks[0]
    answered = next((task for task in tasks if task.state == TaskStateChoices.STATE_DONE), None)
    steps = _steps(server.name, answered) if answered is not None else []
    state: Literal['asked', 'answered', 'failed'] = 'answered'
    error = ''
    if last.state in TASK_OPEN:
        state = 'asked'
    elif last.state != TaskStateChoices.STATE_DONE:
        state, error = 'failed', last.error or str(last.get_state_display())
        steps.append(
            Step('known', 'unknown', _('{server} could not look: {why}').format(server=server.name, why=error),
                 source=server.name, time=last.finished)
        )  # fmt: skip
    return Asked(
        server.name, server.link, state, last.created, answered.finished if answered is not None else None, error
    ), steps  # fmt: skip


def _steps(name: str, task: Any) -> list[Step]:
    fresh = timezone.now() - task.finished <= HOLDS
    return answers.steps_of(task.answer, name, task.finished, may_block=fresh)


def blocking_only_where_all_do(told: list[list[Step]]) -> list[Step]:
    """A machine may ask any of its boot servers: it fails for sure only if it does so from each of them."""
    from dataclasses import replace

    if all(any(step.blocking for step in steps) for steps in told):
        return [step for steps in told for step in steps]
    return [replace(step, blocking=False) for steps in told for step in steps]
