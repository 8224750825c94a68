"""Boot loaders: which files there are to serve, where they come from, and the small ones that are made here.

A name is looked up in an index of what there is, and never becomes a path: whatever a client asks for, it gets a file
of the index or nothing.  Loaders come from the folder of the settings (`paths.loaders`, with what lies below it), and
what that lacks from the distribution's packages.

Made here are the files that lead a boot loader to this boot server's scripts.  What a single machine boots is decided
in `scripts`.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from ..dhcp import clients
from ..service import Finding
from ..settings import Settings
from . import markers
from .files_store import Opened
from .scripts import QUERY

log = structlog.get_logger('loaders')

# Seconds for which an index holds if something is asked for that is not in it.
FRESH = 2.0
# What lies below the folder of the loaders beyond these is not served.
MOST_FILES = 20_000
DEEPEST = 8

_SYSLINUX = (
    'ldlinux.c32', 'libcom32.c32', 'libutil.c32', 'libmenu.c32', 'libgpl.c32', 'linux.c32', 'menu.c32', 'vesamenu.c32',
    'chain.c32', 'reboot.c32', 'poweroff.c32', 'pxechn.c32', 'mboot.c32',
)  # fmt: skip

# The name that clients ask for: the package that has it, and where.  The first path that is there is taken.
_PACKAGED: dict[str, tuple[str, tuple[str, ...]]] = {
    'lpxelinux.0': ('pxelinux', ('/usr/lib/PXELINUX/lpxelinux.0', '/usr/share/syslinux/lpxelinux.0')),
    'pxelinux.0': ('pxelinux', ('/usr/lib/PXELINUX/pxelinux.0', '/usr/share/syslinux/pxelinux.0')),
    **{
        name: ('syslinux-common', (f'/usr/lib/syslinux/modules/bios/{name}', f'/usr/share/syslinux/{name}'))
        for name in _SYSLINUX
    },
    'undionly.kpxe': ('ipxe', ('/usr/lib/ipxe/undionly.kpxe', '/usr/share/ipxe/undionly.kpxe')),
    'ipxe.lkrn': ('ipxe', ('/usr/lib/ipxe/ipxe.lkrn', '/boot/ipxe.lkrn', '/usr/share/ipxe/ipxe.lkrn')),
    'snponly.efi': ('ipxe', ('/usr/lib/ipxe/snponly.efi', '/usr/share/ipxe/ipxe-snponly-x86_64.efi')),
    'ipxe.efi': ('ipxe', ('/usr/lib/ipxe/ipxe.efi', '/boot/ipxe.efi', '/usr/share/ipxe/ipxe-x86_64.efi')),
    'snponly-arm64.efi': (
        'ipxe',
        (
            '/usr/lib/ipxe/snponly-arm64.efi', '/usr/lib/ipxe/arm64-efi/snponly.efi',
            '/usr/share/ipxe/arm64-efi/snponly.efi',
        ),
    ),
    'shimx64.efi': ('shim-signed', ('/usr/lib/shim/shimx64.efi.signed',)),
    'grubx64.efi': ('grub-efi-amd64-signed', ('/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed',)),
    'mmx64.efi': ('shim-signed', ('/usr/lib/shim/mmx64.efi.signed', '/usr/lib/shim/mmx64.efi')),
    'shimaa64.efi': ('shim-signed', ('/usr/lib/shim/shimaa64.efi.signed',)),
    'grubaa64.efi': ('grub-efi-arm64-signed', ('/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed',)),
}  # fmt: skip

# Without these, ordinary machines do not boot.
_ORDINARY = ('lpxelinux.0', 'ldlinux.c32', 'ipxe.lkrn', 'snponly.efi')


@dataclass(frozen=True, slots=True)
class Loader:
    """`name` is the one to ask for; `source` says where it is from (the folder, or `package <name>`).

    Below `folder` it is opened part by part of `parts`, without following links; packages' files (no parts) may be
    links to where the package has them.
    """

    name: str
    source: str
    folder: Path
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.folder.joinpath(*self.parts)


def clean(name: str) -> str | None:
    """A client's name as the index has it; None for what cannot be one.

    Clients write leading and doubled slashes, backslashes (Windows), and 0xFF at the end (PXE ROMs that do not know
    where DHCP's option ends).
    """
    name = name.rstrip('\udcff')
    if len(name) > 512 or re.search(r'[\x00-\x1f\x7f\ud800-\udfff]', name):
        return None
    parts = [part for part in name.replace('\\', '/').split('/') if part not in ('', '.')]
    return None if not parts or '..' in parts else '/'.join(parts)


class Loaders:
    """The index.  `folder` may be None: packages alone.  For one thread."""

    def __init__(
        self, folder: Path | None, *, packages: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._packages, self._clock = folder, packages, clock
        self._index: dict[str, Loader] = {}
        self._folded: dict[str, Loader] = {}
        self._read = -FRESH
        # Names of links in the folder, which are not served.
        self.links: list[str] = []
        self.complete = True

    @classmethod
    def of(cls, settings: Settings) -> 'Loaders':
        return cls(Path(settings.paths.loaders) if settings.paths.loaders else None)

    def find(self, name: str) -> Loader | None:
        """By the name that a client wrote.  Case counts where it makes a difference."""
        wanted = clean(name)
        if wanted is None:
            return None
        found = self._index.get(wanted) or self._folded.get(wanted.lower())
        if found is None and self._clock() - self._read >= FRESH:
            self._refresh()
            found = self._index.get(wanted) or self._folded.get(wanted.lower())
        return found

    def open(self, name: str) -> int | None:
        """The descriptor of a regular file, or None."""
        found = self.find(name)
        return _open(found) if found is not None else None

    def opened(self, name: str) -> Opened | None:
        """The same for HTTP: with size, time and an ETag that names this very file."""
        descriptor = self.open(name)
        if descriptor is None:
            return None
        found = os.fstat(descriptor)
        tag = f'{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}'
        return Opened(os.fdopen(descriptor, 'rb', buffering=0), found.st_size, found.st_mtime, tag)

    def all(self) -> list[Loader]:
        self._refresh()
        return sorted(self._index.values(), key=lambda loader: loader.name)

    def _refresh(self) -> None:
        self._read = self._clock()
        self._index, self.links = {}, []
        self.complete = True
        if self._folder is not None:
            try:
                self._read_folder(self._folder.resolve())
            except OSError as error:
                # Packages are served all the same; `check` says what is the matter.
                log.error('the folder of the loaders cannot be read', path=str(self._folder), reason=error.strerror)
        if self._packages:
            for name, (package, paths) in _PACKAGED.items():
                if name not in self._index and (path := next(filter(_is_file, paths), None)) is not None:
                    self._index[name] = Loader(name, f'package {package}', Path(path))
        folded: dict[str, Loader | None] = {}
        for name, loader in self._index.items():
            folded[name.lower()] = None if name.lower() in folded else loader
        self._folded = {name: loader for name, loader in folded.items() if loader is not None}

    def _read_folder(self, folder: Path) -> None:
        for parts in self._walk(folder):
            if len(self._index) >= MOST_FILES:
                self.complete = False
                return
            name = '/'.join(parts)
            self._index[name] = Loader(name, str(self._folder), folder, parts)

    def _walk(self, folder: Path) -> Iterator[tuple[str, ...]]:
        for root, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
            above = Path(root).relative_to(folder).parts
            if len(above) >= DEEPEST:
                folders.clear()
            folders.sort()
            for name in sorted([*files, *folders]):
                try:
                    mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
                except OSError:
                    continue
                if stat.S_ISREG(mode) and clean('/'.join((*above, name))) == '/'.join((*above, name)):
                    yield (*above, name)
                elif stat.S_ISLNK(mode):
                    self.links.append('/'.join((*above, name)))


def _is_file(path: str) -> bool:
    return os.path.isfile(path)


def _open(loader: Loader) -> int | None:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not hold us up
    try:
        if not loader.parts:
            found = os.open(loader.folder, flags)
        else:
            found = _open_below(loader.folder, loader.parts, flags)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return None


def _open_below(folder: Path, parts: tuple[str, ...], flags: int) -> int:
    """Raises OSError, also where a part has become a link since the index was read."""
    within = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
            os.close(within)
            within = inner
        return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=within)
    finally:
        os.close(within)


# ---------------------------------------------------------------------- what is made here


def made(name: str, base_url: str) -> bytes | None:
    """The files that lead boot loaders to the boot server at `base_url`, by their cleaned names; None for others.

    Without a base URL that a boot loader can be told, there are none.
    """
    text = _MADE.get(name.lower())
    if text is None:
        return None
    try:
        return markers.fill(text, base_url).encode()
    except markers.MarkerError as error:
        log.error('a file that leads to this boot server cannot be made', file=name, reason=str(error))
        return None


_MADE: dict[str, str] = {
    # --replace: what the script says at its end (exit 1: go on with the next boot device) is then said to the firmware.
    'autoexec.ipxe': (
        '#!ipxe\n'
        ':again\n'
        'isset ${ip} || ifconf -c dhcp || ifconf || goto wait\n'
        f'chain --replace --autofree {markers.BASE_URL}/boot.ipxe?{QUERY} || goto wait\n'
        ':wait\n'
        f'echo Substruct: no answer from {markers.BASE_URL}, trying again in 5 seconds (Ctrl-C ends)\n'
        'sleep 5 || shell\n'
        'goto again\n'
    ),
    # iPXE takes an initrd for its script (ipxe.org/embed).
    'pxelinux.cfg/default': (
        'DEFAULT substruct\n'
        'PROMPT 0\n'
        'LABEL substruct\n'
        f'  KERNEL {markers.BASE_URL}/loaders/ipxe.lkrn\n'
        '  INITRD autoexec.ipxe\n'
    ),
    # Signed GRUBs look for this name alone, and some have no HTTP: what follows comes from where this came from.
    'grub/grub.cfg': (
        'if [ -n "$net_default_mac" ]; then\n'
        '    source "$prefix/grub.cfg-$net_default_mac"\n'
        'fi\n'
        "echo 'Substruct: there is no configuration for this machine.'\n"
        'sleep 5\n'
        'exit 1\n'
    ),
}
_MADE['boot.ipxe'] = _MADE['autoexec.ipxe']


# ---------------------------------------------------------------------- whether they are there


def check(settings: Settings) -> Iterable[Finding]:
    """What is there and what is missing, for `substruct-sidecar check`."""
    folder = settings.paths.loaders
    if folder and not os.path.isdir(folder):
        yield Finding('loaders', 'error', f'paths.loaders: {folder} is no folder.', 'Make it, or remove the setting.')
    loaders = Loaders.of(settings)
    there = {loader.name: loader for loader in loaders.all()}
    for name in _ORDINARY:
        if name in there:
            continue
        package = _PACKAGED[name][0]
        yield Finding(
            'loaders', 'error', f'there is no {name}: machines that need it do not boot.',
            f'Install the package {package}, or put the file into the folder paths.loaders.',
        )  # fmt: skip
    chosen = {loader for loader in settings.dhcp.loaders.values() if loader}
    for name in sorted(chosen - there.keys()):
        yield Finding(
            'loaders', 'error', f'dhcp.loaders names {name}, which is not there.',
            'Put it into the folder paths.loaders, by that name.',
        )  # fmt: skip
    for name in loaders.links:
        yield Finding(
            'loaders', 'warning', f'{name} in {folder} is a symbolic link and is not served.', 'Copy the file itself.'
        )
    if not loaders.complete:
        yield Finding(
            'loaders', 'warning', f'{folder} holds more than {MOST_FILES} files: some are not served.',
            'Put nothing there but boot loaders.',
        )  # fmt: skip
    wanted = {found.loader for found in clients.table(settings.dhcp.loaders) if found.loader} - chosen
    absent = sorted(wanted - there.keys() - set(_ORDINARY))
    sources = sorted({loader.source for loader in there.values()})
    without = f' There is none for machines that need {", ".join(absent)}.' if absent else ''
    if there:
        yield Finding('loaders', 'ok', f'{len(there)} from {", ".join(sources)}.{without}')
