"""Machines of every kind as templates see them, by what is odd about each: their ports, and their disks."""

from typing import Any

from msgspec import to_builtins

from netbox_substruct.context import schema
from netbox_substruct.context.naming import os_names

from .samples import address, context

ONE, TWO, THREE = ('52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:03')
NET4 = {'gateway': '10.1.2.1', 'name_servers': ('10.1.0.53', '10.1.1.53'), 'domain': 'dc1.example.com'}
NET6 = {'gateway': '2001:db8::1', 'name_servers': ('2001:db8::53',), 'domain': 'dc1.example.com'}


def port(name: str, mac: str = '', *addresses: schema.Address, **values: Any) -> schema.Interface:
    (os_name,) = os_names([name])
    return schema.Interface(
        **{
            'name': name, 'os_name': os_name, 'type': '1000base-t', 'label': '', 'description': '', 'enabled': True,
            'mac': mac, 'mtu': None, 'mgmt_only': False, 'lag': '', 'members': (), 'parent': '', 'bridge': '',
            'mode': '', 'untagged_vlan': None, 'tagged_vlans': (), 'addresses': addresses, **values,
        }
    )  # fmt: skip


def vlan(vid: int) -> schema.VLAN:
    return schema.VLAN(vid=vid, name=f'vlan {vid}')


def machine(*ports: schema.Interface, booted: str = '', **changes: Any) -> dict[str, Any]:
    """A context of a machine with these ports."""
    primary = [found for one in ports for found in one.addresses if found.primary]
    main = next(iter(primary), None)
    net = schema.Network(
        interface=booted or ports[0].name,
        ip4=next((found for found in primary if found.family == 4), None),
        ip6=next((found for found in primary if found.family == 6), None),
        gateway=main.gateway if main else '', name_servers=main.name_servers if main else (), ntp_servers=(),
        domain=main.domain if main else '',
    )  # fmt: skip
    return context(interfaces=to_builtins(ports), network=to_builtins(net), **changes)


BOND = (
    port('eno1', ONE, lag='bond0'),
    port('eno2', TWO, lag='bond0'),
    port('bond0', '', type='lag', members=('eno1', 'eno2'), mtu=9000),
    port(
        'bond0.100', '', address('10.1.2.5/24', **NET4), type='virtual', parent='bond0', untagged_vlan=vlan(100),
        mode='access',
    ),
)  # fmt: skip
MACHINES = {
    'one port, DHCP by status': machine(port('eno1', ONE, address('10.1.2.5/24', assignment='dhcp', **NET4))),
    'one port, no address': machine(port('eno1', ONE)),
    'one port, static': machine(port('eno1', ONE, address('10.1.2.5/24', **NET4))),
    'static although DHCP is wanted': machine(
        port('eno1', ONE, address('10.1.2.5/24', **NET4)), parameters={'network': {'method': 'dhcp'}}
    ),
    'both families and a second port': machine(
        port('eno1', ONE, address('10.1.2.5/24', **NET4), address('2001:db8::5/64', **NET6), mtu=9000),
        port('eno2', TWO, address('10.9.0.5/24', primary=False)),
        port('oob', THREE, address('10.8.0.5/24', primary=False), mgmt_only=True),
        parameters={
            'network': {'routes': [{'interface': 'eno2', 'to': '10.9.0.0/16', 'via': '10.9.0.1', 'metric': 5}]}
        },
    ),
    'IPv6 only': machine(port('eno1', ONE, address('2001:db8::5/64', **NET6))),
    'IPv6 by router advertisement': machine(port('eno1', ONE, address('2001:db8::5/64', assignment='slaac', **NET6))),
    'bond with a VLAN': machine(*BOND, booted='eno1'),
    'bond that asks': machine(*BOND[:3], booted='eno1'),
    'bridge over a bond': machine(
        *BOND[:2], port('bond0', '', type='lag', members=('eno1', 'eno2'), bridge='br0'),
        port('br0', '', address('10.1.2.5/24', **NET4), type='bridge'), booted='eno1',
    ),
    'VLANs on a port, by their names': machine(
        port('eno1', ONE, address('10.1.2.5/24', **NET4)),
        port('eno1.200', '', address('10.2.0.5/24', primary=False), type='virtual', parent='eno1'),
        port('vlan300', '', address('10.3.0.5/24', primary=False), type='virtual', parent='eno1'),
        port('storage', '', address('10.4.0.5/24', primary=False), type='virtual', parent='eno1',
             tagged_vlans=(vlan(400),)),
    ),
    'odd names': machine(
        port('GigabitEthernet1/0/1', ONE, address('10.1.2.5/24', **NET4)),
        port('Port "2": \'x\'\n- y', TWO, address('10.9.0.5/24', primary=False)),
        machine__name='web "01"\n#x: [', machine__hostname='web-01', machine__fqdn='web-01.dc1.example.com',
    ),
    'loopback, and what cloud-init cannot make': machine(
        port('eno1', ONE, address('10.1.2.5/24', **NET4)),
        port('lo', '', address('10.255.0.1/32', primary=False), type='virtual'),
        port('dummy0', '', address('10.255.0.2/32', primary=False), type='virtual'),
    ),
    'a virtual machine': machine(
        port('eth0', ONE, address('10.1.2.5/32', **NET4), type='virtual'), machine__kind='virtual-machine'
    ),
}  # fmt: skip


def disk(name: str, gigabytes: int, transport: str = 'sata', **values: Any) -> dict[str, Any]:
    """A disk as the prospector reports it."""
    return to_builtins(
        schema.Disk(
            **{
                'name': name, 'device': f'/dev/disk/by-id/wwn-0x5000c500{name}', 'size_bytes': gigabytes * 10**9,
                'vendor': 'SEAGATE', 'model': 'ST480', 'serial': f'S-{name}', 'wwn': f'0x5000c500{name}',
                'transport': transport, 'rotational': False, **values,
            }
        )
    )  # fmt: skip


FOUR = [disk('sda', 480), disk('sdb', 480), disk('sdc', 4000), disk('nvme0n1', 960, 'nvme')]


def with_disks(layout: dict[str, Any], *found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Changes of a context: a machine with these disks and this layout."""
    return {'disks__found': list(found), 'profile__disk_layout': layout, **changes}
