"""What preflight says of one step of the chain: the plugin's `preflight.answers` is the other side."""

from typing import Any, Literal

import msgspec

type Outcome = Literal['ok', 'warning', 'failure', 'unknown']

FORMAT_VERSION = 1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`key` names the step (docs/preflight.md has them all), `words` what was found, `remedy` what to do.

    `breaks`: a build would surely not come to its end, whatever else is well.  Only what does not mend itself, and does
    not depend on who is reached at the moment.
    """

    key: str
    outcome: Outcome
    words: str
    remedy: str = ''
    breaks: bool = False


def ok(key: str, words: str) -> Step:
    return Step(key=key, outcome='ok', words=words)


def warning(key: str, words: str, remedy: str = '') -> Step:
    return Step(key=key, outcome='warning', words=words, remedy=remedy)


def failure(key: str, words: str, remedy: str = '', *, breaks: bool = False) -> Step:
    return Step(key=key, outcome='failure', words=words, remedy=remedy, breaks=breaks)


def unknown(key: str, words: str, remedy: str = '') -> Step:
    return Step(key=key, outcome='unknown', words=words, remedy=remedy)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a build would need beyond what the machine has now: the parameters of the task.

    `boot_image` is an id; `prospector` are architectures, `secrets` names, as the rendered artifacts refer to them.
    """

    boot_image: int | None = None
    prospector: list[str] = []
    secrets: list[str] = []


def report(steps: list[Step]) -> dict[str, Any]:
    """The answer of the task."""
    return {'format_version': FORMAT_VERSION, 'steps': msgspec.to_builtins(steps)}
