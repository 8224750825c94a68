"""Filter sets of zones."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import PrimaryModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import ZoneUpdateMethodChoices
from ..models import BootServer, Zone
from .fields import MultiValueMemberFilter
from .finding import Searched, by_id, by_key, one_of

__all__ = ('ZoneFilterSet',)


@register_filterset
class ZoneFilterSet(Searched, PrimaryModelFilterSet):
    boot_server_id = by_id(BootServer, _('Boot server (ID)'))
    boot_server = by_key(BootServer, 'boot_server__name', _('Boot server (name)'))
    update_method = one_of(ZoneUpdateMethodChoices)
    name_servers = MultiValueMemberFilter(label=_('Name server'))
    reverse = django_filters.BooleanFilter(method='filter_reverse', label=_('Reverse zone'))

    searched = ('name__icontains', 'server__icontains', 'soa_mname__icontains', 'description__icontains')

    class Meta:
        model = Zone
        fields = (
            'id', 'name', 'server', 'credential', 'ttl', 'soa_mname', 'soa_rname', 'soa_refresh', 'soa_retry',
            'soa_expire', 'soa_minimum', 'description',
        )  # fmt: skip

    def filter_reverse(self, queryset, name, value):
        reverse = Q(name__endswith='.in-addr.arpa') | Q(name__endswith='.ip6.arpa')
        return queryset.filter(reverse if value else ~reverse)
