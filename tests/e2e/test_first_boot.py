"""From power-on to built, for real: a machine that nobody has heard of, and one that NetBox knows.

Both go their way at the same time, because under emulation it takes minutes; the tests then look at what has become of
each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from lab.demo.story import Actor, Part, Story
from lab.demo.view import summary
from lab.rack import Rack, Spec
from tests.e2e.building import BOOTED, BUILT, Builder, assert_plausible
from tests.e2e.rack import until

FOUND, KNOWN = Spec('found', firmware='bios'), Spec('uefi', firmware='uefi')
STEPS = ('requested', 'script-fetched', 'config-fetched', 'progress', 'finishing', 'finished')


@dataclass(frozen=True)
class Told:
    builder: Builder
    actors: dict[str, Actor]
    since: datetime
    happened: list[tuple[float, str]]


@pytest.fixture(scope='module')
def told(rack: Rack) -> Iterator[Told]:
    """Both machines, built, or as far as they came."""
    builder = Builder(rack)
    profile = builder.image_profile()
    happened: list[tuple[float, str]] = []
    story = Story(
        rack,
        [Part(FOUND, profile, adopted_as='web-7'), Part(KNOWN, profile, '172.30.0.21')],
        lambda moment, actor, text: happened.append((moment, f'{actor.name}: {text}')),
    )
    since = datetime.now(UTC)
    story.tell(BUILT)
    print(f'\n{summary(story.actors)}')
    yield Told(builder, {actor.part.spec.name: actor for actor in story.actors}, since, happened)


def actor_of(told: Told, name: str) -> Actor:
    actor = told.actors[name]
    assert not actor.failed, f'{actor.failed}\n' + '\n'.join(f'{moment:7.1f}  {text}' for moment, text in told.happened)
    return actor


def test_it_is_told_by_one_clock(told):
    moments = [moment for moment, _ in told.happened]
    assert moments == sorted(moments)
    texts = [text for _, text in told.happened]
    assert texts.index('uefi: its build is requested') < texts.index('uefi: is powered on')


def test_an_unknown_machine_is_discovered_adopted_and_built(told):
    actor = actor_of(told, 'found')
    machine = actor.machine.netbox()
    assert (machine.state.value, machine.device.name) == ('built', 'web-7')
    device = told.builder.api.dcim.devices.get(machine.device.id)
    assert (device.status.value, device.platform.name, device.serial) == ('active', 'Debian 12', FOUND.serial)
    order = [actor.moments[key] for key in ('power', 'discovered', 'adopted', 'requested', 'disk')]
    assert order == sorted(order)


def test_a_known_uefi_machine_is_built(told):
    actor = actor_of(told, 'uefi')
    assert actor.machine.netbox().state.value == 'built'
    assert 'discovered' not in actor.moments, 'it is installed the short way'


@pytest.mark.parametrize('name', ['found', 'uefi'])
def test_it_runs_what_was_written_under_its_own_name_and_address(told, name):
    actor = actor_of(told, name)
    device = told.builder.api.dcim.devices.get(name=actor.name)
    finished = [step for step in told.builder.timeline(actor.machine) if step.kind == 'finished']
    assert device.primary_ip4.address.split('/')[0] in finished[0].message, 'it has called from its address in NetBox'
    assert f'{actor.name} login:' in actor.machine.console.text


@pytest.mark.parametrize('name', ['found', 'uefi'])
def test_its_timeline_is_what_has_happened(told, name):
    actor = actor_of(told, name)
    steps = told.builder.timeline(actor.machine)
    assert_plausible(steps, STEPS, told.since)
    shares = [actor_step.message for actor_step in steps if actor_step.kind == 'progress']
    assert any('%' in message for message in shares), shares


@pytest.mark.parametrize('name', ['found', 'uefi'])
def test_after_a_power_cycle_it_boots_its_own_disk_again_and_is_not_built_again(told, name):
    actor = actor_of(told, name)
    actor.machine.power.cycle()
    actor.machine.console.wait_for('Substruct: .*boots its own disk', BOOTED)
    actor.machine.console.wait_for('GRUB: Debian from the local disk', BOOTED)
    actor.machine.console.wait_for(r'\] Linux version', BOOTED)
    assert len(actor.machine.builds()) == 1
    until(lambda: actor.machine.netbox().state.value == 'built', 'it is still built')
    actor.machine.power.off()


def test_a_machine_that_has_come_back_with_empty_disks_is_built_again(told):
    """As after `down`, which takes the machines away and leaves what NetBox says."""
    before = actor_of(told, 'uefi')
    rack, profile = told.builder.rack, before.part.profile
    rack.remove('uefi')
    story = Story(rack, [Part(KNOWN, profile, '172.30.0.21')])
    assert not story.tell(patience=0.1), 'it is not waited for here'
    assert len(before.machine.builds()) == 2
    assert told.builder.state(before.machine) in ('pending', 'booting')
    # And once more, with that build under way.
    rack.remove('uefi')
    assert not Story(rack, [Part(KNOWN, profile, '172.30.0.21')]).tell(patience=0.1)
    assert [build.state.value for build in before.machine.builds()][1:] == ['cancelled', 'complete']
    before.machine.power.off()
