"""Real machines, real firmware, real servers: each finds its way to what NetBox says it is to boot.

What they install is another story; here they are sent to the prospector or to their own disk.
"""

import pytest

from lab.rack import Nic, Rack, media, packets
from tests.e2e.rack import Machine, until


def put(machine: Machine, disk: bytes) -> None:
    """What stands at the beginning of its disk."""
    with (machine.folder / 'disk0.raw').open('r+b') as file:
        file.write(disk)


@pytest.fixture
def known(rack: Rack) -> Machine:
    machine = rack.machine('known', firmware='bios', client='plain')
    put(machine, media.bios('THE DISK OF known'))
    machine.register('172.30.0.11')
    rack.settled()
    return machine


def test_a_known_bios_machine_is_led_to_its_own_disk_step_by_step(rack, known, tmp_path):
    with rack.capture(tmp_path / 'boot.pcap') as captured:
        known.power_on()
        known.console.wait_for('Substruct: known boots its own disk.*no build was requested', 60)
        known.console.wait_for('THE DISK OF known', 20)
    known.power.off()
    said = [event.what for event in packets.summary(captured) if event.who == known.mac]
    steps = [
        'DISCOVER, vendor class "PXEClient:Arch:00000', 'OFFER, 172.30.0.11', 'wants lpxelinux.0',
        'wants pxelinux.cfg/default', 'GET /loaders/ipxe.lkrn', 'wants autoexec.ipxe', 'user class "iPXE"',
        'GET /boot.ipxe?mac=',
    ]  # fmt: skip
    found = iter(said)
    for step in steps:
        assert any(step in what for what in found), f'{step}, in this order, in:\n' + '\n'.join(said)
    assert 'user class' not in said[0]


def test_an_unknown_machine_tells_netbox_what_it_is(rack):
    machine = rack.machine(
        'stranger', serial='STRANGER-1', product='Strange 9000', nics=(Nic(port='swp7'), Nic(network='dark'))
    )
    machine.power_on()
    assert 'It is unknown' in machine.console.wait_for('boots discovery', 60).text
    found = until(machine.netbox, 'NetBox knows it', 240)
    assert (found.state.value, found.serial, found.device) == ('discovered', 'STRANGER-1', None)
    machine.power.off()
