"""REST serializers of subnets."""

from ipam.api.serializers_.ip import IPRangeSerializer, PrefixSerializer
from netbox.api.serializers import PrimaryModelSerializer

from ...models import Subnet
from .bootservers import BootServerSerializer
from .fields import ObjectField

__all__ = ('SubnetSerializer',)


class SubnetSerializer(PrimaryModelSerializer):
    prefix = PrefixSerializer(nested=True)
    boot_server = BootServerSerializer(nested=True, required=False, allow_null=True)
    lease_range = IPRangeSerializer(nested=True, required=False, allow_null=True)
    dhcp_options = ObjectField(required=False)

    class Meta:
        model = Subnet
        fields = (
            'id', 'url', 'display_url', 'display', 'prefix', 'boot_server', 'gateway', 'name_servers', 'ntp_servers',
            'domain', 'lease_range', 'lease_time', 'dhcp_options', 'dhcp_enabled', 'discovery_enabled', 'description',
            'owner', 'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'prefix', 'description')
