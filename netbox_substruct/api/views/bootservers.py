"""REST view sets of boot servers."""

from ... import filtersets
from ...models import BootServer, Subnet, Zone
from ...seen import CountsSeen
from .. import serializers
from ..schema import ModelViewSet
from .feed import FeedMixin
from .reports import ReportsMixin

__all__ = ('BootServerViewSet',)


class BootServerViewSet(CountsSeen, FeedMixin, ReportsMixin, ModelViewSet):
    seen_counts = {'subnet_count': (Subnet, 'boot_server'), 'zone_count': (Zone, 'boot_server')}
    queryset = BootServer.objects.all()
    serializer_class = serializers.BootServerSerializer
    filterset_class = filtersets.BootServerFilterSet
