"""The table of the discovery inbox: for each machine what it is, where it showed itself, and what it may become."""

import django_tables2 as tables
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from netbox.context import current_request
from netbox.tables import NetBoxTable, columns

from ..discovery import inbox
from ..models import Machine

__all__ = ('InboxTable',)


class EntryColumn(tables.Column):
    """A part of what is known of a machine; that is read once for all rows of the page."""

    def __init__(self, part, **kwargs):
        super().__init__(accessor='pk', orderable=False, **kwargs)
        self.part = part

    def render(self, record, table):
        request = current_request.get()
        if request is None:
            return self.default
        if not hasattr(table, '_entries'):
            page = getattr(table, 'page', None)
            rows = page.object_list.data if page is not None else table.data
            table._entries = inbox.entries(list(rows), request.user)
        entry = table._entries.get(record.pk)
        if entry is None:
            return self.default
        return render_to_string('netbox_substruct/inbox/cell.html', {'entry': entry, 'part': self.part})

    def value(self, record, table):
        return ' '.join(str(self.render(record, table)).split())


class InboxTable(NetBoxTable):
    name = tables.Column(verbose_name=_('Machine'), linkify=True, order_by=('discovered_name', 'serial', 'pk'))
    what = EntryColumn('what', verbose_name=_('What it is'))
    where = EntryColumn('where', verbose_name=_('Where it showed itself'))
    becomes = EntryColumn('becomes', verbose_name=_('What it may become'))
    last_seen = columns.DateTimeColumn(verbose_name=_('Last seen'), timespec='minutes')
    actions = columns.ActionsColumn(actions=())

    class Meta(NetBoxTable.Meta):
        model = Machine
        fields = ('pk', 'id', 'name', 'what', 'where', 'becomes', 'last_seen', 'serial', 'uuid', 'boot_mac')
        default_columns = ('pk', 'name', 'what', 'where', 'becomes', 'last_seen')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related('device', 'virtual_machine')
        super().__init__(data, *args, **kwargs)
