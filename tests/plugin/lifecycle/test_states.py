"""The state machines, as the tables have them."""

import pytest

from netbox_substruct.choices import (
    BuildEventKindChoices,
    BuildStateChoices,
    MachineStateChoices,
    TaskStateChoices,
)
from netbox_substruct.lifecycle.states import (
    BUILD_ACTIVE,
    BUILD_MOVES,
    BUILD_ORDER,
    EVENT_TO_STATE,
    MACHINE_MOVES,
    TASK_MOVES,
    next_build_state,
)


@pytest.mark.parametrize(
    'moves, choices',
    [(MACHINE_MOVES, MachineStateChoices), (BUILD_MOVES, BuildStateChoices), (TASK_MOVES, TaskStateChoices)],
)
def test_every_state_stands_in_the_table_and_every_move_leads_to_a_state(moves, choices):
    assert set(moves) == set(choices.values())
    for state, targets in moves.items():
        assert targets <= set(choices.values()) - {state}


def test_a_build_goes_forward_only():
    for position, state in enumerate(BUILD_ORDER):
        assert not BUILD_MOVES[state] & set(BUILD_ORDER[:position])


def test_ended_builds_stay_ended_except_a_stalled_one():
    for state in ('complete', 'failed', 'cancelled'):
        assert not BUILD_MOVES[state]
    assert BUILD_MOVES['stalled']


def test_a_discovered_machine_is_registered_before_it_is_built():
    assert 'building' not in MACHINE_MOVES['discovered']


@pytest.mark.parametrize('state', BuildStateChoices.values())
@pytest.mark.parametrize('event', BuildEventKindChoices.values())
def test_no_event_takes_a_build_backwards_or_out_of_an_end(state, event):
    target = next_build_state(state, event)
    if target is None:
        return
    assert target == EVENT_TO_STATE[event] and target in BUILD_MOVES[state]
    assert state in BUILD_ACTIVE or state == 'stalled'
    if state in BUILD_ORDER and target in BUILD_ORDER:
        assert BUILD_ORDER.index(target) > BUILD_ORDER.index(state)


def test_late_news_of_an_earlier_step_moves_nothing():
    assert next_build_state('installing', 'loader-fetched') is None
    assert next_build_state('complete', 'progress') is None
    assert next_build_state('installing', 'finished') == 'complete'
