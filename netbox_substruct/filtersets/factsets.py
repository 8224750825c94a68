"""Filter sets of facts."""

from utilities.filtersets import register_filterset

from ..choices import FactSourceChoices
from ..models import FactSet
from .finding import OfMachine, Searched, machine_names, one_of

__all__ = ('FactSetFilterSet',)


@register_filterset
class FactSetFilterSet(Searched, OfMachine):
    source = one_of(FactSourceChoices)

    searched = machine_names('machine__')

    class Meta:
        model = FactSet
        fields = ('id', 'collected', 'format_version')
