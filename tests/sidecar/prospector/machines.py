"""Machines as the prospector sees them: trees of /sys, /proc and udev's records, and what tools print on them.

They are put together the way real ones look (values, order, white space, placeholders), one function for each machine.
"""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from substruct_sidecar.prospector.inside import tools
from substruct_sidecar.prospector.inside.facts import gather
from substruct_sidecar.prospector.inside.facts.source import Source

PCI_IDS = b"""\
#\tA list of PCI identifiers
10ec  Realtek Semiconductor Co., Ltd.
\t8168  RTL8111/8168/8211/8411 PCI Express Gigabit Ethernet Controller
14e4  Broadcom Inc. and subsidiaries
\t165f  NetXtreme BCM5720 Gigabit Ethernet PCIe
\t\t1028 0639  NetXtreme BCM5720 Gigabit Ethernet PCIe (rNDC)
15b3  Mellanox Technologies
\t1015  MT27710 Family [ConnectX-4 Lx]
\t\t15b3 0016  Stand-up ConnectX-4 Lx EN, 25GbE dual-port SFP28, PCIe3.0 x8, MCX4121A-ACAT
1af4  Red Hat, Inc.
\t1000  Virtio network device
8086  Intel Corporation
\t10d3  82574L Gigabit Network Connection
"""


def structure(kind: int, data: bytes, *strings: str | bytes, handle: int = 0) -> bytes:
    """One structure of SMBIOS: `data` is what follows its header."""
    texts = [text.encode() if isinstance(text, str) else text for text in strings]
    area = b''.join(text + b'\0' for text in texts) or b'\0'
    return struct.pack('<BBH', kind, 4 + len(data), handle) + data + area + b'\0'


def system(maker: str, product: str, version: str, serial: str, uuid: str, sku: str = '', family: str = '') -> bytes:
    data = bytes((1, 2, 3, 4)) + UUID(uuid).bytes_le + bytes((6, 5, 6))
    return structure(1, data, maker, product, version, serial, sku or ' ', family or ' ')


def module(slot: str, mebibytes: int, kind: int, speed: int, maker: str, serial: str, part: str) -> bytes:
    size = mebibytes if mebibytes < 0x7FFF else 0x7FFF
    extended = mebibytes if size == 0x7FFF else 0
    data = struct.pack('<HHHHH', 0, 0xFFFE, 72, 64, size) + bytes((9, 0, 1, 2, kind)) + struct.pack('<HH', 0, speed)
    data += bytes((3, 4, 0, 5, 0)) + struct.pack('<IH', extended, speed)
    return structure(17, data, slot, 'BANK 0', maker, serial, part)


def processor(socket: str, model: str, cores: int, threads: int, mhz: int, *, there: bool = True) -> bytes:
    data = bytes((1, 3, 0xB3, 2)) + bytes(8) + bytes((3, 0)) + struct.pack('<HHH', 100, 4000, mhz)
    data += bytes((0x41 if there else 0, 1)) + struct.pack('<HHH', 0xFFFF, 0xFFFF, 0xFFFF) + bytes((0, 0, 0))
    few = lambda count: min(count, 255)  # noqa: E731
    data += bytes((few(cores), few(cores), few(threads))) + struct.pack('<HH', 0, 0)
    data += struct.pack('<HHH', cores, cores, threads)
    return structure(4, data, socket, 'Intel', model)


class Machine:
    """A tree below `root`, and what tools print: by their command line, or a failure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.outputs: dict[str, tools.Done | tools.ToolError] = {}
        self.asked: list[str] = []
        self.put('machine', 'x86_64\n')
        self.put('usr/share/misc/pci.ids', PCI_IDS)
        self.says('ip -j address show', '[]')

    def put(self, path: str, content: str | bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def link(self, path: str, target: str) -> None:
        at = self.root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(target)

    def says(self, command: str, output: str, status: int = 0) -> None:
        self.outputs[command] = tools.Done(status, output, '')

    def fails(self, command: str, words: str) -> None:
        self.outputs[command] = tools.ToolError(f'{command}: {words}')

    def run(self, command: Sequence[str], seconds: float) -> tools.Done:
        line = ' '.join(command)
        self.asked.append(line)
        found = self.outputs.get(line)
        if found is None:
            return tools.Done(1, '', f'{command[0]}: nothing recorded')
        if isinstance(found, tools.ToolError):
            raise found
        return found

    @property
    def source(self) -> Source:
        return gather.source_of(self.root, self.run)

    def smbios(self, *parts: bytes, version: tuple[int, int] = (3, 3)) -> None:
        self.put('sys/firmware/dmi/tables/smbios_entry_point', b'_SM3_\0\x18' + bytes(version) + bytes(15))
        self.put('sys/firmware/dmi/tables/DMI', b''.join(parts) + structure(127, b''))

    def cpus(self, model: str, sockets: int, cores: int, threads: int, *, hypervisor: bool = False) -> None:
        number = 0
        for socket in range(sockets):
            for core in range(cores // sockets):
                for _ in range(threads // cores):
                    base = f'sys/devices/system/cpu/cpu{number}/topology'
                    self.put(f'{base}/physical_package_id', f'{socket}\n')
                    self.put(f'{base}/core_id', f'{core * 2}\n')
                    number += 1
        flags = 'fpu vme de hypervisor' if hypervisor else 'fpu vme de'
        self.put('proc/cpuinfo', f'processor\t: 0\nmodel name\t: {model}\nflags\t\t: {flags}\n')
        self.put('sys/devices/system/cpu/cpufreq/boost', '1\n')

    def card(
        self, name: str, index: int, mac: str, pci: str, driver: str, ids: str, *, carrier: str = '1\n',
        speed: str = '25000\n', names: Sequence[str] = (), permanent: str = '',
    ) -> None:  # fmt: skip
        device = f'sys/devices/pci0000:00/0000:00:01.0/{pci}'
        vendor, product, subvendor, subproduct = ids.split(':')
        for file, value in (
            ('vendor', vendor), ('device', product), ('subsystem_vendor', subvendor), ('subsystem_device', subproduct),
        ):  # fmt: skip
            self.put(f'{device}/{file}', f'0x{value}\n')
        net = f'{device}/net/{name}'
        for file, value in (
            ('address', f'{mac}\n'), ('type', '1\n'), ('carrier', carrier), ('speed', speed), ('duplex', 'full\n'),
            ('mtu', '1500\n'), ('ifindex', f'{index}\n'), ('dev_port', '0\n'),
        ):  # fmt: skip
            self.put(f'{net}/{file}', value)
        self.put(f'sys/bus/pci/drivers/{driver}/new_id', '')
        if not (self.root / device / 'driver').is_symlink():
            self.link(f'{device}/driver', f'../../../../bus/pci/drivers/{driver}')
        self.link(f'{net}/device', '../..')
        self.link(f'sys/class/net/{name}', f'../../../{net}')
        lines = ''.join(f'E:{key}={value}\n' for key, value in (pair.split('=') for pair in names))
        self.put(f'run/udev/data/n{index}', f'I:1234\n{lines}G:systemd\n')
        self.says(
            f'ethtool -i {name}', f'driver: {driver}\nversion: 6.1.0\nfirmware-version: 14.32.1010\nbus-info: {pci}\n'
        )
        self.says(f'ethtool -P {name}', f'Permanent address: {permanent or mac}\n')

    def disk(
        self, name: str, number: str, path: str, sectors: int, files: dict[str, str | bytes], udev: Sequence[str] = ()
    ) -> None:
        base = f'sys/devices/{path}/block/{name}'
        for file, value in {
            'size': f'{sectors}\n',
            'dev': f'{number}\n',
            'removable': '0\n',
            'ro': '0\n',
            **files,
        }.items():
            if not file.startswith('device/'):
                self.put(f'{base}/{file}', value)
        for file, value in files.items():
            if file.startswith('device/'):
                self.put(f'sys/devices/{path}/{file[7:]}', value)
        (self.root / f'sys/devices/{path}').mkdir(parents=True, exist_ok=True)
        self.link(f'{base}/device', '../..')
        self.link(f'sys/block/{name}', f'../devices/{path}/block/{name}')
        self.put(f'run/udev/data/b{number}', ''.join(f'{line}\n' for line in udev))

    def smart(self, name: str, document: object, status: int = 0) -> None:
        self.says(f'smartctl --json --info --health --attributes /dev/{name}', json.dumps(document), status)


def dell(root: Path) -> Machine:
    """A server with two sockets, two cards of two ports, a SAS disk, two NVMe disks and a management controller."""
    one = Machine(root)
    uuid = '4c4c4544-0042-3510-8054-b7c04f4d3332'
    dimms = [module(f'{bank}{slot}', 32768, 26, 3200, '00AD063200AD', f'3A1F0{slot}{ord(bank)}', 'HMA84GR7DJR4N-XN  ')
             for bank in 'AB' for slot in range(1, 5)]  # fmt: skip
    empty = structure(17, struct.pack('<HHHHH', 0, 0xFFFE, 0xFFFF, 0xFFFF, 0) + bytes(20), 'B5')
    one.smbios(
        structure(0, b'\1\2' + struct.pack('<H', 0xF000) + b'\3' + bytes(13), 'Dell Inc.', '2.15.2', '02/21/2024'),
        system('Dell Inc.', 'PowerEdge R650', ' ', 'BX52NM3', uuid, 'SKU=0912;ModelName=PowerEdge R650', 'PowerEdge'),
        structure(2, bytes((1, 2, 3, 4)), 'Dell Inc.', '0PYXKY', 'A03', '.BX52NM3.CNFCP0021A0123.'),
        structure(3, bytes((1, 23, 0, 2, 3)), 'Dell Inc.', 'BX52NM3', 'ASSET-0042'),
        processor('CPU1', 'Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz', 32, 64, 2000),
        processor('CPU2', 'Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz', 32, 64, 2000), *dimms, empty,
        structure(38, bytes((1, 0x20)) + bytes(10)),
    )  # fmt: skip
    one.cpus('Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz', 2, 64, 128)
    one.put('proc/meminfo', 'MemTotal:       263734480 kB\nMemFree:        1 kB\n')
    for name, value in (
        ('sys_vendor', 'Dell Inc.'), ('product_name', 'PowerEdge R650'), ('product_serial', 'BX52NM3'),
        ('product_uuid', uuid), ('chassis_type', '23'), ('bios_vendor', 'Dell Inc.'), ('bios_version', '2.15.2'),
        ('bios_date', '02/21/2024'), ('bios_release', '2.15'),
    ):  # fmt: skip
        one.put(f'sys/class/dmi/id/{name}', f'{value}\n')
    one.put('sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c', b'\x06\0\0\0\x01')
    one.put('sys/class/tpm/tpm0/tpm_version_major', '2\n')
    broadcom, mellanox = '14e4:165f:1028:0639', '15b3:1015:15b3:0016'
    for number in range(2):
        one.card(
            f'eth{number}', number + 2, f'b0:7b:25:d0:11:2{number}', f'0000:04:00.{number}', 'tg3', broadcom,
            carrier='0\n' if number else '1\n', speed='-1\n' if number else '1000\n',
            names=[f'ID_NET_NAME_ONBOARD=eno{number + 1}', f'ID_NET_NAME_PATH=enp4s0f{number}'],
        )  # fmt: skip
        one.card(
            f'eth{number + 2}', number + 4, f'0c:42:a1:5e:7d:0{number}', f'0000:31:00.{number}', 'mlx5_core', mellanox,
            names=[f'ID_NET_NAME_SLOT=ens3f{number}np{number}', f'ID_NET_NAME_PATH=enp49s0f{number}np{number}'],
        )  # fmt: skip
    one.says('ip -j address show', json.dumps([
        {'ifname': 'lo', 'addr_info': [{'local': '127.0.0.1', 'prefixlen': 8, 'scope': 'host'}]},
        {'ifname': 'eth0', 'addr_info': [
            {'local': '10.8.0.21', 'prefixlen': 24, 'scope': 'global'},
            {'local': 'fe80::1', 'prefixlen': 64, 'scope': 'link'},
        ]},
    ]))  # fmt: skip
    one.disk(
        'sda', '8:0', 'pci0000:30/0000:30:02.0/0000:31:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0',
        1172123568,
        {'queue/rotational': '1\n', 'queue/logical_block_size': '512\n', 'device/vendor': 'SEAGATE \n',
         'device/model': 'ST600MM0069     \n', 'device/rev': 'ST33\n',
         'device/vpd_pg80': b'\0\x80\0\x14WAF123AB            '},
        ['S:disk/by-id/wwn-0x5000c500a1b2c3d4', 'S:disk/by-id/scsi-35000c500a1b2c3d4',
         'S:disk/by-path/pci-0000:31:00.0-sas-phy0-lun-0', 'E:ID_WWN=0x5000c500a1b2c3d4', 'E:ID_BUS=scsi'],
    )  # fmt: skip
    one.smart(
        'sda', {'smart_status': {'passed': False}, 'temperature': {'current': 34}, 'power_on_time': {'hours': 41203}}, 8
    )
    for number in range(2):
        name, serial = f'nvme{number}n1', f'S64GNE0R70{number}'
        one.disk(
            name, f'259:{number}', f'pci0000:c0/0000:c0:03.{number}/0000:c{number + 1}:00.0/nvme/nvme{number}',
            3750748848,
            {'queue/rotational': '0\n', 'wwid': f'eui.0025385b71b00d2{number}\n',
             'device/model': 'SAMSUNG MZQL21T9HCJR-00A07\n',
             'device/serial': f'{serial}      \n', 'device/firmware_rev': 'GDC5602Q\n', 'device/transport': 'pcie\n'},
            [f'S:disk/by-id/nvme-eui.0025385b71b00d2{number}', f'E:ID_WWN=eui.0025385b71b00d2{number}'],
        )  # fmt: skip
        one.smart(name, {
            'smart_status': {'passed': True}, 'temperature': {'current': 31}, 'power_on_time': {'hours': 9120},
            'nvme_smart_health_information_log': {'percentage_used': 3},
        })  # fmt: skip
    for name in ('loop0', 'sr0', 'dm-0', 'ram0', 'nvme0c0n1'):
        one.put(f'sys/block/{name}/size', '2048\n')
    one.put('dev/ipmi0', '')
    one.says('ipmitool mc info', MC)
    one.says('ipmitool lan print 1', LAN)
    one.says('ipmitool lan6 print 1', LAN6)
    return one


MC = """\
Device ID                 : 32
Firmware Revision         : 7.00
IPMI Version              : 2.0
Manufacturer ID           : 674
Manufacturer Name         : DELL Inc
Additional Device Support :
    Sensor Device
"""
LAN6 = """\
IPv6 Dynamic Address 0:
    Address:            2001:db8::8:21/64
    Status:             active
IPv6 Static Address 0:
    Enabled:            no
    Address:            ::/0
"""
LAN = """\
Set in Progress         : Set Complete
Auth Type Support       : MD5
Auth Type Enable        : Callback : MD5
                        : User     : MD5
IP Address Source       : Static Address
IP Address              : 10.9.0.21
Subnet Mask             : 255.255.255.0
MAC Address             : b0:7b:25:d0:11:1f
SNMP Community String   : public
Default Gateway IP      : 10.9.0.1
Default Gateway MAC     : 00:00:00:00:00:00
802.1q VLAN ID          : 90
802.1q VLAN Priority    : 0
"""


def whitebox(root: Path) -> Machine:
    """A board that nobody has programmed: placeholders everywhere, an odd module, a card in a slot, a worn out SSD."""
    one = Machine(root)
    oem = 'To Be Filled By O.E.M.'
    one.smbios(
        system(oem, oem, oem, oem, '03000200-0400-0500-0006-000700080009'),
        structure(2, bytes((1, 2, 3, 4)), 'ASRock', 'X470D4U', ' ', oem),
        structure(3, bytes((1, 3, 0, 2, 3)), oem, oem, oem),
        processor('AM4', 'AMD Ryzen 7 3700X 8-Core Processor', 8, 16, 3600),
        processor('AM4b', 'none', 0, 0, 0, there=False),
        module('DIMM 0', 65536, 26, 0, 'Unknown', '00000000', 'Unknown'),
        version=(2, 8),
    )  # fmt: skip
    one.cpus('AMD Ryzen 7 3700X 8-Core Processor', 1, 8, 16)
    one.put('proc/meminfo', 'MemTotal:       65771520 kB\n')
    one.card('eth0', 2, 'd0:50:99:aa:bb:cc', '0000:05:00.0', 'r8169', '10ec:8168:1849:8168', speed='4294967295\n')
    one.disk(
        'sda', '8:0', 'pci0000:00/0000:00:01.3/0000:02:00.1/ata1/host0/target0:0:0/0:0:0:0', 468862128,
        {'queue/rotational': '0\n', 'device/vendor': 'ATA     \n', 'device/model': 'CT240BX500SSD1\n',
         'device/rev': 'R013\n'},
        ['S:disk/by-id/ata-CT240BX500SSD1_1931E1F2A3B4', 'E:ID_SERIAL_SHORT=1931E1F2A3B4', 'E:ID_VENDOR=ATA',
         'E:ID_MODEL_ENC=CT240BX500SSD1\\x20\\x20', 'E:ID_REVISION=M6CR013', 'E:ID_WWN=0x500a0751e1f2a3b4'],
    )  # fmt: skip
    one.smart('sda', {
        'smart_status': {'passed': True},
        'ata_smart_attributes': {'table': [{'id': 202, 'name': 'Percent_Lifetime_Remain', 'value': 9}]},
    }, 64)  # fmt: skip
    return one


def hostile(root: Path) -> Machine:
    """Everything is broken, or tries to do harm: bytes that are no text, endless values, tables that are cut off."""
    one = Machine(root)
    one.put('sys/class/dmi/id/sys_vendor', b'Evil\x1b[2J\xff\xfe\0\n$(reboot)')
    one.put('sys/class/dmi/id/product_name', b'<script>alert(1)</script>' + b'A' * 100_000)
    one.put('sys/class/dmi/id/product_serial', '\u202eSN\u2066-1\n')
    one.put('sys/firmware/dmi/tables/smbios_entry_point', b'_SM_\x1f')
    one.put('sys/firmware/dmi/tables/DMI', structure(17, b'\xff' * 30, b'\xff\xfe') + b'\x11\xff\0\0' + b'\x04' * 9)
    one.put('proc/meminfo', 'MemTotal: many kB\nMemTotal:\n')
    one.put('proc/cpuinfo', b'model name\t: \xff\xff\n')
    one.card('eth0', 2, 'not a mac', '0000:00:03.0', 'e1000', '8086:10d3:0000:0000', carrier='maybe\n', speed='fast\n')
    one.put('run/udev/data/n2', b'E:ID_NET_NAME_PATH=\x1b]0;x\x07\nE:\nno line\n\xff')
    one.says('ip -j address show', '[{"ifname": "eth0", "addr_info": "none"}, 7, null]')
    one.fails('ethtool -i eth0', 'gave no answer in 10 seconds')
    one.disk(
        'sda', '8:0; rm', 'pci0000:00/ata1/0:0:0:0', 2**50, {'device/model': b'\xff' * 5000, 'queue/rotational': '7\n'}
    )
    one.disk(
        'sdb', '8:16', 'pci0000:00/ata2/0:0:0:0', 4096, {'device/vpd_pg80': b'\0\x80\xff'}, ['S:', 'E:', 'X', 'E:=', '']
    )
    one.says('smartctl --json --info --health --attributes /dev/sda', '{"smart_status": {"passed": "yes"}, "temp')
    one.smart('sdb', ['not', {'what': 'is expected'}])
    one.put('sys/class/tpm/tpm0/tpm_version_major', 'two\n')
    one.put('dev/ipmi0', '')
    one.says('ipmitool mc info', 'Firmware Revision : \x1b[31m1.0\n')
    one.fails('ipmitool lan print 1', 'gave no answer in 15 seconds')
    one.put('sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c', b'\x06')
    return one


MACHINES: dict[str, Callable[[Path], Machine]] = {'dell': dell, 'whitebox': whitebox, 'hostile': hostile}
