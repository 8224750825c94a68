"""Which machine it is that says what it is.

Every identifier that identifies something is looked up: the UUID in both byte orders, the serial number, the MAC
addresses.  If they lead to one machine it is that one; if they contradict each other nobody guesses.
"""

import logging
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from ..identity import Identity, clean_serial, clean_uuid, swapped_uuid
from ..lifecycle.errors import LifecycleError
from .facts import Facts

logger = logging.getLogger('netbox.substruct.discovery')


class Contradictory(LifecycleError):
    """Identifiers of one machine lead to several, or to one that is known to be another."""

    code = 'contradictory'

    def __init__(self, words: str, machines: Iterable[int] = ()) -> None:
        super().__init__(words)
        self.machines = tuple(machines)


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
            ),
            found,
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
            ),
            found,
        )  # fmt: skip
    return machine


def find_or_discover(identity: Identity, facts: Facts | None = None) -> Any:
    """The Machine with this identity, a discovered one if there was none.  Call it in a transaction.

    Raises Contradictory, or NoIdentity if there is nothing to tell it by.
    """
    from ..models import Machine

    if not identity:
        raise NoIdentity(_('It said no MAC address, UUID or serial number by which it could be told from others.'))
    with connection.cursor() as cursor:
        # Two boot servers may hear of one new machine at once.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('netbox_substruct.discovery', 0))")
    facts = facts or Facts()
    machine = find(identity)
    if machine is not None:
        fill(machine, identity, facts)
        return machine
    machine = Machine()
    if facts.cpu.architecture:
        machine.architecture = facts.cpu.architecture
    _fill(machine, identity, facts)
    machine.full_clean()
    machine.save()
    return machine


def fill(machine: Any, identity: Identity, facts: Facts) -> None:
    """Write down what the machine says of itself and nobody has said before.

    What stands in NetBox already is never overwritten: `difference` shows where it is another.
    """
    machine.snapshot()
    if not _fill(machine, identity, facts):
        return
    try:
        machine.full_clean()
    except ValidationError as error:
        # Something else about the machine is not as it should be; its facts are welcome all the same.
        logger.warning('Machine %s cannot be filled in from its facts: %s', machine.pk, '; '.join(error.messages))
        machine.refresh_from_db()
    else:
        machine.save()


def _fill(machine: Any, identity: Identity, facts: Facts) -> bool:
    """Whether anything was empty."""
    boot = facts.boot_port
    serial = identity.serial or clean_serial(facts.serial) or ''
    # The number of the device or virtual machine is that of the machine, where it has none of its own.
    said = str(getattr(machine.object, 'serial', '') or '')
    offers = {
        'uuid': identity.uuid or facts.system.uuid,
        'serial': '' if said.casefold() == serial.casefold() else serial,
        'firmware': facts.firmware.mode,
        'boot_mac': (boot.mac or boot.permanent_mac if boot else None) or (identity.macs[0] if identity.macs else None),
        'discovered_name': name_of(facts, serial) if machine.object is None else '',
    }
    changed = False
    for name, value in offers.items():
        if value and not getattr(machine, name):
            setattr(machine, name, value)
            changed = True
    return changed


def name_of(facts: Facts, serial: str) -> str:
    """What a machine is called that nobody has named: its product and its serial number or the MAC address of a port.

    '' where there is no product: a serial number or MAC address alone is shown as the name anyway.
    """
    known = (serial or next(iter(facts.macs), ''))[:50]
    return f'{facts.product[:49].rstrip()} {known}'.strip() if facts.product else ''


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
