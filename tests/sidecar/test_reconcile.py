"""One service is planned, guarded, applied and verified, again and again, whatever fails in between."""

import threading
from dataclasses import dataclass, field

import pytest

from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Change, Limits, Plan, Problem
from substruct_sidecar.reconcile import BACK_OFF, Runner
from substruct_sidecar.service import ApplyError
from substruct_sidecar.state import State
from substruct_sidecar.status import LINE, LINES, Board, Status, difference


@dataclass
class Names:
    """A service that keeps the names of machines in a dictionary: small enough to see what the runner does."""

    name: str = 'names'
    backend: str = 'memory'
    there: dict[int, str] = field(default_factory=dict)
    plans: list[bool] = field(default_factory=list)
    fail: list[Exception] = field(default_factory=list)
    drift: list[Problem] = field(default_factory=list)

    def cannot(self):
        return ['remember anything']

    def check(self):
        return []

    def plan(self, view, changed=None):
        self.plans.append(changed is None)
        ids = None if changed is None else changed.of('machine')
        wanted = {machine.id: machine.name for machine in view.machines(ids)}
        changes = [
            Change('change' if key in self.there else 'add', f'{key}', self.there.get(key, ''), name)
            for key, name in wanted.items()
            if self.there.get(key) != name
        ]
        gone = (self.there.keys() if ids is None else ids & self.there.keys()) - wanted.keys()
        changes += [Change('remove', f'{key}', self.there[key]) for key in gone]
        problems = [
            Problem(self.name, 'machine', key, name, 'has a bad name') for key, name in wanted.items() if 'bad' in name
        ]
        return Plan(self.name, changes, len(self.there), problems, full=changed is None)

    def apply(self, plan):
        if self.fail:
            raise self.fail.pop(0)
        for change in plan.changes:
            if change.operation == 'remove':
                del self.there[int(change.key)]
            else:
                self.there[int(change.key)] = change.after

    def verify(self, view):
        return self.drift


@pytest.fixture
def board():
    return Board(Status(written=0, started=0, version='0', instance='i'))


@pytest.fixture
def service():
    return Names()


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / 'ledger.db')
    yield book
    book.close()


@pytest.fixture
def runner(world, service, board, book):
    return Runner(service, lambda: State(world.state.path), book.of('names'), board, Limits(), frozenset)


def step(runner, world):
    world.sync()
    return runner.step(world.state)


def said(board):
    return board.now().services[0]


def test_nothing_is_done_before_there_is_a_state(runner, world, service, board):
    runner.step(world.state)
    assert service.plans == []
    assert said(board).state == 'starting'


def test_what_a_service_leaves_alone_for_a_while_is_tried_when_a_person_asks(runner, world, board, book):
    asked = []

    class Resting(Names):
        def retry(self):
            asked.append(True)

    patient = Runner(Resting(), lambda: State(world.state.path), book.of('names'), board, Limits(), frozenset)
    for one in (runner, patient):
        one.look_at_everything()
    assert asked == [True]


def test_everything_first_then_only_what_changed_then_nothing(runner, world, service, board):
    machine = world.add_machine('srv-1')
    step(runner, world)
    assert service.there == {machine.id: 'srv-1'}
    world.change(machine, name='srv-one')
    step(runner, world)
    step(runner, world)
    assert service.there == {machine.id: 'srv-one'}
    assert service.plans == [True, False]
    assert (said(board).state, said(board).existing, said(board).applied_changes) == ('ok', 1, 2)


def test_after_a_start_everything_is_looked_at_whatever_was_applied(runner, world, service, board, book):
    world.add_machine('srv-1')
    step(runner, world)
    again = Runner(service, lambda: State(world.state.path), book.of('names'), board, Limits(), frozenset)
    step(again, world)
    assert service.plans == [True, True]


def test_everything_is_looked_at_again_when_somebody_asks_for_it_in_the_middle_of_a_plan(runner, world, service):
    world.add_machine('srv-1')
    plan = service.plan

    def asked_meanwhile(view, changed=None):
        found = plan(view, changed)
        if len(service.plans) == 1:
            runner.look_at_everything()
        return found

    service.plan = asked_meanwhile
    for _ in range(3):
        step(runner, world)
    assert service.plans == [True, True]


def test_a_failure_is_reported_and_tried_again_with_patience_and_a_full_plan(runner, world, service, board):
    machine = world.add_machine('srv-1')
    service.fail = [ApplyError('It does not start: line 7.'), ApplyError('Still not.')]
    assert step(runner, world) == BACK_OFF[0]
    assert (said(board).state, said(board).message, said(board).failures) == ('down', 'It does not start: line 7.', 1)
    assert step(runner, world) == BACK_OFF[1]
    step(runner, world)
    assert service.there == {machine.id: 'srv-1'}
    assert (said(board).state, said(board).message, said(board).failures) == ('ok', '', 0)
    assert service.plans == [True, True, True]


def test_a_plan_that_removes_everything_is_refused_and_nothing_is_touched(runner, world, service, board):
    for number in range(50):
        world.add_machine(f'srv-{number}')
    step(runner, world)
    world.clear()
    step(runner, world)
    assert len(service.there) == 50
    found = said(board)
    assert found.state == 'degraded'
    assert 'would remove 50 of 50' in found.message
    assert (found.planned.remove, found.existing) == (50, 50)

    world.state.accept(found.fingerprint, 0)
    step(runner, world)
    assert service.there == {}
    assert (said(board).state, said(board).fingerprint) == ('ok', '')
    assert not world.state.accepted(found.fingerprint)


def test_what_comes_after_a_refused_plan_waits_with_it(runner, world, service):
    machines = [world.add_machine(f'srv-{number}') for number in range(50)]
    step(runner, world)
    for machine in machines[:40]:
        world.remove(machine)
    step(runner, world)
    world.add_machine('one more')
    step(runner, world)
    assert len(service.there) == 50


def test_accepting_one_plan_is_not_accepting_the_next(runner, world, service, board):
    machines = [world.add_machine(f'srv-{number}') for number in range(50)]
    step(runner, world)
    for machine in machines[:40]:
        world.remove(machine)
    step(runner, world)
    world.state.accept(said(board).fingerprint, 0)
    world.remove(machines[40])
    step(runner, world)
    assert len(service.there) == 50


def test_problems_stay_until_what_they_are_about_is_looked_at_again(runner, world, board):
    first, second = world.add_machine('bad-1'), world.add_machine('bad-2')
    step(runner, world)
    assert [problem.name for problem in board.now().problems] == ['bad-1', 'bad-2']
    world.change(first, name='good-1')
    step(runner, world)
    assert [problem.id for problem in board.now().problems] == [second.id]
    world.remove(second)
    step(runner, world)
    assert board.now().problems == []


def test_drift_is_reported_and_mended_once(runner, world, service, board):
    world.add_machine('srv-1')
    service.drift = [Problem('names', 'service', 0, 'names', 'The file was changed by somebody.')]
    step(runner, world)
    step(runner, world)
    assert service.plans == [True, True], 'drift makes the next plan a full one'
    assert (said(board).state, said(board).drift) == ('degraded', 1)
    assert 'changed by somebody' in board.now().problems[0].message
    runner._last_verify = -1e9
    step(runner, world)
    step(runner, world)
    assert service.plans == [True, True], 'what cannot be mended is not tried for ever'
    service.drift = []
    runner._last_verify = -1e9
    step(runner, world)
    assert (said(board).state, board.now().problems) == ('ok', [])


def test_a_service_that_raises_anything_is_tried_again(world, service, board, book):
    world.add_machine('srv-1')
    world.sync()
    service.fail = [RuntimeError('A bug.')]
    done, stop = threading.Event(), threading.Event()
    apply = service.apply

    def applying(plan):
        apply(plan)
        done.set()

    service.apply = applying
    runner = Runner(service, lambda: State(world.state.path), book.of('names'), board, Limits(), frozenset)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        assert done.wait(10)
    finally:
        stop.set()
        runner.wake()
        thread.join()
    assert service.there == {1: 'srv-1'}


def test_what_a_refused_plan_would_change_is_told_in_lines_until_it_is_settled(runner, world, service, board):
    for number in range(50):
        world.add_machine(f'srv-{number}')
    step(runner, world)
    assert said(board).difference == []
    world.clear()
    step(runner, world)
    told = said(board).difference
    assert len(told) == 100  # each with what it was
    assert {line[0] for line in told[::2]} == {'-'} and '    - srv-0' in told

    world.state.accept(said(board).fingerprint, 0)
    step(runner, world)
    assert said(board).difference == []


def test_of_a_long_plan_the_beginning_is_told_and_how_much_more_there_is():
    changes = [Change('add', f'{number}', after='x' * 1000) for number in range(1000)]
    told = difference(Plan('names', changes))
    assert len(told) == LINES + 1 and max(map(len, told)) == LINE
    assert told[-1] == f'… and {1000 - LINES // 2} more (substruct-sidecar plan names --full)'


def test_what_a_url_says_of_who_fetches_it_is_not_told():
    change = Change('add', 'files/a', after='https://somebody:word@mirror.example.com/linux')
    assert difference(Plan('files', [change]))[1] == '    + https://…@mirror.example.com/linux'
