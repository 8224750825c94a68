"""Filter sets of boot images."""

from django.utils.translation import gettext_lazy as _

from dcim.models import Platform
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import TreeNodeMultipleChoiceFilter
from utilities.filtersets import register_filterset

from ..choices import ArchitectureChoices, BootMethodChoices
from ..models import BootImage
from .finding import Searched, one_of

__all__ = ('BootImageFilterSet',)


@register_filterset
class BootImageFilterSet(Searched, PrimaryModelFilterSet):
    platform_id = TreeNodeMultipleChoiceFilter(
        field_name='platform', queryset=Platform.objects.all(), lookup_expr='in', label=_('Platform (ID)')
    )
    platform = TreeNodeMultipleChoiceFilter(
        field_name='platform',
        queryset=Platform.objects.all(),
        lookup_expr='in',
        to_field_name='slug',
        label=_('Platform (slug)'),
    )
    architecture = one_of(ArchitectureChoices)
    method = one_of(BootMethodChoices)

    searched = ('name__icontains', 'kernel_url__icontains', 'disk_image_url__icontains', 'description__icontains')

    class Meta:
        model = BootImage
        fields = (
            'id', 'name', 'kernel_url', 'kernel_sha256', 'arguments', 'disk_image_url', 'disk_image_sha256',
            'description',
        )  # fmt: skip
