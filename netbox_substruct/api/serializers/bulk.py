"""What actions on many objects take and give."""

from rest_framework import serializers

from .builds import CancelBuildSerializer
from .machines import BuildMachineSerializer, NextBootSerializer, RefusalSerializer

__all__ = (
    'BackgroundSerializer',
    'BulkBuildSerializer',
    'BulkCancelSerializer',
    'BulkNextBootSerializer',
    'BulkRefusalSerializer',
)


class BulkBuildSerializer(BuildMachineSerializer):
    id = serializers.IntegerField(help_text='ID of the machine')


class BulkNextBootSerializer(NextBootSerializer):
    id = serializers.IntegerField(help_text='ID of the machine')


class BulkCancelSerializer(CancelBuildSerializer):
    id = serializers.IntegerField(help_text='ID of the build')


class OneRefusalSerializer(RefusalSerializer):
    id = serializers.IntegerField(help_text='ID of the object')
    code = serializers.CharField(help_text='As for one object, and not-found and duplicate')


class BulkRefusalSerializer(serializers.Serializer):
    """Why nothing was done: every object that stood in the way."""

    detail = serializers.CharField()
    errors = OneRefusalSerializer(many=True)


class JobSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    url = serializers.CharField()
    status = serializers.CharField()


class BackgroundSerializer(serializers.Serializer):
    """The job that does it; its "data" has the status and the answer when it has ended."""

    job = JobSerializer()
