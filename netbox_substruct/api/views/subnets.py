"""REST view sets of subnets."""

from ... import filtersets
from ...models import Subnet
from .. import serializers
from ..schema import ModelViewSet
from .effective import EffectiveSubnet

__all__ = ('SubnetViewSet',)


class SubnetViewSet(EffectiveSubnet, ModelViewSet):
    queryset = Subnet.objects.all()
    serializer_class = serializers.SubnetSerializer
    filterset_class = filtersets.SubnetFilterSet
