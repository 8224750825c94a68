"""REST view sets of zones."""

from ... import filtersets
from ...models import Zone
from .. import serializers
from ..schema import ModelViewSet

__all__ = ('ZoneViewSet',)


class ZoneViewSet(ModelViewSet):
    queryset = Zone.objects.all()
    serializer_class = serializers.ZoneSerializer
    filterset_class = filtersets.ZoneFilterSet
