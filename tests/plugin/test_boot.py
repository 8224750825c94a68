"""What a machine boots now, and why."""

import pytest

from netbox_substruct.boot import Subject, decide, decide_unknown
from netbox_substruct.choices import BuildStateChoices, MachineStateChoices
from netbox_substruct.lifecycle.states import BUILD_ACTIVE


@pytest.mark.parametrize('build', sorted(BUILD_ACTIVE - {'finishing'}))
def test_a_build_that_is_pending_or_under_way_is_what_it_boots(build):
    decision = decide(Subject('building', build_id=7, build_state=build))
    assert (decision.action, decision.build_id) == ('build', 7) and '#7' in decision.reason


def test_a_build_that_has_written_its_disk_goes_on_from_there_and_writes_it_no_second_time():
    decision = decide(Subject('building', build_id=7, build_state='finishing'))
    assert (decision.action, decision.build_id) == ('local', 7) and '#7 is finishing' in decision.reason


def test_a_stalled_build_erases_nothing_once_more_and_leaves_room_for_what_is_asked_instead():
    decision = decide(Subject('failed', build_id=7, build_state='stalled'))
    assert decision.action == 'local' and '#7 is stalled' in decision.reason
    assert decide(Subject('failed', next_boot='rescue', build_id=7, build_state='stalled')).action == 'rescue'
    assert decide(Subject('retired', build_id=7, build_state='stalled')).action == 'nothing'


@pytest.mark.parametrize('build', sorted(set(BuildStateChoices.values()) - BUILD_ACTIVE))
def test_a_build_that_has_ended_never_installs_again(build):
    assert decide(Subject('built', build_id=7, build_state=build)).action == 'local'


@pytest.mark.parametrize('state', ['registered', 'built', 'failed', 'building'])
def test_a_known_machine_with_nothing_to_do_boots_its_disk(state):
    assert decide(Subject(state)).action == 'local'


@pytest.mark.parametrize('once', ['rescue', 'discovery', 'wipe'])
def test_what_was_asked_for_once_comes_before_the_disk(once):
    decision = decide(Subject('built', next_boot=once))
    assert decision.action == once and 'once' in decision.reason


def test_a_build_comes_before_what_was_asked_for_once():
    assert decide(Subject('building', next_boot='wipe', build_id=1, build_state='booting')).action == 'build'


def test_a_retired_machine_is_offered_nothing_whatever_was_asked():
    assert decide(Subject('retired', next_boot='rescue')).action == 'nothing'


def test_a_discovered_machine_boots_the_prospector():
    assert decide(Subject('discovered')).action == 'discovery'


@pytest.mark.parametrize('enabled, action', [(True, 'discovery'), (False, 'nothing')])
def test_an_unknown_machine_depends_on_its_subnet(enabled, action):
    assert decide_unknown(enabled).action == action


@pytest.mark.parametrize(
    'local_boot, firmware, method',
    [
        ('auto', 'bios', 'sanboot'),
        ('auto', 'uefi', 'exit'),
        ('auto', '', ''),
        ('no-offer', 'uefi', 'no-offer'),
        ('grub', 'uefi', 'grub'),
    ],
)
def test_the_disk_is_reached_as_set_or_as_the_firmware_needs(local_boot, firmware, method):
    assert decide(Subject('built', firmware=firmware, local_boot=local_boot)).local_method == method


@pytest.mark.parametrize('state', MachineStateChoices.values())
def test_every_state_has_an_answer_with_a_reason(state):
    assert decide(Subject(state)).reason.endswith('.')
