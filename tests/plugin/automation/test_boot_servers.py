"""Boot servers that are lost or out of step are told once each, and so is the end of it."""

from datetime import timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.utils import timezone

from core.models import Job

from netbox_substruct.jobs import WatchBootServers
from netbox_substruct.models import BootServer
from netbox_substruct.reports import health

from .world import valid

pytestmark = pytest.mark.django_db


class TestBootServers:
    @pytest.fixture
    def boot_server(self):
        return BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2', last_heartbeat=timezone.now())

    @pytest.fixture
    def look(self, django_capture_on_commit_callbacks):
        """Looks at all boot servers, as the job does, some minutes from now."""

        def look(minutes=0, **fields):
            BootServer.objects.update(**fields)
            now = timezone.now() + timedelta(minutes=minutes)
            with django_capture_on_commit_callbacks(execute=True):
                return [kind for _, kind in health.watch(now, last=now - timedelta(minutes=1))]

        return look

    def test_one_that_is_silent_is_lost_and_told_once(self, boot_server, look, told):
        assert look() == []
        assert look(5) == ['substruct_boot_server_lost']
        assert look(6) == []
        ((kind, payload),) = told
        valid(payload)
        assert (kind, payload['boot_server']['name']) == ('substruct_boot_server_lost', 'boot-ber')
        assert payload['boot_server']['lost'] is not None

    def test_one_that_was_never_heard_is_not_lost(self, boot_server, look):
        assert look(5, last_heartbeat=None) == []

    def test_one_that_is_heard_again_is_told(self, boot_server, look):
        look(5)
        assert look(6, last_heartbeat=timezone.now() + timedelta(minutes=6)) == ['substruct_boot_server_heard']
        assert BootServer.objects.get().lost is None

    @pytest.mark.parametrize('status', ['offline', 'maintenance'])
    def test_nothing_is_told_of_one_that_is_not_meant_to_be_active(self, boot_server, look, status):
        assert look(5, status=status) == []
        assert look(5, status=status, out_of_step=[{'severity': 'error', 'message': 'x'}]) == []
        look(5, status='active')
        assert look(6, status=status) == [] and BootServer.objects.get().lost is None

    def test_one_that_is_out_of_step_is_told_once_with_the_reasons(self, boot_server, look, told):
        problems = [{'severity': 'error', 'service': 'dhcp', 'message': 'No MAC address.'}, {'severity': 'warning'}]
        assert look(out_of_step=problems) == ['substruct_boot_server_drifted']
        assert look() == []
        assert told[0][1]['boot_server']['problems'] == [{'service': 'dhcp', 'message': 'No MAC address.'}]
        valid(told[0][1])
        assert look(out_of_step=[]) == ['substruct_boot_server_in_step']

    def test_whether_a_lost_one_is_in_step_nobody_can_say(self, boot_server, look):
        look(out_of_step=[{'severity': 'error'}])
        assert look(5) == ['substruct_boot_server_lost']
        assert BootServer.objects.get().drifted is not None

    def test_after_a_pause_of_netbox_nobody_is_called_lost(self, boot_server):
        now = timezone.now() + timedelta(hours=1)
        assert health.watch(now, last=now - timedelta(minutes=30)) == []
        assert health.watch(now, last=None) == []

    def test_one_that_cannot_be_looked_at_costs_no_other(self, boot_server, look, django_capture_on_commit_callbacks):
        BootServer.objects.create(name='boot-osl', base_url='http://10.2.0.2', last_heartbeat=timezone.now())
        failed, now = [], timezone.now() + timedelta(minutes=5)
        notice = health.notice

        def trouble(pk, at):
            if pk == boot_server.pk:
                raise RuntimeError('no')
            return notice(pk, at)

        with mock.patch.object(health, 'notice', trouble):
            found = health.watch(now, last=now - timedelta(minutes=1), failed=failed.append)
        assert [each.name for each, _ in found] == ['boot-osl'] and failed == [boot_server]

    def test_the_job_tells_of_lost_ones(self, boot_server, told, django_capture_on_commit_callbacks):
        BootServer.objects.update(last_heartbeat=timezone.now() - timedelta(minutes=10))
        run = Job.objects.create(name=WatchBootServers.name, job_id=uuid4())
        with django_capture_on_commit_callbacks(execute=True):
            WatchBootServers(run).run()
        assert told == []  # nobody has looked before: NetBox may just have come up
        before = {'completed': timezone.now() - timedelta(minutes=1), 'status': 'completed'}
        Job.objects.create(name=WatchBootServers.name, job_id=uuid4(), **before)
        with django_capture_on_commit_callbacks(execute=True):
            WatchBootServers(run).run()
        assert [kind for kind, _ in told] == ['substruct_boot_server_lost']
        assert 'substruct_boot_server_lost' in run.log_entries[-1]['message']
