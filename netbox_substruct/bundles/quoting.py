"""The one quoting function of each output format.  No value can become a statement.

Each takes a plain value (text, number, true or false) and gives text that the format's reader takes for exactly that
value, in one piece.  Where a format has no way to write a character, the value is refused with QuotingError: an
artifact is never made with a value that means something else than NetBox says.
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
    """The format cannot hold the value."""


def text(value: object) -> str:
    """A plain value as text: true and false in lower case, as every format here has them; nothing else is text."""
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, str):
        if match := _SURROGATE.search(value):
            raise QuotingError(f'{_shown(value)} holds half a character (U+{ord(match.group()):04X}).')
        return value
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        raise QuotingError('it has no value (none); give one, or a default: {{ value | default("…", true) }}.')
    raise QuotingError(
        f'this is a {"mapping" if isinstance(value, dict) else "list"}, not a value; use one of its parts, or the '
        f'filter join or tojson.'
        if isinstance(value, dict | list | tuple)
        else f'{type(value).__name__} is no value that can be written.'
    )


def _shown(value: str) -> str:
    return json.dumps(value if len(value) <= 60 else value[:57] + '…')


def _one_line(value: object, name: str) -> str:
    """Text without control characters (of ASCII, of Latin-1, and the line separators of Unicode)."""
    found = text(value)
    if match := _CONTROL.search(found):
        what = {'\n': 'a line break', '\r': 'a line break', '\t': 'a tab'}.get(
            match.group(), f'the control character U+{ord(match.group()):04X}'
        )
        raise QuotingError(f'{_shown(found)} holds {what}, which {name} cannot hold.')
    return found


def quote_shell(value: object) -> str:
    """One word of a POSIX shell (line breaks are kept; POSIX.1-2017, Shell Command Language, 2.2.2)."""
    found = text(value)
    if '\0' in found:
        raise QuotingError(f'{_shown(found)} holds a NUL, which a shell cannot hold.')
    return shlex.quote(found)


def quote_ipxe(value: object) -> str:
    """One word of an iPXE script.

    iPXE splits lines at white space, has no quotes, and expands ${settings} everywhere (src/core/exec.c, settings.c),
    so what would end the word, expand or begin a comment is refused; `ipxe_text` is for text that is only shown.
    """
    found = _one_line(value, 'an iPXE script')
    if not found:
        raise QuotingError('an empty value cannot stand in an iPXE script.')
    if re.search(r'\s', found):
        raise QuotingError(f'{_shown(found)} holds a space, which would make it two words in an iPXE script.')
    if '${' in found or found.endswith('$'):
        raise QuotingError(f'{_shown(found)} would be expanded by iPXE (${{…}}).')
    if found.startswith(('#', '-')) or found in ('||', '&&', ';') or found.endswith('\\'):
        raise QuotingError(f'{_shown(found)} would be taken for a part of the iPXE script.')
    return found


def ipxe_text(value: object) -> str:
    """Text to be shown by iPXE (echo, prompt): what would not be text there becomes an underscore."""
    found = _CONTROL.sub(' ', text(value))
    return ' '.join(re.sub(r'[^\w .,:/()+=@%-]', '_', found).replace(' -', ' _').split()).lstrip('-') or '_'


def quote_kernel(value: object) -> str:
    """One value on a kernel command line, as in name={{ value | quote_kernel }}.

    The kernel takes double quotes around a value with spaces, and has no way to write a double quote itself (Linux,
    lib/cmdline.c, next_arg).  The text passes through iPXE, whose rules hold too.
    """
    found = _one_line(value, 'a kernel command line')
    if '"' in found:
        raise QuotingError(f'{_shown(found)} holds a double quote, which a kernel command line cannot hold.')
    if '${' in found or found.endswith(('$', '\\')):
        raise QuotingError(f'{_shown(found)} would be expanded by the boot loader.')
    if any(word[0] == '#' or word in ('||', '&&', ';') for word in found.split()):
        raise QuotingError(f'{_shown(found)} would be taken for a part of the boot loader’s script.')
    if '  ' in found:
        raise QuotingError(f'{_shown(found)} holds several spaces in a row, which iPXE would make one.')
    return f'"{found}"' if ' ' in found or not found else found


def quote_preseed(value: object) -> str:
    """The value of a preseed line, which goes to the end of the line (debconf-set-selections(1))."""
    found = _one_line(value, 'a preseed file')
    if found.endswith('\\'):
        raise QuotingError(f'{_shown(found)} ends with a backslash, which would join the next line to it.')
    if found != found.strip():
        raise QuotingError(f'{_shown(found)} begins or ends with a space, which a preseed file cannot hold.')
    return found


def quote_kickstart(value: object) -> str:
    """One word of a kickstart command (pykickstart splits lines as a POSIX shell does, one line at a time)."""
    return shlex.quote(_one_line(value, 'a kickstart command'))


def quote_yaml(value: object) -> str:
    """Any plain value, lists and mappings too, on one line: JSON, which every YAML reader takes (YAML 1.2, 1.3).

    Characters beyond ASCII stay as they are: YAML does not join the two halves in which JSON would escape some of them.
    """
    _no_surrogates(value)
    return _YAML_ESCAPED.sub(lambda match: f'\\u{ord(match.group()):04x}', _flow(value))


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return '{' + ', '.join(f'{_flow(key)}: {_flow(item)}' for key, item in value.items()) + '}'
    if isinstance(value, list | tuple):
        return '[' + ', '.join(map(_flow, value)) + ']'
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and 'e' in written and '.' not in written:
        # Readers of YAML 1.1, PyYAML among them, take a number without a point for text.
        written = written.replace('e', '.0e')
    return written


def to_json(value: object, indent: int | None = None) -> str:
    """JSON (RFC 8259)."""
    _no_surrogates(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _no_surrogates(value: object) -> None:
    if isinstance(value, str):
        text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise QuotingError(f'the key {key!r} of a mapping is not text.')
            text(key)
            _no_surrogates(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _no_surrogates(item)
    elif value is not None and not isinstance(value, bool | int | float):
        raise QuotingError(f'{type(value).__name__} is no value that can be written.')


def quote_grub(value: object) -> str:
    """One word of a GRUB script (GRUB manual, 6.2: single quotes keep every character but themselves)."""
    found = _one_line(value, 'a GRUB script')
    return "'" + found.replace("'", "'\\''") + "'"


def quote_xml(value: object) -> str:
    """Text between XML tags or in an attribute (XML 1.0, 2.2 and 2.4)."""
    found = text(value)
    if match := _XML_ILLEGAL.search(found):
        raise QuotingError(f'{_shown(found)} holds U+{ord(match.group()):04X}, which XML cannot hold.')
    for character, name in (
        ('&', '&amp;'),
        ('<', '&lt;'),
        ('>', '&gt;'),
        ('"', '&quot;'),
        ("'", '&#39;'),
        ('\r', '&#13;'),
    ):
        found = found.replace(character, name)
    return found


# What a marker of a secret may name after its own name; the boot server has the same functions.
FORMATS: Mapping[str, Callable[[object], str]] = {
    'shell': quote_shell,
    'ipxe': quote_ipxe,
    'kernel': quote_kernel,
    'preseed': quote_preseed,
    'kickstart': quote_kickstart,
    'yaml': quote_yaml,
    'grub': quote_grub,
    'xml': quote_xml,
}
