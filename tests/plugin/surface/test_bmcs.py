"""BMCs: pages, API, GraphQL, filters and tables, by NetBox's own test bases."""

from django.test import TestCase

from dcim.models import Interface
from ipam.models import IPAddress
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import BMCFilterSet
from netbox_substruct.models import BMC, Machine
from netbox_substruct.tables import BMCTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from .world import a_world


def make_bmcs():
    """A BMC for each of the three devices, and four machines without one."""
    machines = a_world().register()
    for number, machine in enumerate(machines, start=1):
        BMC.objects.create(
            machine=machine, protocol='ipmi' if number == 1 else 'redfish', address=f'10.9.0.{number}', credential='ops'
        )
    return machines, [Machine.objects.create(discovered_name=f'free-{number}') for number in (1, 2, 3, 4)]


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = BMC

    @classmethod
    def setUpTestData(cls):
        _, free = make_bmcs()
        cls.form_data = {
            'machine': free[0].pk,
            'protocol': 'redfish',
            'address': '2001:db8::9',
            'port': 8443,
            'credential': 'lab/redfish',
            'description': 'new',
            'tags': [],
        }
        cls.csv_data = (
            'machine,protocol,address,credential',
            'free-2,ipmi,10.9.1.2,ops',
            'free-3,redfish,,ops',
            f'{free[3].pk},redfish,2001:db8::4,ops',
        )
        cls.csv_update_data = ('id,description', *(f'{bmc.pk},moved' for bmc in BMC.objects.all()))
        cls.bulk_edit_data = {'protocol': 'redfish', 'credential': 'lab', 'description': 'in bulk'}


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = BMC
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_machine',)
    brief_fields = ['description', 'display', 'id', 'protocol', 'url']
    bulk_update_data = {'credential': 'lab'}
    update_data = {'protocol': 'redfish', 'address': '10.9.9.9', 'credential': 'lab'}

    @classmethod
    def setUpTestData(cls):
        _, free = make_bmcs()
        cls.create_data = [{'machine': machine.pk, 'protocol': 'redfish', 'credential': 'ops'} for machine in free[:3]]

    def test_a_machine_has_one_bmc(self):
        self.add_permissions('netbox_substruct.add_bmc')
        data = {'machine': BMC.objects.first().machine_id, 'credential': 'ops'}
        response = self.client.post(self._get_list_url(), data, format='json', **self.header)
        self.assertHttpStatus(response, 400)
        self.assertIn('has a BMC already', str(response.data['machine']))

    def test_without_an_address_the_out_of_band_address_of_the_device_is_used(self):
        self.add_permissions('netbox_substruct.view_bmc')
        bmc = BMC.objects.get(machine__device__name='a-1')
        device = bmc.machine.device
        interface = Interface.objects.create(device=device, name='bmc', type='1000base-t', mgmt_only=True)
        device.oob_ip = IPAddress.objects.create(address='10.8.0.1/24', assigned_object=interface)
        device.save()
        BMC.objects.filter(pk=bmc.pk).update(address=None)
        answer = self.client.get(self._get_detail_url(bmc), **self.header).json()
        self.assertEqual((answer['address'], answer['effective_address']), (None, '10.8.0.1'))


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = BMC.objects.all()
    filterset = BMCFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.machines, _ = make_bmcs()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(bmc.machine.name for bmc in filterset.qs)

    def test_by_machine_device_and_protocol(self):
        self.assertEqual(self.found(machine_id=[self.machines[1].pk]), ['a-2'])
        self.assertEqual(self.found(device_id=[self.machines[2].device_id]), ['b-1'])
        self.assertEqual(self.found(protocol=['ipmi']), ['a-1'])

    def test_by_address_and_search(self):
        self.assertEqual(self.found(address=['10.9.0.2']), ['a-2'])
        self.assertEqual(self.found(q='10.9.0.3'), ['b-1'])
        self.assertEqual(self.found(q='a-1'), ['a-1'])


class Table(TableTestCases.StandardTableTestCase):
    table = BMCTable
