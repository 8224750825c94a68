"""Asking the boot servers of a machine for what only they know: a task for each, and one at a time."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from ..choices import TaskKindChoices, TaskStateChoices
from ..lifecycle import events
from ..lifecycle.states import TASK_OPEN
from . import gathering

# A task that nobody has taken for so long was forgotten: its boot server was away.
FORGOTTEN = timedelta(minutes=10)
# Ended tasks that are kept of one machine and boot server.
KEPT = 2


def ask(machine: Any, *, user: Any = None, profile: Any = None) -> list[Any]:
    """Ask every boot server of the machine.  Permission: preview or build on the machine.

    One that was asked and has not answered yet is not asked again.  Gives the tasks that are open now.
    """
    from ..context.reading import boot_image_of
    from ..lifecycle import tasks
    from ..models import Task

    profile = profile or machine.profile
    rendered = gathering.rendered_of(machine, profile)
    image = boot_image_of(profile.chain) if profile is not None else None
    parameters = parameters_of(image.pk if image is not None else None, rendered)
    asked = []
    with events.tracked(user):
        for server in gathering.servers_of(machine):
            of_server = Task.objects.filter(
                machine=machine, boot_server=server, kind=TaskKindChoices.KIND_PREFLIGHT
            ).order_by('-pk')
            waiting = None
            for task in of_server.filter(state__in=TASK_OPEN):
                if waiting is None and task.parameters == parameters and not _forgotten(task, timezone.now()):
                    waiting = task
                else:
                    tasks.cancel(task, user=user)
            for old in of_server.exclude(state__in=TASK_OPEN)[KEPT - 1 :]:
                old.delete()
            if waiting is None:
                waiting = Task(
                    boot_server=server, machine=machine, kind=TaskKindChoices.KIND_PREFLIGHT, parameters=parameters,
                    max_attempts=2,
                )  # fmt: skip
                waiting.full_clean()
                waiting.save()
            asked.append(waiting)
    return asked


def parameters_of(image: int | None, rendered: gathering.Rendered) -> dict[str, Any]:
    """What is asked for: what a build would need of a boot server beyond what the machine has now."""
    return {'boot_image': image, 'prospector': list(rendered.prospector), 'secrets': list(rendered.secrets)}


def _forgotten(task: Any, now: datetime) -> bool:
    created: datetime = task.created
    return task.state == TaskStateChoices.STATE_PENDING and now - created > FORGOTTEN


def newest(machine: Any, servers: list[int], parameters: dict[str, Any] | None = None) -> dict[int, list[Any]]:
    """The tasks of each boot server, the newest first; with `parameters` those that asked for them.  One query."""
    from ..models import Task

    found: dict[int, list[Any]] = {}
    for task in Task.objects.filter(
        machine=machine, boot_server__in=servers, kind=TaskKindChoices.KIND_PREFLIGHT
    ).order_by('-pk'):
        if parameters is None or task.parameters == parameters:
            found.setdefault(task.boot_server_id, []).append(task)
    return found
