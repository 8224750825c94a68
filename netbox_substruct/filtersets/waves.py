"""Filter sets of waves and their members."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device, Rack, Site
from netbox.filtersets import NetBoxModelFilterSet, PrimaryModelFilterSet
from users.models import User
from utilities.filters import MultiValueTimeFilter
from utilities.filtersets import register_filterset
from virtualization.models import VirtualMachine

from ..choices import WaveMemberStateChoices, WaveStateChoices
from ..models import Build, Machine, Profile, Wave, WaveMember
from .fields import MultiValueMemberFilter, MultiValueTimeZoneFilter

__all__ = ('WaveFilterSet', 'WaveMemberFilterSet')


@register_filterset
class WaveFilterSet(PrimaryModelFilterSet):
    profile_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Profile.objects.all(), distinct=False, label=_('Profile (ID)')
    )
    profile = django_filters.ModelMultipleChoiceFilter(
        field_name='profile__slug',
        queryset=Profile.objects.all(),
        distinct=False,
        to_field_name='slug',
        label=_('Profile (slug)'),
    )
    requested_by_id = django_filters.ModelMultipleChoiceFilter(
        queryset=User.objects.all(), distinct=False, label=_('Requested by (ID)')
    )
    requested_by = django_filters.ModelMultipleChoiceFilter(
        field_name='requested_by__username',
        queryset=User.objects.all(),
        distinct=False,
        to_field_name='username',
        label=_('Requested by (user name)'),
    )
    machine_id = django_filters.ModelMultipleChoiceFilter(
        field_name='members__machine', queryset=Machine.objects.all(), label=_('Machine (ID)')
    )
    state = django_filters.MultipleChoiceFilter(choices=WaveStateChoices, distinct=False)
    days = MultiValueMemberFilter(label=_('Day'))
    daily_from = MultiValueTimeFilter()
    daily_until = MultiValueTimeFilter()
    time_zone = MultiValueTimeZoneFilter()

    class Meta:
        model = Wave
        fields = (
            'id', 'name', 'at_once', 'canaries', 'max_failures', 'not_before', 'not_after', 'reserve', 'reason',
            'started', 'finished', 'description',
        )  # fmt: skip

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(name__icontains=value)
            | Q(reason__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )


@register_filterset
class WaveMemberFilterSet(NetBoxModelFilterSet):
    wave_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Wave.objects.all(), distinct=False, label=_('Wave (ID)')
    )
    wave = django_filters.ModelMultipleChoiceFilter(
        field_name='wave__name',
        queryset=Wave.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Wave (name)'),
    )
    machine_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Machine.objects.all(), distinct=False, label=_('Machine (ID)')
    )
    device_id = django_filters.ModelMultipleChoiceFilter(
        field_name='machine__device', queryset=Device.objects.all(), distinct=False, label=_('Device (ID)')
    )
    virtual_machine_id = django_filters.ModelMultipleChoiceFilter(
        field_name='machine__virtual_machine',
        queryset=VirtualMachine.objects.all(),
        distinct=False,
        label=_('Virtual machine (ID)'),
    )
    site_id = django_filters.ModelMultipleChoiceFilter(
        field_name='machine__device__site',
        queryset=Site.objects.all(),
        distinct=False,
        method='by_site',
        label=_('Site (ID)'),
    )
    rack_id = django_filters.ModelMultipleChoiceFilter(
        field_name='machine__device__rack', queryset=Rack.objects.all(), distinct=False, label=_('Rack (ID)')
    )
    build_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Build.objects.all(), distinct=False, label=_('Build (ID)')
    )
    state = django_filters.MultipleChoiceFilter(choices=WaveMemberStateChoices, distinct=False)

    class Meta:
        model = WaveMember
        fields = ('id', 'order', 'override', 'reason', 'attempts', 'excused')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(wave__name__icontains=value)
            | Q(machine__device__name__icontains=value)
            | Q(machine__virtual_machine__name__icontains=value)
            | Q(machine__discovered_name__icontains=value)
            | Q(reason__icontains=value)
        )

    def by_site(self, queryset, name, value):
        if not value:
            return queryset
        return queryset.filter(Q(machine__device__site__in=value) | Q(machine__virtual_machine__site__in=value))
