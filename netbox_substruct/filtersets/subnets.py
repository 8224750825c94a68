"""Filter sets of subnets."""

import django_filters
import netaddr
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ipam.models import VLAN, VRF, IPRange, Prefix
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import MultiValueCharFilter
from utilities.filtersets import register_filterset

from ..models import BootServer, Subnet
from .fields import MultiValueAddressArrayFilter, MultiValueAddressFilter
from .finding import Searched, by_id, by_key

__all__ = ('SubnetFilterSet',)


def _network(value):
    """The IPNetwork that a text says, or None."""
    try:
        return netaddr.IPNetwork(value.strip()).cidr
    except (netaddr.AddrFormatError, ValueError):
        return None


@register_filterset
class SubnetFilterSet(Searched, PrimaryModelFilterSet):
    prefix_id = by_id(Prefix, _('Prefix (ID)'))
    prefix = MultiValueCharFilter(method='filter_prefix', label=_('Prefix'))
    within = django_filters.CharFilter(method='filter_within', label=_('Within prefix'))
    within_include = django_filters.CharFilter(method='filter_within', label=_('Within and including prefix'))
    family = django_filters.NumberFilter(field_name='prefix__prefix', lookup_expr='family', label=_('Address family'))
    vrf_id = by_id(VRF, _('VRF (ID)'), field_name='prefix__vrf')
    vrf = by_key(VRF, 'prefix__vrf__rd', _('VRF (RD)'))
    vlan_id = by_id(VLAN, _('VLAN (ID)'), field_name='prefix__vlan')
    boot_server_id = by_id(BootServer, _('Boot server (ID)'))
    boot_server = by_key(BootServer, 'boot_server__name', _('Boot server (name)'))
    gateway = MultiValueAddressFilter(label=_('Gateway'))
    name_servers = MultiValueAddressArrayFilter(label=_('Name server'))
    ntp_servers = MultiValueAddressArrayFilter(label=_('NTP server'))
    lease_range_id = by_id(IPRange, _('Lease range (ID)'))
    # A value that is not set is inherited, so "not set" can be asked for as well.
    dhcp_enabled__empty = django_filters.BooleanFilter(
        field_name='dhcp_enabled', lookup_expr='isnull', label=_('DHCP is inherited')
    )
    discovery_enabled__empty = django_filters.BooleanFilter(
        field_name='discovery_enabled', lookup_expr='isnull', label=_('Discovery is inherited')
    )

    searched = ('prefix__prefix__contains', 'domain__icontains', 'description__icontains')

    class Meta:
        model = Subnet
        fields = ('id', 'domain', 'lease_time', 'dhcp_enabled', 'discovery_enabled', 'description')

    def sought(self, value):
        found = super().sought(value)
        if (network := _network(value)) is not None:
            found |= Q(prefix__prefix__net_contains_or_equals=str(network))
        return found

    def filter_prefix(self, queryset, name, value):
        networks = [network for text in value if (network := _network(text)) is not None]
        return queryset.filter(prefix__prefix__in=networks)

    def filter_within(self, queryset, name, value):
        network = _network(value)
        if network is None:
            return queryset.none()
        lookup = 'net_contained' if name == 'within' else 'net_contained_or_equal'
        return queryset.filter(**{f'prefix__prefix__{lookup}': str(network)})
