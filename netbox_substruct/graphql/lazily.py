"""References to types and filters that are defined later, or in another app of NetBox."""

from typing import Annotated, Any

import strawberry

__all__ = ('filter_of', 'type_of')


def type_of(model: str, app: str = 'netbox_substruct') -> Any:
    return _lazily(f'{model}Type', f'{app}.graphql.types')


def filter_of(model: str, app: str = 'netbox_substruct') -> Any:
    return _lazily(f'{model}Filter', f'{app}.graphql.filters')


def _lazily(name: str, module: str) -> Any:
    return Annotated[name, strawberry.lazy(module)]
