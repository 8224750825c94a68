"""Builds, their artifacts and their events: pages, API, GraphQL, filters and tables."""

import hashlib
from datetime import UTC, datetime

from django.test import TestCase
from django.urls import reverse

from core.models import ObjectChange
from extras.models import Tag
from users.models import User
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases
from utilities.testing import TestCase as PageTestCase

from netbox_substruct.filtersets import BuildArtifactFilterSet, BuildEventFilterSet, BuildFilterSet
from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, BuildArtifact, BuildEvent, BuildToken, Machine
from netbox_substruct.tables import BuildArtifactTable, BuildEventTable, BuildTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from .world import a_world, permit


def ended_builds(machines):
    """A build of each machine that has ended, so that it can be deleted."""
    found = []
    for machine in machines:
        build = builds.request(machine)
        builds.cancel(build)
        found.append(build)
    return found


class Pages(
    PluginViews,
    ViewTestCases.GetObjectViewTestCase,
    ViewTestCases.GetObjectChangelogViewTestCase,
    ViewTestCases.EditObjectViewTestCase,
    ViewTestCases.DeleteObjectViewTestCase,
    ViewTestCases.ListObjectsViewTestCase,
    ViewTestCases.BulkEditObjectsViewTestCase,
    ViewTestCases.BulkDeleteObjectsViewTestCase,
):
    model = Build

    @classmethod
    def setUpTestData(cls):
        ended_builds(a_world().register())
        cls.form_data = {'description': 'second try', 'comments': 'with **new** disks', 'tags': []}
        cls.bulk_edit_data = {'description': 'the great rebuild'}

    def test_the_edit_form_has_only_what_is_said_of_a_build(self):
        self.add_permissions('netbox_substruct.change_build')
        form = self.client.get(self._get_url('edit', Build.objects.first())).context['form']
        self.assertFalse({'machine', 'profile', 'state', 'request', 'override'} & set(form.fields))

    def test_an_active_build_is_not_deleted(self):
        build = builds.request(Machine.objects.first())
        self.add_permissions('netbox_substruct.view_build', 'netbox_substruct.delete_build')
        page = self.client.post(self._get_url('delete', build), {'confirm': True}, follow=True)
        self.assertContains(page, 'cancel it before you delete it')
        page = self.client.post(
            self._get_url('bulk_delete'), {'pk': [build.pk], 'confirm': True, '_confirm': True}, follow=True
        )
        self.assertContains(page, 'cancel it before you delete it')
        self.assertTrue(Build.objects.filter(pk=build.pk).exists())


class Requesting(PageTestCase):
    """By form and by import: "build" on the machine decides, and `lifecycle` has the last word."""

    def setUp(self):
        super().setUp()
        self.world = a_world()
        self.machines = self.world.register()
        permit(self.user, Machine, 'view')
        self.add_permissions('netbox_substruct.view_build', 'netbox_substruct.view_profile')
        self.url = reverse('plugins:netbox_substruct:build_add')
        self.import_url = reverse('plugins:netbox_substruct:build_bulk_import')

    def bring(self, *lines):
        return self.client.post(self.import_url, {'data': '\n'.join(lines), 'format': 'csv', 'csv_delimiter': 'auto'})

    def test_without_the_permission_there_is_no_form(self):
        self.add_permissions('netbox_substruct.add_build')
        self.assertEqual(self.client.get(self.url).status_code, 403)
        self.assertEqual(self.client.get(self.import_url).status_code, 403)

    def test_a_build_is_requested_in_the_name_of_the_user(self):
        permit(self.user, Machine, 'build')
        response = self.client.post(
            self.url,
            {
                'machine': self.machines[0].pk,
                'description': 'new',
                'comments': 'why',
                'changelog_message': 'as agreed',
                'tags': [],
            },
        )
        build = Build.objects.get()
        change = ObjectChange.objects.get(
            changed_object_type__model='build', changed_object_id=build.pk, action='create'
        )
        self.assertEqual((change.user, change.message), (self.user, 'as agreed'))
        self.assertRedirects(response, build.get_absolute_url())
        self.assertEqual((build.requested_by, build.description, build.comments), (self.user, 'new', 'why'))
        self.assertEqual(build.artifacts.get().kind, 'ipxe')

    def test_only_machines_that_the_permission_covers_are_built(self):
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        response = self.client.post(self.url, {'machine': self.machines[2].pk})
        self.assertContains(response, 'You have no permission to build b-1')
        self.assertEqual(Build.objects.count(), 0)

    def test_the_reason_of_a_refusal_is_shown(self):
        permit(self.user, Machine, 'build')
        self.world.devices[0].status = 'active'
        self.world.devices[0].save()
        response = self.client.post(self.url, {'machine': self.machines[0].pk})
        self.assertContains(response, 'has the status active')
        response = self.client.post(self.url, {'machine': self.machines[0].pk, 'override': 'a-1'})
        self.assertEqual(response.status_code, 302)

    def test_an_import_requests_a_build_for_each_line(self):
        permit(self.user, Machine, 'build')
        response = self.bring('machine,profile,description', 'a-1,debian,one', f'{self.machines[1].pk},,two')
        self.assertEqual(response.status_code, 302)
        self.assertEqual(
            sorted(Build.objects.values_list('machine__device__name', 'description')), [('a-1', 'one'), ('a-2', 'two')]
        )

    def test_one_refused_line_means_that_nothing_is_built_and_says_which(self):
        permit(self.user, Machine, 'build')
        self.world.devices[1].status = 'active'
        self.world.devices[1].save()
        response = self.bring('machine', 'a-1', 'a-2')
        self.assertContains(response, 'Record 2')
        self.assertContains(response, 'has the status active')
        self.assertEqual(Build.objects.count(), 0)
        self.assertEqual(Machine.objects.get(device__name='a-1').state, 'registered')

    def test_an_import_keeps_to_the_constraints(self):
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        response = self.bring('machine', 'a-1', 'b-1')
        self.assertContains(response, 'You have no permission to build b-1')
        self.assertEqual(Build.objects.count(), 0)


class Frozen(PageTestCase):
    """What was asked is shown to those who may preview the machine, and the token to nobody."""

    def setUp(self):
        super().setUp()
        self.build = builds.request(a_world().register()[0])
        self.add_permissions('netbox_substruct.view_build', 'netbox_substruct.view_machine')

    def test_the_request_is_on_the_page_for_those_who_may_preview(self):
        page = self.client.get(self.build.get_absolute_url())
        self.assertNotContains(page, 'panel_request')
        permit(self.user, Machine, 'preview', device__site__slug='site-b')
        self.assertNotContains(self.client.get(self.build.get_absolute_url()), 'panel_request')
        permit(self.user, Machine, 'preview')
        self.assertContains(self.client.get(self.build.get_absolute_url()), 'panel_request')

    def test_the_token_is_on_no_page(self):
        self.user.is_superuser = True
        self.user.save()
        token = BuildToken.objects.get(build_id=self.build.pk).token
        artifact = self.build.artifacts.get()
        for url in (
            self.build.get_absolute_url(),
            artifact.get_absolute_url(),
            self.build.machine.get_absolute_url(),
            reverse('plugins:netbox_substruct:machine_preview', kwargs={'pk': self.build.machine_id}),
            reverse('plugins:netbox_substruct:build_changelog', kwargs={'pk': self.build.pk}),
            reverse('plugins-api:netbox_substruct-api:build-detail', kwargs={'pk': self.build.pk}),
            reverse('plugins-api:netbox_substruct-api:build-request', kwargs={'pk': self.build.pk}),
            reverse('plugins-api:netbox_substruct-api:buildartifact-detail', kwargs={'pk': artifact.pk}),
        ):
            response = self.client.get(url)
            self.assertEqual(response.status_code, 200, url)
            self.assertNotIn(token, response.content.decode(), url)


class API(
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.UpdateObjectViewTestCase,
    APIViewTestCases.DeleteObjectViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = Build
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_machine',)
    brief_fields = ['description', 'display', 'id', 'state', 'url']
    update_data = {'description': 'second try', 'comments': 'with new disks'}
    bulk_update_data = {'description': 'in bulk'}

    @classmethod
    def setUpTestData(cls):
        ended_builds(a_world().register())

    def test_what_was_asked_cannot_be_changed(self):
        self.add_permissions('netbox_substruct.change_build')
        build, other = Build.objects.first(), Build.objects.last()
        for data in ({'machine': other.machine_id}, {'profile': None}, {'override': 'x'}):
            response = self.client.patch(self._get_detail_url(build), data, format='json', **self.header)
            self.assertHttpStatus(response, 400)
            self.assertIn('frozen', str(response.data))

    def test_the_frozen_request_is_not_in_it(self):
        self.add_permissions('netbox_substruct.view_build')
        answer = self.client.get(self._get_detail_url(Build.objects.first()), **self.header).json()
        self.assertNotIn('request', answer)

    def test_an_active_build_is_not_deleted(self):
        self.add_permissions('netbox_substruct.delete_build')
        build = builds.request(Machine.objects.first())
        response = self.client.delete(self._get_detail_url(build), **self.header)
        self.assertHttpStatus(response, 400)
        self.assertIn('cancel it before', response.data['detail'])


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Build.objects.all()
    filterset = BuildFilterSet
    # The frozen request is JSON, and not for everybody.
    ignore_fields = ('request',)

    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.machines = cls.world.register()
        cls.user = User.objects.create(username='ops')
        ended_builds(cls.machines[:2])
        builds.request(cls.machines[2], user=cls.user, description='the third')

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(build.machine.name for build in filterset.qs)

    def test_by_machine_device_and_site(self):
        self.assertEqual(self.found(machine_id=[self.machines[0].pk]), ['a-1'])
        self.assertEqual(self.found(device_id=[self.world.devices[1].pk]), ['a-2'])
        self.assertEqual(self.found(site_id=[self.world.sites[1].pk]), ['b-1'])

    def test_by_state_and_whether_it_is_active(self):
        self.assertEqual(self.found(state=['cancelled']), ['a-1', 'a-2'])
        self.assertEqual(self.found(active=True), ['b-1'])
        self.assertEqual(self.found(active=False), ['a-1', 'a-2'])

    def test_by_who_asked_and_for_what(self):
        self.assertEqual(self.found(requested_by=['ops']), ['b-1'])
        self.assertEqual(self.found(requested_by_id=[self.user.pk]), ['b-1'])
        self.assertEqual(self.found(profile=['debian']), ['a-1', 'a-2', 'b-1'])

    def test_search(self):
        self.assertEqual(self.found(q='a-2'), ['a-2'])
        self.assertEqual(self.found(q='THIRD'), ['b-1'])


class Table(TableTestCases.StandardTableTestCase):
    table = BuildTable


#
# Artifacts
#


class ArtifactPages(
    PluginViews,
    ViewTestCases.GetObjectViewTestCase,
    ViewTestCases.GetObjectChangelogViewTestCase,
    ViewTestCases.DeleteObjectViewTestCase,
    ViewTestCases.ListObjectsViewTestCase,
    ViewTestCases.BulkDeleteObjectsViewTestCase,
):
    model = BuildArtifact

    @classmethod
    def setUpTestData(cls):
        ended_builds(a_world().register())

    def test_there_is_no_edit_and_the_page_says_why(self):
        self.add_permissions('netbox_substruct.view_buildartifact', 'netbox_substruct.change_buildartifact')
        page = self.client.get(BuildArtifact.objects.first().get_absolute_url())
        self.assertContains(page, 'not edited')
        self.assertNotContains(page, '/edit/"')

    def test_the_download_is_the_content_byte_for_byte(self):
        self.add_permissions('netbox_substruct.view_buildartifact')
        artifact = BuildArtifact.objects.first()
        response = self.client.get(
            reverse('plugins:netbox_substruct:buildartifact_download', kwargs={'pk': artifact.pk})
        )
        self.assertEqual(response.content, artifact.content.encode())
        self.assertIn(f'filename="{artifact.name}"', response['Content-Disposition'])


class ArtifactAPI(
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.DeleteObjectViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = BuildArtifact
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_build', 'netbox_substruct.view_machine')
    brief_fields = ['display', 'id', 'kind', 'name', 'sha256', 'url']

    @classmethod
    def setUpTestData(cls):
        ended_builds(a_world().register())

    def content(self, artifact, **headers):
        url = reverse('plugins-api:netbox_substruct-api:buildartifact-content', kwargs={'pk': artifact.pk})
        return self.client.get(url, **self.header, **headers)

    def test_the_content_is_served_byte_for_byte_as_text_with_its_digest(self):
        self.add_permissions('netbox_substruct.view_buildartifact')
        artifact = BuildArtifact.objects.first()
        for accept in ('*/*', 'text/plain', 'application/json'):
            response = self.content(artifact, HTTP_ACCEPT=accept)
            self.assertHttpStatus(response, 200)
            self.assertEqual(response.content, artifact.content.encode())
            self.assertIn('ü'.encode(), response.content)
            self.assertEqual(response['Content-Type'], 'text/plain; charset=utf-8')
            self.assertEqual(response['X-Content-Type-Options'], 'nosniff')
            self.assertEqual(response['ETag'], f'"{hashlib.sha256(response.content).hexdigest()}"')

    def test_content_that_the_client_has_is_not_sent_again(self):
        self.add_permissions('netbox_substruct.view_buildartifact')
        artifact = BuildArtifact.objects.first()
        response = self.content(artifact, HTTP_IF_NONE_MATCH=f'"{artifact.sha256}"')
        self.assertHttpStatus(response, 304)
        self.assertEqual(response.content, b'')

    def test_content_of_artifacts_that_are_not_permitted_is_not_there(self):
        artifact = BuildArtifact.objects.get(build__machine__device__name='b-1')
        self.assertHttpStatus(self.content(artifact), 403)
        permit(self.user, BuildArtifact, 'view', build__machine__device__site__slug='site-a')
        self.assertHttpStatus(self.content(artifact), 404)

    def test_it_is_never_written(self):
        self.user.is_superuser = True
        self.user.save()
        artifact = BuildArtifact.objects.first()
        for method in (self.client.put, self.client.patch):
            self.assertHttpStatus(method(self._get_detail_url(artifact), {}, format='json', **self.header), 405)
        self.assertHttpStatus(self.client.post(self._get_list_url(), {}, format='json', **self.header), 405)


class ArtifactFilters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = BuildArtifact.objects.all()
    filterset = BuildArtifactFilterSet
    ignore_fields = ('content',)

    @classmethod
    def setUpTestData(cls):
        cls.builds = ended_builds(a_world().register())

    def test_by_build_and_machine(self):
        for params in ({'build_id': [self.builds[0].pk]}, {'machine_id': [self.builds[0].machine_id]}):
            self.assertEqual(self.filterset(params, self.queryset).qs.get().build, self.builds[0])

    def test_by_digest_as_far_as_it_is_typed(self):
        artifact = self.queryset.first()
        self.assertEqual(self.filterset({'q': artifact.sha256[:12]}, self.queryset).qs.get(), artifact)


class ArtifactTable(TableTestCases.StandardTableTestCase):
    table = BuildArtifactTable


#
# Events
#


class EventPages(
    PluginViews,
    ViewTestCases.GetObjectViewTestCase,
    ViewTestCases.GetObjectChangelogViewTestCase,
    ViewTestCases.DeleteObjectViewTestCase,
    ViewTestCases.ListObjectsViewTestCase,
    ViewTestCases.BulkDeleteObjectsViewTestCase,
):
    model = BuildEvent

    @classmethod
    def setUpTestData(cls):
        ended_builds(a_world().register())

    def test_there_is_no_edit_and_the_page_says_why(self):
        self.add_permissions('netbox_substruct.view_buildevent', 'netbox_substruct.change_buildevent')
        page = self.client.get(BuildEvent.objects.first().get_absolute_url())
        self.assertContains(page, 'not edited')
        self.assertNotContains(page, '/edit/"')


class EventAPI(
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.CreateObjectViewTestCase,
    APIViewTestCases.DeleteObjectViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = BuildEvent
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_build', 'netbox_substruct.view_machine')
    brief_fields = ['display', 'id', 'kind', 'message', 'time', 'url']

    @classmethod
    def setUpTestData(cls):
        cls.builds = [builds.request(machine) for machine in a_world().register()]
        cls.create_data = [
            {'build': cls.builds[0].pk, 'kind': 'loader-fetched', 'key': 'k1'},
            {'build': cls.builds[1].pk, 'kind': 'progress', 'progress': 40, 'message': 'unpacking'},
            {'build': cls.builds[2].pk, 'kind': 'note', 'message': 'hello', 'log': 'line 1\nline 2'},
        ]

    def post(self, **data):
        return self.client.post(self._get_list_url(), data, format='json', **self.header)

    def test_an_event_moves_its_build(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        self.assertHttpStatus(self.post(build=self.builds[0].pk, kind='progress', progress=40), 201)
        build = Build.objects.get(pk=self.builds[0].pk)
        self.assertEqual((build.state, build.progress), ('installing', 40))
        self.assertHttpStatus(self.post(build=build.pk, kind='finished'), 201)
        build.refresh_from_db()
        self.assertEqual((build.state, build.machine.state), ('complete', 'built'))

    def test_tags_are_put_on_it(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        tag = Tag.objects.create(name='Loud', slug='loud')
        response = self.post(build=self.builds[0].pk, kind='note', tags=[{'id': tag.pk}])
        self.assertEqual(BuildEvent.objects.get(pk=response.data['id']).tags.get(), tag)

    def test_the_same_key_again_is_the_same_event(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        first = self.post(build=self.builds[0].pk, kind='loader-fetched', key='once')
        again = self.post(build=self.builds[0].pk, kind='loader-fetched', key='once')
        self.assertHttpStatus(first, 201)
        self.assertHttpStatus(again, 200)
        self.assertEqual(first.data['id'], again.data['id'])
        self.assertEqual(BuildEvent.objects.filter(key='once').count(), 1)

    def test_a_key_of_another_build_is_refused(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        self.post(build=self.builds[0].pk, kind='note', key='once')
        response = self.post(build=self.builds[1].pk, kind='note', key='once')
        self.assertHttpStatus(response, 422)
        self.assertEqual(response.data['code'], 'not-allowed')

    def test_only_builds_that_the_permission_covers_are_reported_on(self):
        permit(self.user, BuildEvent, 'add', build__machine__device__site__slug='site-a')
        self.assertHttpStatus(self.post(build=self.builds[2].pk, kind='finished'), 403)
        self.assertEqual(Build.objects.get(pk=self.builds[2].pk).state, 'pending')
        self.assertHttpStatus(self.post(build=self.builds[0].pk, kind='finished'), 201)

    def test_it_keeps_the_time_at_which_it_happened(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        response = self.post(build=self.builds[0].pk, kind='note', time='2026-01-02T03:04:05Z')
        event = BuildEvent.objects.get(pk=response.data['id'])
        self.assertEqual(event.time, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def test_an_impossible_progress_is_refused_with_its_field(self):
        self.add_permissions('netbox_substruct.add_buildevent')
        response = self.post(build=self.builds[0].pk, kind='progress', progress=101)
        self.assertHttpStatus(response, 400)
        self.assertIn('progress', response.data)

    def test_it_is_not_edited(self):
        self.user.is_superuser = True
        self.user.save()
        event = BuildEvent.objects.first()
        for method in (self.client.put, self.client.patch):
            self.assertHttpStatus(method(self._get_detail_url(event), {}, format='json', **self.header), 405)


class EventFilters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = BuildEvent.objects.all()
    filterset = BuildEventFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.builds = ended_builds(a_world().register())

    def test_by_build_machine_and_kind(self):
        found = self.filterset(
            {'build_id': [self.builds[0].pk], 'machine_id': [self.builds[0].machine_id], 'kind': ['cancelled']},
            self.queryset,
        ).qs
        self.assertEqual(found.get().build, self.builds[0])


class EventTable(TableTestCases.StandardTableTestCase):
    table = BuildEventTable
