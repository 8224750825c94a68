"""The whole of it, for stories that take their time."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import rack as racks
from tests.e2e.whole import BOOT_SERVER, Whole, a_lab, the_whole
from tests.sidecar import net
from tests.sidecar.dhcp import kea_servers
from tests.sidecar.dns.servers import need


@pytest.fixture(scope='module')
def whole() -> Iterator[Whole]:
    """NetBox with one boot server that serves 10.60.0.0/16, the sidecar, Kea and BIND."""
    if reason := net.missing() or kea_servers.missing('postgresql'):
        pytest.skip(reason)
    need('kea-dhcp4', 'named', 'dig')
    net.sweep()
    with a_lab('e2e') as lab, the_whole(lab) as found:
        prefix = found.api.ipam.prefixes.create(prefix='10.60.0.0/16', status='container')
        found.substruct.boot_servers.create(name=BOOT_SERVER, base_url='http://10.60.0.1:8080', prefixes=[prefix.id])
        found.start_kea()
        found.start_named()
        found.start_sidecar()
        yield found


@pytest.fixture(scope='session')
def the_rack() -> Iterator[racks.Rack]:
    """One for all tests of this process, because it takes a minute to come up."""
    if reason := racks.missing():
        pytest.skip(f'no virtual rack here: {reason}')
    with racks.a_rack(f'rack-{os.environ.get("PYTEST_XDIST_WORKER", "main")}') as found:
        yield found


@pytest.fixture(scope='module')
def rack(the_rack: racks.Rack) -> Iterator[racks.Rack]:
    """The virtual rack without machines; what a module puts into NetBox stays there for the next."""
    yield the_rack
    for machine in the_rack.machines():
        the_rack.remove(machine.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Consoles and logs are shown with a failure."""
    report = yield
    found = getattr(item, 'funcargs', {}).get('rack')
    if report.failed and isinstance(found, racks.Rack):
        report.sections.extend(racks.told(found))
    return report
