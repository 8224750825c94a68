"""Filter sets of zones."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import PrimaryModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import ZoneUpdateMethodChoices
from ..models import BootServer, Zone
from .fields import MultiValueMemberFilter

__all__ = ('ZoneFilterSet',)


@register_filterset
class ZoneFilterSet(PrimaryModelFilterSet):
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
    update_method = django_filters.MultipleChoiceFilter(choices=ZoneUpdateMethodChoices, distinct=False)
    name_servers = MultiValueMemberFilter(label=_('Name server'))
    reverse = django_filters.BooleanFilter(method='filter_reverse', label=_('Reverse zone'))

    class Meta:
        model = Zone
        fields = (
            'id', 'name', 'server', 'credential', 'ttl', 'soa_mname', 'soa_rname', 'soa_refresh', 'soa_retry',
            'soa_expire', 'soa_minimum', 'description',
        )  # fmt: skip

    def search(self, queryset, name, value):
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(name__icontains=value)
            | Q(server__icontains=value)
            | Q(soa_mname__icontains=value)
            | Q(description__icontains=value)
        )

    def filter_reverse(self, queryset, name, value):
        reverse = Q(name__endswith='.in-addr.arpa') | Q(name__endswith='.ip6.arpa')
        return queryset.filter(reverse if value else ~reverse)
