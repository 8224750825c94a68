"""How the REST API tells that `lifecycle` refused a move, and who may ask for one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import router, transaction
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.serializers import as_serializer_error

from netbox.api.authentication import TokenPermissions
from netbox.api.viewsets.mixins import discard_events_on_rollback

from ..discovery.errors import NotPermitted
from ..lifecycle.errors import Conflict, LifecycleError

__all__ = ('Refused', 'elsewhere', 'may', 'moving', 'permission')


class Refused(APIException):
    """409 where somebody else was first, 403 where the user may not, 422 where the move itself cannot be; the body has
    the reason and its code."""

    def __init__(self, error: LifecycleError):
        if isinstance(error, Conflict):
            self.status_code = status.HTTP_409_CONFLICT
        elif isinstance(error, NotPermitted):
            self.status_code = status.HTTP_403_FORBIDDEN
        else:
            self.status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
        super().__init__(detail={'detail': str(error), 'code': error.code})


@contextmanager
def moving(view: Any) -> Iterator[None]:
    """Around a move: all of it or nothing, with no event left over from what was rolled back."""
    using = router.db_for_write(view.queryset.model)
    try:
        with transaction.atomic(using=using), discard_events_on_rollback(view, using=using):
            yield
    except LifecycleError as error:
        raise Refused(error) from error
    except ModelValidationError as error:
        raise ValidationError(as_serializer_error(error)) from error


def permission(**actions: str) -> type[TokenPermissions]:
    """A permission class that asks for other actions than NetBox's usual ones, by method: `permission(POST='build')`.

    It decides whether the user has the permission at all; the view restricts its objects by the same action.
    """
    perms = {method: [f'%(app_label)s.{action}_%(model_name)s'] for method, action in actions.items()}

    class ActionPermission(TokenPermissions):
        perms_map = {**TokenPermissions.perms_map, **perms}

    return ActionPermission


def elsewhere(needed: str) -> type[TokenPermissions]:
    """A permission class for a POST that is an act on other objects than the view's: `elsewhere('build_machine')`.

    Which of them the user may do it to is for the view to ask.
    """
    perms = {'POST': [f'netbox_substruct.{needed}']}

    class ElsewherePermission(TokenPermissions):
        perms_map = {**TokenPermissions.perms_map, **perms}

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
            return True

    return ElsewherePermission


def may(user: Any, queryset: Any, action: str, pk: int) -> None:
    """PermissionDenied unless the user may do this with this object."""
    if not queryset.restrict(user, action).filter(pk=pk).exists():
        raise PermissionDenied
