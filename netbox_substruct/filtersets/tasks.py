"""Filter sets of tasks."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import NetBoxModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import TaskKindChoices, TaskStateChoices
from ..lifecycle.states import TASK_OPEN
from ..models import BootServer, Build, Machine, Task
from .finding import Searched, by_id, by_key, machine_names, one_of

__all__ = ('TaskFilterSet',)


@register_filterset
class TaskFilterSet(Searched, NetBoxModelFilterSet):
    boot_server_id = by_id(BootServer, _('Boot server (ID)'))
    boot_server = by_key(BootServer, 'boot_server__name', _('Boot server (name)'))
    machine_id = by_id(Machine, _('Machine (ID)'))
    build_id = by_id(Build, _('Build (ID)'))
    kind = one_of(TaskKindChoices)
    state = one_of(TaskStateChoices)
    open = django_filters.BooleanFilter(method='by_open', label=_('Still to be done'))

    searched = ('boot_server__name__icontains', *machine_names('machine__'), 'error__icontains')

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

    def by_open(self, queryset, name, value):
        still = Q(state__in=TASK_OPEN)
        return queryset.filter(still) if value else queryset.exclude(still)
