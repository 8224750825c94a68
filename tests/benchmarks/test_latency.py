"""From a change saved in NetBox to a DHCP answer with it: webhook, feed, plan, Kea's host database, packet.

Beside it the time that regenerating everything takes before a single answer changes: reading the same facts with
pynetbox (its own cost; writing a file and restarting a server would come on top).  100,000 machines are read in part
and extrapolated, and the report says so.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pynetbox
import pytest

from tests.e2e.whole import Whole, the_whole, until
from tests.sidecar import net
from tests.sidecar.dhcp import kea_servers

from .conftest import Labs, Report, sizes
from .test_feed import FIELDS

ROUNDS = 40
MAC = '02:00:00:60:00:11'
ADDRESSES = ('10.60.0.11/24', '10.60.0.21/24')
# Objects of each kind that the peer reads of a data centre that is larger.
PEER_READS = 20_000


@pytest.fixture(scope='module', params=sizes((1_000, 100_000)), ids=lambda size: f'{size}-machines')
def whole(request: pytest.FixtureRequest, labs: Labs) -> Iterator[Whole]:
    if reason := net.missing() or kea_servers.missing('postgresql'):
        pytest.skip(reason)
    net.sweep()
    lab = labs.of(request.param)
    # The poll alone would take minutes: what arrives sooner came by the webhook.
    with the_whole(lab.lab, boot_server='benchmark', poll=600.0) as found:
        found.machines = request.param
        found.start_kea()
        found.start_sidecar()
        yield found


def test_from_a_saved_change_to_the_answer(whole: Whole, report: Report) -> None:
    address = a_machine(whole)
    until(lambda: whole.discover(MAC).address == ADDRESSES[0].split('/')[0], 'DHCP knows the machine', 900)
    seconds = []
    for round_ in range(ROUNDS):
        wanted = ADDRESSES[(round_ + 1) % 2]
        address.update({'address': wanted})
        saved = time.monotonic()
        while whole.discover(MAC).address != wanted.split('/')[0]:
            assert time.monotonic() - saved < 60, 'the change does not arrive'
            time.sleep(0.005)
        seconds.append(time.monotonic() - saved)
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[-1 if len(ordered) < 100 else int(len(ordered) * 0.99)]
    read, there, took = read_with_pynetbox(whole)
    whole_time = took * there / max(1, read)
    note = '' if read == there else f', extrapolated from {read:,}'
    report.add(
        f'change to DHCP answer, {whole.machines:,} machines', f'p50 {p50:.2f} s, slowest of {ROUNDS} {p99:.2f} s',
        f'reading all with pynetbox {whole_time:.0f} s{note}', f'{whole_time / p50:.0f} times',
    )  # fmt: skip
    memory = {name: resident(pid) for name, pid in whole.processes().items()}
    total = sum(memory.values()) + resident(whole.sidecar.pid)
    parts = ', '.join(f'{name} {size:.0f}' for name, size in memory.items())
    report.add(
        f'memory of the sidecar, {whole.machines:,} machines', f'{total:.0f} MiB in all ({parts})', 'aim: under 500', ''
    )


def test_starts_and_serves_without_netbox(whole: Whole, report: Report) -> None:
    until(lambda: '#!ipxe' in whole.script(MAC), 'the machine is known', 900)
    whole.stop_sidecar()
    config = whole.folder / 'sidecar.toml'
    config.write_text(config.read_text().replace(whole.lab.url.rstrip('/'), 'http://127.0.0.1:9'))
    whole.configure = lambda: config
    began = time.monotonic()
    whole.start_sidecar()
    while 'srv-bench' not in whole.script(MAC):
        assert time.monotonic() - began < 60
    report.add(
        f'start to first script, no NetBox, {whole.machines:,} machines', f'{time.monotonic() - began:.2f} s',
        'aim: under 2 s', '',
    )  # fmt: skip


def a_machine(whole: Whole) -> pynetbox.core.response.Record:
    """A machine in a subnet where a client of this test can ask; gives its address in NetBox."""
    api, substruct = whole.api, whole.substruct
    server = substruct.boot_servers.get(name='benchmark')
    prefix = api.ipam.prefixes.create(prefix='10.60.0.0/24')
    substruct.subnets.create(prefix=prefix.id, gateway='10.60.0.1', boot_server=server.id, dhcp_enabled=True)
    template = next(iter(api.dcim.devices.filter(limit=1)))
    device = api.dcim.devices.create(
        name='srv-bench', site=template.site.id, role=template.role.id, device_type=template.device_type.id,
        status='planned',
    )  # fmt: skip
    interface = api.dcim.interfaces.create(device=device.id, name='bench0', type='1000base-t')
    hardware = api.dcim.mac_addresses.create(
        mac_address=MAC, assigned_object_type='dcim.interface', assigned_object_id=interface.id
    )
    interface.update({'primary_mac_address': hardware.id})
    address = api.ipam.ip_addresses.create(
        address=ADDRESSES[0], assigned_object_type='dcim.interface', assigned_object_id=interface.id
    )
    substruct.machines.create(device=device.id, architecture='x86_64', firmware='uefi', boot_mac=MAC)
    return address


def read_with_pynetbox(whole: Whole) -> tuple[int, int, float]:
    """(objects read, objects there, seconds)."""
    began, read, there = time.monotonic(), 0, 0
    for path, fields in FIELDS.items():
        app, _, name = path.partition('.')
        endpoint = getattr(getattr(whole.api, app), name)
        there += endpoint.count()
        for count, _ in enumerate(endpoint.filter(fields=fields, limit=1000), start=1):
            read += 1
            if count >= PEER_READS:
                break
    return read, there, time.monotonic() - began


def resident(pid: int) -> float:
    """MiB of a process, with its children's not counted; pages shared with others count in part (Pss)."""
    lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith('Pss:'))
