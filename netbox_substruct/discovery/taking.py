"""What happens when facts arrive: the machine is found or made, filled in, and the facts are kept."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ..identity import Identity
from . import facts as facts_
from .finding import Contradictory, confirm, fill, find_or_discover
from .keeping import keep


def take(
    machine: Any,
    identity: Identity,
    *,
    source: str,
    collected: datetime,
    format_version: int,
    data: dict[str, Any],
) -> Any:
    """The Machine that the facts are about: `machine`, or whoever has this identity.  Call it in a transaction.

    Raises Contradictory or NoIdentity (`finding`), or ValidationError; then nothing has been kept.
    """
    found = facts_.read(data, format_version).facts
    if machine is None:
        machine = find_or_discover(identity, found)
    else:
        confirm(machine, identity)
        machine = fill(machine, identity, found)
    keep(machine, source=source, collected=collected, format_version=format_version, data=data)
    if machine.discovery_problem:
        note([machine.pk], '')
    return machine


def note(machine_ids: Collection[int], problem: str) -> None:
    """Write down why discovery could not go on with machines; '' once it can.  No change that somebody made."""
    from ..models import Machine

    Machine.objects.filter(pk__in=machine_ids).update(discovery_problem=problem)


def contradicted(error: Contradictory, identity: Identity) -> None:
    """Facts were refused because they could be those of several machines: let each of them show it."""
    said = [
        *([f'UUID {identity.uuid}'] if identity.uuid else []),
        *([_('serial number {serial}').format(serial=identity.serial)] if identity.serial else []),
        *identity.macs[:8],
    ]
    words = _('Facts of a machine that says {identity} were refused. {reason}').format(
        identity=', '.join(said), reason=error
    )
    note(error.machines, words)
