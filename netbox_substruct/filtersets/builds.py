"""Filter sets of builds, their artifacts and their events."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from netbox.filtersets import NetBoxModelFilterSet
from users.models import User
from utilities.filters import MultiValueNumberFilter
from utilities.filtersets import register_filterset

from ..choices import ArtifactKindChoices, BuildEventKindChoices, BuildStateChoices
from ..lifecycle.states import BUILD_ACTIVE
from ..models import Build, BuildArtifact, BuildEvent, Machine, Profile
from .finding import OfMachine, Searched, by_id, by_key, machine_names, one_of

__all__ = (
    'BuildArtifactFilterSet',
    'BuildEventFilterSet',
    'BuildFilterSet',
)


@register_filterset
class BuildFilterSet(Searched, OfMachine):
    profile_id = by_id(Profile, _('Profile (ID)'))
    profile = by_key(Profile, 'profile__slug', _('Profile (slug)'))
    requested_by_id = by_id(User, _('Requested by (ID)'))
    requested_by = by_key(User, 'requested_by__username', _('Requested by (user name)'))
    state = one_of(BuildStateChoices)
    active = django_filters.BooleanFilter(method='by_active', label=_('Pending or under way'))

    searched = (
        *machine_names('machine__'),
        'profile__name__icontains',
        'error__icontains',
        'description__icontains',
        'comments__icontains',
    )

    class Meta:
        model = Build
        fields = ('id', 'progress', 'started', 'finished', 'error', 'description')

    def by_active(self, queryset, name, value):
        active = Q(state__in=BUILD_ACTIVE)
        return queryset.filter(active) if value else queryset.exclude(active)


class OfBuild(NetBoxModelFilterSet):
    """What records of a build are found by."""

    build_id = by_id(Build, _('Build (ID)'))
    machine_id = by_id(Machine, _('Machine (ID)'), field_name='build__machine')


@register_filterset
class BuildArtifactFilterSet(Searched, OfBuild):
    kind = one_of(ArtifactKindChoices)

    searched = ('name__icontains', 'template_name__icontains', 'sha256__istartswith')

    class Meta:
        model = BuildArtifact
        fields = ('id', 'name', 'sha256', 'template_name')


@register_filterset
class BuildEventFilterSet(Searched, OfBuild):
    kind = one_of(BuildEventKindChoices)
    progress = MultiValueNumberFilter()

    searched = ('message__icontains', 'log__icontains')

    class Meta:
        model = BuildEvent
        fields = ('id', 'time', 'message', 'progress', 'log', 'key')
