"""Facts: pages, API, GraphQL, filters and tables."""

from datetime import UTC, datetime

from django.test import TestCase

from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import FactSetFilterSet
from netbox_substruct.models import FactSet
from netbox_substruct.tables import FactSetTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from .world import a_world


def make_fact_sets():
    machines = a_world().register()
    for machine, source in zip(machines, ('prospector', 'redfish', 'salt'), strict=True):
        FactSet.objects.create(machine=machine, source=source, data={'cpu': {'cores': 8}})
    return machines


class Pages(
    PluginViews,
    ViewTestCases.GetObjectViewTestCase,
    ViewTestCases.GetObjectChangelogViewTestCase,
    ViewTestCases.CreateObjectViewTestCase,
    ViewTestCases.DeleteObjectViewTestCase,
    ViewTestCases.ListObjectsViewTestCase,
    ViewTestCases.BulkDeleteObjectsViewTestCase,
):
    model = FactSet

    @classmethod
    def setUpTestData(cls):
        machines = make_fact_sets()
        cls.form_data = {
            'machine': machines[0].pk,
            'source': 'ansible',
            'collected': datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            'format_version': 1,
            'data': '{"os": "Debian"}',
            'tags': [],
        }

    def test_they_are_imported_for_machines_by_name(self):
        self.add_permissions(
            'netbox_substruct.add_factset', 'netbox_substruct.view_factset', 'netbox_substruct.view_machine'
        )
        data = '[{"machine": "a-2", "source": "puppet", "data": {"os": {"family": "Debian"}}}]'
        response = self.client.post(
            self._get_url('bulk_import'), {'data': data, 'format': 'json', 'csv_delimiter': 'auto'}
        )
        self.assertHttpStatus(response, 302)
        facts = FactSet.objects.get(source='puppet')
        self.assertEqual((facts.machine.name, facts.data), ('a-2', {'os': {'family': 'Debian'}}))

    def test_there_is_no_edit_and_the_page_says_why(self):
        self.add_permissions('netbox_substruct.view_factset', 'netbox_substruct.change_factset')
        page = self.client.get(FactSet.objects.first().get_absolute_url())
        self.assertContains(page, 'not edited')
        self.assertNotContains(page, '/edit/"')


class API(
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.CreateObjectViewTestCase,
    APIViewTestCases.DeleteObjectViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = FactSet
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_machine',)
    brief_fields = ['collected', 'display', 'id', 'source', 'url']

    @classmethod
    def setUpTestData(cls):
        machines = make_fact_sets()
        cls.create_data = [
            {'machine': machines[0].pk, 'source': 'salt', 'data': {'os': 'Debian'}},
            {'machine': machines[0].pk, 'source': 'salt', 'data': {'os': 'Ubuntu'}, 'format_version': 2},
            {'machine': machines[1].pk, 'source': 'other', 'data': {'os': None}},
        ]

    def test_facts_are_an_object(self):
        self.add_permissions('netbox_substruct.add_factset')
        data = {**self.create_data[0], 'data': ['a', 'list']}
        response = self.client.post(self._get_list_url(), data, format='json', **self.header)
        self.assertHttpStatus(response, 400)

    def test_they_are_not_edited(self):
        self.user.is_superuser = True
        self.user.save()
        for method in (self.client.put, self.client.patch):
            response = method(self._get_detail_url(FactSet.objects.first()), {}, format='json', **self.header)
            self.assertHttpStatus(response, 405)


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = FactSet.objects.all()
    filterset = FactSetFilterSet
    ignore_fields = ('data',)

    @classmethod
    def setUpTestData(cls):
        cls.machines = make_fact_sets()

    def test_by_machine_and_source(self):
        found = self.filterset({'machine_id': [self.machines[1].pk]}, self.queryset).qs.get()
        self.assertEqual(found.source, 'redfish')
        self.assertEqual(self.filterset({'source': ['salt']}, self.queryset).qs.get().machine, self.machines[2])

    def test_search_by_machine(self):
        self.assertEqual(self.filterset({'q': 'b-1'}, self.queryset).qs.get().machine, self.machines[2])


class Table(TableTestCases.StandardTableTestCase):
    table = FactSetTable
