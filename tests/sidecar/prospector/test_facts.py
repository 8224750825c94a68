"""What the prospector says of machines: whole ones, odd ones and broken ones."""

import json
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from substruct_sidecar.boot import callbacks
from substruct_sidecar.prospector.inside import lldp
from substruct_sidecar.prospector.inside.facts import disks, gather, interfaces, smbios

from .machines import MACHINES, Machine, dell, hostile, module, structure, whitebox

SCHEMA = json.loads((Path(__file__).parents[3] / 'docs/facts-schema.json').read_text())

NEIGHBOUR = lldp.Neighbour(
    'lldp', chassis_id='00:1c:73:aa:bb:cc', chassis_name='tor-a', port_id='Ethernet7', vlan=8, tagged=(90,)
)


def posted(machine: Machine, boot_mac: str = '') -> Any:
    """All that is sent, as the boot server gets it."""
    source = machine.source
    asked = gather.Asked(boot_mac, 'eth0', {'eth2': NEIGHBOUR})
    data = {**gather.hardware(source, 20.0), **gather.network(source, asked, 20.0)}
    about = {'version': '0.1.0', 'recipe': 'debian', 'kernel': '6.1', 'mode': 'discover', 'seconds': 1.5}
    return json.loads(gather.document(gather.identity(source), data, source.problems, about))


def facts(machine: Machine, boot_mac: str = '') -> Any:
    return posted(machine, boot_mac)['data']


@pytest.mark.parametrize('name', MACHINES)
def test_what_is_sent_is_what_the_manual_says(name: str, tmp_path: Path) -> None:
    jsonschema.validate(posted(MACHINES[name](tmp_path)), SCHEMA)


@pytest.mark.parametrize('name', MACHINES)
def test_the_boot_server_takes_what_is_sent(name: str, tmp_path: Path) -> None:
    found = callbacks.facts_of(json.dumps(posted(MACHINES[name](tmp_path))).encode())
    assert found.source == 'prospector'
    assert 'disks' in found.data


class TestAServer:
    @pytest.fixture
    def machine(self, tmp_path: Path) -> Machine:
        return dell(tmp_path)

    def test_it_says_who_it_is(self, machine: Machine) -> None:
        assert posted(machine)['identity'] == {
            'uuid': '4c4c4544-0042-3510-8054-b7c04f4d3332', 'serial': 'BX52NM3',
            'macs': ['b0:7b:25:d0:11:20', 'b0:7b:25:d0:11:21', '0c:42:a1:5e:7d:00', '0c:42:a1:5e:7d:01'],
        }  # fmt: skip
        found = facts(machine)
        assert found['system']['manufacturer'] == 'Dell Inc.'
        assert found['system']['sku'] == 'SKU=0912;ModelName=PowerEdge R650'
        assert found['system']['version'] is None, 'a space is no version'
        assert found['system']['virtual'] is False
        assert found['chassis']['type'] == 'Rack Mount Chassis'
        assert found['chassis']['asset_tag'] == 'ASSET-0042'
        assert found['board']['serial'] == '.BX52NM3.CNFCP0021A0123.'

    def test_its_firmware(self, machine: Machine) -> None:
        found = facts(machine)
        assert found['firmware'] == {
            'mode': 'uefi', 'vendor': 'Dell Inc.', 'version': '2.15.2', 'date': '02/21/2024', 'release': '2.15',
            'secure_boot': True,
        }  # fmt: skip
        assert found['tpm'] == {'version': '2.0'}

    def test_its_processors_and_memory(self, machine: Machine) -> None:
        found = facts(machine)
        assert (found['cpu']['sockets'], found['cpu']['cores'], found['cpu']['threads']) == (2, 64, 128)
        assert [one['socket'] for one in found['cpu']['processors']] == ['CPU1', 'CPU2']
        assert found['cpu']['processors'][0]['cores'] == 32
        assert found['memory']['total_bytes'] == 256 << 30
        assert len(found['memory']['modules']) == 8, 'empty slots are no modules'
        assert found['memory']['modules'][0] == {
            'slot': 'A1', 'bank': 'BANK 0', 'size_bytes': 32 << 30, 'type': 'DDR4', 'speed_mts': 3200,
            'manufacturer': '00AD063200AD', 'part_number': 'HMA84GR7DJR4N-XN', 'serial': '3A1F0165',
        }  # fmt: skip

    def test_its_disks(self, machine: Machine) -> None:
        found = {one['name']: one for one in facts(machine)['disks']}
        assert list(found) == ['nvme0n1', 'nvme1n1', 'sda'], 'neither optical drives nor what is made of disks'
        sas = found['sda']
        assert sas['serial'] == 'WAF123AB'
        assert sas['wwn'] == '0x5000c500a1b2c3d4'
        assert (sas['vendor'], sas['model'], sas['firmware'], sas['transport']) == (
            'SEAGATE',
            'ST600MM0069',
            'ST33',
            'sas',
        )
        assert sas['size_bytes'] == 1172123568 * 512
        assert sas['by_path'] == '/dev/disk/by-path/pci-0000:31:00.0-sas-phy0-lun-0'
        assert sas['pci_address'] == '0000:31:00.0'
        assert sas['health'] == {'passed': False, 'temperature_c': 34, 'power_on_hours': 41203, 'wear_percent': None}
        nvme = found['nvme1n1']
        assert (nvme['transport'], nvme['serial'], nvme['rotational']) == ('nvme', 'S64GNE0R701', False)
        assert nvme['wwn'] == 'eui.0025385b71b00d21'
        assert nvme['health']['wear_percent'] == 3

    def test_its_network_cards(self, machine: Machine) -> None:
        found = {one['kernel_name']: one for one in facts(machine, 'b0:7b:25:d0:11:20')['interfaces']}
        assert list(found) == ['eth0', 'eth1', 'eth2', 'eth3'], 'lo is none'
        assert [one['name'] for one in found.values()] == ['eno1', 'eno2', 'ens3f0np0', 'ens3f1np1']
        assert found['eth2']['names'] == ['ens3f0np0', 'enp49s0f0np0']
        one = found['eth0']
        assert (one['boot'], one['in_use'], one['link'], one['speed_mbps']) == (True, True, True, 1000)
        assert one['addresses'] == ['10.8.0.21/24']
        assert (one['driver'], one['firmware'], one['pci_address']) == ('tg3', '14.32.1010', '0000:04:00.0')
        assert one['product'] == 'NetXtreme BCM5720 Gigabit Ethernet PCIe (rNDC)'
        assert (found['eth1']['link'], found['eth1']['speed_mbps'], found['eth1']['boot']) == (False, None, False)
        assert found['eth2']['vendor'] == 'Mellanox Technologies'
        assert found['eth2']['lldp']['chassis_name'] == 'tor-a'
        assert found['eth2']['lldp']['vlan'] == 8

    def test_its_management_controller(self, machine: Machine) -> None:
        assert facts(machine)['bmc'] == {
            'address': '10.9.0.21', 'mac': 'b0:7b:25:d0:11:1f', 'subnet_mask': '255.255.255.0', 'gateway': '10.9.0.1',
            'source': 'static', 'vlan': 90, 'firmware': '7.00', 'manufacturer': 'DELL Inc', 'ipmi_version': '2.0',
            'ipv6_addresses': ['2001:db8::8:21'], 'channel': 1,
        }  # fmt: skip

    def test_nothing_of_it_is_a_problem(self, machine: Machine) -> None:
        assert facts(machine)['problems'] == []


class TestABoardThatNobodyHasProgrammed:
    @pytest.fixture
    def machine(self, tmp_path: Path) -> Machine:
        return whitebox(tmp_path)

    def test_placeholders_are_told_as_they_are_and_identify_nothing(self, machine: Machine) -> None:
        document = posted(machine)
        assert document['data']['system']['serial'] == 'To Be Filled By O.E.M.'
        found = callbacks.facts_of(json.dumps(document).encode())
        assert (found.serial, found.uuid, found.macs) == (None, None, ['d0:50:99:aa:bb:cc'])

    def test_it_has_no_secure_boot_and_no_controller(self, machine: Machine) -> None:
        found = facts(machine)
        assert found['firmware']['mode'] == 'bios'
        assert found['firmware']['secure_boot'] is False
        assert (found['tpm'], found['bmc']) == (None, None)

    def test_a_large_module_and_an_unknown_speed(self, machine: Machine) -> None:
        (one,) = facts(machine)['memory']['modules']
        assert (one['size_bytes'], one['speed_mts']) == (64 << 30, None)

    def test_a_socket_without_a_processor_is_none(self, machine: Machine) -> None:
        assert [one['socket'] for one in facts(machine)['cpu']['processors']] == ['AM4']

    def test_the_wear_of_an_ssd_that_counts_down(self, machine: Machine) -> None:
        (disk,) = facts(machine)['disks']
        assert disk['health'] == {'passed': True, 'temperature_c': None, 'power_on_hours': None, 'wear_percent': 91}
        assert (disk['transport'], disk['vendor'], disk['serial']) == ('sata', None, '1931E1F2A3B4')
        assert (disk['model'], disk['firmware']) == ('CT240BX500SSD1', 'M6CR013')

    def test_a_speed_that_the_driver_does_not_know(self, machine: Machine) -> None:
        (card,) = facts(machine)['interfaces']
        assert card['speed_mbps'] is None
        assert card['name'] == 'eth0', 'without udev’s names, the kernel’s'
        assert card['product'] == 'RTL8111/8168/8211/8411 PCI Express Gigabit Ethernet Controller'


class TestABrokenMachine:
    def test_what_works_is_told_all_the_same(self, tmp_path: Path) -> None:
        found = facts(hostile(tmp_path))
        assert [one['name'] for one in found['disks']] == ['sda', 'sdb']
        assert [one['kernel_name'] for one in found['interfaces']] == ['eth0']
        assert found['bmc']['address'] is None
        assert found['memory']['modules'] is not None

    def test_what_did_not_work_is_said(self, tmp_path: Path) -> None:
        problems = '\n'.join(facts(hostile(tmp_path))['problems'])
        assert 'ethtool -i eth0: gave no answer in 10 seconds' in problems
        assert 'ipmitool lan print 1: gave no answer in 15 seconds' in problems
        assert 'smartctl /dev/sda: its answer is no JSON' in problems

    def test_no_value_can_do_harm_to_a_terminal_or_a_database(self, tmp_path: Path) -> None:
        def texts(value: Any) -> Any:
            if isinstance(value, dict):
                for key, item in value.items():
                    yield key
                    yield from texts(item)
            elif isinstance(value, list):
                for item in value:
                    yield from texts(item)
            elif isinstance(value, str):
                yield value

        for text in texts(facts(hostile(tmp_path))):
            assert text.isprintable(), repr(text)
            assert len(text) <= 500

    def test_a_part_that_hangs_costs_only_itself(self, tmp_path: Path) -> None:
        never = threading.Event()

        def hangs(_: object) -> dict[str, object]:
            never.wait(30.0)
            return {'hangs': True}

        def fails(_: object) -> dict[str, object]:
            raise RuntimeError('the driver is gone')

        source = Machine(tmp_path).source
        found = gather.together(source, {'one': hangs, 'two': fails, 'three': lambda _: {'three': 3}}, 0.2)
        never.set()
        assert found == {'three': 3}
        assert sorted(source.problems) == [
            'one: gave no answer in 0 seconds', 'two: RuntimeError: the driver is gone',
        ]  # fmt: skip

    def test_a_machine_without_anything(self, tmp_path: Path) -> None:
        document = posted(Machine(tmp_path))
        assert document['identity'] == {'uuid': None, 'serial': None, 'macs': []}
        jsonschema.validate(document, SCHEMA)


class TestSmbios:
    def test_a_uuid_of_old_firmware_has_its_bytes_in_the_other_order(self) -> None:
        data = structure(1, bytes(4) + bytes(range(16)) + bytes(3))
        new = smbios.table(b'_SM3_\0\x18\x03\x00', data)
        old = smbios.table(b'_SM_\0\x1f\x02\x04\0', data)
        assert smbios.uuid(new) == '03020100-0504-0706-0809-0a0b0c0d0e0f'
        assert smbios.uuid(old) == '00010203-0405-0607-0809-0a0b0c0d0e0f'

    def test_sizes_in_kibibytes(self) -> None:
        found = smbios.table(None, module('A', 0x8000 | 512, 24, 1600, 'x', 'y', 'z'))
        assert smbios.memory_modules(found)[0]['size_bytes'] is not None

    @pytest.mark.parametrize('cut', range(0, 120, 7))
    def test_a_table_that_is_cut_off_gives_what_is_whole(self, cut: int) -> None:
        whole = module('A1', 1024, 26, 3200, 'maker', 'serial', 'part') * 3
        assert len(smbios.memory_modules(smbios.table(None, whole[: len(whole) - cut]))) in (1, 2, 3)


def test_partitions_and_ports_are_in_their_order(tmp_path: Path) -> None:
    one = Machine(tmp_path)
    for name in ('eth10', 'eth2', 'eth1'):
        one.put(f'sys/class/net/{name}/address', '')
    assert one.source.names('sys/class/net') == ['eth1', 'eth2', 'eth10']


def test_disks_of_another_place_are_told_apart(tmp_path: Path) -> None:
    one = Machine(tmp_path)
    one.disk('sda', '8:0', 'pci0000:00/0000:00:02.0/host1/rport-1:0-0/target1:0:0/1:0:0:0', 4096, {})
    one.disk('sdb', '8:16', 'platform/host2/session1/target2:0:0/2:0:0:1', 4096, {})
    one.disk('sdc', '8:32', 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host3/target3:0:0/3:0:0:0', 4096, {})
    one.disk('nvme0n1', '259:0', 'virtual/nvme-fabrics/ctl/nvme0', 4096, {'device/transport': 'tcp\n'})
    # With native multipath, a disk belongs to a subsystem, and how it is reached is known of its controllers.
    for number, transport in ((1, 'fc'), (2, 'pcie')):
        one.disk(
            f'nvme{number}n1', f'259:{number}', f'virtual/nvme-subsystem/nvme-subsys{number}', 4096,
            {f'device/nvme{number}/transport': f'{transport}\n', 'device/subsystype': 'nvm\n'},
        )  # fmt: skip
    found = {name: disks.disk(one.source, name)['transport'] for name in disks.names(one.source)}
    assert found == {
        'sda': 'fc', 'sdb': 'iscsi', 'sdc': 'usb', 'nvme0n1': 'nvme-tcp', 'nvme1n1': 'nvme-fc', 'nvme2n1': 'nvme',
    }  # fmt: skip


def test_names_of_cards_that_nobody_knows(tmp_path: Path) -> None:
    listing = b'# comment\n8086  Intel Corporation\n\t10d3  82574L\n'
    assert interfaces.pci_names(listing, {'8086:ffff:0000:0000'}) == {
        '8086:ffff:0000:0000': ('Intel Corporation', None)
    }
    assert interfaces.pci_names(listing, {'ffff:0000:0000:0000'}) == {}
    assert interfaces.pci_names(b'', {'8086:10d3:0000:0000'}) == {}


def test_a_virtual_machine_is_told_apart(tmp_path: Path) -> None:
    one = Machine(tmp_path)
    one.cpus('QEMU Virtual CPU', 1, 1, 1, hypervisor=True)
    one.put('sys/class/dmi/id/sys_vendor', 'QEMU\n')
    assert facts(one)['system']['hypervisor'] == 'QEMU'
    cloud = Machine(tmp_path / 'metal')
    cloud.cpus('Intel', 1, 1, 1)
    cloud.put('sys/class/dmi/id/sys_vendor', 'Amazon EC2\n')
    assert facts(cloud)['system']['virtual'] is False
