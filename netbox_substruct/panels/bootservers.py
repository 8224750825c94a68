"""Panels on the pages of boot servers."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels

from .base import RowsPanel, monospace

__all__ = ('BootServerPanel', 'BootServerReportPanel', 'OutOfStepPanel', 'ServicesPanel')


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

    last_heartbeat = attrs.TemplatedAttr(
        'last_heartbeat', label=_('Last heartbeat'), template_name='netbox_substruct/attrs/heartbeat.html'
    )
    in_step = attrs.TemplatedAttr('in_step', label=_('In step'), template_name='netbox_substruct/attrs/in_step.html')
    version = attrs.TextAttr('version', label=_('Version'))
    applied_cursor = attrs.TextAttr('applied_cursor', label=_('Applied cursor'), style='font-monospace text-break')

    def get_context(self, context):
        ctx = super().get_context(context)
        if ctx['object'].last_heartbeat is None:
            # An empty report is where most people stand first: say what comes next.
            ctx['attrs'] = [
                {
                    'label': _('Last heartbeat'),
                    'value': _('Never. It reports here once its sidecar runs and reaches NetBox.'),
                }
            ]
        return ctx


class ReportedPanel(RowsPanel):
    """A list of what a boot server said, each an object with some of the `keys`; what else it holds comes last."""

    field = ''
    keys = ()

    def get_rows(self, obj, user):
        for entry in getattr(obj, self.field):
            if not isinstance(entry, dict):
                yield str(entry), *('' for _ in self.headings[1:])
                continue
            rest = [f'{key}: {value}' for key, value in entry.items() if key not in self.keys]
            yield *(entry.get(key) for key in self.keys), monospace(rest) if rest else None

    def should_render(self, context):
        return bool(getattr(context['object'], self.field))


class ServicesPanel(ReportedPanel):
    title = _('Services')
    field = 'services'
    keys = ('name', 'backend', 'state')
    headings = (_('Service'), _('Backend'), _('State'), _('Details'))


class OutOfStepPanel(ReportedPanel):
    """What the boot server could not make as NetBox wants it."""

    title = _('Out of Step')
    field = 'out_of_step'
    keys = ('service', 'object', 'reason')
    headings = (_('Service'), _('Object'), _('Reason'), _('Details'))
