"""The clients and links that the DHCP tests stand on, against a dhcpd with a configuration written by hand."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecar import net
from tests.sidecar.dhcp.client import BIOS, Client, Client6, Link, NoAnswer, Relay, dhclient, dhcrelay

CONFIG = """
ping-check false; authoritative; default-lease-time 300;
class "quiet" { match if substring(hardware, 1, 2) = 02:ff; }
shared-network x {
  subnet 10.60.0.0 netmask 255.255.255.0 { range 10.60.0.100 10.60.0.120; option routers 10.60.0.1; }
  subnet 10.60.1.0 netmask 255.255.255.0 { }
}
subnet 10.61.0.0 netmask 255.255.255.0 { pool { range 10.61.0.100 10.61.0.120; deny members of "quiet"; } }
host a {
  hardware ethernet 02:00:00:00:00:11; fixed-address 10.60.0.11; option host-name "abc";
  if exists vendor-class-identifier { filename "x"; next-server 10.60.0.1; }
}
"""
CONFIG6 = """
subnet6 2001:db8:60::/64 { range6 2001:db8:60::100 2001:db8:60::200; }
subnet6 2001:db8:61::/64 { range6 2001:db8:61::100 2001:db8:61::200; }
option dhcp6.name-servers 2001:db8::1;
host b { hardware ethernet 02:00:00:00:00:12; fixed-address6 2001:db8:60::12; }
"""
MAC = '02:00:00:00:00:11'


@pytest.fixture(scope='module')
def dhcpd(lan: net.Lan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if shutil.which('dhcpd', path='/usr/sbin') is None:
        pytest.skip('dhcpd is not installed')
    folder = tmp_path_factory.mktemp('dhcpd')
    daemons = []
    for version, text in (('4', CONFIG), ('6', CONFIG6)):
        config, leases, log = (folder / f'{name}{version}' for name in ('config', 'leases', 'log'))
        config.write_text(text)
        leases.touch()
        daemon = lan.server.start(
            ['dhcpd', '-f', '-d', f'-{version}', '-cf', config, '-lf', leases, '--no-pid', 'br0'], log=log
        )
        daemons.append(daemon)
        daemon.wait_for(lambda daemon=daemon: 'Server starting' in daemon.said(), 'dhcpd is there')  # type: ignore[misc]
    yield
    for daemon in daemons:
        daemon.stop()


@pytest.fixture
def link(lan: net.Lan, dhcpd: None) -> Iterator[Link]:
    made = Link(lan.near)
    yield made
    made.close()


@pytest.fixture
def relay(lan: net.Lan, dhcpd: None) -> Iterator[Relay]:
    made = Relay(lan, circuit_id=b'eth1', remote_id=b'sw1')
    yield made
    made.close()


def test_a_client_goes_through_the_life_of_a_lease(link: Link) -> None:
    client = Client(link, MAC)
    ack = client.lease()
    assert (ack.yiaddr, ack.hostname, ack.routers, ack.boot_file) == ('10.60.0.11', 'abc', ['10.60.0.1'], None)
    assert client.renew(ack).yiaddr == '10.60.0.11'
    assert client.inform(ack.yiaddr).hostname == 'abc'
    assert client.reboot('10.60.0.11').type == 'ack'
    assert client.reboot('10.9.9.9').type == 'nak'
    client.release(ack)
    assert client.lease().yiaddr == '10.60.0.11'


def test_firmware_says_what_it_is(link: Link) -> None:
    ack = Client(link, MAC, BIOS).lease()
    assert (ack.boot_file, ack.next_server) == ('x', '10.60.0.1')


def test_a_relay_adds_option_82_and_gets_it_back(relay: Relay) -> None:
    ack = Client(relay, '02:00:00:00:00:55').lease()
    assert ack.yiaddr.startswith('10.61.0.')
    assert ack.options[82] == b'\x01\x04eth1\x02\x03sw1'


def test_silence_is_told_from_slowness(relay: Relay) -> None:
    witness = Client(relay, '02:00:00:00:00:56')
    assert Client(relay, '02:ff:00:00:00:01').hears_nothing(witness)
    assert not Client(relay, '02:00:00:00:00:57').hears_nothing(witness)
    with pytest.raises(NoAnswer, match='no offer to its discover'):
        Client(relay, '02:ff:00:00:00:01', patience=0.2).lease()


def test_dhcpv6(link: Link, relay: Relay) -> None:
    client = Client6(link, '02:00:00:00:00:12')
    reply = client.lease()
    assert (reply.address, reply.name_servers) == ('2001:db8:60::12', ['2001:db8::1'])
    assert client.release(reply).type == 'reply'
    assert client.information().name_servers == ['2001:db8::1']
    relayed = Client6(relay, '02:00:00:00:00:13').lease()
    assert relayed.address is not None and relayed.address.startswith('2001:db8:61::')
    assert relayed.relay_options[18] == b'eth1'


def test_the_real_client_and_the_real_relay(lan: net.Lan, dhcpd: None, tmp_path: Path) -> None:
    lease = dhclient(lan.near, tmp_path, MAC)
    assert (lease.address, lease.values['host_name']) == ('10.60.0.11', 'abc')
    assert dhclient(lan.near, tmp_path, '02:00:00:00:00:12', version=6).address == '2001:db8:60::12'
    with dhcrelay(lan, tmp_path):
        assert str(dhclient(lan.far, tmp_path, '02:00:00:00:00:58').address).startswith('10.61.0.')
    with dhcrelay(lan, tmp_path, 6):
        assert str(dhclient(lan.far, tmp_path, '02:00:00:00:00:58', version=6).address).startswith('2001:db8:61:')
    assert not list(net.run(['ip', '-4', '-o', '-n', lan.near.name, 'address', 'show', 'eth0']).stdout.split())


def test_nothing_stays_behind(namespaces: None) -> None:
    before = set(net.run(['ip', 'netns', 'list']).stdout.split())
    made = net.a_lan()
    daemon = made.server.start(['sleep', '1000'])
    made.close()
    assert not daemon.alive
    assert set(net.run(['ip', 'netns', 'list']).stdout.split()) == before


def test_what_a_killed_run_left_is_removed(namespaces: None) -> None:
    # A process that has ended: its number is free, or belongs to somebody else's process by then.
    left = f'{net.PREFIX}{net.run(["sh", "-c", "echo $$"]).stdout.strip()}-1-server'
    foreign = 'substest-somebody-1-1-server'
    for name in (left, foreign):
        net.ip('netns', 'add', name)
    try:
        net.sweep()
        names = net.ip('netns', 'list')
        assert left not in names
        assert foreign in names
    finally:
        net.ip('netns', 'delete', foreign)
