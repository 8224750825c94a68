"""Asking for a machine's power to be switched: by whom, by which boot server, and where it is refused."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from utilities.testing import TestCase

from netbox_substruct import power
from netbox_substruct.lifecycle.errors import LifecycleError, NotAllowed, NotReady, OverrideRequired
from netbox_substruct.models import BMC, BootServer, Machine, Task

from .world import a_world, permit


class Power(TestCase):
    def setUp(self):
        super().setUp()
        self.world = a_world()
        self.device = self.world.devices[0]
        self.machine = Machine.objects.create(device=self.device, profile=self.world.profile)
        self.bmc = BMC.objects.create(machine=self.machine, protocol='redfish', address='10.0.0.9', credential='bmc/a')
        self.server = BootServer.objects.create(
            name='boot-1', base_url='http://10.0.0.2', last_heartbeat=timezone.now(),
            services=[{'name': 'power', 'backend': 'redfish', 'state': 'ok'}],
        )  # fmt: skip
        self.server.sites.add(self.device.site)

    def url(self):
        return reverse('plugins:netbox_substruct:machine_power', args=[self.machine.pk])

    def post(self, action, **data):
        return self.client.post(self.url(), {'action': action, 'confirm': 'true', **data})

    def active(self):
        self.device.status = 'active'
        self.device.save()


class Asking(Power):
    def test_a_boot_server_that_serves_the_machine_gets_the_task(self):
        other = BootServer.objects.create(
            name='a-boot-elsewhere', base_url='http://10.0.0.3', last_heartbeat=timezone.now(),
            services=self.server.services,
        )  # fmt: skip
        task = power.ask(self.machine, 'on')
        self.assertEqual((task.boot_server, task.kind, task.parameters), (self.server, 'power', {'action': 'on'}))
        self.assertFalse(other.tasks.exists())

    def test_it_is_refused_with_the_reason_where_it_is_switched_by_hand(self):
        def refused(words):
            with self.assertRaisesRegex(NotReady, words):
                power.ask(self.machine, 'on')

        heard = timezone.now() - timedelta(minutes=30)
        BootServer.objects.update(last_heartbeat=heard)
        refused('None of its boot servers')
        BootServer.objects.update(last_heartbeat=timezone.now(), status='maintenance')
        refused('None of its boot servers')
        BootServer.objects.update(status='active')
        BMC.objects.update(address=None)
        refused('no address')
        self.bmc.delete()
        refused('No BMC')
        self.assertFalse(Task.objects.exists())

    def test_one_thing_is_asked_at_a_time(self):
        first = power.ask(self.machine, 'on')
        with self.assertRaisesRegex(NotAllowed, str(first)):
            power.ask(self.machine, 'status')
        with self.assertRaisesRegex(NotAllowed, 'choose one of on, soft'):
            power.ask(self.machine, 'explode')

    def test_what_is_in_use_is_interrupted_only_with_its_name(self):
        self.active()
        self.machine.refresh_from_db()
        for action in ('off', 'soft', 'cycle', 'reset'):
            for name in ('', 'web'):
                with self.assertRaisesRegex(OverrideRequired, 'status active'):
                    power.ask(self.machine, action, override=name)
        power.ask(self.machine, 'status').delete()
        power.ask(self.machine, 'cycle', override=self.machine.name)

    def test_a_permission_with_constraints_covers_the_tasks_of_its_machines_alone(self):
        permit(self.user, Task, 'add', machine__device__site__slug='site-b')
        with self.assertRaisesRegex(LifecycleError, 'permissions'):
            power.ask(self.machine, 'on', user=self.user)
        self.assertFalse(Task.objects.exists())


class Page(Power):
    def test_it_takes_view_on_the_machine_and_add_on_tasks(self):
        self.assertEqual(self.client.get(self.url()).status_code, 403)
        permit(self.user, Machine, 'view')
        self.assertEqual(self.client.get(self.url()).status_code, 403)
        permit(self.user, Task, 'add', 'view')
        page = self.client.get(self.url())
        self.assertContains(page, 'Off and on again')
        self.assertNotContains(page, 'Name of the machine')
        answer = self.post('cycle')
        self.assertRedirects(answer, self.machine.get_absolute_url(), fetch_redirect_response=False)
        self.assertEqual(Task.objects.get().parameters, {'action': 'cycle'})

    def test_a_refusal_stands_on_the_form(self):
        permit(self.user, Machine, 'view')
        permit(self.user, Task, 'add', 'view')
        self.active()
        self.assertContains(self.client.get(self.url()), 'Type its exact name')
        self.assertContains(self.post('off', override='web'), 'whatever runs on it is interrupted')
        self.assertFalse(Task.objects.exists())
        self.assertEqual(self.post('off', override=self.machine.name).status_code, 302)
