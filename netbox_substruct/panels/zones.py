"""Panels on the pages of zones."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('ZonePanel', 'ZoneSOAPanel', 'ZoneUpdatesPanel')


class ZonePanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name', style='font-monospace')
    is_reverse = attrs.BooleanAttr('is_reverse', label=_('Reverse zone'))
    name_servers = attrs.ArrayAttr('name_servers')
    ttl = attrs.TextAttr('ttl', label=_('TTL'), format_string='{} s')
    description = attrs.TextAttr('description')


class ZoneUpdatesPanel(panels.ObjectAttributesPanel):
    title = _('Updates')

    boot_server = attrs.RelatedObjectAttr('boot_server', linkify=True)
    update_method = attrs.ChoiceAttr('update_method')
    server = attrs.TextAttr('server', style='font-monospace')
    credential = attrs.TextAttr('credential', style='font-monospace')


class ZoneSOAPanel(panels.ObjectAttributesPanel):
    title = _('Start of Authority')

    soa_mname = attrs.TextAttr('soa_mname', label=_('Primary name server (MNAME)'), style='font-monospace')
    soa_rname = attrs.TextAttr('soa_rname', label=_('Responsible mailbox (RNAME)'), style='font-monospace')
    soa_refresh = attrs.TextAttr('soa_refresh', label=_('Refresh'), format_string='{} s')
    soa_retry = attrs.TextAttr('soa_retry', label=_('Retry'), format_string='{} s')
    soa_expire = attrs.TextAttr('soa_expire', label=_('Expire'), format_string='{} s')
    soa_minimum = attrs.TextAttr('soa_minimum', label=_('Minimum'), format_string='{} s')
