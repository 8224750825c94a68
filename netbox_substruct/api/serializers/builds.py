"""REST serializers of builds, their artifacts and their events."""

from django.utils.translation import gettext as _
from rest_framework import serializers

from netbox.api.fields import ChoiceField
from netbox.api.serializers import NetBoxModelSerializer
from users.api.serializers import UserSerializer

from ...changelog import explain
from ...choices import ArtifactKindChoices, BuildEventKindChoices, BuildStateChoices
from ...lifecycle import builds as lifecycle
from ...models import Build, BuildArtifact, BuildEvent
from .machines import MachineSerializer
from .profiles import ProfileSerializer

__all__ = (
    'BuildArtifactSerializer',
    'BuildEventSerializer',
    'BuildSerializer',
    'CancelBuildSerializer',
)


class BuildSerializer(NetBoxModelSerializer):
    """A build.  Creating one is requesting it; afterwards only what is said of it can be changed."""

    machine = MachineSerializer(nested=True)
    profile = ProfileSerializer(nested=True, required=False, allow_null=True)
    override = serializers.CharField(
        write_only=True,
        required=False,
        allow_blank=True,
        help_text='The exact name of a machine that is active or protected',
    )
    state = ChoiceField(choices=BuildStateChoices, read_only=True)
    requested_by = UserSerializer(nested=True, read_only=True, allow_null=True)

    class Meta:
        model = Build
        fields = (
            'id', 'url', 'display_url', 'display', 'machine', 'profile', 'override', 'state', 'progress',
            'requested_by', 'started', 'finished', 'error', 'description', 'comments', 'tags', 'custom_fields',
            'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'state', 'description')
        read_only_fields = ('progress', 'started', 'finished', 'error')

    def validate(self, data):
        if self.nested:
            return data
        if self.instance is None:
            # `lifecycle` checks everything about a new build, and says more than the model's own constraints can.
            return data
        for field in ('machine', 'profile', 'override'):
            if field in data and (field == 'override' or data[field] != getattr(self.instance, field)):
                raise serializers.ValidationError(
                    {field: _('What was asked of a build is frozen; cancel it and request another.')}
                )
        return super().validate(data)

    def create(self, validated_data):
        tags = validated_data.pop('tags', None)
        add_tags = validated_data.pop('add_tags', None)
        build = lifecycle.request(
            validated_data['machine'],
            user=self.context['request'].user,
            profile=validated_data.get('profile'),
            override=validated_data.get('override', ''),
            description=validated_data.get('description', ''),
        )
        explain(build, validated_data.get('changelog_message'))
        custom_fields = validated_data.get('custom_field_data') or {}
        comments = validated_data.get('comments', '')
        if comments or any(value is not None for value in custom_fields.values()):
            build.snapshot()
            build.comments = comments
            build.custom_field_data = custom_fields
            build.full_clean()
            build.save()
        if wanted := tags or add_tags:
            build.tags.set([tag.name for tag in wanted])
        return build


class CancelBuildSerializer(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_blank=True, default='', max_length=400)


class BuildArtifactSerializer(NetBoxModelSerializer):
    """A rendered file.  Read only: what was served can be compared later because nobody changed it."""

    build = BuildSerializer(nested=True, read_only=True)
    kind = ChoiceField(choices=ArtifactKindChoices, read_only=True)
    size = serializers.IntegerField(read_only=True, help_text='Bytes')

    class Meta:
        model = BuildArtifact
        fields = (
            'id', 'url', 'display_url', 'display', 'build', 'kind', 'name', 'content', 'size', 'sha256',
            'template_name', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'name', 'sha256')
        read_only_fields = ('name', 'content', 'sha256', 'template_name')


class BuildEventSerializer(NetBoxModelSerializer):
    """A step of a build.  Creating one moves the build; sending it again with the same key changes nothing."""

    build = BuildSerializer(nested=True)
    kind = ChoiceField(choices=BuildEventKindChoices)

    class Meta:
        model = BuildEvent
        fields = (
            'id', 'url', 'display_url', 'display', 'build', 'time', 'kind', 'message', 'progress', 'log', 'key', 'tags',
            'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'message', 'time')
        extra_kwargs = {
            # An event that is known already is no error: see the view.
            'key': {'validators': []},
            'time': {'required': False},
        }

    def validate(self, data):
        # `lifecycle` makes the event, and checks it.
        return data

    def create(self, validated_data):
        tags = validated_data.pop('tags', None) or validated_data.pop('add_tags', None)
        custom_fields = validated_data.pop('custom_field_data', None) or {}
        build = validated_data.pop('build')
        key = validated_data.get('key') or None
        known = key is not None and BuildEvent.objects.filter(key=key).exists()
        event = lifecycle.record(
            build,
            validated_data['kind'],
            message=validated_data.get('message', ''),
            time=validated_data.get('time'),
            progress=validated_data.get('progress'),
            log=validated_data.get('log', ''),
            key=key,
        )
        if known:
            return event
        explain(event, validated_data.get('changelog_message'))
        if any(value is not None for value in custom_fields.values()):
            event.snapshot()
            event.custom_field_data = custom_fields
            event.full_clean()
            event.save()
        if tags:
            event.tags.set([tag.name for tag in tags])
        return event
