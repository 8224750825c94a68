"""What part of a file an HTTP request gets: conditions and ranges of RFC 9110 (sections 13 and 14).  Pure.

Firmware and boot loaders resume downloads and read files in pieces, so half of one version must never be joined to half
of another: a range is given only if its condition still holds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_ETAG = re.compile(r'(W/)?"([^"]*)"')
_RANGE = re.compile(r'bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """`status` 200, 206, 304, 412 or 416; with 200 and 206 the bytes from `start`, `count` of them."""

    status: int
    start: int = 0
    count: int = 0


def part_of(headers: Mapping[str, str], size: int, etag: str, modified: int, *, get: bool = True) -> Part:
    """What to answer for a file of `size` bytes with this (strong) ETag, last modified at `modified` (seconds).

    `get` is False for HEAD, for which ranges mean nothing (section 14.2).
    """
    match, unmodified = headers.get('If-Match'), headers.get('If-Unmodified-Since')
    if match is not None:
        if not _listed(match, etag, weak=False):
            return Part(412)
    elif unmodified is not None and (since := _date(unmodified)) is not None and modified > since:
        return Part(412)
    none_match, changed = headers.get('If-None-Match'), headers.get('If-Modified-Since')
    if none_match is not None:
        if _listed(none_match, etag, weak=True):
            return Part(304)
    elif changed is not None and (since := _date(changed)) is not None and modified <= since:
        return Part(304)
    wanted = headers.get('Range')
    if not get or wanted is None or not _still(headers.get('If-Range'), etag, modified):
        return Part(200, 0, size)
    return _range(wanted, size)


def _range(wanted: str, size: int) -> Part:
    """One range.  Several at once, and what is no range, get the whole file, as the standard allows."""
    found = _RANGE.match(wanted.strip())
    if found is None or (not found[1] and not found[2]) or max(len(found[1]), len(found[2])) > 18:
        return Part(200, 0, size)
    if not found[1]:
        count = min(int(found[2]), size)
        return Part(206, size - count, count) if count else Part(416)
    start = int(found[1])
    end = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < start:
        return Part(200, 0, size)
    return Part(206, start, end - start + 1) if start < size else Part(416)


def _still(condition: str | None, etag: str, modified: int) -> bool:
    """Whether the part that the client has is of this file (If-Range: this very ETag, not weak; or this very date)."""
    if condition is None:
        return True
    if condition.lstrip().startswith(('"', 'W/')):
        return condition.strip() == f'"{etag}"'
    return _date(condition) == modified


def _listed(value: str, etag: str, *, weak: bool) -> bool:
    if value.strip() == '*':
        return True
    return any(found == etag and (weak or not prefix) for prefix, found in _ETAG.findall(value))


def _date(value: str) -> int | None:
    try:
        return int(parsedate_to_datetime(value).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
