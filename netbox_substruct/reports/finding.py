"""Which machine it is that says what it is.

Every identifier that identifies something is looked up: the UUID in both byte orders, the serial number, the MAC
addresses.  If they lead to one machine it is that one; if they contradict each other nobody guesses.
"""

from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from ..identity import Identity, clean_uuid, swapped_uuid
from ..lifecycle.errors import LifecycleError


class Contradictory(LifecycleError):
    """Identifiers of one machine lead to several, or to one that is known to be another."""

    code = 'contradictory'


class NoIdentity(LifecycleError):
    """Nothing that it said identifies a machine."""

    code = 'no-identity'


def find(identity: Identity) -> Any:
    """The Machine with this identity, or None.  Raises Contradictory."""
    from ..models import Machine

    found: dict[int, tuple[Any, dict[str, None]]] = {}
    for words, condition in _conditions(identity):
        for machine in Machine.objects.filter(condition).select_related('device', 'virtual_machine')[:3]:
            found.setdefault(machine.pk, (machine, {}))[1][words] = None
    if len(found) > 1:
        raise Contradictory(
            _('It could be any of these: {machines}. Correct the wrong ones in NetBox.').format(
                machines='; '.join(
                    f'{machine} ({", ".join(reasons)})' for machine, reasons in (found[key] for key in sorted(found))
                )
            )
        )
    if not found:
        return None
    ((machine, reasons),) = found.values()
    known = clean_uuid(str(machine.uuid)) if machine.uuid else None
    if known and identity.uuid and not identity.has_uuid(known):
        raise Contradictory(
            _('It is {machine} by its {reasons}, but has the UUID {uuid}, and {machine} has {known}. If its board was '
              'replaced, correct the UUID in NetBox.').format(
                machine=machine, reasons=', '.join(reasons), uuid=identity.uuid, known=known
            )
        )  # fmt: skip
    return machine


def find_or_discover(identity: Identity) -> Any:
    """The Machine with this identity, a discovered one if there was none.  Call it in a transaction.

    Raises Contradictory, or NoIdentity if there is nothing to tell it by.
    """
    from ..models import Machine

    if not identity:
        raise NoIdentity(_('It said no MAC address, UUID or serial number by which it could be told from others.'))
    with connection.cursor() as cursor:
        # Two boot servers may hear of one new machine at once.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('netbox_substruct.discovery', 0))")
    machine = find(identity)
    if machine is None:
        machine = Machine(
            uuid=identity.uuid, serial=identity.serial or '', boot_mac=identity.macs[0] if identity.macs else None
        )
        machine.full_clean()
        machine.save()
    elif machine.uuid is None and identity.uuid:
        machine.snapshot()
        machine.uuid = identity.uuid
        machine.save()
    return machine


def _conditions(identity: Identity) -> list[tuple[str, Q]]:
    """Each condition by itself is one look into one table, however many machines there are."""
    from dcim.models import Interface
    from virtualization.models import VMInterface

    found = []
    if identity.uuid:
        found.append((_('UUID'), Q(uuid__in=[identity.uuid, swapped_uuid(identity.uuid)])))
    if identity.serial:
        words = _('serial number')
        found.append((words, Q(serial__iexact=identity.serial)))
        # As in the feed: that of the device or virtual machine where the machine has none of its own.
        found.append((words, Q(serial='', device__serial__iexact=identity.serial)))
        found.append((words, Q(serial='', virtual_machine__serial__iexact=identity.serial)))
    if identity.macs:
        words, macs = _('MAC address'), list(identity.macs)
        held = {'mac_addresses__mac_address__in': macs}
        found.append((words, Q(boot_mac__in=macs)))
        found.append((words, Q(device__in=Interface.objects.filter(**held).values('device'))))
        found.append((words, Q(virtual_machine__in=VMInterface.objects.filter(**held).values('virtual_machine'))))
    return found
