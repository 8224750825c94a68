"""The page that says what differs between a build and the last good one before it."""

from django.utils.translation import gettext_lazy as _

from netbox.views import generic
from utilities.views import ViewTab, register_model_view

from .. import differing
from ..choices import ArtifactKindChoices
from ..models import Build

__all__ = ('BuildChangesView',)

WORDS = {
    'added': (_('New'), 'green', 'plus-circle-outline'),
    'removed': (_('Gone'), 'red', 'minus-circle-outline'),
    'changed': (_('Changed'), 'blue', 'circle-edit-outline'),
    'same': (_('The same'), 'gray', 'equal'),
}


@register_model_view(Build, 'changes')
class BuildChangesView(generic.ObjectView):
    """Artifacts for those who may view them, what they were made from for those who may preview the machine."""

    queryset = Build.objects.select_related('machine__device__device_type', 'machine__virtual_machine')
    template_name = 'netbox_substruct/build_changes.html'
    actions = ()
    tab = ViewTab(label=_('Changes'), permission='netbox_substruct.view_build', weight=500)

    def get_extra_context(self, request, instance):
        against = request.GET.get('against', '')
        against = int(against) if against.isdecimal() and len(against) < 19 else None
        found = differing.of(instance, request.user, against)
        kinds = dict(ArtifactKindChoices)
        return {
            'found': found,
            'asked': against,
            'artifacts': [
                (
                    change,
                    kinds.get(change.kind, change.kind),
                    *WORDS[change.word],
                    [_line(line) for line in change.lines],
                )
                for change in found.artifacts or ()
                if change.word != 'same'
            ],
            'same': [change for change in found.artifacts or () if change.word == 'same'],
            'values': [(change, *WORDS[change.word]) for change in found.values or ()],
        }


def _line(line):
    """A line of a difference with the class that colours it; its first character says the same."""
    return {'+': 'text-success', '-': 'text-danger', '@': 'text-secondary'}.get(line[:1], ''), line
