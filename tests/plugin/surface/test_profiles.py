"""Profiles and their templates: pages, API, GraphQL, filters and tables, by NetBox's own test bases; inheritance."""

import json

from django.core.exceptions import ValidationError
from django.test import TestCase

from extras.models import ConfigTemplate
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import ProfileFilterSet, ProfileTemplateFilterSet
from netbox_substruct.models import BootImage, Profile, ProfileTemplate
from netbox_substruct.tables import ProfileTable, ProfileTemplateTable

from ..base import PluginAPI, PluginFilterSets, PluginViews


def make_profiles():
    """Three profiles that come first by name and are nobody’s parents: NetBox’s tests delete those that come first."""
    return Profile.objects.bulk_create([Profile(name=f'0{n}', slug=f'0{n}') for n in range(3)])


class World:
    """base ← web ← web-dmz, and db alone; templates of the boot image, of base and of web."""

    def __init__(self):
        self.boot_image = BootImage.objects.create(name='debian-12', method='live', kernel_url='http://h/linux')
        self.base = Profile.objects.create(
            name='Base', slug='base', boot_image=self.boot_image, parameters={'users': ['root']}, handoff='salt',
            built_status='active', built_dns_name='fqdn', stall_limit=30, description='the ground',
        )  # fmt: skip
        self.web = Profile.objects.create(
            name='Web', slug='web', parent=self.base, parameters={'role': 'web'}, disk_layout={'disk': '/dev/sda'}
        )
        self.dmz = Profile.objects.create(name='Web in the DMZ', slug='web-dmz', parent=self.web, handoff='none')
        self.db = Profile.objects.create(name='DB', slug='db', handoff='ansible')
        self.profiles = [self.base, self.web, self.dmz, self.db]
        self.config_templates = [
            ConfigTemplate.objects.create(name=f'Template {n}', template_code=f'text {n}') for n in (1, 2, 3, 4)
        ]
        one, two, three, _ = self.config_templates
        template = ProfileTemplate.objects.create
        self.templates = [
            template(boot_image=self.boot_image, kind='ipxe', config_template=one),
            template(profile=self.base, kind='preseed', config_template=two),
            template(profile=self.web, kind='preseed', config_template=three),
        ]


class ProfilePages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase):
    model = Profile

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        profiles = make_profiles()
        cls.form_data = {
            'name': 'New',
            'slug': 'new',
            'parent': world.base.pk,
            'boot_image': world.boot_image.pk,
            'parameters': json.dumps({'a': 1}),
            'parameter_schema': json.dumps({'type': 'object'}),
            'disk_layout': json.dumps({'disk': '/dev/vda'}),
            'handoff': 'puppet',
            'built_status': 'active',
            'built_address': 'keep',
            'built_dns_name': 'fqdn',
            'pending_limit': 60,
            'stall_limit': 0,
            'description': 'new one',
            'comments': '',
            'tags': [],
        }
        cls.csv_data = (
            'name,slug,parent,boot_image,parameters,handoff,built_status,built_address,pending_limit,stall_limit',
            'A,a,Base,debian-12,"{""a"": 1}",salt,active,keep,0,90',
            'B,b,,,,,,,,',
            'C,c,Web,,{},none,,,,',
        )
        cls.csv_update_data = ('id,description', *(f'{profile.pk},changed' for profile in profiles))
        cls.bulk_edit_data = {
            'boot_image': world.boot_image.pk, 'handoff': 'ssh', 'built_status': 'staged', 'built_address': 'keep',
            'built_dns_name': 'fqdn', 'pending_limit': 15, 'stall_limit': 0,
            'disk_layout': json.dumps({'disk': '/dev/vdb'}), 'description': 'all alike',
        }  # fmt: skip

    def test_bulk_delete_objects_with_permission(self):
        self.remove_chain()
        super().test_bulk_delete_objects_with_permission()

    def test_bulk_delete_objects_with_constrained_permission(self):
        self.remove_chain()
        super().test_bulk_delete_objects_with_constrained_permission()

    def remove_chain(self):
        """A parent is protected by its children, so those that inherit go first."""
        for profile in (self.world.dmz, self.world.web):
            profile.delete()

    def panel(self, page, name):
        return page.split(f'begin {name}')[1].split(f'end {name}')[0]

    def test_the_page_shows_the_chain_and_from_where_each_value_is_inherited(self):
        self.add_permissions('netbox_substruct.view_profile')
        page = self.client.get(self.world.dmz.get_absolute_url()).content.decode()
        chain = self.panel(page, 'ProfileChainPanel')
        self.assertLess(chain.index('>Web</a>'), chain.index('>Base</a>'))
        effective = self.panel(page, 'ProfileEffectivePanel')
        self.assertIn('debian-12', effective)
        self.assertIn(f'href="{self.world.base.get_absolute_url()}"', effective)
        self.assertIn('This profile', effective)
        self.assertIn('After 30 minutes', effective)
        self.assertIn('After 1440 minutes', effective, 'what the plugin’s settings say where no profile does')
        self.assertIn('The fully qualified name of the machine', effective)
        self.assertIn('That of the boot interface', effective)

    def test_the_page_shows_the_template_of_each_kind_that_a_build_would_use(self):
        self.add_permissions('netbox_substruct.view_profile', 'netbox_substruct.view_profiletemplate')
        page = self.client.get(self.world.dmz.get_absolute_url()).content.decode()
        templates = self.panel(page, 'ProfileTemplatesPanel')
        self.assertIn('Template 1', templates)
        self.assertNotIn('Template 2', templates)
        self.assertIn('Template 3', templates)

    def test_without_the_permission_no_template_is_shown(self):
        self.add_permissions('netbox_substruct.view_profile')
        page = self.client.get(self.world.dmz.get_absolute_url()).content.decode()
        self.assertNotIn('Template 3', page)

    def test_emptying_the_parameters_leaves_an_empty_object(self):
        self.add_permissions('netbox_substruct.change_profile', 'netbox_substruct.view_profile')
        data = {'name': 'Base', 'slug': 'base', 'parameters': '', 'disk_layout': '', 'parameter_schema': ''}
        response = self.client.post(self._get_url('edit', self.world.base), data)
        self.assertHttpStatus(response, 302)
        self.world.base.refresh_from_db()
        self.assertEqual(
            (self.world.base.parameters, self.world.base.disk_layout, self.world.base.parameter_schema), ({}, {}, None)
        )


class ProfileAPI(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Profile
    brief_fields = ['description', 'display', 'id', 'name', 'slug', 'url']
    bulk_update_data = {'handoff': 'ssh'}

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        make_profiles()
        cls.create_data = [
            {
                'name': 'A', 'slug': 'a', 'parent': world.base.pk, 'boot_image': world.boot_image.pk,
                'parameters': {'a': {'b': [1]}}, 'parameter_schema': {'type': 'object'}, 'handoff': 'salt',
                'built_status': 'active', 'built_address': 'boot-interface', 'built_dns_name': 'keep',
                'pending_limit': 0, 'stall_limit': 120,
            },
            {'name': 'B', 'slug': 'b', 'handoff': '', 'stall_limit': None},
            {'name': 'C', 'slug': 'c', 'parent': None},
        ]  # fmt: skip

    def test_a_loop_of_parents_is_refused(self):
        self.add_permissions('netbox_substruct.change_profile')
        response = self.client.patch(
            self._get_detail_url(self.world.base), {'parent': self.world.dmz.pk}, format='json', **self.header
        )
        self.assertHttpStatus(response, 400)
        self.assertEqual(response.json(), {'parent': ['A profile cannot inherit from itself or from one below it.']})


class ProfileFilters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Profile.objects.all()
    filterset = ProfileFilterSet
    ignore_fields = ('parameters', 'parameter_schema', 'disk_layout')

    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.world.profiles.index(profile) for profile in filterset.qs.order_by('pk')]

    def test_search_looks_at_name_slug_and_description(self):
        self.assertEqual(self.found(q='web'), [1, 2])
        self.assertEqual(self.found(q='-dmz'), [2])
        self.assertEqual(self.found(q='ground'), [0])

    def test_name_and_slug(self):
        self.assertEqual(self.found(name=['DB']), [3])
        self.assertEqual(self.found(slug__isw=['web']), [1, 2])

    def test_parent_by_id_slug_and_none(self):
        self.assertEqual(self.found(parent_id=[self.world.base.pk]), [1])
        self.assertEqual(self.found(parent=['web']), [2])
        self.assertEqual(self.found(parent_id=['null']), [0, 3])

    def test_boot_image_by_id_and_name(self):
        self.assertEqual(self.found(boot_image_id=[self.world.boot_image.pk]), [0])
        self.assertEqual(self.found(boot_image=['debian-12']), [0])

    def test_handoff_and_status(self):
        self.assertEqual(self.found(handoff=['salt', 'ansible']), [0, 3])
        self.assertEqual(self.found(built_status=['active']), [0])

    def test_what_is_done_at_the_end_and_the_limits(self):
        self.assertEqual(self.found(built_dns_name=['fqdn']), [0])
        self.assertEqual(self.found(built_address=['keep']), [])
        self.assertEqual(self.found(stall_limit=[30]), [0])
        self.assertEqual(self.found(stall_limit__lt=[30]), [])


class ProfileTables(TableTestCases.StandardTableTestCase):
    table = ProfileTable


class TemplatePages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = ProfileTemplate

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        cls.form_data = {
            'profile': world.db.pk,
            'kind': 'kickstart',
            'config_template': world.config_templates[0].pk,
            'tags': [],
        }
        cls.csv_data = (
            'profile,boot_image,kind,config_template',
            'DB,,kickstart,Template 1',
            'Base,,finish,Template 2',
            ',debian-12,grub,Template 3',
        )
        cls.csv_update_data = (
            'id,config_template',
            *(f'{template.pk},Template 4' for template in world.templates),
        )
        cls.bulk_edit_data = {'config_template': world.config_templates[3].pk}

    def test_bulk_update_objects_with_permission(self):
        """NetBox’s own compares the names of the import with ids, so here it is spelt out."""
        self.add_permissions(*(f'netbox_substruct.{action}_profiletemplate' for action in ('add', 'view', 'change')))
        self.add_permissions('extras.view_configtemplate')
        data = {'data': '\n'.join(self.csv_update_data), 'format': 'csv', 'csv_delimiter': 'auto'}
        self.assertHttpStatus(self.client.post(self._get_url('bulk_import'), data), 302)
        names = ProfileTemplate.objects.values_list('config_template__name', flat=True)
        self.assertEqual(set(names), {'Template 4'})


class TemplateAPI(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = ProfileTemplate
    brief_fields = ['display', 'id', 'kind', 'url']

    @classmethod
    def setUpTestData(cls):
        cls.world = world = World()
        one, two, three, four = (template.pk for template in world.config_templates)
        cls.create_data = [
            {'profile': world.db.pk, 'kind': 'kickstart', 'config_template': one},
            {'profile': world.base.pk, 'kind': 'finish', 'config_template': two},
            {'boot_image': world.boot_image.pk, 'kind': 'grub', 'config_template': three},
        ]
        cls.bulk_update_data = {'config_template': four}

    def test_a_second_template_of_a_kind_is_refused(self):
        self.add_permissions('netbox_substruct.add_profiletemplate')
        data = {'profile': self.world.base.pk, 'kind': 'preseed', 'config_template': self.world.config_templates[0].pk}
        response = self.client.post(self._get_list_url(), data, format='json', **self.header)
        self.assertHttpStatus(response, 400)
        self.assertIn('The profile has a template of this kind already.', str(response.json()))


class TemplateFilters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = ProfileTemplate.objects.all()
    filterset = ProfileTemplateFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.world.templates.index(template) for template in filterset.qs.order_by('pk')]

    def test_search_looks_at_profile_boot_image_and_config_template(self):
        self.assertEqual(self.found(q='base'), [1])
        self.assertEqual(self.found(q='debian'), [0])
        self.assertEqual(self.found(q='template 3'), [2])

    def test_profile_and_boot_image_by_id_and_natural_key(self):
        self.assertEqual(self.found(profile_id=[self.world.web.pk]), [2])
        self.assertEqual(self.found(profile=['base', 'web']), [1, 2])
        self.assertEqual(self.found(boot_image_id=[self.world.boot_image.pk]), [0])
        self.assertEqual(self.found(boot_image=['debian-12']), [0])

    def test_kind_and_config_template(self):
        self.assertEqual(self.found(kind=['preseed']), [1, 2])
        self.assertEqual(self.found(config_template_id=[self.world.config_templates[0].pk]), [0])
        self.assertEqual(self.found(config_template=['Template 2']), [1])


class TemplateTables(TableTestCases.StandardTableTestCase):
    table = ProfileTemplateTable


class ProfileModel(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def refused(self, **values):
        with self.assertRaises(ValidationError) as caught:
            Profile(name='x', slug='x', **values).full_clean()
        return caught.exception.message_dict

    def test_a_profile_cannot_be_below_itself(self):
        for parent in (self.world.base, self.world.web, self.world.dmz):
            self.world.base.parent = parent
            with self.subTest(parent.name), self.assertRaises(ValidationError) as caught:
                self.world.base.full_clean()
            self.assertEqual(
                caught.exception.message_dict,
                {'parent': ['A profile cannot inherit from itself or from one below it.']},
            )

    def test_what_is_no_json_schema_is_refused(self):
        for schema in ({'type': 'thing'}, [], 'text', 7):
            with self.subTest(schema):
                self.assertIn('This is no JSON schema', self.refused(parameter_schema=schema)['parameter_schema'][0])

    def test_parameters_and_disk_layout_are_objects(self):
        for field in ('parameters', 'disk_layout'):
            with self.subTest(field):
                self.assertIn('Give a JSON object', self.refused(**{field: ['a']})[field][0])

    def test_the_chain_begins_with_the_profile_itself(self):
        self.assertEqual(self.world.dmz.chain, [self.world.dmz, self.world.web, self.world.base])

    def test_a_chain_that_somebody_made_a_loop_past_the_check_is_an_error_that_says_so(self):
        Profile.objects.filter(pk=self.world.base.pk).update(parent=self.world.dmz)
        with self.assertRaisesMessage(ValueError, 'its parents form a loop'):
            _ = Profile.objects.get(pk=self.world.base.pk).chain


class TemplateModel(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    def refused(self, **values):
        with self.assertRaises(ValidationError) as caught:
            ProfileTemplate(kind='ipxe', config_template=self.world.config_templates[0], **values).full_clean()
        return str(caught.exception)

    def test_it_belongs_to_a_profile_or_a_boot_image_and_not_both(self):
        text = 'Choose a profile or a boot image, and not both.'
        self.assertIn(text, self.refused())
        self.assertIn(text, self.refused(profile=self.world.base, boot_image=self.world.boot_image))

    def test_there_is_one_of_each_kind(self):
        self.assertIn(
            'The boot image has a template of this kind already.', self.refused(boot_image=self.world.boot_image)
        )
