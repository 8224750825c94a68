"""Panels on the pages of boot servers: what people set.  What boot servers report is in `reports`."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

from ..seen import related

__all__ = ('BootServerPanel',)


class SeenListAttr(attrs.RelatedObjectListAttr):
    """Those of many related objects that the user may view."""

    def get_value(self, obj):
        return related(super().get_value(obj))


class BootServerPanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name')
    status = attrs.ChoiceAttr('status')
    base_url = attrs.TextAttr('base_url', label=_('Base URL'), style='font-monospace', copy_button=True)
    description = attrs.TextAttr('description')
    sites = SeenListAttr('sites', linkify=True, max_items=20)
    prefixes = SeenListAttr('prefixes', linkify=True, max_items=20)
