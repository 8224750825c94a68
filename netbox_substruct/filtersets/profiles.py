"""Filter sets of profiles and their templates."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.choices import DeviceStatusChoices
from extras.models import ConfigTemplate
from netbox.filtersets import NetBoxModelFilterSet, PrimaryModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import ArtifactKindChoices, BuiltAddressChoices, BuiltDNSNameChoices, HandoffChoices
from ..models import BootImage, Profile, ProfileTemplate

__all__ = ('ProfileFilterSet', 'ProfileTemplateFilterSet')


@register_filterset
class ProfileFilterSet(PrimaryModelFilterSet):
    parent_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Profile.objects.all(), distinct=False, label=_('Parent (ID)')
    )
    parent = django_filters.ModelMultipleChoiceFilter(
        field_name='parent__slug',
        queryset=Profile.objects.all(),
        distinct=False,
        to_field_name='slug',
        label=_('Parent (slug)'),
    )
    boot_image_id = django_filters.ModelMultipleChoiceFilter(
        queryset=BootImage.objects.all(), distinct=False, label=_('Boot image (ID)')
    )
    boot_image = django_filters.ModelMultipleChoiceFilter(
        field_name='boot_image__name',
        queryset=BootImage.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Boot image (name)'),
    )
    handoff = django_filters.MultipleChoiceFilter(choices=HandoffChoices, distinct=False)
    built_status = django_filters.MultipleChoiceFilter(choices=DeviceStatusChoices, distinct=False)
    built_address = django_filters.MultipleChoiceFilter(choices=BuiltAddressChoices, distinct=False)
    built_dns_name = django_filters.MultipleChoiceFilter(choices=BuiltDNSNameChoices, distinct=False)

    class Meta:
        model = Profile
        fields = ('id', 'name', 'slug', 'pending_limit', 'stall_limit', 'description')

    def search(self, queryset, name, value):
        if not value.strip():
            return queryset
        return queryset.filter(Q(name__icontains=value) | Q(slug__icontains=value) | Q(description__icontains=value))


@register_filterset
class ProfileTemplateFilterSet(NetBoxModelFilterSet):
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
    boot_image_id = django_filters.ModelMultipleChoiceFilter(
        queryset=BootImage.objects.all(), distinct=False, label=_('Boot image (ID)')
    )
    boot_image = django_filters.ModelMultipleChoiceFilter(
        field_name='boot_image__name',
        queryset=BootImage.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Boot image (name)'),
    )
    kind = django_filters.MultipleChoiceFilter(choices=ArtifactKindChoices, distinct=False)
    config_template_id = django_filters.ModelMultipleChoiceFilter(
        queryset=ConfigTemplate.objects.all(), distinct=False, label=_('Config template (ID)')
    )
    config_template = django_filters.ModelMultipleChoiceFilter(
        field_name='config_template__name',
        queryset=ConfigTemplate.objects.all(),
        distinct=False,
        to_field_name='name',
        label=_('Config template (name)'),
    )

    class Meta:
        model = ProfileTemplate
        fields = ('id',)

    def search(self, queryset, name, value):
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(profile__name__icontains=value)
            | Q(boot_image__name__icontains=value)
            | Q(config_template__name__icontains=value)
        )
