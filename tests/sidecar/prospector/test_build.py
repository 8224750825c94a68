"""Making the image: what gets into it, and that it is the same every time."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from substruct_sidecar.cli import main
from substruct_sidecar.prospector import build, cpio, elf, modules, recipe
from substruct_sidecar.prospector.errors import BuildError
from substruct_sidecar.prospector.recipe import Kernel
from substruct_sidecar.prospector.sysroot import Sysroot

needs_apt = pytest.mark.skipif(
    shutil.which('apt-get') is None, reason='apt-get is not installed: no packages to build of'
)


def unpacked(data: bytes) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and content of an archive in the format newc, by name; read by its description, not by our writer."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b'070701'
        fields = [int(data[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        begin = (at + 110 + fields[11] + 3) & ~3
        if name == 'TRAILER!!!':
            return found
        assert fields[2] == fields[3] == 0, 'everything is root’s'
        found[name] = (fields[1], fields[5], data[begin : begin + fields[6]])
        at = (begin + fields[6] + 3) & ~3


class TestArchives:
    ENTRIES = (
        cpio.file('usr/bin/tool', b'#!', 0o755), cpio.link('bin', 'usr/bin'), cpio.file('a-b', b'12345'),
        cpio.file('a/b', b''), cpio.character_device('dev/console', 5, 1, 0o600), cpio.folder('tmp', 0o1777),
    )  # fmt: skip

    def write(self, entries: object) -> bytes:
        stream = io.BytesIO()
        cpio.write(stream, entries, 1735689600)  # type: ignore[arg-type]
        return stream.getvalue()

    def test_the_order_of_the_entries_changes_nothing(self) -> None:
        assert self.write(self.ENTRIES) == self.write(self.ENTRIES[::-1])

    def test_folders_come_before_what_is_in_them(self) -> None:
        names = list(unpacked(self.write(self.ENTRIES)))
        assert names == ['a', 'a/b', 'a-b', 'bin', 'dev', 'dev/console', 'tmp', 'usr', 'usr/bin', 'usr/bin/tool']

    def test_modes_links_and_times(self) -> None:
        found = unpacked(self.write(self.ENTRIES))
        assert found['usr/bin/tool'] == (stat.S_IFREG | 0o755, 1735689600, b'#!')
        assert found['bin'] == (stat.S_IFLNK | 0o777, 1735689600, b'usr/bin')
        assert found['tmp'][0] == stat.S_IFDIR | 0o1777
        assert stat.S_ISCHR(found['dev/console'][0])

    @pytest.mark.skipif(shutil.which('cpio') is None, reason='cpio is not installed')
    def test_cpio_reads_it(self) -> None:
        listed = subprocess.run(['cpio', '-t'], input=self.write(self.ENTRIES), stdout=subprocess.PIPE, check=True)
        assert b'usr/bin/tool' in listed.stdout


class TestElf:
    def test_a_program_says_what_it_needs(self) -> None:
        found = elf.linked(Path(shutil.which('ls') or '/bin/ls').resolve().read_bytes())
        assert found.loader.startswith('/lib')
        assert any(name.startswith('libc.so') for name in found.needed)

    @pytest.mark.parametrize('data', [b'', b'#!/bin/sh', b'\x7fELF', b'\x7fELF\x02\x01' + b'\xff' * 100])
    def test_what_is_none_is_an_error(self, data: bytes) -> None:
        with pytest.raises(elf.NotElf):
            elf.linked(data)


class TestModules:
    PATHS = frozenset((
        'drivers/net/ethernet/intel/e1000e/e1000e.ko', 'drivers/net/ethernet/mellanox/mlxsw/mlxsw_core.ko',
        'drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko', 'drivers/net/virtio_net.ko', 'sound/core/snd.ko',
        'fs/xfs/xfs.ko', 'lib/libcrc32c.ko', 'drivers/ata/pata_amd.ko', 'drivers/ata/ahci.ko',
    ))  # fmt: skip

    def test_folders_patterns_and_names(self) -> None:
        kernel = Kernel(
            modules=['drivers/net/ethernet', 'drivers/net/virtio_net.ko', 'fs/x*', 'drivers/ata'],
            without=['drivers/net/ethernet/mellanox/mlxsw', 'drivers/ata/pata_*'],
        )
        found = {path.rpartition('/')[2] for path in modules.chosen(self.PATHS, kernel)}
        assert found == {'e1000e.ko', 'mlx5_core.ko', 'virtio_net.ko', 'xfs.ko', 'ahci.ko'}

    def test_what_they_need_comes_with_them_however_it_is_spelled(self) -> None:
        class Info:
            def needs(self, path: str) -> list[str]:
                return {'a.ko': ['b_c'], 'x/b-c.ko': ['d', 'built_in'], 'd.ko': ['a']}[path]

        available = {'a': 'a.ko', 'b_c': 'x/b-c.ko', 'd': 'd.ko', 'e': 'e.ko'}
        found = modules.with_dependencies({'a.ko'}, available, Info())  # type: ignore[arg-type]
        assert found == {'a.ko', 'x/b-c.ko', 'd.ko'}


class TestSysroots:
    @pytest.fixture
    def sysroot(self, tmp_path: Path) -> Sysroot:
        for folder in ('usr/bin', 'usr/lib/x86_64-linux-gnu', 'etc/alternatives'):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / 'bin').symlink_to('usr/bin')
        (tmp_path / 'usr/bin/tool').write_text('#!')
        (tmp_path / 'usr/bin/tool').chmod(0o755)
        (tmp_path / 'etc/alternatives/t').symlink_to('/usr/bin/tool')
        (tmp_path / 'usr/bin/t').symlink_to('/etc/alternatives/t')
        (tmp_path / 'usr/bin/outside').symlink_to('../../../../../../etc/passwd')
        (tmp_path / 'usr/bin/round').symlink_to('round')
        return Sysroot(tmp_path, 'x86_64')

    def test_links_are_followed_inside(self, sysroot: Sysroot) -> None:
        assert sysroot.real('/bin/t') == '/usr/bin/tool'
        assert sysroot.real('/usr/bin/outside') == '', 'the host has it, the packages do not'
        assert sysroot.real('/usr/bin/round') == ''

    def test_the_links_on_the_way_come_along(self, sysroot: Sysroot) -> None:
        found = {entry.path: entry for entry in sysroot.gather(['/usr/bin/t'], [], []).entries()}
        assert sorted(found) == ['etc/alternatives/t', 'usr/bin/t', 'usr/bin/tool']
        assert stat.S_ISLNK(found['usr/bin/t'].mode)
        assert found['usr/bin/tool'].mode & 0o777 == 0o755

    def test_everything_that_is_missing_is_said_at_once(self, sysroot: Sysroot) -> None:
        with pytest.raises(BuildError, match='No package has /no/one, /no/two, which'):
            sysroot.gather(['/no/one', '/usr/bin/tool', '/no/two'], ['/no/three'], [])

    def test_a_library_that_no_package_has_is_said_with_who_needs_it(self, sysroot: Sysroot) -> None:
        shutil.copy(Path(shutil.which('ls') or '/bin/ls').resolve(), sysroot.root / 'usr/bin/ls')
        loader = elf.linked((sysroot.root / 'usr/bin/ls').read_bytes()).loader
        (sysroot.root / loader.lstrip('/')).parent.mkdir(parents=True, exist_ok=True)
        (sysroot.root / loader.lstrip('/')).touch()
        with pytest.raises(BuildError, match='/usr/bin/ls needs the library lib'):
            sysroot.gather(['/usr/bin/ls'], [], [])


class TestRecipes:
    def test_the_built_in_one_is_well_formed(self) -> None:
        found = recipe.read(recipe.built_in())
        assert found.name == 'debian'
        assert set(found.kernel.package) <= set(recipe.ARCHITECTURES)

    @pytest.mark.parametrize(
        ('text', 'words'),
        [
            ('format = 2\nname = "x"\n[packages]\ninstall = []\n', 'has format 2'), ('name =', 'is not TOML'),
            ('format = 1\nname = "x"\n', 'packages'), ('format = 1\nname = "x"\n[package]\n', 'package'),
            ('format = 1\nname = "x"\ncompression = 25\n[packages]\ninstall = []\n', 'levels 1 to 19'),
            (
                ('format = 1\nname = "x"\n[packages]\ninstall = []\n[base.x86_64]\ninitrds = []\n'
                '[base.x86_64.kernel]\nurl = "http://b"\nsha256 = "1"\n'),
                'http://b needs its sha256',
            ),
        ],
    )  # fmt: skip
    def test_a_fault_names_the_file_and_the_place(self, text: str, words: str, tmp_path: Path) -> None:
        path = tmp_path / 'own.toml'
        path.write_text(text)
        with pytest.raises(BuildError, match=words) as error:
            recipe.read(path)
        assert 'own.toml' in str(error.value)

    def test_a_recipe_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match='cannot be read: No such file'):
            recipe.read(tmp_path / 'none')


# Small, and without a kernel of its own: what it is appended to stands for another system's.
TINY = """\
format = 1
name = 'tiny'
compression = 3
[packages]
install = ['busybox', 'python3-minimal', 'libpython3-stdlib', 'zstd']
optional = ['no-such-package']
[files]
include = ['/usr/bin/busybox', '/usr/bin/python3', '/usr/bin/zstd', '/usr/lib/python3.*/json', '/usr/lib/python3.*/re']
links = {{ '/usr/bin/tool' = 'busybox' }}
local = {{ '/etc/site' = '{folder}/site' }}
[base.{architecture}]
kernel = {{ url = 'file://{folder}/vmlinuz', sha256 = '{kernel}' }}
initrds = [{{ url = 'file://{folder}/theirs', sha256 = '{theirs}' }}]
"""


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return recipe_in(tmp_path)


def recipe_in(tmp_path: Path) -> Path:
    theirs = gzip.compress(TestArchives().write([cpio.file('etc/theirs', b'1'), cpio.file('init', b'theirs')]), mtime=0)
    for name, content in (('vmlinuz', b'kernel'), ('theirs', theirs), ('site', b'ours')):
        (tmp_path / name).write_bytes(content)
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ('vmlinuz', 'theirs')}
    path = tmp_path / 'tiny.toml'
    path.write_text(
        TINY.format(
            folder=tmp_path, architecture=os.uname().machine, kernel=digests['vmlinuz'], theirs=digests['theirs']
        )
    )
    return path


def make(source: Path, output: Path, cache: Path) -> build.Manifest:
    return build.build(source, os.uname().machine, output, cache, lambda words: None)


def archives(data: bytes) -> list[bytes]:
    """The archives that were compressed one by one, in their order; zeros stand between them."""
    found = []
    while data := data.lstrip(b'\0'):
        # zstd(1) takes what is not followed by its mark for damage, so it is given one after the other.
        end = data.find(b'\x28\xb5\x2f\xfd', 4)
        end = len(data) if end < 0 else end
        part = data[:end].rstrip(b'\0')
        for padding in range(4):
            done = subprocess.run(['zstd', '-dc'], input=part + bytes(padding), capture_output=True)
            if done.returncode == 0:
                found.append(done.stdout)
                break
        else:
            raise AssertionError('it cannot be decompressed')
        data = data[end:]
    return found


class Built(NamedTuple):
    recipe: Path
    output: Path
    manifest: build.Manifest

    @property
    def folder(self) -> Path:
        return self.output / os.uname().machine


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Built:
    """One image for all who only look at it."""
    folder = tmp_path_factory.mktemp('built')
    source = recipe_in(folder)
    return Built(source, folder / 'out', make(source, folder / 'out', cache))


@needs_apt
class TestImages:
    def test_the_same_packages_give_the_same_bytes(
        self, built: Built, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.rmtree(cache / 'systems')
        monkeypatch.setenv('TZ', 'Pacific/Kiritimati')
        monkeypatch.setenv('LC_ALL', 'C.UTF-8')
        previous = os.umask(0o077)
        try:
            again = make(built.recipe, tmp_path, cache)
        finally:
            os.umask(previous)
        assert again == built.manifest
        for name in ('vmlinuz', 'initrd.img', 'manifest.json'):
            other = tmp_path / os.uname().machine / name
            assert other.read_bytes() == (built.folder / name).read_bytes(), name
            assert other.stat().st_mode & 0o777 == 0o644

    def test_out_of_the_cache_it_has_the_same_bytes(self, built: Built, tmp_path: Path, cache: Path) -> None:
        said: list[str] = []
        again = build.build(built.recipe, os.uname().machine, tmp_path, cache, said.append)
        assert again == built.manifest
        assert 'the system is in the cache: nothing of it has changed' in said

    def test_what_is_in_it(self, built: Built) -> None:
        whole = (built.folder / 'initrd.img').read_bytes()
        theirs = (built.recipe.parent / 'theirs').read_bytes()
        assert whole.startswith(theirs), 'the other system’s comes first'
        files: dict[str, tuple[int, int, bytes]] = {}
        for part in archives(whole[len(theirs) :]):
            files |= unpacked(part)
        assert files['etc/site'][2] == b'ours'
        assert files['init'][2].startswith(b'#!/usr/bin/busybox sh'), 'and ours takes over'
        assert files['usr/bin/tool'][2] == b'busybox'
        assert any(name.endswith('libc.so.6') for name in files), 'libraries come along'
        assert not any(name.endswith('.py') for name in files), 'byte code is all that is needed'
        assert 'usr/lib/prospector/prospector/main.pyc' in files
        assert {time for _, time, _ in files.values()} == {build.EPOCH}
        names = {package.name for package in built.manifest.packages}
        assert {'busybox', 'libc6'} <= names
        assert 'no-such-package' not in names

    def test_a_failed_build_leaves_what_was_there(self, built: Built, tiny: Path, cache: Path) -> None:
        tiny.write_text(tiny.read_text().replace("'/usr/bin/zstd'", "'/usr/bin/nothing'"))
        with pytest.raises(BuildError, match='/usr/bin/nothing'):
            make(tiny, built.output, cache)
        assert build.manifest_of(built.folder) == built.manifest
        assert list(build.damage(built.folder, built.manifest)) == []
        assert [path.name for path in built.output.iterdir()] == [os.uname().machine], 'nothing is left beside'
        assert not list(cache.glob('prospector-*'))

    def test_a_package_that_nobody_has(self, tiny: Path, tmp_path: Path, cache: Path) -> None:
        tiny.write_text(tiny.read_text().replace("'zstd']", "'zstd', 'no-such-package']"))
        with pytest.raises(BuildError, match='Unable to locate package no-such-package'):
            make(tiny, tmp_path / 'out', cache)

    def test_a_base_that_is_another_file_is_refused(self, tiny: Path, tmp_path: Path, cache: Path) -> None:
        shutil.rmtree(cache / 'files', ignore_errors=True)
        (tmp_path / 'vmlinuz').write_bytes(b'another kernel')
        with pytest.raises(BuildError, match='and the recipe says'):
            make(tiny, tmp_path / 'out', cache)

    def test_what_was_changed_later_is_seen(
        self, built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(built.output, tmp_path / 'out')
        arguments = ['prospector', 'show', '--output', str(tmp_path / 'out'), '--arch', os.uname().machine]
        assert main(arguments) == 0
        assert 'recipe tiny' in capsys.readouterr().out
        (tmp_path / 'out' / os.uname().machine / 'vmlinuz').write_bytes(b'else')
        assert main(arguments) == 1
        assert 'has been changed since it was built' in capsys.readouterr().out


def test_the_program_runs_on_the_images_python() -> None:
    """Nothing newer than Debian's Python 3.11: what the compiler of this Python takes may be too new."""
    import ast

    folder = Path(build.__file__).parent / 'inside'
    for path in folder.rglob('*.py'):
        ast.parse(path.read_text(), feature_version=(3, 11))


def test_the_program_uses_only_what_the_image_has() -> None:
    """The modules of the standard library that the recipe leaves out, and everything that is not in it."""
    code = (
        'import sys, pkgutil, importlib, substruct_sidecar.prospector.inside as inside\n'
        'before = set(sys.modules)\n'
        'for found in pkgutil.walk_packages(inside.__path__, inside.__name__ + "."):\n'
        '    importlib.import_module(found.name)\n'
        'print("\\n".join(sorted(set(sys.modules) - before)))'
    )
    tree = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': f'{tree}/sidecar'}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    foreign = {name.partition('.')[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert foreign <= {'substruct_sidecar'}
    left_out = {'asyncio', 'unittest', 'xml', 'tkinter', 'multiprocessing', 'sqlite3', 'ctypes'}
    assert not left_out & {name.partition('.')[0] for name in done.stdout.split()}


@pytest.mark.parametrize('arguments', [['build', '--arch', 'vax'], ['show']])
def test_the_command_line_says_what_is_wrong(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['prospector', *arguments, '--output', str(tmp_path)]) == 1
    said = ''.join(capsys.readouterr())
    assert 'vax' in said or 'There is no prospector' in said
