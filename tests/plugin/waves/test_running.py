"""Waves carried on: builds requested a few at a time, what becomes of them, who may, and what goes wrong."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from core.models import ObjectChange
from extras.models import Tag
from users.models import ObjectPermission

from netbox_substruct.lifecycle import builds, events, machines
from netbox_substruct.lifecycle.errors import LifecycleError, NotAllowed
from netbox_substruct.models import Build, Profile, Wave, WaveMember
from netbox_substruct.waves import choosing, moves, running, summary

from ..lifecycle.world import a_profile
from .world import a_wave, an_operator, end, some_machines, states

pytestmark = pytest.mark.django_db


def start(wave, user):
    moves.start(wave, user=user)
    running.advance(wave.pk)
    return wave


def go_on(wave):
    running.advance(wave.pk)
    wave.refresh_from_db()
    return wave.state


def test_canaries_first_then_some_at_a_time_until_all_are_built():
    user = an_operator()
    wave = start(a_wave(6, at_once=3, canaries=1), user)
    assert states(wave) == 'bwwwww'
    end(wave, 'finished')
    assert (go_on(wave), states(wave)) == ('running', 'dbbbww')
    end(wave, 'finished')
    assert (go_on(wave), states(wave)) == ('running', 'ddbbbw')
    end(wave, 'finished', 'finished', 'finished')
    go_on(wave)
    end(wave, 'finished')
    assert (go_on(wave), states(wave), wave.reason) == ('complete', 'dddddd', '')
    assert wave.started and wave.finished
    assert {build.requested_by for build in Build.objects.all()} == {user}
    assert Build.objects.count() == 6


def test_a_canary_that_fails_stops_it_and_nothing_else_was_touched():
    wave = start(a_wave(4, at_once=4, canaries=2), an_operator())
    end(wave, 'finished', 'failed')
    assert (go_on(wave), states(wave), wave.reason) == ('stopped', 'dfww', 'A canary has failed.')
    assert wave.members.get(state='failed').reason == 'it has failed'
    assert Build.objects.count() == 2


def test_it_stops_when_more_fail_than_may_and_those_under_way_go_on_to_their_end():
    wave = start(a_wave(6, at_once=3, canaries=0, max_failures=1), an_operator())
    end(wave, 'failed')
    assert (go_on(wave), states(wave)) == ('running', 'fbbbww')
    end(wave, 'failed')
    assert (go_on(wave), states(wave)) == ('stopped', 'ffbbww')
    assert wave.reason == 'More machines have failed than may: 1.'
    end(wave, 'finished', 'finished')
    running.advance_all()
    assert (go_on(wave), states(wave)) == ('stopped', 'ffddww')


def test_after_a_stop_it_goes_on_with_what_waits_and_what_failed_is_excused_or_tried_again():
    user = an_operator()
    wave = start(a_wave(4, at_once=1, canaries=1), user)
    end(wave, 'failed')
    assert go_on(wave) == 'stopped'
    moves.resume(wave, user=user)
    assert (go_on(wave), states(wave)) == ('running', 'fbww')  # the next one is the canary now
    end(wave, 'failed')
    assert go_on(wave) == 'stopped'
    moves.retry(wave, user=user)
    assert (go_on(wave), states(wave)) == ('running', 'bwww')
    assert [member.attempts for member in wave.members.all()] == [2, 1, 0, 0]


def test_a_paused_wave_begins_nothing_and_goes_on_where_it_was():
    user = an_operator()
    wave = start(a_wave(3, at_once=1, canaries=0), user)
    moves.pause(wave, user=user)
    end(wave, 'finished')
    assert (go_on(wave), states(wave), wave.reason) == ('paused', 'dww', 'Paused by operator')
    moves.resume(wave, user=user)
    assert (go_on(wave), states(wave)) == ('running', 'dbw')


@pytest.mark.parametrize(('cancel', 'then'), [(False, 'bbw'), (True, 'ccw')])
def test_a_wave_is_stopped_and_its_builds_are_left_alone_or_cancelled(cancel, then):
    user = an_operator()
    wave = start(a_wave(3, at_once=2, canaries=0), user)
    moves.stop(wave, cancel_builds=cancel, user=user)
    assert (wave.state, states(wave), wave.reason) == ('stopped', then, 'Stopped by operator')
    assert Build.objects.filter(state='cancelled').count() == (2 if cancel else 0)


def test_what_is_active_or_protected_is_left_out_with_the_reason_unless_its_name_is_given():
    ready, active, guarded, tagged = some_machines(4)
    active.device.status = 'active'
    active.device.save()
    tag = Tag.objects.create(name='Protected', slug='protected')
    guarded.tags.add(tag)
    tagged.device.tags.add(tag)
    wave = a_wave([ready, active, guarded, tagged], overrides={tagged.pk: tagged.name, guarded.pk: 'srv'}, canaries=0)
    assert states(wave) == 'wllw'
    assert 'status active' in wave.members.get(machine=active).reason
    assert 'tag protected' in wave.members.get(machine=guarded).reason
    user = an_operator()
    assert states(start(wave, user)) == 'bllb'
    # Whoever gives the name afterwards has it built when the wave goes on.
    moves.pause(wave, user=user)
    WaveMember.objects.filter(machine=active).update(override=active.name)
    moves.resume(wave, user=user)
    assert (go_on(wave), states(wave)) == ('running', 'bblb')


def refused(machine):
    """With which code a build of the machine is refused, if it is; nothing is requested."""
    with pytest.raises(LifecycleError) as caught, transaction.atomic():
        builds.request(machine)
        raise LifecycleError
    return caught.value.code


def test_what_is_said_beforehand_is_what_the_lifecycle_would_refuse():
    some = some_machines(5)
    some[1].device.status = 'active'
    some[1].device.save()
    some[2].tags.add(Tag.objects.create(name='Protected', slug='protected'))
    some[3].device.tags.add(Tag.objects.get())
    for machine in some:
        machine.refresh_from_db()
    guarded = {machine.pk for machine in some if refused(machine) == 'override-required'}
    assert set(choosing.obstacles(some)) == guarded == {each.pk for each in some[1:4]}
    machines.move(some[0], 'retired')
    assert set(choosing.obstacles(some)) == {each.pk for each in some[:4]}


def test_a_machine_that_becomes_active_meanwhile_is_left_out_and_the_wave_goes_on():
    wave = start(a_wave(3, at_once=1, canaries=0), an_operator())
    device = wave.members.all()[1].machine.device
    device.status = 'active'
    device.save()
    end(wave, 'finished')
    assert (go_on(wave), states(wave)) == ('running', 'dlb')
    end(wave, 'finished')
    assert (go_on(wave), summary.progress(wave, an_operator('another')).why) == ('complete', '2 built, 1 left out')


def test_a_machine_that_cannot_be_rendered_has_failed_with_the_reason_and_leaves_nothing_behind():
    broken = Profile.objects.create(name='Broken', slug='broken')
    wave = start(a_wave(2, profile=broken, canaries=0, at_once=1, max_failures=5), an_operator())
    wave.refresh_from_db()
    assert (wave.state, states(wave)) == ('complete', 'ff')
    assert all(member.reason for member in wave.members.all())
    assert Build.objects.count() == 0


def test_the_profile_of_the_wave_is_what_its_machines_become():
    profile = a_profile('Other')
    wave = start(a_wave(1, profile=profile), an_operator())
    assert Build.objects.get().profile == profile
    assert wave.members.get().machine.profile == profile


def test_a_machine_that_is_being_built_otherwise_is_waited_for():
    some = some_machines(2)
    other = builds.request(some[0])
    wave = start(a_wave(some, at_once=2, canaries=0), an_operator())
    assert states(wave) == 'wb'
    builds.cancel(other)
    assert (go_on(wave), states(wave)) == ('running', 'bb')


def test_builds_are_begun_only_inside_the_window_and_it_says_when_that_opens():
    now = timezone.now()
    wave = start(a_wave(2, not_before=now + timedelta(hours=1), canaries=0), an_operator())
    assert states(wave) == 'ww'
    assert 'The window opens' in running.decide(wave, now).why
    running.advance(wave.pk, now + timedelta(hours=1))
    assert states(wave) == 'bb'


def test_a_stalled_build_that_is_heard_of_again_is_no_failure_any_more():
    wave = start(a_wave(2, at_once=1, canaries=0), an_operator())
    end(wave, 'stalled')
    assert (go_on(wave), states(wave)) == ('stopped', 'fw')
    builds.record(Build.objects.get(), 'finished')
    running.advance_all()
    assert states(wave) == 'dw'


#
# Permissions
#


def test_who_may_not_build_one_of_the_machines_cannot_start_it():
    user = an_operator(device__name='srv-01')
    wave = a_wave(3)
    with pytest.raises(NotAllowed, match='no permission to build srv-02, srv-03'):
        moves.start(wave, user=user)
    wave.refresh_from_db()
    assert (wave.state, Build.objects.count()) == ('planned', 0)


def lose_permission(user):
    ObjectPermission.objects.filter(users=user, actions__contains=['build']).delete()


def be_switched_off(user):
    user.is_superuser = True
    user.is_active = False
    user.save()


def be_deleted(user):
    user.delete()


@pytest.mark.parametrize('lost', [lose_permission, be_switched_off, be_deleted])
def test_a_user_who_may_not_build_any_more_stops_the_wave_with_the_reason(lost):
    user = an_operator()
    wave = start(a_wave(3, at_once=1, canaries=0), user)
    lost(user)
    end(wave, 'finished')
    assert (go_on(wave), states(wave)) == ('stopped', 'dww')
    assert 'may not build' in wave.reason
    assert Build.objects.count() == 1


def test_whoever_lets_it_go_on_has_it_built_by_his_own_permission():
    first, second = an_operator('first'), an_operator('second')
    wave = start(a_wave(2, at_once=1, canaries=0), first)
    moves.pause(wave, user=second)
    moves.resume(wave, user=second)
    lose_permission(first)
    end(wave, 'finished')
    assert go_on(wave) == 'running'
    assert Build.objects.latest('pk').requested_by == second


def test_builds_are_cancelled_only_by_who_may_cancel_them():
    user = an_operator()
    wave = start(a_wave(1), user)
    ObjectPermission.objects.filter(users=user, actions__contains=['cancel']).delete()
    user = type(user).objects.get(pk=user.pk)
    with pytest.raises(NotAllowed, match='cancel the builds of srv-01'):
        moves.stop(wave, cancel_builds=True, user=user)
    wave.refresh_from_db()
    assert wave.state == 'running' and Build.objects.get().is_active


#
# What is not possible, and what is told
#


def test_moves_that_are_not_possible_say_why():
    user = an_operator()
    empty = Wave.objects.create(name='empty')
    with pytest.raises(NotAllowed, match='has no machines'):
        moves.start(empty, user=user)
    with pytest.raises(NotAllowed, match='is planned and cannot be paused'):
        moves.pause(empty, user=user)
    active = a_wave(some_machines(1, status='active'))
    with pytest.raises(NotAllowed, match='status active'):
        moves.start(active, user=user)
    wave = start(a_wave(1), user)
    with pytest.raises(NotAllowed, match='nothing to retry'):
        moves.retry(wave, user=user)
    with pytest.raises(NotAllowed, match='pause it before you add'):
        moves.add(wave, some_machines(1), user=user)


def test_whoever_edits_a_wave_while_it_is_stopped_does_not_let_it_go_on():
    user = an_operator()
    wave = start(a_wave(2, at_once=1, canaries=0), user)
    read, member = Wave.objects.get(pk=wave.pk), wave.members.latest('pk')
    moves.stop(wave, user=user)
    WaveMember.objects.filter(pk=member.pk).update(state='left-out')
    read.at_once = member.order = 7
    read.save()
    member.save()
    wave.refresh_from_db()
    assert (wave.state, wave.at_once, states(wave)) == ('stopped', 7, 'lb')


def test_a_member_that_was_built_does_not_become_another_machine():
    user = an_operator()
    wave = start(a_wave(2, at_once=1, canaries=0), user)
    moves.stop(wave, user=user)
    built, waits = wave.members.order_by('order')
    built.machine = waits.machine = some_machines(1)[0]
    waits.full_clean()
    with pytest.raises(ValidationError, match='add the other machine'):
        built.full_clean()


def test_a_machine_is_in_a_wave_once():
    some = some_machines(2)
    wave = a_wave(some)
    assert moves.add(wave, [*some, *some]) == []
    assert states(wave) == 'ww'


def test_what_waves_do_is_told_and_written_down(monkeypatch):
    told = []
    monkeypatch.setattr(events, 'emit', lambda instance, kind, *more: told.append(kind) if 'wave' in kind else None)
    user = an_operator()
    wave = start(a_wave(1), user)
    moves.pause(wave, user=user)
    moves.resume(wave, user=user)
    moves.stop(wave, user=user)
    moves.resume(wave, user=user)
    end(wave, 'finished')
    go_on(wave)
    assert [kind.removeprefix('substruct_wave_') for kind in told] == [
        'started', 'paused', 'started', 'stopped', 'started', 'complete',
    ]  # fmt: skip
    changes = ObjectChange.objects.filter(changed_object_type__model='wave', changed_object_id=wave.pk)
    assert {change.user for change in changes if change.action == 'update'} == {user}


def test_the_end_of_a_build_wakes_its_wave(monkeypatch):
    woken = []
    wave = start(a_wave(2, at_once=1, canaries=0), an_operator())
    other = builds.request(some_machines(1)[0])
    monkeypatch.setattr(running, 'wake', woken.append)
    builds.record(other, 'finished')
    end(wave, 'progress')
    assert woken == []
    end(wave, 'finished')
    assert woken == [wave.pk]
