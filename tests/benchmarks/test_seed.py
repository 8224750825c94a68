"""How long seeding takes, beside the same servers written one by one through NetBox's models."""

import time

import pytest

from .conftest import Report, sizes

BY_HAND = 24


@pytest.mark.django_db
@pytest.mark.parametrize('machines', sizes((1_000, 10_000)))
def test_seeding(machines: int, report: Report) -> None:
    from lab.seeding import seed

    begun = time.perf_counter()
    # Builds under way are rendered by the plugin: a handful whatever the size, and no part of writing many rows.
    summary = seed(machines, say=print, under_way=False)
    seconds = time.perf_counter() - begun
    peer = by_hand()
    report.add(
        f'seeding {machines:,} machines ({summary.total_rows:,} rows)',
        f'{seconds:.1f} s, {machines / seconds:,.0f} machines/s',
        f'{1 / peer:.1f} servers/s through save()',
        f'{peer * machines / seconds:.0f} times faster (aim: 10,000 in less than 30 s)',
    )


def by_hand() -> float:
    """Seconds that a server takes with its ports, addresses and cables, saved as scripts in NetBox do it."""
    from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, MACAddress, Site
    from ipam.models import IPAddress

    site, role = Site.objects.first(), DeviceRole.objects.get(slug='web')
    kind = DeviceType.objects.get(slug='dell-poweredge-r650')
    switch = Device.objects.create(name='by-hand', site=site, role=role, device_type=kind)
    begun = time.perf_counter()
    for number in range(BY_HAND):
        device = Device.objects.create(name=f'by-hand-{number}', site=site, role=role, device_type=kind)
        for place, interface in enumerate(device.interfaces.all()):
            octets = f'{number:02x}:{place:02x}'
            mac = MACAddress.objects.create(mac_address=f'02:00:00:00:{octets}', assigned_object=interface)
            interface.primary_mac_address = mac
            interface.save()
            other = Interface.objects.create(device=switch, name=f'Ethernet{number}/{place}', type='25gbase-x-sfp28')
            Cable(a_terminations=[interface], b_terminations=[other]).save()
        address = IPAddress.objects.create(address=f'192.0.2.{number + 1}/24', assigned_object=interface)
        device.primary_ip4 = address
        device.save()
    return (time.perf_counter() - begun) / BY_HAND
