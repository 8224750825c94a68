"""An archive of the initramfs, in the format newc (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

The same entries give the same bytes: the order is that of the names, the owner is root, the time is one for all, and
inodes are counted.  Device nodes need no root, as nothing is made on a file system.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` without a leading slash; `content` for files, the target for symbolic links; `device` (major, minor)."""

    path: str
    mode: int
    content: bytes | Path = b''
    device: tuple[int, int] = (0, 0)


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, stat.S_IFDIR | mode)


def file(path: str, content: bytes | Path, mode: int = 0o644) -> Entry:
    return Entry(path, stat.S_IFREG | mode, content)


def link(path: str, target: str) -> Entry:
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int) -> Entry:
    return Entry(path, stat.S_IFCHR | mode, b'', (major, minor))


def write(stream: BinaryIO, entries: Iterable[Entry], time: int) -> None:
    """All entries, with the folders that they stand in; the kernel needs a folder before what is in it."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found[entry.path] = entry
        parts = entry.path.split('/')
        for depth in range(1, len(parts)):
            found.setdefault('/'.join(parts[:depth]), folder('/'.join(parts[:depth])))
    # A folder's name is the beginning of what is in it, so the order of the parts puts it first.
    ordered = sorted(found.values(), key=lambda entry: entry.path.split('/'))
    for number, entry in enumerate(ordered, 1):
        content = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
        _entry(stream, entry.path, entry.mode, number, content, time, entry.device)
    _entry(stream, 'TRAILER!!!', 0, 0, b'', 0, (0, 0))


def _entry(
    stream: BinaryIO, path: str, mode: int, inode: int, content: bytes, time: int, device: tuple[int, int]
) -> None:
    name = path.encode() + b'\0'
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, time, len(content), 0, 0, *device, len(name), 0)
    header = b'070701' + b''.join(b'%08x' % field for field in fields)
    stream.write(header + name + b'\0' * (-(len(header) + len(name)) % 4))
    stream.write(content)
    stream.write(b'\0' * (-len(content) % 4))
