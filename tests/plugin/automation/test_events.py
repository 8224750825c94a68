"""What event rules are told: which events, once, with which payload, by webhook, script and notification."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from core.models import Job
from dcim.models import Device
from extras.models import Notification, Script, ScriptModule
from tenancy.models import Tenant
from users.models import User

from netbox_substruct.lifecycle import builds, events, machines, payloads
from netbox_substruct.models import Build, BuildToken, Machine, Wave
from netbox_substruct.waves import moves, running

from ..lifecycle.world import a_device, a_machine, a_user
from .world import notification_group, receiving, rule, valid, webhook, work

DOCS = Path(__file__).parents[3] / 'docs'
NAMES = [event_type.name for event_type in events.EVENT_TYPES]
pytestmark = pytest.mark.django_db

SCRIPT = """
import json
from extras.scripts import Script

class Tell(Script):
    def run(self, data, commit):
        return json.dumps(data)
"""


class TestPayload:
    def test_a_build_is_told_with_all_that_a_receiver_needs(self, told):
        machine = a_machine()
        tenant = Tenant.objects.create(name='Payments', slug='payments')
        Device.objects.update(tenant=tenant, serial='SN-1')
        build = builds.request(Machine.objects.get(), user=a_user('ada'))
        with events.tracked(build.requested_by):
            builds.record(build, 'failed', message='No disk was found.')
        kind, payload = told[-1]
        valid(payload)
        assert (kind, payload['event'], payload['display']) == ('substruct_build_failed',) * 2 + (f'srv-1 #{build.pk}',)
        assert payload['url'] == f'/api/plugins/substruct/builds/{build.pk}/'
        assert payload['display_url'] == f'/plugins/substruct/builds/{build.pk}/'
        said = payload['machine']
        assert (said['name'], said['device'], said['virtual_machine']) == ('srv-1', machine.device_id, None)
        assert (said['site']['slug'], said['tenant']['slug'], said['serial']) == ('ber', 'payments', 'SN-1')
        said = payload['build']
        assert (said['state'], said['error'], said['requested_by']) == ('failed', 'No disk was found.', 'ada')
        assert said['profile']['slug'] == 'debian'

    def test_neither_token_nor_context_nor_log_nor_parameters_are_told(self, told):
        machine = a_machine()
        Machine.objects.update(parameters={'password': 'hunter2'})
        build = builds.request(machine, user=a_user())
        token = BuildToken.objects.get(build_id=build.pk).token
        with events.tracked(build.requested_by):
            builds.record(build, 'failed', message=f'GET /b/{token}/ failed', log='the whole log')
        text = json.dumps([payload for _, payload in told])
        assert 'GET /b/(token)/ failed' in text
        for secret in (token, 'hunter2', 'the whole log', '#!ipxe', 'context'):
            assert secret not in text

    def test_each_event_tells_of_its_own_moment(self, told):
        """Several moves within one request are several events, and none shows what came after it."""
        machine = a_machine()
        with events.tracked(a_user()):
            build = builds.request(machine)
            builds.record(build, 'config-fetched')
            builds.record(build, 'finished')
        assert [(kind.rpartition('_')[2], payload['build']['state']) for kind, payload in told] == [
            ('requested', 'pending'),
            ('installing', 'installing'),
            ('complete', 'complete'),
        ]

    def test_the_published_schema_is_the_one_of_the_code(self):
        published = json.loads((DOCS / 'events-schema.json').read_text())
        assert published == payloads.schema(), 'make it anew: netbox substruct_events_schema > docs/events-schema.json'

    def test_the_manual_has_a_valid_example_of_each_event(self):
        bodies = json.loads((DOCS / 'examples' / 'events.json').read_text())
        assert [body['event'] for body in bodies] == NAMES
        for body in bodies:
            valid(body['data'])
            assert body['data']['event'] == body['event']

    def test_the_manual_names_each_event(self):
        text = (DOCS / 'events.md').read_text()
        assert [name for name in NAMES if f'`{name}`' not in text] == []


class TestMachines:
    def test_a_discovered_machine_that_becomes_a_device_is_adopted(self, told):
        machine = Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')
        with events.tracked(a_user()):
            machine.device = a_device()
            machine.save()
            machine.save()
        kinds = [kind for kind, _ in told]
        assert kinds == ['substruct_machine_adopted', 'substruct_machine_registered']
        valid(told[0][1])
        assert told[0][1]['machine']['device'] == machine.device_id

    def test_a_registered_machine_was_not_adopted(self, told):
        with events.tracked(a_user()):
            machine = machines.register(a_device())
            machine.save()
        assert [kind for kind, _ in told] == ['substruct_machine_registered']

    def test_a_discovered_machine_is_told_without_device_or_site(self, told):
        with events.tracked(a_user()):
            Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')
        ((_, payload),) = told
        valid(payload)
        assert (payload['display'], payload['machine']['site'], payload['machine']['device']) == ('found', None, None)


class TestWaves:
    def test_a_wave_tells_how_it_stands_and_names_no_machine(self, told):
        ada = User.objects.create_superuser('ada')
        wave = Wave.objects.create(name='Rack 17', at_once=2)
        moves.add(wave, [a_machine()], user=ada)
        moves.start(wave, user=ada)
        moves.pause(wave, user=ada)
        moves.stop(wave, user=ada)
        waves = [(kind, payload) for kind, payload in told if 'wave' in kind]
        assert [(kind.rpartition('_')[2], payload['wave']['state']) for kind, payload in waves] == [
            ('started', 'running'),
            ('paused', 'paused'),
            ('stopped', 'stopped'),
        ]
        for kind, payload in waves:
            valid(payload)
            assert (payload['event'], payload['display'], payload['wave']['at_once']) == (kind, 'Rack 17', 2)
            assert 'srv-1' not in json.dumps(payload)
        last = waves[-1][1]['wave']
        assert (last['requested_by'], last['profile'], 'ada' in last['reason']) == ('ada', None, True)

    def test_a_wave_that_completes_tells_so(self, told):
        ada = User.objects.create_superuser('ada')
        wave = Wave.objects.create(name='Rack 17')
        moves.add(wave, [a_machine()], user=ada)
        moves.start(wave, user=ada)
        running.advance(wave.pk)
        with events.tracked(ada):
            builds.record(Build.objects.get(), 'finished')
            running.advance(wave.pk)
        (payload,) = (payload for kind, payload in told if kind == 'substruct_wave_complete')
        valid(payload)
        assert payload['wave']['finished'] is not None


class TestReaching:
    """With what NetBox's own worker does."""

    def test_a_webhook(self, queues):
        machine = a_machine()
        with receiving() as receiver:
            rule('tell', ['substruct_build_requested'], [Build], action_object=webhook(receiver.url))
            build = builds.request(machine, user=a_user('ada'))
            work()
        (body,) = receiver.bodies
        assert (body['event'], body['object_type']) == ('substruct_build_requested', 'netbox_substruct.build')
        assert body['data']['build']['id'] == build.pk
        valid(body['data'])

    def test_a_webhook_from_a_job_that_acts_for_nobody(self, queues, django_capture_on_commit_callbacks):
        machine = a_machine()
        build = builds.request(machine)
        Build.objects.update(created=timezone.now() - timedelta(days=9))
        build.events.update(created=timezone.now() - timedelta(days=9))
        with receiving() as receiver:
            rule('tell', ['substruct_build_stalled'], [Build], action_object=webhook(receiver.url))
            with django_capture_on_commit_callbacks(execute=True):
                assert builds.notice_stalled() == [build]
            work()
        (body,) = receiver.bodies
        assert body['data']['build']['state'] == 'stalled' and body['data']['build']['error']

    def test_a_script(self, queues, settings, django_capture_on_commit_callbacks):
        file = Path(settings.SCRIPTS_ROOT, 'tell.py')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SCRIPT)
        try:
            module = ScriptModule.objects.create(file_root='scripts', file_path=file.name)
            script = Script.objects.get(module=module, name='Tell')
            more = {'channel': '#builds'}
            rule('tell', ['substruct_build_complete'], [Build], 'script', script, action_data=more)
            build = builds.request(a_machine(), user=a_user('ada'))
            with django_capture_on_commit_callbacks(execute=True), events.tracked(build.requested_by):
                builds.record(build, 'finished')
            work()
        finally:
            file.unlink()
        job = Job.objects.get(name='Tell')
        assert job.status == 'completed', (job.status, job.error, job.log_entries, job.data)
        data = json.loads(job.data['output'])
        assert (data['channel'], data['machine']['name'], data['build']['state']) == ('#builds', 'srv-1', 'complete')

    def test_a_notification(self, queues):
        ada = User.objects.create_superuser('ada')
        rule('tell', ['substruct_build_failed'], [Build], 'notification', notification_group(ada))
        build = builds.request(a_machine(), user=ada)
        with events.tracked(ada):
            builds.record(build, 'failed', message='No disk.')
        notification = Notification.objects.get(user=ada)
        assert notification.object == build
        assert (notification.event_type, notification.object_repr) == ('substruct_build_failed', f'srv-1 #{build.pk}')
        assert str(notification.event.text) == 'Build failed'

    def test_conditions_see_the_payload(self, queues):
        ada = a_user('ada')
        only = {'attr': 'machine.site.slug', 'value': 'osl'}
        rule('tell', ['substruct_build_requested'], [Build], 'notification', notification_group(ada), conditions=only)
        builds.request(a_machine(), user=ada)
        assert not Notification.objects.exists()

    def test_a_rule_that_cannot_be_carried_out_costs_neither_the_move_nor_the_others(self, queues, monkeypatch):
        """A script whose file is gone, say: NetBox stops at it."""
        ada = User.objects.create_superuser('ada')
        machine = a_machine()
        module = ScriptModule.objects.create(file_root='scripts', file_path='gone.py')
        script = Script.objects.create(module=module, name='Gone', is_executable=False)
        monkeypatch.setattr(Script, 'python_class', None)
        rule('a broken one', ['substruct_build_requested'], [Build], 'script', script)
        rule('tell', ['object_created'], [Build], 'notification', notification_group(ada))
        build = builds.request(machine, user=ada)
        assert Build.objects.get().state == 'pending'
        assert Notification.objects.get(user=ada).object == build
