"""Tables of machines."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import PrimaryModelTable, columns

from ..models import Machine

__all__ = ('MachineTable',)


class MachineTable(PrimaryModelTable):
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
        order_by=('device__name', 'virtual_machine__name', 'discovered_name', 'pk'),
    )
    device = tables.Column(verbose_name=_('Device'), linkify=True)
    virtual_machine = tables.Column(verbose_name=_('Virtual machine'), linkify=True)
    site = tables.Column(verbose_name=_('Site'), linkify=True, order_by=('device__site', 'virtual_machine__site'))
    state = columns.ChoiceFieldColumn(verbose_name=_('State'))
    next_boot = columns.ChoiceFieldColumn(verbose_name=_('Next boot'))
    profile = tables.Column(verbose_name=_('Profile'), linkify=True)
    boot_server = tables.Column(verbose_name=_('Boot server'), linkify=True)
    architecture = tables.Column(verbose_name=_('Architecture'))
    firmware = columns.ChoiceFieldColumn(verbose_name=_('Firmware'))
    last_seen = columns.DateTimeColumn(verbose_name=_('Last seen'))
    discovery_rule = tables.Column(verbose_name=_('Discovery rule'), linkify=True)
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:machine_list')

    class Meta(PrimaryModelTable.Meta):
        model = Machine
        fields = (
            'pk', 'id', 'name', 'device', 'virtual_machine', 'site', 'state', 'next_boot', 'profile', 'boot_server',
            'architecture', 'firmware', 'local_boot', 'boot_mac', 'uuid', 'serial', 'discovered_name', 'last_seen',
            'discovery_rule', 'discovery_problem', 'description', 'owner', 'owner_group', 'comments', 'tags', 'created',
            'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'name', 'site', 'state', 'profile', 'architecture', 'firmware', 'last_seen')

    def __init__(self, data, *args, **kwargs):
        # A machine's name and site are its device's or virtual machine's: one query for all rows.
        if hasattr(data, 'select_related'):
            data = data.select_related('device__site', 'device__device_type', 'virtual_machine__site')
        super().__init__(data, *args, **kwargs)
