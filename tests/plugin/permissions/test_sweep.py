"""An operator of one site asks for everything that the plugin can answer, and is shown nothing of another site.

The operator has what the role gives (`netbox substruct_permissions --role operator --site …`), and beside it what
reads past sites in NetBox itself: changes, journals, export templates.  What is shown nevertheless would be our fault.
"""

import json

from django.test import TestCase, override_settings
from django.urls import NoReverseMatch, reverse

from core.models import ObjectChange, ObjectType
from extras.models import ExportTemplate, JournalEntry, SavedFilter, TableConfig, Tag
from netbox.graphql.schema import schema
from users.models import ObjectPermission
from utilities.tables import get_table_for_model

from netbox_substruct import roles
from netbox_substruct.models import BuildArtifact, BuildEvent, FactSet, Machine, Wave

from . import sweep
from .world import OTHER, OWN, a_user_in, a_world, export_templates

MODELS = sweep.models()
BY_NAME = {model._meta.model_name: model for model in MODELS}
GENERAL = (ObjectChange, JournalEntry, ExportTemplate, Tag, SavedFilter, TableConfig)


def of(word, model):
    """The objects of a model that belong to the site with this word and to no other."""
    other = OWN if word == OTHER else OTHER
    paths = roles.SITES.get(model._meta.label_lower, ())
    found = [model.objects.filter(**{path: word}).exclude(**{path: other}) for path in paths]
    return model.objects.filter(pk__in={obj.pk for objects in found for obj in objects}).order_by('pk')


def examples(model):
    """One of each place, the newest and so the one with most to show, and all that belong to neither."""
    own, other = of(OWN, model), of(OTHER, model)
    neither = model.objects.exclude(pk__in=own).exclude(pk__in=other)
    return [*own.reverse()[:1], *other.reverse()[:1], *neither[:4]]


@override_settings(LOGIN_REQUIRED=True)
class Sweep(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.export = export_templates(MODELS)
        site = cls.world.own.site
        cls.operator = a_user_in('operator', roles.group(roles.BY_NAME['operator'], [(site.slug, site.name)]))
        general = ObjectPermission.objects.create(name='general', actions=['view'])
        general.users.add(cls.operator)
        general.object_types.set(ObjectType.objects.get_for_model(model) for model in GENERAL)

    def setUp(self):
        self.client.force_login(self.operator)
        self.shown, self.failed, self.own = [], [], 0

    def look(self, response, what):
        body = b''.join(response) if response.streaming else response.content
        text = body.decode(errors='replace').lower()
        self.own += OWN in text
        if response.status_code >= 500:
            self.failed.append(f'{what}: {response.status_code}')
        for mark in (*self.world.other.marks, *(token.lower() for token in self.world.other.tokens)):
            if (at := text.find(mark)) >= 0:
                there = ' '.join(text[max(at - 90, 0) : at + 50].split())
                self.shown.append(f'{what} ({response.status_code}) shows: {there}')
                break

    def get(self, url, **headers):
        self.look(self.client.get(url, **headers), f'{url} {headers or ""}')

    def graphql(self, query, what):
        response = self.client.post('/graphql/', json.dumps({'query': query}), content_type='application/json')
        self.look(response, what)
        self.failed += [f'{what}: {error["message"]}' for error in response.json().get('errors', ())]

    def fine(self, own):
        """Nothing of the other site was shown, and so often something of the own: it was looked at the right thing."""
        self.assertEqual(self.failed, [], '\n'.join(self.failed))
        self.assertEqual(self.shown, [], f'{len(self.shown)} answers:\n' + '\n'.join(self.shown))
        self.assertGreaterEqual(self.own, own)

    def test_lists_and_what_is_downloaded_of_them(self):
        for name, model, detail in sweep.pages():
            if detail:
                continue
            try:
                url = reverse(name)
            except NoReverseMatch:
                continue
            if not name.endswith('_list'):
                self.get(url)
                continue
            for form in sweep.LIST_FORMS:
                self.get(url + form)
            if model in self.export:
                self.get(f'{url}?export={self.export[model].name}')
        for url in sweep.other_pages():
            self.get(url)
        self.fine(own=30)

    def test_lists_with_every_column(self):
        for name, model, detail in sweep.pages():
            if not detail and name.endswith('_list'):
                columns = ','.join(get_table_for_model(model)(model.objects.none()).columns.names())
                self.get(f'{reverse(name)}?include_columns={columns}', HTTP_HX_REQUEST='true')
                self.get(f'{reverse(name)}?include_columns={columns}&export=table')
        self.fine(own=20)

    def test_pages_of_objects(self):
        for name, model, detail in sweep.pages():
            for obj in examples(model) if detail else ():
                try:
                    self.get(reverse(name, kwargs={'pk': obj.pk}))
                except NoReverseMatch:
                    break
        self.fine(own=60)

    def test_rest_api(self):
        for name, arguments in sweep.api_routes():
            model = BY_NAME.get(name.split('-')[0])
            route = f'plugins-api:netbox_substruct-api:{name}'
            if not arguments:
                for form in ('', '?q=word', '?brief=true', '?limit=1'):
                    self.get(reverse(route) + form, HTTP_ACCEPT='application/json')
            elif model is not None and set(arguments) <= {'pk', 'kind'}:
                for obj in examples(model):
                    kwargs = {'pk': obj.pk, 'kind': 'ipxe'}
                    url = reverse(route, kwargs={key: kwargs[key] for key in arguments})
                    self.get(url, HTTP_ACCEPT='application/json')
        for path in ('dcim/devices', 'virtualization/virtual-machines'):
            self.get(f'/api/{path}/', HTTP_ACCEPT='application/json')
        self.fine(own=60)

    def test_graphql(self):
        built = schema._schema
        for field in built.query_type.fields:
            if field.startswith('substruct_') and field.endswith('_list'):
                self.graphql(sweep.everything_of(built, field), field)
        for field in ('device_list', 'virtual_machine_list'):
            machine = 'id display state serial builds { id error events { log } artifacts { content } }'
            self.graphql(f'{{ {field} {{ id name substruct_machine {{ {machine} }} }} }}', field)
        self.fine(own=10)

    def test_search(self):
        for value in ('word', 'srv', 'SN-', 'boot-', 'comment', 'credential'):
            self.get(f'/search/?q={value}')
        self.fine(own=4)

    def test_counts_are_of_what_is_seen(self):
        """Where numbers are shown, those of the other site are not in them."""
        own, profile = len(self.world.own.machines), self.world.profile
        url = f'/api/plugins/substruct/profiles/{profile.pk}/'
        self.assertEqual(self.client.get(url).json()['machine_count'], own)
        listed = self.client.get('/api/plugins/substruct/profiles/').json()['results'][0]
        self.assertEqual(listed['machine_count'], own)
        page = self.client.get('/plugins/substruct/profiles/?export=table')
        self.assertIn(f'Debian,,debian-13,,{own},', page.content.decode())
        for model in (Machine, FactSet, BuildArtifact, BuildEvent):
            answer = self.client.get(reverse(f'plugins-api:netbox_substruct-api:{model._meta.model_name}-list')).json()
            self.assertEqual(answer['count'], of(OWN, model).count(), model)

    def test_nothing_is_done_to_what_is_not_seen(self):
        before, done = self.state_of_the_other(), []
        data = {'confirm': 'on', '_confirm': '1', '_apply': '1', 'reason': 'x', 'next_boot': 'wipe', 'action': 'cycle',
                'description': 'changed', 'format': 'auto', 'csv_delimiter': 'auto'}  # fmt: skip
        for name, model, detail in sweep.pages():
            others = list(of(OTHER, model)[:2])
            if 'substruct' not in name or not others:
                continue
            if not detail:
                self.look(self.client.post(reverse(name), {**data, 'pk': [obj.pk for obj in others]}), f'POST {name}')
                continue
            response = self.client.post(reverse(name, kwargs={'pk': others[0].pk}), data)
            self.look(response, f'POST {name}')
            if response.status_code not in (403, 404, 405):
                done.append(f'{name}: {response.status_code}')
        for name, arguments in sweep.api_routes():
            model = BY_NAME.get(name.split('-')[0])
            if model is None or 'pk' not in arguments or not set(arguments) <= {'pk', 'kind'}:
                continue
            for obj in of(OTHER, model)[:1]:
                kwargs = {'pk': obj.pk, 'kind': 'ipxe'}
                url = reverse(
                    f'plugins-api:netbox_substruct-api:{name}', kwargs={key: kwargs[key] for key in arguments}
                )
                for method in ('post', 'patch', 'put', 'delete'):
                    response = getattr(self.client, method)(url, '{}', content_type='application/json')
                    self.look(response, f'{method} {url}')
                    if response.status_code not in (403, 404, 405):
                        done.append(f'{method} {name}: {response.status_code}')
        self.assertEqual(done, [])
        self.assertEqual(self.state_of_the_other(), before)
        self.fine(own=0)

    def test_a_wave_with_machines_of_another_site_is_not_deleted(self):
        wave = self.world.wave
        page = self.client.get(f'{wave.get_absolute_url()}delete/')
        self.look(page, 'the page that asks')
        self.client.post(f'{wave.get_absolute_url()}delete/', {'confirm': 'on'})
        self.client.delete(f'/api/plugins/substruct/waves/{wave.pk}/')
        self.assertTrue(Wave.objects.filter(pk=wave.pk).exists())
        self.fine(own=1)

    def state_of_the_other(self):
        return {model._meta.label: list(of(OTHER, model).values()) for model in MODELS}
