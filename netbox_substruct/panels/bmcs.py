"""Panels on the pages of BMCs."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('BMCPanel',)


class BMCPanel(panels.ObjectAttributesPanel):
    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    protocol = attrs.ChoiceAttr('protocol', label=_('Protocol'))
    address = attrs.TextAttr('address', label=_('Address'))
    effective_address = attrs.TextAttr('effective_address', label=_('Address in use'), copy_button=True)
    port = attrs.NumericAttr('port', label=_('Port'))
    credential = attrs.TextAttr('credential', label=_('Credential'))
    description = attrs.TextAttr('description', label=_('Description'))
