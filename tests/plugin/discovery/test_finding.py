"""Which machine it is that reports itself: the same one again, another one, or nobody guesses."""

from django.test import TestCase
from django.utils import timezone

from netbox_substruct.discovery import finding, taking
from netbox_substruct.discovery.finding import Contradictory
from netbox_substruct.identity import Identity, swapped_uuid
from netbox_substruct.lifecycle import machines
from netbox_substruct.models import FactSet, Machine

from .world import NICS, UUID, a_device, a_world, discovered

MACS = ('02:00:00:00:01:01', '02:00:00:00:01:02')


class Finding(TestCase):
    def machine(self, **fields):
        return Machine.objects.create(state='discovered', **{'discovered_name': 'x', **fields})

    def report(self, uuid=None, serial=None, macs=(), machine=None, data=None):
        return taking.take(
            machine, Identity.of(uuid, serial, macs), source='prospector', collected=timezone.now(), format_version=1,
            data=data or {'disks': []},
        )  # fmt: skip

    def test_a_serial_number_that_several_have_does_not_stand_in_the_way_of_what_tells_them_apart(self):
        first = self.machine(serial='SAME', boot_mac=MACS[0])
        second = self.machine(serial='SAME', boot_mac=MACS[1])
        self.assertEqual(self.report(serial='SAME', macs=[MACS[1]]), second)
        self.assertEqual(self.report(serial='SAME', macs=[MACS[0]]), first)
        with self.assertRaises(Contradictory) as caught:
            self.report(serial='SAME')
        self.assertEqual(set(caught.exception.machines), {first.pk, second.pk})

    def test_a_uuid_that_several_have_does_not_either(self):
        self.machine(uuid=UUID, serial='A1')
        second = self.machine(uuid=swapped_uuid(UUID), serial='A2')
        self.assertEqual(self.report(uuid=UUID, serial='A2'), second)

    def test_ports_of_two_machines_are_nobody_s(self):
        self.machine(boot_mac=MACS[0], uuid=UUID)
        self.machine(boot_mac=MACS[1])
        with self.assertRaises(Contradictory):
            self.report(uuid=UUID, macs=MACS)

    def test_a_second_board_with_the_same_uuid_is_not_taken_for_the_first(self):
        """Nor where the boot server, which goes by the UUID too, has named the first."""
        first = discovered()
        for named in (None, first):
            with self.subTest(named), self.assertRaises(Contradictory) as caught:
                self.report(uuid=UUID, serial='OTHER', macs=MACS, machine=named)
            self.assertIn('nothing else of it', str(caught.exception))
            self.assertEqual(caught.exception.machines, (first.pk,))
        self.assertEqual(FactSet.objects.count(), 1)

    def test_a_machine_whose_first_card_was_replaced_is_still_known_by_the_others(self):
        first = discovered()
        Machine.objects.filter(pk=first.pk).update(serial='')
        self.assertEqual(self.report(uuid=UUID, macs=[MACS[0], NICS[1]]), first)

    def test_a_machine_with_its_uuid_and_serial_number_is_known_whatever_cards_it_has(self):
        first = discovered()
        self.assertEqual(self.report(uuid=UUID, serial='ck1rm22', macs=MACS), first)

    def test_the_serial_number_of_the_device_counts(self):
        machine = machines.register(a_device(a_world(), 'srv-7', serial='SN-7', macs=NICS[:1]))
        Machine.objects.filter(pk=machine.pk).update(uuid=UUID, serial='')
        self.assertEqual(self.report(uuid=UUID, serial='SN-7', macs=MACS), machine)
        with self.assertRaises(Contradictory):
            self.report(uuid=UUID, serial='OTHER', macs=['02:00:00:00:01:03'])

    def test_of_many_with_one_identifier_only_some_are_named(self):
        for _number in range(30):
            self.machine(serial='SAME')
        with self.assertRaises(Contradictory) as caught:
            self.report(serial='SAME')
        self.assertEqual(len(caught.exception.machines), 30)
        self.assertEqual(str(caught.exception).count('(serial number)'), finding.SHOWN)
