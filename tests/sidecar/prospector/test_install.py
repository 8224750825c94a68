"""After an image was written: partition tables, seeds for cloud-init, UEFI's entries."""

import os
from pathlib import Path

import pytest

from substruct_sidecar.prospector.inside import efi, install, seed, tools, wipe

SFDISK = {
    'partitiontable': {
        'label': 'gpt', 'id': 'A', 'device': '/dev/nvme0n1', 'unit': 'sectors', 'sectorsize': 512,
        'partitions': [
            {'node': '/dev/nvme0n1p1', 'start': 227328, 'size': 20744159,
             'type': '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
             'uuid': 'AAAAAAAA-0000-0000-0000-000000000001'},
            {'node': '/dev/nvme0n1p14', 'start': 2048, 'size': 8192, 'type': '21686148-6449-6E6F-744E-656564454649',
             'uuid': 'AAAAAAAA-0000-0000-0000-00000000000E'},
            {'node': '/dev/nvme0n1p15', 'start': 10240, 'size': 217088, 'type': 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
             'uuid': 'AAAAAAAA-0000-0000-0000-00000000000F'},
        ],
    }
}  # fmt: skip


def test_a_partition_table_as_debians_cloud_images_have_it() -> None:
    table = install.table_of(SFDISK)
    assert table is not None
    assert [one.number for one in table.partitions] == [1, 14, 15]
    assert table.last is not None
    assert table.last.path == '/dev/nvme0n1p1', 'the first by its number is the last on the disk'
    assert [one.number for one in table.partitions if one.type == efi.ESP] == [15]


@pytest.mark.parametrize('said', [None, [], {}, {'partitiontable': None}, {'partitiontable': []}])
def test_a_disk_without_a_partition_table(said: object) -> None:
    assert install.table_of(said) is None


def test_a_table_without_partitions_has_no_last_one() -> None:
    table = install.table_of({'partitiontable': {'label': 'dos'}})
    assert table is not None
    assert table.last is None


class TestTheSeed:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for folder in ('etc', 'usr/lib', 'var/lib/cloud', 'usr/bin'):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / 'usr/lib/os-release').write_text('ID=debian\n')
        (tmp_path / 'etc/os-release').symlink_to('../usr/lib/os-release')
        return tmp_path

    def test_it_stands_where_cloud_init_looks(self, root: Path) -> None:
        seed.place(root, {'user-data': b'#cloud-config\n', 'meta-data': b'instance-id: 1\n'})
        folder = root / 'var/lib/cloud/seed/nocloud'
        assert sorted(path.name for path in folder.iterdir()) == ['meta-data', 'user-data']
        assert (folder / 'user-data').stat().st_mode & 0o777 == 0o600, 'it may hold secrets'

    def test_what_an_earlier_seed_had_goes(self, root: Path) -> None:
        seed.place(root, {'user-data': b'1', 'meta-data': b'1', 'network-config': b'1'})
        seed.place(root, {'user-data': b'2', 'meta-data': b'2'})
        folder = root / 'var/lib/cloud/seed/nocloud'
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {'user-data': b'2', 'meta-data': b'2'}

    def test_links_in_the_image_do_not_lead_out_of_it(
        self, root: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        outside = tmp_path_factory.mktemp('outside')
        (root / 'var/lib/cloud').rmdir()
        (root / 'var/lib/cloud').symlink_to(outside)
        seed.place(root, {'user-data': b'1', 'meta-data': b'1'})
        assert list(outside.iterdir()) == []
        assert (root / str(outside).lstrip('/') / 'seed/nocloud/user-data').exists()

    def test_a_file_of_the_seed_that_is_a_link_is_replaced(
        self, root: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        victim = tmp_path_factory.mktemp('victim') / 'file'
        victim.write_text('mine')
        folder = root / 'var/lib/cloud/seed/nocloud'
        folder.mkdir(parents=True)
        (folder / 'user-data').symlink_to(victim)
        seed.place(root, {'user-data': b'1', 'meta-data': b'1'})
        assert victim.read_text() == 'mine'

    def test_links_in_a_circle_are_an_error(self, root: Path) -> None:
        (root / 'var/lib/cloud').rmdir()
        (root / 'var/lib/cloud').symlink_to('cloud')
        with pytest.raises(OSError, match='circle'):
            seed.place(root, {'user-data': b'1', 'meta-data': b'1'})

    def test_an_image_that_had_booted_takes_itself_for_new(self, root: Path) -> None:
        (root / 'var/lib/cloud/instance').symlink_to('/var/lib/cloud/instances/i-1')
        seed.place(root, {'user-data': b'1', 'meta-data': b'1'})
        assert not os.path.lexists(root / 'var/lib/cloud/instance')

    def test_what_cloud_init_needs_beside_is_added(self) -> None:
        found = seed.complete({'network-config': b'version: 2\n'}, 'substruct-1')
        assert found['meta-data'] == b'instance-id: substruct-1\n'
        assert found['user-data'].startswith(b'#cloud-config\n')
        assert seed.complete({'meta-data': b'instance-id: mine\n'}, 'x')['meta-data'] == b'instance-id: mine\n'
        assert seed.complete({}, 'x') == {}, 'a build without any has no seed'

    def test_a_root_file_system_is_known_by_its_release(
        self, root: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        assert seed.is_root(root)
        assert not seed.is_root(tmp_path_factory.mktemp('boot'))

    def test_whether_an_image_has_cloud_init(self, root: Path) -> None:
        assert not seed.has_cloud_init(root)
        (root / 'usr/bin/cloud-init').touch()
        assert seed.has_cloud_init(root)


class TestWhatIsMountedOverTheSeed:
    @pytest.mark.parametrize(
        ('fstab', 'source'),
        [
            ('UUID=1 / ext4 defaults 0 1\n', None), ('', None), ('UUID=1 /var', None), ('UUID=1 /variable ext4', None),
            ('UUID=1 / xfs defaults 0 0\nUUID=2 /var xfs defaults 0 0\n', 'UUID=2'),
            ('#UUID=2 /var xfs\n/dev/mapper/vg-log /var/log xfs defaults\n', None),
            ('UUID=2 /var xfs\nUUID=3 /var/lib/ xfs\nUUID=4 /var/lib/cloud/seed/nocloud/x xfs\n', 'UUID=3'),
            ('LABEL="var" /var ext4', 'LABEL=var'), ('/swap none swap sw 0 0\n', None),
        ],
    )  # fmt: skip
    def test_it_is_the_nearest(self, fstab: str, source: str | None) -> None:
        found = seed.mount_over(fstab)
        assert (found.source if found else None) == source

    def test_a_subvolume(self) -> None:
        found = seed.mount_over('UUID=1 / btrfs defaults 0 0\nUUID=1 /var btrfs subvol=/@/var 0 0\n')
        assert found is not None
        assert (found.folder, found.subvolume) == ('var', '@/var')

    def test_the_seed_stands_in_it(self, tmp_path: Path) -> None:
        (tmp_path / 'lib/cloud').mkdir(parents=True)
        (tmp_path / 'lib/cloud/instance').symlink_to('/var/lib/cloud/instances/i-1')
        seed.place(tmp_path, {'user-data': b'1', 'meta-data': b'1'}, 'var')
        assert (tmp_path / 'lib/cloud/seed/nocloud/user-data').read_bytes() == b'1'
        assert not os.path.lexists(tmp_path / 'lib/cloud/instance')


def test_lvm_sees_the_disk_that_was_written_and_no_other() -> None:
    assert install.lvm_filter(['/dev/sda3']) == r'devices { filter = [ "a|^/dev/sda3$|", "r|.*|" ] }'


EFIBOOTMGR = """\
BootCurrent: 0001
Timeout: 0 seconds
BootOrder: 0001,0003,0000
BootNext: 0003
Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21-7614-4503-836e-8ab6f4662331)
Boot0001* UEFI PXEv4 (MAC:525400123456)\tPciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,1)/IPv4(0.0.0.00.0.0.0,0,0)
Boot0003* debian\tHD(15,GPT,aaaaaaaa-0000-0000-0000-00000000000f,0x2800,0x35000)/File(\\EFI\\debian\\shimx64.efi)
Boot0004  off\tHD(1,GPT,bbbbbbbb-0000-0000-0000-00000000000f,0x2800,0x35000)/File(\\EFI\\BOOT\\BOOTX64.EFI)
"""


class TestUefi:
    def test_entries_are_read(self) -> None:
        found = efi.parse(EFIBOOTMGR)
        assert (found.order, found.next) == (('0001', '0003', '0000'), '0003')
        assert sorted(found.paths) == ['0000', '0001', '0003', '0004']

    def test_an_entry_that_is_there_is_not_made_again(self) -> None:
        found = efi.parse(EFIBOOTMGR)
        guid = 'aaaaaaaa-0000-0000-0000-00000000000f'
        assert efi.has_entry(found, guid, 'EFI/debian/shimx64.efi')
        assert not efi.has_entry(found, guid, 'EFI/debian/grubx64.efi')
        assert not efi.has_entry(found, 'cccccccc-0000-0000-0000-00000000000f', 'EFI/debian/shimx64.efi')

    def test_entries_of_ours_for_a_disk_that_is_gone_are_stale(self) -> None:
        ours = EFIBOOTMGR.replace('* debian', '* Substruct: debian')
        there = 'aaaaaaaa-0000-0000-0000-00000000000f'
        assert efi.stale(efi.parse(ours), set()) == ['0003']
        assert efi.stale(efi.parse(ours), {there}) == []
        assert efi.stale(efi.parse(EFIBOOTMGR), set()) == [], 'entries of others are theirs'

    @pytest.mark.parametrize(
        ('files', 'loader'),
        [
            (['EFI/BOOT/BOOTX64.EFI', 'EFI/debian/grubx64.efi', 'EFI/debian/shimx64.efi'], 'EFI/debian/shimx64.efi'),
            (['EFI/BOOT/BOOTX64.EFI', 'EFI/ubuntu/grubx64.efi'], 'EFI/ubuntu/grubx64.efi'),
            (['EFI/BOOT/BOOTX64.EFI', 'EFI/BOOT/fbx64.efi'], 'EFI/BOOT/BOOTX64.EFI'),
            (['efi/boot/bootx64.efi'], 'efi/boot/bootx64.efi'),
            (['EFI/Microsoft/Boot/bootmgfw.efi', 'EFI/Boot/bootx64.efi'], 'EFI/Microsoft/Boot/bootmgfw.efi'),
            (['EFI/BOOT/BOOTAA64.EFI', 'EFI/debian/grubaa64.efi'], ''), ([], ''),
        ],
    )  # fmt: skip
    def test_the_loader_of_the_disk(self, files: list[str], loader: str) -> None:
        assert efi.loader_in(files, 'x86_64') == loader

    def test_an_entry_says_whose_it_is(self) -> None:
        assert efi.label_of('EFI/debian/shimx64.efi') == 'Substruct: debian'
        assert efi.label_of('EFI/BOOT/BOOTX64.EFI') == 'Substruct: disk'


HDPARM = """
/dev/sda:

ATA device, with non-removable media
Security:
\tMaster password revision code = 65534
\t\tsupported
\tnot\tenabled
\tnot\tlocked
\t{frozen}
\tnot\texpired: security count
\t\tsupported: enhanced erase
\t2min for SECURITY ERASE UNIT. 8min for ENHANCED SECURITY ERASE UNIT.
Logical Unit WWN Device Identifier: 5002538e4036f2a1
"""


def test_a_disk_that_erases_itself_says_how_long_it_takes() -> None:
    assert wipe.erase_minutes(HDPARM.format(frozen='not\tfrozen')) == 2


def test_a_disk_that_the_firmware_has_frozen_does_not_erase_itself() -> None:
    assert wipe.erase_minutes(HDPARM.format(frozen='\tfrozen')) is None
    assert wipe.erase_minutes('') is None


def test_a_disk_that_stays_locked_is_told_of_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *_: object, **__: object) -> tools.Done:
        if '-I' in command:
            return tools.Done(0, HDPARM.format(frozen='not\tfrozen'), '')
        if '--security-set-pass' in command:
            return tools.Done(0, '', '')
        raise tools.ToolError(f'{command[3]}: input/output error')

    monkeypatch.setattr(wipe, 'run', run)
    with pytest.raises(tools.ToolError, match=r'LOCKED with the password "substruct".*--security-disable substruct'):
        wipe._ata('/dev/sda')
