"""Everything of the plugin that answers HTTP, and what a user is shown by all of it."""

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLScalarType

from netbox.registry import registry

from netbox_substruct.models import BuildToken

APP = 'netbox_substruct'
CORE = (
    ('dcim', 'device'),
    ('virtualization', 'virtualmachine'),
    ('dcim', 'rack'),
    ('dcim', 'site'),
    ('ipam', 'prefix'),
)
# How NetBox asks for a list: as a page, as the part of one that moves, and as what is downloaded.
LIST_FORMS = ('', '?export=table', '?export', '?q=word')


def models() -> list[type]:
    return [model for model in apps.get_app_config(APP).get_models() if model is not BuildToken and model._meta.managed]


def pages() -> Iterator[tuple[str, type, bool]]:
    """(name of the route, model, whether it is of one object), of all pages that the plugin registers."""
    for model in models():
        for view in registry['views'][APP].get(model._meta.model_name, ()):
            name = model._meta.model_name + (f'_{view["name"]}' if view['name'] else '')
            yield f'plugins:{APP}:{name}', model, view['detail']
    for app, name in CORE:
        model = apps.get_model(app, name)
        for view in registry['views'][app][name]:
            source = view['view'] if isinstance(view['view'], str) else view['view'].__module__
            if source.startswith(APP):
                yield f'{app}:{name}_{view["name"]}', model, view['detail']
        yield f'{app}:{name}', model, True
        yield f'{app}:{name}_list', model, False


def other_pages() -> Iterator[str]:
    """Addresses of pages of the plugin that belong to no model."""
    found = {name for name, _, _ in pages()}
    for pattern in plugin_patterns('plugins'):
        if pattern.name and f'plugins:{APP}:{pattern.name}' not in found and '<' not in str(pattern.pattern):
            try:
                yield reverse(f'plugins:{APP}:{pattern.name}')
            except NoReverseMatch:
                continue


def plugin_patterns(namespace: str) -> Iterator[URLPattern]:
    def walk(resolver: Any) -> Iterator[URLPattern]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield from walk(entry)
            else:
                yield entry

    def spaces(resolver: Any) -> Iterator[URLResolver]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield entry
                yield from spaces(entry)

    for outer in spaces(get_resolver()):
        if outer.namespace == namespace:
            for inner in spaces(outer):
                if inner.namespace in (APP, f'{APP}-api'):
                    yield from walk(inner)


def api_routes() -> Iterator[tuple[str, list[str]]]:
    """(name of the route, its arguments) of the plugin's REST API."""
    for pattern in plugin_patterns('plugins-api'):
        arguments = re.findall(r'\(\?P<(\w+)>', str(pattern.pattern))
        if (
            pattern.name
            and pattern.name != 'api-root'
            and 'format' not in arguments
            and '<' not in re.sub(r'\(\?P<', '', str(pattern.pattern))
        ):
            yield pattern.name, arguments


def everything_of(schema: Any, field: str, depth: int = 2) -> str:
    """A GraphQL query for a list with all that hangs on it: each field without arguments, `depth` relations deep."""
    query = schema.query_type.fields[field]
    return f'{{ {field} {_fields(_named(query.type), depth)} }}'


def _named(kind: Any) -> Any:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return kind


def _fields(kind: Any, depth: int) -> str:
    found = []
    for name, field in kind.fields.items():
        if any(isinstance(argument.type, GraphQLNonNull) for argument in field.args.values()):
            continue
        inner = _named(field.type)
        if isinstance(inner, GraphQLScalarType | GraphQLEnumType):
            found.append(name)
        elif isinstance(inner, GraphQLObjectType) and depth and name not in ('changelog', 'journal_entries'):
            ours = inner.name.startswith('Substruct')
            found.append(f'{name} {_fields(inner, depth - 1 if ours else 0)}')
    return '{ ' + ' '.join(found or ['__typename']) + ' }'
