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

__all__ = ('MachineFilterSet',)


@register_filterset
class MachineFilterSet(PrimaryModelFilterSet):
    name = MultiValueCharFilter(method='by_name', label=_('Name of the device or virtual machine, or as discovered'))
    device_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Device.objects.all(), distinct=False, label=_('Device (ID)')
    )
    device = django_filters.ModelMultipleChoiceFilter(
        field_name='device__name',
        queryset=Device.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Device (name)'),
    )
    virtual_machine_id = django_filters.ModelMultipleChoiceFilter(
        queryset=VirtualMachine.objects.all(), distinct=False, label=_('Virtual machine (ID)')
    )
    virtual_machine = django_filters.ModelMultipleChoiceFilter(
        field_name='virtual_machine__name',
        queryset=VirtualMachine.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Virtual machine (name)'),
    )
    # Where a method filters, the name of the field only tells the OpenAPI schema of its type.
    site_id = django_filters.ModelMultipleChoiceFilter(
        field_name='device__site', queryset=Site.objects.all(), distinct=False, method='by_site', label=_('Site (ID)')
    )
    site = django_filters.ModelMultipleChoiceFilter(
        field_name='device__site__slug',
        queryset=Site.objects.all(),
        distinct=False,
        to_field_name='slug',
        method='by_site',
        label=_('Site (slug)'),
    )
    rack_id = django_filters.ModelMultipleChoiceFilter(
        field_name='device__rack', queryset=Rack.objects.all(), distinct=False, label=_('Rack (ID)')
    )
    cluster_id = django_filters.ModelMultipleChoiceFilter(
        field_name='device__cluster',
        queryset=Cluster.objects.all(),
        distinct=False,
        method='by_cluster',
        label=_('Cluster (ID)'),
    )
    role_id = TreeNodeMultipleChoiceFilter(
        field_name='device__role', queryset=DeviceRole.objects.all(), lookup_expr='in', label=_('Device role (ID)')
    )
    tenant_id = django_filters.ModelMultipleChoiceFilter(
        field_name='device__tenant',
        queryset=Tenant.objects.all(),
        distinct=False,
        method='by_tenant',
        label=_('Tenant (ID)'),
    )
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
    profile_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Profile.objects.all(), distinct=False, label=_('Profile (ID)')
    )
    profile = django_filters.ModelMultipleChoiceFilter(
        field_name='profile__slug',
        queryset=Profile.objects.all(),
        distinct=False,
        to_field_name='slug',
        label=_('Profile (slug)'),
    )
    discovery_rule_id = django_filters.ModelMultipleChoiceFilter(
        queryset=DiscoveryRule.objects.all(), distinct=False, label=_('Discovery rule that adopted it (ID)')
    )
    discovery_rule = django_filters.ModelMultipleChoiceFilter(
        field_name='discovery_rule__name',
        queryset=DiscoveryRule.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Discovery rule that adopted it (name)'),
    )
    state = django_filters.MultipleChoiceFilter(choices=MachineStateChoices, distinct=False)
    architecture = django_filters.MultipleChoiceFilter(choices=ArchitectureChoices, distinct=False)
    firmware = django_filters.MultipleChoiceFilter(choices=FirmwareChoices, distinct=False)
    local_boot = django_filters.MultipleChoiceFilter(choices=LocalBootChoices, distinct=False)
    next_boot = django_filters.MultipleChoiceFilter(choices=NextBootChoices, distinct=False)
    boot_mac = MultiValueMACAddressFilter()
    mac_address = MultiValueMACAddressFilter(method='by_mac_address', label=_('MAC address of any of its ports'))
    subnet_id = django_filters.ModelMultipleChoiceFilter(
        field_name='device__primary_ip4',
        queryset=Subnet.objects.all(),
        distinct=False,
        method='by_subnet',
        label=_('Has an address in the subnet (ID)'),
    )
    has_active_build = django_filters.BooleanFilter(method='by_active_build', label=_('Has a build under way'))

    class Meta:
        model = Machine
        fields = ('id', 'discovered_name', 'uuid', 'serial', 'last_seen', 'discovery_problem', 'description')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(device__name__icontains=value)
            | Q(device__asset_tag__icontains=value)
            | Q(device__serial__icontains=value)
            | Q(virtual_machine__name__icontains=value)
            | Q(discovered_name__icontains=value)
            | Q(serial__icontains=value)
            | Q(uuid__icontains=value)
            | Q(boot_mac__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )

    def by_name(self, queryset, name, value):
        return queryset.filter(
            Q(device__name__in=value) | Q(virtual_machine__name__in=value) | Q(discovered_name__in=value)
        )

    def by_site(self, queryset, name, value):
        if not value:
            return queryset
        return queryset.filter(Q(device__site__in=value) | Q(virtual_machine__site__in=value))

    def by_cluster(self, queryset, name, value):
        if not value:
            return queryset
        return queryset.filter(Q(device__cluster__in=value) | Q(virtual_machine__cluster__in=value))

    def by_tenant(self, queryset, name, value):
        if not value:
            return queryset
        return queryset.filter(Q(device__tenant__in=value) | Q(virtual_machine__tenant__in=value))

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
