"""A small data centre for tests of the feed, and a reader that keeps what it was told as a sidecar would."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from netbox_substruct.feed import messages, reader


def a_world() -> 'World':
    from netaddr import IPNetwork

    from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Site
    from ipam.models import IPAddress, IPRange, Prefix

    from netbox_substruct.models import BootServer, Machine, Subnet, Zone

    site = Site.objects.create(name='Berlin', slug='ber')
    other_site = Site.objects.create(name='Oslo', slug='osl')
    manufacturer = Manufacturer.objects.create(name='Acme', slug='acme')
    device_type = DeviceType.objects.create(manufacturer=manufacturer, model='S1', slug='s1')
    role = DeviceRole.objects.create(name='Server', slug='server')

    whole = Prefix.objects.create(prefix=IPNetwork('10.0.0.0/8'))
    lan = Prefix.objects.create(prefix=IPNetwork('10.1.0.0/24'), scope=site)
    other_lan = Prefix.objects.create(prefix=IPNetwork('10.2.0.0/24'), scope=other_site)
    lan6 = Prefix.objects.create(prefix=IPNetwork('2001:db8:1::/64'), scope=site)
    lease_range = IPRange.objects.create(
        start_address=IPNetwork('10.1.0.100/24'), end_address=IPNetwork('10.1.0.200/24')
    )

    berlin = BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2')
    berlin.prefixes.add(lan, lan6)
    oslo = BootServer.objects.create(name='boot-osl', base_url='http://10.2.0.2')
    oslo.sites.add(other_site)

    Subnet.objects.create(
        prefix=whole, name_servers=['10.0.0.53'], domain='example.com', dhcp_options={'66': 'a', '67': 'b'}
    )
    subnet = Subnet.objects.create(
        prefix=lan, gateway='10.1.0.1', lease_range=lease_range, dhcp_enabled=True, dhcp_options={'67': 'c'}
    )
    Subnet.objects.create(prefix=other_lan, dhcp_enabled=True)
    Subnet.objects.create(prefix=lan6, dhcp_enabled=True)
    zone = Zone.objects.create(name='ber.example.com', boot_server=berlin)
    Zone.objects.create(name='1.10.in-addr.arpa', boot_server=berlin)

    devices = []
    for number, (where, address) in enumerate(
        [(site, '10.1.0.11/24'), (site, '10.1.0.12/24'), (other_site, '10.2.0.11/24')], start=1
    ):
        device = Device.objects.create(
            name=f'srv-{number}', site=where, device_type=device_type, role=role, serial=f'SN{number}'
        )
        interface = Interface.objects.create(device=device, name='eth0', type='1000base-t')
        mac = MACAddress.objects.create(mac_address=f'00:00:5E:00:53:0{number}', assigned_object=interface)
        interface.primary_mac_address = mac
        interface.save()
        ip = IPAddress.objects.create(
            address=IPNetwork(address), assigned_object=interface, dns_name=f'srv-{number}.ber.example.com'
        )
        device.primary_ip4 = ip
        device.save()
        Machine.objects.create(device=device, firmware='uefi')
        devices.append(device)
    return World(
        site=site, other_site=other_site, berlin=berlin, oslo=oslo, lan=lan, other_lan=other_lan, whole=whole,
        subnet=subnet, zone=zone, devices=devices,
    )  # fmt: skip


@dataclass
class World:
    site: Any
    other_site: Any
    berlin: Any
    oslo: Any
    lan: Any
    other_lan: Any
    whole: Any
    subnet: Any
    zone: Any
    devices: list[Any]

    def machine(self, number: int) -> Any:
        from netbox_substruct.models import Machine

        return Machine.objects.get(device=self.devices[number])

    def interface(self, number: int) -> Any:
        return self.devices[number].interfaces.get(name='eth0')


_decoder = msgspec.json.Decoder(messages.ANY_LINE)
_KIND_OF = {
    messages.Subnet: 'subnet', messages.Zone: 'zone', messages.Record: 'record', messages.BootImage: 'boot-image',
    messages.Machine: 'machine', messages.Task: 'task', messages.Script: 'script',
}  # fmt: skip


@dataclass
class Follower:
    """Keeps the state of one boot server: a snapshot first, then deltas."""

    boot_server: Any
    state: dict[tuple[str, int], Any] = field(default_factory=dict)
    cursor: str | None = None

    def follow(self) -> list[tuple[str, int]]:
        """Read on from where it is; returns the (kind, id) of every line between header and end, in order."""
        lines = [_decoder.decode(line) for line in reader.read(self.boot_server.pk, self.cursor)]
        header, *body, end = lines
        assert isinstance(header, messages.Header) and isinstance(end, messages.End) and end.lines == len(body)
        if header.mode == 'snapshot':
            self.state.clear()
        told = []
        for line in body:
            if isinstance(line, messages.Gone):
                self.state.pop((line.what, line.id), None)
                told.append((line.what, line.id))
            else:
                key = (_KIND_OF[type(line)], line.id)
                self.state[key] = line
                told.append(key)
        self.cursor = header.cursor
        return told

    def all(self, kind: str) -> list[Any]:
        return [line for (what, _), line in sorted(self.state.items()) if what == kind]

    def agrees_with_a_snapshot(self) -> bool:
        """Whether what was followed is what a fresh reader is told: nothing missed, nothing left over."""
        fresh = Follower(self.boot_server)
        fresh.follow()
        assert self.state == fresh.state
        return True
