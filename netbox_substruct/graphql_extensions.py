"""What Substruct adds to the GraphQL types and filters of devices and virtual machines.

NetBox loads this while plugins come up, when its own GraphQL modules must not have been imported yet: so types are
named lazily here, and the plugin's package `graphql` is not imported either.
"""

from typing import Annotated, Any

import strawberry
import strawberry_django
from django.db.models import Q
from strawberry.types import Info

from .models import Machine

MODELS = ('dcim.device', 'virtualization.virtualmachine')


@strawberry.type
class MachineOf:
    """`substruct_machine`: the machine that a device or virtual machine is; null if it is none, or may not be seen."""

    models = MODELS

    # Without a resolver of its own NetBox restricts it, and reads what is asked of it for all rows at once.
    substruct_machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None = (  # type: ignore[name-defined] # noqa: F821
        strawberry_django.field()
    )


@strawberry.type
class MachineFilters:
    """Filters by what the user may view of machines."""

    models = MODELS

    @strawberry_django.filter_field()
    def substruct_state(self, value: list[str], prefix: str, info: Info) -> Q:
        return _by(info, prefix, state__in=value)

    @strawberry_django.filter_field()
    def substruct_profile_id(self, value: list[strawberry.ID], prefix: str, info: Info) -> Q:
        return _by(info, prefix, profile_id__in=value)

    @strawberry_django.filter_field()
    def substruct_registered(self, value: bool, prefix: str, info: Info) -> Q:
        found = _by(info, prefix)
        return found if value else ~found


def _by(info: Info, prefix: str, **conditions: Any) -> Q:
    visible = Machine.objects.restrict(info.context.request.user, 'view').filter(**conditions)
    return Q(**{f'{prefix}substruct_machine__in': visible})


type_extensions = [MachineOf]
filter_extensions = [MachineFilters]
