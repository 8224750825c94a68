"""What holds for all models together: migrations, OpenAPI, GraphQL, search, menu, and what stays private."""

import warnings
from io import StringIO
from unittest.mock import patch

from django.apps import apps
from django.core.management import call_command
from django.test import TestCase
from django.urls import reverse
from drf_spectacular.drainage import GENERATOR_STATS

from netbox.navigation.menu import get_menus
from netbox.registry import registry
from utilities.testing import TestCase as NetBoxTestCase

from netbox_substruct import models
from netbox_substruct.models import BuildToken

APP = 'netbox_substruct'
MODELS = [model for model in apps.get_app_config(APP).get_models() if model.__name__ in models.__all__]
SHOWN = [model for model in MODELS if model is not BuildToken]


class Migrations(TestCase):
    def test_none_is_missing(self):
        out = StringIO()
        try:
            call_command('makemigrations', APP, '--check', '--dry-run', stdout=out, stderr=out)
        except SystemExit:
            self.fail(f'The models have changed since the last migration:\n{out.getvalue()}')


class OpenAPI(TestCase):
    @classmethod
    def setUpTestData(cls):
        from drf_spectacular.generators import SchemaGenerator

        said = StringIO()
        GENERATOR_STATS.reset()
        # drf-spectacular prints what it could not make out, with the class that it was about.
        with patch('sys.stderr', said), warnings.catch_warnings():
            cls.schema = SchemaGenerator().get_schema(request=None, public=True)
        cls.said = said.getvalue()

    def test_the_schema_is_made_without_a_word_about_the_plugin(self):
        ours = [line for line in self.said.splitlines() if APP in line or 'ubstruct' in line]
        self.assertEqual(ours, [], '\n'.join(ours))

    def test_every_model_has_its_routes(self):
        paths = self.schema['paths']
        for slug in ('boot-servers', 'subnets', 'zones', 'boot-images', 'profiles', 'profile-templates', 'machines',
                     'builds', 'build-artifacts', 'build-events', 'fact-sets', 'discovery-rules', 'bmcs',
                     'tasks', 'waves', 'wave-members'):  # fmt: skip
            with self.subTest(slug):
                self.assertIn(f'/api/plugins/substruct/{slug}/', paths)
                self.assertIn(f'/api/plugins/substruct/{slug}/{{id}}/', paths)

    def test_it_says_what_lists_and_json_fields_hold(self):
        schemas = self.schema['components']['schemas']
        subnet = schemas['Subnet']['properties']
        self.assertEqual(subnet['name_servers']['type'], 'array')
        self.assertEqual(subnet['name_servers']['items']['type'], 'string')
        self.assertEqual(subnet['dhcp_options']['type'], 'object')
        self.assertEqual(schemas['BootImage']['properties']['initrds']['items']['required'], ['source'])
        self.assertTrue(schemas['BootServer']['properties']['services']['readOnly'])

    def test_tokens_of_builds_are_in_none_of_it(self):
        self.assertNotIn('BuildToken', self.schema['components']['schemas'])


class GraphQL(NetBoxTestCase):
    @classmethod
    def setUpTestData(cls):
        from netbox.graphql.schema import schema

        cls.sdl = schema.as_str()

    def test_every_model_can_be_asked_for_alone_and_as_a_list(self):
        for model in SHOWN:
            name = model._meta.verbose_name.lower().replace(' ', '_')
            with self.subTest(name):
                self.assertIn(f'  substruct_{name}(id: ID!): Substruct{model.__name__}Type!', self.sdl)
                self.assertIn(f'  substruct_{name}_list(filters: Substruct{model.__name__}Filter, ', self.sdl)

    def test_every_name_is_the_plugins_own(self):
        """GraphQL has one name space for NetBox and all plugins: types of ours must not take the names of others."""
        for model in SHOWN:
            self.assertNotRegex(self.sdl, rf'(?m)^(type|input|enum) {model.__name__}(Type|Filter) ')

    def test_tokens_of_builds_and_their_frozen_requests_are_in_none_of_it(self):
        self.assertNotIn('BuildToken', self.sdl)
        self.assertNotIn('_token', self.sdl)
        build = self.sdl.split('type SubstructBuildType {')[1].split('}')[0]
        self.assertNotIn('  request:', build)


class Search(TestCase):
    def test_what_has_text_of_its_own_is_found(self):
        indexed = {name.split('.')[1] for name in registry['search'] if name.startswith(f'{APP}.')}
        self.assertEqual(
            indexed,
            {model._meta.model_name for model in SHOWN} - {'profiletemplate', 'factset', 'wavemember'},
        )


class Menu(NetBoxTestCase):
    def menu(self):
        return next(menu for menu in get_menus() if str(menu.label) == 'Substruct')

    def test_every_model_is_in_the_menu_and_every_link_leads_somewhere(self):
        links = [item.link for group in self.menu().groups for item in group.items]
        lists = {f'plugins:{APP}:{model._meta.model_name}_list' for model in SHOWN}
        # Pages that show machines, and are not their list.
        further = {f'plugins:{APP}:overview', f'plugins:{APP}:machine_inbox'}
        self.assertEqual(sorted(links), sorted(lists | further))
        for group in self.menu().groups:
            for item in group.items:
                reverse(item.link)
                model = 'machine' if item.link in further else item.link.split(':')[2].removesuffix('_list')
                self.assertEqual(item.permissions, [f'{APP}.view_{model}'])
                for button in item.buttons:
                    reverse(button.link)
                    self.assertTrue(button.permissions)

    def test_who_may_see_nothing_has_no_menu_and_who_may_see_subnets_has_these(self):
        self.assertNotContains(self.client.get(reverse('home')), 'Discovery Rules')
        self.add_permissions(f'{APP}.view_subnet')
        page = self.client.get(reverse('home'))
        self.assertContains(page, reverse(f'plugins:{APP}:subnet_list'))
        self.assertNotContains(page, reverse(f'plugins:{APP}:discoveryrule_list'))


class Home(NetBoxTestCase):
    user_permissions = ('netbox_substruct.view_machine',)

    def test_the_plugins_own_address_leads_to_the_overview(self):
        response = self.client.get(reverse(f'plugins:{APP}:home'), follow=True)
        self.assertHttpStatus(response, 200)
        self.assertEqual(response.redirect_chain, [(reverse(f'plugins:{APP}:overview'), 302)])


class Private(TestCase):
    def test_tokens_of_builds_have_no_page_no_filter_set_and_no_search(self):
        from django.urls import NoReverseMatch

        self.assertTrue(BuildToken._netbox_private)
        for name in ('buildtoken', 'buildtoken_list', 'buildtoken_add'):
            with self.assertRaises(NoReverseMatch):
                reverse(f'plugins:{APP}:{name}', args=[1] if name == 'buildtoken' else [])
        self.assertNotIn(f'{APP}.buildtoken', registry['filtersets'])
        self.assertNotIn(f'{APP}.buildtoken', registry['search'])
