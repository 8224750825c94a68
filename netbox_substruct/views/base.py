"""What the views of several models share."""

from django.contrib.postgres.fields import ArrayField
from django.db.models import JSONField

__all__ = ('ClearsToDefaultMixin',)


class ClearsToDefaultMixin:
    """For bulk edit: "set null" on a list or JSON field that has no null empties it."""

    def pre_save_operations(self, form, obj):
        super().pre_save_operations(form, obj)
        for field in obj._meta.local_fields:
            if isinstance(field, ArrayField | JSONField) and getattr(obj, field.attname) == '':
                setattr(obj, field.attname, field.get_default())
