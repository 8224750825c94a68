"""REST serializers of BMCs."""

from django.utils.translation import gettext as _
from rest_framework import serializers

from netbox.api.fields import ChoiceField
from netbox.api.serializers import PrimaryModelSerializer

from ...choices import BMCProtocolChoices
from ...models import BMC
from .machines import MachineSerializer

__all__ = ('BMCSerializer',)


class BMCSerializer(PrimaryModelSerializer):
    machine = MachineSerializer(nested=True)
    protocol = ChoiceField(choices=BMCProtocolChoices, required=False)
    effective_address = serializers.CharField(
        read_only=True, allow_null=True, help_text="Its address, else the device's out-of-band address"
    )

    class Meta:
        model = BMC
        fields = (
            'id', 'url', 'display_url', 'display', 'machine', 'protocol', 'address', 'effective_address', 'port',
            'credential', 'description', 'owner', 'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'protocol', 'description')

    def validate(self, data):
        if self.nested:
            return data
        if machine := data.get('machine'):
            others = BMC.objects.filter(machine=machine)
            if self.instance is not None:
                others = others.exclude(pk=self.instance.pk)
            if others.exists():
                raise serializers.ValidationError(
                    {'machine': _('{machine} has a BMC already.').format(machine=machine)}
                )
        return super().validate(data)
