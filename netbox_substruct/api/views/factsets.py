"""REST view sets of facts."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import FactSet
from ..serializers import FactSetSerializer
from .builds import RECORD_METHODS

__all__ = ('FactSetViewSet',)


class FactSetViewSet(NetBoxModelViewSet):
    http_method_names = RECORD_METHODS
    queryset = FactSet.objects.all()
    serializer_class = FactSetSerializer
    filterset_class = filtersets.FactSetFilterSet
    field_prefetches = dict.fromkeys(
        ('machine', 'display'), ('machine__device__device_type', 'machine__virtual_machine')
    )
