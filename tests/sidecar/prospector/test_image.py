"""Writing an image to a disk: over broken connections, in every compression, and never a wrong one."""

import bz2
import gzip
import hashlib
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from substruct_sidecar.prospector.inside import image
from substruct_sidecar.prospector.inside.report import Failed
from substruct_sidecar.prospector.inside.stream import Fetch

from .serving import Server

MIB = 1 << 20


def zstd(data: bytes) -> bytes:
    if shutil.which('zstd') is None:
        pytest.skip('zstd is not installed')
    return subprocess.run(['zstd', '-q', '-c'], input=data, stdout=subprocess.PIPE, check=True).stdout


def random_image(size: int = 5 * MIB + 512) -> bytes:
    """With a boot sector, something everywhere, and a hole of nothing in the middle."""
    chance = random.Random(size)
    data = bytearray(chance.randbytes(size))
    data[510:512] = b'\x55\xaa'
    data[2 * MIB : 4 * MIB] = bytes(2 * MIB)
    return bytes(data)


IMAGE = random_image()
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    'raw': bytes, 'gzip': lambda data: gzip.compress(data, 1), 'xz': lambda data: lzma.compress(data, preset=0),
    'bzip2': lambda data: bz2.compress(data, 1), 'zstd': zstd,
}  # fmt: skip


@cache
def compressed(name: str) -> bytes:
    return COMPRESSIONS[name](IMAGE)


class Disk:
    """A file that stands for a disk, with an old system on it."""

    def __init__(self, path: Path, size: int = 8 * MIB) -> None:
        self.path = path
        path.write_bytes(b'OLD!' * (size // 4))
        self.said: list[str] = []
        self.progress: list[tuple[int, int | None, int]] = []

    def write(self, url: str, sha256: str = '') -> image.Written:
        return image.write(
            url, sha256, str(self.path), self.said.append,
            lambda fetched, size, written: self.progress.append((fetched, size, written)),
            lambda url: Fetch(url, self.said.append, sleep=lambda seconds: None, silence=5.0),
        )  # fmt: skip

    @property
    def boots(self) -> bool:
        """Whether a firmware would find anything at its beginning or its end."""
        data = self.path.read_bytes()
        return any(data[:MIB]) or any(data[-MIB:])


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / 'disk')


@pytest.mark.parametrize('name', COMPRESSIONS)
def test_an_image_is_on_the_disk_byte_for_byte(name: str, server: Server, disk: Disk) -> None:
    served = server.files['/image'] = compressed(name)
    sha256 = hashlib.sha256(served).hexdigest()
    done = disk.write(f'{server.url}/image', sha256)
    assert disk.path.read_bytes()[: len(IMAGE)] == IMAGE
    assert (done.fetched, done.written, done.sha256, done.checked) == (len(served), len(IMAGE), sha256, True)
    assert disk.progress[-1][:2] == (len(served), len(served))


@pytest.mark.parametrize('name', COMPRESSIONS)
def test_it_goes_on_where_the_connection_broke_off(name: str, server: Server, disk: Disk) -> None:
    served = server.files['/image'] = compressed(name)
    server.cut = [300_000, 0, 1_000_000]
    disk.write(f'{server.url}/image', hashlib.sha256(served).hexdigest())
    assert disk.path.read_bytes()[: len(IMAGE)] == IMAGE
    assert server.asked[1] == '/image bytes=300000-'
    assert any('trying again' in words for words in disk.said)


def test_a_server_that_knows_no_ranges_begins_anew_and_what_is_there_is_skipped(server: Server, disk: Disk) -> None:
    server.files['/image'] = IMAGE
    server.ranges, server.cut = False, [1_500_000, 2_500_000]
    disk.write(f'{server.url}/image', hashlib.sha256(IMAGE).hexdigest())
    assert disk.path.read_bytes()[: len(IMAGE)] == IMAGE


def test_a_server_that_is_away_for_a_while_is_waited_for(server: Server, disk: Disk) -> None:
    server.files['/image'] = IMAGE
    server.errors = [503, 502, 500]
    disk.write(f'{server.url}/image')
    assert disk.path.read_bytes()[: len(IMAGE)] == IMAGE


def test_a_file_that_changes_in_between_is_refused(server: Server, disk: Disk) -> None:
    server.files['/image'] = IMAGE
    server.cut = [2 * MIB]
    fetch = Fetch(f'{server.url}/image', lambda words: setattr(server, 'etag', '"two"'), sleep=lambda seconds: None)
    with pytest.raises(Failed, match='has changed while it was fetched'):
        image.write(fetch.url, '', str(disk.path), disk.said.append, lambda *_: None, lambda url: fetch)
    assert not disk.boots


@pytest.mark.parametrize('name', COMPRESSIONS)
def test_an_image_with_a_wrong_hash_leaves_nothing_that_boots(name: str, server: Server, disk: Disk) -> None:
    server.files['/image'] = compressed(name)
    with pytest.raises(Failed, match='SHA-256'):
        disk.write(f'{server.url}/image', '0' * 64)
    assert not disk.boots
    assert any('without a partition table' in words for words in disk.said)


def test_a_wrong_image_as_large_as_the_disk_leaves_no_second_partition_table(server: Server, disk: Disk) -> None:
    server.files['/image'] = random_image(8 * MIB)
    with pytest.raises(Failed):
        disk.write(f'{server.url}/image', '0' * 64)
    assert not disk.boots


def test_nothing_boots_from_the_disk_until_the_hash_is_known(server: Server, disk: Disk) -> None:
    server.files['/image'] = IMAGE
    seen = []

    def progress(*_: object) -> None:
        seen.append(disk.boots)

    image.write(f'{server.url}/image', '', str(disk.path), disk.said.append, progress)
    assert len(seen) > 3
    assert not any(seen[:-1])
    assert disk.boots


@pytest.mark.parametrize('name', [name for name in COMPRESSIONS if name != 'raw'])
def test_a_damaged_file_is_a_failure(name: str, server: Server, disk: Disk) -> None:
    served = bytearray(compressed(name))
    served[len(served) // 2 : len(served) // 2 + 2000] = bytes(2000)
    server.files['/image'] = bytes(served)
    with pytest.raises(Failed, match='damaged'):
        disk.write(f'{server.url}/image')
    assert not disk.boots


@pytest.mark.parametrize('name', [name for name in COMPRESSIONS if name != 'raw'])
def test_a_file_that_ends_too_early_is_a_failure(name: str, server: Server, disk: Disk) -> None:
    served = compressed(name)
    server.files['/image'] = served[: len(served) // 2]
    with pytest.raises(Failed, match='damaged'):
        disk.write(f'{server.url}/image')
    assert not disk.boots


@pytest.mark.parametrize('name', COMPRESSIONS)
def test_a_disk_that_is_too_small_is_refused(name: str, server: Server, tmp_path: Path) -> None:
    disk = Disk(tmp_path / 'disk', 3 * MIB)
    server.files['/image'] = compressed(name)
    with pytest.raises(Failed, match=r'too small|larger than the disk'):
        disk.write(f'{server.url}/image')


@pytest.mark.parametrize('name', ['raw', 'zstd'])
def test_a_disk_that_can_be_seen_to_be_too_small_is_left_as_it_is(name: str, server: Server, tmp_path: Path) -> None:
    disk = Disk(tmp_path / 'disk', 3 * MIB)
    if name == 'zstd':
        # Out of a file, so that the size is in its header.
        source = tmp_path / 'image'
        source.write_bytes(IMAGE)
        zstd(b'')
        server.files['/image'] = subprocess.run(
            ['zstd', '-q', '-c', str(source)], stdout=subprocess.PIPE, check=True
        ).stdout
    else:
        server.files['/image'] = IMAGE
    before = disk.path.read_bytes()
    with pytest.raises(Failed, match='too small'):
        disk.write(f'{server.url}/image')
    assert disk.path.read_bytes() == before


@pytest.mark.parametrize(
    ('beginning', 'name'),
    [(b'QFI\xfb\0\0\0\x03', 'qcow2'), (b'KDMV', 'VMDK'), (b'vhdxfile', 'VHDX'), (b'PK\x03\x04', 'ZIP'),
     (b'<!DOCTYPE html>', 'web page'), (b'\x04\x22\x4d\x18', 'lz4'), (b'\0' * 257 + b'ustar', 'tar')],
)  # fmt: skip
def test_what_is_no_disk_image_is_refused_before_anything_is_destroyed(
    beginning: bytes, name: str, server: Server, disk: Disk
) -> None:
    server.files['/image'] = beginning + bytes(100_000)
    before = disk.path.read_bytes()
    with pytest.raises(Failed, match=name):
        disk.write(f'{server.url}/image')
    assert disk.path.read_bytes() == before


def test_what_is_no_disk_image_is_refused_inside_of_a_compressed_file_too(server: Server, disk: Disk) -> None:
    server.files['/image'] = gzip.compress(b'QFI\xfb' + bytes(100_000))
    with pytest.raises(Failed, match='qcow2'):
        disk.write(f'{server.url}/image')


@pytest.mark.parametrize(
    'content',
    [b'7z\xbc\xaf\x27\x1c' + bytes(5000), b'\n{"error": "not today"}', b'\x50\x2a\x4d\x18\0\0\0\0' + bytes(5000)],
    ids=['an archive', 'an answer of a program', 'zstd that begins with a frame to skip'],
)  # fmt: skip
def test_what_no_firmware_would_start_is_no_image(content: bytes, server: Server, disk: Disk) -> None:
    server.files['/image'] = content
    with pytest.raises(Failed, match='neither a boot sector nor a partition table'):
        disk.write(f'{server.url}/image', hashlib.sha256(content).hexdigest())
    assert not disk.boots


@pytest.mark.parametrize(('made', 'sector'), [(512, 4096), (4096, 512)])
def test_an_image_for_disks_with_other_sectors_is_refused(
    made: int, sector: int, server: Server, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, 'sector_of', lambda stream: sector)
    found = bytearray(IMAGE)
    found[made : made + 8] = b'EFI PART'
    server.files['/image'] = bytes(found)
    with pytest.raises(Failed, match=f'sectors of {made} bytes, and this disk has sectors of {sector}'):
        disk.write(f'{server.url}/image')
    assert not disk.boots
    monkeypatch.setattr(image, 'sector_of', lambda stream: made)
    disk.write(f'{server.url}/image')


def test_a_missing_image_is_a_failure_and_the_disk_is_left_as_it_is(server: Server, disk: Disk) -> None:
    before = disk.path.read_bytes()
    with pytest.raises(Failed, match='404'):
        disk.write(f'{server.url}/image')
    assert disk.path.read_bytes() == before


def test_an_empty_image_is_a_failure(server: Server, disk: Disk) -> None:
    server.files['/image'] = b''
    with pytest.raises(Failed, match='empty'):
        disk.write(f'{server.url}/image')


def test_a_disk_that_is_not_there_is_a_failure(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Failed, match='cannot be opened'):
        image.write(f'{server.url}/image', '', str(tmp_path / 'none'), print, lambda *_: None)


def test_without_a_hash_it_is_written_and_said_to_be_unchecked(server: Server, disk: Disk) -> None:
    server.files['/image'] = IMAGE
    server.length = False
    assert disk.write(f'{server.url}/image').checked is False
    assert disk.path.read_bytes()[: len(IMAGE)] == IMAGE


def test_both_ends_of_a_disk_are_cleared(disk: Disk) -> None:
    with disk.path.open('r+b', buffering=0) as stream:
        image.clear(stream, 8 * MIB)
    assert not disk.boots
    assert any(disk.path.read_bytes()[MIB:-MIB])
