"""What the views of several models share."""

from contextlib import contextmanager

from django.contrib.postgres.fields import ArrayField
from django.db import router, transaction
from django.db.models import JSONField

from core.signals import clear_events

from ..lifecycle.errors import LifecycleError

__all__ = ('ClearsToDefaultMixin', 'TeachesMixin', 'moving')


@contextmanager
def moving(sender, model):
    """Around a move: all of it or nothing.  What was queued for webhooks before a refusal never happened."""
    try:
        with transaction.atomic(using=router.db_for_write(model)):
            yield
    except LifecycleError:
        clear_events.send(sender=sender)
        raise


class ClearsToDefaultMixin:
    """For bulk edit: "set null" on a list or JSON field that has no null empties it."""

    def pre_save_operations(self, form, obj):
        super().pre_save_operations(form, obj)
        for field in obj._meta.local_fields:
            if isinstance(field, ArrayField | JSONField) and getattr(obj, field.attname) == '':
                setattr(obj, field.attname, field.get_default())


class TeachesMixin:
    """For lists: while there is nothing at all to list, `empty_text` says what comes next."""

    empty_text = ''

    def get_table(self, data, request, bulk_actions=True):
        table = super().get_table(data, request, bulk_actions)
        if self.empty_text and not request.GET:
            table.empty_text = self.empty_text
        return table
