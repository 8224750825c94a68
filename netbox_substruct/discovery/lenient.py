"""Reading what nobody vouches for: each value by itself, so that one that is wrong costs no other.  Pure.

A shape is a frozen msgspec.Struct whose fields say how they are read: `Annotated[str | None, text(100)]`.  What cannot
be read is left out, and a problem in words says where and why; null and absent are the same and no problem.  Keys that
a shape does not have are passed over: a newer prospector may say more.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address, ip_interface
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import msgspec
from django.utils.translation import gettext as _
from msgspec import Meta

from ..identity import clean_mac, clean_serial, clean_uuid

# Nobody reads more problems than this of one machine.
MOST_PROBLEMS = 100
# Of a text that is longer than what is kept of it, this many times as much is looked at.
LOOKED_AT = 4
REPLACEMENT = '\N{REPLACEMENT CHARACTER}'


class Problems:
    """What could not be read, in words; those after the first hundred are only counted."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._more = 0

    def add(self, path: str, words: str) -> None:
        if len(self._found) < MOST_PROBLEMS:
            self._found.append(f'{path}: {words}' if path else words)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        if self._more:
            return (*self._found, _('And {count} more.').format(count=self._more))
        return tuple(self._found)


class Refused(Exception):
    """The value is not what it should be; the text says why."""


class Field:
    """How the value of a field is read."""

    empty: Any = None  # what the field holds where nothing can be read

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        raise NotImplementedError


class Scalar(Field):
    """One value of a type, which `clean` brings into form; None from it: the value says nothing."""

    def __init__(self, type_: Any, expected: Callable[[], str], clean: Callable[[Any], Any] | None = None) -> None:
        self._type = type_
        self._expected = expected
        self._clean = clean

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 8.0 where somebody's JSON has no whole numbers
        try:
            found = msgspec.convert(value, self._type)
            return self._clean(found) if self._clean else found
        except msgspec.ValidationError:
            problems.add(path, _('{expected} is expected, not {found}.').format(
                expected=self._expected(), found=_shown(value)))  # fmt: skip
        except Refused as error:
            problems.add(path, str(error))
        return None


class _Text(Field):
    """A line of text as people can read it, cut to `limit` characters; a placeholder of firmware is none."""

    def __init__(self, limit: int, empty: Callable[[str], bool]) -> None:
        self._limit = limit
        self._empty = empty

    def read(self, value: Any, path: str, problems: Problems) -> str | None:
        if not isinstance(value, str):
            problems.add(path, _('text is expected, not {found}.').format(found=_shown(value)))
            return None
        head = value[: self._limit * LOOKED_AT]
        line = readable(head)
        if any(not (char.isprintable() or char.isspace()) or char == REPLACEMENT for char in head):
            problems.add(path, _('characters that cannot be shown were left out.'))
        if len(line) > self._limit or len(head) < len(value):
            problems.add(path, _('of {length} characters only the first {limit} are used.').format(
                length=len(value), limit=self._limit))  # fmt: skip
            line = line[: self._limit].rstrip()
        return None if not line or self._empty(line) else line


class _Section(Field):
    def __init__(self, shape: type[msgspec.Struct], optional: bool) -> None:
        self._shape = shape
        self.empty = None if optional else shape()

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            problems.add(path, _('an object is expected, not {found}.').format(found=_shown(value)))
            return self.empty
        return read(self._shape, value, path, problems)


class _Many(Field):
    """A list of which each entry is read by itself; of more than `most` the rest is passed over."""

    empty = ()

    def __init__(self, entry: type[msgspec.Struct] | Field, most: int) -> None:
        self._entry = entry if isinstance(entry, Field) else _Section(entry, optional=True)
        self._most = most

    def read(self, value: Any, path: str, problems: Problems) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            problems.add(path, _('a list is expected, not {found}.').format(found=_shown(value)))
            return ()
        if len(value) > self._most:
            problems.add(path, _('of {count} entries only the first {limit} are used.').format(
                count=len(value), limit=self._most))  # fmt: skip
        found = (
            self._entry.read(item, f'{path}.{number}', problems)
            for number, item in enumerate(value[: self._most])
            if item is not None
        )
        return tuple(item for item in found if item is not None)


# ---------------------------------------------------------------------- texts

# What firmware says that nobody has programmed, in lower case without white space and punctuation.
_PLACEHOLDERS = frozenset(
    (
        '', 'assettag', 'chassismanufacture', 'chassismanufacturer', 'chassisversion', 'default', 'defaultstring',
        'empty', 'invalid', 'na', 'nil', 'noassettag', 'noassetinformation', 'nodimm', 'nomoduleinstalled', 'none',
        'notapplicable', 'notavailable', 'notprovided', 'notset', 'notspecified', 'null', 'oem', 'sku', 'skunumber',
        'systemmanufacturer', 'systemname', 'systemproductname', 'systemversion', 'tobefilledbyoem', 'undefined',
        'unknown', 'unspecified', 'typeunknown', 'xxxxxxxxxx', '0123456789', '1234567890', '123456789',
    )
)  # fmt: skip
_PUNCTUATION = re.compile(r'[\W_]+')


def is_placeholder(value: str) -> bool:
    """Whether a text of firmware says nothing: "To Be Filled By O.E.M.", "Not Specified"."""
    return _PUNCTUATION.sub('', value.lower()) in _PLACEHOLDERS


def readable(value: str) -> str:
    """One line: white space as single spaces, and nothing that is not seen or turns the direction of reading."""
    if not value.isprintable() or REPLACEMENT in value:
        value = ''.join(
            char if char.isprintable() and char != REPLACEMENT else ' ' if char.isspace() else '' for char in value
        )
    return ' '.join(value.split())


def _shown(value: Any) -> str:
    """A value in a problem: short, and never more than a line."""
    if isinstance(value, dict):
        return _('an object')
    if isinstance(value, list | tuple):
        return _('a list')
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, str):
        line = readable(value[:200])
        return f'"{line[:40]}…"' if len(line) > 40 or len(value) > 200 else f'"{line}"'
    # A number of a thousand digits is not written out.
    if isinstance(value, int) and value.bit_length() > 64:
        return _('a number of {bits} bits').format(bits=value.bit_length())
    return repr(value)[:40]


def _between(least: int, most: int) -> Any:
    return Annotated[int, Meta(ge=least, le=most)]


# ---------------------------------------------------------------------- shapes


def read[T: msgspec.Struct](shape: type[T], value: Mapping[str, Any], path: str, problems: Problems) -> T:
    """As much of a shape as can be read."""
    found: dict[str, Any] = {}
    for name, field in _fields(shape):
        item = value.get(name)
        found[name] = field.empty if item is None else field.read(item, f'{path}.{name}' if path else name, problems)
    return shape(**found)


@cache
def _fields(shape: type[msgspec.Struct]) -> tuple[tuple[str, Field], ...]:
    hints = get_type_hints(shape, include_extras=True)
    return tuple(
        (name, next(each for each in hints[name].__metadata__ if isinstance(each, Field)))
        for name in shape.__struct_fields__
    )


# ---------------------------------------------------------------------- how fields are read


def text(limit: int = 200) -> Field:
    return _Text(limit, is_placeholder)


def serial(limit: int = 100) -> Field:
    """A serial number as it was said; one that identifies nothing is none."""
    return _Text(limit, lambda value: clean_serial(value) is None or is_placeholder(value))


def words(limit: int = 500) -> Field:
    """Text of people or programs, in which "None" means none of firmware's placeholders."""
    return _Text(limit, lambda value: False)


def number(least: int = 0, most: int = 2**53) -> Field:
    def expected() -> str:
        return _('a whole number from {least} to {most}').format(least=least, most=most)

    return Scalar(_between(least, most), expected)


def seconds() -> Field:
    return Scalar(Annotated[float, Meta(ge=0, le=1e9)], lambda: _('a number of seconds'))


def size() -> Field:
    """Bytes; none at all is not known."""
    return Scalar(_between(0, 2**60), lambda: _('a number of bytes'), lambda value: value or None)


def flag() -> Field:
    return Scalar(bool, lambda: _('true or false'))


def mac() -> Field:
    """A MAC address in lower case with colons; all zeros or ones is none."""

    def clean(value: str) -> str | None:
        if found := clean_mac(value):
            return found
        if set(value.lower()) <= set('0:-.') or set(value.lower()) <= set('f:-.'):
            return None
        raise Refused(_('{value} is no MAC address of a single port.').format(value=_shown(value)))

    return Scalar(str, lambda: _('a MAC address'), clean)


def uuid() -> Field:
    """A UUID in lower case; a placeholder is none."""

    def clean(value: str) -> str | None:
        if found := clean_uuid(value):
            return found
        try:
            UUID(value.strip())
        except ValueError:
            if is_placeholder(value):
                return None
            raise Refused(_('{value} is no UUID.').format(value=_shown(value))) from None
        return None

    return Scalar(str, lambda: _('a UUID'), clean)


def address() -> Field:
    """An IP address without prefix length; 0.0.0.0 and :: are none."""

    def clean(value: str) -> str | None:
        try:
            found = ip_address(value.strip().partition('%')[0])
        except ValueError:
            raise Refused(_('{value} is no IP address.').format(value=_shown(value))) from None
        return None if found.is_unspecified else str(found)

    return Scalar(str, lambda: _('an IP address'), clean)


def network_address() -> Field:
    """An IP address with its prefix length."""

    def clean(value: str) -> str:
        plain, slash, length = value.strip().partition('/')
        try:
            return str(ip_interface(plain.partition('%')[0] + slash + length))
        except ValueError:
            raise Refused(_('{value} is no IP address with prefix length.').format(value=_shown(value))) from None

    return Scalar(str, lambda: _('an IP address with prefix length'), clean)


def one_of(*values: str, **aliases: str) -> Field:
    """One of several words, in whichever case; `aliases` are other words for them."""
    known = {value.lower(): value for value in values} | aliases

    def clean(value: str) -> str:
        try:
            return known[value.strip().lower()]
        except KeyError:
            raise Refused(
                _('{value} is not known; it is one of {values}.').format(value=_shown(value), values=', '.join(values))
            ) from None

    return Scalar(str, lambda: _('a word'), clean)


def section(shape: type[msgspec.Struct]) -> Field:
    return _Section(shape, optional=False)


def maybe(shape: type[msgspec.Struct]) -> Field:
    """A section that a machine may have or not."""
    return _Section(shape, optional=True)


def many(entry: type[msgspec.Struct] | Field, most: int) -> Field:
    return _Many(entry, most)
