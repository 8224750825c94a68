"""REST view sets of machines, and the actions on them."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from netbox.api.renderers import TextRenderer

from ... import boot, filtersets, insight, power
from ...choices import ArtifactKindChoices
from ...lifecycle import builds, machines
from ...models import Machine
from ...panels.provisioning import newest_build, next_step
from ...permitted import covered
from ..conditions import tagged, unchanged
from ..refusals import elsewhere, may, moving, permission
from ..schema import ModelViewSet
from ..serializers import (
    BootDecisionSerializer,
    BuildMachineSerializer,
    BuildSerializer,
    MachineSerializer,
    MachineStateSerializer,
    NextBootSerializer,
    NextStepSerializer,
    ParametersSerializer,
    PowerSerializer,
    PreviewSerializer,
    RefusalSerializer,
    RegisterSerializer,
    TaskSerializer,
)
from .bulk import BACKGROUND, BulkMachineActions
from .bulk_adoption import BulkAdoption
from .discovery import DiscoveryMixin
from .preflight import PreflightMixin

__all__ = ('MachineViewSet',)

CONFLICT = OpenApiResponse(RefusalSerializer, 'Somebody else was first: a build is pending or under way already.')
REFUSED = OpenApiResponse(RefusalSerializer, 'The move is not possible; the body says why and what to do.')
CHANGED = OpenApiResponse(OpenApiTypes.OBJECT, 'If-Match was sent, and the object has changed since.')

# What a machine's name and site are read from; NetBox finds out by itself only what fields of the model need.
OBJECTS = ('device__site', 'virtual_machine__site')


class MachineViewSet(BulkMachineActions, BulkAdoption, DiscoveryMixin, PreflightMixin, ModelViewSet):
    queryset = Machine.objects.prefetch_related(*OBJECTS)
    serializer_class = MachineSerializer
    filterset_class = filtersets.MachineFilterSet

    def machine(self, action_name: str) -> Machine:
        """The machine of the request, if the user may do this with it; 404 for all others.

        NetBox has restricted the queryset to "add" for every POST; an action has a permission of its own.
        """
        self.queryset = Machine.objects.restrict(self.request.user, action_name)
        return self.get_object()

    def answer(self, machine: Machine) -> Response:
        response = Response(MachineSerializer(machine, context=self.get_serializer_context()).data)
        return tagged(self, response, machine)

    @extend_schema(
        operation_id='substruct_machines_register',
        request=RegisterSerializer,
        parameters=[BACKGROUND],
        responses={201: MachineSerializer, 422: REFUSED},
    )
    @action(detail=False, methods=['post'])
    def register(self, request):
        """
        Register a device or virtual machine, or a list of them: all or none. Needs "add" on machines and "view" on
        what is registered.
        """
        if (response := self._handle_background_request(request, 'register')) is not None:
            return response
        many = isinstance(request.data, list)
        serializer = RegisterSerializer(data=request.data, many=many, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        registered = []
        with moving(self):
            for wanted in serializer.validated_data if many else [serializer.validated_data]:
                obj = wanted['device'] or wanted['virtual_machine']
                may(request.user, type(obj).objects, 'view', obj.pk)
                registered.append(machines.register(obj, profile=wanted['profile'], user=request.user))
            covered(request.user, 'add', registered)
        result = MachineSerializer(
            registered if many else registered[0], many=many, context=self.get_serializer_context()
        )
        return Response(result.data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id='substruct_machines_build',
        request=BuildMachineSerializer,
        responses={201: BuildSerializer, 409: CONFLICT, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=[permission(POST='build')])
    def build(self, request, pk):
        """
        Request a build. Needs "build" on the machine, and its exact name as the override where it is active or
        protected.
        """
        machine = self.machine('build')
        serializer = BuildMachineSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, machine)
            build = builds.request(machine, user=request.user, **serializer.validated_data)
        return Response(
            BuildSerializer(build, context=self.get_serializer_context()).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(
        operation_id='substruct_machines_next_boot',
        request=NextBootSerializer,
        responses={200: MachineSerializer, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], url_path='next-boot', permission_classes=[permission(POST='build')])
    def next_boot(self, request, pk):
        """
        Ask for what the machine boots once: rescue, discovery or wipe; empty takes it back. Needs "build" on the
        machine, and for wiping its exact name as the override where it is active or protected.
        """
        machine = self.machine('build')
        serializer = NextBootSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, machine)
            machines.ask(machine, user=request.user, **serializer.validated_data)
        return self.answer(machine)

    @extend_schema(
        operation_id='substruct_machines_power',
        request=PowerSerializer,
        responses={201: TaskSerializer, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=[elsewhere('add_task')])
    def power(self, request, pk):
        """
        Ask a boot server to switch the machine's power by its BMC: the answer is the task, whose state says what comes
        of it. Needs "view" on the machine and "add" on tasks, and the machine's exact name as the override where what
        runs on it would be interrupted and it is active or protected.
        """
        machine = self.machine('view')
        serializer = PowerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, machine)
            task = power.ask(machine, user=request.user, **serializer.validated_data)
        return Response(
            TaskSerializer(task, context=self.get_serializer_context()).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(
        operation_id='substruct_machines_state',
        request=MachineStateSerializer,
        responses={200: MachineSerializer, 412: CHANGED, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=[permission(POST='change')])
    def state(self, request, pk):
        """
        Register or retire a machine. Builds move it through all other states. Needs "change" on the machine.
        """
        machine = self.machine('change')
        serializer = MachineStateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with moving(self):
            unchanged(self, machine)
            machines.move(machine, serializer.validated_data['state'], user=request.user)
            if not self.queryset.filter(pk=machine.pk).exists():
                raise PermissionDenied
        return self.answer(machine)

    @extend_schema(operation_id='substruct_machines_boot', responses={200: BootDecisionSerializer})
    @action(detail=True, methods=['get'])
    def boot(self, request, pk):
        """
        What the machine boots now, and why.
        """
        return Response(BootDecisionSerializer(boot.decide(boot.subject_of(self.get_object()))).data)

    @extend_schema(operation_id='substruct_machines_next_step', responses={200: NextStepSerializer})
    @action(detail=True, methods=['get'], url_path='next-step')
    def next_step(self, request, pk):
        """
        The one next sensible thing to do about the machine, and by which action if the user may take it.
        """
        machine = self.get_object()
        step = next_step(machine.object, machine, request.user)['step']
        build = newest_build(machine) if step.action in ('watch', 'read') else None
        shown = {'words': step.words, 'action': step.action, 'build': build.pk if build is not None else None}
        return Response(NextStepSerializer(shown).data)

    @extend_schema(operation_id='substruct_machines_parameters', responses={200: ParametersSerializer})
    @action(detail=True, methods=['get'], permission_classes=[permission(GET='preview', HEAD='preview')])
    def parameters(self, request, pk):
        """
        The merged parameters of the machine, and where each comes from. Needs "preview" on the machine.
        """
        return Response(ParametersSerializer(insight.parameters_of(self.machine('preview'))).data)

    @extend_schema(operation_id='substruct_machines_preview', responses={200: PreviewSerializer})
    @action(detail=True, methods=['get'], permission_classes=[permission(GET='preview', HEAD='preview')])
    def preview(self, request, pk):
        """
        Every artifact of the machine exactly as it would be served, and why others cannot be made. Needs "preview" on
        the machine.
        """
        return Response(PreviewSerializer(insight.preview_of(self.machine('preview'))).data)

    @extend_schema(
        operation_id='substruct_machines_preview_content',
        parameters=[
            OpenApiParameter(
                'kind',
                OpenApiTypes.STR,
                OpenApiParameter.PATH,
                enum=ArtifactKindChoices.values(),
                description='Kind of artifact',
            )
        ],
        responses={(200, 'text/plain'): OpenApiTypes.STR},
    )
    @action(
        detail=True,
        methods=['get'],
        url_path=r'preview/(?P<kind>[^/]+)',
        url_name='preview-content',
        permission_classes=[permission(GET='preview', HEAD='preview')],
        renderer_classes=[JSONRenderer, TextRenderer],
    )
    def preview_content(self, request, pk, kind):
        """
        One artifact of the machine, byte for byte as it would be served. Needs "preview" on the machine.
        """
        machine = self.machine('preview')
        for artifact in insight.preview_of(machine).artifacts:
            if artifact.kind == kind:
                return content(artifact)
        raise NotFound(_('{machine} has no artifact of kind "{kind}".').format(machine=machine, kind=kind))


def content(artifact, request=None) -> HttpResponse:
    """An artifact's bytes, never taken for anything but text; 304 where the client has them already."""
    etag = f'"{artifact.sha256}"'
    if request is not None and etag in request.headers.get('If-None-Match', ''):
        response = HttpResponse(status=status.HTTP_304_NOT_MODIFIED)
    else:
        response = HttpResponse(artifact.content.encode(), content_type='text/plain; charset=utf-8')
    response['ETag'] = etag
    response['X-Content-Type-Options'] = 'nosniff'
    return response
