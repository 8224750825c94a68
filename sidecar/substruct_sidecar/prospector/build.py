"""Makes the prospector: packages in, <output>/<architecture>/{vmlinuz,initrd.img,manifest.json} out.

The same packages and the same recipe give the same bytes: what is run on the way (zstd, depmod, Python's compiler)
comes out of the packages too, and nothing of the host, the clock or the order of folders gets in.  It appears as a
whole or not at all.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..files import sync_folder
from ..version import __version__
from . import parts, recipe
from .errors import BuildError
from .packages import Apt, Package
from .parts import Say
from .recipe import ARCHITECTURES, Recipe

# The time of all files, unless SOURCE_DATE_EPOCH (reproducible-builds.org) says another.
EPOCH = 1735689600


class File(msgspec.Struct, frozen=True):
    size: int
    sha256: str


class PackageAbout(msgspec.Struct, frozen=True):
    name: str
    version: str
    architecture: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside an image; of all that it was made of."""

    format: int
    version: str
    recipe: str
    recipe_sha256: str
    architecture: str
    kernel: str
    modules: int
    epoch: int
    files: dict[str, File]
    packages: list[PackageAbout]
    base: dict[str, str]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())


def build(source: Path, architecture: str, output: Path, cache: Path, say: Say) -> Manifest:
    """Raises BuildError; what was in `output` before is then as it was.  `cache` keeps what was fetched."""
    found = recipe.read(source)
    base = found.base.get(architecture)
    needs_kernel = base is None
    if architecture not in ARCHITECTURES:
        raise BuildError(f'There is no architecture "{architecture}"; there is: {", ".join(ARCHITECTURES)}.')
    if found.base and base is None:
        raise BuildError(f'The recipe {source} has a base for {", ".join(found.base)}, and none for {architecture}.')
    if needs_kernel and architecture not in found.kernel.package:
        raise BuildError(f'The recipe {source} names no kernel package for {architecture} (kernel.package).')
    cache.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    epoch = _epoch()
    with _alone(cache, say), tempfile.TemporaryDirectory(prefix='prospector-', dir=_room(cache)) as temporary:
        work = Path(temporary)
        result = work / 'result'
        result.mkdir()
        packages: list[Package] = []
        archives: list[Path] = []
        about = parts.About('', 0)
        for wanted in (base.kernel, *base.initrds) if base else ():
            _fetched(wanted, cache, say)  # what cannot be had is said before the long part
        if base is None or base.overlay:
            packages = _packages(found, architecture, cache, say, with_kernel=needs_kernel)
            made = parts.system(found, architecture, packages, cache, epoch, say, with_kernel=needs_kernel)
            about = made.about
            archives.append(made.folder / 'initrd.img')
            parts.program(found, made, architecture, epoch, work / 'program.img', say)
            archives.append(work / 'program.img')
            if needs_kernel:
                shutil.copyfile(made.folder / 'vmlinuz', result / 'vmlinuz')
        if base is not None:
            shutil.copyfile(_fetched(base.kernel, cache, say), result / 'vmlinuz')
            archives = [*(_fetched(initrd, cache, say) for initrd in base.initrds), *archives]
        parts.join(archives, result / 'initrd.img')
        manifest = Manifest(
            format=1, version=__version__, recipe=found.name,
            recipe_sha256=hashlib.sha256(source.read_bytes()).hexdigest(), architecture=architecture,
            kernel=about.kernel, modules=about.modules, epoch=epoch,
            files={name: _about(result / name) for name in ('vmlinuz', 'initrd.img')},
            packages=[PackageAbout(one.name, one.version, one.architecture, one.sha256) for one in packages],
            base={one.url: one.sha256 for one in (base.kernel, *base.initrds)} if base else {},
        )  # fmt: skip
        (result / 'manifest.json').write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b'\n')
        _publish(result, output, architecture)
    return manifest


@contextmanager
def _alone(cache: Path, say: Say) -> Iterator[None]:
    """One build at a time in a cache; the kernel lets go of the lock of one that dies."""
    with (cache / '.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'another build uses {cache}; waiting for it')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def inputs(source: Path, architecture: str) -> str:
    """What the image would be made of, but for packages, as a digest: the recipe and the code."""
    digest = hashlib.sha256(f'{parts.LAYOUT} {__version__} {_epoch()} {architecture}'.encode())
    here = Path(__file__).parent
    for path in (source, *sorted(path for path in here.rglob('*') if path.suffix == '.py' or path.suffix == '')):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def package_versions(source: Path, architecture: str, cache: Path, say: Say) -> str:
    """The packages that the sources have for a recipe now, with their versions, as a digest."""
    found = recipe.read(source)
    apt = _apt(found, architecture, cache)
    apt.refresh(say)
    names = apt.wanted([*found.packages.install, *filter(None, [found.kernel.package.get(architecture)])])
    return hashlib.sha256('\n'.join(apt.named(names)).encode()).hexdigest()


def _apt(found: Recipe, architecture: str, cache: Path) -> Apt:
    folder = cache / 'apt' / ARCHITECTURES[architecture]
    folder.mkdir(parents=True, exist_ok=True)
    return Apt(folder.absolute(), ARCHITECTURES[architecture], found.packages)


def manifest_of(folder: Path) -> Manifest | None:
    """That of an image, or None where there is none, or one that was not made here."""
    try:
        return msgspec.json.decode((folder / 'manifest.json').read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None


def damage(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What is not as it was built."""
    for name, file in manifest.files.items():
        try:
            if _about(folder / name) != file:
                yield f'{folder / name} has been changed since it was built; build it again.'
        except OSError as error:
            yield f'{folder / name} cannot be read: {error.strerror}.'


def _epoch() -> int:
    named = os.environ.get('SOURCE_DATE_EPOCH', '')
    if not named:
        return EPOCH
    if not named.isdigit() or int(named) >= 1 << 32:
        raise BuildError(f'SOURCE_DATE_EPOCH is "{named}"; it is a number of seconds since 1970.')
    return int(named)


def _room(cache: Path) -> Path:
    free = shutil.disk_usage(cache).free
    if free < 3 << 30:
        raise BuildError(
            f'{cache} has {free >> 20} MiB free; a build needs 3 GiB for a while. Name another with --cache.'
        )
    return cache


# ---------------------------------------------------------------------- out of packages


def _packages(found: Recipe, architecture: str, cache: Path, say: Say, *, with_kernel: bool) -> list[Package]:
    apt = _apt(found, architecture, cache)
    say('reading what the package sources have')
    apt.refresh(say)
    names = apt.wanted(found.packages.install)
    if with_kernel:
        names.append(found.kernel.package[architecture])
    say(f'fetching {len(names)} packages and what they need')
    fetched = apt.fetch(names)
    apt.forget(fetched)
    return fetched


# ---------------------------------------------------------------------- another system's


def _fetched(source: recipe.Source, cache: Path, say: Say) -> Path:
    kept = cache / 'files' / source.sha256
    if kept.is_file():
        return kept
    kept.parent.mkdir(exist_ok=True)
    say(f'fetching {source.url}')
    beside = kept.with_suffix(f'.{os.getpid()}.new')
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(source.url, timeout=60) as answer, beside.open('wb') as stream:
            while part := answer.read(1 << 20):
                digest.update(part)
                stream.write(part)
    except (OSError, ValueError, urllib.error.URLError) as error:
        beside.unlink(missing_ok=True)
        raise BuildError(f'{source.url} cannot be fetched: {error}. Is a proxy needed (https_proxy)?') from error
    if digest.hexdigest() != source.sha256:
        beside.unlink()
        raise BuildError(
            f'{source.url} has the SHA-256 {digest.hexdigest()}, and the recipe says {source.sha256}. If the file has '
            f'changed on purpose, correct the recipe.'
        )
    beside.rename(kept)
    return kept


# ---------------------------------------------------------------------- publishing


def _about(path: Path) -> File:
    with path.open('rb') as stream:
        return File(path.stat().st_size, hashlib.file_digest(stream, 'sha256').hexdigest())


def _publish(result: Path, output: Path, architecture: str) -> None:
    """Kernel and initramfs belong together, so the folder that holds both takes the place of the old one at once."""
    target, beside = output / architecture, output / f'.{architecture}.{os.getpid()}.new'
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o755)
    try:
        for name in ('vmlinuz', 'initrd.img', 'manifest.json'):
            shutil.copyfile(result / name, beside / name)
            with (beside / name).open('rb') as stream:
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
        beside.chmod(0o755)
        sync_folder(beside)
        if target.exists():
            _exchange(beside, target)
        else:
            beside.rename(target)
        sync_folder(output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Two folders change names at once (renameat2(2), RENAME_EXCHANGE); file systems that cannot do it get two
    steps."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = -100
    try:
        failed = libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), 2)
    except AttributeError:
        failed, number = -1, errno.ENOSYS
    else:
        number = ctypes.get_errno()
    if not failed:
        return
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(other))
    aside = one.with_suffix('.old')
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
