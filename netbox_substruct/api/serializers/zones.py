"""REST serializers of zones."""

from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from netbox.api.fields import ChoiceField
from netbox.api.serializers import PrimaryModelSerializer

from ...choices import ZoneUpdateMethodChoices
from ...models import Zone
from ...validators import validate_dns_name
from .bootservers import BootServerSerializer

__all__ = ('ZoneSerializer',)


class ZoneNameField(serializers.CharField):
    """Takes a zone’s name as zone files have it, with a final dot and in any case, as the model does."""

    def to_internal_value(self, data):
        return super().to_internal_value(data).lower().rstrip('.')


class ZoneSerializer(PrimaryModelSerializer):
    name = ZoneNameField(max_length=254, validators=[validate_dns_name, UniqueValidator(Zone.objects.all())])
    boot_server = BootServerSerializer(nested=True, required=False, allow_null=True)
    update_method = ChoiceField(choices=ZoneUpdateMethodChoices, required=False)
    is_reverse = serializers.BooleanField(read_only=True)

    class Meta:
        model = Zone
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'boot_server', 'update_method', 'server', 'credential',
            'name_servers', 'ttl', 'soa_mname', 'soa_rname', 'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum',
            'is_reverse', 'description', 'owner', 'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'description')
