"""The recipe of the prospector: which packages, which kernel modules, which files.  Data, read from TOML and checked.

The built-in one is recipes/debian.toml.  Nothing here looks at the system; see docs/prospector.md for what each key
means.
"""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from .errors import BuildError

# As the kernel names an architecture (and the sidecar's URLs), and what Debian calls it.
ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64', 'riscv64': 'riscv64'}

_SHA256 = re.compile(r'[0-9a-f]{64}\Z')


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Packages(_Part, frozen=True, kw_only=True):
    """`sources` are lines of sources.list(5), or none for the host's own; of several that have a package, that whose
    release file says `origin` is preferred.  `optional` packages are taken where the sources have them."""

    install: list[str]
    optional: list[str] = []
    sources: list[str] = []
    origin: str = ''


class Kernel(_Part, frozen=True, kw_only=True):
    """`package` by architecture.  `modules` are folders, files or patterns below kernel/ of its modules (fnmatch), of
    which `without` are left out again; what they need comes with them."""

    package: dict[str, str] = {}
    modules: list[str] = []
    without: list[str] = []


class Files(_Part, frozen=True, kw_only=True):
    """Paths in the unpacked packages: patterns (glob), folders with all that is in them.  Programs and libraries bring
    the libraries that they are linked with.  `optional` may be missing.  `links` are symbolic links to make, `local`
    files of the host: {"/etc/ssl/site.pem" = "/etc/substruct/site.pem"}."""

    include: list[str] = []
    optional: list[str] = []
    without: list[str] = []
    links: dict[str, str] = {}
    local: dict[str, str] = {}


class Source(_Part, frozen=True, kw_only=True):
    url: str
    sha256: str


class Base(_Part, frozen=True, kw_only=True):
    """Another system's kernel and initrds, by architecture.  With `overlay` the prospector's own files are appended to
    them, and its /init takes over; without, nothing of it runs."""

    kernel: Source
    initrds: list[Source]
    overlay: bool = True


class Recipe(_Part, frozen=True, kw_only=True):
    format: int
    name: str
    packages: Packages
    kernel: Kernel = Kernel()
    files: Files = Files()
    # Level of zstd(1) for the modules and for the whole.
    compression: int = 12
    base: dict[str, Base] = {}


def built_in() -> Path:
    return Path(str(resources.files(__package__) / 'recipes' / 'debian.toml'))


def read(path: Path) -> Recipe:
    """Raises BuildError, with the file and the key."""
    try:
        raw: Any = tomllib.loads(path.read_text('utf-8'))
    except OSError as error:
        raise BuildError(f'The recipe {path} cannot be read: {error.strerror}.') from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BuildError(f'The recipe {path} is not TOML: {error}.') from error
    try:
        found = msgspec.convert(raw, Recipe)
    except msgspec.ValidationError as error:
        raise BuildError(f'The recipe {path}: {error}. docs/prospector.md has all keys.') from error
    if found.format != 1:
        raise BuildError(f'The recipe {path} has format {found.format}; this sidecar reads format 1.')
    if not 1 <= found.compression <= 19:
        raise BuildError(f'The recipe {path}: compression is {found.compression}; zstd has levels 1 to 19.')
    for architecture, base in found.base.items():
        for source in (base.kernel, *base.initrds):
            if not _SHA256.match(source.sha256):
                raise BuildError(
                    f'The recipe {path}: base.{architecture}: {source.url} needs its sha256 (64 hexadecimal digits).'
                )
    return found
