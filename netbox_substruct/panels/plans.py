"""What a boot server would change, service by service, on its page."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import panels

from ..seen import may_change
from .reports import ago, named

__all__ = ('WouldChangePanel',)

# The first sign of a line of a plan (`plan.Change.lines` of the sidecar): how it looks, and what it is in a word.
SIGNS = {
    '+': ('text-success', _('added')),
    '-': ('text-danger', _('removed')),
    '~': ('text-warning', _('changed')),
}


class WouldChangePanel(panels.ObjectPanel):
    """The plans that wait: those that are refused, that failed, or that are being applied.

    They are for whoever may change the boot server, since their lines are about machines of all sites.
    """

    template_name = 'netbox_substruct/panels/plans.html'
    title = _('What Would Change')

    def get_context(self, context):
        context_data = super().get_context(context)
        return {**context_data, 'plans': [plan_of(service) for service in waiting(context_data['object'])]}

    def should_render(self, context):
        boot_server = context['object']
        return bool(waiting(boot_server)) and may_change(boot_server, context['request'].user)


def waiting(boot_server):
    return [service for service in boot_server.services if service.get('difference')]


def plan_of(service):
    planned = service.get('planned') or {}
    return {
        'name': named(service.get('name')),
        'backend': service.get('backend') or '',
        'add': planned.get('add') or 0,
        'change': planned.get('change') or 0,
        'remove': planned.get('remove') or 0,
        'existing': service.get('existing'),
        'when': ago(service.get('last_plan')),
        'lines': [line_of(str(text)) for text in service['difference']],
    }


def line_of(text):
    """A line with how it is shown: those of things stand out, what they were and will be stand below them."""
    css, word = SIGNS.get(text.lstrip()[:1], ('text-secondary', ''))
    return {'text': text, 'css': css, 'word': word, 'thing': not text.startswith(' ') and bool(word)}
