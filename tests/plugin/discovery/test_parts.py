"""What stands behind lines: which machine it may be, names of ports, rules, histories, makers, inventory."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import TestCase
from django.utils import timezone

from core.models import ObjectChange
from dcim.models import Cable, FrontPort, Interface, InventoryItem, MACAddress
from users.models import User

from netbox_substruct.discovery import adoption, difference, facts, keeping, matching, parts, ports, rules
from netbox_substruct.discovery.changes import Known
from netbox_substruct.discovery.errors import Incomplete, Stale
from netbox_substruct.discovery.neighbours import port_name
from netbox_substruct.lifecycle import machines
from netbox_substruct.models import BMC, DiscoveryRule, FactSet, Machine

from .world import GUEST, NICS, SERVER, UUID, a_device, a_world, discovered, server

PLAIN = facts.plain(facts.read(SERVER).facts)


class TestConditions:
    @pytest.mark.parametrize(
        ('condition', 'expected'),
        [
            ({}, True),
            ({'system.manufacturer': 'Dell*'}, True),
            ({'system.manufacturer': 'dell inc.'}, True),
            ({'system.manufacturer': 'HP*'}, False),
            ({'system.manufacturer': ['HP*', 'Dell*'], 'memory.total_gib': [64, 256]}, True),
            ({'memory.total_gib': 64}, False),
            ({'memory.total_gib': '25?'}, True),
            ({'system.virtual': False}, True),
            ({'system.virtual': 0}, False),
            ({'system.version': None}, True),
            ({'system.serial': None}, False),
            ({'interfaces.driver': 'ice'}, True),
            ({'interfaces.driver': 'mlx5_core'}, False),
            ({'interfaces.0.driver': 'tg3'}, True),
            ({'interfaces.9.driver': 'tg3'}, False),
            ({'disks.transport': 'nvme', 'disk_count': 2}, True),
            ({'boot_interface.lldp.chassis_name': 'leaf-17*'}, True),
            ({'no.such.thing': '*'}, False),
            ({'no.such.thing': None}, True),
            ({'system': 'Dell'}, False),
        ],
    )
    def test_all_of_a_condition_must_match(self, condition, expected):
        assert rules.matches(condition, PLAIN) is expected


class TestPorts:
    def ports(self, *names, macs=None):
        return [
            ports.Port(name=name, at=Known(model='dcim.interface', id=number, name=name),
                       macs=frozenset((macs or {}).get(name, ())))
            for number, name in enumerate(names)
        ]  # fmt: skip

    def match(self, has, **wanted):
        found = facts.read(SERVER).facts.ports
        return {each.found.name: each.port.name if each.port else None for each in ports.match(found, has, wanted)}

    def test_mac_addresses_come_before_names_and_names_before_order(self):
        has = self.ports('eno1', 'eno2', 'x', macs={'eno1': NICS[1:2]})
        assert self.match(has) == {'eno1': 'eno2', 'eno2': 'eno1', 'enp59s0': 'x'}
        assert self.match(self.ports('a', 'eno2', 'c')) == {'eno1': 'a', 'eno2': 'eno2', 'enp59s0': 'c'}

    def test_order_counts_only_where_the_numbers_are_equal(self):
        assert self.match(self.ports('a', 'b', 'c')) == {'eno1': 'a', 'eno2': 'b', 'enp59s0': 'c'}
        assert self.match(self.ports('a', 'b')) == {'eno1': None, 'eno2': None, 'enp59s0': None}

    def test_what_somebody_said_counts(self):
        has = self.ports('a', 'b', 'c')
        assert self.match(has, eno1='c', eno2='-', enp59s0='+') == {'eno1': 'c', 'enp59s0': None}

    @pytest.mark.parametrize(
        ('said', 'same'),
        [
            ('Gi1/0/7', 'GigabitEthernet1/0/7'), ('Eth 1/7', 'Ethernet1/7'), ('Et7', 'ethernet7'),
            ('Te1/1', 'TenGigabitEthernet1/1'), ('swp7', 'SWP7'), ('et-0/0/1', 'et-0/0/1'), ('7', '7'),
        ],
    )  # fmt: skip
    def test_names_of_ports_in_short_and_in_full(self, said, same):
        assert port_name(said) == port_name(same)

    def test_makers_name_ports_alike_that_are_not(self):
        assert port_name('et-0/0/1') != port_name('Ethernet0/0/1')


class TestHistory:
    def times(self, count):
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return [start + timedelta(days=count - number) for number in range(count)]

    def test_the_newer_half_and_the_first_stay(self):
        gone = keeping.superfluous(self.times(30), 20)
        assert len(gone) == 10
        assert not set(gone) & {*range(10), 29}

    def test_what_stands_close_together_goes_first(self):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        times = [now - timedelta(days=days) for days in (0, 1, 100, 200, 201, 300)]
        assert keeping.superfluous(times, 5) == [4]

    @pytest.mark.parametrize('kept', [0, 1, 2, 3])
    def test_the_newest_is_never_lost(self, kept):
        gone = keeping.superfluous(self.times(9), kept)
        assert 0 not in gone
        assert len(gone) == 9 - max(kept, 1)


class Keeping(TestCase):
    def setUp(self):
        self.machine = discovered()

    def keep(self, data, minutes=0, source='prospector'):
        return keeping.keep(
            self.machine,
            source=source,
            collected=timezone.now() + timedelta(minutes=minutes),
            format_version=1,
            data=data,
        )

    def test_the_same_facts_again_make_no_row_but_are_heard_of(self):
        first = FactSet.objects.get()
        self.keep(server(prospector__seconds=3.0), minutes=5)
        again = FactSet.objects.get()
        self.assertEqual(again.pk, first.pk)
        self.assertGreater(again.collected, first.collected)
        self.assertEqual(again.data['prospector']['seconds'], 3.0)
        self.assertEqual(ObjectChange.objects.count(), 0)

    def test_other_facts_and_other_sources_do(self):
        self.keep(server(disks=[]), minutes=1)
        self.keep(SERVER, minutes=2)
        self.keep(SERVER, minutes=3, source='redfish')
        self.assertEqual(FactSet.objects.count(), 4)

    def test_news_that_was_overtaken_changes_nothing(self):
        self.keep(SERVER, minutes=-60)
        self.assertEqual(FactSet.objects.count(), 1)

    def test_so_many_are_kept_of_each_source(self):
        with self.settings(PLUGINS_CONFIG={'netbox_substruct': {'facts_kept': 5}}):
            for number in range(9):
                self.keep(server(memory__total_bytes=10**9 + number), minutes=number + 1)
            self.keep(SERVER, minutes=30, source='salt')
        kept = FactSet.objects.filter(source='prospector')
        self.assertEqual((kept.count(), FactSet.objects.count()), (5, 6))
        self.assertEqual(kept.first().data['memory']['total_bytes'], 10**9 + 8)

    def test_what_the_machine_says_itself_counts_before_what_others_say(self):
        self.keep({'system': {'product': 'By Redfish'}}, minutes=5, source='redfish')
        self.assertEqual(keeping.current(self.machine)[1].facts.product, 'PowerEdge R650')


class Filling(TestCase):
    def test_a_new_machine_is_filled_from_its_facts(self):
        machine = discovered(server(cpu__architecture='arm64'))
        self.assertEqual((str(machine.uuid), machine.serial, machine.firmware), (UUID, 'CK1RM22', 'uefi'))
        self.assertEqual((machine.architecture, str(machine.boot_mac).lower()), ('aarch64', NICS[0]))
        self.assertEqual((machine.discovered_name, machine.name), ('PowerEdge R650 CK1RM22',) * 2)

    def test_a_guest_without_serial_number_is_called_after_its_port(self):
        self.assertEqual(discovered(GUEST).name, 'Standard PC (Q35 + ICH9, 2009) 52:54:00:12:34:01')

    def test_what_a_person_set_is_not_overwritten_and_shown_as_different(self):
        machine = discovered()
        Machine.objects.filter(pk=machine.pk).update(
            discovered_name='cellar', firmware='bios', boot_mac=NICS[1], architecture='i386'
        )
        machine = discovered(server(disks=[]))
        self.assertEqual((machine.discovered_name, machine.firmware, machine.architecture), ('cellar', 'bios', 'i386'))
        lines = {line.key: line.changes[0].fields[0] for line in difference.difference(machine).lines}
        self.assertEqual(set(lines), {'machine:firmware', 'machine:boot_mac', 'machine:architecture'})
        self.assertEqual((lines['machine:boot_mac'].before, lines['machine:boot_mac'].after), (NICS[1], NICS[0]))


class Matching(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.machine = discovered()

    def found(self, **kwargs):
        return matching.candidates(self.machine, **kwargs)

    def test_nothing_matches_what_nobody_knows(self):
        a_device(self.world, 'other', serial='X', macs=('02:00:00:00:00:01',))
        self.assertEqual(self.found(), [])

    def test_a_device_by_serial_number_and_by_mac_address(self):
        device = a_device(self.world, 'planned-7', serial='ck1rm22', macs=(NICS[2], NICS[1]))
        (candidate,) = self.found()
        self.assertEqual((candidate.object, candidate.machine, candidate.contradictions), (device, None, []))
        self.assertEqual(len(candidate.reasons), 2)

    def test_matches_that_contradict_each_other_are_shown_with_what_speaks_against_each(self):
        by_serial = a_device(self.world, 'by-serial', serial='CK1RM22', macs=('02:00:00:00:00:01',))
        by_mac = a_device(self.world, 'by-mac', serial='OTHER', macs=(NICS[0],))
        found = {each.object: ' '.join(each.contradictions) for each in self.found()}
        self.assertIn('none of the MAC addresses', found[by_serial])
        self.assertIn('It could also be by-mac', found[by_serial])
        self.assertIn('serial number OTHER', found[by_mac])

    def test_the_likeliest_is_first(self):
        a_device(self.world, 'worse', serial='OTHER', macs=(NICS[0],))
        better = a_device(self.world, 'zz-better', serial='CK1RM22', macs=(NICS[1],))
        self.assertEqual(self.found()[0].object, better)

    def test_one_that_is_registered_is_said_to_be(self):
        device = a_device(self.world, 'srv-9', serial='CK1RM22')
        registered = machines.register(device)
        (candidate,) = self.found()
        self.assertEqual((candidate.machine, candidate.object), (registered, device))

    def test_a_device_for_a_guest_is_odd(self):
        self.machine = discovered(GUEST)
        a_device(self.world, 'host', macs=('52:54:00:12:34:01',))
        self.assertIn('virtual one', self.found()[0].contradictions[0])

    def test_placeholders_match_nothing(self):
        a_device(self.world, 'blank', serial='Not Specified')
        self.machine = discovered(GUEST)
        self.assertEqual(self.found(), [])

    def test_it_costs_a_fixed_number_of_queries(self):
        for number in range(3):
            a_device(self.world, f'same-{number}', serial='CK1RM22', macs=(NICS[0],))
        found = keeping.current(self.machine)[1].facts
        with self.assertNumQueries(9):
            self.assertEqual(len(matching.candidates(self.machine, found)), 3)


class Rules(TestCase):
    def setUp(self):
        self.world = a_world()
        self.machine = discovered()
        self.rule = DiscoveryRule.objects.create(
            name='Dell',
            condition={'system.manufacturer': 'Dell*'},
            role=self.world.role,
            profile=self.world.profile,
            host_name_template='srv-{{ system.serial | lower }}',
        )

    def test_the_first_that_matches_gives_the_defaults(self):
        DiscoveryRule.objects.create(name='Off', enabled=False, priority=1, host_name_template='off')
        DiscoveryRule.objects.create(name='HP', condition={'system.manufacturer': 'HP*'}, priority=1)
        DiscoveryRule.objects.create(name='Rest', priority=1000)
        choices, notes = adoption.defaults(self.machine)
        self.assertEqual((choices.name, choices.role, choices.profile), ('srv-ck1rm22', self.world.role.pk,
                                                                          self.world.profile.pk))  # fmt: skip
        self.assertEqual(choices.site, self.world.site.pk)  # of the subnet in which it appeared
        self.assertEqual(notes, ['The discovery rule Dell applies.'])

    def test_a_template_that_makes_no_host_name_is_said_and_another_name_suggested(self):
        for template, words in (
            ('{{ system.colour }}', "there is no 'colour' here"),
            ('{{ system.version }}', 'it has no value'),
            ('{{ product }}', 'gives "PowerEdge R650", which is no host name'),
            ('{{ ', 'unexpected'),
            ('{{ "x" * 500 }}', 'which is no host name'),
            ('{{ system.__class__ }}', 'cannot be used'),
            ('{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}a', 'more than'),
            ('-a', 'which is no host name'),
        ):
            with self.subTest(template):
                self.rule.host_name_template = template
                DiscoveryRule.objects.filter(pk=self.rule.pk).update(host_name_template=template)
                choices, notes = adoption.defaults(self.machine)
                self.assertIn(words, notes[1])
                self.assertEqual(choices.name, 'ck1rm22')

    def test_a_rule_that_has_taken_its_fill_rests(self):
        DiscoveryRule.objects.filter(pk=self.rule.pk).update(limit=1)
        self.assertEqual(rules.rule_for(PLAIN), self.rule)
        Machine.objects.create(discovered_name='x', discovery_rule=self.rule)
        self.assertIsNone(rules.rule_for(PLAIN))


class Differences(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.admin = User.objects.create_superuser('admin')

    def setUp(self):
        self.machine = discovered()
        choices = adoption.Choices(name='srv-7', role=self.world.role.pk, site=self.world.site.pk, bmc_credential='ops')
        proposal = adoption.propose(self.machine, choices)
        self.device = adoption.carry_out(self.machine, choices, proposal.digest, user=self.admin).object
        self.machine.refresh_from_db()

    def lines(self, data=None):
        self.machine.refresh_from_db()
        if data is not None:
            FactSet.objects.update(data=data)
        return {line.key: line for line in difference.difference(self.machine).lines}

    def accept(self, *keys):
        now = difference.difference(self.machine)
        return difference.accept(self.machine, list(keys), now.digest, user=self.admin)

    def test_right_after_adoption_there_is_none(self):
        self.assertEqual(self.lines(), {})

    def test_a_board_that_was_replaced(self):
        lines = self.lines(server(system__serial='NEW1', chassis__serial='NEW1', chassis__asset_tag='A-2002'))
        self.assertEqual(set(lines), {'machine:serial', 'device:serial', 'device:asset_tag'})
        self.accept('device:serial', 'device:asset_tag', 'machine:serial')
        self.device.refresh_from_db()
        self.assertEqual((self.device.serial, self.device.asset_tag), ('NEW1', 'A-2002'))
        self.assertEqual(self.lines(), {})

    def test_an_asset_tag_that_another_device_has_is_only_shown(self):
        a_device(self.world, 'other', asset_tag='A-2002')
        line = self.lines(server(chassis__asset_tag='A-2002'))['device:asset_tag']
        self.assertFalse(line.acceptable)
        self.assertEqual(line.warnings, ('The machine says A-2002, which other (A-2002) has in NetBox.',))

    def test_memory_that_was_replaced_added_and_taken_out(self):
        data = server()
        data['memory']['modules'] = data['memory']['modules'][1:]
        data['memory']['modules'][0]['serial'] = 'NEW'
        data['memory']['modules'].append({'slot': 'B1', 'size_bytes': 64 << 30, 'serial': 'B1S'})
        lines = self.lines(data)
        gone = InventoryItem.objects.get(name='A1')
        self.assertEqual(set(lines), {'item:memory:A2', 'item:memory:B1', f'gone:{gone.pk}'})
        self.accept(*lines)
        self.assertEqual(InventoryItem.objects.get(name='A2').serial, 'NEW')
        self.assertFalse(InventoryItem.objects.filter(name='A1').exists())
        self.assertEqual(self.lines(), {})

    def test_modules_that_changed_places_and_disks_that_changed_names(self):
        data = server()
        first, second = data['memory']['modules'][:2]
        first['serial'], second['serial'] = second['serial'], first['serial']
        data['disks'][0]['name'], data['disks'][1]['name'] = 'nvme1n1', 'sdx'
        self.assertEqual(set(self.lines(data)), {'item:memory:A1', 'item:memory:A2'})

    def test_a_new_disk_under_the_name_of_one_that_moved(self):
        data = server()
        data['disks'][1]['name'] = 'sdc'
        data['disks'].append({'name': 'sda', 'serial': 'NEW', 'size_bytes': 10**12})
        self.assertEqual(set(self.lines(data)), {'item:disk:Disk sda 2'})
        self.accept('item:disk:Disk sda 2')
        self.assertEqual(self.lines(), {})

    def test_what_people_wrote_down_is_left_alone(self):
        InventoryItem.objects.create(device=self.device, name='Rail kit', discovered=False)
        self.assertEqual(self.lines(), {})

    def test_facts_that_say_nothing_take_nothing_away(self):
        data = server(memory={}, disks=[], cpu={}, interfaces=[], bmc=None, system={'serial': 'CK1RM22'}, chassis={})
        self.assertEqual({key: line.warnings for key, line in self.lines(data).items()}, {})

    def test_a_card_that_was_replaced(self):
        lines = self.lines(server(interfaces__2__mac='68:05:ca:3a:00:99'))
        self.assertEqual(set(lines), {'interface:enp59s0', 'unseen:port3'})
        self.assertFalse(lines['unseen:port3'].acceptable)

    def test_another_port_of_the_switch(self):
        lines = self.lines(server(interfaces__0__lldp__port_id='Ethernet8'))
        self.assertIn('leads to leaf-17a Ethernet7', lines['cable:eno1'].warnings[0])
        self.assertFalse(lines['cable:eno1'].suggested)
        old = Cable.objects.get()
        Cable.objects.filter(pk=old.pk).update(label='K-17', color='ff0000', type='cat6')
        self.accept('cable:eno1')
        new = Cable.objects.get()
        self.assertNotEqual(new.pk, old.pk)
        self.assertEqual([str(end) for end in new.b_terminations], ['Ethernet8'])
        self.assertEqual((new.label, new.color, new.type), ('K-17', 'ff0000', 'cat6'))
        self.assertEqual(self.lines(), {})

    def test_two_cables_that_were_swapped(self):
        switch = {port.name: port for port in self.world.switch.interfaces.all()}
        Cable(a_terminations=[self.device.interfaces.get(name='gig2')], b_terminations=[switch['Ethernet8']]).save()
        lldp = server()['interfaces'][0]['lldp']
        said = {'interfaces__0__lldp': {**lldp, 'port_id': 'Ethernet8'}, 'interfaces__1__lldp': lldp}
        self.assertEqual(set(self.lines(server(**said))), {'cable:eno1', 'cable:eno2'})
        self.accept('cable:eno1', 'cable:eno2')
        self.assertEqual(self.lines(), {})
        found = {str(cable.a_terminations[0]): str(cable.b_terminations[0]) for cable in Cable.objects.all()}
        self.assertEqual(found, {'gig1': 'Ethernet8', 'gig2': 'Ethernet7'})

    def test_what_another_machine_has_is_not_taken_from_it_nor_a_cable_to_a_patch_panel(self):
        ethernet8 = self.world.switch.interfaces.get(name='Ethernet8')
        other = a_device(self.world, 'other', macs=('02:00:00:00:00:01',))
        theirs = Cable(a_terminations=[other.interfaces.get()], b_terminations=[ethernet8])
        theirs.save()
        said = server(interfaces__0__lldp__port_id='Ethernet8')
        line = self.lines(said)['cable:eno1']
        self.assertIn('has the cable', line.warnings[1])
        self.assertFalse(line.acceptable)
        theirs.delete()
        Cable.objects.all().delete()
        panel = FrontPort.objects.create(device=other, name='F1', type='8p8c')
        Cable(a_terminations=[self.device.interfaces.get(name='gig1')], b_terminations=[panel]).save()
        line = self.lines()['cable:eno1']
        self.assertIn('Correct it by hand', line.warnings[-1])
        self.assertFalse(line.acceptable)

    def test_a_bmc_with_another_address(self):
        self.lines(server(bmc__address='10.8.9.200'))
        self.accept('bmc')
        self.device.refresh_from_db()
        self.assertEqual(str(self.device.oob_ip.address), '10.8.9.200/24')
        self.assertEqual(BMC.objects.get().effective_address, '10.8.9.200')

    def test_another_device_type_is_offered_with_a_warning(self):
        plain = a_device(self.world, 'other').device_type
        type(plain).objects.filter(pk=plain.pk).update(model='PowerEdge R750')
        line = self.lines(server(system__product='PowerEdge R750', system__sku=None))['device:device_type']
        self.assertFalse(line.suggested)
        self.accept('device:device_type')
        self.device.refresh_from_db()
        self.assertEqual(self.device.device_type.model, 'PowerEdge R750')

    def test_a_mac_address_that_another_interface_has_is_not_suggested(self):
        a_device(self.world, 'other', macs=('68:05:ca:3a:00:99',))
        line = self.lines(server(interfaces__2__mac='68:05:ca:3a:00:99'))['interface:enp59s0']
        self.assertFalse(line.suggested)
        self.assertIn('at other eth0 already', line.warnings[0])

    def test_a_mac_address_that_nobody_has_is_given_to_the_interface(self):
        free = MACAddress.objects.create(mac_address='68:05:ca:3a:00:99')
        Interface.objects.filter(name='port3').update(name='enp59s0')
        self.lines(server(interfaces__2__mac='68:05:ca:3a:00:99'))
        self.accept('interface:enp59s0')
        free.refresh_from_db()
        port = self.device.interfaces.get(name='enp59s0')
        self.assertEqual((free.assigned_object, port.primary_mac_address), (port, free))

    def test_what_was_seen_must_be_what_is_written(self):
        self.lines(server(system__serial='NEW1', chassis__serial='NEW1'))
        now = difference.difference(self.machine)
        self.lines(server(system__serial='NEW2', chassis__serial='NEW2'))
        with self.assertRaises(Stale):
            difference.accept(self.machine, ['device:serial'], now.digest, user=self.admin)
        with self.assertRaises(Incomplete):
            self.accept()
        with self.assertRaises(Incomplete):
            self.accept('no-such-line')


def test_names_of_makers_are_compared_without_what_nobody_says():
    for one, other in (
        ('Dell Inc.', 'dell'), ('Hewlett Packard Enterprise', 'Hewlett-Packard Enterprise'),
        ('Intel(R) Corporation', 'Intel'),
        ('Samsung Electronics Co., Ltd.', 'samsung'), ('Micron Technology', 'Micron'), ('GIGABYTE', 'Gigabyte'),
    ):  # fmt: skip
        assert parts.maker_key(one) == parts.maker_key(other), one


def test_parts_have_names_that_are_unique_on_a_device():
    found = facts.read(
        {'memory': {'modules': [{'slot': 'DIMM', 'size_bytes': 1 << 30}] * 3 + [{'slot': 'Empty'}]}}
    ).facts
    assert [item.name for item in parts.items(found)] == ['DIMM', 'DIMM 2', 'DIMM 3']
