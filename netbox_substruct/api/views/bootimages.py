"""REST view sets of boot images."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import BootImage
from .. import serializers

__all__ = ('BootImageViewSet',)


class BootImageViewSet(NetBoxModelViewSet):
    queryset = BootImage.objects.all()
    serializer_class = serializers.BootImageSerializer
    filterset_class = filtersets.BootImageFilterSet
