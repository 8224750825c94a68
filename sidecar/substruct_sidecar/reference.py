"""The reference of all settings, made out of `settings`: docs/sidecar-settings.txt holds it, and a test compares."""

import inspect
from collections.abc import Iterator

import msgspec

from .settings import PREFIX, Section, Settings


def reference() -> str:
    """Markdown: one table for each section, in the order of the file."""
    return '\n'.join(_section(Settings, ())).strip() + '\n'


def _section(type_: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    fields = msgspec.structs.fields(type_)
    plain = [field for field in fields if not _is_section(field.type)]
    if plain and path:
        yield f'### `[{".".join(path)}]`'
        yield ''
        yield inspect.getdoc(type_) or ''
        yield ''
        yield '| key | default | variable |'
        yield '| --- | --- | --- |'
        for field in plain:
            variable = PREFIX + '_'.join((*path, field.name)).upper()
            yield f'| `{field.name}` | {_default(field)} | `{variable}` |'
        yield ''
    for field in fields:
        if _is_section(field.type):
            yield from _section(field.type, (*path, field.name))


def _is_section(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Section)


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if value is msgspec.NODEFAULT:
        return 'required'
    return f'`{msgspec.json.encode(value).decode()}`'


if __name__ == '__main__':
    print(reference(), end='')
