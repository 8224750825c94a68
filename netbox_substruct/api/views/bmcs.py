"""REST view sets of BMCs."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import BMC
from ..serializers import BMCSerializer

__all__ = ('BMCViewSet',)


class BMCViewSet(NetBoxModelViewSet):
    queryset = BMC.objects.prefetch_related('machine__device__oob_ip', 'machine__virtual_machine')
    serializer_class = BMCSerializer
    filterset_class = filtersets.BMCFilterSet
