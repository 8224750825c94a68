"""Builds that only run a script in the prospector, because they are quick: how they end, and which machine is meant.

All machines are switched on at once.
"""

from collections.abc import Iterator
from datetime import datetime

import pytest

from lab.rack import Machine, Nic, Rack
from tests.e2e.building import BOOTED, Builder, assert_plausible

STEPS = ('requested', 'script-fetched', 'kernel-fetched')
WELL = '#!/bin/sh\necho "this machine has $(nproc) processors"\nip -brief address\n'
WRONG = '#!/bin/sh\necho "looking for the tape robot"\necho "there is no tape robot" >&2\nexit 3\n'


@pytest.fixture(scope='module')
def builder(rack: Rack) -> Iterator[Builder]:
    """With three machines under way."""
    found = Builder(rack)
    well, wrong = found.script_profile('Script', WELL), found.script_profile('Wrong script', WRONG)
    rack.machine('faulty', firmware='bios').register('172.30.0.31', profile=wrong)
    second = rack.machine('second', firmware='bios', nics=(Nic(network='dark'), Nic()), boots_from=1)
    second.register('172.30.0.32', profile=well)
    spelled = rack.machine('spelled', firmware='bios', nics=(Nic(mac='52:54:00:AB:CD:EF'),))
    spelled.register('172.30.0.33', profile=well)
    spell(found, spelled, '5254.00ab.cdef')
    for machine in rack.machines():
        found.request(machine)
    rack.settled()
    for machine in rack.machines():
        machine.power_on()
    yield found


def spell(builder: Builder, machine: Machine, mac: str) -> None:
    """The way in which somebody has typed it."""
    record = machine.netbox()
    for hardware in builder.api.dcim.mac_addresses.filter(device_id=record.device.id):
        hardware.update({'mac_address': mac})
    record.update({'boot_mac': mac})


def test_a_script_that_fails_brings_its_log_to_netbox(rack, builder):
    machine = rack.existing('faulty')
    build = builder.reaches(machine, 'failed', 'complete', seconds=BOOTED)
    assert build.state.value == 'failed'
    failed = next(step for step in builder.timeline(machine) if step.kind == 'failed')
    assert 'there is no tape robot' in failed.log
    assert machine.netbox().state.value == 'failed'
    machine.console.wait_for('tape robot', 5)


@pytest.mark.parametrize('name', ['second', 'spelled'])
def test_it_is_recognised_and_does_what_it_was_asked(rack, builder, name):
    """By its second card, with nobody on the first; by a MAC address that is written otherwise in NetBox."""
    machine = rack.existing(name)
    build = builder.reaches(machine, 'complete', 'failed', seconds=BOOTED)
    assert build.state.value == 'complete', machine.console.tail()
    assert_plausible(builder.timeline(machine), (*STEPS, 'finished'), datetime.fromisoformat(build.created))
    log = '\n'.join(step.log for step in builder.timeline(machine))
    assert 'this machine has 1 processors' in log
    assert builder.api.dcim.devices.get(name=name).primary_ip4.address in log


def test_afterwards_they_boot_their_own_disks(rack, builder):
    for machine in rack.machines():
        builder.reaches(machine, 'complete', 'failed', seconds=BOOTED)
        machine.power.cycle()
    for machine in rack.machines():
        machine.console.wait_for('boots its own disk', BOOTED)
        machine.power.off()
