"""What a server did not take is left alone for a while: each try is a time in which nobody is served.

It is about configurations that pass the server's own check, and with which it then does not come up.
"""

import time
from collections.abc import Callable

from ..service import ApplyError

TIMES = 2
"""The first time may have been an accident: somebody restarted the server meanwhile, or a disk was full."""
SECONDS = 3600.0


class Patience:
    """For one server.  `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed = ('', 0, 0.0)  # what, how often, when

    def failed(self, what: str) -> None:
        """It did not take `what`, which is a fingerprint."""
        known, times, _ = self._failed
        self._failed = (what, times + 1 if known == what else 1, self._clock())

    def forget(self) -> None:
        """It has taken something, or a person asks."""
        self._failed = ('', 0, 0.0)

    def ask(self, what: str, server: str) -> None:
        """Raises ApplyError if it is not to be tried now."""
        known, times, when = self._failed
        left = when + SECONDS - self._clock()
        if known == what and times >= TIMES and left > 0:
            raise ApplyError(
                f'{server} did not come up with this configuration before, and serves with the last good one. It is '
                f'tried again in {left / 60:.0f} minutes, or when it changes, or at once with substruct-sidecar apply '
                f'dhcp.'
            )
