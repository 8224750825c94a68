"""REST view sets of waves and their members, and the actions on waves."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from ... import filtersets
from ...models import Wave, WaveMember
from ...waves import moves, summary
from ..refusals import moving, permission
from ..schema import ModelViewSet
from ..serializers import StopWaveSerializer, WaveMemberSerializer, WaveProgressSerializer, WaveSerializer
from .machines import REFUSED

__all__ = ('WaveMemberViewSet', 'WaveViewSet')

CHANGES = [permission(POST='change')]


class WaveViewSet(ModelViewSet):
    queryset = Wave.objects.all()
    serializer_class = WaveSerializer
    filterset_class = filtersets.WaveFilterSet

    def move(self, function, **values):
        # NetBox has restricted the queryset to "add" for every POST.
        self.queryset = Wave.objects.restrict(self.request.user, 'change')
        wave = self.get_object()
        with moving(self):
            function(wave, user=self.request.user, **values)
        return Response(WaveSerializer(wave, context=self.get_serializer_context()).data)

    @extend_schema(operation_id='substruct_waves_start', request=None, responses={200: WaveSerializer, 422: REFUSED})
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def start(self, request, pk):
        """
        Start a planned wave. Needs "change" on the wave, and "build" on every machine that it would build.
        """
        return self.move(moves.start)

    @extend_schema(operation_id='substruct_waves_pause', request=None, responses={200: WaveSerializer, 422: REFUSED})
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def pause(self, request, pk):
        """
        Begin no more builds; those under way go on. Needs "change" on the wave.
        """
        return self.move(moves.pause)

    @extend_schema(operation_id='substruct_waves_resume', request=None, responses={200: WaveSerializer, 422: REFUSED})
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
        responses={200: WaveSerializer, 422: REFUSED},
    )
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def stop(self, request, pk):
        """
        End a wave; its builds under way go on, or are cancelled. Needs "change" on the wave.
        """
        serializer = StopWaveSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return self.move(moves.stop, **serializer.validated_data)

    @extend_schema(operation_id='substruct_waves_retry', request=None, responses={200: WaveSerializer, 422: REFUSED})
    @action(detail=True, methods=['post'], permission_classes=CHANGES)
    def retry(self, request, pk):
        """
        Build what failed or was cancelled once more. Needs "change" on the wave, and "build" on every machine that it
        would build.
        """
        return self.move(moves.retry)

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
