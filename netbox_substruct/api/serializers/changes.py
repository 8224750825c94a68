"""REST serializers of what differs between two builds, and of trying one again.  Read and written by nobody's model."""

from rest_framework import serializers

from .builds import BuildSerializer

__all__ = ('BuildChangesSerializer', 'RetryBuildSerializer')

WORDS = ('added', 'removed', 'changed', 'same')


class ArtifactChangeSerializer(serializers.Serializer):
    kind = serializers.CharField()
    name = serializers.CharField()
    word = serializers.ChoiceField(choices=WORDS)
    before = serializers.CharField(source='before.sha256', default=None, allow_null=True, help_text='SHA-256')
    after = serializers.CharField(source='after.sha256', default=None, allow_null=True, help_text='SHA-256')
    diff = serializers.SerializerMethodField(help_text='A unified difference, without the names of files')
    cut = serializers.BooleanField(help_text='Whether the difference is not the whole')

    def get_diff(self, change) -> str:
        return ''.join(f'{line}\n' for line in change.lines)


class ValueChangeSerializer(serializers.Serializer):
    path = serializers.CharField(help_text='As templates see it: parameters.disk.scheme')
    word = serializers.ChoiceField(choices=WORDS[:3])
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class BuildChangesSerializer(serializers.Serializer):
    """`before` is null where there is no build to compare with; lists are null where the user may not see them."""

    build = BuildSerializer(nested=True)
    before = BuildSerializer(nested=True, allow_null=True)
    artifacts = ArtifactChangeSerializer(many=True, allow_null=True)
    values = ValueChangeSerializer(many=True, allow_null=True)


class RetryBuildSerializer(serializers.Serializer):
    override = serializers.CharField(
        required=False,
        allow_blank=True,
        default='',
        help_text='The exact name of a machine that is active or protected',
    )
    description = serializers.CharField(
        required=False, allow_blank=True, default='', max_length=200, help_text='If empty: that of the build'
    )
