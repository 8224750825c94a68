"""Panels about what a machine says of itself, and what it may be."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import panels

from ..discovery import adoption, keeping, matching

__all__ = ('DiscoveryPanel', 'FoundPanel')


class DiscoveryPanel(panels.ObjectPanel):
    """Why discovery could not go on with a machine, and which objects of NetBox a discovered one may be."""

    template_name = 'netbox_substruct/panels/discovery.html'
    title = _('Discovery')

    def get_context(self, context):
        ctx = super().get_context(context)
        machine, user = ctx['object'], ctx['request'].user
        return {
            **ctx,
            'problem': machine.discovery_problem,
            'rule': machine.discovery_rule,
            'may_adopt': adoption.offered(machine, user),
            'candidates': matching.candidates(machine, user=user) if machine.object is None else [],
        }

    def should_render(self, context):
        return bool(context['problem'] or context['rule'] or context['candidates'])


class FoundPanel(panels.ObjectPanel):
    """What the machine says of itself, in a few lines; its tab has the rest."""

    template_name = 'netbox_substruct/panels/found.html'
    title = _('What It Says')

    def get_context(self, context):
        ctx = super().get_context(context)
        found, reading = keeping.current(ctx['object'])
        allowed = found is not None and keeping.may_view(found, ctx['request'].user)
        return {**ctx, 'facts': reading.facts if allowed else None, 'facts_set': found, 'problems': reading.problems}

    def should_render(self, context):
        return context['facts'] is not None
