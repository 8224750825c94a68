"""Logging: structured lines on standard error, as JSON or as text for people.

Every line that concerns a machine has it as `machine`.  Values are escaped, so that no name can make a second line.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from .settings import Log

_TOKEN = re.compile(r'(/build/)[^/\s]+')
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]')


def printable(text: str) -> str:
    """Text for a terminal: what NetBox or a machine calls something moves no cursor and turns no line around."""
    return _CONTROL.sub(lambda match: f'\\u{ord(match.group()):04x}', text.expandtabs())


def _plain(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No control characters, no text that runs the other way, no build tokens."""
    for key, value in event.items():
        if isinstance(value, str):
            clean = _CONTROL.sub(lambda match: f'\\u{ord(match.group()):04x}', value)
            event[key] = _TOKEN.sub(r'\1…', clean)
    return event


class _Unfailing:
    """Standard error for those to whom a line that cannot be written (a full disk, a pipe that nobody reads any more)
    must not be worse than what the line is about."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(settings: Log, process: str) -> None:
    """Set up logging for a process; `process` stands in every line."""
    level = getattr(logging, settings.level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == 'json'
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            # The usual one shows local variables, and tokens and secrets are among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt='iso', utc=True),
    ]
    errors: list[Any] = [structlog.processors.format_exc_info] if settings.format == 'json' else []
    structlog.configure(
        processors=[*shared, *errors, _plain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Unfailing())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    # Libraries log through the standard module; their lines look the same.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*shared, *errors, _plain], processor=renderer)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
