"""What machines of the rack install: the disk that is made without mounting it, and the cache that keeps it.

The image itself is made and booted by tests/e2e.
"""

import struct
import subprocess
from pathlib import Path

import pytest

from lab import confined, prospector
from lab.cli import main
from lab.errors import LabError
from lab.images import debian, disk, kept, tools
from lab.progress import Progress
from substruct_sidecar.prospector import recipe

SECTOR = disk.SECTOR


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('SUBSTRUCT_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def quiet() -> Progress:
    return Progress(lambda _text: None)


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with an empty root file system."""
    if lacking := tools.missing([name for name in debian.NEEDED if name not in ('mmdebstrap', 'zstd')]):
        pytest.skip(f'these packages are missing: {" ".join(lacking)}')
    folder = tmp_path_factory.mktemp('disk')
    found, log, identity = folder / 'disk.img', folder / 'log', disk.Identity('test')
    offset = disk.ROOT * disk.MIB
    tools.run('mke2fs', ['mke2fs', '-q', '-t', 'ext4', '-E', f'offset={offset}', found, '20M'], log)
    disk.partition(found, identity, log)
    disk.make_bootable(found, folder, identity, log)
    return found


def said_by(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], env=tools.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_partition_table_is_whole_and_the_root_file_system_is_last(made):
    assert 'No problems found' in said_by('sgdisk', '--verify', made)
    shown = said_by('sgdisk', '--print', made)
    assert [line.split()[5] for line in shown.splitlines() if line[:4].strip().isdigit()] == ['EF02', 'EF00', '8304']
    start = disk.ROOT * disk.MIB
    magic = made.read_bytes()[start + 1024 + 56 : start + 1024 + 58]
    assert magic == b'\x53\xef', 'the superblock of ext4 is where the partition begins'


def test_the_first_sector_leads_to_grubs_core_and_leaves_the_partition_table_alone(made):
    content = made.read_bytes()
    (sector,) = struct.unpack_from('<Q', content, disk.BOOT_KERNEL_SECTOR)
    assert sector * SECTOR == disk.BIOS_BOOT * disk.MIB
    following, length, segment = struct.unpack_from('<QHH', content, sector * SECTOR + disk.CORE_BLOCK_LIST)
    assert (following, segment) == (sector + 1, 0x820)
    core = content[sector * SECTOR : (sector + 1 + length) * SECTOR]
    assert any(core[-SECTOR:]), 'the last sector that is loaded holds something'
    assert not any(content[(sector + 1 + length) * SECTOR : disk.ESP * disk.MIB]), 'and nothing stands behind it'
    assert content[450] == 0xEE, 'the protective partition is there'
    assert content[510:512] == b'\x55\xaa'


def test_firmware_finds_the_loader_where_it_looks_without_being_told(made):
    listed = said_by('mdir', '-b', '-/', '-i', f'{made}@@{disk.ESP}M', '::')
    assert 'EFI/BOOT/BOOTX64.EFI' in listed


def test_a_core_that_is_too_large_for_its_partition_is_refused(tmp_path):
    with pytest.raises(ValueError, match='its partition'):
        disk.write_bios_loader(tmp_path / 'disk.img', bytes(SECTOR), bytes(2 * disk.MIB))


def test_what_is_made_is_made_once_and_whole(cache, quiet):
    calls = []

    def make(folder: Path) -> dict[str, int]:
        calls.append(folder)
        (folder / 'image').write_text('content')
        return {'answer': 42}

    first = kept.ensure('thing', {'version': 1}, make, quiet)
    assert (first.folder / 'image').read_text() == 'content'
    assert kept.ensure('thing', {'version': 1}, make, quiet).about['answer'] == 42
    assert len(calls) == 1
    for version in (2, 3):
        kept.ensure('thing', {'version': version}, make, quiet)
    assert len(calls) == 3
    assert not first.folder.exists(), 'of each kind the newest two are kept'


def test_what_fails_leaves_nothing_that_looks_made(cache, quiet):
    def fail(folder: Path) -> dict[str, int]:
        (folder / 'half').write_text('half')
        raise LabError('the disk is full')

    for _ in range(2):
        with pytest.raises(LabError, match='full'):
            kept.ensure('thing', {}, fail, quiet)
    assert kept.everything() == []
    assert not list(cache.rglob('half'))


def test_missing_programs_are_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(tools, 'there', lambda name: name != 'sgdisk')
    with pytest.raises(LabError, match=r'missing: gdisk\n.*apt-get install .* gdisk'):
        tools.need('the Debian disk image', debian.NEEDED)


def test_debian_comes_from_where_this_machine_has_it_or_from_debian_itself():
    found = debian.sources()
    assert all(line.startswith('deb ') and line.endswith(' main') for line in found)
    assert any(f' {debian.SUITE} ' in line for line in found)


def test_where_apt_knows_no_debian_the_prospector_is_made_from_debians_own_servers(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, 'hosts', lambda field, value: [])
    found, built_in = recipe.read(prospector._recipe(tmp_path)), recipe.read(recipe.built_in())
    assert any(' http://deb.debian.org/debian bookworm ' in line for line in found.packages.sources)
    assert found.packages.install == built_in.packages.install
    assert found.kernel == built_in.kernel


def test_who_has_no_users_of_his_own_is_told_so_before_anything_is_made(monkeypatch, cache):
    monkeypatch.setattr(debian, '_lacks_users', lambda: 'lines in /etc/subuid')
    assert 'lines in /etc/subuid' in debian.lacks()
    made = kept.images_folder() / f'{debian.NAME}-{kept.key(debian.recipe())}'
    made.mkdir(parents=True)
    (made / 'about.json').write_text('{}')
    assert debian.lacks() == [], 'unless it is made already'


def test_emptying_the_cache_leaves_nothing_in_it(cache, quiet, monkeypatch):
    monkeypatch.setattr(confined, 'is_on', lambda: True)
    assert Path(confined.program('named')).parent == confined.folder()
    kept.ensure('thing', {}, lambda folder: {}, quiet)
    (cache / 'prospector/x86_64-1').mkdir(parents=True)
    (cache / 'prospector/x86_64-1/vmlinuz').write_bytes(bytes(4096))
    assert (cache / 'prospector/x86_64-1', 4096) in prospector.everything()
    assert main(['cache', '--empty']) == 0
    assert not [path for path in cache.rglob('*') if path.is_file() and path.name != 'lock']
