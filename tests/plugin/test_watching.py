"""The stages of a build as it is watched."""

from datetime import UTC, datetime, timedelta

from netbox_substruct.watching import interval, seen, stages

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def told(events, state, *, finished=None, now=100):
    found = stages([(kind, at(time)) for kind, time in events], START, state, finished and at(finished), at(now))
    return [
        (each.state, each.took if each.took is None else each.took.total_seconds(), each.is_now, each.stopped)
        for each in found
    ]


def test_a_build_that_nobody_has_heard_of_is_pending():
    assert told([('requested', 0)], 'pending')[0] == ('pending', 100, True, False)
    assert told([('requested', 0)], 'pending')[1] == ('booting', None, False, False)


def test_each_stage_has_the_time_until_the_next():
    events = [
        ('requested', 0),
        ('loader-fetched', 10),
        ('kernel-fetched', 20),
        ('config-fetched', 30),
        ('progress', 60),
    ]
    assert told(events, 'installing', now=90) == [
        ('pending', 10, False, False), ('booting', 20, False, False), ('installing', 60, True, False),
        ('finishing', None, False, False), ('complete', None, False, False),
    ]  # fmt: skip


def test_a_stage_that_was_passed_over_has_no_time():
    events = [('requested', 0), ('config-fetched', 30), ('finished', 80)]
    assert told(events, 'complete', finished=80, now=500) == [
        ('pending', 30, False, False), ('booting', None, False, False), ('installing', 50, False, False),
        ('finishing', None, False, False), ('complete', None, True, False),
    ]  # fmt: skip


def test_a_build_that_failed_ended_in_the_stage_that_it_had_come_to():
    events = [('requested', 0), ('kernel-fetched', 20), ('failed', 50)]
    found = told(events, 'failed', finished=50, now=500)
    assert found[1] == ('booting', 30, True, True)
    assert [stage[0] for stage in found if stage[3]] == ['booting']


def test_events_that_come_late_take_nothing_back():
    events = [('requested', 0), ('config-fetched', 30), ('kernel-fetched', 20)]
    assert told(events, 'installing')[1] == ('booting', None, False, False)


def test_clocks_of_machines_that_are_wrong_give_no_negative_times():
    assert told([('requested', 0), ('kernel-fetched', -500)], 'booting')[0] == ('pending', 0, False, False)


def test_pages_look_again_while_something_can_happen():
    assert interval('installing') < interval('stalled')
    assert {interval(state) for state in ('complete', 'failed', 'cancelled')} == {None}


def test_what_was_seen_changes_with_what_is_shown_and_now_and_then_with_the_time():
    shown = seen('installing', 40, 7, timedelta(seconds=41))
    assert shown == seen('installing', 40, 7, timedelta(seconds=42))
    for other in (
        ('finishing', 40, 7, 41),
        ('installing', 41, 7, 41),
        ('installing', 40, 8, 41),
        ('installing', 40, 7, 51),
    ):
        assert seen(*other[:3], timedelta(seconds=other[3])) != shown
    assert seen('failed', 40, 7, timedelta(seconds=1)) == seen('failed', 40, 7, timedelta(days=1))
