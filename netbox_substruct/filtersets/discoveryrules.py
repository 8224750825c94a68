"""Filter sets of discovery rules."""

from django.utils.translation import gettext_lazy as _

from dcim.models import DeviceRole, DeviceType, Site
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import MultiValueNumberFilter, TreeNodeMultipleChoiceFilter
from utilities.filtersets import register_filterset

from ..models import DiscoveryRule, Profile
from .finding import Searched, by_id, by_key

__all__ = ('DiscoveryRuleFilterSet',)


@register_filterset
class DiscoveryRuleFilterSet(Searched, PrimaryModelFilterSet):
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
    device_type_id = by_id(DeviceType, _('Device type (ID)'))
    device_type = by_key(DeviceType, 'device_type__slug', _('Device type (slug)'))
    site_id = by_id(Site, _('Site (ID)'))
    site = by_key(Site, 'site__slug', _('Site (slug)'))
    profile_id = by_id(Profile, _('Profile (ID)'))
    profile = by_key(Profile, 'profile__slug', _('Profile (slug)'))

    # Not "limit": that is the length of a page in the REST API.
    machine_limit = MultiValueNumberFilter(field_name='limit', label=_('Limit'))

    searched = ('name__icontains', 'host_name_template__icontains', 'description__icontains')

    class Meta:
        model = DiscoveryRule
        fields = (
            'id', 'name', 'enabled', 'priority', 'host_name_template', 'adopt_at_once', 'build_at_once', 'description',
        )  # fmt: skip
