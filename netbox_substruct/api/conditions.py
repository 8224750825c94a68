"""Optimistic locking of actions: whoever sends If-Match acts on what was seen, or not at all.

NetBox itself does so for PUT, PATCH and DELETE; here are the same answers for what else moves an object.
"""

from typing import Any

from ..lifecycle import machines

__all__ = ('tagged', 'unchanged')


def unchanged(view: Any, obj: Any) -> None:
    """412 unless If-Match, if it was sent, has the object's ETag.  Call it in the transaction of the move.

    The rows stay held until its end, in the order in which `lifecycle` takes them: a machine before what belongs to it.
    """
    if not view._get_if_match(view.request):
        return
    if machine := getattr(obj, 'machine_id', None):
        machines.lock(machine)
    view._validate_etag(view.request, type(obj).objects.select_for_update(of=('self',)).get(pk=obj.pk))


def tagged(view: Any, response: Any, obj: Any) -> Any:
    """The response, with the ETag of the object that it shows."""
    if etag := view._get_etag(obj):
        response['ETag'] = etag
    return response
