"""Writes a disk image to a disk while it is fetched.  This destroys what is on the disk.

The image's first megabyte, with its partition table and boot code, is written last, and only once the whole file was
what it should be: a disk with half an image, or a wrong one, has nothing on it that a firmware would start.
"""

import errno
import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import IO, BinaryIO

from . import web
from .report import Failed
from .stream import Fetch

# Bytes that are held back; parts in which the disk is written.
HEAD = 1 << 20
PART = 1 << 20
_NOTHING = bytes(PART)
# Linux, include/uapi/linux/fs.h.
_BLKGETSIZE64, _BLKRRPART, _BLKZEROOUT, _BLKSSZGET = 0x80081272, 0x125F, 0x127F, 0x1268

# By their first bytes, what an image may be compressed with, and how it is unpacked.
_COMPRESSED: Sequence[tuple[bytes, str, tuple[str, ...]]] = (
    (b'\x1f\x8b', 'gzip', ('gzip', '-dc')),
    (b'\xfd7zXZ\x00', 'xz', ('xz', '-dc')),
    (b'\x28\xb5\x2f\xfd', 'zstd', ('zstd', '-dc', '--long=31', '-q')),
    (b'BZh', 'bzip2', ('bzip2', '-dc')),
    (b'\x04\x22\x4d\x18', 'lz4', ()),
)
# What is no raw image.
_FORMATS = (
    (0, b'QFI\xfb', 'a qcow2 image'), (0, b'KDMV', 'a VMDK image'), (0, b'# Disk DescriptorFile', 'a VMDK image'),
    (0, b'conectix', 'a VHD image'), (0, b'vhdxfile', 'a VHDX image'), (0, b'<<< Oracle VM', 'a VDI image'),
    (0, b'PK\x03\x04', 'a ZIP archive'), (257, b'ustar', 'a tar archive'), (0, b'<!DOCTYPE', 'a web page'),
    (0, b'<html', 'a web page'), (0, b'hsqs', 'a SquashFS file system'),
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    fetched: int
    written: int
    sha256: str
    checked: bool


def size_of(stream: BinaryIO) -> int:
    """Bytes of a disk, or of a file that stands for one."""
    try:
        return int(struct.unpack('Q', fcntl.ioctl(stream.fileno(), _BLKGETSIZE64, bytes(8)))[0])
    except OSError:
        return os.fstat(stream.fileno()).st_size


def sector_of(stream: BinaryIO) -> int:
    """Bytes of a disk's sectors, as systems address it."""
    try:
        return int(struct.unpack('I', fcntl.ioctl(stream.fileno(), _BLKSSZGET, bytes(4)))[0])
    except OSError:
        return 512


def write(
    url: str, sha256: str, disk: str, say: Callable[[str], None], progress: Callable[[int, int | None, int], None],
    fetch: Callable[[str], Fetch] | None = None,
) -> Written:  # fmt: skip
    """Fetch, check and write.  `progress` is called with bytes fetched, bytes of the whole file (None: the server does
    not say) and bytes written, and again while the server is waited for; what it raises ends the writing.  Raises
    Failed; the disk then has no partition table."""
    source = fetch(url) if fetch else Fetch(url, say)
    with _opened(disk) as stream:
        size = size_of(stream)
        target = _Target(stream, size)
        source.waiting = lambda: progress(source.done, source.size, target.written)
        touched = False
        try:
            parts = iter(source)
            first = _first(parts)
            _refuse(first, source, size, url)
            say(f'Fetching {url}{f", {source.size / 1e6:.0f} MB" if source.size else ""}{_kind(first)}')
            touched = True
            clear(stream, size)
            _pour(first, parts, source, target, progress)
            checked = _check(source, sha256)
            target.finish()
        except BaseException as error:
            if touched:
                _leave(stream, disk, size, say)
            if isinstance(error, web.WebError):
                raise Failed(f'The image cannot be fetched: {error}.') from None
            if isinstance(error, OSError):
                raise Failed(f'{disk} cannot be written: {error.strerror or error}.') from error
            raise
        _sync(stream, disk)
    return Written(source.done, target.written, source.sha256, checked)


def _opened(disk: str) -> BinaryIO:
    try:
        # With O_EXCL, the kernel gives nobody a disk of which something is mounted or part of a RAID (open(2)).
        return os.fdopen(os.open(disk, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC), 'r+b', buffering=0)
    except OSError as error:
        words = error.strerror
        if error.errno == errno.EBUSY:
            words = 'something on it is in use: it is mounted, or part of a RAID or of a volume group'
        raise Failed(f'{disk} cannot be opened for writing: {words}.') from None


def _leave(stream: BinaryIO, disk: str, size: int, say: Callable[[str], None]) -> None:
    try:
        clear(stream, size)
        os.fsync(stream.fileno())
        say(f'{disk} was left without a partition table')
    except OSError as error:
        say(f'{disk} cannot even be cleared: {error.strerror}. What is on it is half an image')


def clear(stream: BinaryIO, size: int, count: int = HEAD) -> None:
    """Zeros over both ends, where partition tables and the marks of RAID and LVM are."""
    for begin in (0, max(0, size - count)):
        os.pwrite(stream.fileno(), bytes(min(count, size - begin)), begin)


def reread(disk: str, say: Callable[[str], None]) -> None:
    """Let the kernel look at the partition table again."""
    try:
        with open(disk, 'rb') as stream:
            fcntl.ioctl(stream.fileno(), _BLKRRPART)
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            say(f'{disk}: its partition table cannot be read again: {error.strerror}')


def _sync(stream: BinaryIO, disk: str) -> None:
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        raise Failed(f'{disk} has not kept what was written: {error.strerror}. Is it broken?') from None


def _first(parts: Iterator[bytes]) -> bytes:
    """Enough of the file to see what it is."""
    found = b''
    for part in parts:
        found += part
        if len(found) >= 4096:
            break
    return found


def _kind(first: bytes) -> str:
    found = next((name for magic, name, _ in _COMPRESSED if first.startswith(magic)), '')
    return f', compressed with {found}' if found else ''


def _refuse(first: bytes, source: Fetch, size: int, url: str) -> None:
    """What can be seen to be wrong before anything is destroyed."""
    if not first:
        raise Failed(f'{url} is empty.')
    for magic, name, command in _COMPRESSED:
        if first.startswith(magic):
            if not command:
                raise Failed(f'{url} is compressed with {name}, which is not supported: use gzip, xz, zstd or bzip2.')
            expected = _zstd_size(first) if name == 'zstd' else None
            break
    else:
        _refuse_format(first, url)
        expected = source.size
    if expected and expected > size:
        raise Failed(f'The image has {expected / 1e9:.2f} GB, and the disk {size / 1e9:.2f} GB: it is too small.')


def _refuse_format(first: bytes, url: str) -> None:
    for at, magic, name in _FORMATS:
        if first[at : at + len(magic)] == magic:
            raise Failed(
                f'{url} is {name}, and not the content of a disk. Convert it (qemu-img convert -O raw) and compress it.'
            )


def _refuse_content(head: bytes, sector: int) -> None:
    """What no firmware would start: a boot sector, or the one that stands before a GPT, ends with these two bytes."""
    if head[510:512] != b'\x55\xaa':
        raise Failed(
            'What is in the file is not the content of a disk: it has neither a boot sector nor a partition table.'
        )
    made = next((size for size in (512, 4096) if head[size : size + 8] == b'EFI PART'), sector)
    if made != sector:
        raise Failed(
            f'The image was made for disks with sectors of {made} bytes, and this disk has sectors of {sector}: nobody '
            'would find its partitions.'
        )


def _zstd_size(first: bytes) -> int | None:
    """The size that the first frame says (RFC 8878, 3.1.1.1)."""
    if len(first) < 18:
        return None
    descriptor = first[4]
    single = descriptor >> 5 & 1
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    kind = descriptor >> 6
    if kind == 0:
        return first[at] if single else None
    length = (0, 2, 4, 8)[kind]
    found = int.from_bytes(first[at : at + length], 'little')
    return found + 256 if kind == 1 else found


def _check(source: Fetch, sha256: str) -> bool:
    """Whether it was checked at all.  Raises Failed."""
    if not sha256:
        return False
    if source.sha256 != sha256.lower():
        raise Failed(
            f'The image has the SHA-256 {source.sha256}, and NetBox says {sha256.lower()}. It was not used; correct '
            f'the boot image, or look at who has changed the file.'
        )
    return True


class _Target:
    """The disk: writes one after the other, the first megabyte at the end."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._sector = sector_of(stream)
        self._head = bytearray()
        self._zero_out = True
        self.written = 0

    def write(self, data: bytes | memoryview) -> None:
        if self.written + len(data) > self._size:
            raise Failed(f'The image is larger than the disk, which has {self._size / 1e9:.2f} GB.')
        view = memoryview(data)
        if len(self._head) < HEAD:
            take = min(HEAD - len(self._head), len(view))
            if not self._head:
                _refuse_format(bytes(view[:4096]), 'What is in the file')
                _refuse_content(bytes(view[: 4096 + 8]), self._sector)
            self._head += view[:take]
            self.written += take
            view = view[take:]
        at = 0
        while at < len(view):
            part = view[at : at + PART]
            self._part(part)
            at += len(part)

    def _part(self, part: memoryview) -> None:
        if len(part) == PART and part == _NOTHING and self._zeros(len(part)):
            self.written += len(part)
            return
        while part:
            count = os.pwrite(self._stream.fileno(), part, self.written)
            self.written += count
            part = part[count:]

    def _zeros(self, count: int) -> bool:
        """Zeros by a command of the disk's, where it has one: most of many images is nothing."""
        if not self._zero_out or self.written % 4096:
            return False
        try:
            fcntl.ioctl(self._stream.fileno(), _BLKZEROOUT, struct.pack('QQ', self.written, count))
        except OSError:
            self._zero_out = False
        return self._zero_out

    def finish(self) -> None:
        os.fsync(self._stream.fileno())
        view, at = memoryview(self._head), 0
        while at < len(view):
            at += os.pwrite(self._stream.fileno(), view[at:], at)


def _pour(
    first: bytes,
    parts: Iterator[bytes],
    source: Fetch,
    target: _Target,
    progress: Callable[[int, int | None, int], None],
) -> None:
    command = next((command for magic, _, command in _COMPRESSED if first.startswith(magic)), ())
    sink: _Sink = _Unpacked(command, target) if command else _Plain(target)
    with sink:
        sink.put(first)
        for part in parts:
            sink.put(part)
            progress(source.done, source.size, target.written)
        sink.end()
    progress(source.done, source.size, target.written)


class _Sink:
    def __enter__(self) -> '_Sink':
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """All was put; raises Failed if it was not whole."""


class _Plain(_Sink):
    """A thread writes while the next part is fetched."""

    def __init__(self, target: _Target) -> None:
        self._target = target
        self._queue: Queue[bytes] = Queue(8)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        if self._error:
            raise self._error
        self._queue.put(data)

    def end(self) -> None:
        self._queue.put(b'')
        self._thread.join()
        if self._error:
            raise self._error

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._queue.put(b'')
            self._thread.join()

    def _run(self) -> None:
        while data := self._queue.get():
            if self._error is None:
                try:
                    self._target.write(data)
                except BaseException as error:
                    self._error = error


class _Unpacked(_Sink):
    """A program unpacks, and a thread writes what comes out of it."""

    def __init__(self, command: Sequence[str], target: _Target) -> None:
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise Failed(f'{command[0]} cannot be started: {error.strerror}.') from None
        self._name = command[0]
        self._target = target
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        if self._error:
            raise self._error
        assert self._process.stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except BrokenPipeError:
            self._broken()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._thread.join()
        if self._error:
            raise self._error
        if self._process.wait():
            self._broken()

    def _broken(self) -> None:
        self._thread.join()
        if self._error:
            raise self._error
        assert self._process.stderr is not None
        said = self._process.stderr.read(4000).decode('utf-8', 'replace').strip().splitlines()
        raise Failed(f'The image is damaged: {said[-1] if said else f"{self._name} failed"}.')

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None and pipe is not self._process.stdout:
                pipe.close()
        self._thread.join()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _run(self) -> None:
        assert self._process.stdout is not None
        buffer = bytearray(PART)
        try:
            while count := _fill(self._process.stdout, buffer):
                self._target.write(memoryview(buffer)[:count])
        except BaseException as error:
            self._error = error
            self._process.kill()


def _fill(stream: IO[bytes], buffer: bytearray) -> int:
    view, count = memoryview(buffer), 0
    while count < len(buffer) and (more := os.readv(stream.fileno(), [view[count:]])):
        count += more
    return count
