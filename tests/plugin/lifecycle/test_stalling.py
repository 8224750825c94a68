"""Builds of which nothing is heard any more are given up, with the reason in words, and no machine is blamed for its
boot server."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from core.models import Job
from ipam.models import IPAddress, Prefix

from netbox_substruct.jobs import NoticeStalledBuilds
from netbox_substruct.lifecycle import builds
from netbox_substruct.lifecycle.stalling import span
from netbox_substruct.models import BootServer, Build, BuildEvent, Machine, Subnet
from netbox_substruct.reports import heartbeats
from netbox_substruct.reports.messages import Heartbeat

from .world import a_device, a_machine, a_user

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ago(**span):
    return NOW - timedelta(**span)


@pytest.fixture
def machine():
    machine = a_machine()
    server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
    prefix = Prefix.objects.create(prefix='10.0.0.0/24')
    Subnet.objects.create(prefix=prefix, boot_server=server)
    interface = machine.device.interfaces.create(name='eno1', type='1000base-t')
    IPAddress.objects.create(address='10.0.0.5/24', assigned_object=interface)
    heard(since=ago(days=30))
    return machine


def heard(since, last=None):
    BootServer.objects.update(last_heartbeat=last or timezone.now(), heard_since=since)


def build_of(machine, *kinds, silent):
    """A build with these events, the last of which came that long ago."""
    build = builds.request(machine)
    for kind in kinds:
        builds.record(build, kind)
    Build.objects.filter(pk=build.pk).update(created=NOW - silent)
    BuildEvent.objects.filter(build=build).update(created=NOW - silent)
    return build


def notice():
    return [(build.state, build.error) for build in builds.notice_stalled(NOW)]


def limits(machine, **values):
    for name, value in values.items():
        setattr(machine.profile, name, value)
    machine.profile.save()


def test_one_under_way_that_is_silent_for_too_long_is_given_up_and_the_reason_says_since_when(machine):
    limits(machine, stall_limit=45)
    build = build_of(machine, 'script-fetched', 'kernel-fetched', silent=timedelta(minutes=46))
    assert notice() == [
        ('stalled', 'Nothing heard for 46 minutes since “Boot files fetched”; look at the machine’s console.')
    ]
    build.refresh_from_db()
    machine.refresh_from_db()
    assert (build.state, machine.state) == ('stalled', 'failed')
    assert build.events.get(kind='stalled').message == build.error
    assert notice() == [], 'it is said once'


def test_one_that_was_heard_of_in_time_goes_on(machine):
    limits(machine, stall_limit=45)
    build_of(machine, 'kernel-fetched', silent=timedelta(minutes=44))
    assert notice() == []


def test_one_whose_machine_never_came_asks_whether_it_is_switched_on(machine):
    limits(machine, pending_limit=60, stall_limit=1)
    build_of(machine, silent=timedelta(minutes=59))
    assert notice() == []
    Build.objects.update(created=ago(hours=3))
    BuildEvent.objects.update(created=ago(hours=3))
    ((state, error),) = notice()
    assert state == 'stalled' and error.startswith('Nothing heard of the machine for 3 hours since the build was')
    machine.refresh_from_db()
    assert machine.state == 'registered', 'it is untouched'


def test_without_a_word_in_the_profile_the_settings_of_the_plugin_count(machine):
    build_of(machine, 'progress', silent=timedelta(minutes=59))
    assert notice() == []
    BuildEvent.objects.update(created=ago(minutes=61))
    assert len(notice()) == 1


def test_limits_are_inherited_and_0_is_never(machine):
    from .world import a_profile

    parent = a_profile('Parent', stall_limit=0)
    limits(machine, parent=parent)
    build_of(machine, 'progress', silent=timedelta(days=300))
    assert notice() == []
    limits(machine, stall_limit=10)
    assert len(notice()) == 1


def test_the_time_in_which_its_boot_server_was_not_heard_does_not_count(machine):
    limits(machine, stall_limit=30)
    build_of(machine, 'progress', silent=timedelta(hours=5))
    heard(since=ago(days=30), last=ago(minutes=10))
    assert notice() == [], 'the boot server is away'
    heard(since=ago(minutes=29))
    assert notice() == [], 'it is back, and may still have something to tell'
    heard(since=ago(minutes=31))
    assert len(notice()) == 1


def test_a_boot_server_that_stays_away_keeps_no_build_for_ever(machine):
    build_of(machine, 'progress', silent=timedelta(days=3))
    heard(since=ago(days=30), last=ago(days=2))
    assert len(notice()) == 1


def test_a_machine_that_no_boot_server_serves_is_told_so(machine):
    Subnet.objects.all().delete()
    build_of(machine, silent=timedelta(days=2))
    assert notice() == [('stalled', 'Nothing heard for 2 days: no boot server serves the machine.')]


def test_news_that_comes_while_it_is_looked_at_keeps_it_going(machine, monkeypatch):
    build = build_of(machine, 'progress', silent=timedelta(hours=2))
    from netbox_substruct.lifecycle import stalling

    overdue = stalling.overdue

    def overtaken(now):
        found = overdue(now)
        builds.record(build, 'progress', message='still here')
        return found

    monkeypatch.setattr(stalling, 'overdue', overtaken)
    assert notice() == []
    build.refresh_from_db()
    assert build.state == 'installing'


def test_one_that_cannot_be_given_up_keeps_no_other_waiting(machine, monkeypatch):
    first = build_of(machine, 'progress', silent=timedelta(hours=2))
    server = BootServer.objects.get()
    other = Machine.objects.create(device=a_device('srv-2'), profile=machine.profile, boot_server=server)
    second = build_of(other, 'progress', silent=timedelta(hours=2))
    from netbox_substruct.lifecycle import machines

    lock = machines.lock

    def broken(pk):
        if pk == machine.pk:
            raise RuntimeError('Something of NetBox does not work.')
        return lock(pk)

    monkeypatch.setattr(machines, 'lock', broken)
    assert [build.pk for build in builds.notice_stalled(NOW)] == [second.pk]
    first.refresh_from_db()
    assert first.state == 'installing'


def test_heartbeats_without_a_gap_are_one_time_and_a_gap_begins_another(machine):
    server = BootServer.objects.get()

    def beat(at):
        heartbeats.take(server.pk, Heartbeat(instance='i'), at)
        server.refresh_from_db()
        return server.heard_since

    BootServer.objects.update(last_heartbeat=None, heard_since=None)
    first = ago(minutes=20)
    assert beat(first) == first
    assert beat(first + timedelta(seconds=30)) == first
    later = first + timedelta(minutes=10)
    assert beat(later) == later


def test_the_costs_do_not_grow_with_the_builds_that_are_well(machine, django_assert_max_num_queries):
    build_of(machine, 'progress', silent=timedelta(minutes=1))
    with django_assert_max_num_queries(3):
        notice()


def test_netbox_does_it_by_itself_every_minute_and_leaves_no_heap_of_records(machine):
    from netbox.registry import registry

    assert registry['system_jobs'][NoticeStalledBuilds]['interval'] == 1
    build = build_of(machine, 'progress', silent=timedelta(hours=2))
    done = {'name': NoticeStalledBuilds.name, 'status': 'completed', 'completed': ago(hours=2)}
    Job.objects.create(**done, job_id=uuid4())
    told = Job.objects.create(**done, job_id=uuid4(), log_entries=[{'message': 'x'}])
    job = Job.objects.create(name=NoticeStalledBuilds.name, job_id=uuid4())
    NoticeStalledBuilds(job).run()
    build.refresh_from_db()
    assert build.state == 'stalled'
    assert set(Job.objects.values_list('pk', flat=True)) == {told.pk, job.pk}


def test_it_is_told_to_event_rules_and_stands_in_the_changelog(machine, monkeypatch):
    told = []
    monkeypatch.setattr(
        'extras.events.process_event_queue', lambda events: told.extend(event['event_type'] for event in events)
    )
    user = a_user()
    build = build_of(machine, 'progress', silent=timedelta(hours=2))
    Build.objects.update(requested_by=user)
    assert len(notice()) == 1
    assert 'substruct_build_stalled' in told
    from core.models import ObjectChange

    assert ObjectChange.objects.filter(changed_object_id=build.pk, postchange_data__state='stalled').exists()
    assert Machine.objects.get().state == 'failed'


@pytest.mark.parametrize(
    ('minutes', 'words'), [(1, '1 minute'), (119, '119 minutes'), (125, '2 hours'), (60 * 50, '2 days')]
)
def test_a_time_is_said_as_people_say_it(minutes, words):
    assert span(minutes) == words
