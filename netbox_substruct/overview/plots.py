"""The shapes of the overview's plots.  Pure: numbers in, rectangles out; the templates draw them as SVG.

What a bar means never hangs on its colour alone: complete builds stand above the line, failed ones hang below it; and a
table says the same in numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from .reading import Day, Durations

# Of the height of a plot of days, in per cent; a bar that is there can be seen.
LEAST = 1.5
# Of the width of a day that its bar takes.
WIDTH = 0.8


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    index: int  # of the day or group that it is of
    up: bool = True


@dataclass(frozen=True, slots=True)
class DaysPlot:
    """`width` is the number of days and `line` where the zero is, of a height of 100."""

    width: int
    line: float
    bars: list[Bar]
    most_complete: int
    most_failed: int


def of_days(days: Sequence[Day]) -> DaysPlot:
    """Complete builds above the line, failed ones below, to the same scale."""
    above, below = max((day.complete for day in days), default=0), max((day.failed for day in days), default=0)
    scale = 100 / ((above + below) or 1)
    line = above * scale if above + below else 100.0
    bars = []
    for index, day in enumerate(days):
        x = index + (1 - WIDTH) / 2
        if day.complete:
            height = max(LEAST, day.complete * scale)
            bars.append(Bar(x, max(0.0, line - height), WIDTH, height, index))
        if day.failed:
            height = max(LEAST, day.failed * scale)
            bars.append(Bar(x, min(line, 100 - height), WIDTH, height, index, up=False))
    return DaysPlot(len(days), line, bars, above, below)


@dataclass(frozen=True, slots=True)
class Span:
    """One line of a plot of durations: how far half and nine of ten of its builds reach, in per cent of the longest."""

    durations: Durations
    p50: float
    p90: float

    @property
    def rest(self) -> float:
        """From the one to the other."""
        return max(0.0, self.p90 - self.p50)


def of_durations(groups: Sequence[Durations]) -> list[Span]:
    longest = max((group.p90 for group in groups), default=timedelta(0)) or timedelta(seconds=1)
    return [Span(group, 100 * (group.p50 / longest), 100 * (group.p90 / longest)) for group in groups]
