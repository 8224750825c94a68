"""Panels on the pages of builds, their artifacts and their events."""

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels
from netbox.ui.actions import CopyContent

from .. import timeline
from ..choices import BuildEventKindChoices
from ..models import Machine

__all__ = (
    'ArtifactContentPanel',
    'BuildArtifactPanel',
    'BuildEventPanel',
    'BuildPanel',
    'BuildRequestPanel',
    'BuildTimesPanel',
    'EventLogPanel',
    'RecordPanel',
    'TimelinePanel',
)


class BuildPanel(panels.ObjectAttributesPanel):
    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    profile = attrs.RelatedObjectAttr('profile', label=_('Profile'), linkify=True)
    state = attrs.ChoiceAttr('state', label=_('State'))
    progress = attrs.TemplatedAttr(
        'progress', label=_('Progress'), template_name='netbox_substruct/attrs/progress.html'
    )
    error = attrs.TemplatedAttr('error', label=_('Error'), template_name='netbox_substruct/attrs/error.html')
    requested_by = attrs.RelatedObjectAttr('requested_by', label=_('Requested by'), linkify=True)
    description = attrs.TextAttr('description', label=_('Description'))


class BuildTimesPanel(panels.ObjectAttributesPanel):
    title = _('Times')

    created = attrs.DateTimeAttr('created', label=_('Requested'))
    started = attrs.DateTimeAttr('started', label=_('Started'))
    finished = attrs.DateTimeAttr('finished', label=_('Finished'))
    duration = attrs.DurationAttr('duration', label=_('Duration'))


class TimelinePanel(panels.ObjectPanel):
    """What happened, and when; percentages and lines of logs that came in a row stand in one line."""

    template_name = 'netbox_substruct/panels/timeline.html'
    title = _('Timeline')

    def should_render(self, context):
        return context['request'].user.has_perm('netbox_substruct.view_buildevent')

    def get_context(self, context):
        ctx = super().get_context(context)
        build = ctx['object']
        found = timeline.of_build(build, ctx['request'].user)
        kinds, colors = dict(BuildEventKindChoices), BuildEventKindChoices.colors
        return {
            **ctx,
            'rows': [
                (
                    row,
                    kinds.get(row.event.kind, row.event.kind),
                    colors.get(row.event.kind),
                    timeline.span(row.after),
                    timezone.localtime(row.event.time).strftime('%H:%M:%S') if row.count > 1 else '',
                    reverse('plugins:netbox_substruct:buildevent', args=[row.event.id]),
                )
                for row in found
            ],
            'collapsed': any(row.count > 1 for row in found),
            'all_url': f'{reverse("plugins:netbox_substruct:buildevent_list")}?build_id={build.pk}',
        }


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
