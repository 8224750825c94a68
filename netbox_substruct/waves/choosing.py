"""Which machines a wave can build, and why not the others.  A fixed number of queries for any number of machines.

What is said here is what `lifecycle` would refuse: `lifecycle.guarding` and the table of its moves have the last
word when a build is requested.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..choices import MachineStateChoices as State
from ..lifecycle.guarding import guards
from ..lifecycle.states import MACHINE_MOVES

# What the name, the status and the profile of a machine are read from.
RELATED = ('device', 'virtual_machine', 'profile')


def obstacles(
    machines: Iterable[Any], *, profiled: bool = False, overrides: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Why these machines cannot be in a wave, by id; those that can be are left out.

    `profiled` says that the wave has a profile, so that the machines need none of their own.
    `overrides` are the names given for machines that are active or protected.
    """
    machines, overrides = list(machines), overrides or {}
    found = {}
    guarded = guards(machines)
    for machine in machines:
        # A machine that is being built can be built afterwards.
        if machine.state != State.STATE_BUILDING and State.STATE_BUILDING not in MACHINE_MOVES[machine.state]:
            found[machine.pk] = _('{machine} is {state} and cannot be built; register it first.').format(
                machine=machine, state=machine.get_state_display().lower()
            )
        elif not profiled and machine.profile_id is None:
            found[machine.pk] = _('{machine} has no profile; choose one first.').format(machine=machine)
        elif machine.pk in guarded and overrides.get(machine.pk, '') != machine.name:
            found[machine.pk] = _('{reason}; its exact name as the override lets it be built.').format(
                reason=guarded[machine.pk]
            )
    return found
