"""What the REST API can do with a build that has ended: say what changed since the last good one, and try it again."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response

from ... import differing
from ...lifecycle import retrying
from ...models import Build, Machine
from ..conditions import unchanged
from ..refusals import elsewhere, may, moving
from ..serializers.builds import BuildSerializer
from ..serializers.changes import BuildChangesSerializer, RetryBuildSerializer
from .machines import CHANGED, CONFLICT, REFUSED

__all__ = ('EndedBuildActions',)


class EndedBuildActions:
    """For the view set of builds."""

    @extend_schema(
        operation_id='substruct_builds_retry',
        request=RetryBuildSerializer,
        responses={201: BuildSerializer, 409: CONFLICT, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=[elsewhere('build_machine')])
    def retry(self, request: Any, pk: Any) -> Response:
        """
        Request a build again that failed, stalled or was cancelled: the same machine and profile, everything else as
        it is now. Needs "view" on the build and "build" on its machine.
        """
        self.queryset = Build.objects.restrict(request.user, 'view').select_related('machine', 'profile')
        build = self.get_object()  # type: ignore[attr-defined]
        may(request.user, Machine.objects, 'build', build.machine_id)
        serializer = RetryBuildSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, build)
            later = retrying.retry(build, user=request.user, **serializer.validated_data)
        context = self.get_serializer_context()  # type: ignore[attr-defined]
        return Response(BuildSerializer(later, context=context).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id='substruct_builds_changes',
        parameters=[
            OpenApiParameter(
                'against',
                OpenApiTypes.INT64,
                description='A build of the same machine; if not given, the last good one',
            )
        ],
        responses={200: BuildChangesSerializer},
    )
    @action(detail=True, methods=['get'])
    def changes(self, request: Any, pk: Any) -> Response:
        """
        What differs between this build and the last complete one of the same machine before it: artifacts for those
        who may view them, what they were made from for those who may preview the machine.
        """
        against = request.query_params.get('against')
        if against is not None and not (against.isdecimal() and len(against) < 19):
            raise ValidationError({'against': [_('The number of a build is wanted.')]})
        build = self.get_object()  # type: ignore[attr-defined]
        found = differing.of(build, request.user, int(against) if against is not None else None)
        if against is not None and found.before is None:
            raise NotFound(_('The machine has no build #{build} that you may see.').format(build=against))
        context = self.get_serializer_context()  # type: ignore[attr-defined]
        return Response(BuildChangesSerializer(found, context=context).data)
