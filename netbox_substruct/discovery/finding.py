"""Which machine it is that says what it is.

Every identifier that identifies something is looked up: the UUID in both byte orders, the serial number, the MAC
addresses.  If together they lead to one machine it is that one; if they contradict each other nobody guesses.
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
from .keeping import current

logger = logging.getLogger('netbox.substruct.discovery')

# Characters that NetBox holds of a serial number.
LONGEST_SERIAL = 100
# Machines with one identifier that are looked at, and those of them that are named.
MOST, SHOWN = 1000, 5


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
    """The Machine with this identity, or None.  Raises Contradictory.

    All that was said must lead to one machine.  What several machines have (a serial number that its maker gave to all)
    does not say which, and does not stand in the way of what does.
    """
    from ..models import Machine

    holders = _holders(identity)
    if not holders:
        return None
    meant = frozenset.intersection(*(ids for _words, ids in holders))
    rows = Machine.objects.select_related('device', 'virtual_machine')
    if len(meant) == 1:
        machine = rows.get(pk=next(iter(meant)))
        confirm(machine, identity)
        return machine
    everyone = sorted(frozenset.union(*(ids for _words, ids in holders)))
    reasons = {key: list(dict.fromkeys(words for words, ids in holders if key in ids)) for key in everyone[:SHOWN]}
    raise Contradictory(
        _('It could be any of these: {machines}. Correct the wrong ones in NetBox.').format(
            machines='; '.join(f'{each} ({", ".join(reasons[each.pk])})' for each in rows.filter(pk__in=reasons))
        ),
        everyone,
    )


def confirm(machine: Any, identity: Identity) -> None:
    """Raise Contradictory if what was said cannot be of this machine."""
    known = clean_uuid(str(machine.uuid)) if machine.uuid else None
    if known and identity.uuid and not identity.has_uuid(known):
        raise Contradictory(
            _('It says that it is {machine}, but has the UUID {uuid}, and {machine} has {known}. If its board was '
              'replaced, correct the UUID in NetBox.').format(machine=machine, uuid=identity.uuid, known=known),
            [machine.pk],
        )  # fmt: skip
    serial = clean_serial(machine.serial or getattr(machine.object, 'serial', ''))
    if not known or not identity.uuid or (serial and serial == identity.serial):
        return
    # Makers of boards give one UUID to a whole batch: alone, against all else, it tells nothing.
    macs = _macs_of(machine)
    if macs and identity.macs and not macs & set(identity.macs):
        raise Contradictory(
            _('It has the UUID of {machine}, and nothing else of it: neither its serial number nor any of its MAC '
              'addresses. If it is {machine} with another network card, correct the MAC addresses in NetBox; if it is '
              'another machine, clear the UUID of {machine}.').format(machine=machine),
            [machine.pk],
        )  # fmt: skip


def _macs_of(machine: Any) -> set[str]:
    """The MAC addresses by which a machine has been known: in NetBox, and in what it said last."""
    from dcim.models import MACAddress

    found = {str(machine.boot_mac).lower()} if machine.boot_mac else set()
    held = Q(interface__device=machine.device_id) if machine.device_id else Q(
        vminterface__virtual_machine=machine.virtual_machine_id)  # fmt: skip
    if machine.object is not None:
        found |= {str(mac).lower() for mac in MACAddress.objects.filter(held).values_list('mac_address', flat=True)}
    return found | set(current(machine)[1].facts.macs)


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
        return fill(machine, identity, facts)
    machine = Machine(**_offers(Machine(), identity, facts))
    if facts.cpu.architecture:
        machine.architecture = facts.cpu.architecture
    machine.full_clean()
    machine.save()
    return machine


def fill(machine: Any, identity: Identity, facts: Facts) -> Any:
    """Write down what the machine says of itself and nobody has said before; the machine as it is then.

    What stands in NetBox already is never overwritten: `difference` shows where it is another.  Call it in a
    transaction.
    """
    from ..lifecycle import machines

    if not _offers(machine, identity, facts):
        return machine
    # Whoever moves the machine at this moment is waited for: all its fields are saved, its state among them.
    machine = machines.lock(machine.pk)
    machine.snapshot()
    for name, value in _offers(machine, identity, facts).items():
        setattr(machine, name, value)
    try:
        machine.full_clean()
    except ValidationError as error:
        # Something else about the machine is not as it should be; its facts are welcome all the same.
        logger.warning('Machine %s cannot be filled in from its facts: %s', machine.pk, '; '.join(error.messages))
        machine.refresh_from_db()
    else:
        machine.save()
    return machine


def _offers(machine: Any, identity: Identity, facts: Facts) -> dict[str, Any]:
    """What is known for fields of the machine that are empty."""
    boot = facts.boot_port
    serial = (identity.serial or clean_serial(facts.serial) or '')[:LONGEST_SERIAL]
    # The number of the device or virtual machine is that of the machine, where it has none of its own.
    said = str(getattr(machine.object, 'serial', '') or '')
    offers = {
        'uuid': identity.uuid or facts.system.uuid,
        'serial': '' if said.casefold() == serial.casefold() else serial,
        'firmware': facts.firmware.mode,
        'boot_mac': (boot.mac or boot.permanent_mac if boot else None) or (identity.macs[0] if identity.macs else None),
        'discovered_name': name_of(facts, serial) if machine.object is None else '',
    }
    return {name: value for name, value in offers.items() if value and not getattr(machine, name)}


def name_of(facts: Facts, serial: str) -> str:
    """What a machine is called that nobody has named: its product and its serial number or the MAC address of a port.

    '' where there is no product: a serial number or MAC address alone is shown as the name anyway.
    """
    known = (serial or next(iter(facts.macs), ''))[:50]
    return f'{facts.product[:49].rstrip()} {known}'.strip() if facts.product else ''


def _holders(identity: Identity) -> list[tuple[str, frozenset[int]]]:
    """For each identifier that any machine has: what it is, and the ids of those machines.

    Each condition by itself is one look into one table, however many machines there are.
    """
    from dcim.models import MACAddress

    from ..models import Machine

    def ids(*conditions: Q) -> frozenset[int]:
        return frozenset(
            key for each in conditions for key in Machine.objects.filter(each).values_list('pk', flat=True)[:MOST]
        )

    found = []
    if identity.uuid:
        found.append((_('UUID'), ids(Q(uuid__in=[identity.uuid, swapped_uuid(identity.uuid)]))))
    if identity.serial:
        serial = identity.serial[:LONGEST_SERIAL]
        # As in the feed: that of the device or virtual machine where the machine has none of its own.
        of_device, of_virtual = {'device__serial__iexact': serial}, {'virtual_machine__serial__iexact': serial}
        found.append((
            _('serial number'),
            ids(Q(serial__iexact=serial), Q(serial='', **of_device), Q(serial='', **of_virtual)),
        ))  # fmt: skip
    at: dict[str, set[int]] = {}
    if identity.macs:
        device, virtual = 'interface__device__substruct_machine', 'vminterface__virtual_machine__substruct_machine'
        addresses = MACAddress.objects.filter(mac_address__in=identity.macs)
        for rows in (
            Machine.objects.filter(boot_mac__in=identity.macs).values_list('boot_mac', 'pk'),
            addresses.filter(**{f'{device}__isnull': False}).values_list('mac_address', device),
            addresses.filter(**{f'{virtual}__isnull': False}).values_list('mac_address', virtual),
        ):
            for mac, key in rows[:MOST]:
                at.setdefault(str(mac).lower(), set()).add(key)
    found += [(_('MAC address'), frozenset(keys)) for keys in at.values()]
    return [(words, keys) for words, keys in found if keys]
