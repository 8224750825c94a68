"""The two parts of the image's initramfs, which the kernel unpacks one after the other.

The system is what comes out of packages: libraries, tools, kernel modules.  It takes minutes, and is kept in the cache
by all that it is made of.  The program is the prospector itself, and takes a second: a new version of the sidecar is in
the image at once.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from ..version import __version__
from . import cpio, modules
from .errors import BuildError
from .packages import Package, unpack
from .recipe import Recipe
from .sysroot import Sysroot

# Raised when the same recipe and packages give another image.
LAYOUT = 2
# Where the program that runs in the image stands in it.
HOME = 'usr/lib/prospector'
# Systems that are kept.
_KEPT = 3
# What of the packages is needed to make the program.
_TOOLS = ('/usr/bin/python3', '/usr/bin/zstd', '/usr/lib/python3.*')

type Say = Callable[[str], None]


class About(msgspec.Struct, frozen=True):
    kernel: str
    modules: int


class System(msgspec.Struct, frozen=True):
    """`folder` holds initrd.img, vmlinuz where a kernel was asked for, and tools, a file system with what makes the
    program."""

    folder: Path
    about: About


def system(
    found: Recipe, architecture: str, packages: Sequence[Package], cache: Path, epoch: int, say: Say,
    *, with_kernel: bool,
) -> System:  # fmt: skip
    """Out of the cache where it is there.  Raises BuildError."""
    kept = cache / 'systems' / _key(found, architecture, packages, epoch, with_kernel)
    about = _about(kept)
    if about is not None:
        say('the system is in the cache: nothing of it has changed')
        (kept / 'about.json').touch()
        return System(kept, about)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.new-', dir=kept.parent) as temporary:
        work = Path(temporary)
        result = work / 'result'
        result.mkdir()
        about = _system(found, architecture, packages, work, result, epoch, say, with_kernel=with_kernel)
        (result / 'about.json').write_bytes(msgspec.json.encode(about))
        shutil.rmtree(kept, ignore_errors=True)
        result.rename(kept)
    others = sorted(kept.parent.glob('[!.]*'), key=lambda path: (path / 'about.json').stat().st_mtime, reverse=True)
    for path in others[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
    return System(kept, about)


def _about(folder: Path) -> About | None:
    try:
        return msgspec.json.decode((folder / 'about.json').read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError):
        return None


def _key(found: Recipe, architecture: str, packages: Sequence[Package], epoch: int, with_kernel: bool) -> str:
    digest = hashlib.sha256(f'{LAYOUT} {architecture} {epoch} {with_kernel}\n'.encode())
    # What the host has (files.local) goes into the other part.
    digest.update(msgspec.json.encode((found.packages, found.kernel, found.files.include, found.files.optional)))
    digest.update(msgspec.json.encode((found.files.without, sorted(found.files.links.items()), found.compression)))
    for package in packages:
        digest.update(f'{package.name} {package.sha256}\n'.encode())
    for path in sorted(Path(__file__).parent.glob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _system(
    found: Recipe, architecture: str, packages: Sequence[Package], work: Path, result: Path, epoch: int, say: Say,
    *, with_kernel: bool,
) -> About:  # fmt: skip
    root = work / 'root'
    root.mkdir()
    say(f'unpacking {len(packages)} packages')
    unpack(packages, root)
    sysroot = Sysroot(root, architecture)
    zstd = _zstd(sysroot)
    gathered = sysroot.gather(found.files.include, found.files.optional, found.files.without)
    entries = {entry.path: entry for entry in _skeleton()}
    entries.update((entry.path, entry) for entry in gathered.entries())
    for path, target in found.files.links.items():
        entries[path.lstrip('/')] = cpio.link(path.lstrip('/'), target)
    about = About('', 0)
    if with_kernel:
        version, kernel = modules.kernel_of(sysroot)
        say(f'choosing and compressing the modules of {version}')
        made = modules.make(sysroot, found.kernel, version, work / 'modules', zstd, found.compression)
        about = About(version, made.count)
        # They are compressed already: an archive of their own, which nobody compresses again.
        with (result / 'initrd.img').open('wb') as stream:
            cpio.write(stream, _tree(work / 'modules'), epoch)
        shutil.copyfile(kernel, result / 'vmlinuz')
    _certificates(entries)
    say('compiling its Python')
    _compile(entries, sysroot, work / 'python')
    say('packing and compressing the system')
    _pack(list(entries.values()), work / 'system.img', zstd, found.compression, epoch)
    join([work / 'system.img'], result / 'initrd.img')
    tools = sysroot.gather(_TOOLS[:2], _TOOLS[2:], ['*/__pycache__/*', '*/test/*', '*/lib2to3/*'])
    _lay_out(tools.entries(), result / 'tools')
    return about


def program(found: Recipe, made: System, architecture: str, epoch: int, into: Path, say: Say) -> None:
    """The archive of the prospector itself, and of files of the host that the recipe wants.  Raises BuildError."""
    sysroot = Sysroot(made.folder / 'tools', architecture)
    about = {'version': __version__, 'recipe': found.name, 'architecture': architecture, 'kernel': made.about.kernel}
    entries = {entry.path: entry for entry in _program(about)}
    for path, local in found.files.local.items():
        if not Path(local).is_file():
            raise BuildError(f'The recipe wants {local} of this host as {path}, and there is no such file.')
        entries[path.lstrip('/')] = cpio.file(path.lstrip('/'), Path(local))
    say('compiling the program')
    with tempfile.TemporaryDirectory(prefix='program-', dir=into.parent) as temporary:
        _compile(entries, sysroot, Path(temporary))
        _pack(list(entries.values()), into, _zstd(sysroot), found.compression, epoch)


def join(archives: Sequence[Path], into: Path) -> None:
    """Append them.  The kernel unpacks archives one after the other, and later files win; each begins at a multiple of
    four bytes."""
    with into.open('ab') as stream:
        for archive in archives:
            stream.write(b'\0' * (-stream.tell() % 4))
            with archive.open('rb') as source:
                shutil.copyfileobj(source, stream, 1 << 20)


def _zstd(sysroot: Sysroot) -> list[str]:
    """That of the image, so that the bytes do not depend on this host's."""
    return sysroot.command('/usr/bin/zstd') if sysroot.native else modules.host_tool('zstd', 'zstd')


def _lay_out(entries: Iterator[cpio.Entry], folder: Path) -> None:
    for entry in entries:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry.content, bytes):
            path.symlink_to(entry.content.decode())
        else:
            shutil.copyfile(entry.content, path)
            path.chmod(entry.mode & 0o777)


def _skeleton() -> Iterator[cpio.Entry]:
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
    plain = path.with_suffix('.cpio')
    with plain.open('wb') as stream:
        cpio.write(stream, entries, epoch)
    # Several threads give the same bytes as one would: the blocks do not depend on their number.
    done = subprocess.run(
        [*zstd, f'-{level}', '-q', '-T0', '--check', '-f', '-o', str(path), str(plain)], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f'The initramfs cannot be compressed: {done.stderr.strip()[-400:]}')
    plain.unlink()
