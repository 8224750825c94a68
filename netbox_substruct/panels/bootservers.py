"""Panels on the pages of boot servers."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('BootServerPanel', 'BootServerReportPanel')


class BootServerPanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name')
    status = attrs.ChoiceAttr('status')
    base_url = attrs.TextAttr('base_url', label=_('Base URL'), style='font-monospace', copy_button=True)
    description = attrs.TextAttr('description')
    sites = attrs.RelatedObjectListAttr('sites', linkify=True, max_items=20)
    prefixes = attrs.RelatedObjectListAttr('prefixes', linkify=True, max_items=20)


class BootServerReportPanel(panels.ObjectAttributesPanel):
    """What the boot server last said of itself."""

    title = _('Reported by the Boot Server')

    last_heartbeat = attrs.DateTimeAttr('last_heartbeat')
    in_step = attrs.BooleanAttr('in_step', label=_('In step'))
    version = attrs.TextAttr('version')
    applied_cursor = attrs.TextAttr('applied_cursor', style='font-monospace')
