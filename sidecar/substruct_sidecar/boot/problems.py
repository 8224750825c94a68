"""What is wrong from the point of view of machines that ask: kept for a while, and left where the agent finds it.

A problem is heard of when a machine asks, again and again, and is over when it is not heard of any more.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..files import write_atomically
from ..plan import Problem
from ..status import ReportedProblem

# The file of the HTTP process in the run folder.
HTTP = 'http.json'
# Seconds that a problem stands after it was last met, and how many are kept.
STANDS = 1800.0
KEPT = 500
# So many of one machine: what it says of itself stands in them, and anybody may say anything.
EACH = 8


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """<run>/<process>.json: when it was written (seconds since 1970), and what is wrong."""

    written: float
    problems: list[ReportedProblem]


def read(path: Path) -> list[Problem]:
    """What a process has left there; nothing if it is not there or cannot be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return []
    return [
        Problem(
            one.service, one.what, one.id, one.name, one.message, one.remedy,
            'warning' if one.severity == 'warning' else 'error',
        )
        for one in found.problems
    ]  # fmt: skip


class Problems:
    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._found: dict[Problem, float] = {}
        self._written: list[Problem] | None = None

    def met(self, problem: Problem) -> bool:
        """Note a problem.  True if it is new, and so worth a line in the log."""
        new = problem not in self._found
        if new:
            same = [known for known in self._found if (known.what, known.id) == (problem.what, problem.id)]
            others = same if len(same) >= EACH else list(self._found) if len(self._found) >= KEPT else []
            if others:
                del self._found[min(others, key=lambda known: self._found[known])]
        self._found[problem] = self._clock()
        return new

    def now(self) -> list[Problem]:
        since = self._clock() - STANDS
        self._found = {problem: at for problem, at in self._found.items() if at >= since}
        return list(self._found)

    def write(self) -> None:
        """Write them, if anything has changed.  Raises OSError."""
        found = self.now()
        if found == self._written:
            return
        reported = [
            ReportedProblem(
                service=one.service, what=one.what, id=one.id, name=one.name, message=one.message, remedy=one.remedy,
                severity=one.severity,
            )
            for one in found
        ]  # fmt: skip
        write_atomically(self._path, msgspec.json.encode(Report(written=self._clock(), problems=reported)))
        self._written = found
