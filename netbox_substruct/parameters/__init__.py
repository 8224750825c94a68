"""The parameters of a machine: where they come from, in which order, and whether they are right.

The order, nearest last and winning:
  1. the profile chain, from the furthest ancestor down to the profile itself
  2. NetBox's config contexts for the device or virtual machine, by weight and then name, as NetBox merges them
  3. the device's own local context data
  4. the machine's own parameters

`merging` and `checking` are pure; this module reads the models.
"""

from typing import Any

from .checking import ParameterError, Violation, violations
from .merging import Entry, Layer, Parameters, Source, merge

__all__ = ('Entry', 'ParameterError', 'Parameters', 'Source', 'Violation', 'check', 'merge', 'resolve')


def resolve(machine: Any, profile: Any = None) -> Parameters:
    """The parameters of a machine, as if it had the given profile; its own profile if none is given."""
    return merge(layers(machine, profile))


def layers(machine: Any, profile: Any = None) -> list[Layer]:
    """What is merged, furthest first."""
    from extras.models import ConfigContext

    profile = profile or machine.profile
    found: list[Layer] = []
    if profile is not None:
        for each in reversed(profile.chain):
            found.append((Source('profile', each.name, each.pk, each.get_absolute_url()), each.parameters))
    obj = machine.object
    if obj is not None:
        for context in ConfigContext.objects.get_for_object(obj):
            found.append((Source('config-context', context.name, context.pk, context.get_absolute_url()), context.data))
        if obj.local_context_data:
            found.append((Source('local-context', str(obj), obj.pk, obj.get_absolute_url()), obj.local_context_data))
    if machine.parameters:
        found.append((Source('machine', str(machine), machine.pk, machine.get_absolute_url()), machine.parameters))
    return found


def check(parameters: Parameters, profile: Any) -> None:
    """Raises ParameterError with every violation of the schemas of the profile and of all profiles above it.

    All of them hold: a profile can ask for more than its parent, and can never allow what its parent forbids.
    """
    if profile is None:
        return
    schemas = [(each.name, each.parameter_schema) for each in profile.chain if each.parameter_schema is not None]
    if found := violations(parameters.values, schemas):
        raise ParameterError(found)
