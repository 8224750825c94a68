"""How much of what nobody is authenticated for is taken: reports of one client in a while, and room on the disk.

Facts may come from anybody on the boot network, so nobody may fill the outbox with them, or keep the server busy with
reading them; and whatever else is reported, there is room left to keep that a build has ended.
"""

import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

# Clients that are remembered; who asked longest ago begins anew.
REMEMBERED = 16384
# Bytes of the disk that are kept for what ends a build or says that its disk is written.
RESERVE = 64 << 20
# Seconds for which the room that was found counts.
_LOOK = 1.0


class Allowance:
    """So many bytes from each client at once, and then so many a second; every report counts as `least` at least."""

    def __init__(self, burst: float, rate: float, least: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._least, self._clock = burst, rate, least, clock
        # What is left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, size: int) -> float:
        """Seconds until this may be taken; 0 where it is taken now."""
        now = self._clock()
        left, since = self._left.get(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        cost = min(max(float(size), self._least), self._burst)
        self._left[client] = (left - cost if cost <= left else left), now
        self._left.move_to_end(client)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return max(0.0, (cost - left) / self._rate)


class Room:
    """Whether the disk has room for what could be done without."""

    def __init__(self, folder: Path, reserve: int = RESERVE, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._reserve, self._clock = folder, reserve, clock
        self._looked, self._is_there = -_LOOK, True

    def is_there(self) -> bool:
        now = self._clock()
        if now - self._looked >= _LOOK:
            self._looked = now
            try:
                self._is_there = shutil.disk_usage(self._folder).free >= self._reserve
            except OSError:
                self._is_there = True  # writing will tell
        return self._is_there
