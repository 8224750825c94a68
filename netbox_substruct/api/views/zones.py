"""REST view sets of zones."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import Zone
from .. import serializers

__all__ = ('ZoneViewSet',)


class ZoneViewSet(NetBoxModelViewSet):
    queryset = Zone.objects.all()
    serializer_class = serializers.ZoneSerializer
    filterset_class = filtersets.ZoneFilterSet
