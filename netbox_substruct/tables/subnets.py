"""Tables of subnets."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import Subnet

__all__ = ('SubnetTable',)


class SubnetTable(PrimaryModelTable):
    # The first column leads to the subnet; the prefix itself is one click further.
    subnet = tables.Column(accessor='prefix__prefix', linkify=lambda record: record.get_absolute_url(),
                           verbose_name=_('Subnet'))  # fmt: skip
    prefix = tables.Column(verbose_name=_('Prefix'), linkify=True, order_by=('prefix__vrf', 'prefix__prefix'))
    vrf = tables.Column(accessor='prefix__vrf', verbose_name=_('VRF'), linkify=True, default=_('Global'))
    vlan = tables.Column(accessor='prefix__vlan', verbose_name=_('VLAN'), linkify=True)
    scope = tables.Column(accessor='prefix__scope', verbose_name=_('Scope'), linkify=True, orderable=False)
    boot_server = tables.Column(verbose_name=_('Boot server'), linkify=True)
    dhcp_enabled = columns.BooleanColumn(verbose_name=_('DHCP'))
    discovery_enabled = columns.BooleanColumn(verbose_name=_('Discovery'))
    gateway = tables.Column(verbose_name=_('Gateway'))
    name_servers = columns.ArrayColumn(verbose_name=_('Name servers'))
    ntp_servers = columns.ArrayColumn(verbose_name=_('NTP servers'))
    domain = tables.Column(verbose_name=_('Domain'))
    lease_range = tables.Column(verbose_name=_('Lease range'), linkify=True)
    lease_time = tables.Column(verbose_name=_('Lease time (s)'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:subnet_list')

    class Meta(PrimaryModelTable.Meta):
        model = Subnet
        fields = (
            'pk', 'id', 'subnet', 'prefix', 'vrf', 'vlan', 'scope', 'boot_server', 'dhcp_enabled',
            'discovery_enabled', 'gateway', 'name_servers', 'ntp_servers', 'domain', 'lease_range', 'lease_time',
            'description', 'owner', 'owner_group', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'subnet', 'vrf', 'vlan', 'boot_server', 'dhcp_enabled', 'discovery_enabled', 'gateway',
            'lease_range', 'description',
        )  # fmt: skip
