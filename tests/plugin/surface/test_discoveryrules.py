"""Discovery rules: pages, API, GraphQL, filters and tables, by NetBox's test bases; and which conditions they take."""

import json

from django.core.exceptions import ValidationError
from django.test import TestCase

from dcim.models import DeviceRole, DeviceType, Manufacturer, Site
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import DiscoveryRuleFilterSet
from netbox_substruct.models import DiscoveryRule, Profile
from netbox_substruct.tables import DiscoveryRuleTable

from ..base import PluginAPI, PluginFilterSets, PluginViews

# In the order in which PostgreSQL keeps keys.
CONDITION = {'memory.total_gib': [64, 128], 'system.manufacturer': 'Dell*'}


class World:
    """Three rules: one with everything, one that is off, one that takes the rest."""

    def __init__(self):
        self.servers = DeviceRole.objects.create(name='Servers', slug='servers', color='ff0000')
        self.web_servers = DeviceRole.objects.create(name='Web', slug='web', parent=self.servers, color='00ff00')
        dell = Manufacturer.objects.create(name='Dell', slug='dell')
        self.device_type = DeviceType.objects.create(manufacturer=dell, model='R650', slug='r650')
        self.site = Site.objects.create(name='Site 1', slug='site-1')
        self.profile = Profile.objects.create(name='Web', slug='web')
        self.rules = [
            DiscoveryRule.objects.create(
                name='Dell', priority=10, condition=CONDITION, host_name_template='srv-{{ system.serial }}',
                role=self.web_servers, device_type=self.device_type, site=self.site, profile=self.profile, limit=5,
                build_at_once=True, description='first',
            ),
            DiscoveryRule.objects.create(name='Off', enabled=False, priority=20),
            DiscoveryRule.objects.create(name='Rest', priority=1000),
        ]  # fmt: skip


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase):
    model = DiscoveryRule

    @classmethod
    def setUpTestData(cls):
        world = World()
        cls.form_data = {
            'name': 'New',
            'enabled': True,
            'priority': 5,
            'condition': json.dumps(CONDITION),
            'host_name_template': 'x-{{ system.serial }}',
            'role': world.servers.pk,
            'device_type': world.device_type.pk,
            'site': world.site.pk,
            'profile': world.profile.pk,
            'limit': 3,
            'build_at_once': True,
            'description': 'new one',
            'comments': '',
            'tags': [],
        }
        cls.csv_data = (
            'name,enabled,priority,condition,role,device_type,site,profile,build_at_once',
            'A,true,7,"{""system.vendor"": ""HP*""}",Servers,R650,Site 1,Web,yes',
            'B,,,,,,,,',
            'C,no,8,,,,,,false',
        )
        cls.csv_update_data = ('id,description', *(f'{rule.pk},changed' for rule in world.rules))
        cls.bulk_edit_data = {
            'enabled': False, 'priority': 500, 'condition': json.dumps({'a': 'b'}), 'site': world.site.pk,
            'build_at_once': False, 'description': 'all alike',
        }  # fmt: skip

    def test_an_import_that_says_nothing_of_it_makes_an_enabled_rule_that_builds_nothing_by_itself(self):
        self.add_permissions('netbox_substruct.add_discoveryrule', 'netbox_substruct.view_discoveryrule')
        for number, lines in enumerate((self.csv_data[:1] + self.csv_data[2:3], ('name,description', 'B2,x'))):
            with self.subTest(number):
                data = {'data': '\n'.join(lines), 'format': 'csv', 'csv_delimiter': 'auto'}
                self.assertHttpStatus(self.client.post(self._get_url('bulk_import'), data), 302)
        for rule in DiscoveryRule.objects.filter(name__in=('B', 'B2')):
            self.assertEqual((rule.enabled, rule.priority, rule.build_at_once), (True, 100, False))

    def test_an_update_by_import_leaves_alone_what_it_does_not_name(self):
        self.add_permissions(*(f'netbox_substruct.{action}_discoveryrule' for action in ('add', 'change', 'view')))
        rule = DiscoveryRule.objects.get(name='Dell')
        data = {'data': f'id,description\n{rule.pk},new', 'format': 'csv', 'csv_delimiter': 'auto'}
        self.assertHttpStatus(self.client.post(self._get_url('bulk_import'), data), 302)
        rule.refresh_from_db()
        self.assertEqual((rule.description, rule.build_at_once, rule.priority), ('new', True, 10))


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = DiscoveryRule
    brief_fields = ['description', 'display', 'id', 'name', 'url']
    bulk_update_data = {'priority': 7}

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        cls.create_data = [
            {
                'name': 'A', 'condition': CONDITION, 'role': world.servers.pk, 'device_type': world.device_type.pk,
                'site': world.site.pk, 'profile': world.profile.pk, 'limit': 4,
            },
            {'name': 'B', 'enabled': False},
            {'name': 'C', 'build_at_once': True},
        ]  # fmt: skip

    def test_the_length_of_a_page_is_not_taken_for_the_limit_of_a_rule(self):
        self.add_permissions('netbox_substruct.view_discoveryrule')
        response = self.client.get(f'{self._get_list_url()}?limit=2', **self.header).json()
        self.assertEqual((response['count'], len(response['results'])), (3, 2))


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = DiscoveryRule.objects.all()
    filterset = DiscoveryRuleFilterSet
    ignore_fields = ('condition',)
    filter_name_map = {'limit': 'machine_limit'}

    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.world.rules.index(rule) for rule in filterset.qs.order_by('pk')]

    def test_search_looks_at_name_host_name_template_and_description(self):
        self.assertEqual(self.found(q='rest'), [2])
        self.assertEqual(self.found(q='serial'), [0])
        self.assertEqual(self.found(q='first'), [0])

    def test_on_and_off(self):
        self.assertEqual(self.found(enabled=True), [0, 2])
        self.assertEqual(self.found(build_at_once=True), [0])

    def test_numbers(self):
        self.assertEqual(self.found(priority__lte=[20]), [0, 1])
        self.assertEqual(self.found(machine_limit=[5]), [0])
        self.assertEqual(self.found(machine_limit__empty=True), [1, 2])

    def test_role_with_those_below_it(self):
        self.assertEqual(self.found(role_id=[self.world.servers.pk]), [0])
        self.assertEqual(self.found(role=['web']), [0])

    def test_device_type_site_and_profile_by_id_and_slug(self):
        self.assertEqual(self.found(device_type_id=[self.world.device_type.pk]), [0])
        self.assertEqual(self.found(device_type=['r650']), [0])
        self.assertEqual(self.found(site_id=[self.world.site.pk]), [0])
        self.assertEqual(self.found(site=['site-1']), [0])
        self.assertEqual(self.found(profile_id=[self.world.profile.pk]), [0])
        self.assertEqual(self.found(profile=['web']), [0])

    def test_name_and_host_name_template(self):
        self.assertEqual(self.found(name=['Off', 'Rest']), [1, 2])
        self.assertEqual(self.found(host_name_template__isw=['srv-']), [0])


class Table(TableTestCases.StandardTableTestCase):
    table = DiscoveryRuleTable


class Model(TestCase):
    def test_conditions_that_cannot_be_matched_are_refused(self):
        for condition, words in (
            (['a'], 'Give a JSON object'),
            ({'a..b': 1}, 'is no path into the facts'),
            ({'a': {'b': 1}}, 'give text, a number'),
            ({'a': [['b']]}, 'give text, a number'),
        ):
            with self.subTest(condition), self.assertRaises(ValidationError) as caught:
                DiscoveryRule(name='x', condition=condition).full_clean()
            self.assertIn(words, caught.exception.message_dict['condition'][0])

    def test_rules_are_listed_in_the_order_in_which_they_are_tried(self):
        for name, priority in (('b', 5), ('a', 5), ('c', 1)):
            DiscoveryRule.objects.create(name=name, priority=priority)
        self.assertEqual([rule.name for rule in DiscoveryRule.objects.all()], ['c', 'a', 'b'])
