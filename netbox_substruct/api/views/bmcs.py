"""REST view sets of BMCs."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import BMC
from ..serializers import BMCSerializer

__all__ = ('BMCViewSet',)


class BMCViewSet(NetBoxModelViewSet):
    queryset = BMC.objects.all()
    serializer_class = BMCSerializer
    filterset_class = filtersets.BMCFilterSet
    field_prefetches = {
        **dict.fromkeys(('machine', 'display'), ('machine__device__device_type', 'machine__virtual_machine')),
        'effective_address': ('machine__device__oob_ip',),
    }
