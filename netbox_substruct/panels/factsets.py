"""Panels on the pages of facts."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('FactSetPanel', 'FactsPanel')


class FactSetPanel(panels.ObjectAttributesPanel):
    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    source = attrs.ChoiceAttr('source', label=_('Source'))
    collected = attrs.DateTimeAttr('collected', label=_('Collected'))
    format_version = attrs.NumericAttr('format_version', label=_('Format version'))


class FactsPanel(panels.JSONPanel):
    def __init__(self):
        super().__init__('data', title=_('Facts'))
