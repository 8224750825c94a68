"""Which disks a disk layout means: exactly those that it says, or a reason why none is safe to take."""

from typing import Any

import pytest
from django.test import TestCase
from msgspec import convert

from utilities.testing import create_test_device

from netbox_substruct import context
from netbox_substruct.context import schema
from netbox_substruct.context.disks import choose
from netbox_substruct.models import FactSet, Machine, Profile

from .machines import FOUR, disk

DISKS = convert(FOUR, list[schema.Disk])
A, B, C, NVME = (found.device for found in DISKS)


@pytest.mark.parametrize(
    ('layout', 'expected'),
    [
        ({'disk': '/dev/sda'}, ('/dev/sda',)),
        ({'disk': ['/dev/sda', '/dev/sdb']}, ('/dev/sda', '/dev/sdb')),
        ({'disk': 'only'}, ()),
        ({'disk': 'largest'}, (C,)),
        ({'disk': 'smallest', 'raid': 1}, (A, B)),
        ({'disk': 'first-nvme'}, (NVME,)),
        ({'disk': 'wwn=0x5000c500SDA'}, (A,)),
        ({'disk': 'serial=s-sdc'}, (C,)),
        ({'disk': {'wwn': 'naa.5000c500sdb'}}, (B,)),
        ({'disk': [{'serial': 'S-sda'}, 'first-nvme'], 'raid': 1}, (A, NVME)),
        ({'disk': {'transport': 'sata', 'max_gb': 1000}, 'count': 2}, (A, B)),
        ({'disk': {'role': 'largest', 'max_gb': 1000}}, (NVME,)),
    ],
)
def test_names_roles_and_conditions_mean_their_disks(layout: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = choose(layout, DISKS)
    assert (found.chosen, found.problem) == (expected, '')
    assert found.only == (layout['disk'] == 'only')


@pytest.mark.parametrize(
    ('layout', 'said'),
    [
        ({}, 'names no disk'),
        ({'disk': 'sda'}, 'no device below /dev/'),
        ({'disk': '/dev/sda,/dev/sdb'}, 'no device below /dev/'),
        ({'disk': ['/dev/sda', '/dev/sda']}, 'names a disk twice'),
        ({'disk': '/dev/sda', 'raid': 1}, 'needs 2 disks and names 1'),
        ({'disk': 'only', 'raid': 1}, 'says "only", and needs 2 disks'),
        ({'disk': 'smallest'}, 'fits 2 disks and is to fit 1; the machine has sda (480 GB, sata, S-sda), sdb'),
        ({'disk': 'smallest', 'raid': 1, 'count': 3}, 'x'),
        ({'disk': {'transport': 'sas'}}, 'fits no disks and is to fit 1'),
        ({'disk': {'rotational': False}, 'raid': 1}, 'fits 4 disks and is to fit 2'),
        ({'disk': {'colour': 'red'}}, "the condition 'colour'"),
        ({'disk': {'role': 'fastest'}}, "the role 'fastest'"),
        ({'disk': {'min_gb': '5'}}, 'is no number'),
        ({'disk': '/dev/sda', 'raid': 5}, 'the raid 5; use 1 or 10'),
        ({'disk': '/dev/sda', 'count': 0}, 'the count 0'),
        ({'disk': [{}]}, 'neither name, role nor conditions'),
    ],
)
def test_what_is_missing_or_fits_twice_is_said(layout: dict[str, Any], said: str) -> None:
    found = choose(layout, DISKS)
    if said == 'x':
        # Three are asked for: two of one size, and one of the next.
        assert found.chosen == (A, B, NVME)
        return
    assert found.chosen == ()
    assert said in found.problem


def test_without_facts_a_role_means_nothing_and_a_device_is_taken_as_it_is() -> None:
    assert 'has not reported its disks yet' in choose({'disk': 'smallest'}, ()).problem
    assert choose({'disk': '/dev/sda'}, ()).chosen == ('/dev/sda',)


def test_disks_that_do_not_belong_to_the_machine_are_taken_only_by_name() -> None:
    stick = convert(disk('sdx', 16, 'usb'), schema.Disk)
    assert choose({'disk': 'smallest', 'raid': 1}, [*DISKS, stick]).chosen == (A, B)
    assert choose({'disk': 'serial=S-sdx'}, [*DISKS, stick]).chosen == (stick.device,)


class FactsTest(TestCase):
    def test_the_disks_are_those_of_the_newest_facts_that_tell_of_disks(self):
        profile = Profile.objects.create(name='P', slug='p', disk_layout={'disk': 'smallest'})
        machine = Machine.objects.create(device=create_test_device('web01'), profile=profile)
        sda = {'name': 'sda', 'size_bytes': 5, 'by_id': ['/dev/disk/by-id/ata-X Y', '/dev/disk/by-id/wwn-0x5'],
               'transport': 'sata', 'rotational': True}  # fmt: skip
        stick = {'name': 'sdb', 'size_bytes': 1, 'removable': True}
        for data in ({'disks': [{'name': 'old'}]}, {'disks': [sda, stick]}, {'cpu': {}}):
            FactSet.objects.create(machine=machine, source='prospector', data=data)
        found = context.to_plain(context.assemble(machine, profile))['disks']
        self.assertEqual(found['chosen'], ['/dev/disk/by-id/wwn-0x5'])
        self.assertEqual([each['name'] for each in found['found']], ['sda'])
        self.assertEqual(found['found'][0]['rotational'], True)
