"""Subnets: pages, API, GraphQL, filters and tables, by NetBox's own test bases; and what a subnet refuses."""

import json

from django.core.exceptions import ValidationError
from django.test import TestCase
from netaddr import IPNetwork

from dcim.models import Site
from ipam.models import VLAN, VRF, IPRange, Prefix
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import SubnetFilterSet
from netbox_substruct.models import BootServer, Subnet
from netbox_substruct.tables import SubnetTable

from ..base import PluginAPI, PluginFilterSets, PluginViews


class World:
    """10.0.0.0/16 with two /24 below it, in the global table; the same /16 in VRF Red; four prefixes without subnet."""

    def __init__(self):
        self.red = VRF.objects.create(name='Red', rd='65000:1')
        self.site = Site.objects.create(name='Site 1', slug='site-1')
        self.vlan = VLAN.objects.create(vid=20, name='Servers')
        self.boot_server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        prefix = Prefix.objects.create
        self.upper = prefix(prefix='10.0.0.0/16', scope=self.site)
        self.lower = prefix(prefix='10.0.1.0/24', vlan=self.vlan)
        self.other = prefix(prefix='10.0.2.0/24')
        self.in_red = prefix(prefix='10.0.0.0/16', vrf=self.red)
        self.free = [prefix(prefix=f'10.0.{n}.0/24') for n in (11, 12, 13)]
        self.free_v6 = prefix(prefix='2001:db8::/64')
        self.free_in_red = prefix(prefix='10.0.11.0/24', vrf=self.red)
        self.lease_range, self.free_range = (
            IPRange.objects.create(
                start_address=IPNetwork(f'10.0.{n}.100/24'), end_address=IPNetwork(f'10.0.{n}.199/24')
            )
            for n in (1, 11)
        )
        subnet = Subnet.objects.create
        self.subnets = [
            subnet(
                prefix=self.upper, boot_server=self.boot_server, name_servers=['10.0.0.53', '10.0.0.54'],
                domain='dc1.example.com', dhcp_enabled=True, discovery_enabled=False, lease_time=7200,
                dhcp_options={'66': 'tftp.example.com'}, description='all of it',
            ),
            subnet(
                prefix=self.lower, gateway='10.0.1.1', lease_range=self.lease_range, ntp_servers=['10.0.1.123'],
                discovery_enabled=True,
            ),
            subnet(prefix=self.other, name_servers=['10.0.0.53'], dhcp_options={'66': 'other', '7': '10.0.2.9'}),
            subnet(prefix=self.in_red, domain='red.example.com'),
        ]  # fmt: skip


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = Subnet

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        cls.form_data = {
            'prefix': world.free[0].pk,
            'boot_server': world.boot_server.pk,
            'gateway': '10.0.11.1',
            'name_servers': '10.0.0.53,2001:db8::53',
            'ntp_servers': '10.0.0.123',
            'domain': 'lab.example.com',
            'lease_range': world.free_range.pk,
            'lease_time': 600,
            'dhcp_options': json.dumps({'66': 'tftp'}),
            'dhcp_enabled': True,
            'discovery_enabled': False,
            'description': 'lab',
            'comments': 'second floor',
            'tags': [],
        }
        cls.csv_data = {
            'in the global table': (
                'prefix,boot_server,gateway,name_servers,lease_range,dhcp_options,dhcp_enabled,discovery_enabled',
                '10.0.11.0/24,boot-1,10.0.11.1,"10.0.0.53,10.0.0.54",10.0.11.100/24,"{""66"": ""tftp""}",yes,false',
                '10.0.12.0/24,,,,,,,',
                '2001:db8::/64,,2001:db8::1,2001:db8::53,,,true,',
            ),
            'in a VRF': ('vrf,prefix,domain', 'Red,10.0.11.0/24,red.example.com'),
        }
        cls.csv_update_data = (
            'id,domain,description',
            *(f'{subnet.pk},new.example.com,changed' for subnet in world.subnets[:3]),
        )
        cls.bulk_edit_data = {
            'description': 'all alike',
            'boot_server': world.boot_server.pk,
            'dhcp_enabled': True,
            'discovery_enabled': True,
            'lease_time': 1200,
            'name_servers': '10.0.0.99',
            'domain': 'bulk.example.com',
            'dhcp_options': json.dumps({'67': 'x'}),
        }

    def _get_csv_data(self, scenario_name='in the global table'):
        return super()._get_csv_data(scenario_name)

    def import_csv(self, *lines):
        self.add_permissions('netbox_substruct.add_subnet', 'netbox_substruct.view_subnet')
        self.add_permissions(
            'ipam.view_vrf', 'ipam.view_prefix', 'ipam.view_iprange', 'netbox_substruct.view_bootserver'
        )
        return self.client.post(
            self._get_url('bulk_import'), {'data': '\n'.join(lines), 'format': 'csv', 'csv_delimiter': 'auto'}
        )

    def test_an_import_finds_the_prefix_in_its_vrf_and_takes_lists_and_json(self):
        self.assertHttpStatus(self.import_csv(*self.csv_data['in a VRF']), 302)
        self.assertTrue(Subnet.objects.filter(prefix=self.world.free_in_red).exists())
        self.assertHttpStatus(self.import_csv(*self.csv_data['in the global table']), 302)
        subnet = Subnet.objects.get(prefix=self.world.free[0])
        self.assertEqual(subnet.name_servers, ['10.0.0.53', '10.0.0.54'])
        self.assertEqual(subnet.dhcp_options, {'66': 'tftp'})
        self.assertEqual(subnet.lease_range, self.world.free_range)
        self.assertIs(subnet.dhcp_enabled, True)
        self.assertIs(subnet.discovery_enabled, False)
        self.assertIsNone(Subnet.objects.get(prefix=self.world.free[1]).dhcp_enabled)

    def test_an_import_does_not_take_what_is_neither_true_nor_false_for_nothing(self):
        response = self.import_csv('prefix,dhcp_enabled', '10.0.11.0/24,on')
        self.assertContains(response, 'is neither true nor false')

    def test_setting_lists_and_options_to_null_in_bulk_empties_them(self):
        self.add_permissions('netbox_substruct.change_subnet', 'netbox_substruct.view_subnet')
        nothing = ['name_servers', 'dhcp_options', 'dhcp_enabled', 'boot_server', 'domain', 'lease_time']
        response = self.client.post(
            self._get_url('bulk_edit'), {'pk': [self.world.subnets[0].pk], '_apply': True, '_nullify': nothing}
        )
        self.assertHttpStatus(response, 302)
        subnet = Subnet.objects.get(pk=self.world.subnets[0].pk)
        self.assertEqual([getattr(subnet, name) for name in nothing], [[], {}, None, None, '', None])

    def test_the_page_shows_inherited_values_with_the_subnet_that_they_come_from(self):
        self.add_permissions('netbox_substruct.view_subnet')
        upper, lower = self.world.subnets[:2]
        page = self.client.get(lower.get_absolute_url()).content.decode()
        rows = page.split('begin EffectiveSubnetPanel')[1].split('end EffectiveSubnetPanel')[0]
        cells = {label: rest for label, _, rest in (row.partition('</td>') for row in rows.split('<tr>')[2:])}
        cells = {label.partition('<td>')[2].strip(): rest for label, rest in cells.items()}
        self.assertIn('dc1.example.com', cells['Domain'])
        self.assertIn(f'href="{upper.get_absolute_url()}"', cells['Domain'])
        self.assertIn('This subnet', cells['Discovery'])
        self.assertIn('7200 s', cells['Lease time'])
        self.assertIn('tftp.example.com', cells['DHCP option 66'])
        # Who may not see boot servers sees the name, without a link.
        self.assertIn('boot-1', cells['Boot server'])
        self.assertNotIn(self.world.boot_server.get_absolute_url(), cells['Boot server'])

    def test_the_page_shows_what_netbox_says_of_the_prefix(self):
        self.add_permissions('netbox_substruct.view_subnet')
        page = self.client.get(self.world.subnets[1].get_absolute_url()).content.decode()
        self.assertIn('Servers (20)', page)
        self.assertIn('Site 1', self.client.get(self.world.subnets[0].get_absolute_url()).content.decode())


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Subnet
    brief_fields = ['description', 'display', 'id', 'prefix', 'url']
    bulk_update_data = {'domain': 'all.example.com'}

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        cls.create_data = [
            {
                'prefix': world.free[0].pk,
                'boot_server': world.boot_server.pk,
                'gateway': '10.0.11.1',
                'name_servers': ['10.0.0.53', '2001:db8::53'],
                'lease_range': world.free_range.pk,
                'dhcp_options': {'66': 'tftp', '150': ['10.0.0.1', '10.0.0.2']},
                'dhcp_enabled': True,
            },
            {'prefix': world.free[1].pk, 'dhcp_enabled': None},
            {'prefix': world.free_v6.pk, 'gateway': '2001:db8::1'},
        ]

    def post(self, **data):
        self.add_permissions('netbox_substruct.add_subnet')
        return self.client.post(self._get_list_url(), {'prefix': self.world.free[2].pk, **data}, format='json',
                                **self.header)  # fmt: skip

    def test_what_is_no_address_is_refused_with_the_name_of_its_field(self):
        for field, value in (('name_servers', ['10.0.0.999']), ('ntp_servers', ['ntp.example.com']), ('gateway', 'gw')):
            with self.subTest(field):
                response = self.post(**{field: value})
                self.assertHttpStatus(response, 400)
                self.assertEqual(list(response.json()), [field])

    def test_dhcp_options_that_are_none_are_refused(self):
        for value in ({'999': 'x'}, ['66'], {'66': {'a': 1}}, {'66': 'line\nbreak'}):
            with self.subTest(value):
                response = self.post(dhcp_options=value)
                self.assertHttpStatus(response, 400)
                self.assertEqual(list(response.json()), ['dhcp_options'])


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Subnet.objects.all()
    filterset = SubnetFilterSet
    ignore_fields = ('dhcp_options',)

    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.world.subnets.index(subnet) for subnet in filterset.qs.order_by('pk')]

    def test_search_takes_a_part_of_the_prefix_an_address_in_it_the_domain_or_the_description(self):
        self.assertEqual(self.found(q='10.0.1.0'), [0, 1, 3])
        self.assertEqual(self.found(q='10.0.2.77'), [0, 2, 3])
        self.assertEqual(self.found(q='red.example'), [3])
        self.assertEqual(self.found(q='ALL OF'), [0])

    def test_prefix_by_id_and_text(self):
        self.assertEqual(self.found(prefix_id=[self.world.lower.pk]), [1])
        self.assertEqual(self.found(prefix=['10.0.0.0/16', '10.0.2.0/24', 'nonsense']), [0, 2, 3])

    def test_within_a_prefix(self):
        self.assertEqual(self.found(within='10.0.0.0/16'), [1, 2])
        self.assertEqual(self.found(within_include='10.0.0.0/16'), [0, 1, 2, 3])
        self.assertEqual(self.found(within='nonsense'), [])

    def test_vrf_by_id_by_distinguisher_and_none(self):
        self.assertEqual(self.found(vrf_id=[self.world.red.pk]), [3])
        self.assertEqual(self.found(vrf=['65000:1']), [3])
        self.assertEqual(self.found(vrf_id=['null']), [0, 1, 2])

    def test_vlan_and_address_family(self):
        self.assertEqual(self.found(vlan_id=[self.world.vlan.pk]), [1])
        self.assertEqual(self.found(family=6), [])

    def test_boot_server_by_id_and_name(self):
        self.assertEqual(self.found(boot_server_id=[self.world.boot_server.pk]), [0])
        self.assertEqual(self.found(boot_server=['boot-1']), [0])
        self.assertEqual(self.found(boot_server_id__n=[self.world.boot_server.pk]), [1, 2, 3])

    def test_addresses(self):
        self.assertEqual(self.found(gateway=['10.0.1.1']), [1])
        self.assertEqual(self.found(gateway__isw=['10.0.1']), [1])
        self.assertEqual(self.found(name_servers=['10.0.0.53']), [0, 2])
        self.assertEqual(self.found(ntp_servers=['10.0.1.123', '10.9.9.9']), [1])

    def test_what_is_no_address_is_an_error_of_the_filter_and_not_of_the_server(self):
        for field in ('gateway', 'name_servers', 'ntp_servers'):
            with self.subTest(field):
                self.assertIn(field, self.filterset({field: ['nonsense']}, self.queryset).errors)

    def test_lease_range_domain_and_time(self):
        self.assertEqual(self.found(lease_range_id=[self.world.lease_range.pk]), [1])
        self.assertEqual(self.found(domain__iew=['EXAMPLE.COM']), [0, 3])
        self.assertEqual(self.found(lease_time__gte=[7200]), [0])

    def test_on_off_and_inherited(self):
        self.assertEqual(self.found(dhcp_enabled=True), [0])
        self.assertEqual(self.found(dhcp_enabled__empty=True), [1, 2, 3])
        self.assertEqual(self.found(discovery_enabled=False), [0])
        self.assertEqual(self.found(discovery_enabled__empty=False), [0, 1])


class Table(TableTestCases.StandardTableTestCase):
    table = SubnetTable


class Model(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def refused(self, **values):
        with self.assertRaises(ValidationError) as caught:
            Subnet(prefix=self.world.free[0], **values).full_clean()
        return caught.exception.message_dict

    def test_a_gateway_outside_the_prefix_is_refused(self):
        self.assertEqual(
            self.refused(gateway='10.0.12.1'), {'gateway': ['The gateway 10.0.12.1 is not inside 10.0.11.0/24.']}
        )

    def test_a_lease_range_outside_the_prefix_is_refused(self):
        message = self.refused(lease_range=self.world.lease_range)['lease_range'][0]
        self.assertIn('is not inside 10.0.11.0/24 of the same VRF', message)

    def test_a_lease_range_of_another_vrf_is_refused(self):
        elsewhere = IPRange.objects.create(
            start_address=IPNetwork('10.0.11.10/24'), end_address=IPNetwork('10.0.11.20/24'), vrf=self.world.red
        )
        self.assertIn('same VRF', self.refused(lease_range=elsewhere)['lease_range'][0])

    def test_a_lease_of_less_than_a_minute_is_refused(self):
        self.assertIn('less than a minute', self.refused(lease_time=59)['lease_time'][0])

    def test_a_domain_that_is_none_is_refused(self):
        self.assertIn('is no DNS name', self.refused(domain='-x.example.com')['domain'][0])

    def test_a_second_subnet_of_a_prefix_is_refused(self):
        with self.assertRaises(ValidationError) as caught:
            Subnet(prefix=self.world.upper).full_clean()
        self.assertIn('already exists', caught.exception.message_dict['prefix'][0])

    def test_deleting_the_prefix_deletes_the_subnet_and_deleting_the_boot_server_does_not(self):
        self.world.boot_server.delete()
        self.assertEqual(Subnet.objects.count(), 4)
        self.world.upper.delete()
        self.assertFalse(Subnet.objects.filter(pk=self.world.subnets[0].pk).exists())
