"""Makes the prospector: packages in, <output>/<architecture>/{vmlinuz,initrd.img,manifest.json} out.

The same packages and the same recipe give the same bytes: what is run on the way (zstd, depmod, Python's compiler)
comes out of the packages too, and nothing of the host, the clock or the order of folders gets in.  It appears as a
whole or not at all.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from ..files import sync_folder
from ..version import __version__
from . import cpio, modules, recipe
from .errors import BuildError
from .packages import Apt, Package, unpack
from .recipe import ARCHITECTURES, Base, Recipe
from .sysroot import Sysroot

# The time of all files, unless SOURCE_DATE_EPOCH (reproducible-builds.org) says another.
EPOCH = 1735689600
# Raised when the same recipe and packages give another image.
LAYOUT = 1
# Where the program that runs in the image stands in it.
HOME = 'usr/lib/prospector'

type Say = Callable[[str], None]


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
    with tempfile.TemporaryDirectory(prefix='prospector-', dir=_room(cache)) as temporary:
        work = Path(temporary)
        result = work / 'result'
        result.mkdir()
        packages: list[Package] = []
        version, count = '', 0
        for wanted in (base.kernel, *base.initrds) if base else ():
            _fetched(wanted, cache, say)  # what cannot be had is said before the long part
        if base is None or base.overlay:
            packages = _packages(found, architecture, cache, say, with_kernel=needs_kernel)
            version, count = _own(found, architecture, packages, work, result, epoch, say, with_kernel=needs_kernel)
        if base is not None:
            _foreign(base, cache, result, say)
        manifest = Manifest(
            format=1, version=__version__, recipe=found.name,
            recipe_sha256=hashlib.sha256(source.read_bytes()).hexdigest(), architecture=architecture, kernel=version,
            modules=count, epoch=epoch,
            files={name: _about(result / name) for name in ('vmlinuz', 'initrd.img')},
            packages=[PackageAbout(one.name, one.version, one.architecture, one.sha256) for one in packages],
            base={one.url: one.sha256 for one in (base.kernel, *base.initrds)} if base else {},
        )  # fmt: skip
        (result / 'manifest.json').write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b'\n')
        _publish(result, output, architecture)
    return manifest


def inputs(source: Path, architecture: str) -> str:
    """What the image would be made of, but for packages, as a digest: the recipe and the code."""
    digest = hashlib.sha256(f'{LAYOUT} {__version__} {_epoch()} {architecture}'.encode())
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


def _own(
    found: Recipe, architecture: str, packages: Sequence[Package], work: Path, result: Path, epoch: int, say: Say,
    *, with_kernel: bool,
) -> tuple[str, int]:  # fmt: skip
    """Kernel and initramfs out of packages; the kernel's version and the number of its modules."""
    root = work / 'root'
    root.mkdir()
    say(f'unpacking {len(packages)} packages')
    unpack(packages, root)
    sysroot = Sysroot(root, architecture)
    zstd = sysroot.command('/usr/bin/zstd') if sysroot.native else modules.host_tool('zstd', 'zstd')
    gathered = sysroot.gather(found.files.include, found.files.optional, found.files.without)
    entries = {entry.path: entry for entry in _skeleton(sysroot)}
    entries.update((entry.path, entry) for entry in gathered.entries())
    entries.update(
        (path.lstrip('/'), cpio.link(path.lstrip('/'), target)) for path, target in found.files.links.items()
    )
    version, count = '', 0
    if with_kernel:
        version, kernel = modules.kernel_of(sysroot)
        say(f'choosing and compressing the modules of {version}')
        made = modules.make(sysroot, found.kernel, version, work / 'modules', zstd, found.compression)
        count = made.count
        entries.update((entry.path, entry) for entry in _tree(work / 'modules'))
        shutil.copyfile(kernel, result / 'vmlinuz')
    about = {'version': __version__, 'recipe': found.name, 'architecture': architecture, 'kernel': version}
    entries.update((entry.path, entry) for entry in _program(about))
    _certificates(entries)
    for path, local in found.files.local.items():
        if not Path(local).is_file():
            raise BuildError(f'The recipe wants {local} of this host as {path}, and there is no such file.')
        entries[path.lstrip('/')] = cpio.file(path.lstrip('/'), Path(local))
    say('compiling its Python')
    _compile(entries, sysroot, work / 'python')
    say('packing and compressing the initramfs')
    _pack(list(entries.values()), result / 'initrd.img', zstd, found.compression, epoch)
    return version, count


def _skeleton(sysroot: Sysroot) -> Iterator[cpio.Entry]:
    """What is in no package: folders, the first device nodes, accounts."""
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        yield cpio.link(name, f'usr/{name}')
    for name in ('usr/lib64', 'dev', 'proc', 'sys', 'run', 'mnt', 'root', 'etc', 'var', 'usr/lib/busybox'):
        yield cpio.folder(name, 0o700 if name == 'root' else 0o755)
    yield cpio.folder('tmp', 0o1777)
    yield cpio.link('var/run', '../run')
    yield cpio.link('var/tmp', '../tmp')
    yield cpio.link('etc/mtab', '../proc/self/mounts')
    yield cpio.link('usr/bin/sh', 'busybox')
    # Before /dev is mounted, the kernel opens the console for /init.
    yield cpio.character_device('dev/console', 5, 1, 0o600)
    yield cpio.character_device('dev/null', 1, 3, 0o666)
    yield cpio.file('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\n_lldpd:x:100:100::/run/lldpd:/bin/false\n')
    yield cpio.file(
        'etc/group',
        b'root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:9:\ndialout:x:20:\ninput:x:21:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\n'
        b'video:x:44:\nrender:x:45:\nkvm:x:46:\nlp:x:7:\nsgx:x:47:\n_lldpd:x:100:\n',
    )
    yield cpio.file('etc/nsswitch.conf', b'hosts: files dns\npasswd: files\ngroup: files\n')
    yield cpio.file('etc/hosts', b'127.0.0.1 localhost\n::1 localhost\n')
    yield cpio.file('etc/hostname', b'prospector\n')


def _program(about: dict[str, str]) -> Iterator[cpio.Entry]:
    """What runs in it: the folder `inside`."""
    inside = Path(str(resources.files(__package__) / 'inside'))
    for path in sorted(inside.rglob('*.py')):
        yield cpio.file(f'{HOME}/prospector/{path.relative_to(inside)}', path)
    yield cpio.file('init', inside / 'init', 0o755)
    for name in ('lease', 'lease6'):
        yield cpio.file(f'{HOME}/{name}', inside / name, 0o755)
    yield cpio.file(f'{HOME}/about.json', msgspec.json.encode(about))


def _certificates(entries: dict[str, cpio.Entry]) -> None:
    """One file of all authorities, where OpenSSL looks for it; what ca-certificates does when it is installed."""
    folder = 'usr/share/ca-certificates/'
    found = [entries.pop(path) for path in sorted(entries) if path.startswith(folder) and path.endswith('.crt')]
    if found:
        text = b''.join(entry.content.read_bytes() for entry in found if isinstance(entry.content, Path))
        entries['etc/ssl/certs/ca-certificates.crt'] = cpio.file('etc/ssl/certs/ca-certificates.crt', text)
        entries['usr/lib/ssl/cert.pem'] = cpio.link('usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt')


def _compile(entries: dict[str, cpio.Entry], sysroot: Sysroot, work: Path) -> None:
    """Python's sources become byte code, which starts in a fraction of the time.  Another architecture's Python cannot
    be run here, and its image keeps the sources."""
    if not sysroot.native:
        return
    sources = [path for path in entries if path.endswith('.py')]
    for path in sources:
        content = entries[path].content
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    done = subprocess.run(
        # Checked by nobody and stamped with nothing: the file's content is all that counts.
        [*sysroot.command('/usr/bin/python3'), '-S', '-s', '-m', 'compileall', '-q', '-b', '-o', '2',
         '--invalidation-mode', 'unchecked-hash', '-s', str(work), '-p', '/', str(work)],
        env={'PYTHONHOME': str(sysroot.root / 'usr'), 'PYTHONHASHSEED': '0', 'LC_ALL': 'C.UTF-8'},
        capture_output=True, text=True, cwd='/',
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f'Python’s files cannot be compiled:\n{(done.stdout + done.stderr).strip()[-800:]}')
    for path in sources:
        del entries[path]
        compiled = f'{path}c'
        entries[compiled] = cpio.file(compiled, work / compiled)


def _tree(folder: Path) -> Iterator[cpio.Entry]:
    for path in folder.rglob('*'):
        if path.is_file():
            yield cpio.file(str(path.relative_to(folder)), path)


def _pack(entries: Sequence[cpio.Entry], path: Path, zstd: Sequence[str], level: int, epoch: int) -> None:
    plain = path.with_name('initrd.cpio')
    with plain.open('wb') as stream:
        cpio.write(stream, entries, epoch)
    # Several threads give the same bytes as one would: the blocks do not depend on their number.
    done = subprocess.run(
        [*zstd, f'-{level}', '-q', '-T0', '--check', '-f', '-o', str(path), str(plain)], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f'The initramfs cannot be compressed: {done.stderr.strip()[-400:]}')
    plain.unlink()


# ---------------------------------------------------------------------- another system's


def _foreign(base: Base, cache: Path, result: Path, say: Say) -> None:
    """Another system's kernel and initrds; our own part, if there is one, comes after theirs and wins."""
    shutil.copyfile(_fetched(base.kernel, cache, say), result / 'vmlinuz')
    own = result / 'initrd.img'
    parts = [_fetched(source, cache, say).read_bytes() for source in base.initrds]
    if own.exists():
        parts.append(own.read_bytes())
    # The kernel reads archives one after the other; each begins at a multiple of four bytes.
    own.write_bytes(b''.join(part + b'\0' * (-len(part) % 4) for part in parts[:-1]) + parts[-1])


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
