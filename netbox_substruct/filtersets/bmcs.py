"""Filter sets of BMCs."""

from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import MultiValueCharFilter
from utilities.filtersets import register_filterset

from ..choices import BMCProtocolChoices
from ..models import BMC
from .finding import OfMachine, Searched, machine_names, one_of

__all__ = ('BMCFilterSet',)


@register_filterset
class BMCFilterSet(Searched, OfMachine, PrimaryModelFilterSet):
    protocol = one_of(BMCProtocolChoices)
    address = MultiValueCharFilter()

    searched = (
        *machine_names('machine__'),
        'address__istartswith',
        'credential__icontains',
        'description__icontains',
        'comments__icontains',
    )

    class Meta:
        model = BMC
        fields = ('id', 'port', 'credential', 'description')
