"""What a machine that runs the prospector is told to do, asked over real HTTP: the same as its boot loader, in words,
and without anything having happened by it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from substruct_sidecar.boot import orders
from tests.sidecar.boot.serving import BootServer

MAC = '02:00:00:00:00:01'
OTHER = '02:00:00:00:00:02'
UUID = '4c4c4544-0035-3510-8052-b4c04f4a3132'
DISCOVER = '#!ipxe\nkernel @@substruct:base-url@@/prospector/x86_64/vmlinuz\n'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BootServer]:
    # So that each question here is answered anew.
    monkeypatch.setattr(orders, 'HOLDS', 0.0)
    with BootServer(tmp_path) as made:
        made.local_prospector()
        for name in ('discover', 'rescue', 'wipe'):
            made.world.add_script(name, DISCOVER.replace('vmlinuz', f'vmlinuz {name}'), 'x86_64')
        yield made


def asked(server: BootServer, **query: Any) -> dict[str, Any]:
    said = server.get(f'/orders?{urlencode(query, doseq=True)}')
    assert said.status == 200
    assert said.headers['content-type'] == 'application/json; charset=utf-8'
    found = json.loads(said.body)
    assert set(found) == {'format_version', 'machine', 'action', 'reason', 'wait', 'again'}
    assert found['format_version'] == 1
    assert found['reason'].endswith(('.', ')'))
    return found


def meant(server: BootServer, **query: Any) -> tuple[str, bool]:
    found = asked(server, **query)
    return found['action'], found['wait']


def test_a_build_is_told_without_its_token_and_nothing_counts_as_begun(server: BootServer) -> None:
    srv = server.building('srv-1', mac=MAC)
    server.world.sync()
    found = asked(server, mac=MAC)
    assert (found['machine'], found['action'], found['wait']) == ('srv-1', 'build', False)
    assert srv.build is not None
    assert srv.build.token not in server.get(f'/orders?mac={MAC}').text
    assert server.messages() == []
    assert 'token=' in server.script(mac=MAC).text
    server.post(f'/build/{srv.build.token}/done')
    assert meant(server, mac=MAC) == ('local', False)


def test_a_build_whose_files_are_not_here_is_waited_for(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.world.sync()
    server.files.remove(next(iter(server.files.names())))
    found = asked(server, mac=MAC)
    assert (found['action'], found['wait']) == ('waiting', True)
    assert 'still fetching a boot file' in found['reason']


@pytest.mark.parametrize('action', ['rescue', 'wipe'])
def test_asking_uses_up_nothing_that_is_given_once(server: BootServer, action: str) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot=action)
    server.world.sync()
    for _ in range(3):
        assert meant(server, mac=MAC) == (action, False)
    assert server.messages() == []
    assert f'vmlinuz {action}' in server.script(mac=MAC).text
    assert meant(server, mac=MAC) == ('local', False), 'it was served, and its disk is what comes next'


def test_a_known_machine_that_was_asked_for_discovery_once_goes_back_to_its_disk(server: BootServer) -> None:
    srv = server.world.add_machine('srv-1', mac=MAC, boot='discovery', state='registered')
    server.world.sync()
    assert 'vmlinuz discover' in server.script(mac=MAC).text
    assert meant(server, mac=MAC) == ('local', False), 'NetBox has not heard of it yet'
    server.world.boots(srv, 'local')
    server.world.sync()
    assert meant(server, mac=MAC) == ('local', False), 'it has, and asks no longer'
    server.outbox.forget_served(lambda machine, action: False)
    server.stop()
    server.start()
    assert meant(server, mac=MAC) == ('local', False)


def test_one_that_was_unknown_or_discovered_waits_for_work_once_it_is_adopted(server: BootServer) -> None:
    server.world.add_subnet('127.0.0.0/8', discovery_enabled=True)
    server.world.sync()
    assert meant(server, mac=MAC) == ('discovery', True)
    srv = server.world.add_machine('m-1', mac=MAC, boot='discovery', state='discovered')
    server.world.sync()
    assert meant(server, mac=MAC) == ('discovery', True)
    srv = server.world.change(srv, name='srv-1', state='registered')
    server.world.boots(srv, 'local')
    server.world.sync()
    found = asked(server, mac=MAC)
    assert (found['machine'], found['action'], found['wait']) == ('srv-1', 'local', True)


@pytest.mark.parametrize('state', ['built', 'failed'])
def test_one_that_has_a_system_of_its_own_goes_back_to_it(server: BootServer, state: str) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='local', state=state)
    server.world.sync()
    assert meant(server, mac=MAC) == ('local', False)


def test_a_retired_one_is_offered_nothing(server: BootServer) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='nothing', state='retired')
    server.world.sync()
    assert meant(server, mac=MAC) == ('nothing', False)


def test_discovery_that_cannot_be_served_is_no_reason_to_power_off(server: BootServer) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='discovery', state='registered', architecture='aarch64')
    server.world.sync()
    assert meant(server, mac=MAC) == ('local', False)


def test_an_unknown_one_where_discovery_is_off_stays_and_hears_why(server: BootServer) -> None:
    server.world.add_subnet('127.0.0.0/8', discovery_enabled=False)
    server.world.sync()
    found = asked(server, mac=MAC)
    assert (found['machine'], found['action'], found['wait']) == ('', 'unknown', True)
    assert 'discovery is off in 127.0.0.0/8' in found['reason']


def test_identifiers_of_two_machines_destroy_neither(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.building('srv-2', mac=OTHER, uuid=UUID)
    server.world.sync()
    found = asked(server, mac=MAC, uuid=UUID)
    assert (found['action'], found['wait']) == ('conflict', True)
    assert 'srv-1, srv-2' in found['reason']


@pytest.mark.parametrize('macs', [[OTHER, MAC], [f'{OTHER},{MAC}'], [f'{OTHER},,x, {MAC.upper()}']])
def test_any_of_its_mac_addresses_will_do(server: BootServer, macs: list[str]) -> None:
    server.building('srv-1', mac=MAC)
    server.world.sync()
    assert meant(server, mac=macs, uuid=UUID) == ('build', False)
    assert 'token=' in server.get(f'/boot.ipxe?{urlencode({"mac": macs, "uuid": UUID}, doseq=True)}').text


def test_two_of_its_mac_addresses_that_are_two_machines_are_a_conflict(server: BootServer) -> None:
    server.building('srv-1', mac=MAC)
    server.building('srv-2', mac=OTHER)
    server.world.sync()
    assert meant(server, mac=[MAC, OTHER]) == ('conflict', True)


def test_without_any_state_it_waits(server: BootServer) -> None:
    server.world.state.close()
    server.stop()
    for path in server.folder.glob('state.db*'):
        path.unlink()
    server.start()
    found = asked(server, mac=MAC)
    assert (found['action'], found['wait']) == ('no-state', True)


def test_the_more_machines_wait_the_longer_each_may_wait(server: BootServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.world.sync()
    assert asked(server, mac=MAC)['again'] == orders.SOONEST
    monkeypatch.setattr(orders, 'RATE', 0.1)
    assert asked(server, mac=MAC)['again'] == 10
    monkeypatch.setattr(orders, 'RATE', 0.0001)
    assert asked(server, mac=MAC)['again'] == orders.LATEST


def test_a_machine_that_waits_was_seen(server: BootServer) -> None:
    srv = server.world.add_machine('srv-1', mac=MAC, boot='local', state='registered')
    server.world.sync()
    for _ in range(3):
        asked(server, mac=MAC)
    server.stop()
    assert [(one.type, one.machine) for one in server.all_messages()] == [('seen', srv.id)]
    server.start()


def test_what_is_asked_again_at_once_is_answered_from_memory(
    server: BootServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, 'HOLDS', 1000.0)
    srv = server.world.add_machine('srv-1', mac=MAC, boot='local', state='registered')
    server.world.sync()
    assert asked(server, mac=MAC)['machine'] == 'srv-1'
    server.world.change(srv, name='srv-2')
    server.world.sync()
    assert asked(server, mac=MAC)['machine'] == 'srv-1'
    assert asked(server, mac=MAC, uuid='')['machine'] == 'srv-2'


def test_it_is_counted(server: BootServer) -> None:
    server.world.add_machine('srv-1', mac=MAC, boot='local', state='built')
    server.world.sync()
    asked(server, mac=MAC)
    metrics = server.get('/metrics', at='manage').text
    assert 'substruct_orders_total{action="local"} 1.0' in metrics
    assert 'substruct_boot_scripts_total{action="local"} 0.0' in metrics
