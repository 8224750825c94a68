"""Filter sets of machines."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device, DeviceRole, Interface, Rack, Site
from ipam.models import IPAddress
from netbox.filtersets import PrimaryModelFilterSet
from tenancy.models import Tenant
from utilities.filters import (
    MultiValueCharFilter,
    MultiValueMACAddressFilter,
    TreeNodeMultipleChoiceFilter,
)
from utilities.filtersets import register_filterset
from virtualization.models import Cluster, VirtualMachine, VMInterface

from ..choices import (
    ArchitectureChoices,
    FirmwareChoices,
    LocalBootChoices,
    MachineStateChoices,
    NextBootChoices,
)
from ..lifecycle.states import BUILD_ACTIVE
from ..models import BootServer, DiscoveryRule, Machine, Profile, Subnet
from .finding import Searched, by_id, by_key, machine_names, of_either, one_of

__all__ = ('MachineFilterSet',)


@register_filterset
class MachineFilterSet(Searched, PrimaryModelFilterSet):
    name = MultiValueCharFilter(method='by_name', label=_('Name of the device or virtual machine, or as discovered'))
    device_id = by_id(Device, _('Device (ID)'))
    device = by_key(Device, 'device__name', _('Device (name)'))
    virtual_machine_id = by_id(VirtualMachine, _('Virtual machine (ID)'))
    virtual_machine = by_key(VirtualMachine, 'virtual_machine__name', _('Virtual machine (name)'))
    # Where a method filters, the name of the field only tells the OpenAPI schema of its type.
    site_id = by_id(Site, _('Site (ID)'), field_name='device__site', method='by_site')
    site = by_key(Site, 'device__site__slug', _('Site (slug)'), method='by_site')
    rack_id = by_id(Rack, _('Rack (ID)'), field_name='device__rack')
    cluster_id = by_id(Cluster, _('Cluster (ID)'), field_name='device__cluster', method='by_cluster')
    role_id = TreeNodeMultipleChoiceFilter(
        field_name='device__role', queryset=DeviceRole.objects.all(), lookup_expr='in', label=_('Device role (ID)')
    )
    tenant_id = by_id(Tenant, _('Tenant (ID)'), field_name='device__tenant', method='by_tenant')
    boot_server_id = by_id(BootServer, _('Boot server (ID)'))
    boot_server = by_key(BootServer, 'boot_server__name', _('Boot server (name)'))
    profile_id = by_id(Profile, _('Profile (ID)'))
    profile = by_key(Profile, 'profile__slug', _('Profile (slug)'))
    discovery_rule_id = by_id(DiscoveryRule, _('Discovery rule that adopted it (ID)'))
    discovery_rule = by_key(DiscoveryRule, 'discovery_rule__name', _('Discovery rule that adopted it (name)'))
    state = one_of(MachineStateChoices)
    architecture = one_of(ArchitectureChoices)
    firmware = one_of(FirmwareChoices)
    local_boot = one_of(LocalBootChoices)
    next_boot = one_of(NextBootChoices)
    boot_mac = MultiValueMACAddressFilter()
    mac_address = MultiValueMACAddressFilter(method='by_mac_address', label=_('MAC address of any of its ports'))
    subnet_id = by_id(
        Subnet, _('Has an address in the subnet (ID)'), field_name='device__primary_ip4', method='by_subnet'
    )
    has_active_build = django_filters.BooleanFilter(method='by_active_build', label=_('Has a build under way'))

    searched = (
        *machine_names(),
        'device__asset_tag__icontains',
        'device__serial__icontains',
        'serial__icontains',
        'uuid__icontains',
        'boot_mac__icontains',
        'description__icontains',
        'comments__icontains',
    )

    class Meta:
        model = Machine
        fields = ('id', 'discovered_name', 'uuid', 'serial', 'last_seen', 'discovery_problem', 'description')

    def by_name(self, queryset, name, value):
        return queryset.filter(
            Q(device__name__in=value) | Q(virtual_machine__name__in=value) | Q(discovered_name__in=value)
        )

    def by_site(self, queryset, name, value):
        return of_either(queryset, 'site', value)

    def by_cluster(self, queryset, name, value):
        return of_either(queryset, 'cluster', value)

    def by_tenant(self, queryset, name, value):
        return of_either(queryset, 'tenant', value)

    def by_mac_address(self, queryset, name, value):
        return queryset.filter(
            Q(boot_mac__in=value)
            | Q(device__interfaces__mac_addresses__mac_address__in=value)
            | Q(virtual_machine__interfaces__mac_addresses__mac_address__in=value)
        ).distinct()

    def by_subnet(self, queryset, name, value):
        if not value:
            return queryset
        inside = Q()
        for subnet in value:
            inside |= Q(vrf_id=subnet.prefix.vrf_id, address__net_host_contained=str(subnet.prefix.prefix))
        addresses = IPAddress.objects.filter(inside)
        return queryset.filter(
            Q(device__in=Interface.objects.filter(ip_addresses__in=addresses).values('device'))
            | Q(virtual_machine__in=VMInterface.objects.filter(ip_addresses__in=addresses).values('virtual_machine'))
        )

    def by_active_build(self, queryset, name, value):
        active = Q(builds__state__in=BUILD_ACTIVE)
        return queryset.filter(active) if value else queryset.exclude(active)
