"""The network: what a DHCP server gives, and where cards and VLANs are known from."""

import time
from pathlib import Path

import pytest

from substruct_sidecar.prospector.inside import devices, network
from substruct_sidecar.prospector.inside.arguments import Arguments


def lease(tmp_path: Path, text: str) -> dict[str, str] | None:
    (tmp_path / 'lease').write_text(text)
    return network.read_lease(tmp_path / 'lease')


def test_a_lease_with_a_router(tmp_path: Path) -> None:
    found = lease(tmp_path, 'ip=10.0.0.21\nmask=24\nrouter=10.0.0.1 10.0.0.2\nstaticroutes=\ndns=10.0.0.53\n')
    assert found is not None
    assert network.route_commands('eth0', found) == [
        ('ip', 'route', 'replace', 'default', 'via', '10.0.0.1', 'dev', 'eth0', 'metric', '10', 'onlink'),
        ('ip', 'route', 'replace', 'default', 'via', '10.0.0.2', 'dev', 'eth0', 'metric', '11', 'onlink'),
    ]


def test_classless_routes_are_instead_of_a_router(tmp_path: Path) -> None:
    found = lease(tmp_path, 'ip=10.0.0.21\nrouter=10.0.0.1\nstaticroutes=0.0.0.0/0 10.0.0.9 10.9.0.0/16 0.0.0.0\n')
    assert found is not None
    assert network.route_commands('eth0', found) == [
        ('ip', 'route', 'replace', '0.0.0.0/0', 'via', '10.0.0.9', 'dev', 'eth0'),
        ('ip', 'route', 'replace', '10.9.0.0/16', 'dev', 'eth0'),
    ]


def test_what_a_dhcp_server_says_is_only_data(tmp_path: Path) -> None:
    found = lease(
        tmp_path,
        'ip=10.0.0.21\nrouter=$(reboot) 10.0.0.1 ;\nstaticroutes=x y\ndns=10.0.0.53 evil\n'
        'domain=example.net ; options\n'
        'search=a.example -x\n',
    )
    assert found is not None
    assert [command[5] for command in network.route_commands('eth0', found)] == ['10.0.0.1']
    assert network.resolver(found) == 'nameserver 10.0.0.53\nsearch a.example example.net options\n'


@pytest.mark.parametrize('text', ['', 'ip=\n', 'ip=none\n', 'mask=24\n', 'ip=::1\n'])
def test_without_an_address_there_is_no_lease(text: str, tmp_path: Path) -> None:
    assert lease(tmp_path, text) is None


def test_no_file_is_no_lease(tmp_path: Path) -> None:
    assert network.read_lease(tmp_path / 'none') is None


def test_vlans_that_were_set_up_in_the_firmware(tmp_path: Path) -> None:
    name = '525400123456-9e23d768-d2f3-4366-9fc3-3a7aba864374'
    (tmp_path / name).write_bytes(b'\x07\0\0\0' + b'\x2a\x60' + b'\0\0' + b'\xff\x0f')
    assert network.firmware_vlans('52:54:00:12:34:56', tmp_path) == [42]
    assert network.firmware_vlans('52:54:00:12:34:57', tmp_path) == []


def test_cards_are_ethernet_devices_in_their_order(tmp_path: Path) -> None:
    for name, kind, device in (('eth10', '1', True), ('eth2', '1', True), ('lo', '772', False), ('br0', '1', False)):
        (tmp_path / name / 'device').mkdir(parents=True) if device else (tmp_path / name).mkdir()
        (tmp_path / name / 'type').write_text(f'{kind}\n')
        (tmp_path / name / 'address').write_text('52:54:00:AA:BB:CC\n')
    assert network.cards(tmp_path) == [
        network.Card('eth2', '52:54:00:aa:bb:cc'), network.Card('eth10', '52:54:00:aa:bb:cc'),
    ]  # fmt: skip


def test_network_cards_get_their_drivers_first() -> None:
    assert devices.is_network('pci:v000014E4d0000165Fsv00001028sd00000639bc02sc00i00')
    assert devices.is_network('virtio:d00000001v00001AF4')
    assert not devices.is_network('pci:v00001000d0000005Dsv00001028sd00001F42bc01sc04i00')
    assert not devices.is_network('virtio:d00000002v00001AF4')


def test_routes_come_back_with_a_new_lease_after_one_ran_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, 'RUN', tmp_path)
    monkeypatch.setattr(network, 'LOOKS', 0.01)
    file = tmp_path / 'lease.eth0'
    file.write_text('ip=10.0.0.21\nrouter=10.0.0.1\n')
    found = network.Network(Arguments(), lambda words: None, lambda topic, words: None)
    routed: list[str] = []
    monkeypatch.setattr(found, '_route', lambda name, lease: routed.append(f'{name} {lease["router"]}'))
    found._keep(network.Line('eth0', '52:54:00:12:34:56', '10.0.0.21'))
    file.unlink()
    file.write_text('ip=10.0.0.22\nrouter=10.0.0.2\n')
    deadline = time.monotonic() + 10.0
    while 'eth0 10.0.0.2' not in routed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert routed[-1] == 'eth0 10.0.0.2'
