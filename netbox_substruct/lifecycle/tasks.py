"""Moves of tasks: claimed by one sidecar for a time, answered or tried again, cancelled."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from netbox.plugins import get_plugin_config

from ..choices import BootServerStatusChoices
from ..choices import TaskStateChoices as State
from . import events
from .errors import Lost, NotAllowed
from .states import TASK_MOVES

if TYPE_CHECKING:
    from ..models import BootServer, Task

# Seconds before a failed task is tried again: after the first, the second, … attempt; the last one from then on.
BACK_OFF = (10, 60, 300, 900)


def lease() -> timedelta:
    """How long a claim lasts that is not renewed."""
    return timedelta(seconds=get_plugin_config('netbox_substruct', 'task_lease'))


def claim(
    boot_server: 'BootServer', *, instance: str = '', key: str = '', limit: int = 10, user: Any = None
) -> list['Task']:
    """Claim the oldest tasks that are due for a boot server, at most `limit`.  Permission: feed on the boot server.

    `instance` names the sidecar, `key` its request: the same key again gives the tasks that it gave before, as far as
    they are still claimed, and no others.  Two sidecars that ask at once never get the same task: rows that another has
    locked are passed over.  A claim that was not renewed in time is given to whoever asks next, as a new attempt.
    """
    from ..models import Task

    now = timezone.now()
    with events.tracked(user):
        of_server = Task.objects.filter(boot_server=boot_server)
        if key:
            with connection.cursor() as cursor:
                # The first request may still be on its way when the second comes.
                cursor.execute(
                    'SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))',
                    [f'netbox_substruct.claim/{boot_server.pk}/{instance}/{key}'],
                )
            if before := list(of_server.filter(claim_key=key, claimed_by=instance).order_by('pk')):
                return [task for task in before if task.state == State.STATE_CLAIMED]
        if boot_server.status == BootServerStatusChoices.STATUS_OFFLINE:
            return []
        ended = Q(state=State.STATE_CLAIMED, lease_expires__lte=now)
        _give_up(of_server.filter(ended, attempts__gte=F('max_attempts')), now)
        due = (
            of_server.filter(ended | Q(Q(not_before__isnull=True) | Q(not_before__lte=now), state=State.STATE_PENDING))
            .order_by('pk')
            .select_for_update(of=('self',), skip_locked=True)
        )
        claimed = list(due[:limit])
        for task in claimed:
            task.snapshot()
            task.state = State.STATE_CLAIMED
            task.claimed, task.claimed_by, task.claim_key = now, instance, key
            task.lease_expires = now + lease()
            task.attempts += 1
            task.save()
    return claimed


def _give_up(tasks: Any, now: datetime) -> None:
    """Tasks whose last attempt was never heard of again."""
    for task in tasks.select_for_update(of=('self',), skip_locked=True):
        task.snapshot()
        task.state, task.finished = State.STATE_FAILED, now
        task.error = _('{instance} claimed it and was not heard of again.').format(
            instance=task.claimed_by or _('Somebody')
        )
        task.lease_expires, task.claim_key = None, ''
        task.save()


def renew(task: 'Task', *, instance: str, attempt: int) -> 'Task':
    """Keep a claim for another lease.  Permission: feed on the boot server.  Raises Lost if it is somebody else's.

    It is no change that somebody made, and leaves no trace in the changelog.
    """
    from ..models import Task

    with transaction.atomic():
        locked = _lock(task.pk)
        if locked.state != State.STATE_CLAIMED or not _is_claim(locked, instance, attempt):
            raise _lost(locked, instance, attempt)
        Task.objects.filter(pk=task.pk).update(lease_expires=timezone.now() + lease())
    task.refresh_from_db()
    return task


def answer(
    task: 'Task',
    *,
    answer: dict[str, Any] | None = None,
    error: str = '',
    instance: str | None = None,
    attempt: int | None = None,
    user: Any = None,
) -> 'Task':
    """Take the answer of a claimed task.  With an error it is tried again until its attempts are used up.

    With `instance` and `attempt` only the answer of this claim is taken, and the same answer again changes nothing.
    Raises Lost if the claim is somebody else's or has ended; NotAllowed if the task is not claimed at all.
    """
    with events.tracked(user):
        locked = _lock(task.pk)
        if instance is not None:
            if not _is_claim(locked, instance, attempt) or locked.state == State.STATE_CANCELLED:
                raise _lost(locked, instance, attempt)
            if locked.state != State.STATE_CLAIMED:
                if not locked.claim_key:
                    raise _lost(locked, instance, attempt)
                task.refresh_from_db()
                return task
        if locked.state != State.STATE_CLAIMED:
            raise _refused(locked, _('answered'))
        locked.snapshot()
        locked.answer = answer or {}
        locked.error = error
        locked.lease_expires = None
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
            locked.claimed_by = locked.claim_key = ''
        else:
            locked.finished = timezone.now()
        locked.lease_expires = None
        locked.save()
    task.refresh_from_db()
    return task


def _lock(pk: int) -> 'Task':
    from ..models import Task

    return Task.objects.select_for_update(of=('self',)).get(pk=pk)


def _is_claim(task: 'Task', instance: str, attempt: int | None) -> bool:
    return task.claimed_by == instance and task.attempts == attempt


def _lost(task: 'Task', instance: str, attempt: int | None) -> Lost:
    if task.claimed_by == instance and task.attempts == attempt:
        return Lost(_('{task} was given up or cancelled meanwhile.').format(task=task))
    return Lost(
        _('{task} is not claimed by {instance} for attempt {attempt} (any more).').format(
            task=task, instance=instance, attempt=attempt
        )
    )


def _refused(task: 'Task', words: str) -> NotAllowed:
    return NotAllowed(
        _('{task} is {state} and cannot be {words}.').format(
            task=task, state=task.get_state_display().lower(), words=words
        )
    )
