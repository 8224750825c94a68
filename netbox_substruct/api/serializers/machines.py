"""REST serializers of machines, and of what is asked of them and answered."""

from django.utils.translation import gettext as _
from rest_framework import serializers

from dcim.api.serializers import DeviceSerializer, SiteSerializer
from netbox.api.fields import ChoiceField
from netbox.api.serializers import PrimaryModelSerializer
from virtualization.api.serializers import VirtualMachineSerializer

from ...choices import (
    ArchitectureChoices,
    FirmwareChoices,
    LocalBootChoices,
    MachineStateChoices,
    NextBootChoices,
    PowerActionChoices,
)
from ...models import Machine
from .bootservers import BootServerSerializer
from .discoveryrules import DiscoveryRuleSerializer
from .profiles import ProfileSerializer

__all__ = (
    'BootDecisionSerializer',
    'BuildMachineSerializer',
    'MachineSerializer',
    'MachineStateSerializer',
    'NextBootSerializer',
    'NextStepSerializer',
    'ParametersSerializer',
    'PowerSerializer',
    'PreviewSerializer',
    'ProblemSerializer',
    'RefusalSerializer',
    'RegisterSerializer',
)


class MachineSerializer(PrimaryModelSerializer):
    name = serializers.CharField(read_only=True)
    device = DeviceSerializer(nested=True, required=False, allow_null=True, default=None)
    virtual_machine = VirtualMachineSerializer(nested=True, required=False, allow_null=True, default=None)
    site = SiteSerializer(nested=True, read_only=True, allow_null=True)
    architecture = ChoiceField(choices=ArchitectureChoices, required=False)
    firmware = ChoiceField(choices=FirmwareChoices, required=False, allow_blank=True)
    local_boot = ChoiceField(choices=LocalBootChoices, required=False)
    boot_server = BootServerSerializer(nested=True, required=False, allow_null=True, default=None)
    profile = ProfileSerializer(nested=True, required=False, allow_null=True, default=None)
    state = ChoiceField(choices=MachineStateChoices, read_only=True)
    next_boot = ChoiceField(choices=NextBootChoices, read_only=True, allow_blank=True)
    discovery_rule = DiscoveryRuleSerializer(nested=True, read_only=True, allow_null=True)

    class Meta:
        model = Machine
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'device', 'virtual_machine', 'site', 'discovered_name',
            'uuid', 'serial', 'architecture', 'firmware', 'boot_mac', 'boot_server', 'profile', 'parameters',
            'local_boot', 'state', 'next_boot', 'last_seen', 'discovery_rule', 'discovery_problem', 'description',
            'owner', 'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'state', 'description')
        read_only_fields = ('last_seen', 'discovery_problem')

    def validate(self, data):
        if self.nested:
            return data
        for field in ('device', 'virtual_machine'):
            if (obj := data.get(field)) is None:
                continue
            # DRF builds no validator for the uniqueness of a nested object.
            others = Machine.objects.filter(**{field: obj})
            if self.instance is not None:
                others = others.exclude(pk=self.instance.pk)
            if others.exists():
                raise serializers.ValidationError({field: _('{object} is registered already.').format(object=obj)})
        return super().validate(data)


#
# What actions take and give
#


class ProblemSerializer(serializers.Serializer):
    """Why a request was not carried out."""

    detail = serializers.CharField()
    code = serializers.CharField(required=False, help_text='For programs')


class RefusalSerializer(serializers.Serializer):
    """Why `lifecycle` refused a move."""

    detail = serializers.CharField(help_text='What was wrong, with which object, and what to do')
    code = serializers.ChoiceField(
        choices=(
            'not-allowed', 'conflict', 'override-required', 'not-ready', 'stale', 'incomplete', 'not-permitted',
            'unwritable',
        ),
        help_text='For programs',
    )  # fmt: skip


class RegisterSerializer(serializers.Serializer):
    device = DeviceSerializer(nested=True, required=False, allow_null=True, default=None)
    virtual_machine = VirtualMachineSerializer(nested=True, required=False, allow_null=True, default=None)
    profile = ProfileSerializer(nested=True, required=False, allow_null=True, default=None)

    def validate(self, data):
        if bool(data['device']) == bool(data['virtual_machine']):
            raise serializers.ValidationError(_('Name a device or a virtual machine, and not both.'))
        return data


class BuildMachineSerializer(serializers.Serializer):
    profile = ProfileSerializer(
        nested=True, required=False, allow_null=True, default=None, help_text="If empty: the machine's own"
    )
    override = serializers.CharField(
        required=False,
        allow_blank=True,
        default='',
        help_text='The exact name of a machine that is active or protected',
    )
    description = serializers.CharField(required=False, allow_blank=True, default='', max_length=200)


class NextBootSerializer(serializers.Serializer):
    next_boot = serializers.ChoiceField(
        choices=NextBootChoices, allow_blank=True, help_text='What is booted once; empty takes it back'
    )
    override = serializers.CharField(
        required=False,
        allow_blank=True,
        default='',
        help_text='For wiping: the exact name of a machine that is active or protected',
    )


class PowerSerializer(serializers.Serializer):
    action = serializers.ChoiceField(choices=PowerActionChoices)
    override = serializers.CharField(
        required=False,
        allow_blank=True,
        default='',
        help_text='The exact name of a machine that is active or protected, and would be interrupted',
    )


class MachineStateSerializer(serializers.Serializer):
    state = serializers.ChoiceField(choices=MachineStateChoices)


class BootDecisionSerializer(serializers.Serializer):
    """What a machine boots now, and why."""

    action = serializers.ChoiceField(choices=('build', 'local', 'rescue', 'discovery', 'wipe', 'nothing'))
    reason = serializers.CharField()
    build = serializers.IntegerField(source='build_id', allow_null=True, help_text='ID of the build')
    local_method = serializers.CharField(
        allow_blank=True, help_text='How it reaches its disk: sanboot, exit, grub, no-offer; empty if not known yet'
    )


class NextStepSerializer(serializers.Serializer):
    """The one next sensible thing to do."""

    words = serializers.CharField(help_text='How things stand, and what comes next')
    action = serializers.CharField(
        allow_blank=True,
        help_text='adopt, choose-profile, build, watch, read or take-back; empty where there is none, or not for you',
    )
    build = serializers.IntegerField(allow_null=True, help_text='ID of the build that is to be watched or read of')


class ParameterSourceSerializer(serializers.Serializer):
    kind = serializers.CharField(help_text='profile, config-context, local-context or machine')
    name = serializers.CharField()
    url = serializers.CharField(allow_null=True, allow_blank=True, help_text='Page of the object that says so')


class ParameterOverriddenSerializer(serializers.Serializer):
    source = ParameterSourceSerializer()
    value = serializers.JSONField()


class ParameterEntrySerializer(serializers.Serializer):
    path = serializers.CharField(help_text='Keys joined by dots')
    value = serializers.JSONField()
    source = ParameterSourceSerializer()
    overridden = ParameterOverriddenSerializer(many=True)


class ParametersSerializer(serializers.Serializer):
    """The parameters of a machine, merged, and where each comes from."""

    values = serializers.JSONField(help_text='What templates see')
    entries = ParameterEntrySerializer(many=True)
    errors = serializers.ListField(
        child=serializers.CharField(), help_text="Where they do not satisfy the profile's schema"
    )


class PreviewArtifactSerializer(serializers.Serializer):
    kind = serializers.CharField()
    name = serializers.CharField()
    template_name = serializers.CharField(allow_blank=True)
    sha256 = serializers.CharField()
    content = serializers.CharField(trim_whitespace=False)


class PreviewErrorSerializer(serializers.Serializer):
    template = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField(allow_null=True)
    machine = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class PreviewSerializer(serializers.Serializer):
    """Every artifact as it would be served, and why others cannot be made."""

    artifacts = PreviewArtifactSerializer(many=True)
    errors = PreviewErrorSerializer(many=True)
