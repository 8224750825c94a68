"""From a discovered machine to a device or virtual machine: proposed, looked at, carried out whole or not at all."""

import msgspec
from django.test import TestCase

from core.models import ObjectChange
from dcim.models import (
    Cable,
    Device,
    DeviceType,
    Interface,
    InventoryItem,
    InventoryItemTemplate,
    MACAddress,
    Manufacturer,
)
from ipam.models import IPAddress, Prefix
from users.models import User
from virtualization.models import VirtualMachine

from netbox_substruct.discovery import adoption, difference
from netbox_substruct.discovery.adoption import Choices
from netbox_substruct.discovery.errors import Incomplete, NotPermitted, Stale, Unwritable
from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.lifecycle.errors import LifecycleError
from netbox_substruct.models import BMC, FactSet, Machine

from ..surface.world import permit
from .world import BMC_MAC, GUEST, NICS, a_device, a_world, discovered, server


class Adopting(TestCase):
    """Shared: a world, and a discovered server in it."""

    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.admin = User.objects.create_superuser('admin')

    def setUp(self):
        self.machine = discovered()

    def choices(self, **changes):
        chosen = {'name': 'srv-7', 'role': self.world.role.pk, 'profile': self.world.profile.pk, **changes}
        return msgspec.structs.replace(adoption.defaults(self.machine)[0], **chosen)

    def propose(self, user=None, **changes):
        return adoption.propose(self.machine, self.choices(**changes), user=user)

    def adopt(self, accept=None, user=None, **changes):
        proposal = self.propose(user, **changes)
        self.assertEqual(proposal.problems, ())
        return adoption.carry_out(
            self.machine, proposal.choices, proposal.digest, accept=accept, user=user or self.admin
        )

    def line(self, proposal, key):
        return next(line for line in proposal.lines if line.key == key)

    def fields(self, line):
        return {
            (change.model.partition('.')[2], field.name): field.after
            for change in line.changes
            for field in change.fields
        }


class Devices(Adopting):
    def test_a_server_becomes_a_device_with_everything_that_it_has(self):
        outcome = self.adopt(bmc_credential='bmc-ops', rack=self.world.rack.pk, position=12, face='front')
        device = outcome.object
        self.assertIsInstance(device, Device)
        self.assertEqual((device.name, device.serial, device.asset_tag), ('srv-7', 'CK1RM22', 'A-1001'))
        self.assertEqual((device.site, device.role, device.status), (self.world.site, self.world.role, 'planned'))
        self.assertEqual(
            (device.device_type, device.rack, device.position), (self.world.device_type, self.world.rack, 12)
        )

        ports = {port.name: port for port in device.interfaces.all()}
        self.assertEqual(set(ports), {'gig1', 'gig2', 'port3', 'iDRAC'})
        macs = {name: str(port.primary_mac_address.mac_address).lower() for name, port in ports.items()}
        # By order on the PCI bus: the card stands after the ports on board.
        self.assertEqual(macs, {'port3': NICS[2], 'gig1': NICS[0], 'gig2': NICS[1], 'iDRAC': BMC_MAC})
        self.assertEqual(str(device.oob_ip.address), '10.8.9.107/24')
        self.assertEqual(device.oob_ip.assigned_object, ports['iDRAC'])

        items = {item.name: item for item in device.inventoryitems.all()}
        self.assertEqual(len(items), 2 + 8 + 2)
        self.assertEqual((items['A1'].serial, items['A1'].part_id), ('7C9A001', 'HMA84GR7DJR4N-XN'))
        self.assertEqual(items['A1'].description, '32 GiB DDR4 3200 MT/s')
        self.assertEqual(items['Disk nvme0n1'].serial, 'S64GNE0R500101')
        self.assertIn('1.9 TB', items['Disk nvme0n1'].description)
        self.assertTrue(all(item.discovered for item in items.values()))

        cable = Cable.objects.get()
        self.assertEqual(cable.a_terminations, [ports['gig1']])
        self.assertEqual([str(end) for end in cable.b_terminations], ['Ethernet7'])

        bmc = BMC.objects.get()
        self.assertEqual((bmc.machine_id, bmc.protocol, bmc.credential), (self.machine.pk, 'ipmi', 'bmc-ops'))
        self.assertEqual((bmc.address, bmc.effective_address), (None, '10.8.9.107'))

        machine = Machine.objects.get()
        self.assertEqual((machine.state, machine.device, machine.profile), ('registered', device, self.world.profile))
        self.assertEqual((machine.serial, str(machine.boot_mac).lower()), ('CK1RM22', NICS[0]))
        self.assertEqual(machine.name, 'srv-7')
        self.assertIsNone(device.primary_ip4)
        self.assertEqual(FactSet.objects.get().machine, machine)

    def test_counters_are_right_afterwards(self):
        device = Device.objects.get(pk=self.adopt().object.pk)
        self.assertEqual((device.interface_count, device.inventory_item_count), (4, 12))

    def test_everything_stands_in_the_changelog_in_the_name_of_who_did_it(self):
        self.adopt()
        made = ObjectChange.objects.filter(user=self.admin)
        of_device = made.filter(changed_object_type__model='device').order_by('time')
        # NetBox can give a device its out-of-band address only when it is there.
        self.assertEqual([change.action for change in of_device], ['create', 'update'])
        self.assertEqual(made.filter(changed_object_type__model='inventoryitem').count(), 12)
        registered = made.get(changed_object_type__model='machine', action='update')
        self.assertEqual(registered.postchange_data['state'], 'registered')

    def test_only_what_was_accepted_is_made(self):
        self.adopt(accept=['interface:eno1'])
        self.assertEqual((InventoryItem.objects.count(), Cable.objects.count()), (0, 0))
        self.assertEqual(str(MACAddress.objects.get().assigned_object), 'gig1')

    def test_what_is_required_is_made_anyway(self):
        self.adopt(accept=[])
        self.assertEqual((Device.objects.filter(name='srv-7').count(), Machine.objects.get().state), (1, 'registered'))

    def test_a_line_that_needs_another_is_not_accepted_alone(self):
        DeviceType.objects.get(slug='dell-poweredge-r650').interfacetemplates.all().delete()
        with self.assertRaises(Incomplete) as caught:
            self.adopt(accept=['cable:eno1'])
        self.assertIn('accept both, or neither', str(caught.exception))
        self.adopt(accept=['cable:eno1', 'interface:eno1'])
        self.assertEqual(Cable.objects.count(), 1)

    def test_proposing_writes_nothing(self):
        counted = (Device, Interface, MACAddress, IPAddress, ObjectChange)
        before = [model.objects.count() for model in counted]
        self.propose(primary_ip='next')
        self.assertEqual(
            [model.objects.count() for model in (Device, Interface, MACAddress, IPAddress, ObjectChange)], before
        )

    def test_interfaces_are_mapped_as_somebody_says(self):
        self.adopt(interfaces={'eno1': 'port3', 'eno2': '-', 'enp59s0': '+'})
        device = Device.objects.get(name='srv-7')
        found = {port.name: str(port.primary_mac_address or '').lower() for port in device.interfaces.all()}
        self.assertEqual(found['port3'], NICS[0])
        self.assertEqual((found['gig1'], found['gig2'], found['enp59s0']), ('', '', NICS[2]))
        self.assertEqual(device.interfaces.get(name='enp59s0').type, '25gbase-x-sfp28')

    def test_a_device_type_that_netbox_has_not_is_made_with_its_manufacturer(self):
        self.machine = discovered(
            server(system__manufacturer='Quanta Cloud', system__product='D52B-1U', system__serial='Q1', interfaces=[],
                   system__sku=None, chassis__serial='Q1', system__uuid='11111111-2222-4333-8444-555555555555',
                   chassis__asset_tag=None, system__asset_tag=None)
        )  # fmt: skip
        proposal = self.propose(site=self.world.site.pk)
        self.assertEqual([change.model for change in self.line(proposal, 'device-type').changes],
                         ['dcim.manufacturer', 'dcim.devicetype'])  # fmt: skip
        device = self.adopt(site=self.world.site.pk).object
        self.assertEqual((str(device.device_type.manufacturer), device.device_type.model), ('Quanta Cloud', 'D52B-1U'))
        self.assertEqual(Manufacturer.objects.filter(name='Quanta Cloud').count(), 1)

    def test_without_making_it_a_device_type_must_be_chosen(self):
        self.world.device_type.delete()
        proposal = self.propose(make_device_type=False)
        self.assertEqual([problem.field for problem in proposal.problems], ['device_type'])
        self.assertIn('NetBox has no device type for "Dell Inc. PowerEdge R650"', proposal.problems[0].message)

    def test_what_must_be_chosen_is_said_by_field(self):
        proposal = adoption.propose(self.machine, Choices())
        self.assertEqual([problem.field for problem in proposal.problems], ['role', 'site', 'name'])
        with self.assertRaises(Incomplete):
            adoption.carry_out(self.machine, Choices(), proposal.digest, user=self.admin)

    def test_what_netbox_would_refuse_is_said_before_anything_is_written(self):
        a_device(self.world, 'srv-7')
        self.assertIn('must be unique', self.propose().problems[0].message)
        (problem,) = self.propose(name='srv-8', position=12, rack=self.world.rack.pk).problems
        self.assertEqual(problem.field, 'face')

    def test_nothing_is_half_written_when_an_object_fails(self):
        """The error names the object and the field."""
        proposal = self.propose(bmc_credential='no / credential!')
        with self.assertRaises(Unwritable) as caught:
            adoption.carry_out(self.machine, proposal.choices, proposal.digest, user=self.admin)
        self.assertIn('BMC: credential: "no / credential!" is no credential name', str(caught.exception))
        self.assertEqual((caught.exception.model, caught.exception.field), ('netbox_substruct.bmc', 'credential'))
        self.assertFalse(Device.objects.filter(name='srv-7').exists())
        self.assertEqual(Machine.objects.get().state, 'discovered')
        self.assertFalse(ObjectChange.objects.filter(user=self.admin).exists())

    def test_what_only_netbox_knows_to_be_wrong_is_said_with_the_object(self):
        proposal = self.propose()
        rules = {'dcim.inventoryitem': [{'part_id': {'max_length': 3}}]}
        with self.settings(CUSTOM_VALIDATORS=rules), self.assertRaises(Unwritable) as caught:
            adoption.carry_out(self.machine, proposal.choices, proposal.digest, user=self.admin)
        self.assertIn('inventory item "CPU 1": Custom validation failed for part_id', str(caught.exception))

    def test_whatever_a_machine_says_it_can_be_adopted_and_then_nothing_differs(self):
        """Names twice, addresses twice, names too long, names of parts that the device type brings as well."""
        InventoryItemTemplate.objects.create(device_type=self.world.device_type, name='A1')
        data = server(system__serial='SN' * 50, chassis__serial='SN' * 50, system__sku='K' * 200)
        port, module, disk = data['interfaces'][0], data['memory']['modules'][0], data['disks'][0]
        data['interfaces'] += [
            {**port, 'mac': '68:05:ca:3a:00:31', 'permanent_mac': None, 'lldp': None},
            {**port, 'name': 'eno3', 'lldp': None},
            {**port, 'name': 'n' * 200, 'mac': '68:05:ca:3a:00:32', 'permanent_mac': None, 'lldp': None},
            {'name': '../../<b>\u202e☃', 'mac': '68:05:ca:3a:00:33'}, {'name': None, 'mac': '68:05:ca:3a:00:34'},
        ]  # fmt: skip
        data['memory']['modules'] += [module, {**module, 'slot': 'A1 2'}, {**module, 'slot': 'x' * 250}, {}]
        data['disks'] += [disk, {'name': 'sda', 'model': 'm' * 250, 'serial': 's' * 90, 'size_bytes': 1}]
        Machine.objects.all().delete()
        self.machine = discovered(data)
        device = self.adopt().object
        self.assertEqual(device.serial, 'SN' * 25)
        self.assertEqual(device.inventoryitems.get(name='A1').serial, '7C9A001')
        names = sorted(device.inventoryitems.values_list('name', flat=True))
        self.assertEqual((len(names), len(set(names))), (2 + 11 + 4, len(names)))
        self.machine.refresh_from_db()
        self.assertEqual([line.key for line in difference.difference(self.machine).lines if line.acceptable], [])

    def test_an_adopted_machine_can_be_built_and_a_discovered_one_cannot(self):
        with self.assertRaises(LifecycleError) as caught:
            builds.request(self.machine, user=self.admin, profile=self.world.profile)
        self.assertIn('register it first', str(caught.exception))
        self.adopt()
        with self.assertRaises(LifecycleError) as caught:  # further on: the profile has no boot image
            builds.request(Machine.objects.get(), user=self.admin)
        self.assertIn('boot image', str(caught.exception))

    def test_a_machine_is_adopted_once(self):
        proposal = self.propose()
        self.adopt()
        with self.assertRaises(Incomplete) as caught:
            adoption.carry_out(self.machine, proposal.choices, proposal.digest, user=self.admin)
        self.assertIn('adopted already', str(caught.exception))

    def test_a_retired_machine_is_not_adopted(self):
        machines.move(self.machine, 'retired', user=self.admin)
        self.assertIn('is retired', self.propose().problems[0].message)


class Addresses(Adopting):
    def test_the_next_free_address_is_one_that_nobody_hands_out(self):
        IPAddress.objects.create(address='10.8.1.2/24')
        self.adopt(primary_ip='next')
        device = Device.objects.get(name='srv-7')
        # .1 is the gateway, .2 is taken.
        self.assertEqual(str(device.primary_ip4.address), '10.8.1.3/24')
        self.assertEqual(str(device.primary_ip4.assigned_object), 'gig1')

    def test_the_address_that_it_had_is_taken_only_if_somebody_says_so(self):
        proposal = self.propose(primary_ip='found')
        self.assertIn('most likely from DHCP', ' '.join(self.line(proposal, 'primary-ip').warnings))
        self.adopt(primary_ip='found')
        self.assertEqual(str(Device.objects.get(name='srv-7').primary_ip4.address), '10.8.1.107/24')

    def test_an_address_that_is_somebody_elses_is_not_taken(self):
        other = a_device(self.world, 'other', macs=('02:00:00:00:00:01',))
        IPAddress.objects.create(address='10.8.1.107/24', assigned_object=other.interfaces.get())
        IPAddress.objects.create(address='10.8.9.107/24', assigned_object=other.interfaces.get())
        proposal = self.propose(primary_ip='found')
        self.assertIn('is that of other eth0', self.line(proposal, 'primary-ip').warnings[0])
        self.assertFalse(self.line(proposal, 'primary-ip').acceptable)
        self.assertIn('is that of other eth0', self.line(proposal, 'bmc').warnings[0])
        self.adopt(primary_ip='found')
        self.assertIsNone(Device.objects.get(name='srv-7').primary_ip)

    def test_a_free_record_of_the_address_is_used(self):
        record = IPAddress.objects.create(address='10.8.9.107/24', dns_name='srv-7-bmc.example.com')
        self.adopt()
        self.assertEqual(Device.objects.get(name='srv-7').oob_ip, record)

    def test_without_a_prefix_the_address_of_the_bmc_is_only_offered(self):
        Prefix.objects.filter(prefix='10.8.9.0/24').delete()
        line = self.line(self.propose(), 'bmc')
        self.assertEqual((line.suggested, line.warnings), (False, ('NetBox has no prefix for 10.8.9.107.',)))
        self.adopt(accept=['bmc'])
        self.assertEqual(str(Device.objects.get(name='srv-7').oob_ip.address), '10.8.9.107/24')

    def test_without_a_credential_no_bmc_is_recorded_and_that_is_said(self):
        self.assertIn('name the credential', ' '.join(self.propose().notes))
        self.adopt()
        self.assertEqual(BMC.objects.count(), 0)


class Cables(Adopting):
    def warnings(self, **lldp):
        data = server()
        data['interfaces'][0]['lldp'] |= lldp
        FactSet.objects.update(data=data)
        line = self.line(self.propose(), 'cable:eno1')
        return line.acceptable, line.warnings

    def test_ports_are_found_in_all_the_ways_that_switches_name_them(self):
        IPAddress.objects.create(address='10.8.9.17/24', assigned_object=self.world.switch.interfaces.first())
        for said in (
            {'port_id': 'Eth7'}, {'port_id': 'ethernet 7'}, {'port_id': '7c:ad:00:00:00:07', 'port_description': 'Et7'},
            {'chassis_name': None, 'management_addresses': ['10.8.9.17']}, {'chassis_name': 'LEAF-17A'},
        ):  # fmt: skip
            with self.subTest(said):
                self.assertEqual(self.warnings(**said), (True, ()))

    def test_what_is_not_found_is_said(self):
        self.assertEqual(
            self.warnings(chassis_name='core-1', chassis_id='none', management_addresses=[]),
            (False, ('NetBox does not know the neighbour "core-1".',)),
        )
        self.assertEqual(self.warnings(port_id='Ethernet99'), (False, ('leaf-17a has no interface "Ethernet99".',)))

    def test_a_port_that_has_a_cable_keeps_it(self):
        other = a_device(self.world, 'other', macs=('02:00:00:00:00:01',))
        Cable(
            a_terminations=[other.interfaces.get()], b_terminations=[self.world.switch.interfaces.get(name='Ethernet7')]
        ).save()
        acceptable, warnings = self.warnings()
        self.assertFalse(acceptable)
        self.assertIn('leaf-17a Ethernet7 has the cable', warnings[0])
        self.assertIn('to other eth0 already', warnings[0])
        self.adopt()
        self.assertEqual(Cable.objects.count(), 1)


class KnownDevices(Adopting):
    def test_a_machine_becomes_a_device_that_netbox_has(self):
        device = a_device(self.world, 'planned-7', serial='CK1RM22', macs=(NICS[0],))
        proposal = self.propose(device=device.pk)
        self.assertEqual(self.line(proposal, 'machine').warnings, ())
        self.assertIn('same serial number', self.line(proposal, 'machine').reason)
        self.assertNotIn('interface:eno1', [line.key for line in proposal.lines])  # it has it already
        self.adopt(device=device.pk)
        machine = Machine.objects.get()
        self.assertEqual((machine.device, machine.state), (device, 'registered'))
        self.assertEqual(device.interfaces.count(), 4)  # eth0, eno2, enp59s0, bmc
        self.assertEqual(Cable.objects.get().a_terminations, [device.interfaces.get(name='eth0')])

    def test_one_that_nothing_speaks_for_is_taken_with_a_warning(self):
        device = a_device(self.world, 'planned-8')
        self.assertIn('Neither its serial number', self.line(self.propose(device=device.pk), 'machine').warnings[0])

    def test_what_speaks_against_it_is_shown(self):
        device = a_device(self.world, 'planned-9', serial='OTHER', macs=(NICS[0],))
        warnings = ' '.join(self.line(self.propose(device=device.pk), 'machine').warnings)
        self.assertIn('NetBox has the serial number OTHER for it, and the machine says CK1RM22', warnings)

    def test_one_that_is_registered_already_becomes_one_with_it(self):
        device = a_device(self.world, 'srv-9', serial='CK1RM22')
        registered = machines.register(device, user=self.admin)
        self.machine.tags.add('cellar')
        outcome = self.adopt(device=device.pk)
        self.assertEqual(outcome.machine, registered)
        machine = Machine.objects.get()
        self.assertEqual((machine.pk, str(machine.uuid)), (registered.pk, '4c4c4544-0043-4b10-8052-b4c04f4d3232'))
        self.assertEqual((machine.firmware, machine.profile), ('uefi', None))
        self.assertEqual(FactSet.objects.get().machine, machine)
        self.assertEqual([tag.name for tag in machine.tags.all()], ['cellar'])
        # And from now on it is found.
        self.assertEqual(discovered(), machine)

    def test_an_object_that_is_not_there_is_said(self):
        (problem,) = self.propose(device=10**6).problems
        self.assertEqual((problem.field, problem.message), ('device', 'There is no device with the id 1000000.'))


class VirtualMachines(Adopting):
    def setUp(self):
        self.machine = discovered(GUEST)

    def test_a_guest_becomes_a_virtual_machine(self):
        proposal = self.propose(cluster=self.world.cluster.pk)
        self.assertEqual(proposal.choices.kind, 'virtual-machine')
        self.adopt(cluster=self.world.cluster.pk, primary_ip='next')
        found = VirtualMachine.objects.get()
        self.assertEqual((found.name, found.vcpus, found.memory, found.status), ('srv-7', 2, 2048, 'planned'))
        port = found.interfaces.get()
        self.assertEqual((port.name, str(port.primary_mac_address).lower()), ('eth0', '52:54:00:12:34:01'))
        self.assertEqual([(disk.name, disk.size) for disk in found.virtualdisks.all()], [('vda', 21474)])
        self.assertEqual(str(found.primary_ip4.address), '10.8.1.2/24')
        self.assertEqual(Machine.objects.get().virtual_machine, found)

    def test_or_a_device_where_somebody_says_so(self):
        self.adopt(kind='device')
        self.assertEqual(Device.objects.get(name='srv-7').device_type.model, 'Standard PC (Q35 + ICH9, 2009)')

    def test_it_needs_a_cluster_or_a_site(self):
        self.assertEqual([problem.field for problem in self.propose(site=None).problems], ['cluster'])


class StaleProposals(Adopting):
    def confirm(self, proposal):
        return adoption.carry_out(self.machine, proposal.choices, proposal.digest, user=self.admin)

    def refused(self, change):
        proposal = self.propose()
        change()
        with self.assertRaises(Stale):
            self.confirm(proposal)
        self.assertFalse(Device.objects.filter(name='srv-7').exists())

    def test_facts_that_have_changed(self):
        self.refused(lambda: discovered(server(disks=[])))

    def test_objects_that_have_changed(self):
        self.refused(lambda: self.world.device_type.interfacetemplates.filter(name='port3').update(name='port4'))

    def test_an_address_that_somebody_else_took(self):
        proposal = self.propose(primary_ip='next')
        IPAddress.objects.create(address='10.8.1.2/24')
        with self.assertRaises(Stale):
            self.confirm(proposal)

    def test_what_is_fleeting_is_no_change(self):
        proposal = self.propose()
        discovered(server(disks__0__health__temperature_c=45, prospector__seconds=8))
        self.confirm(proposal)

    def test_a_machine_that_has_gone(self):
        proposal = self.propose()
        Machine.objects.all().delete()
        with self.assertRaises(Stale):
            self.confirm(proposal)

    def test_it_is_the_same_proposal_in_another_language(self):
        from django.utils import translation

        with translation.override('de'):
            german = self.propose()
        self.assertEqual(german.digest, self.propose().digest)


class Permissions(Adopting):
    NEEDED = (
        (Device, 'add', 'change', 'view'), (Interface, 'add', 'change'), (MACAddress, 'add', 'change'),
        (InventoryItem, 'add'), (IPAddress, 'add'), (Cable, 'add'), (Machine, 'change', 'view'),
    )  # fmt: skip

    def setUp(self):
        super().setUp()
        self.user = User.objects.create_user('operator')
        for model in (type(self.world.site), type(self.world.role), type(self.world.profile), DeviceType):
            permit(self.user, model, 'view')

    def permit(self, *without):
        for model, *actions in self.NEEDED:
            if model not in without:
                permit(self.user, model, *actions)
        self.user = User.objects.get(pk=self.user.pk)

    def test_whoever_has_the_permissions_may(self):
        self.permit()
        self.assertEqual({line.not_permitted for line in self.propose(self.user).lines}, {()})
        self.adopt(user=self.user)

    def test_a_proposal_shows_what_is_not_permitted_and_leaves_it_out(self):
        self.permit(Cable, InventoryItem)
        proposal = self.propose(self.user)
        self.assertEqual(self.line(proposal, 'cable:eno1').not_permitted, ('dcim.add_cable',))
        self.adopt(user=self.user)
        self.assertEqual((Cable.objects.count(), InventoryItem.objects.count()), (0, 0))

    def test_what_is_not_permitted_cannot_be_accepted(self):
        self.permit(Cable)
        with self.assertRaises(NotPermitted) as caught:
            self.adopt(user=self.user, accept=['cable:eno1'])
        self.assertIn('dcim.add_cable', str(caught.exception))

    def test_without_what_is_required_there_is_no_adoption(self):
        self.permit(Device)
        (problem,) = self.propose(self.user).problems
        self.assertIn('dcim.add_device', problem.message)

    def test_constraints_of_permissions_hold_for_what_is_made(self):
        self.permit(Device)
        permit(self.user, Device, 'add', 'change', name__startswith='web-')
        self.user = User.objects.get(pk=self.user.pk)
        with self.assertRaises(NotPermitted) as caught:
            self.adopt(user=self.user)
        self.assertIn('does not cover device "srv-7"', str(caught.exception))
        self.assertFalse(Device.objects.filter(name='srv-7').exists())
        self.adopt(user=self.user, name='web-7')

    def test_nobody_chooses_what_they_may_not_view(self):
        self.permit()
        self.user.object_permissions.filter(object_types__model='site').delete()
        self.user = User.objects.get(pk=self.user.pk)
        self.assertEqual(self.propose(self.user).problems[0].field, 'site')
