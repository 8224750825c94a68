"""Whether the constraints of a user's permission cover objects that have just been made.

NetBox's permissions may be limited to some objects, and what was made can be held against them only once it is there:
inside the transaction, which is taken back if they do not.
"""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from .lifecycle.errors import NotPermitted

__all__ = ('covered',)

NAMED = 5


def covered(user: Any, action: str, objects: Sequence[Any]) -> None:
    """NotPermitted unless the user may do this with all of these objects, which are of one model."""
    if not objects:
        return
    model = type(objects[0])
    allowed = set(
        model.objects.restrict(user, action).filter(pk__in=[obj.pk for obj in objects]).values_list('pk', flat=True)
    )
    refused = [str(obj) for obj in objects if obj.pk not in allowed]
    if not refused:
        return
    names = ', '.join(refused[:NAMED])
    if len(refused) > NAMED:
        names = _('{names} and {count} more').format(names=names, count=len(refused) - NAMED)
    raise NotPermitted(
        _('Your permissions do not cover these {objects}: {names}.').format(
            objects=model._meta.verbose_name_plural, names=names
        )
    )
