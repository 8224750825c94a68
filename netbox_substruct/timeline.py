"""The timeline of a build as people read it: what was reported in a row as one step stands in one line.  Pure.

Machines report percentages and lines of logs by the hundred.  A run of either is one row: from when to when, how far it
came, how often it was said.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from .choices import BuildEventKindChoices as Kind

_PERCENT = re.compile(r'\s*\d{1,3}(?:[.,]\d+)?\s*%\s*')
# Characters of a log that are shown; the event's own page has all of it.
SHOWN = 20_000


@dataclass(frozen=True, slots=True)
class Event:
    """What is read of a build event: `log` is the end of its log, `log_length` how long that is as a whole."""

    id: int
    time: datetime
    kind: str
    message: str
    progress: int | None = None
    log: str = ''
    log_length: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `event` is the last of a run, `begun` when its first was, `count` how many there were.

    `after` is the time since the build was requested, `log` what is shown of all their logs, and `cut` says that there
    is more.
    """

    event: Event
    begun: datetime
    after: timedelta
    count: int = 1
    log: str = ''
    cut: bool = False

    @property
    def words(self) -> str:
        """The message, without the percentage that is shown beside it."""
        return _PERCENT.sub('', self.event.message) if self.event.progress is not None else self.event.message

    @property
    def open(self) -> bool:
        """Whether its log is what one came for."""
        return self.event.kind == Kind.KIND_FAILED


def rows(events: Iterable[Event]) -> list[Row]:
    """The events, in their order, as lines."""
    found: list[Row] = []
    start: datetime | None = None
    for event in events:
        start = start or event.time
        last = found[-1] if found else None
        if last is not None and _same_run(last.event, event):
            log = last.log + event.log
            found[-1] = replace(
                last, event=event, count=last.count + 1, log=log[-SHOWN:],
                cut=last.cut or len(log) > SHOWN or event.log_length > len(event.log),
            )  # fmt: skip
        else:
            found.append(
                Row(
                    event, event.time, max(timedelta(0), event.time - start), log=event.log,
                    cut=event.log_length > len(event.log),
                )
            )  # fmt: skip
    return found


def _same_run(before: Event, event: Event) -> bool:
    if event.kind != before.kind:
        return False
    if event.kind == Kind.KIND_PROGRESS:
        return event.progress is not None and before.progress is not None and not event.log and not before.log
    return event.kind == Kind.KIND_NOTE and bool(event.log) and bool(before.log) and event.message == before.message


def span(time: timedelta) -> str:
    """A time as it is read at a glance: 0:05, 12:40, 3:12:40; days in words."""
    seconds = int(time.total_seconds())
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = f'{hours}:{minutes:02}:{seconds:02}' if hours or days else f'{minutes}:{seconds:02}'
    return _('{days} d {clock}').format(days=days, clock=clock) if days else clock


def of_build(build: Any, user: Any) -> list[Row]:
    """The timeline of a Build, as far as a user may see its events."""
    from django.db.models.functions import Length, Right

    from .models import BuildEvent

    events = BuildEvent.objects.restrict(user, 'view').filter(build=build).order_by('time', 'pk')
    return rows(
        Event(*values)
        for values in events.annotate(end=Right('log', SHOWN), length=Length('log')).values_list(
            'pk', 'time', 'kind', 'message', 'progress', 'end', 'length'
        )
    )
