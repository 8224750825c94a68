"""Machines: pages, API, GraphQL, filters and tables, by NetBox's own test bases."""

from django.test import TestCase

from dcim.models import Interface, MACAddress
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import MachineFilterSet
from netbox_substruct.lifecycle import builds
from netbox_substruct.models import BootServer, Machine
from netbox_substruct.tables import MachineTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from .world import a_world


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = Machine

    @classmethod
    def setUpTestData(cls):
        world = a_world()
        machines = world.register()
        server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        cls.form_data = {
            'discovered_name': 'found in the cellar',
            'architecture': 'aarch64',
            'firmware': 'uefi',
            'boot_mac': '00:00:5E:00:53:01',
            'serial': 'X1',
            'boot_server': server.pk,
            'local_boot': 'exit',
            'profile': world.profile.pk,
            'parameters': '{"disk": "/dev/sda"}',
            'description': 'dusty',
            'tags': [],
        }
        cls.csv_data = (
            'discovered_name,virtual_machine,profile,architecture,boot_mac',
            ',vm-1,debian,x86_64,',
            'one,,,aarch64,00:00:5E:00:53:11',
            'two,,debian,,00:00:5E:00:53:12',
        )
        cls.csv_update_data = (
            'id,description,profile',
            *(f'{machine.pk},moved {machine},debian' for machine in machines),
        )
        cls.bulk_edit_data = {'architecture': 'aarch64', 'boot_server': server.pk, 'description': 'in bulk'}

    def test_the_form_has_neither_state_nor_next_boot(self):
        self.add_permissions('netbox_substruct.change_machine')
        form = self.client.get(self._get_url('edit', Machine.objects.first())).context['form']
        self.assertFalse({'state', 'next_boot', 'last_seen'} & set(form.fields))

    def test_what_a_machine_is_cannot_be_changed_in_its_form(self):
        self.add_permissions('netbox_substruct.change_machine')
        form = self.client.get(self._get_url('edit', Machine.objects.first())).context['form']
        self.assertTrue(form.fields['device'].disabled)


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Machine
    brief_fields = ['description', 'display', 'id', 'name', 'state', 'url']
    bulk_update_data = {'description': 'in bulk'}
    update_data = {'description': 'new', 'architecture': 'aarch64', 'parameters': {'disk': 'sdb'}}

    @classmethod
    def setUpTestData(cls):
        world = a_world()
        world.register()
        cls.create_data = [
            {'virtual_machine': world.virtual_machine.pk, 'profile': world.profile.pk},
            {'discovered_name': 'one', 'boot_mac': '00:00:5E:00:53:11', 'firmware': 'uefi'},
            {'discovered_name': 'two', 'architecture': 'aarch64', 'parameters': {'disk': 'sda'}},
        ]

    def test_state_and_next_boot_cannot_be_written(self):
        machine = Machine.objects.first()
        self.add_permissions('netbox_substruct.change_machine')
        response = self.client.patch(
            self._get_detail_url(machine),
            {'state': 'built', 'next_boot': 'wipe', 'last_seen': '2026-01-01T00:00:00Z'},
            format='json',
            **self.header,
        )
        self.assertHttpStatus(response, 200)
        machine.refresh_from_db()
        self.assertEqual((machine.state, machine.next_boot, machine.last_seen), ('registered', '', None))

    def test_a_device_cannot_be_two_machines(self):
        self.add_permissions('netbox_substruct.add_machine')
        device = Machine.objects.first().device
        response = self.client.post(self._get_list_url(), {'device': device.pk}, format='json', **self.header)
        self.assertHttpStatus(response, 400)
        self.assertIn('registered already', str(response.data['device']))

    def test_it_says_its_name_and_site(self):
        self.add_permissions('netbox_substruct.view_machine')
        machine = Machine.objects.get(device__name='b-1')
        answer = self.client.get(self._get_detail_url(machine), **self.header).json()
        found = (answer['name'], answer['site']['slug'], answer['state']['value'])
        self.assertEqual(found, ('b-1', 'site-b', 'registered'))


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Machine.objects.all()
    filterset = MachineFilterSet
    # A machine's own parameters are JSON; a BMC is found by its own list.
    ignore_fields = ('parameters', 'bmc')

    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.world.register()
        interface = Interface.objects.create(device=cls.world.devices[1], name='eth0', type='1000base-t')
        MACAddress.objects.create(mac_address='00:00:5E:00:53:02', assigned_object=interface)
        Machine.objects.create(
            discovered_name='cellar', boot_mac='00:00:5E:00:53:01', firmware='uefi', state='discovered'
        )
        builds.request(Machine.objects.get(device__name='b-1'))

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(machine.name for machine in filterset.qs)

    def test_search_looks_at_names_serial_numbers_and_addresses(self):
        self.assertEqual(self.found(q='a-1'), ['a-1'])
        self.assertEqual(self.found(q='SN-b'), ['b-1'])
        self.assertEqual(self.found(q='CELL'), ['cellar'])
        self.assertEqual(self.found(q='5e:00:53:01'), ['cellar'])

    def test_name(self):
        self.assertEqual(self.found(name=['a-1', 'cellar']), ['a-1', 'cellar'])

    def test_site_by_id_and_slug(self):
        self.assertEqual(self.found(site_id=[self.world.sites[0].pk]), ['a-1', 'a-2'])
        self.assertEqual(self.found(site=['site-b']), ['b-1'])

    def test_state_profile_and_firmware_with_lookups(self):
        self.assertEqual(self.found(state=['discovered']), ['cellar'])
        self.assertEqual(self.found(state__n=['discovered']), ['a-1', 'a-2', 'b-1'])
        self.assertEqual(self.found(profile=['debian']), ['a-1', 'a-2', 'b-1'])
        self.assertEqual(self.found(firmware=['uefi']), ['cellar'])

    def test_mac_address_of_any_port_and_of_the_boot_port(self):
        self.assertEqual(self.found(mac_address=['00:00:5E:00:53:02']), ['a-2'])
        self.assertEqual(self.found(mac_address=['00:00:5E:00:53:01']), ['cellar'])
        self.assertEqual(self.found(boot_mac=['00:00:5E:00:53:01']), ['cellar'])

    def test_build_under_way(self):
        self.assertEqual(self.found(has_active_build=True), ['b-1'])
        self.assertEqual(self.found(has_active_build=False), ['a-1', 'a-2', 'cellar'])


class Table(TableTestCases.StandardTableTestCase):
    table = MachineTable
