"""What actions on many objects take and give."""

from rest_framework import serializers

from .builds import CancelBuildSerializer
from .machines import BuildMachineSerializer, NextBootSerializer, ProblemSerializer, RefusalSerializer

__all__ = (
    'BackgroundSerializer',
    'BuildEntrySerializer',
    'BulkRefusalSerializer',
    'CancelEntrySerializer',
    'MachinesRefusalSerializer',
    'NextBootEntrySerializer',
)


class BuildEntrySerializer(BuildMachineSerializer):
    id = serializers.IntegerField(help_text='ID of the machine')


class NextBootEntrySerializer(NextBootSerializer):
    id = serializers.IntegerField(help_text='ID of the machine')


class CancelEntrySerializer(CancelBuildSerializer):
    id = serializers.IntegerField(help_text='ID of the build')


class OneRefusalSerializer(RefusalSerializer):
    id = serializers.IntegerField(help_text='ID of the object')
    code = serializers.CharField(help_text='As for one object, and not-found and duplicate')


class BulkRefusalSerializer(serializers.Serializer):
    """Why nothing was done: every object that stood in the way."""

    detail = serializers.CharField()
    errors = OneRefusalSerializer(many=True)


class MachinesRefusalSerializer(ProblemSerializer):
    """Why no machine was put into a wave: the wave takes none (`code`), or every machine that stood in the way."""

    errors = OneRefusalSerializer(many=True, required=False)


class BackgroundJobSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    url = serializers.CharField()
    status = serializers.CharField()


class BackgroundSerializer(serializers.Serializer):
    """The job that does it; its "data" has the status and the answer when it has ended."""

    job = BackgroundJobSerializer()
