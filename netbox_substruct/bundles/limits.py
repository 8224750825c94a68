"""What a rendering may cost, counted as it goes.

Steps and characters are counted, not measured, so the same template with the same data always ends the same way.  The
clock is only the last guard: it is read between steps, and no single step can take long, because no value can be large.
"""

import time
from typing import Any, NoReturn

STEPS = 500_000  # loop rounds, blocks entered, calls, filters, and values looked through
CHARACTERS = 16_000_000  # of text made, whether it is put out or not
OUTPUT = 2_000_000  # characters of one artifact
TEXT = 1_000_000  # characters of one text
ITEMS = 50_000  # items of one list or mapping, with those inside it
RANGE = 10_000  # numbers in one range()
NUMBER = 4096  # bits of one whole number
DEPTH = 50  # macros, includes and recursive loops inside one another
SOURCE = 250_000  # characters of one template
SECONDS = 5.0


class LimitError(Exception):
    """A template asked for more than a rendering may cost."""


class Budget:
    """What one bundle has used so far."""

    __slots__ = ('characters', 'deadline', 'depth', 'steps')

    def __init__(self, seconds: float | None = None) -> None:
        self.steps = STEPS
        self.characters = CHARACTERS
        self.depth = 0
        self.deadline = time.monotonic() + (SECONDS if seconds is None else seconds)

    def step(self, count: int = 1, characters: int = 0) -> None:
        self.steps -= count
        self.characters -= characters
        if self.steps < 0:
            raise LimitError(f'it takes more than {STEPS:,} steps; is a loop without end in it?')
        if self.characters < 0:
            raise LimitError(f'it makes more than {CHARACTERS:,} characters of text.')
        if time.monotonic() > self.deadline:
            raise LimitError(f'it takes longer than {SECONDS:g} seconds.')

    def enter(self) -> None:
        self.depth += 1
        if self.depth > DEPTH:
            raise LimitError(f'macros, includes or loops call themselves more than {DEPTH} deep.')

    def leave(self) -> None:
        self.depth -= 1

    def value(self, value: Any) -> Any:
        """Passes a value that a template made, if it is of a size that is allowed, and counts it."""
        if isinstance(value, str):
            if len(value) > TEXT:
                too_long(len(value))
            self.step(1, len(value))
        elif isinstance(value, bool) or value is None:
            pass
        elif isinstance(value, int):
            if value.bit_length() > NUMBER:
                too_big()
        elif isinstance(value, list | tuple | dict):
            self.step(*weigh(value))
        return value


def weigh(value: Any) -> tuple[int, int]:
    """How many items and characters a value holds, those that stand in it twice counted twice; LimitError if too many.

    Lists that hold one list many times are small in memory and vast when they are written, so this looks at them as
    they would be written.
    """
    items = characters = 0
    waiting = [value]
    while waiting:
        value = waiting.pop()
        items += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        if items + len(waiting) > ITEMS:
            raise LimitError(f'a list or mapping has more than {ITEMS:,} items.')
        if characters > TEXT:
            raise LimitError(f'a list or mapping holds more than {TEXT:,} characters.')
    return items, characters


def too_long(length: int) -> NoReturn:
    raise LimitError(f'a text would have {length:,} characters; {TEXT:,} is the most.')


def too_big() -> NoReturn:
    raise LimitError(f'a number would have more than {NUMBER:,} bits.')
