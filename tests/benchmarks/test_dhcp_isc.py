"""ISC dhcpd: the full plan and all files at N machines beside dhcpd's own check of them; and one change, live.

SUBSTRUCT_BENCH=1000,100000 measures at other sizes.
"""

import subprocess
from pathlib import Path

import pytest

from substruct_sidecar.dhcp.derive import Deriver
from substruct_sidecar.dhcp.isc import IscService, build
from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Plan
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dhcp, Isc, NetBox, Paths, Settings
from tests.benchmarks.conftest import Report, sizes
from tests.benchmarks.test_dhcp_kea import Fleet, seconds
from tests.sidecar import net
from tests.sidecar.dhcp.backend_isc import BINARY, PORT, RESTART, SECRET, IscBackend

SIZES = sizes((1_000, 10_000))
MAIN = """omapi-port {port};
key "substruct" {{ algorithm hmac-sha256; secret "{secret}"; }};
omapi-key substruct;
subnet 172.31.255.0 netmask 255.255.255.0 {{ }}
include "{folder}/substruct/substruct4.conf";
"""


class Served:
    """A fleet, a real dhcpd in a namespace with one bridge, and the service on it."""

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        self.fleet = fleet
        self.folder = folder
        self.namespace = net.Namespace('bench')
        self.namespace.ip('link', 'add', 'br0', 'type', 'bridge')
        self.namespace.ip('addr', 'add', '172.31.255.1/24', 'dev', 'br0')
        self.namespace.ip('link', 'set', 'br0', 'up')
        (folder / 'substruct').mkdir()
        self.main = folder / 'dhcpd4.conf'
        self.main.write_text(MAIN.format(port=PORT, secret=SECRET, folder=folder))
        self.command = folder / 'restart4.sh'
        self.command.write_text(RESTART.format(folder=folder, version=4, binary=BINARY))
        self.command.chmod(0o755)
        own = Isc(
            binary=BINARY, config4=str(self.main), directory=str(folder / 'substruct'), omapi_port=PORT,
            omapi_key_name='substruct', restart4=[str(self.command)], pid_file4=str(folder / 'dhcpd4.pid'),
            restart_interval=0.0,
        )  # fmt: skip
        self.settings = Settings(
            netbox=NetBox(url='http://127.0.0.1:1', boot_server='b'), paths=Paths(state=str(folder), run=str(folder)),
            dhcp=Dhcp(backend='isc', isc=own),
        )  # fmt: skip
        self.book = Book(folder / 'ledger.sqlite')
        secrets = Secrets(folder, {'SUBSTRUCT_SECRET_SUBSTRUCT': SECRET})
        self.service: IscService = build(self.settings, secrets, self.book.of('dhcp isc'))
        self.seen = 0

    def derive(self) -> int:
        with self.fleet.state.view() as view:
            return sum(1 for _ in Deriver(self.settings).desired(view).hosts)

    def plan(self, *, full: bool) -> Plan:
        with self.fleet.state.view() as view:
            changed = None if full else view.changed(self.seen)
            self.seen = view.revision
            return self.service.plan(view, changed)

    def apply(self, plan: Plan) -> None:
        with self.namespace.entered():
            self.service.apply(plan)

    def check(self) -> None:
        subprocess.run([BINARY, '-t', '-cf', self.main], check=True, capture_output=True)

    def close(self) -> None:
        self.namespace.close()
        self.book.close()
        self.fleet.state.close()


@pytest.mark.parametrize('machines', SIZES)
def test_everything_and_one_change(machines: int, tmp_path: Path, report: Report) -> None:
    if reason := IscBackend.missing() or net.missing():
        pytest.skip(reason)
    net.sweep()
    served = Served(tmp_path, Fleet(tmp_path, machines))
    try:
        derived, count = seconds(served.derive)
        assert count == machines
        planned, plan = seconds(lambda: served.plan(full=True))
        assert len(plan.changes) >= machines
        written, _ = seconds(lambda: write(served, plan))
        applied, _ = seconds(lambda: served.apply(plan))
        checked, _ = seconds(served.check)
        what, own = f'dhcpd, {machines} machines', f'dhcpd -t {checked:.2f} s'
        report.add(
            f'{what}: first plan and its files',
            f'{planned:.2f} s ({derived:.2f} s to derive) + {written:.2f} s', own,
            f'{(planned + written) / checked:.1f}',
        )  # fmt: skip
        report.add(f'{what}: apply, with check and start', f'{applied:.2f} s', own, f'{applied / checked:.1f}')
        again, left = seconds(lambda: served.plan(full=True))
        assert not left.changes
        report.add(f'{what}: full plan without changes', f'{again:.2f} s', own, f'{again / checked:.1f}')
        for number, (words, at) in enumerate((('a change', 7), ('a new machine', machines + 1))):
            served.fleet.change(at, f'name-{number}')
            took, (changes, disruption) = seconds(lambda: one(served))
            assert changes == 1 and not disruption
            report.add(f'{what}: {words}, live', f'{took * 1000:.0f} ms', own, '')
        with served.fleet.state.view() as view, served.namespace.entered():
            verified, problems = seconds(lambda: list(served.service.verify(view)))
        assert not problems
        report.add(f'{what}: verify', f'{verified * 1000:.0f} ms', '', '')
    finally:
        served.close()


def write(served: Served, plan: Plan) -> None:
    """The files alone: what else `apply` does is dhcpd's own check and start."""
    store = served.service._daemons[4].store
    store.prepare()
    served.service._write(store, plan.payload[0], store.manifest(''))


def one(served: Served) -> tuple[int, str]:
    plan = served.plan(full=False)
    served.apply(plan)
    return len(plan.changes), plan.disruption
