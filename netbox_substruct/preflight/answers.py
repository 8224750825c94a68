"""What boot servers answer to the task `preflight`, held to its types.  Pure.

The sidecar's `preflight.steps` is the other side.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from django.utils.translation import gettext as _
from msgspec import Meta

from .steps import Step

FORMAT_VERSION = 1
MOST_STEPS = 200
# Characters of a text that are kept.
TEXT = 2000

_KEY = re.compile(r'[a-z][a-z0-9-]{0,39}\Z')


class Said(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    outcome: Literal['ok', 'warning', 'failure', 'unknown']
    words: str
    remedy: str = ''
    breaks: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`breaks` of a step: a build would surely not succeed from that boot server."""

    format_version: Annotated[int, Meta(ge=1)]
    steps: Annotated[list[Said], Meta(max_length=MOST_STEPS)]


class NoAnswer(ValueError):
    """What a boot server answered is not what it should be."""


def read(answer: Any) -> Answer:
    """Raises NoAnswer with the reason."""
    try:
        found = msgspec.convert(answer, Answer)
    except msgspec.ValidationError as error:
        raise NoAnswer(_('The boot server answered what is no preflight: {why}').format(why=error)) from error
    if unknown := next((step.key for step in found.steps if not _KEY.match(step.key)), None):
        raise NoAnswer(_('The boot server answered with a step named {name}.').format(name=ascii(unknown[:40])))
    if found.format_version != FORMAT_VERSION:
        raise NoAnswer(
            _('The boot server answers in format {theirs}, and this plugin reads {ours}: upgrade the older of them.')
            .format(theirs=found.format_version, ours=FORMAT_VERSION)
        )  # fmt: skip
    return found


def taken(answer: dict[str, Any] | None, error: str) -> tuple[dict[str, Any] | None, str]:
    """An answer as it arrives, (answer, error): what is none becomes an error, and texts are cut."""
    if error:
        return None, error
    try:
        found = read(answer)
    except NoAnswer as problem:
        return None, str(problem)
    steps = [msgspec.structs.replace(step, words=step.words[:TEXT], remedy=step.remedy[:TEXT]) for step in found.steps]
    return msgspec.to_builtins(msgspec.structs.replace(found, steps=steps)), ''


def steps_of(answer: Any, source: str, time: Any, *, may_block: bool) -> list[Step]:
    """The steps that a kept answer tells; one step that says so where it cannot be read."""
    try:
        found = read(answer)
    except NoAnswer as error:
        return [Step('known', 'unknown', str(error), source=source, time=time)]
    return [
        Step(
            step.key, step.outcome, step.words, step.remedy, blocking=may_block and step.breaks, source=source,
            time=time,
        )
        for step in found.steps
    ]  # fmt: skip
