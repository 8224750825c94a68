"""Tasks are done once, answered, and never done again by a sidecar that was killed in between."""

import pytest

from substruct_sidecar import tasks as module
from substruct_sidecar.assembly import FetchImage
from substruct_sidecar.desired import BootFile
from substruct_sidecar.netbox import Claimed, Incompatible, NetBox, Trouble, Unreachable
from substruct_sidecar.tasks import INTERRUPTED, Journal, NotYet, TaskError, Tasks

from .agent_under_test import settings as agent_settings
from .stand_in import standing_in


class Killed(BaseException):
    """In place of kill -9: nothing of the program goes on after it."""


@pytest.fixture
def stand_in():
    with standing_in() as found:
        found.tasks = [
            {'id': number, 'kind': 'fetch-image', 'attempt': 1, 'parameters': {'n': number}} for number in (1, 2)
        ]
        yield found


@pytest.fixture
def netbox(stand_in):
    return NetBox(stand_in.settings)


@pytest.fixture
def start(tmp_path):
    def starting(handler):
        return Tasks(Journal(tmp_path / 'tasks.db'), {'fetch-image': handler}, 'this-one')

    return starting


def test_tasks_are_claimed_done_and_answered(start, stand_in, netbox):
    assert start(lambda task, keep: {'doubled': task.parameters['n'] * 2}).step(netbox) == 2
    assert stand_in.answers == [
        (1, {'instance': 'this-one', 'attempt': 1, 'answer': {'doubled': 2}}),
        (2, {'instance': 'this-one', 'attempt': 1, 'answer': {'doubled': 4}}),
    ]


def test_what_fails_is_answered_with_its_reason(start, stand_in, netbox):
    def handler(task, keep):
        raise TaskError('The disk is full: make room in paths.files.')

    start(handler).step(netbox)
    assert stand_in.answers[0][1]['error'] == 'The disk is full: make room in paths.files.'


def test_a_bug_in_a_handler_is_an_answer_too(start, stand_in, netbox):
    start(lambda task, keep: {}[1]).step(netbox)
    assert stand_in.answers[0][1]['error'] == 'KeyError: 1'


def test_a_kind_that_cannot_be_done_here_is_said(start, stand_in, netbox):
    stand_in.tasks = [{'id': 3, 'kind': 'power', 'attempt': 1}]
    start(lambda task, keep: {}).step(netbox)
    assert 'cannot carry out tasks of the kind power (it can: fetch-image)' in stand_in.answers[0][1]['error']


def test_a_kill_while_it_is_done_never_does_it_again(start, stand_in, netbox):
    def handler(task, keep):
        raise Killed

    with pytest.raises(Killed):
        start(handler).step(netbox)
    done = []
    start(lambda task, keep: done.append(task.id) or {}).step(netbox)
    assert done == [2]
    assert sorted(stand_in.answers)[0] == (1, {'instance': 'this-one', 'attempt': 1, 'error': INTERRUPTED})


def test_an_answer_that_netbox_does_not_hear_is_given_again_and_the_work_is_not_done_again(start, stand_in, netbox):
    done = []
    stand_in.fault = lambda handler, path: path.endswith('/answer/') and _hang_up(handler)
    with pytest.raises(Unreachable):
        start(lambda task, keep: done.append(task.id) or {}).step(netbox)
    stand_in.fault = None
    start(lambda task, keep: done.append(task.id) or {}).step(netbox)
    assert done == [1, 2]
    assert [number for number, _ in stand_in.answers] == [1, 2]


def test_a_claim_whose_answer_was_lost_gives_the_same_tasks(start, stand_in, netbox):
    lost = []

    def fault(handler, path):
        if path.endswith('/claim/') and not lost:
            lost.append(True)
            return False
        return False

    original = stand_in.answer

    def answer(handler, method, path, query, body):
        if path.endswith('/claim/') and not lost:
            lost.append(True)
            taken = type('Taken', (), {'give': lambda self, body, status=200: None})()
            original(taken, method, path, query, body)
            _hang_up(handler)
            return
        original(handler, method, path, query, body)

    stand_in.answer = answer
    tasks = start(lambda task, keep: {})
    with pytest.raises(Unreachable):
        tasks.step(netbox)
    assert start(lambda task, keep: {}).step(netbox) == 2
    assert len(stand_in.claims) == 1


def test_a_task_that_is_not_ours_any_more_is_left_alone(start, stand_in, netbox):
    done = []

    def fault(handler, path):
        if path.endswith('/tasks/1/renew/'):
            handler.give({'detail': 'It was cancelled.', 'code': 'not_claimed'}, 409)
            return True
        return False

    stand_in.fault = fault
    start(lambda task, keep: done.append(task.id) or {}).step(netbox)
    assert done == [2]
    assert [number for number, _ in stand_in.answers] == [2]


@pytest.mark.parametrize('last_word', ['renew', 'answer'])
def test_a_task_that_somebody_removed_holds_up_no_other(start, stand_in, netbox, last_word):
    def fault(handler, path):
        if path.endswith(f'/tasks/1/{last_word}/'):
            handler.give({'detail': 'No Task matches the given query.'}, 404)
            return True
        return False

    stand_in.fault = fault
    tasks = start(lambda task, keep: {})
    tasks.step(netbox)
    assert not tasks.unsettled
    assert [number for number, _ in stand_in.answers] == [2]


@pytest.mark.parametrize('last_word', ['renew', 'answer'])
def test_a_task_at_which_netbox_fails_holds_up_no_other(start, stand_in, netbox, last_word):
    def fault(handler, path):
        if path.endswith(f'/tasks/1/{last_word}/'):
            handler.give({'detail': 'boom'}, 500)
            return True
        return False

    stand_in.fault = fault
    done = []
    tasks = start(lambda task, keep: done.append(task.id) or {})
    for later in (3, 4):
        with pytest.raises(Trouble):
            tasks.step(netbox)
        stand_in.tasks.append({'id': later, 'kind': 'fetch-image', 'attempt': 1})
        with pytest.raises(Trouble):
            tasks.step(netbox)
        assert [number for number, _ in stand_in.answers] == list(range(2, later + 1))
    stand_in.fault = None
    tasks.step(netbox)
    assert not tasks.unsettled
    assert sorted(done) == [1, 2, 3, 4], 'each once'


def test_a_plugin_that_is_away_loses_no_answer(start, stand_in, netbox):
    stand_in.fault = lambda handler, path: path.endswith('/answer/') and _hang_up(handler)
    with pytest.raises(Unreachable):
        start(lambda task, keep: {}).step(netbox)
    stand_in.fault = lambda handler, path: handler.give({'detail': 'Not found.'}, 404) or True
    tasks = start(lambda task, keep: {})
    with pytest.raises(Incompatible):
        tasks.step(netbox)
    assert tasks.unsettled


def _hang_up(handler):
    handler.close_connection = True
    return True


def test_work_that_takes_long_is_renewed_and_stops_when_it_is_somebody_elses(start, stand_in, netbox, monkeypatch):
    monkeypatch.setattr(module, 'RENEW', 0.0)
    renewals = []

    def fault(handler, path):
        if path.endswith('/tasks/1/renew/'):
            renewals.append(path)
            if len(renewals) > 3:
                handler.give({'detail': 'Given to another.', 'code': 'lost'}, 409)
                return True
        return False

    def work(task, keep):
        for _ in range(10 if task.id == 1 else 1):
            keep()
        return {}

    stand_in.fault = fault
    start(work).step(netbox)
    assert len(renewals) == 4
    assert [number for number, _ in stand_in.answers] == [2], 'what was lost is not answered'


def test_work_stops_before_its_lease_ends_when_netbox_is_away(start, stand_in, netbox, monkeypatch):
    monkeypatch.setattr(module, 'RENEW', 0.0)
    monkeypatch.setattr(module, 'GIVE_UP', 0.05)
    kept = []

    def work(task, keep):
        stand_in.fault = lambda handler, path: handler.give({'detail': 'down'}, 503) or True
        for _ in range(1000):
            keep()
            kept.append(task.id)
        return {}

    with pytest.raises(Trouble):
        start(work).step(netbox)
    assert 0 < len(kept) < 1000


def test_what_only_waits_lets_others_go_first_and_is_asked_again_also_after_a_kill(start, stand_in, netbox):
    there = []

    def handler(task, keep):
        if task.id == 1 and not there:
            raise NotYet
        return {'n': task.id}

    first = start(handler)
    assert first.step(netbox) == 1
    stand_in.tasks = [{'id': 3, 'kind': 'fetch-image', 'attempt': 1}]
    assert first.step(netbox) == 1, 'more is claimed while one waits'
    assert [number for number, _ in stand_in.answers] == [2, 3]
    again = start(handler)
    assert again.step(netbox) == 0
    there.append(True)
    assert again.step(netbox) == 1
    assert stand_in.answers[-1] == (1, {'instance': 'this-one', 'attempt': 1, 'answer': {'n': 1}})
    assert not again.unsettled


def test_what_waits_is_renewed_and_let_go_when_it_is_somebody_elses(start, stand_in, netbox, monkeypatch):
    monkeypatch.setattr(module, 'RENEW', 0.0)
    renewals = []

    def fault(handler, path):
        if path.endswith('/tasks/1/renew/'):
            renewals.append(path)
            if len(renewals) > 2:
                handler.give({'detail': 'Given to another.', 'code': 'lost'}, 409)
                return True
        return False

    def waits(task, keep):
        raise NotYet

    stand_in.fault = fault
    stand_in.tasks = stand_in.tasks[:1]
    tasks = start(waits)
    for _ in range(2):
        assert tasks.step(netbox) == 0
    assert tasks.unsettled
    tasks.step(netbox)
    assert not tasks.unsettled
    assert stand_in.answers == []


def test_an_image_is_fetched_when_all_its_files_are_here(tmp_path, world):
    here, there = 'a' * 64, 'b' * 64
    image = world.add_boot_image(
        'debian', [BootFile(role='kernel', url=f'http://x/{name}', sha256=name, path='') for name in (here, there)]
    )
    world.sync()
    settings = agent_settings(tmp_path, 'http://127.0.0.1:1')
    settings.state_folder.mkdir()
    (settings.state_folder / 'state.db').symlink_to(world.state.path)
    settings.files_folder.mkdir()
    (settings.files_folder / here).write_bytes(b'')
    task = Claimed(id=1, kind='fetch-image', attempt=1, parameters={'boot_image': 'debian'})
    with pytest.raises(NotYet):
        FetchImage(settings)(task, lambda: None)
    with pytest.raises(TaskError, match=f'not here: http://x/{there}'):
        FetchImage(settings, patience=-1.0)(task, lambda: None)
    (settings.files_folder / there).write_bytes(b'')
    assert FetchImage(settings, patience=0.0)(task, lambda: None) == {'boot_image': image.id, 'files': 2}
    with pytest.raises(TaskError, match='no boot image 99'):
        FetchImage(settings)(Claimed(id=1, kind='fetch-image', attempt=1, parameters={'boot_image': 99}), lambda: None)
