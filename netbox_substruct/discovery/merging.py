"""Two machines that turned out to be one: what is known of the one goes to the other, and the one goes."""

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils.translation import gettext as _

from ..lifecycle.errors import NotAllowed

# What the machine that stays takes over where it has nothing itself.
TAKEN_OVER = (
    'uuid',
    'serial',
    'firmware',
    'boot_mac',
    'profile',
    'boot_server',
    'parameters',
    'description',
    'comments',
)


def merge(machine: Any, into: Any) -> Any:
    """Make a discovered machine one with a registered one; the registered one stays.  Call it in a transaction.

    Its facts, its history (journal, tasks), its tags and its BMC move.  Raises NotAllowed if the one is not merely
    discovered.
    """
    from extras.models import JournalEntry

    from ..lifecycle import machines
    from ..models import BMC, FactSet, Machine, Task

    if machine.object is not None or machine.builds.exists():
        raise NotAllowed(
            _('{machine} is a device or virtual machine, or has been built: only a discovered machine can be merged '
              'into another.').format(machine=machine)
        )  # fmt: skip
    # As it stands now, and held: all its fields are saved below, and a build may be moving it.
    into = machines.lock(into.pk)
    into.snapshot()
    # First: NetBox reads the machine again whenever its tags change.
    into.tags.add(*machine.tags.all())
    # Where the device or virtual machine has a serial number, the machine needs none of its own.
    said = bool(into.object is not None and into.object.serial)
    for name in TAKEN_OVER:
        if name == 'serial' and said:
            continue
        if not getattr(into, name) and (value := getattr(machine, name)):
            setattr(into, name, value)
    FactSet.objects.filter(machine=machine).update(machine=into)
    Task.objects.filter(machine=machine).update(machine=into)
    kind = ContentType.objects.get_for_model(Machine)
    JournalEntry.objects.filter(assigned_object_type=kind, assigned_object_id=machine.pk).update(
        assigned_object_id=into.pk
    )
    if not BMC.objects.filter(machine=into).exists():
        BMC.objects.filter(machine=machine).update(machine=into)
    seen = [each for each in (into.last_seen, machine.last_seen) if each is not None]
    into.last_seen = max(seen, default=None)
    with connection.cursor() as cursor:
        # A boot server that has spoken for the one may speak for the other.
        cursor.execute(
            'UPDATE netbox_substruct_received SET machine_id = %s WHERE machine_id = %s', [into.pk, machine.pk]
        )
    machine.refresh_from_db()
    machine.snapshot()
    machine.delete()
    into.discovery_problem = ''
    into.full_clean()
    into.save()
    return into
