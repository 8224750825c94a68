"""REST view sets of boot servers."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import BootServer
from .. import serializers
from .feed import FeedMixin
from .reports import ReportsMixin

__all__ = ('BootServerViewSet',)


class BootServerViewSet(FeedMixin, ReportsMixin, NetBoxModelViewSet):
    queryset = BootServer.objects.all()
    serializer_class = serializers.BootServerSerializer
    filterset_class = filtersets.BootServerFilterSet
