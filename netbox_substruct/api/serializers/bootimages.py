"""REST serializers of boot images."""

from dcim.api.serializers_.platforms import PlatformSerializer
from netbox.api.fields import ChoiceField, RelatedObjectCountField
from netbox.api.serializers import PrimaryModelSerializer

from ...choices import ArchitectureChoices, BootMethodChoices
from ...models import BootImage
from .fields import InitrdsField

__all__ = ('BootImageSerializer',)


class BootImageSerializer(PrimaryModelSerializer):
    platform = PlatformSerializer(nested=True, required=False, allow_null=True)
    architecture = ChoiceField(choices=ArchitectureChoices, required=False)
    method = ChoiceField(choices=BootMethodChoices, required=False)
    initrds = InitrdsField(required=False)

    profile_count = RelatedObjectCountField('profiles')

    class Meta:
        model = BootImage
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'platform', 'architecture', 'method', 'kernel_url',
            'kernel_sha256', 'initrds', 'arguments', 'disk_image_url', 'disk_image_sha256', 'description', 'owner',
            'comments', 'tags', 'custom_fields', 'created', 'last_updated', 'profile_count',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'description')
