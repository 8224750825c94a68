"""Which object of NetBox a discovered machine may be.

Every Device and VirtualMachine with the machine's serial number, or with a port that has one of its MAC addresses, is
offered, with what speaks for it and what speaks against it.  Nobody guesses: a person chooses.  One that is registered
as another machine already is offered too: the two would become one (`merging`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from ..identity import clean_serial, clean_uuid, swapped_uuid
from .facts import Facts
from .keeping import current
from .sight import Sight

# More objects than these with the identifiers of one machine are a mess that no list makes clearer.
MOST = 20
# From a MAC address to the interface that has it.
RELATIONS = {'device': 'interface', 'virtual_machine': 'vminterface'}
# Nobody reads more MAC addresses than these in one line.
SHOWN = 4


@dataclass(slots=True)
class Candidate:
    """`object` is a Device or VirtualMachine; `machine` is what it is registered as, if it is."""

    object: Any
    machine: Any = None
    reasons: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    macs: frozenset[str] = frozenset()  # of all its ports


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a machine and its facts say by which it may be found."""

    uuid: str | None
    serials: frozenset[str]
    macs: frozenset[str]

    @classmethod
    def of(cls, machine: Any, facts: Facts) -> 'Identifiers':
        serials = (clean_serial(each) for each in (machine.serial, facts.system.serial, facts.chassis.serial))
        macs = {*facts.macs, *([str(machine.boot_mac).lower()] if machine.boot_mac else [])}
        uuid = clean_uuid(str(machine.uuid)) if machine.uuid else facts.system.uuid
        return cls(uuid, frozenset(each for each in serials if each), frozenset(macs))


def candidates(machine: Any, facts: Facts | None = None, *, user: Any = None) -> list[Candidate]:
    """What the machine may be, the likeliest first: those with nothing against them, and most in favour.

    With a `user`, only what that user may view; that there is something else is said, and not what.
    """
    if facts is None:
        facts = current(machine)[1].facts
    known = Identifiers.of(machine, facts)
    found = [*_of_kind(known, machine, 'device'), *_of_kind(known, machine, 'virtual_machine')]
    sight = Sight(user)
    for each in found:
        if not sight.has(each.machine):
            each.machine = None
        _weigh(each, known, facts)
    names = {each.object: sight.name(each.object) for each in found}
    for each in found:
        others = dict.fromkeys(name for obj, name in names.items() if obj != each.object)
        if others:
            each.contradictions.append(_('It could also be {others}.').format(others=', '.join(others)))
    found = [each for each in found if sight.has(each.object)]
    return sorted(found, key=lambda each: (len(each.contradictions), -len(each.reasons), str(each.object)))


def _of_kind(known: Identifiers, machine: Any, kind: str) -> Iterable[Candidate]:
    """`kind` is the name of the field of Machine that holds such an object."""
    from ..models import Machine

    model = Machine._meta.get_field(kind).related_model
    found: dict[int, list[str]] = {}
    if known.serials:
        condition = Q()
        for serial in sorted(known.serials):
            condition |= Q(serial__iexact=serial)
        for key in model.objects.filter(condition).values_list('pk', flat=True)[:MOST]:
            found.setdefault(key, []).append(_('It has the same serial number.'))
    for key, macs in sorted(holders(kind, known.macs).items()):
        found.setdefault(key, []).append(
            _('Its ports have the MAC addresses {macs}.').format(macs=_some(macs))
            if len(macs) > 1
            else _('It has a port with the MAC address {mac}.').format(mac=macs[0])
        )
    registered = Machine.objects.filter(**{f'{kind}__isnull': False}).exclude(pk=machine.pk)
    if known.uuid:
        uuids = [known.uuid, swapped_uuid(known.uuid)]
        for key in registered.filter(uuid__in=uuids).values_list(f'{kind}_id', flat=True)[:MOST]:
            found.setdefault(key, []).append(_('It is registered with the same UUID.'))
    keys = sorted(found)[:MOST]
    machines = {getattr(each, f'{kind}_id'): each for each in registered.filter(**{f'{kind}__in': keys})}
    own = getattr(machine, f'{kind}_id')
    macs_of = _macs_of(kind, keys)
    for each in model.objects.filter(pk__in=keys).exclude(pk=own):
        yield Candidate(each, machines.get(each.pk), found[each.pk], macs=frozenset(macs_of.get(each.pk, ())))


def holders(kind: str, macs: Collection[str]) -> dict[int, list[str]]:
    """The objects whose ports have any of these MAC addresses, with those that they have."""
    from dcim.models import MACAddress

    if not macs:
        return {}
    relation = RELATIONS[kind]
    rows = (
        MACAddress.objects.filter(mac_address__in=macs, **{f'{relation}__{kind}__isnull': False})
        .values_list(f'{relation}__{kind}_id', 'mac_address')
        .order_by('mac_address')[: MOST * 64]
    )
    found: dict[int, list[str]] = {}
    for key, mac in rows:
        text = str(mac).lower()
        if text not in found.setdefault(key, []):
            found[key].append(text)
    return found


def _weigh(candidate: Candidate, known: Identifiers, facts: Facts) -> None:
    """What speaks against it."""
    obj, against = candidate.object, candidate.contradictions
    serial = clean_serial(obj.serial)
    if serial and known.serials and serial not in known.serials:
        against.append(
            _('NetBox has the serial number {theirs} for it, and the machine says {ours}.').format(
                theirs=obj.serial, ours=', '.join(sorted(known.serials))
            )
        )
    macs = candidate.macs
    if macs and known.macs and not macs & known.macs:
        against.append(
            _('The machine has none of the MAC addresses that NetBox has for it ({macs}).').format(
                macs=_some(sorted(macs))
            )
        )
    machine = candidate.machine
    uuid = clean_uuid(str(machine.uuid)) if machine is not None and machine.uuid else None
    if uuid and known.uuid and known.uuid not in (uuid, swapped_uuid(uuid)):
        against.append(
            _('It is registered with the UUID {theirs}, and the machine says {ours}.').format(
                theirs=uuid, ours=known.uuid
            )
        )
    is_device = obj._meta.model_name == 'device'
    if is_device and facts.system.virtual:
        against.append(_('It is a device, and the machine says that it is a virtual one.'))
    if not is_device and facts.system.virtual is False:
        against.append(_('It is a virtual machine, and the machine says that it is a real one.'))


def _macs_of(kind: str, keys: Collection[int]) -> dict[int, set[str]]:
    """All MAC addresses of these objects."""
    from dcim.models import MACAddress

    relation = RELATIONS[kind]
    rows = MACAddress.objects.filter(**{f'{relation}__{kind}__in': keys})
    found: dict[int, set[str]] = {}
    for key, mac in rows.values_list(f'{relation}__{kind}_id', 'mac_address') if keys else ():
        found.setdefault(key, set()).add(str(mac).lower())
    return found


def _some(values: Collection[str]) -> str:
    listed = list(values)
    more = len(listed) - SHOWN
    text = ', '.join(listed[:SHOWN])
    return _('{some} and {count} more').format(some=text, count=more) if more > 0 else text
