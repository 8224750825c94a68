"""Filter sets of BMCs."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import MultiValueCharFilter
from utilities.filtersets import register_filterset

from ..choices import BMCProtocolChoices
from ..models import BMC, Machine

__all__ = ('BMCFilterSet',)


@register_filterset
class BMCFilterSet(PrimaryModelFilterSet):
    machine_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Machine.objects.all(), distinct=False, label=_('Machine (ID)')
    )
    device_id = django_filters.ModelMultipleChoiceFilter(
        field_name='machine__device', queryset=Device.objects.all(), distinct=False, label=_('Device (ID)')
    )
    protocol = django_filters.MultipleChoiceFilter(choices=BMCProtocolChoices, distinct=False)
    address = MultiValueCharFilter()

    class Meta:
        model = BMC
        fields = ('id', 'port', 'credential', 'description')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(machine__device__name__icontains=value)
            | Q(machine__virtual_machine__name__icontains=value)
            | Q(machine__discovered_name__icontains=value)
            | Q(address__istartswith=value)
            | Q(credential__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )
