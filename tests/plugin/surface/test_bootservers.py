"""Boot servers: pages, API, GraphQL, filters and tables, by NetBox's own test bases."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.test import TestCase
from django.utils import timezone

from dcim.models import Site
from ipam.models import VRF, Prefix
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import BootServerFilterSet
from netbox_substruct.models import BootServer
from netbox_substruct.tables import BootServerTable

from ..base import PluginAPI, PluginFilterSets, PluginViews


def make_boot_servers():
    """Three boot servers at two sites and three prefixes."""
    sites = [Site.objects.create(name=f'Site {n}', slug=f'site-{n}') for n in (1, 2)]
    prefixes = [Prefix.objects.create(prefix=f'10.{n}.0.0/16') for n in (1, 2, 3)]
    boot_servers = BootServer.objects.bulk_create(
        [
            BootServer(name='boot-1', base_url='http://10.1.0.2', status='active', description='first'),
            BootServer(name='boot-2', base_url='http://10.2.0.2:8080', status='maintenance'),
            BootServer(name='boot-3', base_url='https://boot-3.example.com', status='offline'),
        ]
    )
    boot_servers[0].sites.set(sites)
    boot_servers[0].prefixes.set(prefixes[:2])
    boot_servers[1].sites.set(sites[1:])
    return boot_servers, sites, prefixes


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase):
    model = BootServer

    @classmethod
    def setUpTestData(cls):
        boot_servers, sites, prefixes = make_boot_servers()
        Prefix.objects.create(prefix='10.1.0.0/16', vrf=VRF.objects.create(name='Red'))
        cls.form_data = {
            'name': 'boot-x',
            'status': 'maintenance',
            'base_url': 'http://10.9.0.2',
            'sites': [sites[0].pk],
            'prefixes': [prefixes[0].pk, prefixes[2].pk],
            'description': 'the new one',
            'comments': 'in **rack** 4',
            'tags': [],
        }
        cls.csv_data = (
            'name,status,base_url,sites,prefixes',
            'boot-4,active,http://10.1.0.4,"site-1,site-2","10.1.0.0/16,10.2.0.0/16"',
            'boot-5,offline,http://10.1.0.5,,',
            'boot-6,,http://10.1.0.6,site-1,',
        )
        cls.csv_update_data = (
            'id,name,description',
            f'{boot_servers[0].pk},boot-1a,renamed',
            f'{boot_servers[1].pk},boot-2a,renamed',
            f'{boot_servers[2].pk},boot-3a,renamed',
        )
        cls.bulk_edit_data = {'status': 'offline', 'sites': [sites[0].pk], 'description': 'moved'}

    def test_what_the_boot_server_reported_is_on_its_page_and_not_in_its_form(self):
        boot_server = BootServer.objects.get(name='boot-1')
        BootServer.objects.filter(pk=boot_server.pk).update(
            version='0.9.7', last_heartbeat=timezone.now(), out_of_step=[{'service': 'dhcp-out'}]
        )
        self.add_permissions('netbox_substruct.view_bootserver', 'netbox_substruct.change_bootserver')
        page = self.client.get(boot_server.get_absolute_url()).content.decode()
        self.assertIn('0.9.7', page)
        self.assertIn('dhcp-out', page)
        form = self.client.get(self._get_url('edit', boot_server)).context['form']
        self.assertFalse({'version', 'services', 'last_heartbeat', 'applied_cursor', 'out_of_step'} & set(form.fields))


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = BootServer
    brief_fields = ['description', 'display', 'id', 'name', 'url']
    bulk_update_data = {'description': 'all alike'}

    @classmethod
    def setUpTestData(cls):
        _, sites, prefixes = make_boot_servers()
        cls.create_data = [
            {'name': 'boot-4', 'base_url': 'http://10.1.0.4', 'sites': [sites[0].pk], 'prefixes': [prefixes[0].pk]},
            {'name': 'boot-5', 'base_url': 'http://10.1.0.5', 'status': 'offline'},
            {'name': 'boot-6', 'base_url': 'http://10.1.0.6'},
        ]

    def test_what_the_boot_server_reports_cannot_be_written(self):
        boot_server = BootServer.objects.first()
        self.add_permissions('netbox_substruct.change_bootserver')
        response = self.client.patch(
            self._get_detail_url(boot_server),
            {'version': '9', 'services': [1], 'out_of_step': [1], 'applied_cursor': 'x', 'description': 'new'},
            format='json',
            **self.header,
        )
        self.assertHttpStatus(response, 200)
        boot_server.refresh_from_db()
        self.assertEqual(
            (boot_server.version, boot_server.services, boot_server.out_of_step, boot_server.applied_cursor),
            ('', [], [], ''),
        )
        self.assertEqual(boot_server.description, 'new')


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = BootServer.objects.all()
    filterset = BootServerFilterSet
    # JSON and the feed's cursor: there is `in_step` for what people ask.
    ignore_fields = (
        'services', 'applied_cursor', 'out_of_step', 'instances', 'files', 'webhook_id', 'event_rule_id',
    )  # fmt: skip

    @classmethod
    def setUpTestData(cls):
        cls.boot_servers, cls.sites, cls.prefixes = make_boot_servers()
        now = timezone.now()
        warning = {'severity': 'warning', 'what': 'machine', 'id': 1, 'message': 'x'}
        BootServer.objects.filter(name='boot-1').update(last_heartbeat=now, version='1.0', out_of_step=[warning])
        BootServer.objects.filter(name='boot-2').update(
            last_heartbeat=now, out_of_step=[warning, {**warning, 'severity': 'error'}]
        )

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(boot_server.name for boot_server in filterset.qs)

    def test_search_looks_at_name_url_and_description(self):
        self.assertEqual(self.found(q='boot-1'), ['boot-1'])
        self.assertEqual(self.found(q='8080'), ['boot-2'])
        self.assertEqual(self.found(q='FIRST'), ['boot-1'])

    def test_name_and_lookups(self):
        self.assertEqual(self.found(name=['boot-1', 'boot-2']), ['boot-1', 'boot-2'])
        self.assertEqual(self.found(name__ic=['OT-3']), ['boot-3'])
        self.assertEqual(self.found(base_url__isw=['https']), ['boot-3'])

    def test_status(self):
        self.assertEqual(self.found(status=['active', 'offline']), ['boot-1', 'boot-3'])

    def test_site_by_id_and_slug(self):
        self.assertEqual(self.found(site_id=[self.sites[1].pk]), ['boot-1', 'boot-2'])
        self.assertEqual(self.found(site=['site-1']), ['boot-1'])

    def test_prefix(self):
        self.assertEqual(self.found(prefix_id=[self.prefixes[1].pk]), ['boot-1'])

    def test_in_step_leaves_out_those_never_heard_of_and_those_that_are_late(self):
        self.assertEqual(self.found(in_step=True), ['boot-1'])
        self.assertEqual(self.found(in_step=False), ['boot-2'])
        BootServer.objects.filter(name='boot-1').update(services=[{'name': 'dns', 'state': 'down'}])
        self.assertEqual(self.found(in_step=False), ['boot-1', 'boot-2'])
        self.assertEqual(self.found(late=True), [])
        BootServer.objects.filter(name='boot-1').update(last_heartbeat=timezone.now() - timedelta(hours=1))
        self.assertEqual((self.found(in_step=False), self.found(late=True)), (['boot-2'], ['boot-1']))
        self.assertEqual(self.found(late=False), ['boot-2', 'boot-3'])

    def test_the_filter_says_what_the_boot_server_says(self):
        for in_step in (True, False):
            for name in self.found(in_step=in_step):
                self.assertIs(BootServer.objects.get(name=name).in_step, in_step)

    def test_version_and_last_heartbeat(self):
        self.assertEqual(self.found(version=['1.0']), ['boot-1'])
        self.assertEqual(self.found(last_heartbeat__empty=True), ['boot-3'])


class Table(TableTestCases.StandardTableTestCase):
    table = BootServerTable


class Model(TestCase):
    def test_a_base_url_that_machines_cannot_use_is_refused(self):
        for url in ('ftp://10.0.0.2', 'http://', '10.0.0.2:8080', 'http://10.0.0.2:99999', 'http://10.0.0.2/?a=b'):
            with self.subTest(url), self.assertRaises(ValidationError) as caught:
                BootServer(name='boot', base_url=url).full_clean()
            self.assertIn('is no base URL', str(caught.exception))

    def test_a_base_url_may_not_hold_a_password(self):
        with self.assertRaises(ValidationError) as caught:
            BootServer(name='boot', base_url='http://me:secret@10.0.0.2').full_clean()
        self.assertIn('may not hold a user name or password', str(caught.exception))

    def test_in_step_is_unknown_while_nothing_is_heard_of_it(self):
        self.assertIsNone(BootServer(name='boot').in_step)
        self.assertIsNone(BootServer(name='boot', last_heartbeat=timezone.now() - timedelta(hours=1)).in_step)
        heard = BootServer(name='boot', last_heartbeat=timezone.now())
        self.assertTrue(heard.in_step)
        heard.out_of_step = [{'severity': 'warning'}]
        self.assertTrue(heard.in_step)
        heard.out_of_step = [{'severity': 'error'}]
        self.assertFalse(heard.in_step)
        heard.out_of_step, heard.services = [], [{'name': 'dhcp', 'state': 'down'}]
        self.assertFalse(heard.in_step)
