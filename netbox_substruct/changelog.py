"""Changelog messages on what `lifecycle` makes.

NetBox takes the message from an object before it is saved; builds and events are saved inside a move, which knows
nothing of requests.  So the message is written into the changelog's entry afterwards, in the same transaction.
"""

from typing import Any

from django.contrib.contenttypes.models import ContentType

from core.choices import ObjectChangeActionChoices
from core.models import ObjectChange
from netbox.context import current_request

__all__ = ('explain',)


def explain(obj: Any, message: str | None) -> None:
    """Put the user's message on the entry that says that the current request made this object."""
    request = current_request.get()
    if not message or request is None:
        return
    ObjectChange.objects.filter(
        changed_object_type=ContentType.objects.get_for_model(obj),
        changed_object_id=obj.pk,
        action=ObjectChangeActionChoices.ACTION_CREATE,
        request_id=request.id,
    ).update(message=message)
