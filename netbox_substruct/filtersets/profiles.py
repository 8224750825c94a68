"""Filter sets of profiles and their templates."""

from django.utils.translation import gettext_lazy as _

from dcim.choices import DeviceStatusChoices
from extras.models import ConfigTemplate
from netbox.filtersets import NetBoxModelFilterSet, PrimaryModelFilterSet
from utilities.filtersets import register_filterset

from ..choices import ArtifactKindChoices, BuiltAddressChoices, BuiltDNSNameChoices, HandoffChoices
from ..models import BootImage, Profile, ProfileTemplate
from .finding import Searched, by_id, by_key, one_of

__all__ = ('ProfileFilterSet', 'ProfileTemplateFilterSet')


@register_filterset
class ProfileFilterSet(Searched, PrimaryModelFilterSet):
    parent_id = by_id(Profile, _('Parent (ID)'))
    parent = by_key(Profile, 'parent__slug', _('Parent (slug)'))
    boot_image_id = by_id(BootImage, _('Boot image (ID)'))
    boot_image = by_key(BootImage, 'boot_image__name', _('Boot image (name)'))
    handoff = one_of(HandoffChoices)
    built_status = one_of(DeviceStatusChoices)
    built_address = one_of(BuiltAddressChoices)
    built_dns_name = one_of(BuiltDNSNameChoices)

    searched = ('name__icontains', 'slug__icontains', 'description__icontains')

    class Meta:
        model = Profile
        fields = ('id', 'name', 'slug', 'pending_limit', 'stall_limit', 'description')


@register_filterset
class ProfileTemplateFilterSet(Searched, NetBoxModelFilterSet):
    profile_id = by_id(Profile, _('Profile (ID)'))
    profile = by_key(Profile, 'profile__slug', _('Profile (slug)'))
    boot_image_id = by_id(BootImage, _('Boot image (ID)'))
    boot_image = by_key(BootImage, 'boot_image__name', _('Boot image (name)'))
    kind = one_of(ArtifactKindChoices)
    config_template_id = by_id(ConfigTemplate, _('Config template (ID)'))
    config_template = by_key(ConfigTemplate, 'config_template__name', _('Config template (name)'))

    searched = ('profile__name__icontains', 'boot_image__name__icontains', 'config_template__name__icontains')

    class Meta:
        model = ProfileTemplate
        fields = ('id',)
