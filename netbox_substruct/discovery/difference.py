"""Intended against found: what a machine says of itself beside what NetBox holds, line by line.

Nothing here is written by itself: each line can be accepted, which writes what was found into NetBox, or left.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from ..identity import clean_serial, clean_uuid, swapped_uuid
from . import addresses, devicetypes, parts, ports
from .changes import Change, Line, digest, known, permitted, shown, update
from .errors import Incomplete, Stale
from .facts import GIB, Facts
from .keeping import current
from .neighbours import cable_lines
from .parts import Makers
from .sight import EVERYTHING, Sight
from .writing import Writer, Written, chosen


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` stands for the lines that can be accepted; it is given back with those that are."""

    machine: int
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    digest: str


def difference(machine: Any, *, user: Any = None) -> Difference:
    """What is other in NetBox than the machine says; with a `user`, also what that user may not accept."""
    facts_set, reading = current(machine)
    lines: list[Line] = []
    notes: list[str] = []
    if facts_set is None:
        notes.append(_('No facts have been reported of {machine}.').format(machine=machine))
    else:
        lines += machine_lines(machine, reading.facts)
        if machine.object is not None:
            lines += object_lines(machine, machine.object, reading.facts, sight=Sight(user))[0]
    if user is not None:
        lines = list(permitted(lines, user))
    return Difference(machine=machine.pk, lines=tuple(lines), notes=tuple(notes), digest=digest(lines))


def accept(machine: Any, keys: list[str], confirmed: str, *, user: Any = None) -> Written:
    """Write what was found into NetBox, for the lines with these keys.  Permission: change on the machine, and on each
    object that is written.

    `confirmed` is the digest of the difference that somebody saw.  Raises Stale, Incomplete, NotPermitted, Unwritable.
    """
    from ..lifecycle import events, machines

    with events.tracked(user):
        now = difference(machines.lock(machine.pk), user=user)
        if now.digest != confirmed:
            raise Stale(_('The facts of {machine} or what NetBox holds have changed. Look again.').format(
                machine=machine))  # fmt: skip
        if not keys:
            raise Incomplete(_('Choose what is to be accepted.'))
        return Writer(user).write(chosen(now.lines, keys))


# ---------------------------------------------------------------------- lines


def _line(key: str, title: str, change: Change | None, *, section: str, **more: Any) -> list[Line]:
    return [] if change is None else [Line(key=key, section=section, title=title, changes=(change,), **more)]


def machine_lines(machine: Any, facts: Facts) -> list[Line]:
    """What is other in the machine's own fields; those that are empty are filled in when facts arrive."""
    lines: list[Line] = []
    known_uuid = clean_uuid(str(machine.uuid)) if machine.uuid else None
    if facts.system.uuid and known_uuid not in (facts.system.uuid, swapped_uuid(facts.system.uuid)):
        lines += _line(
            'machine:uuid', _('UUID of the machine'), update(machine, uuid=facts.system.uuid), section='machine',
            warnings=(_('Another UUID is another board, or another machine. Be sure that it is this one.'),)
            if known_uuid else (),
        )  # fmt: skip
    serial = clean_serial(facts.serial)
    if serial and machine.serial and clean_serial(machine.serial) != serial:
        lines += _line(
            'machine:serial', _('Serial number of the machine'), update(machine, serial=facts.serial),
            section='machine',
        )  # fmt: skip
    boot = facts.boot_port
    boot_mac = (boot.mac or boot.permanent_mac) if boot is not None else None
    for name, value, title in (
        ('architecture', facts.cpu.architecture, _('Architecture of the machine')),
        ('firmware', facts.firmware.mode, _('Firmware of the machine')),
        ('boot_mac', boot_mac, _('The port that it boots from')),
    ):
        if value:
            lines += _line(f'machine:{name}', title, update(machine, **{name: value}), section='machine')
    return lines


def object_lines(
    machine: Any,
    obj: Any,
    facts: Facts,
    credential: str = '',
    wanted: Mapping[str, str] | None = None,
    sight: Sight = EVERYTHING,
) -> tuple[list[Line], list[str]]:
    """What is other in the device or virtual machine, with notes.

    `credential` is for a record of its BMC, `wanted` says which interfaces its ports are (`ports.match`).
    """
    if obj._meta.model_name == 'device':
        return _device_lines(machine, obj, facts, credential, wanted or {}, sight)
    return _virtual_lines(obj, facts, wanted or {}, sight), []


def _device_lines(
    machine: Any, device: Any, facts: Facts, credential: str, wanted: Mapping[str, str], sight: Sight
) -> tuple[list[Line], list[str]]:
    makers = Makers()
    lines = _device_fields(device, facts, makers, sight)
    has = ports.of_object(device)
    found = ports.lines(ports.match(facts.ports, has, wanted), known(device), 'device', sight)
    lines += found.lines
    lines += _unseen(facts, has)
    lines += parts.difference_lines(facts, device, makers)
    record = getattr(machine, 'bmc', None) if machine.pk else None
    more, notes = addresses.bmc_lines(facts, has, known(device), credential, known(machine), record, sight)
    lines += more
    lines += cable_lines(found.wired, sight)
    return lines, notes


def _device_fields(device: Any, facts: Facts, makers: Makers, sight: Sight) -> list[Line]:
    from dcim.models import Device

    lines: list[Line] = []
    serial = (facts.serial or '')[:50]
    if serial and clean_serial(device.serial) != clean_serial(serial):
        lines += _line('device:serial', _('Serial number'), update(device, serial=serial), section='device')
    tag = facts.asset_tag
    if tag and device.asset_tag != tag[:50]:
        other = Device.objects.filter(asset_tag=tag[:50]).exclude(pk=device.pk).first()
        if other is None:
            lines += _line('device:asset_tag', _('Asset tag'), update(device, asset_tag=tag[:50]), section='device')
        else:
            lines.append(
                Line(
                    key='device:asset_tag', section='device', title=_('Asset tag'), suggested=False,
                    warnings=(
                        _('The machine says {tag}, which {device} has in NetBox.').format(
                            tag=tag, device=sight.name(other)),
                    ),
                )
            )  # fmt: skip
    found = devicetypes.find(facts, makers)
    if found.device_type is not None and found.device_type != device.device_type:
        lines += _line(
            'device:device_type', _('Device type'), update(device, device_type=known(found.device_type)),
            section='device', suggested=False,
            warnings=(_('NetBox changes no components when the device type of a device changes.'),),
        )  # fmt: skip
    elif found.device_type is None and facts.system.product:
        lines.append(
            Line(
                key='device:device_type', section='device', title=_('Device type'), suggested=False,
                warnings=(
                    _('The machine says {found}, and NetBox has {known}. {why}').format(
                        found=' '.join(each for each in (facts.manufacturer, facts.system.product) if each),
                        known=f'{device.device_type.manufacturer} {device.device_type.model}', why=found.why,
                    ),
                ),
            )
        )  # fmt: skip
    return lines


def _unseen(facts: Facts, has: list[ports.Port]) -> list[Line]:
    """Interfaces whose MAC address the machine does not have (any more): a card that went, or another machine."""
    if not facts.ports:
        return []
    macs = {*facts.macs, *([facts.bmc.mac] if facts.bmc is not None and facts.bmc.mac else [])}
    return [
        Line(
            key=f'unseen:{port.name}', section='interfaces', title=_('Interface {name}').format(name=port.name),
            warnings=(
                _('Its MAC address {macs} was not found in the machine.').format(macs=', '.join(sorted(port.macs))),
            ),
            suggested=False,
        )
        for port in has
        if port.macs and not port.macs & macs and not port.mgmt_only and port.type not in ports.VIRTUAL
    ]  # fmt: skip


def _virtual_lines(virtual_machine: Any, facts: Facts, wanted: Mapping[str, str], sight: Sight) -> list[Line]:
    lines: list[Line] = []
    serial = (facts.serial or '')[:50]
    if serial and virtual_machine.serial and clean_serial(virtual_machine.serial) != clean_serial(serial):
        lines += _line('vm:serial', _('Serial number'), update(virtual_machine, serial=serial), section='device')
    for name, value, title in (
        ('vcpus', facts.cpu.threads or facts.cpu.cores, _('Virtual CPUs')),
        ('memory', facts.memory_mib, _('Memory (MB)')),
    ):
        stands = getattr(virtual_machine, name)
        if name == 'memory' and stands and _is_memory(stands, facts):
            continue
        if value and (stands is None or float(stands) != float(value)):
            lines += _line(f'vm:{name}', title, update(virtual_machine, **{name: value}), section='device')
    has = ports.of_object(virtual_machine)
    found = ports.lines(ports.match(facts.ports, has, wanted), known(virtual_machine), 'virtual_machine', sight)
    lines += found.lines
    lines += _unseen(facts, has)
    there = {disk.name for disk in virtual_machine.virtualdisks.all()}
    lines += [
        parts.disk_line(disk, known(virtual_machine))
        for disk in parts.virtual_disks(facts)
        if disk.name not in there and not (virtual_machine.disk and not there)
    ]
    return lines


def _is_memory(stands: int, facts: Facts) -> bool:
    """Whether a guest that has the memory which NetBox holds would see what was found: a kernel keeps some for itself,
    and people write 2 GB as 2000 or as 2048."""
    if facts.memory.modules and (found := facts.memory_mib):
        return stands in (found, found * 1000 // 1024, (facts.memory_bytes or 0) // 10**6)
    return bool(facts.memory_gib) and (facts.memory.total_bytes or 0) <= stands << 20 <= (facts.memory_gib or 0) * GIB


def summary(line: Line) -> str:
    """A line as a sentence, for logs and the API's readers."""
    said = [
        f'{field.label}: {shown(field.before) or "–"} → {shown(field.after)}'
        for change in line.changes
        for field in change.fields
    ]
    return f'{line.title}: {"; ".join(said)}' if said else line.title
