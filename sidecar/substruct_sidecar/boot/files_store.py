"""Boot files on disk: kernels, initrds and disk images, named by their content, and published only when whole.

    <folder>/<sha256>           a file whose SHA-256 was checked
    <folder>/url-<digest>       a file whose SHA-256 nobody knows, by the SHA-256 of its URL
    <folder>/.partial/…         what is being fetched (`fetch`)
    <folder>/.about/<name>      what is remembered of a file: where it is from, when it was last needed

Names from outside are matched as a whole and opened in the folder without following links, so there is no way out of
it.  Fetching is not done here.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..desired import BootFile
from ..files import sync_folder, write_atomically

_NAME = re.compile(r'(?:url-)?[0-9a-f]{64}\Z')
_SHA256 = re.compile(r'[0-9a-f]{64}\Z')
# The prospector's files, below its own folder.
_PROSPECTOR = re.compile(r'(?P<architecture>[a-z0-9_]{1,20})/(?P<name>vmlinuz|initrd\.img)\Z')


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a file.  `sha256` and `size` are of its content; times are seconds
    since 1970.

    `etag` and `last_modified` are as its source said.  `unneeded` is since when nothing refers to it, 0 if something
    does.
    """

    url: str = ''
    sha256: str = ''
    etag: str = ''
    last_modified: str = ''
    size: int = 0
    checked: float = 0.0
    unneeded: float = 0.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading.  `etag` is the SHA-256 of its content, else names this very file."""

    stream: BinaryIO
    size: int
    modified: float
    etag: str


def name_of(file: BootFile) -> str:
    """The name under which a boot file is kept and served; the plugin's `naming.file_path` says the same."""
    if file.sha256 and _SHA256.match(file.sha256.lower()):
        return file.sha256.lower()
    return f'url-{hashlib.sha256(file.url.encode("utf-8", "surrogatepass")).hexdigest()}'


class FilesStore:
    """The folder, which need not be there for reading.  Any process may read, the agent alone writes."""

    def __init__(self, folder: Path, prospector: Path | None = None) -> None:
        self.folder = folder
        self.prospector = prospector
        self.partial = folder / '.partial'
        self._about = folder / '.about'

    # ------------------------------------------------------------------ reading

    def has(self, name: str) -> bool:
        return _NAME.match(name) is not None and (self.folder / name).is_file()

    def has_prospector(self, architecture: str) -> bool:
        """Whether kernel and initrd of the prospector are there for an architecture."""
        if self.prospector is None or not _PROSPECTOR.match(f'{architecture}/vmlinuz'):
            return False
        return all((self.prospector / architecture / name).is_file() for name in ('vmlinuz', 'initrd.img'))

    def open(self, name: str) -> Opened | None:
        """A file of the store, or None if there is none of that name."""
        if not _NAME.match(name):
            return None
        return _open(self.folder, name, etag='' if name.startswith('url-') else name)

    def open_prospector(self, path: str) -> Opened | None:
        """`<architecture>/vmlinuz` or `<architecture>/initrd.img`."""
        match = _PROSPECTOR.match(path)
        if match is None or self.prospector is None:
            return None
        return _open(self.prospector / match['architecture'], match['name'])

    def names(self) -> dict[str, int]:
        """All files with their sizes in bytes."""
        try:
            with os.scandir(self.folder) as entries:
                return {
                    entry.name: entry.stat(follow_symlinks=False).st_size
                    for entry in entries
                    if _NAME.match(entry.name) and entry.is_file(follow_symlinks=False)
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def about(self, name: str) -> About:
        try:
            return msgspec.json.decode((self._about / name).read_bytes(), type=About)
        except (OSError, msgspec.DecodeError):
            return About()

    # ------------------------------------------------------------------ writing

    def make(self) -> None:
        """Make the folders, where they are not there.  Raises OSError."""
        for one in (self.folder, self.partial, self._about):
            one.mkdir(mode=0o755, parents=True, exist_ok=True)

    def remember(self, name: str, about: About) -> None:
        write_atomically(self._about / name, msgspec.json.encode(about))

    def publish(self, partial: Path, name: str, about: About) -> None:
        """Give a whole file its name: at once, and so that a power cut does not take it back."""
        with open(partial, 'rb') as stream:
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        # In this order, what is remembered is at worst too old: then the source is asked once too often.
        os.replace(partial, self.folder / name)
        sync_folder(self.folder)
        self.remember(name, about)

    def remove(self, name: str) -> None:
        """Take a file away; whoever is reading it reads on."""
        if not _NAME.match(name):
            raise ValueError(f'"{name}" is no name of a boot file.')
        (self.folder / name).unlink(missing_ok=True)
        (self._about / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def partials(self) -> Iterator[Path]:
        if self.partial.is_dir():
            with os.scandir(self.partial) as entries:
                yield from [Path(entry.path) for entry in entries]


def _open(folder: Path, name: str, etag: str = '') -> Opened | None:
    """Open a regular file in a folder, following no link; None if there is none."""
    try:
        within = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # O_NONBLOCK: a FIFO of that name must not hold us up.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
    except OSError:
        return None
    finally:
        os.close(within)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        return None
    return Opened(
        os.fdopen(handle, 'rb', buffering=0),
        found.st_size,
        found.st_mtime,
        etag or f'{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}',
    )
