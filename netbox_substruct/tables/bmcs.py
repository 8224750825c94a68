"""Tables of BMCs."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import BMC

__all__ = ('BMCTable',)


class BMCTable(PrimaryModelTable):
    id = tables.Column(verbose_name=_('ID'), linkify=True)
    machine = tables.Column(
        verbose_name=_('Machine'), linkify=True, order_by=('machine__device__name', 'machine__virtual_machine__name')
    )
    protocol = columns.ChoiceFieldColumn(verbose_name=_('Protocol'))
    address = tables.Column(verbose_name=_('Address'))
    effective_address = tables.Column(verbose_name=_('Address in use'), orderable=False)
    port = tables.Column(verbose_name=_('Port'))
    credential = tables.Column(verbose_name=_('Credential'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:bmc_list')

    class Meta(PrimaryModelTable.Meta):
        model = BMC
        fields = (
            'pk', 'id', 'machine', 'protocol', 'address', 'effective_address', 'port', 'credential', 'description',
            'owner', 'owner_group', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'id', 'machine', 'protocol', 'effective_address', 'credential', 'description')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related('machine__device__oob_ip', 'machine__virtual_machine')
        super().__init__(data, *args, **kwargs)
