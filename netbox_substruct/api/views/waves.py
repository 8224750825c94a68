"""REST view sets of waves and their members, and the actions on waves."""

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response

from ... import filtersets
from ...models import Machine, Wave, WaveMember
from ...permitted import covered
from ...waves import moves, summary
from ..conditions import tagged, unchanged
from ..refusals import elsewhere, moving, permission
from ..schema import ModelViewSet
from ..serializers import (
    BackgroundSerializer,
    MachinesRefusalSerializer,
    StopWaveSerializer,
    WaveEntrySerializer,
    WaveMemberSerializer,
    WaveProgressSerializer,
    WaveSerializer,
)
from .bulk import BACKGROUND, accepted, named
from .machines import CHANGED, REFUSED

__all__ = ('WaveMemberViewSet', 'WaveViewSet')

CHANGES = [permission(POST='change')]
ANSWERS = {200: WaveSerializer, 412: CHANGED, 422: REFUSED}


class WaveViewSet(ModelViewSet):
    queryset = Wave.objects.all()
    serializer_class = WaveSerializer
    filterset_class = filtersets.WaveFilterSet

    def move(self, function, **values):
        # NetBox has restricted the queryset to "add" for every POST.
        self.queryset = Wave.objects.restrict(self.request.user, 'change')
        wave = self.get_object()
        with moving(self):
            unchanged(self, wave)
            function(wave, user=self.request.user, **values)
        return tagged(self, Response(WaveSerializer(wave, context=self.get_serializer_context()).data), wave)

    @extend_schema(operation_id='substruct_waves_start', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def start(self, request, pk):
        """
        Start a planned wave. Needs "change" on the wave, and "build" on every machine that it would build.
        """
        return self.move(moves.start)

    @extend_schema(operation_id='substruct_waves_pause', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def pause(self, request, pk):
        """
        Begin no more builds; those under way go on. Needs "change" on the wave.
        """
        return self.move(moves.pause)

    @extend_schema(operation_id='substruct_waves_resume', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def resume(self, request, pk):
        """
        Let a paused or stopped wave go on. Needs "change" on the wave, and "build" on every machine that it would
        build.
        """
        return self.move(moves.resume)

    @extend_schema(
        operation_id='substruct_waves_stop',
        request=StopWaveSerializer,
        responses=ANSWERS,
    )
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def stop(self, request, pk):
        """
        End a wave; its builds under way go on, or are cancelled. Needs "change" on the wave.
        """
        serializer = StopWaveSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return self.move(moves.stop, **serializer.validated_data)

    @extend_schema(operation_id='substruct_waves_retry', request=None, responses=ANSWERS)
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def retry(self, request, pk):
        """
        Build what failed or was cancelled once more. Needs "change" on the wave, and "build" on every machine that it
        would build.
        """
        return self.move(moves.retry)

    @extend_schema(
        operation_id='substruct_waves_machines',
        request=WaveEntrySerializer(many=True),
        parameters=[BACKGROUND],
        responses={
            201: WaveMemberSerializer(many=True),
            202: OpenApiResponse(BackgroundSerializer, 'With "background": a job does it.'),
            412: CHANGED,
            422: OpenApiResponse(MachinesRefusalSerializer, 'Nothing was done; the body says why.'),
        },
    )
    @action(
        detail=True,
        methods=['post'],
        permission_classes=[elsewhere('add_wavemember')],
        filterset_class=None,
        pagination_class=None,
    )
    def machines(self, request, pk):
        """
        Put machines into a wave, behind those that are in it: all or none. One that cannot be built as things stand is
        in it as "left-out", with the reason. The answer has the new members. Needs "view" on the wave, "add" on wave
        members and "build" on the machines.
        """
        self.queryset = Wave.objects.restrict(request.user, 'view')
        wave = get_object_or_404(self.queryset, pk=pk)
        if (response := accepted(self, request, 'machines', pk=pk)) is not None:
            return response
        serializer = WaveEntrySerializer(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        entries = serializer.validated_data
        found = named(Machine.objects.restrict(request.user, 'build'), [entry['machine'] for entry in entries])
        overrides = {entry['machine']: entry['override'] for entry in entries}
        with moving(self):
            unchanged(self, wave)
            members = moves.add(wave, [found[pk] for pk in overrides], overrides=overrides, user=request.user)
            covered(request.user, 'add', members)
        context = self.get_serializer_context()
        return Response(WaveMemberSerializer(members, many=True, context=context).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id='substruct_waves_progress', responses={200: WaveProgressSerializer})
    @action(detail=True, methods=['get'])
    def progress(self, request, pk):
        """
        How far the wave has come, and what it waits for.
        """
        return Response(WaveProgressSerializer(summary.progress(self.get_object(), request.user)).data)


class WaveMemberViewSet(ModelViewSet):
    queryset = WaveMember.objects.prefetch_related(
        'machine__device', 'machine__virtual_machine', 'build__machine__device', 'build__machine__virtual_machine'
    )
    serializer_class = WaveMemberSerializer
    filterset_class = filtersets.WaveMemberFilterSet
