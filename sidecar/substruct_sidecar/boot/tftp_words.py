"""What the TFTP server says of its clients in the log: names that anybody may have made up, and not too much of it."""

from collections.abc import Callable

import structlog

log = structlog.get_logger('tftp')

# Log lines a second; what is beyond is counted.
LINES = 200


def shown(name: str) -> str:
    """A hostile name for people: short, on one line, and without anything that a terminal would act on."""
    text = ''.join(each if each.isprintable() else ascii(each)[1:-1] for each in name[:200])
    return text if len(name) <= 200 else f'{text}… ({len(name)} characters)'


class Chatter:
    """So many lines a second: a flood of requests shall not become a flood of lines."""

    def __init__(self, clock: Callable[[], float], lines: int = LINES) -> None:
        self._lines, self._clock = lines, clock
        self._second = 0
        self._said = 0
        self._unsaid = 0

    def allows(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            if self._unsaid:
                log.warning('lines were left out, there were too many', lines=self._unsaid)
            self._second, self._said, self._unsaid = second, 0, 0
        if self._said >= self._lines:
            self._unsaid += 1
            return False
        self._said += 1
        return True
