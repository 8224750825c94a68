"""Tables of boot images."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import BootImage

__all__ = ('BootImageTable',)


class BootImageTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    platform = tables.Column(verbose_name=_('Platform'), linkify=True)
    architecture = columns.ChoiceFieldColumn(verbose_name=_('Architecture'))
    method = columns.ChoiceFieldColumn(verbose_name=_('Method'))
    profile_count = columns.LinkedCountColumn(
        viewname='plugins:netbox_substruct:profile_list',
        url_params={'boot_image_id': 'pk'},
        verbose_name=_('Profiles'),
    )
    kernel_url = tables.Column(verbose_name=_('Kernel URL'))
    disk_image_url = tables.Column(verbose_name=_('Disk image URL'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:bootimage_list')

    class Meta(PrimaryModelTable.Meta):
        model = BootImage
        fields = (
            'pk', 'id', 'name', 'platform', 'architecture', 'method', 'profile_count', 'kernel_url', 'kernel_sha256',
            'arguments', 'disk_image_url', 'disk_image_sha256', 'description', 'owner', 'owner_group', 'comments',
            'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'name', 'platform', 'architecture', 'method', 'profile_count', 'description')
