"""REST serializers of discovery rules."""

from dcim.api.serializers_.devicetypes import DeviceTypeSerializer
from dcim.api.serializers_.roles import DeviceRoleSerializer
from dcim.api.serializers_.sites import SiteSerializer
from netbox.api.serializers import PrimaryModelSerializer

from ...models import DiscoveryRule
from .fields import ObjectField
from .profiles import ProfileSerializer

__all__ = ('DiscoveryRuleSerializer',)


class DiscoveryRuleSerializer(PrimaryModelSerializer):
    condition = ObjectField(required=False)
    role = DeviceRoleSerializer(nested=True, required=False, allow_null=True)
    device_type = DeviceTypeSerializer(nested=True, required=False, allow_null=True)
    site = SiteSerializer(nested=True, required=False, allow_null=True)
    profile = ProfileSerializer(nested=True, required=False, allow_null=True)

    class Meta:
        model = DiscoveryRule
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'enabled', 'priority', 'condition', 'host_name_template',
            'role', 'device_type', 'site', 'profile', 'limit', 'adopt_at_once', 'build_at_once', 'description', 'owner',
            'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'description')
