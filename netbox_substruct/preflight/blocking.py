"""What keeps a build from being requested: what would surely break it, as far as boot servers have said so lately.

What NetBox itself can tell (no profile, a template that does not render, a state) is refused by `lifecycle` anyhow.
A boot server that is away keeps nothing from being built.
"""

from typing import Any

from django.utils.translation import gettext as _

from . import asking, gathering
from .checks import MISMATCH
from .report import HOLDS, _steps, blocking_only_where_all_do
from .steps import Step


def refuse(machine: Any, image: Any) -> None:
    """Raises NotReady with every reason, one in each line, if a build that boots `image` would surely fail."""
    from ..lifecycle.errors import NotReady

    reasons = [f'{step.title}: {step.words} {step.remedy}'.strip() for step in breaking(machine, image)]
    if reasons:
        raise NotReady(
            '\n'.join([*reasons, _('When it is mended, run the preflight again, so that its boot server looks anew.')])
        )


def breaking(machine: Any, image: Any) -> list[Step]:
    """The steps; two queries where nothing is wrong."""
    from django.utils import timezone

    from ..choices import TaskKindChoices, TaskStateChoices
    from ..models import BootServer, Task

    urls = {file['url'] for file in image.files} if image is not None else set()
    recent = Task.objects.filter(
        machine=machine, kind=TaskKindChoices.KIND_PREFLIGHT, state=TaskStateChoices.STATE_DONE,
        finished__gte=timezone.now() - HOLDS, answer__steps__contains=[{'breaks': True}],
    )  # fmt: skip
    failed = any(
        BootServer.objects.filter(files__contains=[{'source': url, 'state': 'failed'}]).exists() for url in sorted(urls)
    )
    if not failed and not recent.exists():
        return []
    servers = gathering.servers_of(machine)
    tasks = asking.newest(machine, [server.pk for server in servers])
    told = []
    for server in servers:
        steps = [step for step in _answered(server, tasks.get(server.pk, []), image) if step.blocking]
        if not server.is_late:
            steps += _mismatches(server, urls)
        told.append(steps)
    return [step for step in blocking_only_where_all_do(told) if step.blocking]


def _answered(server: Any, tasks: list[Any], image: Any) -> list[Step]:
    """What it last answered about this boot image."""
    last = next((task for task in tasks if task.state == 'done'), None)
    if last is None or last.parameters.get('boot_image') != (image.pk if image is not None else None):
        return []
    return _steps(str(server), last)


def _mismatches(server: Any, urls: set[str]) -> list[Step]:
    return [
        Step('files', 'failure', str(file.get('error', '')), blocking=True, source=str(server))
        for file in server.files
        if file.get('source') in urls and file.get('state') == 'failed' and MISMATCH in str(file.get('error', ''))
    ]
