"""Workers at the same moment, and one that dies in between: no build is requested twice, and none is lost."""

from uuid import uuid4

import django_rq
import pytest

from core.models import Job
from netbox.registry import registry

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, Wave
from netbox_substruct.waves import moves, running
from netbox_substruct.waves.job import CarryWavesOn

from ..lifecycle.test_at_once import at_once
from .world import a_wave, an_operator, end, states

pytestmark = pytest.mark.usefixtures('committed')


def test_workers_that_are_woken_together_request_each_build_once():
    user = an_operator()
    wave = a_wave(8, at_once=5, canaries=0)
    moves.start(wave, user=user)
    outcomes = at_once(4, lambda: running.advance(wave.pk))
    assert outcomes == [None] * 4
    assert states(wave) == 'bbbbbwww'
    assert Build.objects.count() == 5
    end(wave, 'finished', 'finished')
    at_once(4, lambda: running.advance(wave.pk))
    assert (states(wave), Build.objects.count()) == ('ddbbbbbw', 7)


def test_a_worker_that_dies_has_left_nothing_half_done(monkeypatch):
    user = an_operator()
    wave = a_wave(3, at_once=2, canaries=0)
    moves.start(wave, user=user)
    request, asked = builds.request, []

    def dies(*args, **kwargs):
        build = request(*args, **kwargs)
        asked.append(build)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return build

    monkeypatch.setattr(builds, 'request', dies)
    with pytest.raises(KeyboardInterrupt):
        running.advance(wave.pk)
    assert (states(wave), Build.objects.count()) == ('bww', 1)
    monkeypatch.undo()
    assert running.advance_all() == {}
    assert (states(wave), Build.objects.count()) == ('bbw', 2)


def test_a_wave_that_is_stopped_while_it_is_carried_on_has_what_was_begun_and_no_more():
    user = an_operator()
    wave = a_wave(6, at_once=6, canaries=0)
    moves.start(wave, user=user)
    todo = [lambda: running.advance(wave.pk), lambda: moves.stop(Wave.objects.get(pk=wave.pk), user=user)]
    assert not [outcome for outcome in at_once(2, lambda: todo.pop()()) if isinstance(outcome, Exception)]
    assert Wave.objects.get(pk=wave.pk).state == 'stopped'
    assert states(wave).count('b') == Build.objects.count()
    before = states(wave)
    running.advance(wave.pk)
    assert states(wave) == before


def test_one_wave_that_cannot_be_carried_on_keeps_no_other_waiting(monkeypatch):
    user = an_operator()
    first, second = a_wave(1), a_wave(1)
    for wave in (first, second):
        moves.start(wave, user=user)
    advance = running.advance

    def fails(wave_id, now=None):
        if wave_id == first.pk:
            raise RuntimeError('broken')
        advance(wave_id, now)

    monkeypatch.setattr(running, 'advance', fails)
    assert list(running.advance_all()) == [first.pk]
    assert (states(first), states(second)) == ('w', 'b')
    assert Wave.objects.get(pk=second.pk).state == 'running'


def test_a_worker_is_called_when_a_wave_starts_and_when_a_build_has_ended():
    queue = django_rq.get_queue('default')
    user = an_operator()
    wave = a_wave(2, at_once=1, canaries=0)

    def called():
        """Does what the workers were called for."""
        jobs = [job for job in queue.jobs if job.func_name == 'netbox_substruct.waves.running.advance']
        assert [job.args for job in jobs] == [(wave.pk,)]
        jobs[0].perform()
        queue.empty()

    queue.empty()
    moves.start(wave, user=user)
    called()
    assert states(wave) == 'bw'
    end(wave, 'progress')
    assert states(wave) == 'bw'
    end(wave, 'finished')
    called()
    assert states(wave) == 'db'


def test_a_wake_up_that_is_lost_costs_a_minute_because_of_the_job():
    user = an_operator()
    wave = a_wave(1)
    moves.start(wave, user=user)
    django_rq.get_queue('default').empty()
    CarryWavesOn(Job.objects.create(name=CarryWavesOn.name, job_id=uuid4())).run()
    assert states(wave) == 'b'
    assert registry['system_jobs'][CarryWavesOn]['interval'] == 1
