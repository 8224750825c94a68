"""Things that happen at the same moment: exactly one of them wins, and the others are told so."""

import threading

import pytest
from django.db import connection

from netbox_substruct.lifecycle import builds, tasks
from netbox_substruct.lifecycle.errors import Conflict
from netbox_substruct.models import BootServer, Build, Machine, Task

from .world import a_machine

pytestmark = pytest.mark.usefixtures('committed')


def at_once(number, function):
    """Runs a function in so many threads that start together; gives their results and errors."""
    start, outcomes = threading.Barrier(number), []

    def target():
        try:
            start.wait(30)
            outcomes.append(function())
        except Exception as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=target) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == number
    return outcomes


def test_requests_for_one_machine_give_exactly_one_build():
    machine = a_machine()
    outcomes = at_once(6, lambda: builds.request(Machine.objects.get(pk=machine.pk)))
    won = [o for o in outcomes if isinstance(o, Build)]
    lost = [o for o in outcomes if isinstance(o, Conflict)]
    assert (len(won), len(lost), Build.objects.count()) == (1, 5, 1), outcomes
    assert all(f'build #{won[0].pk} pending or under way' in str(error) for error in lost)


def test_a_build_written_past_the_lock_is_a_conflict_and_not_a_crash(monkeypatch):
    """The unique constraint has the last word where the check before it saw nothing."""
    machine = a_machine()
    Build.objects.create(machine=machine)
    monkeypatch.setattr(Machine, 'active_build', None)
    with pytest.raises(Conflict):
        builds.request(machine)
    assert Build.objects.count() == 1


def test_one_event_sent_many_times_at_once_is_written_once():
    build = builds.request(a_machine())
    outcomes = at_once(4, lambda: builds.record(Build.objects.get(pk=build.pk), 'finished', key='k'))
    assert len({event.pk for event in outcomes}) == 1, outcomes
    assert build.events.count() == 2


def test_a_task_is_claimed_by_one_sidecar_only():
    server = BootServer.objects.create(name='b', base_url='http://10.0.0.1')
    for _ in range(20):
        Task.objects.create(boot_server=server, kind='power')
    outcomes = at_once(4, lambda: tasks.claim(server, limit=20))
    claimed = [task.pk for found in outcomes for task in found]
    assert len(claimed) == len(set(claimed)) == 20


def test_a_task_that_fails_is_tried_again_until_its_attempts_are_used_up():
    server = BootServer.objects.create(name='b', base_url='http://10.0.0.1')
    task = Task.objects.create(boot_server=server, kind='power', max_attempts=2)
    tasks.claim(server)
    tasks.answer(task, error='BMC busy')
    assert (task.state, task.error) == ('pending', 'BMC busy') and task.not_before is not None
    assert tasks.claim(server) == []
    Task.objects.update(not_before=None)
    tasks.claim(server)
    tasks.answer(task, error='BMC busy')
    assert task.state == 'failed'
    tasks.retry(task)
    assert (task.state, task.attempts, task.error) == ('pending', 0, '')
