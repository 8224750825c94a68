"""Filter sets of tasks."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import NetBoxModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import TaskKindChoices, TaskStateChoices
from ..lifecycle.states import TASK_OPEN
from ..models import BootServer, Build, Machine, Task

__all__ = ('TaskFilterSet',)


@register_filterset
class TaskFilterSet(NetBoxModelFilterSet):
    boot_server_id = django_filters.ModelMultipleChoiceFilter(
        queryset=BootServer.objects.all(), distinct=False, label=_('Boot server (ID)')
    )
    boot_server = django_filters.ModelMultipleChoiceFilter(
        field_name='boot_server__name',
        queryset=BootServer.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Boot server (name)'),
    )
    machine_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Machine.objects.all(), distinct=False, label=_('Machine (ID)')
    )
    build_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Build.objects.all(), distinct=False, label=_('Build (ID)')
    )
    kind = django_filters.MultipleChoiceFilter(choices=TaskKindChoices, distinct=False)
    state = django_filters.MultipleChoiceFilter(choices=TaskStateChoices, distinct=False)
    open = django_filters.BooleanFilter(method='by_open', label=_('Still to be done'))

    class Meta:
        model = Task
        fields = (
            'id',
            'not_before',
            'max_attempts',
            'attempts',
            'claimed',
            'claimed_by',
            'lease_expires',
            'finished',
            'error',
        )

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(boot_server__name__icontains=value)
            | Q(machine__device__name__icontains=value)
            | Q(machine__virtual_machine__name__icontains=value)
            | Q(machine__discovered_name__icontains=value)
            | Q(error__icontains=value)
        )

    def by_open(self, queryset, name, value):
        still = Q(state__in=TASK_OPEN)
        return queryset.filter(still) if value else queryset.exclude(still)
