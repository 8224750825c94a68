"""Tables of profiles and their templates."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import NetBoxTable, PrimaryModelTable, columns

from ..models import Profile, ProfileTemplate

__all__ = ('ProfileTable', 'ProfileTemplateTable')


class ProfileTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    parent = tables.Column(verbose_name=_('Parent'), linkify=True)
    boot_image = tables.Column(verbose_name=_('Boot image'), linkify=True)
    handoff = columns.ChoiceFieldColumn(verbose_name=_('Configuration hand-off'))
    built_status = columns.ChoiceFieldColumn(verbose_name=_('Status when built'))
    built_address = columns.ChoiceFieldColumn(verbose_name=_('Primary address when built'))
    built_dns_name = columns.ChoiceFieldColumn(verbose_name=_('DNS name when built'))
    pending_limit = tables.Column(verbose_name=_('Pending limit (minutes)'))
    stall_limit = tables.Column(verbose_name=_('Stall limit (minutes)'))
    machine_count = columns.LinkedCountColumn(
        viewname='plugins:netbox_substruct:machine_list',
        url_params={'profile_id': 'pk'},
        verbose_name=_('Machines'),
    )
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:profile_list')

    class Meta(PrimaryModelTable.Meta):
        model = Profile
        fields = (
            'pk', 'id', 'name', 'slug', 'parent', 'boot_image', 'handoff', 'built_status', 'built_address',
            'built_dns_name', 'pending_limit', 'stall_limit', 'machine_count', 'description', 'owner', 'owner_group',
            'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'name', 'parent', 'boot_image', 'handoff', 'machine_count', 'description')


class ProfileTemplateTable(NetBoxTable):
    kind = columns.ChoiceFieldColumn(verbose_name=_('Kind'), linkify=True)
    profile = tables.Column(verbose_name=_('Profile'), linkify=True)
    boot_image = tables.Column(verbose_name=_('Boot image'), linkify=True)
    config_template = tables.Column(verbose_name=_('Config template'), linkify=True)
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:profiletemplate_list')

    class Meta(NetBoxTable.Meta):
        model = ProfileTemplate
        fields = ('pk', 'id', 'kind', 'profile', 'boot_image', 'config_template', 'tags', 'created', 'last_updated')
        default_columns = ('pk', 'kind', 'profile', 'boot_image', 'config_template')
