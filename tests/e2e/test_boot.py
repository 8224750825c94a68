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


@pytest.mark.e2e_all
@pytest.mark.parametrize(
    ('firmware', 'client'), [('bios', 'ipxe'), ('uefi', 'plain'), ('uefi', 'http'), ('uefi', 'ipxe')]
)
def test_every_kind_of_client_is_led_to_its_own_disk_and_again_after_a_power_cycle(rack, firmware, client):
    machine = rack.machine(f'{firmware}-{client}', firmware=firmware, client=client)
    put(machine, (media.uefi if firmware == 'uefi' else media.bios)(f'THE DISK OF {machine.name}'))
    machine.register()
    rack.settled()
    machine.power_on()
    for _ in range(2):
        machine.console.wait_for(f'Substruct: {machine.name} boots its own disk', 60)
        machine.console.wait_for(f'THE DISK OF {machine.name}', 60)
        machine.power.cycle()
    machine.power.off()


@pytest.mark.e2e_all
def test_a_machine_with_two_cards_boots_from_the_second(rack):
    machine = rack.machine('second', nics=(Nic(network='dark'), Nic()), boots_from=1)
    put(machine, media.bios('THE DISK OF second'))
    machine.register('172.30.0.12')
    rack.settled()
    machine.power_on()
    machine.console.wait_for('net1: 172.30.0.12/', 60)
    machine.console.wait_for('THE DISK OF second', 60)
    machine.power.off()


@pytest.mark.e2e_all
def test_an_unknown_uefi_machine_tells_netbox_what_it_is(rack):
    machine = rack.machine('strange-uefi', firmware='uefi')
    machine.power_on()
    machine.console.wait_for('boots discovery', 60)
    found = until(machine.netbox, 'NetBox knows it', 240)
    assert (found.state.value, found.firmware.value) == ('discovered', 'uefi')
    machine.power.off()
