"""Zones: pages, API, GraphQL, filters and tables, by NetBox's own test bases; and how names of zones are taken."""

from django.core.exceptions import ValidationError
from django.test import TestCase

from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import ZoneFilterSet
from netbox_substruct.models import BootServer, Zone
from netbox_substruct.tables import ZoneTable

from ..base import PluginAPI, PluginFilterSets, PluginViews


def make_zones():
    """A forward zone kept by boot-1, a reverse zone, and one of PowerDNS."""
    boot_server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
    zones = [
        Zone.objects.create(
            name='dc1.example.com', boot_server=boot_server, server='ns1.example.com:53', credential='tsig/dc1',
            name_servers=['ns1.example.com', 'ns2.example.com'], soa_mname='ns1.example.com',
            soa_rname='hostmaster.example.com', description='first',
        ),
        Zone.objects.create(name='0.0.10.in-addr.arpa', update_method='zonefile', name_servers=['ns1.example.com']),
        Zone.objects.create(name='dc2.example.com', update_method='powerdns', ttl=60, soa_refresh=1, soa_minimum=5),
    ]  # fmt: skip
    return zones, boot_server


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase):
    model = Zone

    @classmethod
    def setUpTestData(cls):
        zones, boot_server = make_zones()
        cls.form_data = {
            'name': 'lab.example.com',
            'boot_server': boot_server.pk,
            'update_method': 'powerdns',
            'server': 'pdns.example.com',
            'credential': 'pdns-key',
            'name_servers': 'ns1.example.com,ns2.example.com',
            'ttl': 300,
            'soa_mname': 'ns1.example.com',
            'soa_rname': 'hostmaster@example.com',
            'soa_refresh': 1,
            'soa_retry': 2,
            'soa_expire': 3,
            'soa_minimum': 4,
            'description': 'lab',
            'comments': 'of the lab',
            'tags': [],
        }
        cls.csv_data = (
            'name,boot_server,update_method,name_servers,ttl',
            'a.example.com,boot-1,zonefile,"ns1.example.com,ns2.example.com",600',
            'B.example.com.,,,,',
            '1.0.10.in-addr.arpa,,rfc2136,,',
        )
        cls.csv_update_data = ('id,ttl,description', *(f'{zone.pk},77,changed' for zone in zones))
        cls.bulk_edit_data = {
            'boot_server': boot_server.pk,
            'update_method': 'zonefile',
            'ttl': 99,
            'name_servers': 'ns9.example.com',
            'soa_expire': 1000,
            'description': 'all alike',
        }

    def test_an_import_that_leaves_times_empty_gives_them_their_defaults_and_the_name_one_spelling(self):
        self.add_permissions(*(f'netbox_substruct.{name}' for name in ('add_zone', 'view_zone', 'view_bootserver')))
        data = {'data': '\n'.join(self.csv_data), 'format': 'csv', 'csv_delimiter': 'auto'}
        self.assertHttpStatus(self.client.post(self._get_url('bulk_import'), data), 302)
        zone = Zone.objects.get(name='b.example.com')
        self.assertEqual((zone.ttl, zone.soa_refresh, zone.update_method), (3600, 43200, 'rfc2136'))

    def test_the_page_shows_the_soa_in_one_panel(self):
        self.add_permissions('netbox_substruct.view_zone')
        page = self.client.get(Zone.objects.get(name='dc1.example.com').get_absolute_url()).content.decode()
        soa = page.split('begin ZoneSOAPanel')[1].split('end ZoneSOAPanel')[0]
        for value in ('ns1.example.com', 'hostmaster.example.com', '43200 s', '7200 s', '2419200 s', '3600 s'):
            self.assertIn(value, soa)


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Zone
    brief_fields = ['description', 'display', 'id', 'name', 'url']
    bulk_update_data = {'ttl': 120}

    @classmethod
    def setUpTestData(cls):
        _, boot_server = make_zones()
        cls.create_data = [
            {'name': 'a.example.com', 'boot_server': boot_server.pk, 'name_servers': ['ns1.example.com']},
            {'name': 'b.example.com', 'update_method': 'zonefile'},
            {'name': '8.b.d.0.1.0.0.2.ip6.arpa', 'ttl': 60},
        ]

    def post(self, **data):
        self.add_permissions('netbox_substruct.add_zone')
        return self.client.post(self._get_list_url(), data, format='json', **self.header)

    def test_a_name_with_capitals_and_a_final_dot_is_taken_in_its_one_spelling(self):
        response = self.post(name='New.Example.COM.')
        self.assertHttpStatus(response, 201)
        self.assertEqual(Zone.objects.get(pk=response.json()['id']).name, 'new.example.com')

    def test_a_name_that_is_there_in_another_spelling_is_refused(self):
        response = self.post(name='DC1.example.com')
        self.assertHttpStatus(response, 400)
        self.assertEqual(list(response.json()), ['name'])

    def test_a_name_that_is_none_is_refused(self):
        response = self.post(name='a b.example.com')
        self.assertHttpStatus(response, 400)
        self.assertIn('is no DNS name', response.json()['name'][0])

    def test_it_says_whether_a_zone_is_a_reverse_one(self):
        self.add_permissions('netbox_substruct.view_zone')
        zone = Zone.objects.get(name='0.0.10.in-addr.arpa')
        self.assertIs(self.client.get(self._get_detail_url(zone), **self.header).json()['is_reverse'], True)


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Zone.objects.all()
    filterset = ZoneFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.zones, cls.boot_server = make_zones()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.zones.index(zone) for zone in filterset.qs.order_by('pk')]

    def test_search_looks_at_name_server_mname_and_description(self):
        self.assertEqual(self.found(q='dc2'), [2])
        self.assertEqual(self.found(q=':53'), [0])
        self.assertEqual(self.found(q='first'), [0])

    def test_name_and_lookups(self):
        self.assertEqual(self.found(name=['dc2.example.com']), [2])
        self.assertEqual(self.found(name__iew=['example.com']), [0, 2])

    def test_boot_server_by_id_name_and_none(self):
        self.assertEqual(self.found(boot_server_id=[self.boot_server.pk]), [0])
        self.assertEqual(self.found(boot_server=['boot-1']), [0])
        self.assertEqual(self.found(boot_server_id=['null']), [1, 2])

    def test_update_method_server_and_credential(self):
        self.assertEqual(self.found(update_method=['zonefile', 'powerdns']), [1, 2])
        self.assertEqual(self.found(server=['ns1.example.com:53']), [0])
        self.assertEqual(self.found(credential=['tsig/dc1']), [0])

    def test_name_servers_are_those_that_have_it_among_them(self):
        self.assertEqual(self.found(name_servers=['ns1.example.com']), [0, 1])
        self.assertEqual(self.found(name_servers=['ns2.example.com']), [0])

    def test_times(self):
        self.assertEqual(self.found(ttl=[60]), [2])
        self.assertEqual(self.found(soa_refresh__lt=[100]), [2])
        self.assertEqual(self.found(soa_minimum=[5]), [2])
        self.assertEqual(self.found(soa_retry__gt=[7199], soa_expire=[2419200]), [0, 1, 2])

    def test_soa_names(self):
        self.assertEqual(self.found(soa_mname=['ns1.example.com'], soa_rname__isw=['hostmaster']), [0])

    def test_reverse_zones(self):
        self.assertEqual(self.found(reverse=True), [1])
        self.assertEqual(self.found(reverse=False), [0, 2])


class Table(TableTestCases.StandardTableTestCase):
    table = ZoneTable


class Model(TestCase):
    def refused(self, **values):
        with self.assertRaises(ValidationError) as caught:
            Zone(**{'name': 'example.com', **values}).full_clean()
        return caught.exception.message_dict

    def test_a_name_that_is_none_is_refused(self):
        for name in ('', 'a..example.com', '-a.example.com', 'a b.com', 'x' * 64 + '.com', 'ä.com'):
            with self.subTest(name):
                self.assertIn('name', self.refused(name=name))

    def test_a_credential_is_a_name_and_no_secret(self):
        self.assertIn('is no credential name', self.refused(credential='p@ss word')['credential'][0])

    def test_soa_names_are_checked(self):
        self.assertIn('is no DNS name', self.refused(soa_mname='ns1_.example-.com')['soa_mname'][0])
        self.assertIn('soa_rname', self.refused(soa_rname='host master'))

    def test_a_mailbox_may_be_written_as_such(self):
        Zone(name='example.com', soa_rname='hostmaster@example.com').full_clean()

    def test_the_spelling_of_the_name_is_one(self):
        zone = Zone(name='Example.COM.')
        zone.full_clean()
        self.assertEqual(zone.name, 'example.com')

    def test_reverse_zones_are_known_by_their_names(self):
        self.assertTrue(Zone(name='10.in-addr.arpa').is_reverse)
        self.assertTrue(Zone(name='8.b.d.0.1.0.0.2.ip6.arpa').is_reverse)
        self.assertFalse(Zone(name='in-addr.arpa.example.com').is_reverse)
