"""When the builds of a wave may be begun: between two moments, and on certain days at certain hours.  Pure.

A day's hours may go past midnight: the window belongs to the day on which it opens.  Hours are those of the wall clock
of a time zone: where clocks are changed in the night, a window is an hour longer or shorter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from django.utils.translation import gettext as _

WEEKDAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a window, and which field of the wave says so."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when builds may be begun, the end not included; None: without end."""

    opens: datetime
    closes: datetime | None


@dataclass(frozen=True, slots=True)
class Window:
    """`reserve` is how long a build takes: none is begun when less than that is left."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    daily_from: time | None = None
    daily_until: time | None = None
    days: frozenset[str] = frozenset()
    zone: tzinfo = UTC
    reserve: timedelta = timedelta(0)

    @classmethod
    def of(cls, wave: Any) -> 'Window':
        """That of a Wave."""
        from django.utils import timezone

        return cls(
            not_before=wave.not_before,
            not_after=wave.not_after,
            daily_from=wave.daily_from,
            daily_until=wave.daily_until,
            days=frozenset(wave.days or ()),
            zone=wave.time_zone or timezone.get_default_timezone(),
            reserve=timedelta(minutes=wave.reserve or 0),
        )

    @property
    def limited(self) -> bool:
        """Whether there is any moment at which no build may be begun."""
        return self.not_before is not None or self.not_after is not None or self._by_day

    @property
    def _by_day(self) -> bool:
        return self.daily_from is not None or bool(self.days)

    def wrong(self) -> Wrong | None:
        """Why it never opens or cannot be meant; None if it is in order."""
        if (self.daily_from is None) != (self.daily_until is None):
            field = 'daily_until' if self.daily_until is None else 'daily_from'
            return Wrong(field, _('Daily hours need both a beginning and an end.'))
        if self.daily_from is not None and self.daily_from == self.daily_until:
            return Wrong('daily_until', _('Daily hours that end when they begin are none; leave both empty.'))
        if unknown := sorted(self.days - set(WEEKDAYS)):
            return Wrong('days', _('{day} is no day of the week.').format(day=unknown[0]))
        if self.not_before is not None and self.not_after is not None:
            if self.not_after <= self.not_before:
                return Wrong('not_after', _('The window ends before it begins.'))
            if self.not_after - self.not_before <= self.reserve:
                return Wrong('reserve', _('The window is not longer than a build takes: none would ever begin.'))
        if self.daily_from is not None and self.daily_until is not None:
            day = date(2001, 1, 1)
            begin, end = datetime.combine(day, self.daily_from), datetime.combine(day, self.daily_until)
            if end < begin:
                end += timedelta(days=1)
            if end - begin <= self.reserve:
                return Wrong('reserve', _('The daily hours are not longer than a build takes: none would ever begin.'))
        return None

    def span(self, now: datetime) -> Span | None:
        """The span that is open now, or the next one; None when there is none any more."""
        start = now if self.not_before is None else max(now, self.not_before)
        last = None if self.not_after is None else self.not_after - self.reserve
        if not self._by_day:
            opens = self.not_before or datetime.min.replace(tzinfo=UTC)
            return None if last is not None and start >= last else Span(opens, last)
        # The day before counts too: its hours may go past midnight.  Eight days have every day of the week; the others
        # are for hours that are shorter than the reserve where clocks are put forward.
        today = start.astimezone(self.zone).date()
        for opens, end in self._by_days(today + timedelta(days=offset) for offset in range(-1, 10)):
            closes = (end if self.not_after is None else min(end, self.not_after)) - self.reserve
            if self.not_before is not None:
                opens = max(opens, self.not_before)
            if opens < closes and start < closes:
                return Span(opens, closes)
        return None

    def is_open(self, now: datetime) -> bool:
        span = self.span(now)
        return span is not None and span.opens <= now

    def _by_days(self, days: Iterable[date]) -> list[tuple[datetime, datetime]]:
        """The hours of some days that follow each other; those that meet (whole days, say) are one."""
        found: list[tuple[datetime, datetime]] = []
        begin, end = self.daily_from or time(), self.daily_until or time()
        for day in days:
            if self.days and WEEKDAYS[day.weekday()] not in self.days:
                continue
            last = day + timedelta(days=1) if end <= begin else day
            opens = datetime.combine(day, begin, self.zone).astimezone(UTC)
            closes = datetime.combine(last, end, self.zone).astimezone(UTC)
            if found and opens <= found[-1][1]:
                found[-1] = (found[-1][0], max(closes, found[-1][1]))
            elif opens < closes:
                found.append((opens, closes))
        return found
