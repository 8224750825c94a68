"""Runs the tools of the image, each with a time limit.  Whatever they print is data."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

One = TypeVar('One')
Other = TypeVar('Other')


class ToolError(Exception):
    """A tool is missing, failed, or did not end in time; the message begins with its command."""


@dataclass(frozen=True)
class Done:
    status: int
    output: str
    errors: str

    def last(self) -> str:
        """Its last words, for people."""
        lines = [line.strip() for line in (self.errors or self.output).splitlines() if line.strip()]
        return lines[-1] if lines else f'exit status {self.status}'


def run(command: Sequence[str], seconds: float = 20.0, given: str | None = None, *, check: bool = True) -> Done:
    """Raises ToolError; with `check` also for another exit status than 0."""
    name = ' '.join(command)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ToolError(f'{name}: {error.strerror}') from error
    try:
        output, errors = process.communicate(None if given is None else given.encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ToolError(f'{name}: gave no answer in {seconds:.0f} seconds') from None
    done = Done(process.returncode, output.decode('utf-8', 'replace'), errors.decode('utf-8', 'replace'))
    if check and done.status:
        raise ToolError(f'{name}: {done.last()}')
    return done


def each(do: Callable[[One], Other], items: Sequence[One], most: int = 8) -> list[Other]:
    """The results of a function for all items, so many at the same time; raises what the first failed with."""
    results: dict[int, Other] = {}
    failures: list[BaseException] = []
    waiting = list(enumerate(items))[::-1]

    def work() -> None:
        while waiting and not failures:
            try:
                number, item = waiting.pop()
            except IndexError:
                return
            try:
                results[number] = do(item)
            except BaseException as error:
                failures.append(error)

    running = [threading.Thread(target=work, daemon=True) for _ in range(min(most, len(items)))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(items))]


def _end(process: 'subprocess.Popen[bytes]') -> None:
    """One that hangs in the kernel cannot be ended; it is left behind rather than waited for."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        process.communicate(timeout=1.0)
    except subprocess.TimeoutExpired:
        pass
