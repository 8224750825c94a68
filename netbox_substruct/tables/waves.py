"""Tables of waves and their members."""

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from netbox.tables import NetBoxTable, PrimaryModelTable, columns
from utilities.string import humanize_duration

from ..models import Wave, WaveMember

__all__ = ('WaveMemberTable', 'WaveTable')

MACHINE = ('machine__device', 'machine__virtual_machine', 'build__machine__device', 'build__machine__virtual_machine')


class WaveTable(PrimaryModelTable):
    name = tables.Column(verbose_name=_('Name'), linkify=True)
    state = columns.ChoiceFieldColumn(verbose_name=_('State'))
    profile = tables.Column(verbose_name=_('Profile'), linkify=True)
    at_once = tables.Column(verbose_name=_('At once'))
    canaries = tables.Column(verbose_name=_('Canaries'))
    max_failures = tables.Column(verbose_name=_('Failures allowed'))
    not_before = columns.DateTimeColumn(verbose_name=_('Not before'))
    not_after = columns.DateTimeColumn(verbose_name=_('Not after'))
    days = columns.ArrayColumn(verbose_name=_('Days'))
    reserve = tables.Column(verbose_name=_('Time needed (minutes)'))
    reason = tables.Column(verbose_name=_('Reason'))
    requested_by = tables.Column(verbose_name=_('Requested by'), linkify=True)
    started = columns.DateTimeColumn(verbose_name=_('Started'))
    finished = columns.DateTimeColumn(verbose_name=_('Finished'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:wave_list')

    class Meta(PrimaryModelTable.Meta):
        model = Wave
        fields = (
            'pk', 'id', 'name', 'state', 'profile', 'at_once', 'canaries', 'max_failures', 'not_before', 'not_after',
            'daily_from', 'daily_until', 'days', 'time_zone', 'reserve', 'reason', 'requested_by', 'started',
            'finished', 'description', 'owner', 'owner_group', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'name', 'state', 'profile', 'at_once', 'requested_by', 'started', 'finished', 'reason',
        )  # fmt: skip


class WaveMemberTable(NetBoxTable):
    id = tables.Column(verbose_name=_('ID'), linkify=True)
    wave = tables.Column(verbose_name=_('Wave'), linkify=True)
    machine = tables.Column(
        verbose_name=_('Machine'), linkify=True, order_by=('machine__device__name', 'machine__virtual_machine__name')
    )
    order = tables.Column(verbose_name=_('Order'))
    override = tables.Column(verbose_name=_('Override'))
    state = columns.ChoiceFieldColumn(verbose_name=_('State'))
    reason = tables.Column(verbose_name=_('Reason'))
    build = tables.Column(verbose_name=_('Build'), linkify=True)
    duration = tables.Column(verbose_name=_('Duration'), orderable=False)
    attempts = tables.Column(verbose_name=_('Attempts'))
    excused = columns.BooleanColumn(verbose_name=_('Excused'))
    tags = columns.TagColumn(url_name='plugins:netbox_substruct:wavemember_list')

    class Meta(NetBoxTable.Meta):
        model = WaveMember
        fields = (
            'pk', 'id', 'wave', 'machine', 'order', 'override', 'state', 'reason', 'build', 'duration', 'attempts',
            'excused', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = ('pk', 'id', 'wave', 'machine', 'order', 'state', 'reason', 'build', 'duration')

    def __init__(self, data, *args, **kwargs):
        if hasattr(data, 'select_related'):
            data = data.select_related(*MACHINE).defer('build__request')
        super().__init__(data, *args, **kwargs)

    def render_duration(self, value):
        return humanize_duration(value)
