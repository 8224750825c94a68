"""Filter sets of boot servers."""

import django_filters
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from dcim.models import Site
from ipam.models import Prefix
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import BootServerStatusChoices
from ..models import BootServer
from ..models.bootservers import LATE_AFTER
from .finding import Searched, one_of

__all__ = ('BootServerFilterSet',)


@register_filterset
class BootServerFilterSet(Searched, PrimaryModelFilterSet):
    status = one_of(BootServerStatusChoices)
    site_id = django_filters.ModelMultipleChoiceFilter(
        field_name='sites', queryset=Site.objects.all(), label=_('Site (ID)')
    )
    site = django_filters.ModelMultipleChoiceFilter(
        field_name='sites__slug', queryset=Site.objects.all(), to_field_name='slug', label=_('Site (slug)')
    )
    prefix_id = django_filters.ModelMultipleChoiceFilter(
        field_name='prefixes', queryset=Prefix.objects.all(), label=_('Prefix (ID)')
    )
    in_step = django_filters.BooleanFilter(method='filter_in_step', label=_('In step'))

    late = django_filters.BooleanFilter(method='filter_late', label=_('Late'))

    searched = ('name__icontains', 'base_url__icontains', 'description__icontains')

    class Meta:
        model = BootServer
        fields = (
            'id',
            'name',
            'base_url',
            'version',
            'last_heartbeat',
            'heard_since',
            'lost',
            'drifted',
            'description',
        )

    def filter_in_step(self, queryset, name, value):
        heard_of = queryset.filter(last_heartbeat__gte=timezone.now() - LATE_AFTER)
        in_step = BootServer.in_step_condition()
        return heard_of.filter(in_step if value else ~in_step)

    def filter_late(self, queryset, name, value):
        late = Q(last_heartbeat__lt=timezone.now() - LATE_AFTER)
        return queryset.filter(late if value else ~late)
