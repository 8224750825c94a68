"""The files that Substruct keeps for dnsmasq: reading and writing them, and noticing other people's hands in them.

    conf/substruct.conf     ranges, tags, boot files
    options/subnets         the options of the subnets (dhcp-optsfile)
    hosts/<p>-<n>.hosts     hosts, 256 machines a file (dhcp-hostsfile)
    live/<key>.hosts        hosts that are new (dhcp-hostsdir)
    last-good/              the configuration with which dnsmasq came up last
    pending                 what dnsmasq has not been told yet
    dies-of-sighup          it did

dnsmasq compares each reserved address with all hosts that it has read before.  So lines with addresses are in files of
their own (<p> is 0), which it reads before the others (1): that takes it less than half the time.

Where dnsmasq is restarted for every change, hosts are in hosts/<p>-<n>-<digest>.conf, and substruct.conf names those
that hold: dnsmasq does not start at all with two hosts of one address, so that it must never see some files of before
a change and some of after it.  One rename changes all of them, and going back to the last good configuration goes back
to its hosts.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..files import sync_folder, write_atomically
from . import dnsmasq_syntax as syntax
from .dnsmasq_handwritten import listed
from .dnsmasq_syntax import Block

# Machines in one file of hosts/.  A change rewrites one file, a start reads all of them.
PER_FILE = 256

type Blocks = dict[str, Block]
type Stamp = tuple[int, int, int]

_HOSTS = 'hosts'  # the block of substruct.conf that names the files of hosts
_HOST_KEY = re.compile(r'm([0-9]+)\.[0-9]+\Z')
_RELOADED = re.compile(r'([01]-[0-9]{5,})\.hosts\Z')
_STARTED = re.compile(r'([01]-[0-9]{5,})-[0-9a-f]{16}\.conf\Z')
_PREFIX = 'dhcp-host='


def machine_of(key: str) -> int:
    """The machine's id in the key of a host; 0 if it is none."""
    found = _HOST_KEY.match(key)
    return int(found[1]) if found else 0


def number_of(machine: int) -> int:
    """The file in which a machine's hosts are."""
    return machine // PER_FILE


class Store:
    """`reloads`: dnsmasq reads hosts at SIGHUP; else when it starts.  `placed` is in each line of a host that reserves
    an address, and in no other."""

    def __init__(self, folder: Path, *, reloads: bool, placed: str) -> None:
        self.folder = folder
        self.reloads = reloads
        self._placed = placed
        self.conf = folder / 'conf' / 'substruct.conf'
        self.options = folder / 'options' / 'subnets'
        self.hosts = folder / 'hosts'
        self.live = folder / 'live'
        self.good = folder / 'last-good' / 'substruct.conf'
        self.refused = folder / 'last-good' / 'refused.conf'
        self.pending = folder / 'pending'
        self.deadly = folder / 'dies-of-sighup'
        self._stamps: dict[Path, Stamp] = {}

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.conf.parent, self.options.parent, self.hosts, self.live, self.good.parent

    def prepare(self) -> None:
        """Make the folders.  Others may read them: dnsmasq does so as a user of its own.  Raises OSError."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)

    # --- reading

    def conf_blocks(self) -> Blocks:
        """What is in substruct.conf, but for the names of files."""
        found = _read(self.conf)
        found.pop(_HOSTS, None)
        return found

    def options_blocks(self) -> Blocks:
        return _read(self.options)

    def numbers(self) -> list[int]:
        return sorted({int(stem[2:]) for stem in self._files()})

    def host_blocks(self, number: int) -> Blocks:
        """The hosts of both files: a host's lines without address, then those with one."""
        found: Blocks = {}
        files = self._files()
        for stem in _stems(number)[::-1]:
            if stem not in files:
                continue
            for key, block in _read(files[stem]).items():
                ours = block if self.reloads else _without_prefix(block)
                before = found.get(key)
                found[key] = replace(before, lines=before.lines + ours.lines) if before is not None else ours
        return found

    def _files(self, conf: Path | None = None) -> dict[str, Path]:
        """The files of hosts that hold, by the begin of their names: those in the folder, or those that a
        configuration names."""
        if self.reloads:
            return {match[1]: path for path in listed(self.hosts) if (match := _RELOADED.match(path.name))}
        block = _read(conf or self.conf).get(_HOSTS)
        found: dict[str, Path] = {}
        for row in block.lines if block is not None else ():
            path = self.hosts / Path(row.partition('=')[2]).name
            if match := _STARTED.match(path.name):
                found[match[1]] = path
        return found

    # --- writing (raises OSError)

    def write_hosts(self, changed: Mapping[int, Blocks]) -> Block | None:
        """Write the hosts of some files.  Where they hold only by being named: the block that names them."""
        files = self._files()
        for number, blocks in changed.items():
            for stem, part in zip(_stems(number), self.parted(blocks.values()), strict=True):
                text = syntax.written(part)
                if not text:
                    path = files.pop(stem, None)
                    if self.reloads and path is not None:
                        self._remove(path)
                    continue
                if self.reloads:
                    self.write(self.hosts / f'{stem}.hosts', text)
                    continue
                text = syntax.written(_with_prefix(part))
                digest = hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:16]
                files[stem] = self.hosts / f'{stem}-{digest}.conf'
                self.write(files[stem], text)
        return None if self.reloads else self._naming(files)

    def parted(self, blocks: Iterable[Block]) -> tuple[list[Block], list[Block]]:
        """The lines that reserve addresses, and the others."""
        parts: tuple[list[Block], list[Block]] = ([], [])
        for block in blocks:
            for place, part in enumerate(parts):
                lines = tuple(row for row in block.lines if (f',{self._placed},' in row) != bool(place))
                if lines:
                    part.append(replace(block, lines=lines))
        return parts

    @staticmethod
    def _naming(files: Mapping[str, Path]) -> Block | None:
        rows = [syntax.line('conf-file', str(path)) for _, path in sorted(files.items())]
        return syntax.block(_HOSTS, '', rows) if rows else None

    def write_conf(self, text: str) -> None:
        self.write(self.conf, text)

    def write_live(self, key: str, block: Block) -> None:
        self.write(self.live / f'{key}.hosts', syntax.written([block]))

    def write(self, path: Path, text: str) -> None:
        write_atomically(path, text.encode('utf-8', 'surrogateescape'))
        self._stamps[path] = _stamp(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        self._stamps.pop(path, None)

    # --- what dnsmasq has not been told

    def mark(self, what: Literal['restart', 'reload'], daemon: str) -> None:
        """`daemon`: the run of it that has not been told; '' while files are being written, of which it may have seen
        some.  One that was started since then has read them all."""
        write_atomically(self.pending, json.dumps({'what': what, 'daemon': daemon}))

    def untold(self, daemon: str) -> Literal['restart', 'reload', '']:
        """What the run `daemon` has not been told."""
        try:
            found = json.loads(self.pending.read_bytes())
            what, marked = str(found['what']), str(found['daemon'])
        except FileNotFoundError:
            return ''
        except (OSError, ValueError, TypeError, KeyError):
            what, marked = 'restart', ''
        if not daemon or (marked and marked != daemon):
            return ''
        return 'reload' if what == 'reload' else 'restart'

    def told(self) -> None:
        self.pending.unlink(missing_ok=True)

    # --- cleaning up

    def live_files(self) -> list[Path]:
        return [path for path in listed(self.live) if _HOST_KEY.match(path.name.removesuffix('.hosts'))]

    def gather(self) -> None:
        """Empty live/, for its hosts are in hosts/ too.  Files are moved out: dnsmasq reads one that it sees removed,
        and complains."""
        for path in self.live_files():
            outside = self.folder / f'.gathered-{path.name}'
            path.rename(outside)
            outside.unlink()
            self._stamps.pop(path, None)

    def sweep(self) -> None:
        """Remove what a killed sidecar has left, and hosts' files that nothing names any more."""
        for folder in (self.folder, *self.folders):
            for path in folder.glob('.*'):
                if path.name.endswith('.new') or path.name.startswith('.gathered-'):
                    path.unlink(missing_ok=True)
        for path in self.elsewhere():
            path.unlink(missing_ok=True)
        if not self.reloads:
            named = {*self._files().values(), *self._files(self.good).values()}
            for path in listed(self.hosts):
                if _STARTED.match(path.name) and path not in named:
                    path.unlink(missing_ok=True)
                    self._stamps.pop(path, None)

    def elsewhere(self) -> list[Path]:
        """Files of hosts as they are in the other of the two ways."""
        other = _STARTED if self.reloads else _RELOADED
        found = [path for path in listed(self.hosts) if other.match(path.name)]
        return found if self.reloads else found + self.live_files()

    def strays(self) -> list[Path]:
        """Files that dnsmasq reads, or would, out of folders that are ours, and that are not ours."""
        ours = {*self._ours(), *self.elsewhere()}
        return [
            path
            for folder in self.folders[:-1]
            for path in listed(folder)
            if path not in ours and path.is_file() and not (not self.reloads and _STARTED.match(path.name))
        ]

    def _ours(self) -> Iterator[Path]:
        yield self.conf
        yield self.options
        yield from self._files().values()
        yield from self.live_files()

    # --- other people's hands

    def remember(self) -> None:
        """What our files are like, now that they are as they should be."""
        self._stamps = {path: _stamp(path) for path in self._ours() if path.exists()}

    def touched(self) -> Iterator[tuple[Path, bool]]:
        """(file, whether it is there) of our files that are not as we last read or wrote them."""
        for path, known in sorted(self._stamps.items()):
            if not path.exists():
                yield path, False
            elif _stamp(path) != known:
                yield path, True

    @property
    def remembers(self) -> bool:
        return bool(self._stamps)


def _stems(number: int) -> tuple[str, str]:
    """How the names of the two files begin, in the order in which dnsmasq reads them."""
    return f'0-{number:05}', f'1-{number:05}'


def _read(path: Path) -> Blocks:
    try:
        return syntax.read(path.read_text('utf-8', 'surrogateescape'))
    except FileNotFoundError:
        return {}


def _stamp(path: Path) -> Stamp:
    """(inode, size, time of change in nanoseconds)."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _with_prefix(blocks: Iterable[Block]) -> Iterator[Block]:
    for found in blocks:
        yield replace(found, lines=tuple(f'{_PREFIX}{row}' for row in found.lines))


def _without_prefix(block: Block) -> Block:
    # A line without it is none of ours: it keeps a mark, by which it differs from all that is wanted.
    rows = (row.removeprefix(_PREFIX) if row.startswith(_PREFIX) else f'!{row}' for row in block.lines)
    return replace(block, lines=tuple(rows))
