"""REST serializers of a preflight."""

from rest_framework import serializers

__all__ = ('PreflightSerializer',)

OUTCOMES = ('ok', 'warning', 'failure', 'unknown')


class LinkSerializer(serializers.Serializer):
    label = serializers.CharField()
    url = serializers.CharField()


class PreflightStepSerializer(serializers.Serializer):
    key = serializers.CharField(help_text='Stable name of the step; docs/preflight.md lists them')
    title = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    words = serializers.CharField(help_text='What was found')
    remedy = serializers.CharField(allow_blank=True, help_text='What to do')
    link = LinkSerializer(allow_null=True, help_text='The page where it is mended')
    blocking = serializers.BooleanField(help_text='A build would surely not succeed, and is refused')
    source = serializers.CharField(allow_blank=True, help_text='The boot server that says it; empty for NetBox itself')
    time = serializers.DateTimeField(allow_null=True, help_text='When it was looked at; null for just now')


class PreflightServerSerializer(serializers.Serializer):
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=('never', 'asked', 'answered', 'failed'))
    asked = serializers.DateTimeField(allow_null=True)
    answered = serializers.DateTimeField(allow_null=True, help_text='When it looked at what its steps say')
    error = serializers.CharField(allow_blank=True)


class PreflightSerializer(serializers.Serializer):
    """Whether a machine would boot and its build would succeed, step by step."""

    outcome = serializers.ChoiceField(choices=OUTCOMES, help_text='The worst of all steps')
    blocked = serializers.SerializerMethodField(help_text='Whether a build is refused as things stand')
    waiting = serializers.BooleanField(help_text='Whether a boot server was asked and has not answered yet')
    servers = PreflightServerSerializer(many=True)
    steps = PreflightStepSerializer(many=True)

    def get_blocked(self, report) -> bool:
        return bool(report.blocking)
