"""The GraphQL API.  NetBox looks for the list of queries under the name `schema` here."""

from .schema import schema

__all__ = ('schema',)
