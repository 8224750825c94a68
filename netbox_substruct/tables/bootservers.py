"""Tables of boot servers."""

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import BootServer
from ..seen import related

__all__ = ('BootServerTable',)


class HeartbeatColumn(columns.DateTimeColumn):
    """A time, and whether another one is overdue."""

    def render(self, value, record):
        time = super().render(value)
        if not record.is_late:
            return time
        return format_html('{} <span class="badge text-bg-red">{}</span>', time, _('Late'))


class BootServerTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    status = columns.ChoiceFieldColumn(verbose_name=_('Status'))
    base_url = tables.Column(verbose_name=_('Base URL'))
    sites = columns.ManyToManyColumn(verbose_name=_('Sites'), linkify_item=True, filter=related)
    prefixes = columns.ManyToManyColumn(verbose_name=_('Prefixes'), linkify_item=True, filter=related)
    subnet_count = columns.LinkedCountColumn(
        viewname='plugins:netbox_substruct:subnet_list',
        url_params={'boot_server_id': 'pk'},
        verbose_name=_('Subnets'),
    )
    zone_count = columns.LinkedCountColumn(
        viewname='plugins:netbox_substruct:zone_list',
        url_params={'boot_server_id': 'pk'},
        verbose_name=_('Zones'),
    )
    last_heartbeat = HeartbeatColumn(verbose_name=_('Last heartbeat'), timespec='seconds')
    version = tables.Column(verbose_name=_('Version'))
    in_step = columns.BooleanColumn(verbose_name=_('In step'), orderable=False)
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:bootserver_list')

    class Meta(PrimaryModelTable.Meta):
        model = BootServer
        fields = (
            'pk', 'id', 'name', 'status', 'base_url', 'sites', 'prefixes', 'subnet_count', 'zone_count',
            'last_heartbeat', 'version', 'in_step', 'description', 'owner', 'owner_group', 'comments', 'tags',
            'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'name', 'status', 'base_url', 'sites', 'subnet_count', 'zone_count', 'last_heartbeat', 'in_step',
        )  # fmt: skip
