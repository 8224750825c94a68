"""REST serializers of profiles and their templates."""

from dcim.choices import DeviceStatusChoices
from extras.api.serializers_.configtemplates import ConfigTemplateSerializer
from netbox.api.fields import ChoiceField, RelatedObjectCountField
from netbox.api.serializers import NetBoxModelSerializer, PrimaryModelSerializer, WritableNestedSerializer

from ...choices import ArtifactKindChoices, BuiltAddressChoices, BuiltDNSNameChoices, HandoffChoices
from ...models import Profile, ProfileTemplate
from .bootimages import BootImageSerializer
from .fields import ObjectField

__all__ = ('NestedProfileSerializer', 'ProfileSerializer', 'ProfileTemplateSerializer')


class NestedProfileSerializer(WritableNestedSerializer):
    class Meta:
        model = Profile
        fields = ('id', 'url', 'display_url', 'display', 'name', 'slug')


class ProfileSerializer(PrimaryModelSerializer):
    parent = NestedProfileSerializer(required=False, allow_null=True, default=None)
    boot_image = BootImageSerializer(nested=True, required=False, allow_null=True)
    parameters = ObjectField(required=False)
    parameter_schema = ObjectField(required=False, allow_null=True)
    disk_layout = ObjectField(required=False)
    handoff = ChoiceField(choices=HandoffChoices, required=False, allow_blank=True)
    built_status = ChoiceField(choices=DeviceStatusChoices, required=False, allow_blank=True)
    built_address = ChoiceField(choices=BuiltAddressChoices, required=False, allow_blank=True)
    built_dns_name = ChoiceField(choices=BuiltDNSNameChoices, required=False, allow_blank=True)

    machine_count = RelatedObjectCountField('machines')

    class Meta:
        model = Profile
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'slug', 'parent', 'boot_image', 'parameters',
            'parameter_schema', 'disk_layout', 'handoff', 'built_status', 'built_address', 'built_dns_name',
            'pending_limit', 'stall_limit', 'description', 'owner', 'comments', 'tags', 'custom_fields', 'created',
            'last_updated', 'machine_count',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'slug', 'description')


class ProfileTemplateSerializer(NetBoxModelSerializer):
    profile = ProfileSerializer(nested=True, required=False, allow_null=True)
    boot_image = BootImageSerializer(nested=True, required=False, allow_null=True)
    kind = ChoiceField(choices=ArtifactKindChoices)
    config_template = ConfigTemplateSerializer(nested=True)

    class Meta:
        model = ProfileTemplate
        fields = (
            'id', 'url', 'display_url', 'display', 'profile', 'boot_image', 'kind', 'config_template', 'tags',
            'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind')
