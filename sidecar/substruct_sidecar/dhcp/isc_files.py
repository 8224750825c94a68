"""Our files for one dhcpd: one that its administrator includes, and those that it includes in turn.

    substruct4.conf                    includes the others; replacing it is what makes a change
    4/global-<digest>.conf             options and client classes
    4/subnets-<digest>.conf
    4/hosts-<bucket>-<digest>.conf     the hosts of machines with ids from bucket × 250

A file is named by its contents and never changes.  So `substruct4.conf` always includes files that belong together,
whatever happens when; what was before is there until the new configuration runs; and a file that somebody else has
changed is noticed.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..files import sync_folder, write_atomically
from .isc_syntax import Version

HEAD = '# Made by substruct-sidecar from NetBox, and replaced by it.  Whatever is changed here by hand is lost.\n'

_INCLUDE = re.compile(r'include "[^"\n]*/((?:global|subnets|hosts-([0-9]+))-[0-9a-f]{20}\.conf)";  # ([0-9]+)')
_LISTED = re.compile(r'(?:global|subnets|hosts-[0-9]+)-[0-9a-f]{20}\.conf\Z')


class Damaged(Exception):
    """A file of ours is not as we wrote it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file and how many subnets or hosts are in it."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one configuration is made of.  None: there is no such file yet."""

    common: Entry | None = None
    subnets: Entry | None = None
    hosts: Mapping[int, Entry] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        if self.common:
            yield self.common
        if self.subnets:
            yield self.subnets
        for _, entry in sorted(self.hosts.items()):
            yield entry

    def count_hosts(self) -> int:
        return sum(entry.count for entry in self.hosts.values())


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:20]


class Store:
    """The files of one dhcpd (version 4 or 6) in our folder."""

    def __init__(self, directory: Path, version: Version) -> None:
        self.top = directory / f'substruct{version}.conf'
        self.folder = directory / str(version)
        # Name → (size, time of change, inode) of files whose digest was right.
        self._seen: dict[str, tuple[int, int, int]] = {}

    @property
    def statement(self) -> str:
        """What the administrator puts into the main file."""
        return f'include "{self.top}";'

    def prepare(self) -> None:
        """Make what must be there before dhcpd can be told to include it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.top.exists():
            write_atomically(self.top, self.text(Manifest()))

    def read_top(self) -> str:
        """The text of the file that is included; '' if there is none.  Raises OSError."""
        try:
            return self.top.read_text('utf-8', 'replace')
        except FileNotFoundError:
            return ''

    def text(self, manifest: Manifest) -> str:
        lines = (f'include "{self.folder / entry.name}";  # {entry.count}\n' for entry in manifest.entries())
        return HEAD + ''.join(lines)

    @staticmethod
    def manifest(text: str) -> Manifest:
        common = subnets = None
        hosts: dict[int, Entry] = {}
        for match in _INCLUDE.finditer(text):
            entry = Entry(match[1], int(match[3]))
            if match[2]:
                hosts[int(match[2])] = entry
            elif match[1].startswith('global'):
                common = entry
            else:
                subnets = entry
        return Manifest(common, subnets, hosts)

    def read(self, entry: Entry) -> str:
        """The contents of one of our files.  Raises Damaged."""
        try:
            text = (self.folder / entry.name).read_text('utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise Damaged(f'{self.folder / entry.name}: {error}') from error
        if _named(entry.name) != digest(text):
            raise Damaged(f'{self.folder / entry.name} was changed by somebody else')
        return text

    def write(self, kind: str, text: str, count: int) -> Entry:
        """`kind` is global, subnets or hosts-<bucket>.  On disk when `flush` has returned.  Raises OSError."""
        content = HEAD + text
        name = f'{kind}-{digest(content)}.conf'
        path = self.folder / name
        try:
            if path.read_bytes() == content.encode():
                return Entry(name, count)
        except FileNotFoundError:
            pass
        beside = path.with_name(f'.{name}.new')
        with beside.open('wb') as stream:
            stream.write(content.encode())
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(0o644)
        beside.rename(path)
        return Entry(name, count)

    def flush(self) -> None:
        sync_folder(self.folder)

    def damaged(self, manifest: Manifest) -> Iterator[str]:
        """What is wrong with the files of a configuration.  A file that was looked at is read again only if its size or
        times have changed."""
        for entry in manifest.entries():
            try:
                found = (self.folder / entry.name).stat()
                mark = (found.st_size, found.st_mtime_ns, found.st_ino)
                if self._seen.get(entry.name) == mark:
                    continue
                self.read(entry)
            except OSError as error:
                yield f'{self.folder / entry.name}: {error.strerror}'
            except Damaged as error:
                yield str(error)
            else:
                self._seen[entry.name] = mark

    def clean(self, keep: Iterable[Manifest]) -> None:
        """Remove files of ours that none of these configurations includes."""
        names = {entry.name for manifest in keep for entry in manifest.entries()}
        for path in self.folder.iterdir():
            # Hidden files are those that were being written when somebody was killed.
            if path.name not in names and (_LISTED.match(path.name) or path.name.startswith('.')):
                path.unlink(missing_ok=True)
        self._seen = {name: mark for name, mark in self._seen.items() if name in names}


def _named(name: str) -> str:
    return name.rpartition('-')[2].removesuffix('.conf')
