"""REST view sets of builds, their artifacts and their events."""

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from netbox.api.renderers import TextRenderer

from ... import filtersets
from ...lifecycle import builds
from ...models import Build, BuildArtifact, BuildEvent, Machine
from ..conditions import tagged, unchanged
from ..refusals import elsewhere, may, moving, permission
from ..schema import ModelViewSet
from ..serializers import (
    BuildArtifactSerializer,
    BuildEventSerializer,
    BuildSerializer,
    CancelBuildSerializer,
)
from .bulk import BulkBuildActions
from .machines import CHANGED, CONFLICT, REFUSED, content
from .retrying import EndedBuildActions

__all__ = (
    'BuildArtifactViewSet',
    'BuildEventViewSet',
    'BuildViewSet',
)

# What the name of a machine is read from.
OBJECTS = ('machine__device', 'machine__virtual_machine')
OBJECTS_OF_BUILD = ('build__machine__device', 'build__machine__virtual_machine')
# Records are added and, when they are not wanted any more, deleted; they are not edited.
RECORD_METHODS = ('get', 'post', 'delete', 'head', 'options')


@extend_schema_view(
    create=extend_schema(
        description='Request a build. Needs "build" on the machine.',
        responses={201: BuildSerializer, 409: CONFLICT, 422: REFUSED},
    )
)
class BuildViewSet(BulkBuildActions, EndedBuildActions, ModelViewSet):
    queryset = Build.objects.defer('request').prefetch_related(*OBJECTS)
    serializer_class = BuildSerializer
    filterset_class = filtersets.BuildFilterSet

    def get_permissions(self):
        if self.action == 'create':
            # "add" on builds would say nothing about which machine is built.
            return [elsewhere('build_machine')()]
        return super().get_permissions()

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        if self.action == 'create':
            # NetBox has restricted it to "add" on builds; what decides is "build" on the machine (perform_create).
            self.queryset = type(self).queryset.all()

    def perform_create(self, serializer):
        may(self.request.user, Machine.objects, 'build', serializer.validated_data['machine'].pk)
        with moving(self):
            serializer.save()

    @extend_schema(
        operation_id='substruct_builds_cancel',
        request=CancelBuildSerializer,
        responses={200: BuildSerializer, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=[permission(POST='cancel')])
    def cancel(self, request, pk):
        """
        Stop a build. Needs "cancel" on the build.
        """
        self.queryset = Build.objects.restrict(request.user, 'cancel')
        build = self.get_object()
        serializer = CancelBuildSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, build)
            builds.cancel(build, user=request.user, reason=serializer.validated_data['reason'])
        return tagged(self, Response(BuildSerializer(build, context=self.get_serializer_context()).data), build)

    @extend_schema(
        operation_id='substruct_builds_request',
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT, 'The context that the artifacts were rendered from.')},
    )
    @action(detail=True, methods=['get'], url_path='request', url_name='request')
    def frozen_request(self, request, pk):
        """
        What was asked of a build, frozen. Needs "preview" on its machine.
        """
        build = self.get_object()
        may(request.user, Machine.objects, 'preview', build.machine_id)
        return Response(build.request)


class BuildArtifactViewSet(ModelViewSet):
    """What was served is kept as it was; it is deleted, and never written."""

    http_method_names = ('get', 'delete', 'head', 'options')
    queryset = BuildArtifact.objects.prefetch_related(*OBJECTS_OF_BUILD)
    serializer_class = BuildArtifactSerializer
    filterset_class = filtersets.BuildArtifactFilterSet

    @extend_schema(operation_id='substruct_build_artifacts_content', responses={(200, 'text/plain'): OpenApiTypes.STR})
    @action(detail=True, methods=['get'], renderer_classes=[JSONRenderer, TextRenderer])
    def content(self, request, pk):
        """
        The artifact, byte for byte as it is served.
        """
        return content(self.get_object(), request)


@extend_schema_view(
    create=extend_schema(
        description='Write an event into the timeline of a build, and move the build where it takes it. An event that '
        'is sent again with the same key is answered with 200 and changes nothing.',
        responses={200: BuildEventSerializer, 201: BuildEventSerializer, 422: REFUSED},
    )
)
class BuildEventViewSet(ModelViewSet):
    http_method_names = RECORD_METHODS
    queryset = BuildEvent.objects.prefetch_related(*OBJECTS_OF_BUILD)
    serializer_class = BuildEventSerializer
    filterset_class = filtersets.BuildEventFilterSet

    def create(self, request, *args, **kwargs):
        key = request.data.get('key') if isinstance(request.data, dict) else None
        known = bool(key) and BuildEvent.objects.filter(key=str(key)).exists()
        response = super().create(request, *args, **kwargs)
        if known and response.status_code == 201:
            response.status_code = 200
        return response

    def perform_create(self, serializer):
        try:
            with moving(self):
                self._validate_objects(serializer.save())
        except ObjectDoesNotExist as error:
            raise PermissionDenied from error
