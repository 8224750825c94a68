"""Panels on the pages of tasks."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

__all__ = ('TaskOutcomePanel', 'TaskPanel')


class TaskPanel(panels.ObjectAttributesPanel):
    kind = attrs.ChoiceAttr('kind', label=_('Kind'))
    boot_server = attrs.RelatedObjectAttr('boot_server', label=_('Boot server'), linkify=True)
    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    build = attrs.RelatedObjectAttr('build', label=_('Build'), linkify=True)
    not_before = attrs.DateTimeAttr('not_before', label=_('Not before'))
    max_attempts = attrs.NumericAttr('max_attempts', label=_('Attempts allowed'))


class TaskOutcomePanel(panels.ObjectAttributesPanel):
    title = _('Outcome')

    state = attrs.ChoiceAttr('state', label=_('State'))
    attempts = attrs.NumericAttr('attempts', label=_('Attempts'))
    claimed = attrs.DateTimeAttr('claimed', label=_('Claimed'))
    claimed_by = attrs.TextAttr('claimed_by', label=_('Claimed by'), style='font-monospace')
    lease_expires = attrs.DateTimeAttr('lease_expires', label=_('Claim ends'))
    finished = attrs.DateTimeAttr('finished', label=_('Finished'))
    error = attrs.TemplatedAttr('error', label=_('Error'), template_name='netbox_substruct/attrs/error.html')
