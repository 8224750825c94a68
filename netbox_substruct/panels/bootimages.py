"""Panels on the pages of boot images."""

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

from ..models import BootServer
from .base import RowsPanel, link, monospace
from .reports import progress_of

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
    headings = (_('File'), _('URL and SHA-256'), _('On boot servers'))

    ROLES = {'kernel': _('Kernel'), 'initrd': _('Initrd'), 'disk': _('Disk image')}

    def get_rows(self, obj, user):
        held = {}
        for boot_server in BootServer.objects.restrict(user, 'view').exclude(files=[]).order_by('name'):
            for file in boot_server.files:
                held.setdefault(file['source'], []).append((link(boot_server, user), progress_of(file)))
        for file in obj.files:
            digest = (
                format_html('<span class="font-monospace text-break text-muted">{}</span>', file['sha256'])
                if file['sha256']
                else format_html('<span class="text-warning">{}</span>', _('Not checked: no SHA-256 is given'))
            )
            role = format_html('<span class="text-nowrap">{}</span>', self.ROLES[file['role']])
            on = format_html_join('', '<div>{} {}</div>', held.get(file['url'], ()))
            yield role, format_html('{}<br>{}', monospace(file['url']), digest), on or None
