"""Tasks: pages, API, GraphQL, filters and tables, by NetBox's own test bases."""

from django.test import TestCase
from django.urls import reverse

from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import TaskFilterSet
from netbox_substruct.models import BootServer, Task
from netbox_substruct.tables import TaskTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from .world import a_world, permit


def make_tasks():
    machines = a_world().register()
    servers = [BootServer.objects.create(name=f'boot-{n}', base_url=f'http://10.0.0.{n}') for n in (1, 2)]
    for machine, kind in zip(machines, ('power', 'next-boot', 'fetch-image'), strict=True):
        Task.objects.create(boot_server=servers[0], kind=kind, machine=machine, parameters={'action': 'cycle'})
    return machines, servers


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = Task

    @classmethod
    def setUpTestData(cls):
        machines, servers = make_tasks()
        cls.form_data = {
            'boot_server': servers[1].pk,
            'kind': 'power',
            'machine': machines[0].pk,
            'parameters': '{"action": "off"}',
            'max_attempts': 5,
            'tags': [],
        }
        cls.csv_data = (
            'boot_server,kind,machine,parameters,max_attempts',
            'boot-1,power,a-1,"{""action"": ""on""}",2',
            'boot-1,fetch-image,,,',
            'boot-2,next-boot,b-1,"{""device"": ""pxe""}",',
        )
        cls.csv_update_data = ('id,max_attempts', *(f'{task.pk},7' for task in Task.objects.all()))
        cls.bulk_edit_data = {'boot_server': servers[1].pk, 'max_attempts': 9}

    def test_what_becomes_of_a_task_is_not_in_its_form(self):
        self.add_permissions('netbox_substruct.change_task')
        form = self.client.get(self._get_url('edit', Task.objects.first())).context['form']
        self.assertFalse({'state', 'attempts', 'claimed', 'finished', 'answer', 'error'} & set(form.fields))

    def test_a_task_is_cancelled_on_its_page(self):
        self.add_permissions('netbox_substruct.change_task', 'netbox_substruct.view_task')
        task = Task.objects.first()
        response = self.client.post(self._get_url('cancel', task), {'confirm': True})
        self.assertRedirects(response, task.get_absolute_url())
        task.refresh_from_db()
        self.assertEqual(task.state, 'cancelled')
        again = self.client.post(self._get_url('cancel', task), {'confirm': True})
        self.assertContains(again, 'cannot be cancelled')


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Task
    # GraphQL shows related objects only to those who may view them.
    user_permissions = ('netbox_substruct.view_bootserver', 'netbox_substruct.view_machine')
    brief_fields = ['display', 'id', 'kind', 'state', 'url']
    bulk_update_data = {'max_attempts': 9}
    update_data = {'max_attempts': 4, 'parameters': {'action': 'off'}}

    @classmethod
    def setUpTestData(cls):
        machines, servers = make_tasks()
        cls.create_data = [
            {'boot_server': servers[0].pk, 'kind': 'power', 'machine': machine.pk, 'parameters': {'action': 'on'}}
            for machine in machines
        ]

    def act(self, task, action):
        url = reverse(f'plugins-api:netbox_substruct-api:task-{action}', kwargs={'pk': task.pk})
        return self.client.post(url, {}, format='json', **self.header)

    def test_what_becomes_of_a_task_cannot_be_written(self):
        self.add_permissions('netbox_substruct.change_task')
        task = Task.objects.first()
        data = {'state': 'done', 'attempts': 9, 'answer': {'x': 1}, 'error': 'no'}
        self.assertHttpStatus(self.client.patch(self._get_detail_url(task), data, format='json', **self.header), 200)
        task.refresh_from_db()
        self.assertEqual((task.state, task.attempts, task.answer, task.error), ('pending', 0, {}, ''))

    def test_cancelling_needs_change_on_that_very_task(self):
        first, last = Task.objects.get(machine__device__name='a-1'), Task.objects.get(machine__device__name='b-1')
        self.assertHttpStatus(self.act(first, 'cancel'), 403)
        permit(self.user, Task, 'change', machine__device__site__slug='site-a')
        self.assertHttpStatus(self.act(last, 'cancel'), 404)
        self.assertEqual(self.act(first, 'cancel').data['state']['value'], 'cancelled')

    def test_only_a_failed_task_is_tried_again(self):
        self.add_permissions('netbox_substruct.change_task')
        task = Task.objects.first()
        refused = self.act(task, 'retry')
        self.assertHttpStatus(refused, 422)
        self.assertEqual(refused.data['code'], 'not-allowed')
        Task.objects.filter(pk=task.pk).update(state='failed', attempts=3)
        self.assertEqual(self.act(task, 'retry').data['state']['value'], 'pending')


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Task.objects.all()
    filterset = TaskFilterSet
    ignore_fields = ('parameters', 'answer', 'claim_key')

    @classmethod
    def setUpTestData(cls):
        cls.machines, cls.servers = make_tasks()
        Task.objects.filter(kind='power').update(state='done')

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(task.kind for task in filterset.qs)

    def test_by_boot_server_and_machine(self):
        self.assertEqual(len(self.found(boot_server=['boot-1'])), 3)
        self.assertEqual(self.found(boot_server_id=[self.servers[1].pk]), [])
        self.assertEqual(self.found(machine_id=[self.machines[1].pk]), ['next-boot'])

    def test_by_state_and_whether_it_is_still_to_be_done(self):
        self.assertEqual(self.found(state=['done']), ['power'])
        self.assertEqual(self.found(open=True), ['fetch-image', 'next-boot'])
        self.assertEqual(self.found(open=False), ['power'])


class Table(TableTestCases.StandardTableTestCase):
    table = TaskTable
