"""The one next sensible thing to do."""

import pytest

from netbox_substruct.advice import Situation, next_step
from netbox_substruct.choices import BuildStateChoices, MachineStateChoices, NextBootChoices

ALL = frozenset({'register', 'adopt', 'change', 'build', 'view-build'})


def action(may=ALL, **more):
    return next_step(Situation(may=frozenset(may), **more)).action


def test_the_way_from_unknown_to_built():
    assert action() == 'register'
    assert action(state='registered') == 'choose-profile'
    assert action(state='registered', has_profile=True) == 'build'
    assert action(state='building', has_profile=True, build_id=7, build_state='installing') == 'watch'
    assert action(state='built', has_profile=True, build_id=7, build_state='complete') == ''


def test_a_failure_is_read_before_anything_else():
    failed = {'state': 'failed', 'has_profile': True, 'build_id': 7, 'build_state': 'failed', 'error': 'No mirror'}
    step = next_step(Situation(may=ALL, **failed))
    assert (step.action, step.label) == ('read', 'Read why and try again')
    assert 'Build #7 failed: No mirror' in step.words
    assert next_step(Situation(may=frozenset({'view-build'}), **failed)).label == 'Read why'


def test_what_a_build_said_is_for_those_who_may_see_the_build():
    step = next_step(Situation('failed', True, '', 7, 'failed', 'No mirror', frozenset({'build'})))
    assert step.action == 'build'
    assert 'No mirror' not in step.words


def test_who_waits_for_a_machine_is_told_to_switch_it_on():
    step = next_step(Situation('building', True, build_id=7, build_state='pending', may=ALL))
    assert step.action == 'watch'
    assert 'switch it on' in step.words


def test_what_was_asked_for_the_next_boot_waits_for_a_restart():
    step = next_step(Situation('built', True, next_boot='rescue', may=ALL))
    assert step.action == ''
    assert 'Restart it' in step.words


def test_a_cancelled_build_on_the_way_leaves_a_machine_to_be_built_again():
    assert action(state='failed', has_profile=True, build_id=7, build_state='cancelled') == 'build'


def test_a_retired_or_discovered_machine_is_taken_into_use():
    assert action(state='retired', has_profile=True) == 'take-back'
    assert action(state='discovered') == 'adopt'


@pytest.mark.parametrize('state', [None, *MachineStateChoices.values()])
@pytest.mark.parametrize('build_state', [None, *BuildStateChoices.values()])
@pytest.mark.parametrize('next_boot', ['', *NextBootChoices.values()])
def test_there_are_words_in_every_situation_and_never_an_action_that_is_not_permitted(state, build_state, next_boot):
    for has_profile in (False, True):
        told = {'state': state, 'has_profile': has_profile, 'next_boot': next_boot, 'build_id': 7, 'error': 'x'}
        nobody = next_step(Situation(build_state=build_state, **told))
        assert nobody.words
        assert (nobody.action, nobody.label) == ('', '')
        step = next_step(Situation(build_state=build_state, may=ALL, **told))
        assert bool(step.action) == bool(step.label)
