"""REST view sets of subnets."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import Subnet
from .. import serializers

__all__ = ('SubnetViewSet',)


class SubnetViewSet(NetBoxModelViewSet):
    queryset = Subnet.objects.all()
    serializer_class = serializers.SubnetSerializer
    filterset_class = filtersets.SubnetFilterSet
