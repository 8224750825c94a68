"""REST serializers of waves, their members, and of what is asked of them and answered."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from timezone_field.rest_framework import TimeZoneSerializerField

from netbox.api.fields import ChoiceField
from netbox.api.serializers import NetBoxModelSerializer, PrimaryModelSerializer
from users.api.serializers import UserSerializer

from ...choices import WaveMemberStateChoices, WaveStateChoices, WeekdayChoices
from ...models import Wave, WaveMember
from .builds import BuildSerializer
from .machines import MachineSerializer
from .profiles import ProfileSerializer

__all__ = (
    'StopWaveSerializer',
    'WaveEntrySerializer',
    'WaveMemberSerializer',
    'WaveProgressSerializer',
    'WaveSerializer',
)


class WaveSerializer(PrimaryModelSerializer):
    profile = ProfileSerializer(nested=True, required=False, allow_null=True, default=None)
    days = serializers.ListField(child=serializers.ChoiceField(choices=WeekdayChoices), required=False)
    time_zone = TimeZoneSerializerField(required=False, allow_null=True)
    state = ChoiceField(choices=WaveStateChoices, read_only=True)
    requested_by = UserSerializer(nested=True, read_only=True, allow_null=True)

    class Meta:
        model = Wave
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'profile', 'at_once', 'canaries', 'max_failures',
            'not_before', 'not_after', 'days', 'daily_from', 'daily_until', 'time_zone', 'reserve', 'state', 'reason',
            'requested_by', 'started', 'finished', 'description', 'owner', 'comments', 'tags', 'custom_fields',
            'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'state', 'description')
        read_only_fields = ('reason', 'started', 'finished')


class WaveMemberSerializer(NetBoxModelSerializer):
    wave = WaveSerializer(nested=True)
    machine = MachineSerializer(nested=True)
    state = ChoiceField(choices=WaveMemberStateChoices, read_only=True)
    build = BuildSerializer(nested=True, read_only=True, allow_null=True)

    class Meta:
        model = WaveMember
        fields = (
            'id', 'url', 'display_url', 'display', 'wave', 'machine', 'order', 'override', 'state', 'reason', 'build',
            'attempts', 'excused', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'state', 'order')
        read_only_fields = ('reason', 'attempts', 'excused')


#
# What actions take and give
#


class StopWaveSerializer(serializers.Serializer):
    cancel_builds = serializers.BooleanField(
        required=False, default=False, help_text='Whether builds under way are cancelled; needs "cancel" on each'
    )


class WaveEntrySerializer(serializers.Serializer):
    machine = serializers.IntegerField(help_text='ID of the machine')
    override = serializers.CharField(
        required=False,
        allow_blank=True,
        default='',
        max_length=100,
        help_text='The exact name of a machine that is active or protected',
    )


class WaveProgressSerializer(serializers.Serializer):
    """How far a wave has come, of the members that the user may see."""

    total = serializers.IntegerField()
    counts = serializers.SerializerMethodField(help_text='How many members are in each state')
    why = serializers.CharField(allow_blank=True, help_text='What it waits for, or why it has ended')

    @extend_schema_field({'type': 'object', 'additionalProperties': {'type': 'integer'}})
    def get_counts(self, progress):
        return dict(progress.counts)
