"""Tables of zones."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import Zone

__all__ = ('ZoneTable',)


class ZoneTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    boot_server = tables.Column(verbose_name=_('Boot server'), linkify=True)
    update_method = columns.ChoiceFieldColumn(verbose_name=_('Update method'))
    server = tables.Column(verbose_name=_('Server'))
    credential = tables.Column(verbose_name=_('Credential'))
    name_servers = columns.ArrayColumn(verbose_name=_('Name servers'))
    ttl = tables.Column(verbose_name=_('TTL'))
    soa_mname = tables.Column(verbose_name=_('SOA MNAME'))
    soa_rname = tables.Column(verbose_name=_('SOA RNAME'))
    is_reverse = columns.BooleanColumn(verbose_name=_('Reverse'), orderable=False)
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:zone_list')

    class Meta(PrimaryModelTable.Meta):
        model = Zone
        fields = (
            'pk', 'id', 'name', 'boot_server', 'update_method', 'server', 'credential', 'name_servers', 'ttl',
            'soa_mname', 'soa_rname', 'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum', 'is_reverse',
            'description', 'owner', 'owner_group', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'name', 'boot_server', 'update_method', 'name_servers', 'ttl', 'description')
