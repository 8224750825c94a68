"""Which disk an image is written to: that one, or none."""

from typing import Any

import pytest

from substruct_sidecar.prospector.inside import choice

GB = 10**9


def disk(name: str, size: int, transport: str = 'sata', **more: Any) -> choice.Disk:
    return {
        'path': f'/dev/{name}', 'size_bytes': size, 'transport': transport, 'removable': False, 'read_only': False,
        'by_id': [f'/dev/disk/by-id/ata-{name}'], 'by_path': f'/dev/disk/by-path/pci-{name}', **more,
    }  # fmt: skip


BOOT = disk('nvme0n1', 480 * GB, 'nvme', serial='S64GNE0R700', wwn='eui.0025385b71b00d20', model='SAMSUNG')
DATA = disk('sda', 4000 * GB, serial='WAF123AB', wwn='0x5000c500a1b2c3d4')
OTHER = disk('sdb', 4000 * GB, serial='WAF123AC', wwn='0x5000c500a1b2c3d5')
STICK = disk('sdc', 16 * GB, 'usb', removable=True)
LUN = disk('sdd', 100 * GB, 'fc', serial='LUN1')
DISKS = [DATA, BOOT, OTHER, STICK, LUN]


@pytest.mark.parametrize(
    ('wanted', 'meant'),
    [
        ('/dev/sda', DATA), ('nvme0n1', BOOT), ('/dev/disk/by-id/ata-sdb', OTHER), ('/dev/disk/by-path/pci-sda', DATA),
        ('disk/by-id/ata-sda', DATA), ('serial=S64GNE0R700', BOOT), ('serial=waf123ac', OTHER),
        ('wwn=0x5000c500a1b2c3d5', OTHER), ('wwn=5000C500A1B2C3D5', OTHER), ('wwn=naa.5000c500a1b2c3d5', OTHER),
        ('WWN=50:00:c5:00:a1:b2:c3:d5', OTHER), ('wwn=0025385b71b00d20', BOOT), ('smallest', BOOT),
        ('/dev/sdc', STICK), ('serial=LUN1', LUN),
    ],
)  # fmt: skip
def test_a_disk_is_found_by_all_its_names(wanted: str, meant: choice.Disk) -> None:
    assert choice.choose(DISKS, wanted) is meant


@pytest.mark.parametrize(
    'wanted',
    ['/dev/sdz', 'serial=', 'serial=NONE', 'wwn=', 'wwn=0x', '/dev/disk/by-id/ata', '../../dev/sda', 'largest', '/'],
)
def test_what_names_no_disk_is_refused_with_a_list_of_all(wanted: str) -> None:
    with pytest.raises(choice.NoChoice, match=r'There is no disk .*/dev/sda 4000\.0 GB .*serial=WAF123AB'):
        choice.choose(DISKS, wanted)


def test_without_a_word_nothing_is_written() -> None:
    with pytest.raises(choice.NoChoice, match='No disk is named'):
        choice.choose([DATA], '')


def test_only_is_the_one_of_the_machine_itself() -> None:
    assert choice.choose([STICK, LUN, BOOT], 'only') is BOOT


def test_only_among_several_is_refused() -> None:
    with pytest.raises(choice.NoChoice, match='this machine has 3 disks') as refused:
        choice.choose(DISKS, 'only')
    assert '/dev/sdc' not in str(refused.value), 'the memory stick was not meant'


def test_only_is_refused_where_there_is_none() -> None:
    with pytest.raises(choice.NoChoice, match='has no disk of its own'):
        choice.choose([STICK, LUN, disk('sde', GB, read_only=True)], 'only')


def test_the_smallest_of_two_equals_is_refused() -> None:
    with pytest.raises(choice.NoChoice, match='several of the same size'):
        choice.choose([DATA, OTHER], 'smallest')


def test_two_disks_with_one_serial_number_are_refused() -> None:
    twins = [disk('sda', GB, serial='0001'), disk('sdb', GB, serial='0001')]
    with pytest.raises(choice.NoChoice, match='is not one disk but 2'):
        choice.choose(twins, 'serial=0001')


def test_a_disk_that_is_read_only_is_refused() -> None:
    with pytest.raises(choice.NoChoice, match='read-only'):
        choice.choose([disk('sda', GB, read_only=True)], '/dev/sda')
