"""Kea: the full plan and configuration at N machines beside Kea's own check of that file; and one change of a machine.

SUBSTRUCT_BENCH=1000,100000 measures at other sizes.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from substruct_sidecar.desired import (
    Address,
    Boot,
    BootServer,
    End,
    Header,
    Interface,
    Line,
    Machine,
    Subnet,
)
from substruct_sidecar.dhcp.kea import Kea
from substruct_sidecar.dhcp.kea_control import ControlError
from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Plan
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dhcp, NetBox, Paths, Settings
from substruct_sidecar.settings import Kea as KeaSettings
from substruct_sidecar.state import State
from tests.benchmarks.conftest import Report, sizes
from tests.sidecar.dhcp import kea_servers

SIZES = sizes((1_000, 10_000))
PER_SUBNET = 500  # machines in a /22


class Fleet:
    """So many machines in subnets of 500, half of them to be built."""

    def __init__(self, folder: Path, machines: int) -> None:
        self.state = State(folder / 'state.sqlite')
        self.machines = machines
        self._cursor = 0
        self._take('snapshot', self._all())

    def _all(self) -> Iterator[Line]:
        for number in range((self.machines + PER_SUBNET - 1) // PER_SUBNET):
            network = ip_network((int(ip_address('10.0.0.0')) + number * 1024, 22))
            yield Subnet(
                id=number + 1, prefix=str(network), vrf=None, vlan=None, site='Berlin', gateway=str(network[1]),
                name_servers=['10.255.255.1', '10.255.255.2'], ntp_servers=['10.255.255.3'],
                domain='ber.example.com', lease_range=(str(network[900]), str(network[1000])), lease_time=3600,
                dhcp_options={}, dhcp_enabled=True, discovery_enabled=number % 10 == 0,
            )  # fmt: skip
        for number in range(1, self.machines + 1):
            yield self.machine(number)

    def machine(self, number: int, hostname: str = '') -> Machine:
        subnet, host = divmod(number - 1, PER_SUBNET)
        address = ip_address(int(ip_address('10.0.0.0')) + subnet * 1024 + 10 + host)
        mac = f'52:54:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}'
        action = 'build' if number % 2 else 'local'
        return Machine(
            id=number, name=f'srv-{number}', hostname=hostname or f'srv-{number}', fqdn=f'srv-{number}.example.com',
            device=number, virtual_machine=None, site='Berlin', state='built', uuid=None, serial=None,
            architecture='x86_64', firmware='uefi', boot_mac=mac, build=None, bmc=None,
            boot=Boot(action=action, reason='', local_method='no-offer'),
            interfaces=[
                Interface(
                    id=number, name='eth0', type='1000base-t', enabled=True, mgmt_only=False, mtu=None, macs=[mac],
                    lag=None, parent=None, bridge=None, mode=None, untagged_vlan=None, tagged_vlans=[],
                    addresses=[Address(address=f'{address}/22', dns_name=None, vrf=None, subnet=subnet + 1,
                                       primary=True)],
                )
            ],
        )  # fmt: skip

    def change(self, number: int, hostname: str) -> None:
        self._take('delta', iter([self.machine(number, hostname)]))

    def _take(self, mode: Any, lines: Iterator[Line]) -> None:
        self._cursor += 1
        header = Header(
            protocol=1, mode=mode, cursor=str(self._cursor), generated='2026-11-21T12:00:00+00:00',
            boot_server=BootServer(id=5, name='boot', status='active', base_url='http://10.255.255.9:8080'),
        )  # fmt: skip
        with self.state.intake(header, time.time()) as intake:
            count = 0
            for line in lines:
                intake.line(line, msgspec.json.encode(line))  # type: ignore[arg-type]
                count += 1
            intake.end(End(lines=count))


class Served:
    """A fleet, a real kea-dhcp4 without interfaces, and the service on it."""

    def __init__(self, folder: Path, fleet: Fleet, server: kea_servers.Server | None) -> None:
        self.fleet = fleet
        self.output = folder / 'out.conf'
        place = Path(f'/tmp/substruct-bench-{os.getpid()}')
        place.mkdir(exist_ok=True)
        self.place = place
        base: dict[str, Any] = {
            'interfaces-config': {'interfaces': []},
            'control-socket': {'socket-type': 'unix', 'socket-name': str(place / 'socket')},
            'lease-database': {'type': 'memfile', 'persist': False},
        }
        if server is not None:
            base['hosts-database'] = server.words
        (folder / 'base.json').write_bytes(msgspec.json.encode({'Dhcp4': base}))
        settings = Settings(
            netbox=NetBox(url='http://127.0.0.1:1', boot_server='b'), paths=Paths(state=str(folder), run=str(folder)),
            dhcp=Dhcp(
                backend='kea',
                kea=KeaSettings(
                    mode='database' if server else 'config', socket4=str(place / 'socket'),
                    base4=str(folder / 'base.json'), output4=str(self.output),
                    database_url=server.url if server else '',
                    database_credential='kea' if server and server.kind == 'mysql' else '',
                ),
            ),
        )  # fmt: skip
        self.book = Book(folder / 'ledger.sqlite')
        secrets = Secrets(folder, {'SUBSTRUCT_SECRET_KEA': 'se cret'})
        self.service = Kea(settings, secrets, self.book.of('dhcp kea'))
        self.environment = {
            **os.environ, 'KEA_PIDFILE_DIR': str(place), 'KEA_LOCKFILE_DIR': 'none',
            **(server.environment if server else {}),
        }  # fmt: skip
        self.kea: subprocess.Popen[bytes] | None = None
        self.start(folder / 'base.json')
        self.seen = 0

    def start(self, file: Path) -> None:
        """(Again), with this file."""
        if self.kea is not None:
            self.kea.kill()
            self.kea.wait()
        (self.place / 'socket').unlink(missing_ok=True)
        with (self.place / 'log').open('wb') as log:
            self.kea = subprocess.Popen(['kea-dhcp4', '-c', str(file)], env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.service._daemons[0].channel.status()
                return
            except ControlError:
                assert time.monotonic() < deadline, (self.place / 'log').read_text()[-2000:]
                time.sleep(0.01)

    def plan(self, *, full: bool) -> Plan:
        with self.fleet.state.view() as view:
            changed = None if full else view.changed(self.seen)
            self.seen = view.revision
            return self.service.plan(view, changed)

    def close(self) -> None:
        assert self.kea is not None
        self.kea.kill()
        self.kea.wait()
        self.book.close()
        for path in self.place.iterdir():
            path.unlink()
        self.place.rmdir()


def seconds[T](what: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = what()
    return time.perf_counter() - began, found


@pytest.mark.parametrize('machines', SIZES)
def test_the_whole_configuration(machines: int, tmp_path: Path, report: Report) -> None:
    served = Served(tmp_path, Fleet(tmp_path, machines), None)
    try:
        planned, plan = seconds(lambda: served.plan(full=True))
        applied, _ = seconds(lambda: served.service.apply(plan))
        own, done = seconds(
            lambda: subprocess.run(
                ['kea-dhcp4', '-t', str(served.output)], env=served.environment, capture_output=True, check=False
            )
        )
        assert done.returncode == 0, done.stdout[-1000:]
        served.start(served.output)  # as it is documented
        report.add(
            f'Kea, config, {machines} machines: first plan (and apply)',
            f'{planned:.2f} s (+ {applied:.2f} s)',
            f'kea-dhcp4 -t {own:.2f} s; {served.output.stat().st_size / 1e6:.0f} MB',
            f'{planned / own:.1f}',
        )
        again, left = seconds(lambda: served.plan(full=True))
        assert not left.changes
        report.add(f'Kea, config, {machines} machines: full plan without changes', f'{again:.2f} s', f'{own:.2f} s',
                   f'{again / own:.1f}')  # fmt: skip
        served.fleet.change(7, 'renamed')
        one, plan = seconds(lambda: served.plan(full=False))
        assert len(plan.changes) == 2
        served.service._daemons[0]._rest_until = 0  # the pause that keeps Kea from reading all the time
        took, _ = seconds(lambda: served.service.apply(plan))
        report.add(f'Kea, config, {machines} machines: one change', f'{one:.2f} s + {took:.2f} s', f'{own:.2f} s',
                   f'{(one + took) / own:.1f}')  # fmt: skip
    finally:
        served.close()


@pytest.mark.parametrize('kind', ('postgresql', 'mysql'))
@pytest.mark.parametrize('machines', SIZES)
def test_hosts_in_a_database(kind: str, machines: int, tmp_path: Path, report: Report) -> None:
    if reason := kea_servers.missing(kind):
        pytest.skip(reason)
    server = kea_servers.PostgreSql() if kind == 'postgresql' else kea_servers.MariaDb()
    try:
        served = Served(tmp_path, Fleet(tmp_path, machines), server)
        try:
            planned, plan = seconds(lambda: served.plan(full=True))
            applied, _ = seconds(lambda: served.service.apply(plan))
            report.add(f'Kea, {kind}, {machines} machines: first plan, apply', f'{planned:.2f} s, {applied:.2f} s',
                       '', '')  # fmt: skip
            again, left = seconds(lambda: served.plan(full=True))
            assert not left.changes, left.changes[:3]
            checked, problems = seconds(lambda: list(served.service.verify(served.fleet.state.view())))
            assert not problems
            report.add(f'Kea, {kind}, {machines} machines: full plan without changes', f'{again:.2f} s',
                       f'verify {checked * 1000:.0f} ms', '')  # fmt: skip
            times = []
            for number in range(1, 41):
                served.fleet.change(number, f'renamed-{number}')

                def change() -> None:
                    plan = served.plan(full=False)
                    assert len(plan.changes) == 2
                    served.service.apply(plan)

                times.append(seconds(change)[0])
            times.sort()
            report.add(
                f'Kea, {kind}, {machines} machines: one change, planned and committed',
                f'p50 {times[20] * 1000:.0f} ms, worst {times[-1] * 1000:.0f} ms', '', '',
            )  # fmt: skip
        finally:
            served.close()
    finally:
        server.close()
