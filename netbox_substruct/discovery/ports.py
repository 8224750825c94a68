"""The ports that a machine has, and which interface of NetBox each of them is.  Matching is pure; lines read NetBox."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from dcim.choices import InterfaceTypeChoices as Type

from .changes import Change, Known, Line, New, Object, Part, create, known, update, update_new
from .facts import Interface
from .sight import EVERYTHING, Sight

# What a mapping says instead of the name of an interface.
NEW, LEAVE = '+', '-'

# The usual form of each speed where all that is known is the speed.
TYPES: Mapping[int, str] = {
    10: Type.TYPE_100ME_FIXED,
    100: Type.TYPE_100ME_FIXED,
    1_000: Type.TYPE_1GE_FIXED,
    2_500: Type.TYPE_2GE_FIXED,
    5_000: Type.TYPE_5GE_FIXED,
    10_000: Type.TYPE_10GE_SFP_PLUS,
    25_000: Type.TYPE_25GE_SFP28,
    40_000: Type.TYPE_40GE_QSFP_PLUS,
    50_000: Type.TYPE_50GE_SFP56,
    100_000: Type.TYPE_100GE_QSFP28,
    200_000: Type.TYPE_200GE_QSFP56,
    400_000: Type.TYPE_400GE_QSFP_DD,
    800_000: Type.TYPE_800GE_QSFP_DD,
}
MODELS = {'device': 'dcim.interface', 'virtual_machine': 'virtualization.vminterface'}


@dataclass(frozen=True, slots=True)
class Port:
    """An interface that NetBox has, or that a new device gets from its type."""

    name: str
    at: Known | Part
    type: str = ''
    mgmt_only: bool = False
    macs: frozenset[str] = frozenset()
    primary: str = ''
    cabled: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A port of the machine and its interface; None: one must be made.  `sure`: nobody guessed."""

    found: Interface
    port: Port | None
    reason: str
    sure: bool = True


def type_of(found: Interface) -> str:
    """The type of an interface by what is known of the port: its speed, while there is a link."""
    return TYPES.get(found.speed_mbps or 0, Type.TYPE_OTHER)


def match(found: Sequence[Interface], ports: Sequence[Port], wanted: Mapping[str, str]) -> list[Match]:
    """Which interface each port is: as somebody said, else by MAC address, by name, and last by order.

    `wanted` maps names of ports to names of interfaces, to NEW, or to LEAVE.  Order counts only where as many ports as
    interfaces are left over: then the first on the PCI bus is the first of them.
    """
    free = {port.name: port for port in ports}
    matches: dict[str, Match] = {}
    rest = []
    for each in found:
        name = each.name or ''
        said = wanted.get(name)
        if said == LEAVE:
            continue
        if said == NEW:
            matches[name] = Match(each, None, _('Somebody chose it.'))
        elif said and said in free:
            matches[name] = Match(each, free.pop(said), _('Somebody chose it.'))
        else:
            rest.append(each)
    rest = _by_mac(rest, free, matches)
    rest = _by_name(rest, free, matches)
    _by_order(rest, free, matches)
    for each in rest:
        matches.setdefault(each.name or '', Match(each, None, _('NetBox has no such interface.')))
    return [matches[each.name or ''] for each in found if each.name in matches]


def _by_mac(rest: list[Interface], free: dict[str, Port], matches: dict[str, Match]) -> list[Interface]:
    left = []
    for each in rest:
        macs = {mac for mac in (each.own_mac, each.mac) if mac}
        same = [port for port in free.values() if port.macs & macs]
        named = [port for port in same if port.name == each.name]
        port = named[0] if named else same[0] if len(same) == 1 else None
        if port is None:
            left.append(each)
        else:
            del free[port.name]
            matches[each.name or ''] = Match(each, port, _('It has its MAC address.'))
    return left


def _by_name(rest: list[Interface], free: dict[str, Port], matches: dict[str, Match]) -> list[Interface]:
    left = []
    for each in rest:
        # An installed system may have chosen any of these.
        names = (each.name or '', *each.names)
        same = [port for name in names for port in free.values() if port.name.casefold() == name.casefold()]
        if same:
            port = free.pop(same[0].name)
            matches[each.name or ''] = Match(each, port, _('It has its name.'))
        else:
            left.append(each)
    return left


def _by_order(rest: list[Interface], free: dict[str, Port], matches: dict[str, Match]) -> None:
    """Ports of which nothing is known yet but where they are."""
    unknown = [port for port in free.values() if not port.macs and not port.mgmt_only and port.type not in VIRTUAL]
    if not rest or len(rest) != len(unknown):
        return
    ordered = sorted(rest, key=lambda each: (each.pci_address is None, each.pci_address or '', each.name or ''))
    for number, (each, port) in enumerate(zip(ordered, unknown, strict=True), start=1):
        matches[each.name or ''] = Match(
            each,
            port,
            _('By order: number {number} of {count} on both sides.').format(number=number, count=len(rest)),
            False,
        )


VIRTUAL = frozenset((Type.TYPE_VIRTUAL, Type.TYPE_BRIDGE, Type.TYPE_LAG))


# ---------------------------------------------------------------------- what NetBox has


def of_object(obj: Any) -> list[Port]:
    """The interfaces of a Device or VirtualMachine, in their order."""
    rows = obj.interfaces.prefetch_related('mac_addresses').select_related('primary_mac_address')
    return [
        Port(
            name=each.name,
            at=known(each),
            type=getattr(each, 'type', ''),
            mgmt_only=getattr(each, 'mgmt_only', False),
            macs=frozenset(str(mac.mac_address).lower() for mac in each.mac_addresses.all()),
            primary=str(each.primary_mac_address.mac_address).lower() if each.primary_mac_address else '',
            cabled=bool(getattr(each, 'cable_id', None) or getattr(each, 'mark_connected', False)),
        )
        for each in rows
    ]


def of_type(device_type: Any, device: New) -> list[Port]:
    """The interfaces that a new device gets from its type."""
    # Templates have names such as Gi{vc_position:1}/0/1; the device has what becomes of them.
    return [
        Port(
            name=name,
            at=Part(of=device.key, model='dcim.interface', name=name),
            type=template.type,
            mgmt_only=template.mgmt_only,
        )
        for template in device_type.interfacetemplates.all()
        for name in (template.resolve_name(None),)
    ]


# ---------------------------------------------------------------------- lines


@dataclass(slots=True)
class Wired:
    """A port of the machine with the interface that it is or becomes, for addresses and cables."""

    found: Interface
    at: Object
    line: str = ''  # the key of the line that makes it, if there is one
    cabled: bool = False


@dataclass(slots=True)
class Lines:
    lines: list[Line] = field(default_factory=list)
    wired: list[Wired] = field(default_factory=list)

    def of(self, found: Interface | None) -> Wired | None:
        return next((each for each in self.wired if found is not None and each.found.name == found.name), None)


def lines(matches: Iterable[Match], owner: Object, kind: str, sight: Sight = EVERYTHING) -> Lines:
    """What is to be written for each port; `kind` is "device" or "virtual_machine"."""
    result = Lines()
    seen: set[str] = set()
    for each in matches:
        key = f'interface:{each.found.name}'
        line, at = _line(each, key, owner, kind, seen, sight)
        if line is not None:
            result.lines.append(line)
        made = line is not None and isinstance(at, New)
        result.wired.append(Wired(each.found, at, key if made else '', each.port.cabled if each.port else False))
    return result


def _line(each: Match, key: str, owner: Object, kind: str, seen: set[str], sight: Sight) -> tuple[Line | None, Object]:
    found, model = each.found, MODELS[kind]
    changes: list[Change] = []
    warnings: list[str] = []
    elsewhere = False
    if each.port is None:
        at: Object = New(key=key, name=found.name or '')
        fields: dict[str, Any] = {'name': (found.name or '')[:64], kind: owner}
        if kind == 'device':
            fields |= {'type': type_of(found), 'description': _description(found)}
        changes.append(create(model, key, **fields))
        title = _('Interface {name} (new)').format(name=found.name)
    else:
        at = each.port.at
        title = _('Interface {name}').format(name=each.port.name)
        if each.port.name != found.name:
            title = _('Interface {name} (found as {found})').format(name=each.port.name, found=found.name)
        if not each.sure:
            warnings.append(_('Only their order says so; check it.'))
    mac = found.own_mac
    if mac and (each.port is None or mac not in each.port.macs):
        if mac in seen:
            warnings.append(
                _('Another of its ports has the MAC address {mac} too: it is left out here.').format(mac=mac)
            )
        else:
            written, warning, elsewhere = mac_changes(mac, key, at, model, each.port, sight)
            changes += written
            warnings += warning
    if mac:
        seen.add(mac)
    if not changes:
        return None, at
    return (
        Line(
            key=key, section='interfaces', title=title, reason=each.reason, warnings=tuple(warnings),
            changes=tuple(changes), suggested=not elsewhere,
        ),
        at,
    )  # fmt: skip


def mac_changes(
    mac: str, key: str, at: Object, model: str, port: Port | None, sight: Sight
) -> tuple[list[Change], list[str], bool]:
    """A MAC address is given to an interface, and becomes its primary one; with what is odd about it.

    The last says whether NetBox has the address at another interface too: nobody guesses where it belongs.
    """
    from dcim.models import MACAddress

    held = list(MACAddress.objects.filter(mac_address=mac).prefetch_related('assigned_object')[:10])
    free = next((each for each in held if each.assigned_object is None), None)
    warnings = [
        _('NetBox has the MAC address {mac} at {port} already.').format(mac=mac, port=sight.name(each.assigned_object))
        for each in held
        if each.assigned_object is not None
    ]
    elsewhere = bool(warnings)
    made: Object
    changes: list[Change] = []
    if free is not None:
        made = known(free)
        change = update(free, assigned_object=at)
        if change is not None:
            changes.append(change)
    else:
        made = New(key=f'mac:{key}', name=mac)
        changes.append(create('dcim.macaddress', made.key, mac_address=mac, assigned_object=at))
    if isinstance(at, Known):
        # Read again, so that what stood there is what is compared when it is written.
        interface = _interface(at)
        change = update(interface, primary_mac_address=made)
        if change is not None:
            changes.append(change)
    else:
        changes.append(update_new(model, at, primary_mac_address=made))
    if port is not None and port.primary and port.primary != mac:
        warnings.append(_('NetBox has the MAC address {mac} there: it stays, but no longer as the primary one.').format(
            mac=port.primary))  # fmt: skip
    return changes, warnings, elsewhere


def _interface(at: Known) -> Any:
    from django.apps import apps

    return apps.get_model(at.model).objects.select_related('primary_mac_address').get(pk=at.id)


def _description(found: Interface) -> str:
    """What the port is, in words."""
    what = ' '.join(each for each in (found.vendor, found.product) if each)
    return (f'{what} ({found.pci_address})' if what and found.pci_address else what or found.pci_address or '')[:200]
