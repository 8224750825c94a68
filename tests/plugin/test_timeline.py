"""The timeline of a build as people read it."""

from datetime import UTC, datetime, timedelta

import pytest

from netbox_substruct.timeline import SHOWN, Event, rows, span

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def event(seconds, kind, message='', progress=None, log='', whole=None):
    return Event(
        seconds, START + timedelta(seconds=seconds), kind, message, progress, log, len(log) if whole is None else whole
    )  # fmt: skip


def test_steps_stand_in_their_order_with_the_time_since_the_request():
    found = rows([event(0, 'requested'), event(46, 'loader-fetched'), event(3700, 'finished')])
    assert [(row.event.kind, span(row.after)) for row in found] == [
        ('requested', '0:00'), ('loader-fetched', '0:46'), ('finished', '1:01:40')
    ]  # fmt: skip


def test_percentages_in_a_row_are_one_line_with_the_last_and_their_number():
    found = rows(
        [
            event(0, 'requested'), event(1, 'progress', '1% writing', 1), event(6, 'progress', '40% writing', 40),
            event(9, 'progress', '90% written', 90), event(12, 'finishing', 'written'),
            event(15, 'progress', '97% first boot', 97),
        ]
    )  # fmt: skip
    assert [(row.event.kind, row.event.message, row.count) for row in found] == [
        ('requested', '', 1), ('progress', '90% written', 3), ('finishing', 'written', 1),
        ('progress', '97% first boot', 1),
    ]  # fmt: skip
    assert (found[1].begun, found[1].event.time) == (START + timedelta(seconds=1), START + timedelta(seconds=9))


def test_a_percentage_is_shown_once():
    (row,) = rows([event(0, 'progress', ' 40 % of the packages', 40)])
    assert row.words == 'of the packages'
    (row,) = rows([event(0, 'progress', '40% of the packages')])
    assert row.words == '40% of the packages'


def test_words_without_a_number_are_steps_of_their_own():
    found = rows(
        [event(0, 'progress', 'partitioning'), event(1, 'progress', 'packages'), event(2, 'progress', '5%', 5)]
    )
    assert [row.count for row in found] == [1, 1, 1]


def test_lines_of_a_log_that_came_in_a_row_are_one_log():
    found = rows(
        [event(n, 'note', 'Log from 10.0.0.5', log=f'line {n}\n') for n in range(3)]
        + [event(4, 'note', 'Something else'), event(5, 'note', 'Log from 10.0.0.5', log='line 5\n')]
    )
    assert [(row.count, row.log) for row in found] == [(3, 'line 0\nline 1\nline 2\n'), (1, ''), (1, 'line 5\n')]


def test_of_a_long_log_the_end_is_shown_and_said_so():
    (one,) = rows([event(0, 'failed', 'no disk', log='x' * SHOWN, whole=SHOWN + 1)])
    assert one.cut and one.open
    (many,) = rows([event(n, 'note', 'Log', log=f'{n}' * 15_000) for n in range(3)])
    assert many.cut and len(many.log) == SHOWN and many.log.endswith('2')


def test_a_clock_that_is_behind_goes_nowhere_before_the_request():
    assert span(rows([event(10, 'requested'), event(5, 'progress')])[1].after) == '0:00'


@pytest.mark.parametrize(
    ('time', 'words'),
    [(timedelta(seconds=5), '0:05'), (timedelta(minutes=61), '1:01:00'), (timedelta(days=2, minutes=3), '2 d 0:03:00')],
)
def test_times_are_read_at_a_glance(time, words):
    assert span(time) == words
