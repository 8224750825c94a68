"""REST view sets of boot images."""

from ... import filtersets
from ...models import BootImage
from .. import serializers
from ..schema import ModelViewSet

__all__ = ('BootImageViewSet',)


class BootImageViewSet(ModelViewSet):
    queryset = BootImage.objects.all()
    serializer_class = serializers.BootImageSerializer
    filterset_class = filtersets.BootImageFilterSet
