"""Tasks over HTTP: claimed for a time by one sidecar, renewed, answered once."""

from datetime import timedelta

from django.utils import timezone

from netbox_substruct.lifecycle import tasks
from netbox_substruct.models import Task

from .world import reporter


class Tasks(reporter()):
    def setUp(self):
        super().setUp()
        self.tasks = [
            Task.objects.create(boot_server=self.boot_server, kind='power', machine=self.machine, parameters={'n': n})
            for n in range(3)
        ]

    def claim(self, key='k1', instance='a', limit=2):
        status, answer = self.post('tasks/claim', {'instance': instance, 'key': key, 'limit': limit})
        self.assertEqual(status, 200, answer)
        return [(task['id'], task['attempt']) for task in answer['tasks']]

    def answer(self, task, **body):
        status, answer = self.post(f'tasks/{task.pk}/answer', {'instance': 'a', 'attempt': 1, **body})
        return status, answer.get('state') or answer.get('code')

    def renew(self, task, **body):
        status, answer = self.post(f'tasks/{task.pk}/renew', {'instance': 'a', 'attempt': 1, **body})
        return status, answer.get('code')

    def let_the_lease_end(self, **filters):
        Task.objects.filter(**filters).update(lease_expires=timezone.now() - timedelta(seconds=1))

    def ids(self, *numbers):
        return [(self.tasks[number].pk, 1) for number in numbers]

    def test_claimed_tasks_say_what_is_to_be_done_and_for_how_long(self):
        _, answer = self.post('tasks/claim', {'instance': 'a', 'key': 'k'})
        task = answer['tasks'][0]
        self.assertEqual(
            (task['kind'], task['machine'], task['parameters'], task['attempt']),
            ('power', self.machine.pk, {'n': 0}, 1),
        )
        self.assertEqual(answer['lease'], 300)
        found = Task.objects.get(pk=task['id'])
        self.assertEqual(found.claimed_by, 'a')
        self.assertGreater(found.lease_expires, timezone.now() + timedelta(minutes=4))

    def test_the_same_key_gives_the_same_tasks_and_no_others(self):
        self.assertEqual(self.claim(), self.ids(0, 1))
        self.assertEqual(self.claim(), self.ids(0, 1))
        self.assertEqual(self.claim('k2'), self.ids(2))

    def test_the_same_key_of_another_instance_is_another(self):
        self.claim()
        self.assertEqual(self.claim(instance='b'), self.ids(2))

    def test_what_was_answered_is_not_given_again(self):
        self.claim()
        self.answer(self.tasks[0])
        self.assertEqual(self.claim(), self.ids(1))

    def test_an_answer_is_taken_once(self):
        self.claim()
        self.assertEqual(self.answer(self.tasks[0], answer={'power': 'on'}), (200, 'done'))
        self.assertEqual(self.answer(self.tasks[0], error='never mind'), (200, 'done'))
        task = Task.objects.get(pk=self.tasks[0].pk)
        self.assertEqual((task.answer, task.error, task.lease_expires), ({'power': 'on'}, '', None))

    def test_a_failure_is_tried_again_and_its_answer_again_changes_nothing(self):
        self.claim(limit=1)
        self.assertEqual(self.answer(self.tasks[0], error='no route'), (200, 'pending'))
        self.assertEqual(self.answer(self.tasks[0], error='no route'), (200, 'pending'))
        self.assertEqual(Task.objects.get(pk=self.tasks[0].pk).attempts, 1)

    def test_only_who_claimed_it_may_answer_or_renew_and_only_for_this_attempt(self):
        self.claim()
        for body in ({'instance': 'b'}, {'attempt': 2}):
            with self.subTest(body):
                self.assertEqual(self.answer(self.tasks[0], **body), (409, 'lost'))
                self.assertEqual(self.renew(self.tasks[0], **body), (409, 'lost'))
        self.assertEqual(self.answer(self.tasks[2]), (409, 'lost'))
        self.assertEqual(Task.objects.get(pk=self.tasks[0].pk).state, 'claimed')

    def test_a_claim_that_ended_is_given_to_another_as_a_new_attempt(self):
        self.claim(limit=1)
        self.let_the_lease_end()
        self.assertEqual(self.claim('k2', 'b', 1), [(self.tasks[0].pk, 2)])
        self.assertEqual(self.answer(self.tasks[0]), (409, 'lost'))
        self.assertEqual(self.renew(self.tasks[0]), (409, 'lost'))
        self.assertEqual(self.answer(self.tasks[0], instance='b', attempt=2), (200, 'done'))

    def test_a_claim_that_is_renewed_stays(self):
        self.claim(limit=1)
        self.let_the_lease_end()
        self.assertEqual(self.renew(self.tasks[0]), (200, None))
        self.assertEqual(self.claim('k2', 'b', 1), self.ids(1))

    def test_an_answer_that_comes_late_to_a_claim_that_nobody_took_counts(self):
        self.claim(limit=1)
        self.let_the_lease_end()
        self.assertEqual(self.answer(self.tasks[0]), (200, 'done'))

    def test_one_that_is_never_heard_of_fails_when_its_attempts_are_used_up(self):
        Task.objects.update(max_attempts=1)
        self.claim(limit=1)
        self.let_the_lease_end()
        self.assertEqual(self.claim('k2', 'b', 1), self.ids(1))
        task = Task.objects.get(pk=self.tasks[0].pk)
        self.assertEqual((task.state, task.error), ('failed', 'a claimed it and was not heard of again.'))
        self.assertEqual(self.answer(self.tasks[0]), (409, 'lost'))

    def test_what_was_cancelled_cannot_be_answered(self):
        self.claim()
        tasks.cancel(self.tasks[0])
        self.assertEqual(self.answer(self.tasks[0]), (409, 'lost'))

    def test_what_is_tried_again_by_a_person_begins_anew(self):
        Task.objects.update(max_attempts=1)
        self.claim(limit=1)
        self.answer(self.tasks[0], error='x')
        tasks.retry(self.tasks[0])
        task = Task.objects.get(pk=self.tasks[0].pk)
        self.assertEqual((task.claimed_by, task.attempts), ('', 0))
        self.assertEqual(self.claim('k2', limit=1), self.ids(0))

    def test_tasks_of_another_boot_server_are_not_seen(self):
        foreign = Task.objects.create(boot_server=self.other, kind='power')
        self.assertNotIn((foreign.pk, 1), self.claim(limit=10))
        self.assertEqual(self.answer(foreign)[0], 404)

    def test_the_length_of_a_claim_is_a_setting(self):
        with self.settings(PLUGINS_CONFIG={'netbox_substruct': {'task_lease': 60}}):
            self.assertEqual(tasks.lease(), timedelta(minutes=1))

    def test_the_page_and_the_api_say_who_has_it(self):
        self.claim()
        self.add_permissions('netbox_substruct.view_task')
        response = self.client.get(f'/api/plugins/substruct/tasks/{self.tasks[0].pk}/', **self.header)
        self.assertEqual(response.json()['claimed_by'], 'a')
        self.client.force_login(self.user)
        self.assertContains(self.client.get(self.tasks[0].get_absolute_url()), 'Claimed by')
