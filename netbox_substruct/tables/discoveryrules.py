"""Tables of discovery rules."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import DiscoveryRule

__all__ = ('DiscoveryRuleTable',)


class DiscoveryRuleTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    enabled = columns.BooleanColumn(verbose_name=_('Enabled'))
    priority = tables.Column(verbose_name=_('Priority'))
    condition = columns.DictColumn(verbose_name=_('Condition'), orderable=False)
    host_name_template = tables.Column(verbose_name=_('Host name template'))
    role = columns.ColoredLabelColumn(verbose_name=_('Role'))
    device_type = tables.Column(verbose_name=_('Device type'), linkify=True)
    site = tables.Column(verbose_name=_('Site'), linkify=True)
    profile = tables.Column(verbose_name=_('Profile'), linkify=True)
    limit = tables.Column(verbose_name=_('Limit'))
    adopt_at_once = columns.BooleanColumn(verbose_name=_('Adopt at once'))
    build_at_once = columns.BooleanColumn(verbose_name=_('Build at once'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:discoveryrule_list')

    class Meta(PrimaryModelTable.Meta):
        model = DiscoveryRule
        fields = (
            'pk', 'id', 'priority', 'name', 'enabled', 'condition', 'host_name_template', 'role', 'device_type',
            'site', 'profile', 'limit', 'adopt_at_once', 'build_at_once', 'description', 'owner', 'owner_group',
            'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'priority', 'name', 'enabled', 'condition', 'role', 'site', 'profile', 'adopt_at_once',
            'build_at_once',
        )  # fmt: skip
