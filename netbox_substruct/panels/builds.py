"""Panels on the pages of builds, their artifacts and their events."""

from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels
from netbox.ui.actions import CopyContent

from ..models import Machine

__all__ = (
    'ArtifactContentPanel',
    'BuildArtifactPanel',
    'BuildEventPanel',
    'BuildPanel',
    'BuildRequestPanel',
    'EventLogPanel',
    'RecordPanel',
)


class BuildPanel(panels.ObjectAttributesPanel):
    """What was asked; how far it has come moves (`live`)."""

    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    profile = attrs.RelatedObjectAttr('profile', label=_('Profile'), linkify=True)
    requested_by = attrs.RelatedObjectAttr('requested_by', label=_('Requested by'), linkify=True)
    description = attrs.TextAttr('description', label=_('Description'))


class BuildRequestPanel(panels.JSONPanel):
    """What was asked, frozen.  It holds the whole context, so it takes the same permission as the preview."""

    template_name = 'netbox_substruct/panels/request.html'

    def __init__(self):
        super().__init__('request', title=_('Frozen Request'))

    def should_render(self, context):
        user, build = context['request'].user, context['object']
        return Machine.objects.restrict(user, 'preview').filter(pk=build.machine_id).exists()


class BuildArtifactPanel(panels.ObjectAttributesPanel):
    build = attrs.RelatedObjectAttr('build', label=_('Build'), linkify=True)
    kind = attrs.ChoiceAttr('kind', label=_('Kind'))
    name = attrs.TextAttr('name', label=_('File name'))
    size = attrs.TemplatedAttr('size', label=_('Size'), template_name='netbox_substruct/attrs/size.html')
    sha256 = attrs.TextAttr('sha256', label=_('SHA-256'), style='font-monospace text-break', copy_button=True)
    template_name = attrs.TextAttr('template_name', label=_('Template'))


class ArtifactContentPanel(panels.ObjectPanel):
    template_name = 'netbox_substruct/panels/content.html'
    title = _('Content')

    def __init__(self):
        super().__init__(actions=[CopyContent('artifact_content')])


class BuildEventPanel(panels.ObjectAttributesPanel):
    build = attrs.RelatedObjectAttr('build', label=_('Build'), linkify=True)
    time = attrs.DateTimeAttr('time', label=_('Time'))
    kind = attrs.ChoiceAttr('kind', label=_('Kind'))
    message = attrs.TextAttr('message', label=_('Message'))
    progress = attrs.TemplatedAttr(
        'progress', label=_('Progress'), template_name='netbox_substruct/attrs/progress.html'
    )
    key = attrs.TextAttr('key', label=_('Key'), style='font-monospace')


class EventLogPanel(panels.TextCodePanel):
    def __init__(self):
        super().__init__('log', title=_('Log'))


class RecordPanel(panels.Panel):
    """Says on a page why the object has no edit button."""

    template_name = 'netbox_substruct/panels/record.html'

    def __init__(self, text):
        super().__init__()
        self.text = text

    def get_context(self, context):
        return {**super().get_context(context), 'text': self.text}
