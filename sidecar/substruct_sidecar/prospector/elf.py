"""What an ELF file says of itself (elf(5)): the loader and the libraries that it needs, and a module's own words.

A few fields of the format, read without running anything, so that images of other architectures can be made.  Pure.
"""

import struct
from dataclasses import dataclass

_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29


class NotElf(ValueError):
    """These bytes are no ELF file, or one that is cut off."""


@dataclass(frozen=True, slots=True)
class Linked:
    """`loader` is its program interpreter, '' for libraries; `paths` where it looks for libraries first."""

    loader: str
    needed: tuple[str, ...]
    paths: tuple[str, ...]
    machine: int


def is_elf(beginning: bytes) -> bool:
    return beginning[:4] == b'\x7fELF'


def linked(data: bytes) -> Linked:
    """Raises NotElf."""
    try:
        return _linked(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise NotElf(str(error)) from error


def module_info(data: bytes) -> dict[str, list[str]]:
    """The words of a kernel module about itself (.modinfo): license, depends, softdep, alias …  Raises NotElf."""
    try:
        found: dict[str, list[str]] = {}
        for item in _section(data, b'.modinfo').split(b'\0'):
            key, separator, value = item.partition(b'=')
            if separator:
                found.setdefault(key.decode('ascii', 'replace'), []).append(value.decode('utf-8', 'replace'))
        return found
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise NotElf(str(error)) from error


def _layout(data: bytes) -> tuple[str, bool]:
    if not is_elf(data):
        raise NotElf('it does not begin as ELF files do')
    return ('<' if data[5] == 1 else '>'), data[4] == 2


def _linked(data: bytes) -> Linked:
    order, wide = _layout(data)
    (machine,) = struct.unpack_from(f'{order}H', data, 18)
    if wide:
        (offset,) = struct.unpack_from(f'{order}Q', data, 32)
        size, count = struct.unpack_from(f'{order}HH', data, 54)
    else:
        (offset,) = struct.unpack_from(f'{order}I', data, 28)
        size, count = struct.unpack_from(f'{order}HH', data, 42)
    loader, dynamic, loaded = '', b'', []
    for number in range(count):
        at = offset + number * size
        if wide:
            kind, _flags, start, address, _physical, length = struct.unpack_from(f'{order}IIQQQQ', data, at)
        else:
            kind, start, address, _physical, length = struct.unpack_from(f'{order}IIIII', data, at)
        if kind == 1:
            loaded.append((address, start, length))
        elif kind == 2:
            dynamic = data[start : start + length]
        elif kind == 3:
            loader = data[start : start + length].rstrip(b'\0').decode()
    entries = list(struct.iter_unpack(f'{order}{"QQ" if wide else "II"}', dynamic)) if dynamic else []
    table = next((value for tag, value in entries if tag == _DT_STRTAB), 0)
    strings = next((start + table - address for address, start, size in loaded if address <= table < address + size), 0)

    def text(at: int) -> str:
        end = data.index(b'\0', strings + at)
        return data[strings + at : end].decode('utf-8', 'replace')

    needed, paths = [], []
    for tag, value in entries:
        if tag == 0:
            break
        if tag == _DT_NEEDED:
            needed.append(text(value))
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            paths += text(value).split(':')
    return Linked(loader, tuple(needed), tuple(paths), machine)


def _section(data: bytes, wanted: bytes) -> bytes:
    order, wide = _layout(data)
    if wide:
        (offset,) = struct.unpack_from(f'{order}Q', data, 40)
        size, count, names = struct.unpack_from(f'{order}HHH', data, 58)
    else:
        (offset,) = struct.unpack_from(f'{order}I', data, 32)
        size, count, names = struct.unpack_from(f'{order}HHH', data, 46)

    def header(number: int) -> tuple[int, int, int]:
        at = offset + number * size
        (name,) = struct.unpack_from(f'{order}I', data, at)
        start, length = struct.unpack_from(f'{order}{"QQ" if wide else "II"}', data, at + (24 if wide else 16))
        return name, start, length

    _, table, _ = header(names)
    for number in range(count):
        name, start, length = header(number)
        at = table + name
        if data[at : data.index(b'\0', at)] == wanted:
            return data[start : start + length]
    return b''
