"""Moves of tasks: claimed by one boot server, answered or tried again, cancelled."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import BootServerStatusChoices
from ..choices import TaskStateChoices as State
from . import events
from .errors import NotAllowed
from .states import TASK_MOVES

if TYPE_CHECKING:
    from ..models import BootServer, Task

# Seconds before a failed task is tried again: after the first, the second, … attempt; the last one from then on.
BACK_OFF = (10, 60, 300, 900)


def claim(boot_server: 'BootServer', *, user: Any = None, limit: int = 10) -> list['Task']:
    """Claim the oldest tasks that are due for a boot server, at most `limit`.

    Two sidecars that ask at once never get the same task: rows that another has locked are passed over.
    """
    from ..models import Task

    now = timezone.now()
    if boot_server.status == BootServerStatusChoices.STATUS_OFFLINE:
        return []
    with events.tracked(user):
        due = (
            Task.objects.filter(boot_server=boot_server, state=State.STATE_PENDING)
            .filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
            .order_by('pk')
            .select_for_update(of=('self',), skip_locked=True)
        )
        claimed = list(due[:limit])
        for task in claimed:
            task.snapshot()
            task.state = State.STATE_CLAIMED
            task.claimed = now
            task.attempts += 1
            task.save()
    return claimed


def answer(task: 'Task', *, answer: dict[str, Any] | None = None, error: str = '', user: Any = None) -> 'Task':
    """Take the answer of a claimed task.  With an error it is tried again until its attempts are used up.

    Raises NotAllowed if the task is not claimed (it was cancelled, or answered by somebody else).
    """
    with events.tracked(user):
        locked = _lock(task.pk)
        if locked.state != State.STATE_CLAIMED:
            raise _refused(locked, _('answered'))
        locked.snapshot()
        locked.answer = answer or {}
        locked.error = error
        if not error:
            locked.state, locked.finished = State.STATE_DONE, timezone.now()
        elif locked.attempts >= locked.max_attempts:
            locked.state, locked.finished = State.STATE_FAILED, timezone.now()
        else:
            locked.state, locked.claimed = State.STATE_PENDING, None
            wait = BACK_OFF[min(locked.attempts, len(BACK_OFF)) - 1]
            locked.not_before = timezone.now() + timedelta(seconds=wait)
        locked.save()
    task.refresh_from_db()
    return task


def cancel(task: 'Task', *, user: Any = None) -> 'Task':
    """Take a task back.  Permission: change on the task.  Raises NotAllowed if it has ended already."""
    return _move(task, State.STATE_CANCELLED, _('cancelled'), user)


def retry(task: 'Task', *, user: Any = None) -> 'Task':
    """Let a failed task begin again.  Permission: change on the task.  Raises NotAllowed unless it has failed."""
    return _move(task, State.STATE_PENDING, _('tried again'), user)


def _move(task: 'Task', state: str, words: str, user: Any) -> 'Task':
    with events.tracked(user):
        locked = _lock(task.pk)
        if state not in TASK_MOVES[locked.state] or (
            state == State.STATE_PENDING and locked.state != State.STATE_FAILED
        ):
            raise _refused(locked, words)
        locked.snapshot()
        locked.state = state
        if state == State.STATE_PENDING:
            locked.attempts, locked.claimed, locked.finished, locked.not_before, locked.error = 0, None, None, None, ''
        else:
            locked.finished = timezone.now()
        locked.save()
    task.refresh_from_db()
    return task


def _lock(pk: int) -> 'Task':
    from ..models import Task

    return Task.objects.select_for_update(of=('self',)).get(pk=pk)


def _refused(task: 'Task', words: str) -> NotAllowed:
    return NotAllowed(
        _('{task} is {state} and cannot be {words}.').format(
            task=task, state=task.get_state_display().lower(), words=words
        )
    )
