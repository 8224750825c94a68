"""How a fuzz target runs: under a coverage-guided fuzzer (atheris, libFuzzer) for a bounded time.

A target is a program tests/fuzz/fuzz_<name>.py that takes libFuzzer's arguments and ends with a failure if it found a
fault.  `make fuzz` runs every one for FUZZ_SECONDS and keeps what it learns in .run/fuzz/<name>/; a fault is left there
as crash-<digest>, to be run again with `python -m tests.fuzz.fuzz_<name> .run/fuzz/<name>/crash-<digest>`.
`pytest tests/fuzz` runs each for a second.  This module serves targets that begin from seeds.
"""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(check: Callable[[bytes], None], seeds: Sequence[bytes], instrument: Sequence[str]) -> None:
    """Does not return.  `check` raises on a fault; the branches of the modules `instrument` guide the fuzzer.

    The seeds go into the first folder among the arguments; without one they are not used.
    """
    import atheris

    for name in instrument:
        for function in _functions(name):
            atheris.instrument_func(function)
    folders = [Path(argument) for argument in sys.argv[1:] if Path(argument).is_dir()]
    for seed in seeds if folders else ():
        (folders[0] / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    atheris.Setup([*sys.argv, '-timeout=10'], check)
    atheris.Fuzz()


def _functions(module: str) -> list[Callable[..., object]]:
    """The functions and methods that a module defines; instrumenting them changes them in place."""
    loaded = importlib.import_module(module)
    own = [thing for thing in vars(loaded).values() if getattr(thing, '__module__', '') == module]
    classes = [thing for thing in own if inspect.isclass(thing)]
    methods = [method for each in classes for method in vars(each).values() if inspect.isfunction(method)]
    return [
        function
        for function in [*(thing for thing in own if inspect.isfunction(thing)), *methods]
        if function.__module__ == module
    ]
