"""Filter sets of waves and their members."""

import django_filters
from django.utils.translation import gettext_lazy as _

from dcim.models import Rack
from netbox.filtersets import PrimaryModelFilterSet
from users.models import User
from utilities.filters import MultiValueTimeFilter
from utilities.filtersets import register_filterset

from ..choices import WaveMemberStateChoices, WaveStateChoices
from ..models import Build, Machine, Profile, Wave, WaveMember
from .fields import MultiValueMemberFilter, MultiValueTimeZoneFilter
from .finding import OfMachine, Searched, by_id, by_key, machine_names, one_of

__all__ = ('WaveFilterSet', 'WaveMemberFilterSet')


@register_filterset
class WaveFilterSet(Searched, PrimaryModelFilterSet):
    profile_id = by_id(Profile, _('Profile (ID)'))
    profile = by_key(Profile, 'profile__slug', _('Profile (slug)'))
    requested_by_id = by_id(User, _('Requested by (ID)'))
    requested_by = by_key(User, 'requested_by__username', _('Requested by (user name)'))
    machine_id = django_filters.ModelMultipleChoiceFilter(
        field_name='members__machine', queryset=Machine.objects.all(), label=_('Machine (ID)')
    )
    state = one_of(WaveStateChoices)
    days = MultiValueMemberFilter(label=_('Day'))
    daily_from = MultiValueTimeFilter()
    daily_until = MultiValueTimeFilter()
    time_zone = MultiValueTimeZoneFilter()

    searched = ('name__icontains', 'reason__icontains', 'description__icontains', 'comments__icontains')

    class Meta:
        model = Wave
        fields = (
            'id', 'name', 'at_once', 'canaries', 'max_failures', 'not_before', 'not_after', 'reserve', 'reason',
            'started', 'finished', 'description',
        )  # fmt: skip


@register_filterset
class WaveMemberFilterSet(Searched, OfMachine):
    wave_id = by_id(Wave, _('Wave (ID)'))
    wave = by_key(Wave, 'wave__name', _('Wave (name)'))
    rack_id = by_id(Rack, _('Rack (ID)'), field_name='machine__device__rack')
    build_id = by_id(Build, _('Build (ID)'))
    state = one_of(WaveMemberStateChoices)

    searched = ('wave__name__icontains', *machine_names('machine__'), 'reason__icontains')

    class Meta:
        model = WaveMember
        fields = ('id', 'order', 'override', 'reason', 'attempts', 'excused')
