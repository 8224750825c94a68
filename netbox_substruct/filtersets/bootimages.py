"""Filter sets of boot images."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Platform
from netbox.filtersets import PrimaryModelFilterSet
from utilities.filters import TreeNodeMultipleChoiceFilter
from utilities.filtersets import register_filterset

from ..choices import ArchitectureChoices, BootMethodChoices
from ..models import BootImage

__all__ = ('BootImageFilterSet',)


@register_filterset
class BootImageFilterSet(PrimaryModelFilterSet):
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
    architecture = django_filters.MultipleChoiceFilter(choices=ArchitectureChoices, distinct=False)
    method = django_filters.MultipleChoiceFilter(choices=BootMethodChoices, distinct=False)

    class Meta:
        model = BootImage
        fields = (
            'id', 'name', 'kernel_url', 'kernel_sha256', 'arguments', 'disk_image_url', 'disk_image_sha256',
            'description',
        )  # fmt: skip

    def search(self, queryset, name, value):
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(name__icontains=value)
            | Q(kernel_url__icontains=value)
            | Q(disk_image_url__icontains=value)
            | Q(description__icontains=value)
        )
