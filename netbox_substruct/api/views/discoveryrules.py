"""REST view sets of discovery rules."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import DiscoveryRule
from .. import serializers

__all__ = ('DiscoveryRuleViewSet',)


class DiscoveryRuleViewSet(NetBoxModelViewSet):
    queryset = DiscoveryRule.objects.all()
    serializer_class = serializers.DiscoveryRuleSerializer
    filterset_class = filtersets.DiscoveryRuleFilterSet
