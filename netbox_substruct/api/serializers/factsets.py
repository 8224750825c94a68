"""REST serializers of facts."""

from netbox.api.fields import ChoiceField
from netbox.api.serializers import NetBoxModelSerializer

from ...choices import FactSourceChoices
from ...models import FactSet
from .machines import MachineSerializer

__all__ = ('FactSetSerializer',)


class FactSetSerializer(NetBoxModelSerializer):
    machine = MachineSerializer(nested=True)
    source = ChoiceField(choices=FactSourceChoices)

    class Meta:
        model = FactSet
        fields = (
            'id', 'url', 'display_url', 'display', 'machine', 'source', 'collected', 'format_version', 'data', 'tags',
            'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'source', 'collected')
