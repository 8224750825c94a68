"""The panel "Provisioning" on the pages of prefixes: the subnet that rules it, who serves it, or why nobody does."""

from django.urls import reverse

from netbox.plugins import PluginTemplateExtension

from . import serving
from .models import BootServer, Subnet

__all__ = ('PrefixProvisioning',)


class PrefixProvisioning(PluginTemplateExtension):
    """Nothing is said to users who may not view subnets; what else they may not view is not named."""

    models = ('ipam.prefix',)

    def right_page(self):
        user, prefix = self.context['request'].user, self.context['object']
        if not user.has_perm('netbox_substruct.view_subnet'):
            return ''
        ruling = serving.ruling_of(prefix)
        resolved = ruling.resolved
        subnets, servers = {}, {}
        if resolved is not None:
            wanted = {resolved.row.id, *resolved.origins.values()}
            subnets = Subnet.objects.restrict(user, 'view').select_related('prefix').in_bulk(wanted)
            servers = BootServer.objects.restrict(user, 'view').in_bulk([server.id for server in ruling.servers])
        add_url = None
        if not ruling.own and user.has_perm('netbox_substruct.add_subnet'):
            add_url = f'{reverse("plugins:netbox_substruct:subnet_add")}?prefix={prefix.pk}'
        return self.render(
            'netbox_substruct/panels/prefix.html',
            {
                'ruling': ruling,
                'resolved': resolved,
                'subnet': subnets.get(resolved.row.id) if resolved else None,
                'servers': list(servers.values()),
                'unseen_servers': len(ruling.servers) - len(servers),
                'dhcp': self.switch(resolved, 'dhcp_enabled', subnets),
                'discovery': self.switch(resolved, 'discovery_enabled', subnets),
                'reasons': serving.reasons(ruling),
                'add_url': add_url,
            },
        )

    @staticmethod
    def switch(resolved, name, subnets):
        """Whether something is on, whether anybody says so, and the subnet above that does if it may be seen."""
        if resolved is None:
            return None
        key = resolved.origins.get(name)
        return {
            'on': resolved.values[name],
            'said': key is not None,
            'here': key == resolved.row.id,
            'origin': subnets.get(key),
        }
