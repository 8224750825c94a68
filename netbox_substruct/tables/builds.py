"""Tables of builds, their artifacts and their events."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import NetBoxTable, columns
from utilities.string import humanize_duration

from ..models import Build, BuildArtifact, BuildEvent

__all__ = (
    'BuildArtifactTable',
    'BuildEventTable',
    'BuildTable',
)

MACHINE = ('machine__device', 'machine__virtual_machine')

PROGRESS = '{% include "netbox_substruct/inc/progress.html" with value=record.progress %}'

# Until a log is wanted it takes one line; the table stays a timeline.
LOG = """
{% load i18n %}{% if value %}
  <details>
    <summary>{% trans "Log" %}</summary>
    <pre class="mb-0" style="max-height: 30rem; overflow: auto">{{ value }}</pre>
  </details>
{% endif %}
"""

DOWNLOAD = """
{% load i18n %}
<a class="btn btn-sm btn-primary" href="{% url 'plugins:netbox_substruct:buildartifact_download' pk=record.pk %}"
   title="{% trans "Download" %}" aria-label="{% trans "Download" %}"><i class="mdi mdi-download"></i></a>
"""


class BuildTable(NetBoxTable):
    id = tables.Column(verbose_name=_('Build'), linkify=True)
    machine = tables.Column(
        verbose_name=_('Machine'), linkify=True, order_by=('machine__device__name', 'machine__virtual_machine__name')
    )
    profile = tables.Column(verbose_name=_('Profile'), linkify=True)
    state = columns.ChoiceFieldColumn(verbose_name=_('State'))
    progress = columns.TemplateColumn(template_code=PROGRESS, verbose_name=_('Progress'))
    requested_by = tables.Column(verbose_name=_('Requested by'), linkify=True)
    created = columns.DateTimeColumn(verbose_name=_('Requested'))
    started = columns.DateTimeColumn(verbose_name=_('Started'))
    finished = columns.DateTimeColumn(verbose_name=_('Finished'))
    duration = tables.Column(verbose_name=_('Duration'), orderable=False)
    error = tables.Column(verbose_name=_('Error'))
    comments = columns.MarkdownColumn(verbose_name=_('Comments'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:build_list')

    class Meta(NetBoxTable.Meta):
        model = Build
        fields = (
            'pk', 'id', 'machine', 'profile', 'state', 'progress', 'requested_by', 'created', 'started', 'finished',
            'duration', 'error', 'description', 'comments', 'tags', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'id', 'machine', 'profile', 'state', 'progress', 'requested_by', 'created', 'duration')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related(*MACHINE)
        super().__init__(data, *args, **kwargs)

    def render_duration(self, value):
        return humanize_duration(value)


class BuildArtifactTable(NetBoxTable):
    name = tables.Column(verbose_name=_('File name'), linkify=True)
    build = tables.Column(verbose_name=_('Build'), linkify=True)
    kind = columns.ChoiceFieldColumn(verbose_name=_('Kind'))
    size = tables.TemplateColumn(template_code='{{ value|filesizeformat }}', verbose_name=_('Size'), orderable=False)
    sha256 = tables.TemplateColumn(
        template_code='<span class="font-monospace" title="{{ value }}">{{ value|truncatechars:17 }}</span>',
        verbose_name=_('SHA-256'),
    )
    template_name = tables.Column(verbose_name=_('Template'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:buildartifact_list')
    actions = columns.ActionsColumn(actions=('delete', 'changelog'), extra_buttons=DOWNLOAD, split_actions=False)

    class Meta(NetBoxTable.Meta):
        model = BuildArtifact
        fields = (
            'pk',
            'id',
            'name',
            'build',
            'kind',
            'size',
            'sha256',
            'template_name',
            'tags',
            'created',
            'last_updated',
        )
        default_columns = ('pk', 'name', 'build', 'kind', 'size', 'sha256')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related('build__machine__device', 'build__machine__virtual_machine')
        super().__init__(data, *args, **kwargs)

    def value_sha256(self, value):
        return value

    def value_size(self, value):
        return value


class BuildEventTable(NetBoxTable):
    time = columns.DateTimeColumn(verbose_name=_('Time'), timespec='seconds', linkify=True)
    build = tables.Column(verbose_name=_('Build'), linkify=True)
    kind = columns.ChoiceFieldColumn(verbose_name=_('Kind'))
    message = tables.Column(verbose_name=_('Message'))
    progress = columns.TemplateColumn(template_code=PROGRESS, verbose_name=_('Progress'))
    log = columns.TemplateColumn(template_code=LOG, verbose_name=_('Log'), orderable=False)
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:buildevent_list')
    actions = columns.ActionsColumn(actions=('delete', 'changelog'), split_actions=False)

    class Meta(NetBoxTable.Meta):
        model = BuildEvent
        fields = (
            'pk',
            'id',
            'time',
            'build',
            'kind',
            'message',
            'progress',
            'log',
            'key',
            'tags',
            'created',
            'last_updated',
        )
        default_columns = ('pk', 'time', 'build', 'kind', 'message', 'progress', 'log')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related('build__machine__device', 'build__machine__virtual_machine')
        super().__init__(data, *args, **kwargs)

    def value_log(self, value):
        return value
