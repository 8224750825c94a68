"""What filter sets share: objects are found by related ones, by a choice, and by a word in any of some fields."""

from typing import Any

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dcim.models import Device, Site
from netbox.filtersets import NetBoxModelFilterSet
from virtualization.models import VirtualMachine

from ..models import Machine

__all__ = ('OfMachine', 'Searched', 'by_id', 'by_key', 'machine_names', 'of_either', 'one_of')


def by_id(model: Any, label: Any, **more: Any) -> Any:
    """By the ids of related objects, of which each row has one at most; so rows need not be made distinct."""
    return django_filters.ModelMultipleChoiceFilter(queryset=model.objects.all(), distinct=False, label=label, **more)


def by_key(model: Any, path: str, label: Any, **more: Any) -> Any:
    """The same by another field that is unique: `boot_server__name`, `profile__slug`."""
    return by_id(model, label, field_name=path, to_field_name=path.rpartition('__')[2], **more)


def one_of(choices: Any) -> Any:
    return django_filters.MultipleChoiceFilter(choices=choices, distinct=False)


def machine_names(path: str = '') -> tuple[str, ...]:
    """For `Searched.searched`: all that the name of a machine is read from, where `path` leads to the machine."""
    names = ('device__name', 'virtual_machine__name', 'discovered_name')
    return tuple(f'{path}{name}__icontains' for name in names)


def of_either(queryset: Any, name: str, values: Any, path: str = '') -> Any:
    """Those whose device or virtual machine has one of the values in a field that both have."""
    if not values:
        return queryset
    return queryset.filter(
        Q(**{f'{path}device__{name}__in': values}) | Q(**{f'{path}virtual_machine__{name}__in': values})
    )


class Searched:
    """The search box: `searched` are lookups of which one has to hold for the text."""

    searched: tuple[str, ...] = ()

    def search(self, queryset: Any, name: str, value: str) -> Any:
        value = value.strip()
        return queryset.filter(self.sought(value)) if value else queryset

    def sought(self, value: str) -> Q:
        found = Q()
        for lookup in self.searched:
            found |= Q(**{lookup: value})
        return found


class OfMachine(NetBoxModelFilterSet):
    """For models whose objects belong to a machine each, by the field `machine`."""

    machine_id = by_id(Machine, _('Machine (ID)'))
    device_id = by_id(Device, _('Device (ID)'), field_name='machine__device')
    virtual_machine_id = by_id(VirtualMachine, _('Virtual machine (ID)'), field_name='machine__virtual_machine')
    # A method filters; the name of the field only tells the OpenAPI schema of its type.
    site_id = by_id(Site, _('Site (ID)'), field_name='machine__device__site', method='by_site')

    def by_site(self, queryset: Any, name: str, value: Any) -> Any:
        return of_either(queryset, 'site', value, 'machine__')
