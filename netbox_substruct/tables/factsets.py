"""Tables of facts."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import NetBoxTable, columns

from ..models import FactSet

__all__ = ('FactSetTable',)


class FactSetTable(NetBoxTable):
    id = tables.Column(verbose_name=_('ID'), linkify=True)
    machine = tables.Column(
        verbose_name=_('Machine'), linkify=True, order_by=('machine__device__name', 'machine__virtual_machine__name')
    )
    source = columns.ChoiceFieldColumn(verbose_name=_('Source'))
    collected = columns.DateTimeColumn(verbose_name=_('Collected'), timespec='seconds', linkify=True)
    format_version = tables.Column(verbose_name=_('Format version'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:factset_list')
    actions = columns.ActionsColumn(actions=('delete', 'changelog'))

    class Meta(NetBoxTable.Meta):
        model = FactSet
        fields = ('pk', 'id', 'machine', 'source', 'collected', 'format_version', 'tags', 'created', 'last_updated')
        default_columns = ('pk', 'collected', 'machine', 'source', 'format_version')

    def __init__(self, data, *args, **kwargs):
        # The facts themselves are large, and no column shows them.
        if hasattr(data, 'select_related'):
            data = data.select_related('machine__device', 'machine__virtual_machine').defer('data')
        super().__init__(data, *args, **kwargs)
