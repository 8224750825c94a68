"""Panels on the pages of boot images."""

from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

from .base import RowsPanel, monospace

__all__ = ('BootImageFilesPanel', 'BootImagePanel')


class BootImagePanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name')
    platform = attrs.NestedObjectAttr('platform', linkify=True, max_depth=3)
    architecture = attrs.ChoiceAttr('architecture')
    method = attrs.ChoiceAttr('method')
    description = attrs.TextAttr('description')


class BootImageFilesPanel(RowsPanel):
    """What boot servers have to hold, and what it is checked against."""

    title = _('Files')
    headings = (_('File'), _('URL and SHA-256'))

    ROLES = {'kernel': _('Kernel'), 'initrd': _('Initrd'), 'disk': _('Disk image')}

    def get_rows(self, obj, user):
        for file in obj.files:
            digest = (
                format_html('<span class="font-monospace text-break text-muted">{}</span>', file['sha256'])
                if file['sha256']
                else format_html('<span class="text-warning">{}</span>', _('Not checked: no SHA-256 is given'))
            )
            role = format_html('<span class="text-nowrap">{}</span>', self.ROLES[file['role']])
            yield role, format_html('{}<br>{}', monospace(file['url']), digest)
