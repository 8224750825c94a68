"""What the templates of the library say of their parameters, and what they use; the manual's table is made of it."""

import re
from dataclasses import dataclass

from netbox_substruct import template_library

_ENTRY = re.compile(r'  (?P<name>[a-z_.]+) +default: (?P<default>.+?)(?: {2,}(?P<text>.*))?$')
_USE = re.compile(r"param\('([^']+)'")
_NAMED = re.compile(r"{% (?:from|import|include) '([^']+)'")


@dataclass(frozen=True)
class Parameter:
    """An entry of a template's opening comment: name, what holds where it is not set, and what else is said of it."""

    name: str
    default: str
    text: str


def described(path: str) -> list[Parameter]:
    """The entries under "Parameters" in the opening comment of a template."""
    head = template_library.files()[path].partition('#}')[0]
    found: list[Parameter] = []
    for line in head.partition('\nParameters')[2].split('\n')[1:]:
        if match := _ENTRY.fullmatch(line):
            found.append(Parameter(match['name'], match['default'], match['text'] or ''))
        elif found and line.startswith('      '):
            last = found.pop()
            # A default may go on, as a text does.
            whole = f'{last.text} {line.strip()}' if last.text else ''
            found.append(
                Parameter(last.name, last.default if whole else f'{last.default} {line.strip()}', whole.strip())
            )
    return found


def used(path: str, asked: frozenset[str] = frozenset()) -> set[str]:
    """The parameters that a template asks for, itself or by what it includes."""
    text = template_library.files()[path]
    found = set(_USE.findall(text))
    for name in set(_NAMED.findall(text)) - asked:
        found |= used(name, asked | {path})
    return found


def page() -> str:
    """The manual's page, but for its head."""
    lines = ['<!-- Made from the opening comments of the templates by test_reference.py, which says how. -->', '']
    for path in template_library.files():
        if path.startswith('snippets/') or not (found := described(path)):
            continue
        lines += [f'## {template_library.template_name(path)}', '', '| parameter | default | |', '| --- | --- | --- |']
        for parameter in found:
            lines.append(f'| `{parameter.name}` | {_cell(parameter.default)} | {_cell(parameter.text)} |')
        lines.append('')
    return '\n'.join(lines)


def _cell(text: str) -> str:
    """Text for a table: what is JSON stands as code."""
    text = text.replace('|', '\\|')
    match = re.fullmatch(r'(?P<words>[^"{\[]*)(?P<code>[\["{].*)', text)
    if match is None:
        return f'`{text}`' if text in ('true', 'false') or text.isdigit() else text
    words, code = match['words'], match['code']
    end = max(code.rfind(mark) for mark in '"}]') + 1
    if ' or "' in code or ('", "' in code and code[0] == '"') or end < len(code):
        return text
    return f'{words}`{code}`'
