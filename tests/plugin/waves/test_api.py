"""Waves by REST: made, filled, started, looked at, stopped; refusals with their reasons; others' machines."""

from django.urls import reverse

from utilities.testing import APITestCase

from netbox_substruct.models import Build, Wave
from netbox_substruct.waves import running

from .world import a_wave, end, permit, some_machines, states

ROOT = 'plugins-api:netbox_substruct-api'


class Waves(APITestCase):
    def setUp(self):
        super().setUp()
        permit(self.user, ('wave', 'wavemember'), ('view', 'add', 'change', 'delete'))
        permit(self.user, ('machine',), ('view', 'build'), device__name__startswith='srv')
        permit(self.user, ('build',), ('view', 'cancel'))

    def post(self, name, data=None, pk=None):
        path = reverse(f'{ROOT}:{name}', args=[pk] if pk else [])
        return self.client.post(path, data, format='json', **self.header)

    def act(self, wave, action, **data):
        return self.post(f'wave-{action}', data, wave.pk)

    def test_a_wave_from_nothing_to_its_end(self):
        machines = some_machines(3)
        made = self.post('wave-list', {'name': 'Rack 17', 'at_once': 2, 'time_zone': 'Europe/Berlin'})
        self.assertHttpStatus(made, 201)
        self.assertEqual((made.data['state']['value'], made.data['time_zone']), ('planned', 'Europe/Berlin'))
        wave = Wave.objects.get()
        members = self.post('wavemember-list', [{'wave': wave.pk, 'machine': machine.pk} for machine in machines])
        self.assertHttpStatus(members, 201)
        started = self.act(wave, 'start')
        self.assertHttpStatus(started, 200)
        self.assertEqual(started.data['requested_by']['id'], self.user.pk)
        running.advance(wave.pk)
        path = reverse(f'{ROOT}:wave-progress', args=[wave.pk])
        progress = self.client.get(path, **self.header).data
        self.assertEqual((progress['total'], progress['counts']['building'], progress['counts']['waiting']), (3, 1, 2))
        self.assertIn('canaries', progress['why'])
        end(wave, 'finished')
        running.advance(wave.pk)
        listed = self.client.get(reverse(f'{ROOT}:wavemember-list') + '?state=building', **self.header).data
        self.assertEqual(listed['count'], 2)
        self.assertTrue(all(member['build']['id'] for member in listed['results']))
        for action in ('pause', 'resume'):
            self.assertHttpStatus(self.act(wave, action), 200)
        stopped = self.act(wave, 'stop', cancel_builds=True)
        self.assertEqual((stopped.data['state']['value'], states(wave)), ('stopped', 'dcc'))
        self.assertHttpStatus(self.act(wave, 'retry'), 200)
        running.advance(wave.pk)
        self.assertEqual(states(wave), 'dbb')

    def test_its_settings_are_patched_while_it_runs_but_not_its_profile(self):
        wave = a_wave(2)
        self.assertHttpStatus(self.act(wave, 'start'), 200)
        path = reverse(f'{ROOT}:wave-detail', args=[wave.pk])
        permit(self.user, ('profile',), ('view',))
        self.assertHttpStatus(self.client.patch(path, {'at_once': 9}, format='json', **self.header), 200)
        profile = wave.members.first().machine.profile.pk
        refused = self.client.patch(path, {'profile': profile}, format='json', **self.header)
        self.assertHttpStatus(refused, 400)
        self.assertIn('stop it before', str(refused.data['profile']))

    def test_refusals_say_why(self):
        wave = Wave.objects.create(name='empty')
        refused = self.act(wave, 'start')
        self.assertHttpStatus(refused, 422)
        self.assertEqual(refused.data['code'], 'not-allowed')
        self.assertIn('has no machines', refused.data['detail'])

    def test_machines_of_others_are_not_built(self):
        machines = some_machines(2)
        device = machines[1].device
        device.name = 'other-1'
        device.save()
        wave = a_wave(machines)
        refused = self.act(wave, 'start')
        self.assertHttpStatus(refused, 422)
        self.assertIn('You have no permission to build other-1', refused.data['detail'])
        self.assertEqual(Build.objects.count(), 0)

    def test_who_may_only_look_does_nothing(self):
        from users.models import ObjectPermission

        wave = a_wave(1)
        ObjectPermission.objects.filter(users=self.user).delete()
        self.add_permissions('netbox_substruct.view_wave', 'netbox_substruct.build_machine')
        for action in ('start', 'pause', 'resume', 'stop', 'retry'):
            self.assertHttpStatus(self.act(wave, action), 403)
        progress = self.client.get(reverse(f'{ROOT}:wave-progress', args=[wave.pk]), **self.header).data
        self.assertEqual(progress['total'], 0)

    def test_a_wave_outside_of_the_constraints_is_not_there(self):
        from users.models import ObjectPermission

        wave = a_wave(1)
        ObjectPermission.objects.filter(users=self.user).delete()
        permit(self.user, ('wave',), ('view', 'change'), name='another')
        self.assertHttpStatus(self.act(wave, 'start'), 404)
