"""Trying a build again, and what changed since the last good one, by the REST API."""

from django.urls import reverse

from utilities.testing import APITestCase

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, BuildArtifact, Machine

from .world import a_world, permit


class BuildAPITestCase(APITestCase):
    user_permissions = ('netbox_substruct.view_machine', 'netbox_substruct.view_profile')

    def setUp(self):
        super().setUp()
        self.world = a_world()
        self.machines = self.world.register()
        self.machine = self.machines[0]
        self.build = builds.request(self.machine, description='first')
        permit(self.user, Build, 'view', machine__device__site__slug='site-a')

    def url(self, action, build=None):
        return reverse(f'plugins-api:netbox_substruct-api:build-{action}', kwargs={'pk': (build or self.build).pk})

    def again(self, **data):
        return self.client.post(self.url('retry'), data, format='json', **self.header)


class Retrying(BuildAPITestCase):
    def test_it_asks_again_with_the_same_profile(self):
        permit(self.user, Machine, 'build')
        builds.record(self.build, 'failed', message='No mirror')
        answer = self.again()
        self.assertHttpStatus(answer, 201)
        later = Build.objects.latest('pk')
        self.assertEqual((answer.data['id'], answer.data['description']), (later.pk, 'first'))
        self.assertEqual((later.machine, later.profile), (self.machine, self.world.profile))

    def test_it_takes_the_permission_on_that_machine_and_on_the_build(self):
        builds.record(self.build, 'failed', message='No mirror')
        self.assertHttpStatus(self.again(), 403)
        permit(self.user, Machine, 'build', device__site__slug='site-b')
        self.assertHttpStatus(self.again(), 403)
        other = builds.request(self.machines[2])
        builds.record(other, 'failed', message='No mirror')
        answer = self.client.post(self.url('retry', other), {}, format='json', **self.header)
        self.assertHttpStatus(answer, 404)
        self.assertEqual(Build.objects.count(), 2)

    def test_whoever_saw_another_build_than_it_is_now_is_told_so(self):
        permit(self.user, Machine, 'build')
        builds.record(self.build, 'failed', message='No mirror')
        seen = {'If-Match': 'W/"2020-01-01T00:00:00"'}
        answer = self.client.post(self.url('retry', self.build), {}, format='json', headers=seen, **self.header)
        self.assertHttpStatus(answer, 412)
        self.assertEqual(Build.objects.latest('pk').pk, self.build.pk)

    def test_a_build_under_way_is_not_tried_again(self):
        permit(self.user, Machine, 'build')
        answer = self.again()
        self.assertHttpStatus(answer, 422)
        self.assertEqual(answer.data['code'], 'not-allowed')

    def test_an_active_device_takes_its_name(self):
        permit(self.user, Machine, 'build')
        builds.record(self.build, 'failed', message='No mirror')
        self.machine.device.status = 'active'
        self.machine.device.save()
        self.assertEqual(self.again().data['code'], 'override-required')
        self.assertHttpStatus(self.again(override='a-1'), 201)


class Changes(BuildAPITestCase):
    def setUp(self):
        super().setUp()
        builds.record(self.build, 'finished')
        self.machine.refresh_from_db()
        self.machine.parameters = {'owner': 'db'}
        self.machine.save()
        self.later = builds.request(self.machine)

    def changes(self, build=None, **parameters):
        return self.client.get(self.url('changes', build or self.later), parameters, **self.header)

    def test_it_has_the_difference_of_each_artifact_and_each_value(self):
        permit(self.user, BuildArtifact, 'view')
        permit(self.user, Machine, 'preview')
        answer = self.changes()
        self.assertHttpStatus(answer, 200)
        self.assertEqual((answer.data['build']['id'], answer.data['before']['id']), (self.later.pk, self.build.pk))
        (artifact,) = answer.data['artifacts']
        self.assertEqual((artifact['kind'], artifact['word']), ('ipxe', 'changed'))
        self.assertIn('-echo a-1 of web — ü\n+echo a-1 of db — ü\n', artifact['diff'])
        self.assertIn(
            {'path': 'parameters.owner', 'word': 'changed', 'before': 'web', 'after': 'db'}, answer.data['values']
        )

    def test_what_the_user_may_not_see_is_not_in_it(self):
        answer = self.changes()
        self.assertEqual((answer.data['artifacts'], answer.data['values']), (None, None))
        self.assertNotIn('owner', answer.content.decode())

    def test_without_a_good_build_there_is_nothing_to_compare_with(self):
        self.assertIsNone(self.changes(self.build).data['before'])

    def test_another_build_of_the_same_machine_can_be_named(self):
        self.assertEqual(self.changes(self.build, against=self.later.pk).data['before']['id'], self.later.pk)
        other = builds.request(self.machines[2])
        self.assertHttpStatus(self.changes(against=other.pk), 404)
        self.assertHttpStatus(self.changes(against='x'), 400)
