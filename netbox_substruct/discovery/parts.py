"""What a machine is made of, as inventory items of a device or as numbers of a virtual machine."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from .changes import Line, New, Object, Part, create, delete, update, update_new
from .facts import GIB, Disk, Facts

# The name under which people keep roles of inventory items, if they do.
ROLES = {'cpu': ('cpu', 'processor'), 'memory': ('memory', 'ram', 'dimm'), 'disk': ('disk', 'storage', 'drive')}


@dataclass(frozen=True, slots=True)
class Item:
    """A processor, a memory module or a disk."""

    kind: str
    name: str
    manufacturer: str = ''
    part_id: str = ''
    serial: str = ''
    description: str = ''


def items(facts: Facts) -> list[Item]:
    """The parts of a machine that are worth an inventory item; empty slots and what can be unplugged are not."""
    # In no language: what is written into NetBox is the same whoever adopts the machine, and is compared later.
    found: list[Item] = []
    for number, processor in enumerate(facts.cpu.processors, start=1):
        about = [
            _counted(processor.cores, 'core'),
            _counted(processor.threads, 'thread'),
            f'{processor.speed_mhz} MHz' if processor.speed_mhz else '',
        ]
        found.append(
            Item(
                'cpu',
                f'CPU {_plain_socket(processor.socket) or number}',
                maker_of(processor.model or ''),
                processor.model or '',
                description=', '.join(each for each in about if each),
            )
        )
    for number, module in enumerate(facts.memory.modules, start=1):
        if not module.size_bytes:
            continue
        about = [
            gib(module.size_bytes),
            module.type or '',
            f'{module.speed_mts} MT/s' if module.speed_mts else '',
        ]
        found.append(
            Item(
                'memory',
                module.slot or f'Memory module {number}',
                module.manufacturer or '',
                module.part_number or '',
                module.serial or '',
                ' '.join(each for each in about if each),
            )
        )
    for disk in facts.disks:
        if disk.removable or not disk.name:
            continue
        about = [
            capacity(disk.size_bytes),
            disk.transport or '',
            {True: 'rotating', False: 'solid state', None: ''}[disk.rotational],
            f'firmware {disk.firmware}' if disk.firmware else '',
        ]
        found.append(
            Item(
                'disk',
                f'Disk {disk.name}',
                disk.vendor or '',
                disk.model or '',
                disk.serial or disk.wwn or '',
                ', '.join(each for each in about if each),
            )
        )
    return _distinct(found)


def _counted(number: int | None, what: str) -> str:
    return f'{number} {what}{"" if number == 1 else "s"}' if number else ''


def _plain_socket(socket: str | None) -> str:
    """ "CPU1" as the firmware calls it would become "CPU CPU1"."""
    return re.sub(r'^(cpu|proc(essor)?|socket)\s*#?', '', socket or '', flags=re.IGNORECASE).strip()


def _distinct(found: Iterable[Item], taken: Iterable[str] = ()) -> list[Item]:
    """Names are unique on a device: what is called like another, or like one of `taken`, gets a number."""
    seen = set(taken)
    result = []
    for item in found:
        name = item.name[:60].rstrip()
        numbered = (f'{name} {number}' for number in count(2))
        free = next(each for each in chain((name,), numbered) if each not in seen)
        seen.add(free)
        result.append(replace(item, name=free))
    return result


def maker_of(model: str) -> str:
    """Who makes a processor, by its model."""
    return next((maker for maker in ('Intel', 'AMD', 'Ampere', 'IBM') if maker.lower() in model.lower()), '')


def gib(size: int) -> str:
    return f'{size / GIB:.0f} GiB' if size >= GIB else f'{size / (1 << 20):.0f} MiB'


def capacity(size: int | None) -> str:
    """The size of a disk as its maker writes it: powers of ten."""
    if not size:
        return ''
    for unit, factor in (('TB', 10**12), ('GB', 10**9), ('MB', 10**6)):
        if size >= factor:
            value = size / factor
            return f'{value:.1f} {unit}' if value < 10 and unit == 'TB' else f'{value:.0f} {unit}'
    return f'{size} B'


# ---------------------------------------------------------------------- makers


class Makers:
    """The manufacturers that NetBox has, found by any of the names that firmware has for them."""

    def __init__(self) -> None:
        from dcim.models import Manufacturer

        self._found: dict[str, Any] = {}
        for each in Manufacturer.objects.all():
            self._found.setdefault(maker_key(each.name), each)
            self._found.setdefault(maker_key(each.slug), each)

    def find(self, name: str) -> Any:
        """The Manufacturer of this name, or None."""
        key = maker_key(name)
        return self._found.get(_ALIASES.get(key, key)) or self._found.get(key) if key else None


# What stands behind the name of a company and is not said by people.
_LEGAL = re.compile(
    r'[\s,]+(inc|incorporated|corp|corporation|co|company|ltd|limited|gmbh|ag|sa|llc|technology|technologies|'
    r'electronics|computer|international|systems?)\b\.?',
    re.IGNORECASE,
)
_ALIASES = {'hewlettpackard': 'hpe', 'hewlettpackardenterprise': 'hpe', 'hp': 'hpe', 'wdc': 'westerndigital'}


def maker_key(name: str) -> str:
    """ "Dell Inc." and "Dell" are one."""
    return re.sub(r'[\W_]+', '', _LEGAL.sub('', re.sub(r'\(r\)|\(tm\)', '', name.lower())))


# ---------------------------------------------------------------------- lines


def new_lines(facts: Facts, device: New, makers: Makers, brought: Iterable[str] = ()) -> list[Line]:
    """An inventory item for each part, on a new device; `brought` are the names of items that come with its type."""
    roles = _roles()
    there = set(brought)
    return [
        _brought(item, device) if item.name in there else _new(item, device, makers, roles) for item in items(facts)
    ]


def _brought(item: Item, device: New) -> Line:
    """An item that a new device gets from its type is filled in."""
    said = {'part_id': item.part_id[:50], 'serial': item.serial[:50], 'description': item.description[:200]}
    part = Part(of=device.key, model='dcim.inventoryitem', name=item.name)
    return Line(
        key=f'item:{item.kind}:{item.name}',
        section='inventory',
        title=' '.join(each for each in (item.name, item.part_id) if each),
        reason=_('Its device type brings it.'),
        changes=(update_new('dcim.inventoryitem', part, **{name: value for name, value in said.items() if value}),),
    )


def difference_lines(facts: Facts, device: Any, makers: Makers) -> list[Line]:
    """What is to be done so that the inventory of a device is what was found.

    A disk is the same by its serial number, else by its name; others by name, which is that of their slot, else by
    serial number.  What is not found any more is shown as gone if it had been discovered; what people wrote down by
    hand is left alone.
    """
    from .changes import known

    roles = _roles()
    there = list(device.inventoryitems.select_related('manufacturer', 'role'))
    found = items(facts)
    lines = []
    pairs = _pairs(found, there)
    new = [item for item, same in pairs if same is None]
    lines += [_new(item, known(device), makers, roles) for item in _distinct(new, [each.name for each in there])]
    for item, same in pairs:
        if same is None:
            continue
        change = update(same, part_id=item.part_id[:50], serial=item.serial[:50], description=item.description[:200])
        # A part that says less than NetBox knows takes nothing away.
        fields = tuple(each for each in change.fields if each.after) if change is not None else ()
        if change is not None and fields:
            lines.append(
                Line(
                    key=f'item:{item.kind}:{item.name}', section='inventory', title=_('{name} is another').format(
                        name=same.name), changes=(type(change)(
                            action='update', model=change.model, object=change.object, fields=fields),),
                )
            )  # fmt: skip
    kinds = {item.kind for item in found}
    kept = {same.pk for _item, same in pairs if same is not None}
    for each in there:
        # Facts without any disk say nothing of disks.
        if each.discovered and each.pk not in kept and _kind_of(each) in kinds:
            lines.append(
                Line(
                    key=f'gone:{each.pk}', section='inventory', title=_('{name} was not found').format(name=each.name),
                    changes=(delete(each),), suggested=False,
                )
            )  # fmt: skip
    return lines


def _pairs(found: Sequence[Item], there: Sequence[Any]) -> list[tuple[Item, Any]]:
    """Each part with the inventory item that it is, or None."""
    left = list(there)
    pairs: dict[int, Any] = {}

    def by_serial(item: Item) -> Any:
        return next((each for each in left if item.serial and each.serial == item.serial[:50]), None)

    def by_name(item: Item) -> Any:
        return next((each for each in left if each.name == item.name), None)

    for first in (True, False):
        for place, item in enumerate(found):
            if place in pairs:
                continue
            # Disks change their names from boot to boot, modules stay in their slots.
            look = by_serial if first is (item.kind == 'disk') else by_name
            same = look(item)
            if same is not None:
                left.remove(same)
                pairs[place] = same
    return [(item, pairs.get(place)) for place, item in enumerate(found)]


def _kind_of(item: Any) -> str:
    """Which kind of part an inventory item is, as far as its role or name says; '' for what facts do not tell of."""
    if item.role is not None:
        return next((kind for kind, words in ROLES.items() if item.role.slug in words), '')
    for kind, words in ROLES.items():
        if any(word in item.name.lower() for word in words):
            return kind
    return 'memory'  # modules are called after their slots


def _new(item: Item, device: Object, makers: Makers, roles: dict[str, Any]) -> Line:
    from .changes import maybe_known

    key = f'item:{item.kind}:{item.name}'
    maker = makers.find(item.manufacturer)
    title = ' '.join(each for each in (item.name, item.part_id) if each)
    return Line(
        key=key,
        section='inventory',
        title=title,
        changes=(
            create(
                'dcim.inventoryitem', key, device=device, name=item.name, role=maybe_known(roles.get(item.kind)),
                manufacturer=maybe_known(maker), part_id=item.part_id[:50], serial=item.serial[:50],
                description=item.description[:200], discovered=True,
            ),
        ),
    )  # fmt: skip


def _roles() -> dict[str, Any]:
    """The roles of inventory items that people have for such parts."""
    from dcim.models import InventoryItemRole

    found = list(InventoryItemRole.objects.all())
    return {
        kind: next((role for word in words for role in found if role.slug == word), None)
        for kind, words in ROLES.items()
    }


# ---------------------------------------------------------------------- virtual machines


def disk_line(disk: Disk, owner: Object) -> Line:
    """A virtual disk; NetBox counts in MB, or in MiB where it is set up so."""
    key = f'disk:{disk.name}'
    return Line(
        key=key,
        section='inventory',
        title=_('Virtual disk {name}').format(name=disk.name),
        changes=(
            create(
                'virtualization.virtualdisk', key, virtual_machine=owner, name=(disk.name or '')[:64],
                size=max(1, (disk.size_bytes or 0) // settings.DISK_BASE_UNIT**2), description=(disk.model or '')[:200],
            ),
        ),
    )  # fmt: skip


def virtual_disks(facts: Facts) -> list[Disk]:
    named = {
        disk.name[:64]: disk for disk in reversed(facts.disks) if disk.name and disk.size_bytes and not disk.removable
    }
    return list(reversed(named.values()))
