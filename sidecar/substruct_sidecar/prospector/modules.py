"""Which of a kernel's modules the image has, each compressed by itself.

Compressed one by one they need little memory on the machine, where few of them are ever loaded, and are unpacked at
once: the archive around them need not be decompressed a second time.
"""

import fnmatch
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import elf
from .errors import BuildError
from .recipe import Kernel
from .sysroot import Sysroot


@dataclass(frozen=True, slots=True)
class Modules:
    """`folder` holds them as they stand in the image, below usr/lib/modules/<version>."""

    version: str
    folder: Path
    count: int


def kernel_of(sysroot: Sysroot) -> tuple[str, Path]:
    """The version and the file of the one kernel that was unpacked."""
    found = sorted((sysroot.root / 'boot').glob('vmlinu[xz]-*'))
    if len(found) != 1:
        raise BuildError(
            f'The package of the kernel has {len(found)} kernels in /boot; the recipe must name one kernel package.'
        )
    return found[0].name.partition('-')[2], found[0]


def chosen(paths: Iterable[str], kernel: Kernel) -> set[str]:
    """Those of the paths below kernel/ that the recipe wants."""
    return {
        path
        for path in paths
        if any(_matches(path, pattern) for pattern in kernel.modules)
        and not any(_matches(path, pattern) for pattern in kernel.without)
    }


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(f'{pattern}/') or fnmatch.fnmatchcase(path, pattern) or _name(path) == _name(pattern)


def _name(path: str) -> str:
    """The module's name, as dependencies have it."""
    return re.sub(r'\.ko(\.\w+)?$', '', path.rpartition('/')[2]).replace('-', '_')


def with_dependencies(wanted: set[str], available: dict[str, str], info: 'Info') -> set[str]:
    """`available` has each module's path by its name.  What a module asks for and is built in is in no file."""
    found = set(wanted)
    rest = list(wanted)
    while rest:
        for name in info.needs(rest.pop()):
            path = available.get(name)
            if path is not None and path not in found:
                found.add(path)
                rest.append(path)
    return found


class Info:
    """What modules say of what they need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def needs(self, path: str) -> list[str]:
        try:
            said = elf.module_info((self._folder / path).read_bytes())
        except elf.NotElf as error:
            raise BuildError(f'The kernel module {path} cannot be read: {error}.') from error
        names = [name for line in said.get('depends', []) for name in line.split(',')]
        for line in said.get('softdep', []):
            # pre: a b post: c; all are wanted.
            names += [word for word in line.split() if not word.endswith(':')]
        return [_name(name) for name in names if name]


def make(sysroot: Sysroot, kernel: Kernel, version: str, into: Path, zstd: Sequence[str], level: int) -> Modules:
    """Choose, copy, compress and index them, below `into`."""
    source = sysroot.root / 'usr/lib/modules' / version
    paths = {str(path.relative_to(source / 'kernel')) for path in source.glob('kernel/**/*.ko')}
    wanted = chosen(paths, kernel)
    for pattern in kernel.modules:
        if not any(_matches(path, pattern) for path in paths) and not _built_in(source, pattern):
            raise BuildError(f'The kernel {version} has no modules for "{pattern}", which the recipe names.')
    available = {_name(path): path for path in sorted(paths)}
    wanted = with_dependencies(wanted, available, Info(source / 'kernel'))
    target = into / 'usr/lib/modules' / version
    files = []
    for path in sorted(wanted):
        copy = target / 'kernel' / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / 'kernel' / path, copy)
        files.append(str(copy))
    _compress(files, zstd, level)
    for name in ('modules.builtin', 'modules.builtin.modinfo', 'modules.order'):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    (into / 'lib').symlink_to('usr/lib')
    _index(sysroot, into, version)
    (into / 'lib').unlink()
    for index in target.glob('modules.*'):
        # modprobe reads the binary forms.
        if index.suffix != '.bin' and index.name not in ('modules.softdep', 'modules.devname'):
            index.unlink()
    return Modules(version, target, len(files))


def _built_in(source: Path, pattern: str) -> bool:
    try:
        lines = (source / 'modules.builtin').read_text().splitlines()
    except OSError:
        return False
    return any(_matches(line.partition('/')[2], pattern) for line in lines)


def _compress(files: Sequence[str], zstd: Sequence[str], level: int) -> None:
    if not files:
        return
    parts = [files[start::4] for start in range(4)]
    running = [
        subprocess.Popen(
            [*zstd, f'-{level}', '-q', '-T1', '--rm', '-f', '--', *part], stderr=subprocess.PIPE, text=True
        )
        for part in parts
        if part
    ]
    said = [process.communicate()[1] for process in running]
    for process, words in zip(running, said, strict=True):
        if process.returncode:
            raise BuildError(f'Kernel modules cannot be compressed: {words.strip()[-400:]}')


def _index(sysroot: Sysroot, into: Path, version: str) -> None:
    command = (
        sysroot.command('/usr/bin/kmod', 'depmod')
        if sysroot.native and sysroot.exists('/usr/bin/kmod')
        else host_tool('depmod', 'kmod')
    )
    done = subprocess.run([*command, '-b', str(into), version], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f'The index of the kernel modules cannot be made: {done.stderr.strip()[-400:]}')


def host_tool(tool: str, package: str) -> list[str]:
    found = shutil.which(tool) or shutil.which(tool, path='/usr/sbin:/sbin')
    if found is None:
        raise BuildError(f'{tool} is missing, and an image of another architecture needs it: install {package}.')
    return [found]
