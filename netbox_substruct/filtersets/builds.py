"""Filter sets of builds, their artifacts and their events."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device, Site
from netbox.filtersets import NetBoxModelFilterSet
from users.models import User
from utilities.filters import MultiValueNumberFilter
from utilities.filtersets import register_filterset
from virtualization.models import VirtualMachine

from ..choices import ArtifactKindChoices, BuildEventKindChoices, BuildStateChoices
from ..lifecycle.states import BUILD_ACTIVE
from ..models import Build, BuildArtifact, BuildEvent, Machine, Profile

__all__ = (
    'BuildArtifactFilterSet',
    'BuildEventFilterSet',
    'BuildFilterSet',
)


@register_filterset
class BuildFilterSet(NetBoxModelFilterSet):
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
    state = django_filters.MultipleChoiceFilter(choices=BuildStateChoices, distinct=False)
    active = django_filters.BooleanFilter(method='by_active', label=_('Pending or under way'))

    class Meta:
        model = Build
        fields = ('id', 'progress', 'started', 'finished', 'error', 'description')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(machine__device__name__icontains=value)
            | Q(machine__virtual_machine__name__icontains=value)
            | Q(machine__discovered_name__icontains=value)
            | Q(profile__name__icontains=value)
            | Q(error__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )

    def by_site(self, queryset, name, value):
        if not value:
            return queryset
        return queryset.filter(Q(machine__device__site__in=value) | Q(machine__virtual_machine__site__in=value))

    def by_active(self, queryset, name, value):
        active = Q(state__in=BUILD_ACTIVE)
        return queryset.filter(active) if value else queryset.exclude(active)


class OfBuild(NetBoxModelFilterSet):
    """What records of a build are found by."""

    build_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Build.objects.all(), distinct=False, label=_('Build (ID)')
    )
    machine_id = django_filters.ModelMultipleChoiceFilter(
        field_name='build__machine', queryset=Machine.objects.all(), distinct=False, label=_('Machine (ID)')
    )


@register_filterset
class BuildArtifactFilterSet(OfBuild):
    kind = django_filters.MultipleChoiceFilter(choices=ArtifactKindChoices, distinct=False)

    class Meta:
        model = BuildArtifact
        fields = ('id', 'name', 'sha256', 'template_name')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(
            Q(name__icontains=value) | Q(template_name__icontains=value) | Q(sha256__istartswith=value)
        )


@register_filterset
class BuildEventFilterSet(OfBuild):
    kind = django_filters.MultipleChoiceFilter(choices=BuildEventKindChoices, distinct=False)
    progress = MultiValueNumberFilter()

    class Meta:
        model = BuildEvent
        fields = ('id', 'time', 'message', 'progress', 'log', 'key')

    def search(self, queryset, name, value):
        value = value.strip()
        if not value:
            return queryset
        return queryset.filter(Q(message__icontains=value) | Q(log__icontains=value))
