"""What TFTP reads its blocks from: bytes, or files that are opened once and shared by all transfers of them.

A thousand machines that load one file at once cost one copy of it.  Small files are held in memory as they were when
they were opened; larger ones are read block by block, and a file that turns out shorter than it was ends its transfers
rather than giving them half of something.
"""

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from .tftp_packets import netascii

# Bytes of files that are held in memory, all together and each; and what is kept when nobody reads it.
MEMORY = 64 << 20
LARGEST_IN_MEMORY = 8 << 20
# Files that nobody reads and that stay open.
IDLE = 32
# netascii changes the length of a file, so all of it is done at once.
LARGEST_TEXT = 1 << 20


class NoContent(Exception):
    """It cannot be sent; the message is for the client."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A descriptor of a regular file.  Whoever takes it over closes it."""

    descriptor: int


# What a name stands for.
type Source = bytes | OpenFile

type _Key = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class Content:
    """`size` in bytes; `memory` holds all of it, or `descriptor` is a file."""

    size: int
    memory: bytes | None = None
    descriptor: int = -1
    key: _Key | None = None
    users: int = 0
    _text: bytes | None = None

    def length(self, text: bool = False) -> int:
        """In bytes, as text (netascii) or as it is.  Raises NoContent."""
        return len(self._as_text()) if text else self.size

    def in_memory(self, text: bool = False) -> bytes | None:
        """All of it; None where it is to be read from the file.  Raises NoContent."""
        return self._as_text() if text else self.memory

    def read(self, start: int, length: int) -> bytes:
        """The bytes from `start`, fewer than `length` only at the end.  Raises NoContent."""
        if self.memory is not None:
            return self.memory[start : start + length]
        try:
            found = os.pread(self.descriptor, length, start)
        except OSError as error:
            raise NoContent(f'the file cannot be read: {error.strerror}') from error
        if len(found) != max(0, min(length, self.size - start)):
            raise NoContent('the file has changed while it was sent')
        return found

    def _as_text(self) -> bytes:
        if self._text is None:
            if self.memory is None or self.size > LARGEST_TEXT:
                raise NoContent('it is too large for netascii; ask for it in octet mode')
            self._text = netascii(self.memory)
        return self._text


class Contents:
    """The files in use, and some that were.  `take` and `release` go in pairs."""

    def __init__(self, memory: int = MEMORY, idle: int = IDLE) -> None:
        self._memory, self._idle = memory, idle
        # The one that was taken longest ago is the first.
        self._files: OrderedDict[_Key, Content] = OrderedDict()
        self.in_memory = 0

    def __len__(self) -> int:
        return len(self._files)

    def take(self, source: Source) -> Content:
        """Raises NoContent.  A descriptor is taken over in any case."""
        if isinstance(source, bytes):
            return Content(len(source), source)
        content = None
        try:
            content = self._shared(source.descriptor)
        except OSError as error:
            raise NoContent(f'the file cannot be read: {error.strerror}') from error
        finally:
            if content is None or content.descriptor != source.descriptor:
                os.close(source.descriptor)
        content.users += 1
        return content

    def _shared(self, descriptor: int) -> Content:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NoContent('it is no file')
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        content = self._files.get(key)
        if content is None:
            content = self._files[key] = self._new(descriptor, key)
        self._files.move_to_end(key)
        return content

    def _new(self, descriptor: int, key: _Key) -> Content:
        size = key[2]
        if size > LARGEST_IN_MEMORY or not self._make_room(size):
            return Content(size, descriptor=descriptor, key=key)
        memory = os.pread(descriptor, size, 0) if size else b''
        if len(memory) != size:
            raise NoContent('the file is being written')
        self.in_memory += size
        return Content(size, memory, key=key)

    def release(self, content: Content) -> None:
        if content.key is None:
            return
        content.users -= 1
        idle = [other for other in self._files.values() if not other.users]
        for other in idle[: max(0, len(idle) - self._idle)]:
            self._drop(other)

    def _make_room(self, size: int) -> bool:
        for other in [other for other in self._files.values() if not other.users and other.memory is not None]:
            if self.in_memory + size <= self._memory:
                break
            self._drop(other)
        return self.in_memory + size <= self._memory

    def _drop(self, content: Content) -> None:
        assert content.key is not None
        del self._files[content.key]
        if content.descriptor >= 0:
            os.close(content.descriptor)
        if content.memory is not None:
            self.in_memory -= content.size

    def close(self) -> None:
        for content in list(self._files.values()):
            self._drop(content)
