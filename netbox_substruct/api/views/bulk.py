"""Actions on many machines or builds at once: all of them or none, at once or by a job.

Each entry of the list names its object with "id".  With `?background=true` NetBox's worker does it, by the same code,
as with NetBox's own bulk requests.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response

from ...lifecycle import builds, machines
from ...lifecycle.errors import Conflict, LifecycleError
from ...models import Build, Machine
from ..conditions import unchanged
from ..refusals import moving, permission
from ..serializers import (
    BackgroundSerializer,
    BuildEntrySerializer,
    BuildSerializer,
    BulkRefusalSerializer,
    CancelEntrySerializer,
    MachineSerializer,
    NextBootEntrySerializer,
)

__all__ = ('BACKGROUND', 'BulkBuildActions', 'BulkMachineActions', 'accepted', 'named')

MOST = 1000
BACKGROUND = OpenApiParameter('background', OpenApiTypes.BOOL, description='Let a job do it; answered with 202')


class Refused(APIException):
    """409 if all that stands in the way is somebody who was first, else 422; the body has each reason."""

    def __init__(self, errors: list[dict[str, Any]], total: int) -> None:
        conflicts = all(error['code'] == Conflict.code for error in errors)
        self.status_code = status.HTTP_409_CONFLICT if conflicts else status.HTTP_422_UNPROCESSABLE_ENTITY
        words = _('Nothing was done: {count} of {total} stand in the way.').format(count=len(errors), total=total)
        super().__init__()
        # Not handed on: what is handed on is made into texts, ids too.
        self.detail = {'detail': words, 'errors': errors}


def described(name: str, body: Any, answer: Any, code: int = 200) -> Callable[[Any], Any]:
    """The OpenAPI schema of a bulk action."""
    schema: Callable[[Any], Any] = extend_schema(
        operation_id=f'substruct_{name}',
        request=body(many=True),
        parameters=[BACKGROUND],
        responses={
            code: answer(many=True),
            202: OpenApiResponse(BackgroundSerializer, 'With "background": a job does it.'),
            409: OpenApiResponse(BulkRefusalSerializer, 'Somebody else was first.'),
            412: OpenApiResponse(OpenApiTypes.OBJECT, 'If-Match was sent, and an object has changed.'),
            422: OpenApiResponse(BulkRefusalSerializer, 'Nothing was done; the body says why, for each.'),
        },
    )
    return schema


def accepted(view: Any, request: Any, name: str, **action_kwargs: Any) -> Response | None:
    """The answer of a request for many that a job will carry out; None if it is to be done now.

    Raises 400 unless the body is a list of a size that is taken.
    """
    if not isinstance(request.data, list) or not request.data:
        raise ValidationError({'detail': _('Give a list with an entry for each object.')})
    if len(request.data) > MOST:
        raise ValidationError({'detail': _('At most {most} at once.').format(most=MOST)})
    response: Response | None = view._handle_background_request(request, name, action_kwargs)
    return response


def named(permitted: Any, ids: list[int]) -> dict[int, Any]:
    """The objects that a list names, by id; refused if one is not among those of which the user may do it, or twice."""
    found = {obj.pk: obj for obj in permitted.filter(pk__in=ids)}
    errors = [
        {'id': pk, 'detail': _('There is no such object of which you may do this.'), 'code': 'not-found'}
        for pk in dict.fromkeys(ids)
        if pk not in found
    ]
    errors += [
        {'id': pk, 'detail': _('It is named more than once.'), 'code': 'duplicate'}
        for pk, times in Counter(ids).items()
        if times > 1
    ]
    if errors:
        raise Refused(errors, len(ids))
    return found


def bulk(view: Any, request: Any, name: str, serializer_class: Any, permitted: Any, move: Callable[..., Any]) -> Any:
    """Carry a move out on every object that the list names; gives what the moves gave, in the list's order.

    `permitted` are the objects of which the user may do this.  Gives a Response where a job will do it.
    """
    if (response := accepted(view, request, name)) is not None:
        return response
    serializer = serializer_class(data=request.data, many=True, context=view.get_serializer_context())
    serializer.is_valid(raise_exception=True)
    wanted = serializer.validated_data
    ids = [entry['id'] for entry in wanted]
    view.queryset = permitted
    found = named(view.get_queryset(), ids)
    errors: list[dict[str, Any]] = []
    results: dict[int, Any] = {}
    with moving(view):
        # In one order, whoever asks: two requests for the same machines wait for each other, and not crosswise.
        for entry in sorted(wanted, key=lambda entry: (getattr(found[entry['id']], 'machine_id', 0), entry['id'])):
            pk = entry.pop('id')
            unchanged(view, found[pk])
            try:
                results[pk] = move(found[pk], user=request.user, **entry)
            except LifecycleError as error:
                errors.append({'id': pk, 'detail': str(error), 'code': error.code})
        if errors:
            raise Refused(errors, len(ids))
    return [results[pk] for pk in ids]


class BulkMachineActions:
    """`machines/build/` and `machines/next-boot/`."""

    @described('machines_bulk_build', BuildEntrySerializer, BuildSerializer, 201)
    @action(
        detail=False,
        methods=['post'],
        url_path='build',
        url_name='bulk-build',
        permission_classes=[permission(POST='build')],
        filterset_class=None,
        pagination_class=None,
    )
    def bulk_build(self, request: Any) -> Any:
        """
        Request builds of many machines: all or none. Needs "build" on each. To build many a few at a time there are
        waves.
        """
        permitted = Machine.objects.restrict(request.user, 'build')
        done = bulk(self, request, 'bulk_build', BuildEntrySerializer, permitted, builds.request)
        return _answer(self, done, BuildSerializer, status.HTTP_201_CREATED)

    @described('machines_bulk_next_boot', NextBootEntrySerializer, MachineSerializer)
    @action(
        detail=False,
        methods=['post'],
        url_path='next-boot',
        url_name='bulk-next-boot',
        permission_classes=[permission(POST='build')],
        filterset_class=None,
        pagination_class=None,
    )
    def bulk_next_boot(self, request: Any) -> Any:
        """
        Ask for what many machines boot once: all or none. Needs "build" on each.
        """
        permitted = Machine.objects.restrict(request.user, 'build')
        done = bulk(self, request, 'bulk_next_boot', NextBootEntrySerializer, permitted, machines.ask)
        return _answer(self, done, MachineSerializer)


class BulkBuildActions:
    """`builds/cancel/`."""

    @described('builds_bulk_cancel', CancelEntrySerializer, BuildSerializer)
    @action(
        detail=False,
        methods=['post'],
        url_path='cancel',
        url_name='bulk-cancel',
        permission_classes=[permission(POST='cancel')],
        filterset_class=None,
        pagination_class=None,
    )
    def bulk_cancel(self, request: Any) -> Any:
        """
        Stop many builds: all or none. Needs "cancel" on each.
        """
        permitted = Build.objects.restrict(request.user, 'cancel')
        done = bulk(self, request, 'bulk_cancel', CancelEntrySerializer, permitted, builds.cancel)
        return _answer(self, done, BuildSerializer)


def _answer(view: Any, done: Any, serializer_class: Any, code: int = status.HTTP_200_OK) -> Response:
    if isinstance(done, Response):
        return done
    return Response(serializer_class(done, many=True, context=view.get_serializer_context()).data, status=code)
