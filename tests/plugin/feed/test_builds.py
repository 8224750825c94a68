"""Which build of a machine the feed tells: the one that it boots or that may still be heard of, and no other."""

import pytest

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import BuildToken
from tests.plugin.lifecycle.world import a_profile

from .world import Follower, a_world

pytestmark = pytest.mark.usefixtures('committed')


@pytest.fixture
def world():
    return a_world()


@pytest.fixture
def berlin(world):
    follower = Follower(world.berlin)
    follower.follow()
    return follower


@pytest.fixture
def machine(world):
    machine = world.machine(0)
    machine.profile = a_profile()
    machine.save()
    world.devices[0].status = 'planned'
    world.devices[0].save()
    return machine


def told(berlin, machine):
    """(what it boots, the id of the build that is told, its state) after the newest changes, and in a snapshot."""
    berlin.follow()
    assert berlin.agrees_with_a_snapshot()
    line = berlin.state['machine', machine.pk]
    return (line.boot.action, line.build and line.build.id, line.build and line.build.state)


def request(machine):
    return builds.request(machine, override=machine.name)


def test_a_stalled_build_is_still_told_with_its_token_so_that_it_can_be_heard_of_again(berlin, machine):
    build = request(machine)
    builds.record(build, 'config-fetched')
    assert told(berlin, machine) == ('build', build.pk, 'installing')
    builds.record(build, 'stalled', message='nothing heard')
    assert told(berlin, machine) == ('local', build.pk, 'stalled')
    line = berlin.state['machine', machine.pk].build
    assert line.token == BuildToken.objects.get(build_id=build.pk).token
    assert [artifact.kind for artifact in line.artifacts] == ['ipxe']
    builds.record(build, 'progress')
    assert told(berlin, machine) == ('build', build.pk, 'installing')


def test_a_build_that_is_finishing_is_told_and_its_machine_boots_its_disk(berlin, machine):
    build = request(machine)
    builds.record(build, 'finishing')
    assert told(berlin, machine) == ('local', build.pk, 'finishing')
    builds.record(build, 'finished')
    assert told(berlin, machine) == ('local', None, None)


def test_once_another_has_taken_its_place_a_stalled_build_is_told_no_more(berlin, machine):
    stalled = request(machine)
    builds.record(stalled, 'stalled')
    newer = request(machine)
    assert told(berlin, machine) == ('build', newer.pk, 'pending')
    builds.record(stalled, 'progress')
    builds.cancel(newer)
    assert told(berlin, machine) == ('local', None, None)


def test_a_cancelled_build_is_gone_at_once(berlin, machine):
    build = request(machine)
    builds.record(build, 'progress')
    assert told(berlin, machine) == ('build', build.pk, 'installing')
    builds.cancel(build)
    assert told(berlin, machine) == ('local', None, None)
