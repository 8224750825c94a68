"""Panels on the pages of discovery rules."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('DiscoveryRulePanel', 'DiscoveryRuleResultPanel')


class DiscoveryRulePanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name')
    enabled = attrs.BooleanAttr('enabled')
    priority = attrs.NumericAttr('priority')
    limit = attrs.NumericAttr('limit', label=_('Limit'))
    description = attrs.TextAttr('description')


class DiscoveryRuleResultPanel(panels.ObjectAttributesPanel):
    title = _('What They Become')

    host_name_template = attrs.TextAttr('host_name_template', style='font-monospace')
    role = attrs.NestedObjectAttr('role', linkify=True, max_depth=3, colored=True)
    device_type = attrs.RelatedObjectAttr('device_type', linkify=True, grouped_by='manufacturer')
    site = attrs.RelatedObjectAttr('site', linkify=True)
    profile = attrs.RelatedObjectAttr('profile', linkify=True)
    adopt_at_once = attrs.BooleanAttr('adopt_at_once')
    build_at_once = attrs.BooleanAttr('build_at_once')
