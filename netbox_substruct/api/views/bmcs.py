"""REST view sets of BMCs."""

from ... import filtersets
from ...models import BMC
from ..schema import ModelViewSet
from ..serializers import BMCSerializer

__all__ = ('BMCViewSet',)


class BMCViewSet(ModelViewSet):
    queryset = BMC.objects.prefetch_related('machine__device__oob_ip', 'machine__virtual_machine')
    serializer_class = BMCSerializer
    filterset_class = filtersets.BMCFilterSet
