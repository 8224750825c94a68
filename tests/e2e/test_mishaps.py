"""Builds in which something goes wrong on the way, and those that take long: real machines, one at a time."""

import itertools
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lab.rack import Machine, Nic, Rack
from tests.e2e.building import BOOTED, BUILT, Builder, assert_plausible, patiently

pytestmark = pytest.mark.e2e_all

WRITTEN = ('requested', 'script-fetched', 'config-fetched', 'progress', 'finishing', 'finished')
ADDRESSES = itertools.count(41)
OWN_DISK = 'GRUB: Debian from the local disk'


@pytest.fixture(scope='module')
def builder(rack: Rack) -> Builder:
    return Builder(rack)


@pytest.fixture
def machine(rack: Rack, builder: Builder, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A BIOS machine that NetBox knows, with the profile that writes the disk image; off, and removed afterwards."""
    name = request.node.originalname.removeprefix('test_').replace('_', '-')[:30].strip('-')
    nics = (Nic(network='dark'), Nic()) if 'two_cards' in request.node.name else (Nic(),)
    found = rack.machine(name, firmware='bios', nics=nics, boots_from=len(nics) - 1)
    found.register(f'172.30.0.{next(ADDRESSES)}', profile=builder.image_profile())
    yield found
    rack.remove(found.name)


def begin(rack: Rack, builder: Builder, machine: Machine) -> datetime:
    """Its build is requested, and it is switched on."""
    builder.request(machine)
    rack.settled()
    machine.power_on()
    return datetime.fromisoformat(builder.build(machine).created)


def test_the_debian_installer_asks_for_its_answers_and_reports(rack, builder, machine):
    machine.netbox().update({'profile': builder.installer_profile()})
    since = begin(rack, builder, machine)
    builder.reaches(machine, 'installing', seconds=BUILT)
    patiently(lambda: 'progress' in builder.kinds(machine), 'early_command has reported', BUILT)
    steps = builder.timeline(machine)
    assert_plausible(steps, ('requested', 'script-fetched', 'kernel-fetched', 'config-fetched', 'progress'), since)
    assert 'installer started' in [step.message for step in steps][-1]
    builder.post(f'{builder.build(machine).url}cancel/', reason='far enough')


def test_two_cards_and_it_boots_from_the_second(rack, builder, machine):
    since = begin(rack, builder, machine)
    builder.reaches(machine, 'complete', 'failed')
    assert_plausible(builder.timeline(machine), WRITTEN, since)
    assert machine.netbox().state.value == 'built'
    machine.console.wait_for(OWN_DISK, 5)


def test_netbox_is_away_when_the_machine_is_done(rack, builder, machine):
    since = begin(rack, builder, machine)
    builder.reaches(machine, 'booting', 'installing', seconds=BOOTED)
    rack.lab.supervisor.down(rack.lab._web())
    try:
        machine.console.wait_for(OWN_DISK, BUILT)
        machine.console.wait_for(f'{machine.name} login:', BUILT)
        machine.console.wait_for('Cloud-init v.* finished', BUILT)
        machine.power.cycle()
        machine.console.wait_for('Substruct: .*boots its own disk', BOOTED)
        machine.console.wait_for(OWN_DISK, BOOTED)
    finally:
        rack.lab.up()
    builder.reaches(machine, 'complete', seconds=60)
    steps = builder.timeline(machine)
    assert_plausible(steps, WRITTEN, since)
    finished = next(step for step in steps if step.kind == 'finished')
    started = next(line for line in machine.console.lines() if OWN_DISK in line.text)
    assert finished.time.timestamp() > started.time, 'the time is that of the machine, not that of the delivery'


def test_the_sidecar_is_killed_while_a_machine_loads_its_kernel(rack, builder, machine):
    since = begin(rack, builder, machine)
    machine.console.wait_for(r'initrd\.img\.\.\. +\d\d?%', BOOTED)
    os.kill(serving(rack), signal.SIGKILL)
    machine.console.wait_for('Substruct: loading failed', BOOTED)
    builder.reaches(machine, 'complete', 'failed')
    assert_plausible(builder.timeline(machine), WRITTEN, since)
    assert machine.netbox().state.value == 'built'


def serving(rack: Rack) -> int:
    """The id of the sidecar's process that machines talk to."""
    for entry in Path('/proc').iterdir():
        try:
            words = (entry / 'cmdline').read_text().split('\0')
        except OSError:
            continue
        if str(rack.settings) in words and ' process http ' in f' {" ".join(words)} ':
            return int(entry.name)
    raise AssertionError('the sidecar does not run')


def test_a_build_that_is_cancelled_on_the_way_leaves_nothing_that_boots(rack, builder, machine):
    begin(rack, builder, machine)
    patiently(lambda: any('%' in step.message for step in builder.timeline(machine)), 'it writes', BOOTED)
    builder.post(f'{builder.build(machine).url}cancel/', reason='the wrong machine')
    machine.console.wait_for('STOPPED: the build goes on no further', BOOTED)
    time.sleep(2)
    assert builder.state(machine) == 'cancelled'
    assert machine.netbox().state.value == 'failed', 'its disk is half written'
    machine.power.cycle()
    machine.console.wait_for('Substruct: .*boots its own disk', BOOTED)
    machine.console.wait_for('(?i)not a bootable disk|could not read the boot disk|no bootable device', BOOTED)
    assert OWN_DISK not in machine.console.text


def test_a_build_that_never_calls_back_is_given_up_and_said(rack, builder, machine):
    waits = builder.script_profile('Silent', '#!/bin/sh\necho here I stay\nexec sleep 100000\n', stall_limit=1)
    machine.netbox().update({'profile': waits})
    begin(rack, builder, machine)
    machine.console.wait_for('here I stay', BOOTED)
    build = builder.reaches(machine, 'stalled', seconds=300)
    assert 'othing heard for' in build.error
    machine.power.cycle()
    machine.console.wait_for('Substruct: .*boots its own disk', BOOTED)
