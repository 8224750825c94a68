"""How a secret's value is quoted where it is filled in: one function for each format that a marker may name.

These behave exactly as the plugin's `bundles.quoting` (a test compares them, value by value): what a template quotes
for a value in NetBox, this quotes for a value that NetBox never sees.  Where a format has no way to write a value, it
is refused with QuotingError, whose message never holds the value.  Pure.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping

_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029]')
_SURROGATE = re.compile(r'[\ud800-\udfff]')
_XML_ILLEGAL = re.compile(r'[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_YAML_ESCAPED = re.compile(r'[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')


class QuotingError(ValueError):
    """The format cannot hold the value.  The message says why, without the value."""


def _text(value: str) -> str:
    if _SURROGATE.search(value):
        raise QuotingError('it holds half a character')
    return value


def _one_line(value: str, name: str) -> str:
    """Text without control characters (of ASCII, of Latin-1, and the line separators of Unicode)."""
    if _CONTROL.search(_text(value)):
        raise QuotingError(f'it holds a line break, a tab or another control character, which {name} cannot hold')
    return value


def plain(value: str) -> str:
    """A value as it is, where a template asked for no quoting: one line of text, whatever it stands in."""
    return _one_line(value, 'a value without quoting')


def quote_shell(value: str) -> str:
    """One word of a POSIX shell (POSIX.1-2017, Shell Command Language, 2.2.2)."""
    if '\0' in _text(value):
        raise QuotingError('it holds a NUL, which a shell cannot hold')
    return shlex.quote(value)


def quote_ipxe(value: str) -> str:
    """One word of an iPXE script, which has no quotes: what is no single word there is refused (iPXE, core/exec.c)."""
    _one_line(value, 'an iPXE script')
    if not value:
        raise QuotingError('it is empty, which an iPXE script cannot hold')
    if re.search(r'\s', value):
        raise QuotingError('it holds a space, which would make it two words in an iPXE script')
    if '${' in value or value.endswith('$'):
        raise QuotingError('it would be expanded by iPXE (${…})')
    if value.startswith(('#', '-')) or value in ('||', '&&', ';') or value.endswith('\\'):
        raise QuotingError('it would be taken for a part of the iPXE script')
    return value


def ipxe_text(value: str) -> str:
    """Text that iPXE only shows (echo): what would not be text there becomes an underscore.  Never refuses."""
    found = _CONTROL.sub(' ', _SURROGATE.sub('_', value))
    return ' '.join(re.sub(r'[^\w .,:/()+=@%-]', '_', found).replace(' -', ' _').split()).lstrip('-') or '_'


def quote_kernel(value: str) -> str:
    """One value on a kernel command line that passes through iPXE (Linux, lib/cmdline.c, next_arg)."""
    _one_line(value, 'a kernel command line')
    if '"' in value:
        raise QuotingError('it holds a double quote, which a kernel command line cannot hold')
    if '${' in value or value.endswith(('$', '\\')):
        raise QuotingError('it would be expanded by the boot loader')
    if any(word[0] == '#' or word in ('||', '&&', ';') for word in value.split()):
        raise QuotingError('it would be taken for a part of the boot loader’s script')
    if '  ' in value:
        raise QuotingError('it holds several spaces in a row, which iPXE would make one')
    return f'"{value}"' if ' ' in value or not value else value


def quote_preseed(value: str) -> str:
    """The value of a preseed line, which goes to the end of the line (debconf-set-selections(1))."""
    _one_line(value, 'a preseed file')
    if value.endswith('\\'):
        raise QuotingError('it ends with a backslash, which would join the next line to it')
    if value != value.strip():
        raise QuotingError('it begins or ends with a space, which a preseed file cannot hold')
    return value


def quote_kickstart(value: str) -> str:
    """One word of a kickstart command (pykickstart splits lines as a POSIX shell does, one line at a time)."""
    return shlex.quote(_one_line(value, 'a kickstart command'))


def quote_yaml(value: str) -> str:
    """A YAML scalar on one line: a JSON string, which every YAML reader takes (YAML 1.2, 1.3)."""
    return _YAML_ESCAPED.sub(lambda match: f'\\u{ord(match.group()):04x}', json.dumps(_text(value), ensure_ascii=False))


def quote_grub(value: str) -> str:
    """One word of a GRUB script (GRUB manual, 6.2: single quotes keep every character but themselves)."""
    return "'" + _one_line(value, 'a GRUB script').replace("'", "'\\''") + "'"


def quote_xml(value: str) -> str:
    """Text between XML tags or in an attribute (XML 1.0, 2.2 and 2.4)."""
    if _XML_ILLEGAL.search(_text(value)):
        raise QuotingError('it holds a character which XML cannot hold')
    for character, name in (
        ('&', '&amp;'), ('<', '&lt;'), ('>', '&gt;'), ('"', '&quot;'), ("'", '&#39;'), ('\r', '&#13;')
    ):  # fmt: skip
        value = value.replace(character, name)
    return value


# What the marker of a secret may name after the secret's name; without a format it stands as it is.
FORMATS: Mapping[str, Callable[[str], str]] = {
    '': plain,
    'shell': quote_shell,
    'ipxe': quote_ipxe,
    'kernel': quote_kernel,
    'preseed': quote_preseed,
    'kickstart': quote_kickstart,
    'yaml': quote_yaml,
    'grub': quote_grub,
    'xml': quote_xml,
}
