"""The outbox: what was put is there after any crash, is delivered in order and once, and ends builds for good."""

import sqlite3
import subprocess
import sys

import pytest

from substruct_sidecar.outbox import ENDED_REMEMBERED, Message, Outbox, Refused


@pytest.fixture
def outbox(tmp_path):
    outbox = Outbox(tmp_path / 'outbox.db')
    yield outbox
    outbox.close()


def event(key, build=7, **values):
    return Message(key=key, type='event', time=1.0, build=build, kind='progress', **values)


def keys(outbox):
    return [found.message.key for found in outbox.waiting()]


def test_messages_wait_in_their_order_and_a_key_is_kept_once(outbox):
    assert outbox.put(event('b'))
    assert outbox.put(event('a'))
    assert not outbox.put(event('b', message='again'))
    assert keys(outbox) == ['b', 'a']


def test_a_key_that_was_delivered_is_still_known(outbox):
    outbox.put(event('a'))
    outbox.settle([outbox.waiting()[0].sequence])
    assert not outbox.put(event('a'))
    assert keys(outbox) == []


def test_a_build_ends_once_and_its_first_outcome_stands(outbox):
    assert outbox.put_end(event('7/done'), 7, 'digest', 'done')
    assert not outbox.put_end(event('7/failed'), 7, 'digest', 'failed')
    assert outbox.outcome('digest') == 'done'
    assert outbox.finished() == {'digest'}


def test_an_ended_build_is_remembered_when_netbox_has_been_told_and_asks_no_more(outbox):
    """NetBox may be restored from a backup in which the build is under way."""
    outbox.put_end(event('7/done'), 7, 'digest', 'done')
    outbox.settle([outbox.waiting()[0].sequence])
    outbox.tidy(30 * 86400, lambda token: False)
    assert outbox.finished() == {'digest'}
    outbox.tidy(ENDED_REMEMBERED + 2, lambda token: False)
    assert outbox.finished() == frozenset()


def test_a_clock_that_jumps_makes_no_ended_build_start_again(outbox):
    """It ended in 1970 by a clock without battery, or it is 2100 now: as long as NetBox has the build, it has ended."""
    outbox.put_end(event('7/done'), 7, 'digest', 'done')
    outbox.tidy(130 * 365 * 86400, lambda token: token == 'digest')
    assert outbox.finished() == {'digest'}


def test_a_wipe_is_served_once_until_it_is_asked_for_again(outbox):
    message = Message(key='w', type='served-once', time=1.0, machine=3, action='wipe')
    assert outbox.put_once(message, 3, 'wipe')
    assert not outbox.put_once(message, 3, 'wipe')
    outbox.forget_served(lambda machine, action: (machine, action) == (3, 'wipe'))
    assert outbox.was_served_once(3, 'wipe'), 'NetBox still asks: it has not heard yet'
    outbox.forget_served(lambda machine, action: False)
    assert not outbox.was_served_once(3, 'wipe')


def test_what_is_served_while_others_are_forgotten_is_not_forgotten_unseen(outbox, tmp_path):
    """A machine that is served its wipe at the very moment in which another one's is forgotten."""
    outbox.put_once(Message(key='w3', type='served-once', time=1.0, machine=3, action='wipe'), 3, 'wipe')
    other = Outbox(tmp_path / 'outbox.db')
    other._connection.execute('PRAGMA busy_timeout = 0')
    asked_about = []

    def asks(machine, action):
        asked_about.append(machine)
        with pytest.raises(sqlite3.OperationalError, match='locked'):
            other.put_once(Message(key='w4', type='served-once', time=1.0, machine=4, action='wipe'), 4, 'wipe')
        return False

    outbox.forget_served(asks)
    assert asked_about == [3]
    assert other.put_once(Message(key='w4', type='served-once', time=1.0, machine=4, action='wipe'), 4, 'wipe')
    assert outbox.served_once() == {(4, 'wipe')}
    other.close()


KILLED = """
import os, sqlite3
from pathlib import Path
from substruct_sidecar.outbox import Message, Outbox
outbox = Outbox(Path({path!r}))
message = Message(key='k', type='event', time=1.0, build=7, kind='finished')
done = 0
def progress():
    global done
    done += 1
    if done == {steps}:
        os.kill(os.getpid(), 9)
outbox._connection.set_progress_handler(progress, 1)
{put}
print('answered', flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_kill_at_any_step_leaves_message_and_end_together_or_neither(tmp_path):
    """Steps of SQLite's own machine, so that the kill comes between any two of them."""
    seen = set()
    for steps in [*range(1, 120, 7), 10**9]:
        path = tmp_path / f'{steps}.db'
        Outbox(path).close()
        script = KILLED.format(path=str(path), steps=steps, put="outbox.put_end(message, 7, 'digest', 'done')")
        result = subprocess.run([sys.executable, '-c', script], check=False, capture_output=True, text=True)
        assert result.returncode == -9, result.stderr
        outbox = Outbox(path)
        there = (keys(outbox) == ['k'], outbox.finished() == {'digest'})
        assert there in ((True, True), (False, False))
        assert 'answered' not in result.stdout or there == (True, True)
        seen.add(there)
        outbox.close()
    assert seen == {(True, True), (False, False)}


def test_a_kill_at_any_step_while_a_wipe_is_served_never_lets_it_be_served_twice(tmp_path):
    """Whoever is told to serve it has it on disk; who was killed before has served nothing."""
    put = "assert outbox.put_once(message, 3, 'wipe')"
    for steps in [*range(1, 150, 9), 10**9]:
        path = tmp_path / f'{steps}.db'
        Outbox(path).close()
        script = KILLED.format(path=str(path), steps=steps, put=put)
        result = subprocess.run([sys.executable, '-c', script], check=False, capture_output=True, text=True)
        assert result.returncode == -9, result.stderr
        outbox = Outbox(path)
        noted = outbox.was_served_once(3, 'wipe')
        assert (keys(outbox) == ['k']) == noted, 'NetBox hears of it if and only if it was served'
        assert 'answered' not in result.stdout or noted
        assert outbox.put_once(Message(key='again', type='served-once', time=2.0), 3, 'wipe') is not noted
        outbox.close()


def test_a_full_disk_is_an_error_to_the_machine_and_loses_nothing_before(outbox):
    outbox.put(event('before'))
    (pages,) = outbox._connection.execute('PRAGMA page_count').fetchone()
    outbox._connection.execute(f'PRAGMA max_page_count = {pages}')
    with pytest.raises(sqlite3.OperationalError, match='full'):
        outbox.put(event('after', log='x' * 100_000))
    assert keys(outbox) == ['before']
    assert outbox.put(event('a short one'))


# ---------------------------------------------------------------------- percentages


def percent(number, build=7, time=100.0):
    return Message(
        key=f'{build}/progress/{number}', type='event', time=time, build=build, kind='progress', progress=number
    )  # fmt: skip


def due(outbox, now):
    return [found.message.key for found in outbox.due(now)]


def test_of_many_percentages_netbox_gets_the_first_at_once_then_one_every_few_seconds_and_the_last(outbox):
    delivered = []
    for tenth in range(300):  # ten a second for half a minute
        now = 100 + tenth / 10
        assert outbox.put(percent(tenth, time=now))
        for found in list(outbox.due(now)):
            delivered.append(found.message.progress)
            outbox.settle([found.sequence])
    now = outbox.next_due()
    delivered += [found.message.progress for found in outbox.due(now)]
    assert delivered[0] == 0 and delivered[-1] == 299
    assert 6 <= len(delivered) <= 8
    assert delivered == sorted(delivered)


def test_what_matters_is_not_kept_waiting_and_overtakes_no_percentage(outbox):
    outbox.put(percent(1))
    outbox.put(percent(2, time=100.1))
    assert due(outbox, 100.2) == ['7/progress/1']
    outbox.put(event('7/log', message='a line of a log'))
    assert due(outbox, 100.2) == ['7/progress/1', '7/progress/2', '7/log']
    assert outbox.next_due() is None


def test_a_percentage_never_replaces_another_builds_nor_words_without_a_number(outbox):
    outbox.put(event('7/words', message='partitioning'))
    outbox.put(percent(1))
    outbox.put(percent(1, build=8))
    outbox.put(percent(2, time=100.1))
    outbox.put(percent(2, build=8, time=100.1))
    outbox.put(event('9/words', build=9, message='installing'))
    assert len(due(outbox, 200)) == 6


def test_while_netbox_is_away_only_the_first_and_the_newest_percentage_wait(outbox):
    for number in range(100):
        outbox.put(percent(number, time=100 + 10 * number))
    assert due(outbox, 10_000)[-1] == '7/progress/99'
    assert outbox.depth().waiting <= 3


def test_a_percentage_that_is_repeated_is_not_heard_twice(outbox):
    outbox.put(percent(1))
    outbox.put(percent(2, time=101.0))
    outbox.put(percent(3, time=102.0))
    assert not outbox.put(percent(2, time=103.0)), 'it gave way to the third'
    assert due(outbox, 200) == ['7/progress/1', '7/progress/3']


def test_one_that_is_on_its_way_when_the_next_comes_takes_nothing_of_it_along(outbox):
    outbox.put(percent(1))
    outbox.put(percent(2, time=101.0))
    (first, second) = outbox.due(200)
    outbox.put(percent(3, time=102.0))
    outbox.settle([first.sequence, second.sequence])
    assert due(outbox, 200) == ['7/progress/3']


def test_a_clock_that_was_set_back_keeps_no_percentage_for_ever(outbox):
    outbox.put(percent(1, time=1000.0))
    outbox.put(percent(2, time=1001.0))
    assert due(outbox, 10.0) == ['7/progress/1', '7/progress/2']


# ---------------------------------------------------------------------- a disk that is written


def test_a_build_whose_disk_is_written_may_end_either_way_and_once(outbox):
    written = Message(key='7/finishing', type='event', time=1.0, build=7, kind='finishing')
    assert outbox.put_written(written, 7, 'digest')
    assert not outbox.put_written(written, 7, 'digest')
    assert (outbox.outcome('digest'), outbox.boots_its_disk('digest')) == (None, True)
    assert outbox.finished() == {'digest'}
    assert outbox.put_end(event('7/failed'), 7, 'digest', 'failed')
    assert not outbox.put_end(event('7/done'), 7, 'digest', 'done')
    assert outbox.outcome('digest') == 'failed'


def test_a_file_of_the_version_before_is_brought_up_to_date_and_loses_nothing(tmp_path):
    import sqlite3

    path = tmp_path / 'old.db'
    old = sqlite3.connect(path)
    old.executescript(OLD)
    old.execute(
        'INSERT INTO message (key, at, body) VALUES (?, ?, ?)',
        ('k', 1.0, b'{"key":"k","type":"event","time":1.0,"build":7,"kind":"note"}'),
    )
    old.execute("INSERT INTO ended VALUES ('digest', 7, 'done', 1.0)")
    old.commit()
    old.close()
    outbox = Outbox(path)
    assert keys(outbox) == ['k'] == due(outbox, 2.0)
    assert outbox.finished() == {'digest'}
    assert outbox.put(percent(1)) and outbox.put(percent(2))
    outbox.close()


OLD = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at REAL NOT NULL, body BLOB
);
CREATE INDEX message_waiting ON message (sequence) WHERE body IS NOT NULL;
CREATE TABLE refused (sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, at REAL, code TEXT, detail TEXT, body BLOB);
CREATE TABLE ended (token TEXT PRIMARY KEY, build INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE once (machine INTEGER NOT NULL, action TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (machine, action));
PRAGMA user_version = 1;
"""


def test_settling_a_refusal_keeps_the_message_for_people(outbox):
    outbox.put(event('a', log='the log'))
    outbox.settle([], [Refused(outbox.waiting()[0].sequence, 'code', 'why')])
    (body,) = outbox._connection.execute('SELECT body FROM refused').fetchone()
    assert b'the log' in body


def test_refused_messages_do_not_fill_the_disk(outbox, monkeypatch):
    """Anybody may report facts that NetBox refuses."""
    monkeypatch.setattr('substruct_sidecar.outbox.REFUSED_BYTES', 3_500)
    monkeypatch.setattr('substruct_sidecar.outbox.REFUSED_KEPT', 5)
    for number in range(9):
        outbox.put(event(f'{number}', log='x' * 1000))
        outbox.settle([], [Refused(outbox.waiting()[0].sequence, 'code', 'why')])
    assert [key for key, _, _ in outbox.refusals()] == ['8', '7', '6']
    for number in range(20, 29):
        outbox.put(event(f'{number}'))
        outbox.settle([], [Refused(outbox.waiting()[0].sequence, 'code', 'why')])
    assert [key for key, _, _ in outbox.refusals()] == ['28', '27', '26', '25', '24']
