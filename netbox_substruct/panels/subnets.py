"""Panels on the pages of subnets."""

from django.utils.translation import gettext_lazy as _

from ipam.ui.attrs import VRFDisplayAttr
from netbox.ui import attrs, panels

from ..feed.queries import effective
from ..models import BootServer, Subnet
from .base import RowsPanel, link, monospace, yes_no

__all__ = ('EffectiveSubnetPanel', 'SubnetPanel', 'SubnetPrefixPanel')


class SubnetPanel(panels.ObjectAttributesPanel):
    prefix = attrs.RelatedObjectAttr('prefix', linkify=True)
    boot_server = attrs.RelatedObjectAttr('boot_server', linkify=True)
    dhcp_enabled = attrs.BooleanAttr('dhcp_enabled', label=_('DHCP'))
    discovery_enabled = attrs.BooleanAttr('discovery_enabled', label=_('Discovery'))
    gateway = attrs.TextAttr('gateway')
    lease_range = attrs.RelatedObjectAttr('lease_range', linkify=True)
    lease_time = attrs.TextAttr('lease_time', format_string='{} s')
    name_servers = attrs.ArrayAttr('name_servers')
    ntp_servers = attrs.ArrayAttr('ntp_servers', label=_('NTP servers'))
    domain = attrs.TextAttr('domain')
    description = attrs.TextAttr('description')


class SubnetPrefixPanel(panels.ObjectAttributesPanel):
    """What NetBox says of the prefix itself."""

    accessor = 'object.prefix'
    title = _('Prefix')

    status = attrs.ChoiceAttr('status')
    vrf = VRFDisplayAttr('vrf', label=_('VRF'))
    vlan = attrs.RelatedObjectAttr('vlan', linkify=True, label=_('VLAN'), grouped_by='group')
    scope = attrs.GenericForeignKeyAttr('scope', linkify=True, nested=True, max_depth=3)
    role = attrs.RelatedObjectAttr('role', linkify=True)
    tenant = attrs.RelatedObjectAttr('tenant', linkify=True, grouped_by='group')
    description = attrs.TextAttr('description')


class EffectiveSubnetPanel(RowsPanel):
    """What machines in the subnet get, with what is inherited, and from where."""

    title = _('Effective Values')
    headings = (_('Setting'), _('Value'), _('From'))

    FIELDS = (
        'boot_server', 'dhcp_enabled', 'discovery_enabled', 'gateway', 'lease_range', 'lease_time', 'name_servers',
        'ntp_servers', 'domain',
    )  # fmt: skip
    DEFAULTED = ('boot_server_id', 'dhcp_enabled', 'discovery_enabled', 'lease_time')

    def get_rows(self, obj, user):
        resolved = effective(obj)
        origins = Subnet.objects.restrict(user, 'view').select_related('prefix').in_bulk(set(resolved.origins.values()))

        def origin(name):
            key = resolved.origins.get(name)
            if key is None:
                return _('Default') if name in self.DEFAULTED else None
            if key == obj.pk:
                return _('This subnet')
            return link(origins[key], user) if key in origins else _('A subnet above')

        for name in self.FIELDS:
            field = Subnet._meta.get_field(name)
            key = field.attname if name == 'boot_server' else name
            label = str(field.verbose_name)
            yield label[:1].upper() + label[1:], self.show(name, resolved.values[key], obj, user), origin(key)
        for option, value in sorted(resolved.values['dhcp_options'].items()):
            yield _('DHCP option {option}').format(option=option), monospace(value), origin(f'dhcp_options.{option}')

    @staticmethod
    def show(name, value, obj, user):
        match name:
            case 'boot_server':
                if value is None:
                    return _('All whose prefixes or sites cover it')
                return link(BootServer.objects.get(pk=value), user)
            case 'dhcp_enabled' | 'discovery_enabled':
                return yes_no(value)
            case 'lease_range':
                return link(obj.lease_range, user) if obj.lease_range_id else None
            case 'lease_time':
                return f'{value} s'
            case _:
                return monospace(value) if value else None
