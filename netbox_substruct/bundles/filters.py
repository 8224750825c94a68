"""Operators, filters and methods for templates: those of Jinja2 that cannot be made to cost much, counting what they
make.

Each takes and gives plain values.  What would be too large is refused before it is made.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import wraps
from typing import Any

from jinja2 import filters as jinja_filters
from jinja2 import pass_context
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS as DEFAULT_TESTS

from . import limits, quoting
from .limits import Budget, LimitError

_PRINTF = re.compile(r'%(?:\((?P<key>[^)]*)\))?[#0\- +]*(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<type>.)', re.S)


def _printf(left: str, right: Any) -> str:
    """text % values, for text and numbers only, and no wider than can be meant."""
    values = list(right.values()) if isinstance(right, dict) else list(right) if isinstance(right, tuple) else [right]
    expected = len(left) + sum(len(value) if isinstance(value, str) else 32 for value in values)
    for match in _PRINTF.finditer(left):
        if match['type'] not in 'sdiufFeEgGxXoc%':
            raise ValueError(f'%{match["type"]} is not available in formats; use %s or %d.')
        width = int((match['width'] or '0')[-9:]) + int((match['precision'] or '0')[-9:])
        if width > 1000 or len(match['width']) > 9 or len(match['precision'] or '') > 9:
            raise LimitError('a format is wider than 1,000 characters.')
        # One value may be named several times.
        expected += width + max((len(value) for value in values if isinstance(value, str)), default=0)
    if expected > limits.TEXT:
        limits.too_long(expected)
    if isinstance(right, dict):
        return left % {key: _formatted(value) for key, value in right.items()}
    return left % tuple(_formatted(value) for value in values)


def _formatted(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else quoting.text(_defined(value))


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    return value


def _multiply(left: Any, right: Any) -> Any:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(other, int):
            items, characters = (0, len(one)) if isinstance(one, str) else limits.weigh(one)
            if characters * other > limits.TEXT:
                limits.too_long(characters * other)
            if items * other > limits.ITEMS:
                raise LimitError(f'a list would have more than {limits.ITEMS:,} items.')
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > limits.NUMBER:
        limits.too_big()
    return left * right


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and abs(right) * left.bit_length() > limits.NUMBER:
        limits.too_big()
    return left**right


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) > limits.TEXT:
        limits.too_long(len(left) + len(right))
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) + len(right) > limits.ITEMS:
        raise LimitError(f'a list would have more than {limits.ITEMS:,} items.')
    return left + right


def _modulo(left: Any, right: Any) -> Any:
    return _printf(left, right) if isinstance(left, str) else left % right


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    '+': _add,
    '-': operator.sub,
    '*': _multiply,
    '/': operator.truediv,
    '//': operator.floordiv,
    '**': _power,
    '%': _modulo,
}


def _replace(s: str, old: str, new: str, count: int | None = None) -> str:
    s, old, new = quoting.text(s), quoting.text(old), quoting.text(new)
    found = s.count(old) if count is None or count < 0 else min(s.count(old), count)
    if len(s) + found * (len(new) - len(old)) > limits.TEXT:
        limits.too_long(len(s) + found * (len(new) - len(old)))
    return s.replace(old, new, -1 if count is None else count)


def _center(value: str, width: int = 80) -> str:
    if width > limits.TEXT:
        limits.too_long(width)
    return quoting.text(value).center(width)


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    s = quoting.text(s)
    size = len(width) if isinstance(width, str) else width
    if len(s) + size * (s.count('\n') + 1) > limits.TEXT:
        limits.too_long(len(s) + size * (s.count('\n') + 1))
    return str(jinja_filters.do_indent(s, width, first, blank))


def _sum(iterable: Iterable[Any], start: Any = 0) -> Any:
    total = start
    for item in iterable:
        if not isinstance(_defined(item), int | float) or not isinstance(total, int | float):
            raise TypeError('sum adds numbers only.')
        total += item
    return total


def _round(value: Any, precision: int = 0, method: str = 'common') -> Any:
    if abs(precision) > 20:
        raise ValueError('round takes a precision of at most 20.')
    return jinja_filters.do_round(value, precision, method)  # type: ignore[arg-type]


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Any:
    if linecount > limits.RANGE:
        raise LimitError(f'batch makes rows of at most {limits.RANGE:,} items.')
    return jinja_filters.do_batch(value, linecount, fill_with)


def _format(value: str, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError('format takes values with names or without, not both.')
    return _printf(quoting.text(value), kwargs or args)


def _string(value: Any) -> str:
    return quoting.text(_defined(value))


def _tojson(value: Any, indent: int | None = None) -> str:
    limits.weigh(value)
    if indent is not None and not 0 <= indent <= 8:
        raise ValueError('tojson takes an indent of 0 to 8.')
    return quoting.to_json(value, indent)


def _truncate(s: str, length: int = 255, end: str = '…') -> str:
    s = quoting.text(s)
    return s if len(s) <= length else s[: max(0, length - len(end))] + end


def _default(value: Any, default_value: Any = '', boolean: bool = False) -> Any:
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def _pad(name: str) -> Callable[..., str]:
    def pad(value: str, width: int, *fill: str) -> str:
        if width > limits.TEXT:
            limits.too_long(width)
        found: str = getattr(value, name)(width, *fill)
        return found

    return pad


def joined(parts: Iterable[Any], budget: Budget, separator: str = '') -> str:
    """The parts as one text, counted before it is made."""
    found, length = [], 0
    for part in parts:
        found.append(quoting.text(_defined(part)))
        length += len(found[-1]) + len(separator)
        if length > limits.TEXT + len(separator):
            limits.too_long(length)
    budget.step(len(found), length)
    return separator.join(found)


# Methods of text that make it longer, by name, as functions of the text and the arguments.
GROWING: Mapping[str, Callable[..., Any]] = {
    'center': _pad('center'),
    'ljust': _pad('ljust'),
    'replace': _replace,
    'rjust': _pad('rjust'),
    'zfill': _pad('zfill'),
}

# ---------------------------------------------------------------- as Jinja2 is given them

_PLAIN: Mapping[str, Callable[..., Any]] = {
    'abs': abs,
    'batch': _batch,
    'capitalize': jinja_filters.do_capitalize,
    'center': _center,
    'count': len,
    'd': _default,
    'default': _default,
    'dictsort': jinja_filters.do_dictsort,
    'float': jinja_filters.do_float,
    'format': _format,
    'indent': _indent,
    'int': jinja_filters.do_int,
    'ipxe_text': quoting.ipxe_text,
    'items': jinja_filters.do_items,
    'length': len,
    'list': list,
    'lower': jinja_filters.do_lower,
    'replace': _replace,
    'reverse': jinja_filters.do_reverse,
    'round': _round,
    'string': _string,
    'sum': _sum,
    'title': jinja_filters.do_title,
    'tojson': _tojson,
    'trim': jinja_filters.do_trim,
    'truncate': _truncate,
    'upper': jinja_filters.do_upper,
    'wordcount': jinja_filters.do_wordcount,
}
_WITH_ENVIRONMENT: Mapping[str, Callable[..., Any]] = {
    'first': jinja_filters.sync_do_first,
    'groupby': jinja_filters.sync_do_groupby,
    'last': jinja_filters.do_last,
    'max': jinja_filters.do_max,
    'min': jinja_filters.do_min,
    'sort': jinja_filters.do_sort,
    'unique': jinja_filters.sync_do_unique,
}
_WITH_CONTEXT: Mapping[str, Callable[..., Any]] = {
    'map': jinja_filters.sync_do_map,
    'reject': jinja_filters.sync_do_reject,
    'rejectattr': jinja_filters.sync_do_rejectattr,
    'select': jinja_filters.sync_do_select,
    'selectattr': jinja_filters.sync_do_selectattr,
}
TESTS = {
    name: test
    for name, test in DEFAULT_TESTS.items()
    if name not in ('callable', 'escaped', 'filter', 'test')
}  # fmt: skip


def counted(value: Any, budget: Budget) -> Any:
    """A value that is to be walked through, its items counted: at once where they can be, else as they come."""
    if isinstance(value, Sized):
        budget.step(len(value))
        return value
    if isinstance(value, Iterator):
        return _counting(value, budget)
    return value


def _counting(values: Iterator[Any], budget: Budget) -> Iterator[Any]:
    for value in values:
        budget.step()
        yield value


def _filter(function: Callable[..., Any], given: str) -> Callable[..., Any]:
    """The filter as Jinja2 is given it: its costs counted, and what it gives back."""

    @wraps(function)
    def counting(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        environment: Any = context.environment
        budget: Budget = environment.budget
        budget.step()
        # Text is counted when it is made; a filter that reads it costs a step.
        if function is not _default and not isinstance(value, str):
            value = counted(_defined(value), budget)
        if given == 'environment':
            found = function(environment, value, *args, **kwargs)
        elif given == 'context':
            found = function(context, value, *args, **kwargs)
        else:
            found = function(value, *args, **kwargs)
        return budget.value(counted(found, budget) if isinstance(found, Iterator) else found)

    # `wraps` copied the mark of the function it wraps; this one is always given the context.
    return pass_context(counting)


@pass_context
def _join(context: Context, value: Iterable[Any], d: str = '', attribute: Any = None) -> str:
    environment: Any = context.environment
    if attribute is not None:
        value = map(jinja_filters.make_attrgetter(environment, attribute), _defined(value))
    return joined(_defined(value), environment.budget, quoting.text(d))


@pass_context
def _counted_filter(context: Context, value: Any) -> Any:
    environment: Any = context.environment
    return counted(value, environment.budget)


def _quote(name: str) -> Callable[..., Any]:
    function = quoting.FORMATS[name]

    @pass_context
    def quote(context: Context, value: Any) -> str:
        environment: Any = context.environment
        value = _defined(value)
        if isinstance(value, str):
            marker: str | None = environment.seal.quoted(value, name)
            if marker is not None:
                return marker
        elif isinstance(value, list | tuple | dict):
            limits.weigh(value)
        found: str = environment.budget.value(function(value))
        return found

    return quote


# A filter that no template can name: the compiler puts it around what every `for` walks through.
COUNTED = ' counted'

FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: _filter(function, '') for name, function in _PLAIN.items()},
    **{name: _filter(function, 'environment') for name, function in _WITH_ENVIRONMENT.items()},
    **{name: _filter(function, 'context') for name, function in _WITH_CONTEXT.items()},
    **{f'quote_{name}': _quote(name) for name in quoting.FORMATS},
    'join': _join,
    COUNTED: _counted_filter,
}
