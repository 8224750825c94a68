"""Tables of tasks."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import NetBoxTable, columns

from ..models import Task

__all__ = ('TaskTable',)


class TaskTable(NetBoxTable):
    id = tables.Column(verbose_name=_('Task'), linkify=True)
    kind = columns.ChoiceFieldColumn(verbose_name=_('Kind'))
    boot_server = tables.Column(verbose_name=_('Boot server'), linkify=True)
    machine = tables.Column(
        verbose_name=_('Machine'), linkify=True, order_by=('machine__device__name', 'machine__virtual_machine__name')
    )
    build = tables.Column(verbose_name=_('Build'), linkify=True)
    state = columns.ChoiceFieldColumn(verbose_name=_('State'))
    attempts = tables.Column(verbose_name=_('Attempts'))
    max_attempts = tables.Column(verbose_name=_('Attempts allowed'))
    not_before = columns.DateTimeColumn(verbose_name=_('Not before'))
    claimed = columns.DateTimeColumn(verbose_name=_('Claimed'))
    claimed_by = tables.Column(verbose_name=_('Claimed by'))
    lease_expires = columns.DateTimeColumn(verbose_name=_('Claim ends'))
    finished = columns.DateTimeColumn(verbose_name=_('Finished'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:task_list')

    class Meta(NetBoxTable.Meta):
        model = Task
        fields = (
            'pk', 'id', 'kind', 'boot_server', 'machine', 'build', 'state', 'attempts', 'max_attempts', 'not_before',
            'claimed', 'claimed_by', 'lease_expires', 'finished', 'error', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'id', 'kind', 'boot_server', 'machine', 'state', 'attempts', 'created', 'finished')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related(
                'machine__device', 'machine__virtual_machine', 'build__machine__device',
                'build__machine__virtual_machine',
            )  # fmt: skip
        super().__init__(data, *args, **kwargs)
