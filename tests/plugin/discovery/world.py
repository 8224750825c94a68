"""Facts of machines as they report them, and a small NetBox in which they can be found."""

import copy
from dataclasses import dataclass
from typing import Any

from netaddr import IPNetwork

from dcim.models import (
    Device,
    DeviceRole,
    DeviceType,
    Interface,
    InterfaceTemplate,
    MACAddress,
    Manufacturer,
    PowerPortTemplate,
    Rack,
    Site,
)
from ipam.models import IPRange, Prefix
from virtualization.models import Cluster, ClusterType

from netbox_substruct.models import BootServer, FactSet, Machine, Profile, Subnet

UUID = '4c4c4544-0043-4b10-8052-b4c04f4d3232'
SERIAL = 'CK1RM22'
NICS = ('d0:8e:79:bb:11:10', 'd0:8e:79:bb:11:11', '68:05:ca:3a:00:20')
BMC_MAC = 'd0:8e:79:bb:11:20'
GIB = 1 << 30

# A rack server: two ports on board of which the first booted, a card with two, two disks, eight modules, a BMC.
SERVER: dict[str, Any] = {
    'system': {
        'manufacturer': 'Dell Inc.', 'product': 'PowerEdge R650', 'version': 'Not Specified', 'serial': SERIAL,
        'uuid': UUID, 'asset_tag': 'A-1001', 'sku': 'SKU=0A6B;ModelName=PowerEdge R650', 'family': 'PowerEdge',
        'virtual': False,
    },
    'board': {'manufacturer': 'Dell Inc.', 'product': '0PYXKY', 'serial': '.CK1RM22.CNIVC0012A00B1.'},
    'chassis': {'manufacturer': 'Dell Inc.', 'type': 'Rack Mount Chassis', 'serial': SERIAL, 'asset_tag': 'A-1001'},
    'firmware': {'mode': 'uefi', 'vendor': 'Dell Inc.', 'version': '1.6.5', 'date': '04/15/2022', 'secure_boot': False},
    'tpm': {'version': '2.0'},
    'cpu': {
        'architecture': 'x86_64', 'sockets': 2, 'cores': 32, 'threads': 64, 'model': 'Intel(R) Xeon(R) Gold 6326',
        'processors': [
            {'socket': 'CPU1', 'model': 'Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz', 'cores': 16, 'threads': 32,
             'speed_mhz': 2900},
            {'socket': 'CPU2', 'model': 'Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz', 'cores': 16, 'threads': 32,
             'speed_mhz': 2900},
        ],
    },
    'memory': {
        'total_bytes': 269_000_000_000,
        'modules': [
            {'slot': f'A{n}', 'size_bytes': 32 * GIB, 'type': 'DDR4', 'speed_mts': 3200,
             'manufacturer': 'Hynix Semiconductor', 'part_number': 'HMA84GR7DJR4N-XN', 'serial': f'7C9A0{n:02}'}
            for n in range(1, 9)
        ],
    },
    'disks': [
        {'name': 'nvme0n1', 'path': '/dev/nvme0n1', 'size_bytes': 1_920_383_410_176, 'vendor': None,
         'model': 'SAMSUNG MZQL21T9HCJR-00A07', 'serial': 'S64GNE0R500101', 'wwn': 'eui.3634473052500001',
         'firmware': 'GDC5602Q', 'transport': 'nvme', 'rotational': False, 'removable': False,
         'by_id': ['nvme-SAMSUNG_MZQL21T9HCJR-00A07_S64GNE0R500101'], 'by_path': 'pci-0000:65:00.0-nvme-1',
         'pci_address': '0000:65:00.0',
         'health': {'passed': True, 'temperature_c': 31, 'power_on_hours': 812, 'wear_percent': 1}},
        {'name': 'sda', 'path': '/dev/sda', 'size_bytes': 4_000_787_030_016, 'vendor': 'SEAGATE',
         'model': 'ST4000NM019B', 'serial': 'WX60A1B2', 'transport': 'sas', 'rotational': True, 'removable': False,
         'health': {'passed': True}},
        {'name': 'sdb', 'size_bytes': 16 * GIB, 'model': 'Virtual CD', 'transport': 'usb', 'removable': True},
    ],
    'interfaces': [
        {'name': 'eno1', 'mac': NICS[0], 'permanent_mac': NICS[0], 'driver': 'tg3', 'pci_address': '0000:04:00.0',
         'vendor': 'Broadcom', 'product': 'NetXtreme BCM5720', 'link': True, 'speed_mbps': 1000, 'mtu': 1500,
         'kind': 'physical', 'boot': True, 'addresses': ['10.8.1.107/24', 'fe80::d28e:79ff:febb:1110/64'],
         'lldp': {'chassis_id': '2c:dd:e9:00:00:01', 'chassis_name': 'leaf-17a.example.com', 'port_id': 'Ethernet7',
                  'port_description': 'srv', 'management_addresses': ['10.8.9.17'], 'vlan': 108}},
        {'name': 'eno2', 'mac': NICS[1], 'permanent_mac': NICS[1], 'driver': 'tg3', 'pci_address': '0000:04:00.1',
         'vendor': 'Broadcom', 'product': 'NetXtreme BCM5720', 'link': False, 'speed_mbps': None, 'kind': 'physical'},
        {'name': 'enp59s0', 'mac': NICS[2], 'driver': 'ice', 'pci_address': '0000:3b:00.0', 'vendor': 'Intel',
         'product': 'E810-XXV', 'link': True, 'speed_mbps': 25000, 'kind': 'physical', 'lldp': None},
        {'name': 'lo', 'mac': '00:00:00:00:00:00', 'kind': 'loopback', 'addresses': ['127.0.0.1/8']},
    ],
    'bmc': {'address': '10.8.9.107', 'mac': BMC_MAC, 'subnet_mask': '255.255.255.0', 'gateway': '10.8.9.1',
            'source': 'static', 'vlan': None, 'firmware': '6.10.30.00'},
    'prospector': {'version': '0.1.0', 'kernel': '6.1.0-30-amd64', 'seconds': 9.4},
    'problems': ['smartctl /dev/sdb: no such device'],
}  # fmt: skip

# A guest of QEMU, whose firmware says little.
GUEST: dict[str, Any] = {
    'system': {
        'manufacturer': 'QEMU', 'product': 'Standard PC (Q35 + ICH9, 2009)', 'serial': 'Not Specified',
        'uuid': '9d2f6c34-6f5e-4c4f-9a0b-6a1f6e0c1d11', 'virtual': True,
    },
    'firmware': {'mode': 'bios', 'vendor': 'SeaBIOS'},
    'cpu': {'architecture': 'x86_64', 'sockets': 1, 'cores': 2, 'threads': 2, 'model': 'QEMU Virtual CPU version 2.5+'},
    'memory': {'total_bytes': 2_094_878_720, 'modules': []},
    'disks': [{'name': 'vda', 'size_bytes': 20 * GIB, 'transport': 'virtio', 'removable': False}],
    'interfaces': [
        {'name': 'eth0', 'mac': '52:54:00:12:34:01', 'driver': 'virtio_net', 'link': True, 'kind': 'physical',
         'boot': True, 'addresses': ['10.8.1.150/24']},
    ],
}  # fmt: skip


def server(**changes: Any) -> dict[str, Any]:
    """The server, with other values at paths such as `system__serial`."""
    found = copy.deepcopy(SERVER)
    for path, value in changes.items():
        *above, last = path.split('__')
        place = found
        for name in above:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[int(last) if isinstance(place, list) else last] = value
    return found


@dataclass
class World:
    site: Site
    role: DeviceRole
    manufacturer: Manufacturer
    device_type: DeviceType  # has gig1, gig2, port3, one power port and a management port
    rack: Rack
    switch: Device  # leaf-17a, with Ethernet1 to Ethernet8
    subnet: Subnet  # 10.8.1.0/24 with leases from .100 on
    cluster: Cluster
    profile: Profile
    boot_server: BootServer


def a_world() -> World:
    site = Site.objects.create(name='Berlin', slug='ber')
    role = DeviceRole.objects.create(name='Server', slug='server', color='2196f3')
    manufacturer = Manufacturer.objects.create(name='Dell', slug='dell')
    device_type = DeviceType.objects.create(
        manufacturer=manufacturer, model='PowerEdge R650', slug='dell-poweredge-r650', u_height=1
    )
    for name, kind, management in (
        ('gig1', '1000base-t', False), ('gig2', '1000base-t', False), ('port3', '25gbase-x-sfp28', False),
        ('iDRAC', '1000base-t', True),
    ):  # fmt: skip
        InterfaceTemplate.objects.create(device_type=device_type, name=name, type=kind, mgmt_only=management)
    PowerPortTemplate.objects.create(device_type=device_type, name='PSU1')
    rack = Rack.objects.create(name='17', site=site, u_height=42)
    arista = Manufacturer.objects.create(name='Arista', slug='arista')
    switch = Device.objects.create(
        name='leaf-17a', site=site, role=DeviceRole.objects.create(name='Leaf', slug='leaf'), serial='LEAF17A',
        device_type=DeviceType.objects.create(manufacturer=arista, model='7050', slug='7050'),
    )  # fmt: skip
    for number in range(1, 9):
        Interface.objects.create(device=switch, name=f'Ethernet{number}', type='25gbase-x-sfp28')
    prefix = Prefix.objects.create(prefix=IPNetwork('10.8.1.0/24'), scope=site)
    Prefix.objects.create(prefix=IPNetwork('10.8.9.0/24'), scope=site)
    boot_server = BootServer.objects.create(name='boot-ber', base_url='http://10.8.1.2')
    subnet = Subnet.objects.create(
        prefix=prefix, boot_server=boot_server, gateway='10.8.1.1', discovery_enabled=True,
        lease_range=IPRange.objects.create(
            start_address=IPNetwork('10.8.1.100/24'), end_address=IPNetwork('10.8.1.200/24')
        ),
    )  # fmt: skip
    return World(
        site=site, role=role, manufacturer=manufacturer, device_type=device_type, rack=rack, switch=switch,
        subnet=subnet, cluster=Cluster.objects.create(
            name='KVM', type=ClusterType.objects.create(name='KVM', slug='kvm')
        ),
        profile=Profile.objects.create(name='Debian', slug='debian'), boot_server=boot_server,
    )  # fmt: skip


def discovered(data: dict[str, Any] | None = None, **fields: Any) -> Machine:
    """A machine that has reported itself."""
    from django.db import transaction
    from django.utils import timezone

    from netbox_substruct.discovery import facts, taking
    from netbox_substruct.identity import Identity

    data = server() if data is None else data
    found = facts.read(data).facts
    identity = Identity.of(found.system.uuid, found.serial, found.macs)
    with transaction.atomic():
        machine = taking.take(
            None, identity, source='prospector', collected=timezone.now(), format_version=1, data=data
        )
    if fields:
        Machine.objects.filter(pk=machine.pk).update(**fields)
        machine.refresh_from_db()
    return machine


def another(number: int, **changes: Any) -> Machine:
    """A server like the first, with identifiers of its own, and without the neighbour that only one can have."""
    facts = server(
        system__serial=f'SER{number:04}', chassis__serial=f'SER{number:04}',
        system__uuid=f'4c4c4544-0043-4b10-8052-b4c04f4d{number:04}', system__asset_tag=None, chassis__asset_tag=None,
        interfaces__0__addresses=[f'10.8.1.{100 + number}/24'], interfaces__0__lldp=None,
        bmc__mac=f'd0:8e:79:bc:{number:02}:20', bmc__address=f'10.8.9.{100 + number}', **changes,
    )  # fmt: skip
    for port in range(3):
        mac = f'd0:8e:79:bc:{number:02}:{port:02}'
        facts['interfaces'][port] |= {'mac': mac, 'permanent_mac': mac}
    return discovered(facts)


def a_device(world: World, name: str, *, serial: str = '', macs: tuple[str, ...] = (), **fields: Any) -> Device:
    """A device with ports eth0, eth1, … that have these MAC addresses."""
    device = Device.objects.create(
        name=name, site=world.site, role=world.role, device_type=fields.pop('device_type', a_plain_type(world)),
        serial=serial, status='planned', **fields,
    )  # fmt: skip
    for number, mac in enumerate(macs):
        port = Interface.objects.create(device=device, name=f'eth{number}', type='1000base-t')
        port.primary_mac_address = MACAddress.objects.create(mac_address=mac, assigned_object=port)
        port.save()
    return device


def a_plain_type(world: World) -> DeviceType:
    """A device type without components."""
    return DeviceType.objects.get_or_create(manufacturer=world.manufacturer, model='Plain', slug='plain')[0]


def facts_of(machine: Machine) -> FactSet:
    return FactSet.objects.filter(machine=machine).first()
