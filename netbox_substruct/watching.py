"""How far a build has come, as it is watched: its stages with their times, and its logs in one place.

`stages`, `interval` and `seen` are pure.
What happened stands in `timeline`; here is what one wants to know while it happens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models.functions import Length, Right

from .choices import BuildStateChoices as State
from .lifecycle.states import BUILD_ACTIVE, BUILD_OPEN, BUILD_ORDER, next_build_state

# Characters of all logs of a build that a page shows, of one of them, and how many of them it looks at.
LOGS, LOG, PARTS = 200_000, 50_000, 500
# Seconds after which a page that watches asks again, and after which it shows the time anew though nothing happened.
ACTIVE, STALLED, TICK = 2, 15, 10


@dataclass(frozen=True, slots=True)
class Stage:
    """A state on the way of a build: `is_now` where it is, or where it ended otherwise than complete (`stopped`).

    `took` is how long it was or has been there; None for one that was not come to, or was passed over.
    """

    state: str
    reached: datetime | None
    took: timedelta | None
    is_now: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class LogPart:
    """The log that one event brought; `cut` says that only its end is here."""

    event_id: int
    time: datetime
    kind: str
    message: str
    text: str
    cut: bool


def stages(
    events: Iterable[tuple[str, datetime]], requested: datetime, state: str, finished: datetime | None, now: datetime
) -> list[Stage]:
    """The stages of a build in `state`, from its events (kind and time) in the order in which they came."""
    entered: dict[str, datetime] = {State.STATE_PENDING: requested}
    at = State.STATE_PENDING
    for kind, time in events:
        moved = next_build_state(at, kind)
        if moved is not None:
            at = moved
            entered.setdefault(at, time)
    found = [each for each in BUILD_ORDER if each in entered]
    last = found[-1]
    until = {each: entered[after] for each, after in pairwise(found)}
    until[last] = now if state in BUILD_ACTIVE else finished or now
    ended_otherwise = state not in BUILD_ORDER
    return [
        Stage(
            each,
            entered.get(each),
            max(timedelta(0), until[each] - entered[each])
            if each in entered and each != State.STATE_COMPLETE
            else None,
            is_now=each == (last if ended_otherwise else state),
            stopped=ended_otherwise and each == last,
        )
        for each in BUILD_ORDER
    ]


def interval(state: str) -> int | None:
    """Seconds after which a page looks again; None where nothing happens any more."""
    if state in BUILD_ACTIVE:
        return ACTIVE
    return STALLED if state in BUILD_OPEN else None


def seen(state: str, progress: int | None, last_event: int | None, since: timedelta) -> str:
    """Stands for what a page shows of a build: while it is the same, there is nothing to show anew."""
    tick = int(since.total_seconds()) // TICK if state in BUILD_ACTIVE else ''
    return f'{state}.{"" if progress is None else progress}.{last_event or 0}.{tick}'


def logs(build: Any, user: Any, after: int = 0) -> tuple[list[LogPart], bool]:
    """What machines wrote, as far as a user may see its events, in the order in which it came; and whether more is
    kept than is shown.  `after` is the event that was shown last."""
    from .models import BuildEvent

    visible = BuildEvent.objects.restrict(user, 'view').filter(build=build, pk__gt=after).exclude(log='')
    lengths = list(visible.order_by('-pk').annotate(length=Length('log')).values_list('pk', 'length')[: PARTS + 1])
    wanted, total = [], 0
    for pk, length in lengths[:PARTS]:
        if total >= LOGS:
            break
        wanted.append(pk)
        total += min(length, LOG)
    if not wanted:
        return [], False
    parts = [
        LogPart(pk, time, kind, message, text, cut=length > LOG)
        for pk, time, kind, message, text, length in visible.filter(pk__in=wanted)
        .order_by('pk')
        .annotate(end=Right('log', LOG), length=Length('log'))
        .values_list('pk', 'time', 'kind', 'message', 'end', 'length')
    ]
    return parts, len(wanted) < len(lengths)
