"""dnsmasq: the full plan and all files at N machines beside the daemon's own reading of the same; and one change, until
clients see it.

dnsmasq compares every address that it reads with all that it has read before, so that its own time grows with the
square of N.  SUBSTRUCT_BENCH=1000,100000 measures at other sizes.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from substruct_sidecar.dhcp.dnsmasq import Dnsmasq
from substruct_sidecar.plan import Plan
from substruct_sidecar.settings import Dhcp, NetBox, Paths, Settings
from substruct_sidecar.settings import Dnsmasq as DnsmasqSettings
from tests.benchmarks.conftest import Report, sizes
from tests.benchmarks.test_dhcp_kea import Fleet
from tests.sidecar import net
from tests.sidecar.dhcp.backend_dnsmasq import BINARY, RESTART, DnsmasqBackend

SIZES = sizes((1_000, 10_000))
MAIN = 'port=0\nuser=root\npid-file={0}/dnsmasq.pid\ndhcp-leasefile={0}/leases\nlog-facility={0}/log\nquiet-dhcp\n'


class Served:
    """A fleet, a real dnsmasq in a namespace without links, and the service on it."""

    def __init__(self, folder: Path, fleet: Fleet, sighup: Literal['yes', 'no']) -> None:
        self.fleet = fleet
        self.folder = folder
        self.namespace = net.Namespace('bench')
        self.main = folder / 'dnsmasq.conf'
        self.command = folder / 'restart.sh'
        self.command.write_text(RESTART.format(folder=folder, binary=BINARY))
        self.command.chmod(0o755)
        own = DnsmasqSettings(
            binary=BINARY, directory=str(folder / 'substruct'), config=str(self.main), sighup=sighup,
            pid_file=str(folder / 'dnsmasq.pid'), restart=[str(self.command)], restart_interval=0.0,
            start_timeout=3000.0,
        )  # fmt: skip
        self.service = Dnsmasq(
            Settings(
                netbox=NetBox(url='http://127.0.0.1:1', boot_server='b'),
                paths=Paths(state=str(folder), run=str(folder)),
                dhcp=Dhcp(backend='dnsmasq', dnsmasq=own),
            )
        )
        self.main.write_text(MAIN.format(folder) + self.service.line_to_add + '\n')
        self.seen = 0

    def plan(self, *, full: bool) -> Plan:
        with self.fleet.state.view() as view:
            changed = None if full else view.changed(self.seen)
            self.seen = view.revision
            return self.service.plan(view, changed)

    def apply(self, plan: Plan) -> None:
        with self.namespace.entered():
            self.service.apply(plan)

    def one(self) -> Plan:
        plan = self.plan(full=False)
        assert plan and not plan.full
        self.apply(plan)
        return plan

    def start(self) -> None:
        """What a restart takes dnsmasq, by itself."""
        self.namespace.run([self.command], timeout=3000)
        with self.namespace.entered():
            self.service._process.settle()

    def check(self) -> None:
        """dnsmasq's own parser over everything that it reads, hosts too."""
        store = self.service.store
        everything = self.folder / 'everything.conf'
        with everything.open('w') as stream:
            stream.write(''.join(f'{row}\n' for block in store.conf_blocks().values() for row in block.lines))
            hosts = [block for number in store.numbers() for block in store.host_blocks(number).values()]
            for part in store.parted(hosts):
                stream.write(''.join(f'dhcp-host={row}\n' for block in part for row in block.lines))
        subprocess.run([BINARY, '--test', '-C', everything], check=True, capture_output=True)

    def close(self) -> None:
        self.namespace.close()
        self.fleet.state.close()


def seconds[T](what: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = what()
    return time.perf_counter() - began, found


@pytest.fixture(params=('restart', 'sighup'))
def how(request: pytest.FixtureRequest) -> Iterator[str]:
    if reason := DnsmasqBackend.missing() or net.missing():
        pytest.skip(reason)
    net.sweep()
    yield request.param


@pytest.mark.parametrize('machines', SIZES)
def test_everything_and_one_change(machines: int, how: str, tmp_path: Path, report: Report) -> None:
    served = Served(tmp_path, Fleet(tmp_path, machines), 'yes' if how == 'sighup' else 'no')
    try:
        planned, plan = seconds(lambda: served.plan(full=True))
        assert len(plan.changes) >= machines
        applied, _ = seconds(lambda: served.apply(plan))
        checked, _ = seconds(served.check)
        started, _ = seconds(served.start)
        size = sum(path.stat().st_size for path in served.service.store.hosts.iterdir())
        what = f'dnsmasq, {how}, {machines} machines'
        own = f'--test {checked:.2f} s, start {started:.2f} s'
        report.add(
            f'{what}: first plan with its check (and apply with the start)',
            f'{planned:.2f} s (+ {applied:.2f} s); {size / 1e6:.1f} MB', own, f'{planned / checked:.1f}',
        )  # fmt: skip
        again, left = seconds(lambda: served.plan(full=True))
        assert not left.changes
        report.add(f'{what}: full plan without changes', f'{again:.2f} s', own, f'{again / checked:.1f}')
        with served.fleet.state.view() as view:
            verified, problems = seconds(lambda: list(served.service.verify(view)))
        assert not problems
        report.add(f'{what}: verify', f'{verified * 1000:.0f} ms', '', '')

        served.fleet.change(machines + 1, 'new')
        added, plan = seconds(served.one)
        report.add(f'{what}: a new machine ({plan.disruption or "at once"})', f'{added * 1000:.0f} ms', own, '')
        served.fleet.change(7, 'renamed')
        changed, plan = seconds(lambda: served.plan(full=False))
        assert len(plan.changes) == 1
        told, _ = seconds(lambda: served.apply(plan))
        report.add(
            f'{what}: one change ({plan.disruption.partition(" (")[0]})',
            f'{changed * 1000:.0f} ms + {told * 1000:.0f} ms', own, f'{(changed + told) / started:.1f} of a start',
        )  # fmt: skip
        assert os.path.exists(f'/proc/{(tmp_path / "dnsmasq.pid").read_text().strip()}')
    finally:
        served.close()
