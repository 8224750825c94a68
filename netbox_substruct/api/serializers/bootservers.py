"""REST serializers of boot servers."""

from dcim.api.serializers_.sites import SiteSerializer
from dcim.models import Site
from ipam.api.serializers_.ip import PrefixSerializer
from ipam.models import Prefix
from netbox.api.fields import ChoiceField, RelatedObjectCountField, SerializedPKRelatedField
from netbox.api.serializers import PrimaryModelSerializer

from ...choices import BootServerStatusChoices
from ...models import BootServer
from ...reports import shown
from ...seen import may_change, related
from .fields import ObjectListField

__all__ = ('BootServerSerializer',)


class BootServerSerializer(PrimaryModelSerializer):
    status = ChoiceField(choices=BootServerStatusChoices, required=False)
    sites = SerializedPKRelatedField(
        queryset=Site.objects.all(), serializer=SiteSerializer, nested=True, required=False, many=True
    )
    prefixes = SerializedPKRelatedField(
        queryset=Prefix.objects.all(), serializer=PrefixSerializer, nested=True, required=False, many=True
    )
    services = ObjectListField(read_only=True)
    out_of_step = ObjectListField(read_only=True)
    instances = ObjectListField(read_only=True)
    files = ObjectListField(read_only=True)

    subnet_count = RelatedObjectCountField('subnets')
    zone_count = RelatedObjectCountField('zones')

    def to_representation(self, instance):
        data = super().to_representation(instance)
        for name in {'sites', 'prefixes'} & data.keys():
            visible = {each.pk for each in related(getattr(instance, name))}
            data[name] = [each for each in data[name] if each['id'] in visible]
        request = self.context.get('request')
        user = request.user if request else None
        if data.get('services'):
            data['services'] = shown.services_for(data['services'], whole=may_change(instance, user))
        if data.get('out_of_step'):
            data['out_of_step'] = shown.problems_for(data['out_of_step'], user)
        return data

    class Meta:
        model = BootServer
        # From services to the counts: what the boot server says of itself.
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'status', 'base_url', 'sites', 'prefixes', 'description',
            'owner', 'comments', 'tags', 'custom_fields', 'created', 'last_updated', 'services', 'version',
            'last_heartbeat', 'heard_since', 'applied_cursor', 'out_of_step', 'instances', 'files', 'subnet_count',
            'zone_count',
        )  # fmt: skip
        read_only_fields = ('version', 'last_heartbeat', 'heard_since', 'applied_cursor')
        brief_fields = ('id', 'url', 'display', 'name', 'description')
