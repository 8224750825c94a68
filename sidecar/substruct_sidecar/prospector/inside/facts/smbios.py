"""The firmware's own description of the machine (DMTF DSP0134), read out of its table.  Pure.

The table is read itself, rather than what dmidecode prints of it: numbers stay numbers, and no text has to be
understood. Firmware is careless: structures are cut off, strings are missing, and every value may be a placeholder.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from .source import clean

# What a memory module is (7.18.2), and where CPUs, modules and controllers are described.
MEMORY_TYPES = {
    3: 'DRAM', 15: 'SDRAM', 18: 'DDR', 19: 'DDR2', 20: 'DDR2 FB-DIMM', 24: 'DDR3', 26: 'DDR4', 27: 'LPDDR',
    28: 'LPDDR2', 29: 'LPDDR3', 30: 'LPDDR4', 32: 'HBM', 33: 'HBM2', 34: 'DDR5', 35: 'LPDDR5', 36: 'HBM3',
}  # fmt: skip
CHASSIS_TYPES = {
    1: 'Other', 2: 'Unknown', 3: 'Desktop', 4: 'Low Profile Desktop', 5: 'Pizza Box', 6: 'Mini Tower', 7: 'Tower',
    8: 'Portable', 9: 'Laptop', 10: 'Notebook', 11: 'Hand Held', 12: 'Docking Station', 13: 'All In One',
    14: 'Sub Notebook', 15: 'Space-saving', 16: 'Lunch Box', 17: 'Main Server Chassis', 18: 'Expansion Chassis',
    19: 'Sub Chassis', 20: 'Bus Expansion Chassis', 21: 'Peripheral Chassis', 22: 'RAID Chassis',
    23: 'Rack Mount Chassis', 24: 'Sealed-case PC', 25: 'Multi-system', 26: 'CompactPCI', 27: 'AdvancedTCA',
    28: 'Blade', 29: 'Blade Enclosing', 30: 'Tablet', 31: 'Convertible', 32: 'Detachable', 33: 'IoT Gateway',
    34: 'Embedded PC', 35: 'Mini PC', 36: 'Stick PC',
}  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """One structure: its fields as bytes, from its beginning, and its strings."""

    kind: int
    handle: int
    data: bytes
    strings: tuple[bytes, ...]

    def text(self, at: int) -> str | None:
        number = self.byte(at)
        return clean(self.strings[number - 1]) if number and number <= len(self.strings) else None

    def byte(self, at: int) -> int | None:
        return self.data[at] if at < len(self.data) else None

    def word(self, at: int) -> int | None:
        return int(struct.unpack_from('<H', self.data, at)[0]) if at + 2 <= len(self.data) else None

    def double(self, at: int) -> int | None:
        return int(struct.unpack_from('<I', self.data, at)[0]) if at + 4 <= len(self.data) else None


def structures(table: bytes) -> Iterator[Structure]:
    """All structures; the table ends where one makes no sense."""
    at = 0
    while at + 4 <= len(table):
        kind, length, handle = struct.unpack_from('<BBH', table, at)
        if length < 4 or at + length > len(table):
            return
        end = table.find(b'\0\0', at + length)
        end = len(table) if end < 0 else end
        area = table[at + length : end]
        yield Structure(kind, handle, table[at : at + length], tuple(area.split(b'\0')) if area else ())
        if kind == 127:
            return
        at = end + 2


@dataclass(frozen=True)
class Table:
    version: tuple[int, int]
    all: tuple[Structure, ...]

    def of(self, kind: int) -> list[Structure]:
        return [one for one in self.all if one.kind == kind]

    def first(self, kind: int) -> Structure:
        """An empty one where there is none."""
        found = self.of(kind)
        return found[0] if found else Structure(kind, 0, b'', ())


def table(entry: bytes | None, data: bytes | None) -> Table:
    """`entry` is the entry point (5.2), which says the version."""
    version = (2, 8)
    if entry and entry[:5] == b'_SM3_' and len(entry) > 9:
        version = (entry[7], entry[8])
    elif entry and entry[:4] == b'_SM_' and len(entry) > 8:
        version = (entry[6], entry[7])
    return Table(version, tuple(structures(data or b'')))


def uuid(found: Table) -> str | None:
    """Before version 2.6 its first parts were in the other order (7.2.1)."""
    data = found.first(1).data[8:24]
    if len(data) < 16:
        return None
    return str(UUID(bytes_le=data) if found.version >= (2, 6) else UUID(bytes=data))


def memory_modules(found: Table) -> list[dict[str, object]]:
    """Slots that hold a module (7.18)."""
    modules: list[dict[str, object]] = []
    for one in found.of(17):
        size = one.word(12)
        if not size:
            continue
        if size == 0x7FFF:
            mebibytes = (one.double(28) or 0) & 0x7FFFFFFF
        elif size == 0xFFFF:
            mebibytes = 0
        else:
            mebibytes = size & 0x7FFF
        count = mebibytes << (10 if size & 0x8000 and size not in (0x7FFF, 0xFFFF) else 20)
        speed = one.word(32) or one.word(21)
        slot, bank = one.text(16), one.text(17)
        modules.append({
            'slot': slot or bank, 'bank': bank, 'size_bytes': count or None,
            'type': MEMORY_TYPES.get(one.byte(18) or 0),
            'speed_mts': speed if speed and speed != 0xFFFF else None, 'manufacturer': one.text(23),
            'part_number': one.text(26), 'serial': one.text(24),
        })  # fmt: skip
    return modules


def processors(found: Table) -> list[dict[str, object]]:
    """Sockets that hold a processor (7.5)."""
    result: list[dict[str, object]] = []
    for one in found.of(4):
        if not (one.byte(24) or 0) & 0x40:
            continue
        cores, threads = one.byte(35), one.byte(37)
        if cores == 0xFF and one.word(42):
            cores = one.word(42)
        if threads == 0xFF and one.word(46):
            threads = one.word(46)
        result.append({
            'socket': one.text(4), 'model': one.text(16), 'manufacturer': one.text(7), 'cores': cores or None,
            'threads': threads or None, 'speed_mhz': one.word(22) or None,
        })  # fmt: skip
    return result
