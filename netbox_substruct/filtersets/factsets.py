"""Filter sets of facts."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import NetBoxModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import FactSourceChoices
from ..models import FactSet, Machine

__all__ = ('FactSetFilterSet',)


@register_filterset
class FactSetFilterSet(NetBoxModelFilterSet):
    machine_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Machine.objects.all(), distinct=False, label=_('Machine (ID)')
    )
    source = django_filters.MultipleChoiceFilter(choices=FactSourceChoices, distinct=False)

    class Meta:
        model = FactSet
        fields = ('id', 'collected', 'format_version')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(machine__device__name__icontains=value)
            | Q(machine__virtual_machine__name__icontains=value)
            | Q(machine__discovered_name__icontains=value)
        )
