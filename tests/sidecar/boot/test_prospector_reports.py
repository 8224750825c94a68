"""The prospector and the boot server understand each other: what is told of a build, and what orders lead to."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from substruct_sidecar.boot import orders as server_orders
from substruct_sidecar.desired import Machine
from substruct_sidecar.prospector.inside import orders, script, web
from substruct_sidecar.prospector.inside.report import Ended, Report
from tests.sidecar.boot.serving import BootServer

MAC, OTHER = '02:00:00:00:00:01', '02:00:00:00:00:02'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BootServer]:
    monkeypatch.setattr(server_orders, 'HOLDS', 0.0)
    with BootServer(tmp_path) as made:
        yield made


@pytest.fixture
def srv(server: BootServer) -> Machine:
    made = server.building('srv-1', mac=MAC, artifacts={'script': ('script.sh', 'echo hello\n')})
    server.world.sync()
    return made


@pytest.fixture
def report(server: BootServer, srv: Machine) -> Report:
    assert srv.build is not None
    return Report(f'http://127.0.0.1:{server.ports["boot"]}/build/{srv.build.token}', lambda words: None)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def me(*macs: str) -> orders.Who:
    return orders.Who(macs, '', '', 'x86_64', 'bios')


def test_once_the_image_is_written_the_machine_boots_it(server: BootServer, srv: Machine, report: Report) -> None:
    report.progress(10, 'writing')
    wait_for(lambda: server.kinds() == ['progress'])
    assert server.messages()[0].progress == 10
    report.finishing('written')
    assert server.kinds() == ['progress', 'finishing']
    assert 'token=' not in server.script(mac=MAC).text
    found = orders.ask(f'http://127.0.0.1:{server.ports["boot"]}', me(MAC))
    assert (found.action, found.machine, found.wait) == ('local', 'srv-1', False)


def test_a_build_that_is_cancelled_while_it_writes_is_noticed_and_stops(
    server: BootServer, srv: Machine, report: Report
) -> None:
    report.progress(10, 'writing')
    wait_for(lambda: server.kinds() == ['progress'])
    server.world.change(srv, build=None)
    server.world.boots(srv, 'local')
    server.world.sync()

    def told() -> bool:
        try:
            report.progress(20, 'writing')
        except Ended:
            return True
        return False

    wait_for(told)
    assert server.kinds() == ['progress']


def test_the_script_of_a_build_is_found(report: Report) -> None:
    assert report.artifact('script.sh') == b'echo hello\n'
    assert report.artifact('user-data') is None


def test_orders_and_the_script_are_of_the_same_machine_whichever_port_booted(server: BootServer, srv: Machine) -> None:
    base = f'http://127.0.0.1:{server.ports["boot"]}'
    who = me(OTHER, MAC)
    assert orders.ask(base, who).action == 'build'
    url = orders.script_url(base, who)
    assert urlsplit(url).path == '/boot.ipxe'
    found = script.follow(web.ask(url).body.decode(), who.settings, url)
    assert isinstance(found, script.Kernel)
    assert '/files/' in found.url
