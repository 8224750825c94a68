"""The feed, through HTTP, beside what the stock API offers for the same purpose.

Snapshot: beside the same facts read with pynetbox (devices, interfaces, MAC addresses, IP addresses; fields limited,
cursor pagination).  Delta after one change: beside an empty poll of the stock change log.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pynetbox
import pytest
import requests

from .conftest import Labs, Report, SeededLab, shell, sizes

FIELDS = {
    'dcim.devices': 'id,name,serial,site,status,primary_ip4,primary_ip6',
    'dcim.interfaces': 'id,device,name,type,enabled,mgmt_only,mtu,lag,parent,bridge,mode,untagged_vlan,tagged_vlans',
    'dcim.mac_addresses': 'id,mac_address,assigned_object_type,assigned_object_id',
    'ipam.ip_addresses': 'id,address,dns_name,vrf,assigned_object_type,assigned_object_id',
}


def feed(lab: SeededLab, session: requests.Session, after: str | None = None) -> Iterator[bytes]:
    url = f'{lab.url}api/plugins/substruct/boot-servers/{lab.boot_server}/feed/'
    response = session.get(url, params={'after': after} if after else None, stream=True, timeout=600)
    assert response.status_code == 200, response.text[:500]
    return response.iter_lines(chunk_size=1 << 16)


def session_of(lab: SeededLab) -> requests.Session:
    session = requests.Session()
    session.headers['Authorization'] = f'Bearer {lab.token}'
    session.trust_env = False
    return session


def read_snapshot(lab: SeededLab, session: requests.Session) -> tuple[str, int, float]:
    """Cursor, machines and seconds from first byte asked for to last byte read."""
    begun = time.perf_counter()
    header, end, machines = b'', b'', 0
    for line in feed(lab, session):
        header = header or line
        machines += line.startswith(b'{"kind":"machine"')
        end = line
    seconds = time.perf_counter() - begun
    assert json.loads(end)['kind'] == 'end'
    return json.loads(header)['cursor'], machines, seconds


def read_with_pynetbox(lab: SeededLab) -> tuple[int, float]:
    """Objects and seconds."""
    netbox = pynetbox.api(lab.url, token=lab.token, pagination='cursor')
    netbox.http_session.trust_env = False
    begun, count = time.perf_counter(), 0
    for name, fields in FIELDS.items():
        app, endpoint = name.split('.')
        for record in getattr(getattr(netbox, app), endpoint).filter(fields=fields, limit=1000):
            count += 1
            assert record.id
    return count, time.perf_counter() - begun


def workers(lab: SeededLab) -> list[Path]:
    """/proc folders of the web server's processes."""
    master = next(s.pid for s in lab.lab.status() if s.name == 'web')
    children = Path(f'/proc/{master}/task/{master}/children').read_text().split()
    return [Path(f'/proc/{pid}') for pid in children]


def kib(process: Path, field: str) -> int:
    line = next(line for line in (process / 'status').read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1])


class Memory:
    """How far the web server's processes grow beyond what they held, in MiB."""

    def __init__(self, lab: SeededLab) -> None:
        self.before = {}
        for process in workers(lab):
            (process / 'clear_refs').write_text('5')  # resets the peak (proc(5))
            self.before[process] = kib(process, 'VmRSS')

    def growth(self) -> float:
        return max(kib(process, 'VmHWM') - before for process, before in self.before.items()) / 1024


@pytest.fixture(scope='module', params=sizes((1_000, 10_000, 100_000)))
def lab(request: pytest.FixtureRequest, labs: Labs) -> SeededLab:
    return labs.of(request.param)


def median_ms(count: int, function: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """The median of so many runs, in milliseconds; `before` runs ahead of each and is not measured."""
    took = []
    for _ in range(count):
        before()
        begun = time.perf_counter()
        function()
        took.append(time.perf_counter() - begun)
    return 1000 * statistics.median(took)


DELTAS: dict[int, float] = {}


def test_delta_after_one_change(lab: SeededLab, report: Report) -> None:
    machines = lab.machines
    session = session_of(lab)
    cursor = json.loads(next(feed(lab, session, read_snapshot(lab, session)[0])))['cursor']
    state = {'cursor': cursor, 'number': 0}
    with lab.lab.cluster.connect('netbox') as connection:
        connection.autocommit = True

        def change() -> None:
            state['number'] += 1
            connection.execute(
                'UPDATE dcim_device SET name = %s WHERE id = (SELECT device_id FROM netbox_substruct_machine '
                'WHERE device_id IS NOT NULL ORDER BY id LIMIT 1 OFFSET %s)',
                [f'B{state["number"]}', state['number'] % 500],
            )

        def delta() -> None:
            lines = list(feed(lab, session, state['cursor']))
            assert len(lines) == 3 and f'"B{state["number"]}"'.encode() in lines[1], lines
            state['cursor'] = json.loads(lines[0])['cursor']

        for _ in range(5):
            change()
            delta()
        ours = median_ms(60, delta, change)

    newest = shell(
        lab.lab, "from core.models import ObjectChange as O; print('>>>', (O.objects.first() or O(pk=0)).pk)"
    )
    poll_url = f'{lab.url}api/core/object-changes/?id__gt={newest.strip()}&limit=100'

    def poll() -> None:
        assert session.get(poll_url, timeout=60).json()['results'] == []

    poll()
    peer = median_ms(60, poll)
    DELTAS[machines] = ours
    smallest = DELTAS[min(DELTAS)]
    report.add(
        f'feed delta after one change, {machines:,} machines',
        f'{ours:.1f} ms',
        f'empty stock change-log poll {peer:.1f} ms',
        f'{ours / smallest:.2f} times that at {min(DELTAS):,} (aim: 1.3 at most)',
    )


def test_snapshot(lab: SeededLab, report: Report) -> None:
    machines = lab.machines
    session = session_of(lab)
    read_snapshot(lab, session)  # what a worker loads on its first request is not the feed's
    memory = Memory(lab)
    runs = [read_snapshot(lab, session) for _ in range(3)]
    assert {count for _, count, _ in runs} == {machines}
    seconds = statistics.median(took for _, _, took in runs)
    growth = memory.growth()
    print(f'\n    feed snapshot, {machines:,} machines: {seconds:.2f} s; now the peer')
    objects, peer = read_with_pynetbox(lab)
    report.add(
        f'feed snapshot, {machines:,} machines',
        f'{seconds:.2f} s, worker grew {growth:.1f} MiB',
        f'pynetbox {peer:.1f} s for {objects:,} objects',
        f'{peer / seconds:.0f} times faster (aim: 50)',
    )
