"""What machines say to do harm, or say wrong: it costs a line at most, never the machine, a page or an adoption."""

import html

from dcim.models import Cable, Device, InterfaceTemplate, InventoryItemRole
from ipam.models import Prefix

from netbox_substruct.discovery import difference, taking
from netbox_substruct.identity import Identity
from netbox_substruct.models import FactSet, Machine

from .test_adoption import Adopting
from .test_pages import Pages
from .world import NICS, a_device, discovered, server

SCRIPT = '<script>alert(1)</script>'


class Said(Adopting):
    def said(self, **changes):
        FactSet.objects.update(data=server(**changes))

    def test_a_netmask_of_the_bmc_that_is_none_for_its_address(self):
        Prefix.objects.filter(prefix='10.8.9.0/24').delete()
        for address, mask in (('10.8.9.107', '10.8.9.1'), ('2001:db8::7', '255.255.255.0'), ('10.8.9.107', 'ffff::')):
            with self.subTest(mask):
                self.said(bmc__address=address, bmc__subnet_mask=mask)
                (field,) = [
                    field.after
                    for change in self.line(self.propose(), 'bmc').changes
                    for field in change.fields
                    if field.name == 'address'
                ]
                self.assertEqual(field, f'{address}/{128 if ":" in address else 32}')

    def test_two_ports_that_hear_the_same_neighbour_do_not_get_two_cables_to_one_port(self):
        lldp = server()['interfaces'][0]['lldp']
        self.said(interfaces__1__lldp=lldp)
        proposal = self.propose()
        self.assertTrue(self.line(proposal, 'cable:eno1').acceptable)
        self.assertFalse(self.line(proposal, 'cable:eno2').acceptable)
        self.assertIn('The cable of eno1 ends there already', self.line(proposal, 'cable:eno2').warnings[0])
        self.adopt()
        self.assertEqual(Cable.objects.count(), 1)

    def test_two_ports_of_one_machine_that_hear_each_other_get_one_cable(self):
        device = a_device(self.world, 'srv-7', macs=NICS[:2])
        for port, name in zip(device.interfaces.all(), ('eno1', 'eno2'), strict=True):
            port.name = name
            port.save()
        Machine.objects.filter(pk=self.machine.pk).update(device=device, state='registered')
        lldp = {'chassis_name': 'srv-7'}
        self.said(interfaces__0__lldp={**lldp, 'port_id': 'eno2'}, interfaces__1__lldp={**lldp, 'port_id': 'eno1'})
        lines = difference.difference(Machine.objects.get()).lines
        self.assertEqual([line.key for line in lines if line.section == 'cabling' and line.acceptable], ['cable:eno1'])
        self.said(interfaces__0__lldp={**lldp, 'port_id': 'eno1'})
        lines = difference.difference(Machine.objects.get()).lines
        self.assertEqual([line.warnings for line in lines if line.key == 'cable:eno1'], [('It hears itself.',)])

    def test_a_serial_number_that_netbox_cannot_hold_does_not_keep_a_machine_from_being_discovered(self):
        Machine.objects.all().delete()
        for _again in range(2):
            machine = taking.take(
                None, Identity.of(None, 'S1' * 90, ['02:00:00:00:00:09']), source='prospector',
                collected=self.machine.created, format_version=1, data={'disks': []},
            )  # fmt: skip
        self.assertEqual(Machine.objects.get(), machine)
        self.assertEqual(machine.serial, ('S1' * 90)[:100])

    def test_names_of_ports_that_depend_on_the_place_in_a_virtual_chassis(self):
        InterfaceTemplate.objects.filter(name='gig1').update(name='gig{vc_position:1}/1')
        self.adopt()
        self.assertEqual(
            str(Device.objects.get(name='srv-7').interfaces.get(name='gig1/1').primary_mac_address).lower(), NICS[0]
        )

    def test_a_place_that_is_none(self):
        for position in (1e300, -3, 0, 12.25, float('nan')):
            with self.subTest(position):
                (problem,) = self.propose(position=position, rack=self.world.rack.pk, face='front').problems
                self.assertEqual(problem.field, 'position')
        self.assertEqual(self.propose(position=12.5, rack=self.world.rack.pk, face='front').problems, ())

    def test_what_is_written_is_the_same_in_every_language(self):
        from unittest import mock

        plain = self.propose()
        with mock.patch('netbox_substruct.discovery.parts._', lambda text: f'übersetzt: {text}'):
            self.assertEqual(self.propose().digest, plain.digest)

    def test_an_item_that_no_facts_tell_of_is_not_missed(self):
        device = a_device(self.world, 'srv-7', macs=NICS[:1])
        Machine.objects.filter(pk=self.machine.pk).update(device=device, state='registered')
        role = InventoryItemRole.objects.create(name='Power supply', slug='psu')
        device.inventoryitems.create(name='PSU 1', role=role, discovered=True)
        device.inventoryitems.create(name='A9', discovered=True)
        titles = [line.title for line in difference.difference(Machine.objects.get()).lines if 'gone:' in line.key]
        self.assertEqual(titles, ['A9 was not found'])


class Much(Adopting):
    def test_of_ten_thousand_disks_and_a_thousand_ports_so_many_are_taken_as_a_machine_can_have(self):
        lldp = {'chassis_name': 'leaf-17a', 'management_addresses': ['10.9.9.9']}
        data = server(
            disks=[{'name': f'd{n}', 'serial': f'S{n}', 'size_bytes': 10**12} for n in range(10_000)],
            interfaces=[
                {'name': f'p{n}', 'mac': f'06:00:00:00:{n >> 8:02x}:{n & 255:02x}',
                 'lldp': {**lldp, 'port_id': f'Ethernet{n % 8 + 1}'}}
                for n in range(1000)
            ],
        )  # fmt: skip
        FactSet.objects.update(data=data)
        proposal = self.propose(site=self.world.site.pk)
        self.assertEqual(len([line for line in proposal.lines if line.key.startswith('item:disk')]), 1024)
        self.assertIn('of 10000 entries only the first 1024 are used', ' '.join(proposal.notes))


class Shown(Pages):
    """Every page on which something stands that a machine said."""

    def hostile(self):
        Machine.objects.all().delete()
        data = server(
            system__product=SCRIPT, system__manufacturer=f'"{SCRIPT}', chassis__asset_tag=SCRIPT,
            interfaces__0__name=SCRIPT, interfaces__0__lldp__chassis_name=SCRIPT, disks__0__model=SCRIPT,
            problems=[SCRIPT], memory__modules__0__slot=SCRIPT, firmware__mode=SCRIPT,
        )  # fmt: skip
        return discovered(data, discovery_problem=f'It could be {SCRIPT}')

    def test_nothing_that_a_machine_says_becomes_html(self):
        self.machine = self.hostile()
        facts = FactSet.objects.get()
        pages = [
            self.url(''), self.url('facts'), self.url(), self.url('changelog'), facts.get_absolute_url(),
            '/plugins/substruct/machines/', '/plugins/substruct/fact-sets/', '/search/?q=alert', '/core/changelog/',
            f'{self.url("delete")}',
        ]  # fmt: skip
        for page in pages:
            with self.subTest(page):
                self.assertNotIn(SCRIPT, self.body(self.client.get(page)))
        for changes in ({'make_device_type': ''}, {'role': ''}, {}):
            with self.subTest(changes):
                body = self.body(self.client.post(self.url(), self.form(**changes, _review='')))
                self.assertNotIn(SCRIPT, body)
        _, answer = self.review()
        answer['accept'] = [html.unescape(key) for key in answer['accept']]
        body = self.body(self.client.post(self.url(), {**answer, '_confirm': ''}, follow=True))
        self.assertNotIn(SCRIPT, body)
        device = Device.objects.get(name='srv-7')
        for page in (device.get_absolute_url(), self.url('facts')):
            self.assertNotIn(SCRIPT, self.body(self.client.get(page)))

    def test_facts_that_are_nested_deeply_can_be_looked_at(self):
        data: dict = {}
        for _level in range(60):
            data = {'a': [data]}
        FactSet.objects.update(data=server(extra=data))
        for page in (self.url('facts'), FactSet.objects.get().get_absolute_url()):
            self.body(self.client.get(page))

    def test_facts_of_a_format_that_is_not_known_are_not_said_to_be_what_netbox_holds(self):
        device = a_device(self.world, 'srv-7', macs=NICS[:1])
        Machine.objects.filter(pk=self.machine.pk).update(device=device, state='registered')
        FactSet.objects.update(format_version=9)
        body = self.body(self.client.get(self.url('facts')))
        self.assertIn('format version 9', body)
        self.assertNotIn('NetBox holds what was found', body)

    def test_one_core_is_one_core(self):
        FactSet.objects.update(data=server(cpu={'model': 'x', 'cores': 1, 'threads': 1}))
        body = self.body(self.client.get(self.url('facts')))
        self.assertIn('1 core, 1 thread<', body)
