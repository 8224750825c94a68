"""Asking again for what a build that did not succeed was to do."""

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from ..choices import BuildStateChoices as State
from . import builds
from .errors import LifecycleError, NotAllowed

if TYPE_CHECKING:
    from ..models import Build

# How a build ended that is worth another attempt.
RETRIED = frozenset({State.STATE_FAILED, State.STATE_CANCELLED, State.STATE_STALLED})


def refusal(build: 'Build', later: int | None) -> LifecycleError | None:
    """Why a build is not tried again; None if it may be.  `later` is the number of a later build of its machine."""
    if build.state not in RETRIED:
        return NotAllowed(
            _('Build #{build} of {machine} is {state}; only one that failed, stalled or was cancelled is tried again.')
            .format(build=build.pk, machine=build.machine, state=build.get_state_display().lower())
        )  # fmt: skip
    if later is not None:
        return NotAllowed(
            _('Build #{later} of {machine} came after build #{build}; look at that one, or request a new build.')
            .format(later=later, machine=build.machine, build=build.pk)
        )  # fmt: skip
    return None


def later_than(build: 'Build') -> int | None:
    """The newest build of the same machine, if it is a later one."""
    newest = build.machine.builds.order_by('-pk').values_list('pk', flat=True).first()
    return newest if newest is not None and newest > build.pk else None


def retry(build: 'Build', *, user: Any = None, override: str = '', description: str = '') -> 'Build':
    """Request a build again: of the same machine, with the same profile.  Permission: build on the machine.

    Everything else is as it is now: parameters, templates and boot image are read and rendered anew.  The profile is
    the machine's own where that of the build was deleted.  Raises NotAllowed if the build has not failed, stalled or
    been cancelled, or is not the last of its machine; and what `builds.request` raises.
    """
    if error := refusal(build, later_than(build)):
        raise error
    return builds.request(
        build.machine,
        user=user,
        profile=build.profile,
        override=override,
        description=description or build.description,
        origin={'retry_of': build.pk},
    )
