"""REST view sets of facts."""

from ... import filtersets
from ...models import FactSet
from ..schema import ModelViewSet
from ..serializers import FactSetSerializer
from .builds import OBJECTS, RECORD_METHODS

__all__ = ('FactSetViewSet',)


class FactSetViewSet(ModelViewSet):
    http_method_names = RECORD_METHODS
    queryset = FactSet.objects.prefetch_related(*OBJECTS)
    serializer_class = FactSetSerializer
    filterset_class = filtersets.FactSetFilterSet
