"""Waiting for what happens in other processes, with an end."""

import time
from collections.abc import Callable


def eventually[T](condition: Callable[[], T], words: str = 'it did not come about in time', seconds: float = 30.0) -> T:
    """The condition's answer, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, words
        time.sleep(0.02)
    return found
