"""The entries of NetBox's global search for rows that were written past its signals.

NetBox would make them in Python, an object at a time (`netbox.search`); here each field of a search index is one
statement in the database, and the outcome is the same.  What is no column of its own is left to NetBox.
"""

from collections.abc import Iterable

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models

from dcim.fields import MACAddressField, WWNField
from ipam.fields import IPAddressField, IPNetworkField
from netbox.registry import registry
from netbox.search.backends import search_backend

from lab.seeding.bulk import Sheet


def index(sheets: Iterable[Sheet]) -> int:
    """Makes the search entries of everything that the sheets have written; how many."""
    made = 0
    for sheet in sheets:
        indexer = registry['search'].get(sheet.model._meta.label_lower)
        if indexer is None or not sheet.written:
            continue
        fields = [(name, weight, _field(sheet.model, name)) for name, weight in indexer.fields]
        if any(field is None or _expression(field) is None for _name, _weight, field in fields):
            written = sheet.model.objects.filter(pk__gte=sheet.first)
            made += search_backend.cache(written.iterator(chunk_size=2000), indexer=indexer, remove_existing=False)
            continue
        kind = ContentType.objects.get_for_model(sheet.model).pk
        with connection.cursor() as cursor:
            for name, weight, field in fields:
                expression = _expression(field)
                # What is false in Python is not indexed (SearchIndex.get_field_value).
                empty = "= '0'" if isinstance(field, models.IntegerField) else "= ''"
                statement = f"""
                    INSERT INTO extras_cachedvalue
                        (id, timestamp, object_type_id, object_id, field, type, value, weight)
                    SELECT gen_random_uuid(), now(), %s, id, %s, %s, value, %s
                    FROM (SELECT id, {expression} AS value FROM "{sheet.model._meta.db_table}" WHERE id >= %s) AS r
                    WHERE value IS NOT NULL AND NOT value {empty}
                """  # noqa: S608 (nothing but names of tables and columns)
                type_ = indexer.get_field_type(sheet.model, name)
                cursor.execute(statement, [kind, name, type_, weight, sheet.first])
                made += cursor.rowcount
    return made


def _field(model: type[models.Model], name: str) -> models.Field | None:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if getattr(field, 'concrete', False) else None


def _expression(field: models.Field | None) -> str | None:
    """The column as Python would print it, in SQL; None where that cannot be said."""
    if field is None:
        return None
    column = f'"{field.column}"'
    if isinstance(field, IPAddressField | IPNetworkField):
        return f'text({column})'  # with its prefix length even for a single host, as netaddr has it
    if isinstance(field, MACAddressField | WWNField):
        return f'upper({column}::text)'
    if isinstance(field, models.ForeignKey):
        # Its value is the other object's name; the seeded rows have none of those that are indexed.
        return 'NULL::text' if field.null else None
    if isinstance(field, models.JSONField | models.BooleanField):
        return None
    if isinstance(field, models.CharField | models.TextField | models.IntegerField | models.DateField):
        return f'{column}::text'
    if isinstance(field, models.UUIDField):
        return f'{column}::text'
    if isinstance(field, models.GenericIPAddressField):
        return f'host({column})'
    return None
