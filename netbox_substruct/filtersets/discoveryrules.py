"""Filter sets of discovery rules."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import DeviceRole, DeviceType, Site
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import MultiValueNumberFilter, TreeNodeMultipleChoiceFilter
from utilities.filtersets import register_filterset

from ..models import DiscoveryRule, Profile

__all__ = ('DiscoveryRuleFilterSet',)


@register_filterset
class DiscoveryRuleFilterSet(PrimaryModelFilterSet):
    role_id = TreeNodeMultipleChoiceFilter(
        field_name='role', queryset=DeviceRole.objects.all(), lookup_expr='in', label=_('Role (ID)')
    )
    role = TreeNodeMultipleChoiceFilter(
        field_name='role',
        queryset=DeviceRole.objects.all(),
        lookup_expr='in',
        to_field_name='slug',
        label=_('Role (slug)'),
    )
    device_type_id = django_filters.ModelMultipleChoiceFilter(
        queryset=DeviceType.objects.all(), distinct=False, label=_('Device type (ID)')
    )
    device_type = django_filters.ModelMultipleChoiceFilter(
        field_name='device_type__slug',
        queryset=DeviceType.objects.all(),
        distinct=False,
        to_field_name='slug',
        label=_('Device type (slug)'),
    )
    site_id = django_filters.ModelMultipleChoiceFilter(
        queryset=Site.objects.all(), distinct=False, label=_('Site (ID)')
    )
    site = django_filters.ModelMultipleChoiceFilter(
        field_name='site__slug',
        queryset=Site.objects.all(),
        distinct=False,
        to_field_name='slug',
        label=_('Site (slug)'),
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

    # Not "limit": that is the length of a page in the REST API.
    machine_limit = MultiValueNumberFilter(field_name='limit', label=_('Limit'))

    class Meta:
        model = DiscoveryRule
        fields = (
            'id', 'name', 'enabled', 'priority', 'host_name_template', 'adopt_at_once', 'build_at_once', 'description',
        )  # fmt: skip

    def search(self, queryset, name, value):
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(name__icontains=value) | Q(host_name_template__icontains=value) | Q(description__icontains=value)
        )
