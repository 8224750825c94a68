"""Branches of netbox-branching: what is planned in one acts when it is merged, and not before.

Devices, addresses, profiles, subnets can be planned in a branch like anything else: feeds are read from the main
schema, so no boot server hears of it.  Machines and builds are not moved in a branch: a real computer would do what
only one branch knows of.
"""

from typing import Any

from django.apps import apps
from django.utils.translation import gettext as _

from .errors import NotAllowed


def active() -> Any:
    """The branch that is active, or None; None without netbox-branching."""
    if not apps.is_installed('netbox_branching'):
        return None
    from netbox_branching.contextvars import active_branch

    return active_branch.get()


def refuse() -> None:
    """Raises NotAllowed while a branch is active."""
    if (branch := active()) is not None:
        raise NotAllowed(
            _('The branch {branch} is active: machines and builds are moved outside of branches only. Merge it, or '
              'leave it, first.').format(branch=branch)
        )  # fmt: skip
