"""Heartbeats: what a boot server says of itself, and who may say it."""

from datetime import timedelta

from django.utils import timezone

from core.models import ObjectChange
from users.models import ObjectPermission

from netbox_substruct.models import BootServer

from .world import reporter

BEAT = {
    'instance': 'boot-ber-7f3a',
    'version': '0.1.0',
    'applied_cursor': '0123456789abcdef.5.5.',
    'services': [
        {
            'name': 'dhcp', 'backend': 'kea', 'state': 'degraded', 'message': 'restarting', 'existing': 120,
            'planned': {'add': 1, 'change': 2, 'remove': 0}, 'last_plan': 1_800_000_000.5,
            'last_apply': '2026-01-02T03:04:05+00:00', 'cannot': ['It cannot do X.'],
            'difference': ['+ 52:54:00:00:00:01  [web-1]'],
        },
    ],
    'problems': [
        {'service': 'dhcp', 'what': 'machine', 'id': 7, 'name': 'web-1', 'message': 'No MAC address.',
         'remedy': 'Give it one.', 'severity': 'error'},
    ],
    'started': 1_700_000_000.0,
    'state_age': 3.5,
}  # fmt: skip


class Heartbeat(reporter()):
    def beat(self, **changes):
        return self.post('heartbeat', {**BEAT, **changes})

    def now(self):
        return BootServer.objects.get(pk=self.boot_server.pk)

    def test_it_is_written_down(self):
        status, answer = self.beat()
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer['boot_server']['name'], 'boot-ber')
        self.assertEqual(answer['other_instances'], [])
        now = self.now()
        self.assertEqual((now.version, now.applied_cursor), ('0.1.0', '0123456789abcdef.5.5.'))
        self.assertLess(timezone.now() - now.last_heartbeat, timedelta(minutes=1))
        (service,) = now.services
        self.assertEqual(service['planned'], {'add': 1, 'change': 2, 'remove': 0})
        self.assertEqual(service['difference'], ['+ 52:54:00:00:00:01  [web-1]'])
        self.assertEqual(service['last_apply'], '2026-01-02T03:04:05+00:00')
        self.assertEqual(now.out_of_step[0]['what'], 'machine')
        self.assertFalse(now.in_step)

    def test_a_clock_that_is_ahead_is_not_believed(self):
        self.beat()
        self.assertLessEqual(self.now().services[0]['last_plan'], timezone.now().isoformat())

    def test_it_leaves_no_trace_in_the_changelog(self):
        before = ObjectChange.objects.count()
        updated = self.now().last_updated
        self.beat()
        self.assertEqual(ObjectChange.objects.count(), before)
        self.assertEqual(self.now().last_updated, updated)

    def test_nor_does_what_it_said_stand_in_changes_that_people_make(self):
        self.beat()
        now = self.now()
        now.snapshot()
        self.assertFalse({'services', 'out_of_step', 'instances'} & set(now._prechange_snapshot))

    def test_who_saves_what_was_read_before_does_not_overwrite_it(self):
        read_before = self.now()
        self.beat()
        read_before.description = 'new'
        read_before.save()
        now = self.now()
        self.assertEqual((now.description, now.version), ('new', '0.1.0'))
        self.assertTrue(now.out_of_step)

    def test_two_sidecars_under_one_name_hear_of_each_other(self):
        self.beat()
        _, answer = self.beat(instance='boot-ber-other')
        self.assertEqual([other['instance'] for other in answer['other_instances']], ['boot-ber-7f3a'])
        self.assertEqual(len(self.now().instances), 2)

    def test_one_that_has_been_silent_is_no_other(self):
        self.beat()
        gone = self.now().instances
        gone[0]['last_heard'] = (timezone.now() - timedelta(minutes=3)).isoformat()
        BootServer.objects.filter(pk=self.boot_server.pk).update(instances=gone)
        self.assertEqual(self.beat(instance='new')[1]['other_instances'], [])
        self.assertEqual(len(self.now().instances), 1)

    def test_the_same_one_is_not_another(self):
        self.beat()
        self.assertEqual(self.beat()[1]['other_instances'], [])

    def test_what_no_database_can_hold_is_made_harmless(self):
        problem = {**BEAT['problems'][0], 'message': 'a\0b' + 'x' * 5000}
        status, answer = self.beat(problems=[problem])
        self.assertEqual(status, 200, answer)
        message = self.now().out_of_step[0]['message']
        self.assertTrue(message.startswith('a\N{REPLACEMENT CHARACTER}b') and len(message) == 2000)

    def test_what_is_malformed_is_refused_with_its_place(self):
        for changes, place in (
            ({'services': [{'name': 'dhcp', 'state': 'fine'}]}, '$.services[0].state'),
            ({'instance': ''}, '$.instance'),
            ({'problems': [BEAT['problems'][0]] * 1001}, '$.problems'),
            ({'services': [{**BEAT['services'][0], 'last_plan': 1e300}]}, 'is no time'),
        ):
            with self.subTest(place):
                status, answer = self.beat(**changes)
                self.assertEqual((status, answer['code']), (400, 'invalid'))
                self.assertIn(place, answer['detail'])
        for body in (b'', b'{', b'[]', b'\xff'):
            with self.subTest(body):
                self.assertEqual(self.post('heartbeat', body)[0], 400)
        self.assertIsNone(self.now().last_heartbeat)

    def test_what_is_not_known_yet_is_passed_over(self):
        self.assertEqual(self.beat(weather='fine')[0], 200)

    def test_late_is_who_was_not_heard_of_for_two_minutes(self):
        self.assertFalse(self.now().is_late)
        self.beat()
        self.assertFalse(self.now().is_late)
        BootServer.objects.update(last_heartbeat=timezone.now() - timedelta(seconds=121))
        self.assertTrue(self.now().is_late)


class Permission(reporter('view', 'add', 'change', 'delete')):
    def test_only_feed_permits_it_and_for_its_own_boot_server(self):
        self.assertEqual(self.post('heartbeat', BEAT)[0], 403)
        for path in ('deliver', 'tasks/claim', 'webhook'):
            self.assertEqual(self.post(path, {})[0], 403, path)
        self.add_permissions('netbox_substruct.feed_bootserver')
        ObjectPermission.objects.filter(actions__contains=['feed']).update(constraints={'name': 'boot-ber'})
        self.assertEqual(self.post('heartbeat', BEAT)[0], 200)
        self.assertEqual(self.post('heartbeat', BEAT, self.other)[0], 404)
