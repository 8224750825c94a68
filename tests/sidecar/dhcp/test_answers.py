"""What clients of every kind are told by every backend, in a world that does not change."""

from pathlib import Path

import pytest

from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.client import (
    BIOS,
    HTTP,
    HTTP_ARM64,
    IPXE_BIOS,
    IPXE_UEFI,
    UEFI,
    UUID,
    Client,
    Client6,
    Firmware,
    dhclient,
    dhcrelay,
    random_mac,
)
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import CHAINS, CHAINS6, Site, boots, boots6, does_not_boot, mac_of
from tests.sidecar.net import Lan

type Both = tuple[Served, Site]


def test_everything_in_the_world_can_be_served(served: Both) -> None:
    network, _ = served
    assert network.plan is not None
    assert [str(problem) for problem in network.plan.problems] == []
    assert network.left().summary() == '0 to add, 0 to change, 0 to remove'
    network.backend.check()


def test_a_known_machine_gets_its_address_its_name_and_the_options_of_its_subnet(served: Both) -> None:
    network, site = served
    ack = Client(network.link, mac_of(site.srv), wants=(42, 224)).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.11', 'srv-1')
    assert (ack.mask, ack.routers, ack.domain) == ('255.255.255.0', ['10.60.0.1'], 'ber.example.com')
    assert (ack.name_servers, ack.addresses(42)) == (['10.60.0.53', '10.60.0.54'], ['10.60.0.123'])
    assert (ack.lease_time, ack.options[26], ack.text(224)) == (1800, b'\x23\x28', 'of the lan')


def test_a_plain_client_is_offered_no_boot_file(served: Both) -> None:
    network, site = served
    does_not_boot(Client(network.link, mac_of(site.srv), wants=(60, 66, 67)).lease())


@pytest.mark.parametrize('firmware', CHAINS, ids=str)
def test_each_firmware_is_sent_on_its_way(served: Both, firmware: Firmware) -> None:
    network, site = served
    client = Client(network.link, mac_of(site.srv), firmware)
    offer = client.discover()
    assert offer.yiaddr == '10.60.0.11'
    boots(offer, firmware)
    boots(client.request(offer), firmware)


def test_user_class_with_a_length_before_it_is_ipxe_too(served: Both) -> None:
    network, site = served
    # RFC 3004 wants a length byte; iPXE sends none.
    said = {**IPXE_UEFI.options, 77: b'\x04iPXE'}
    said.pop(175)
    client = Client(network.link, mac_of(site.srv), Firmware('ipxe-rfc3004', said, IPXE_UEFI.wants))
    boots(client.lease(), IPXE_UEFI)


def test_ipxe_is_known_by_its_option_alone(served: Both) -> None:
    network, site = served
    said = {**IPXE_BIOS.options}
    said.pop(77)
    client = Client(network.link, mac_of(site.srv), Firmware('ipxe-175', said, IPXE_BIOS.wants))
    boots(client.lease(), IPXE_BIOS)


def test_a_machine_is_the_same_whatever_client_identifier_its_stages_send(served: Both) -> None:
    network, site = served
    # Its ROM sends its UUID, iPXE the MAC address, the installed system a DUID; nobody releases anything.
    stages = (b'\0' + UUID, b'\x01\x02\0\0\0\0\x11', bytes.fromhex('ff00000011000100012a3b4c5d020000000011'), None)
    for identifier in stages:
        assert Client(network.link, mac_of(site.srv), identifier=identifier).lease().yiaddr == '10.60.0.11'


def test_a_machine_remembers_its_address(served: Both) -> None:
    network, site = served
    client = Client(network.link, mac_of(site.srv))
    ack = client.lease()
    assert client.reboot('10.60.0.11').yiaddr == '10.60.0.11'
    assert client.renew(ack).yiaddr == '10.60.0.11'
    assert client.inform('10.60.0.11').name_servers == ['10.60.0.53', '10.60.0.54']


def test_what_somebody_asks_for_does_not_get_another_machines_address(served: Both) -> None:
    network, site = served
    client = Client(network.link, random_mac(), more={50: bytes((10, 60, 0, 18))})
    assert client.lease().yiaddr != '10.60.0.18'
    assert mac_of(site.local)


def test_two_prefixes_on_one_link(served: Both) -> None:
    network, site = served
    if not network.backend.can('shared'):
        return
    ack = Client(network.link, mac_of(site.on_second), BIOS, wants=(224,)).lease()
    assert (ack.yiaddr, ack.routers, ack.domain) == ('10.60.1.12', ['10.60.1.1'], 'two.example.com')
    assert ack.text(224) == 'of the second'
    boots(ack, BIOS)


def test_a_machine_behind_a_relay(served: Both) -> None:
    network, site = served
    relay = network.relay(circuit_id=b'Gi1/0/1', remote_id=b'sw-1')
    for firmware in (BIOS, UEFI, HTTP, IPXE_UEFI):
        ack = Client(relay, mac_of(site.behind_relay), firmware).lease()
        assert (ack.yiaddr, ack.hostname, ack.routers) == ('10.61.0.13', 'srv-3', ['10.61.0.1'])
        assert ack.options[82] == b'\x01\x07Gi1/0/1\x02\x04sw-1'
        boots(ack, firmware)


def test_a_machine_gets_its_address_of_the_link_where_it_asks(served: Both) -> None:
    network, site = served
    assert Client(network.link, mac_of(site.everywhere)).lease().yiaddr == '10.60.0.14'
    assert Client(network.relay(), mac_of(site.everywhere)).lease().yiaddr == '10.61.0.14'


def test_the_real_client_directly_and_behind_the_real_relay(served: Both, tmp_path: Path) -> None:
    network, site = served
    network.hang_up()
    lease = dhclient(network.lan.near, tmp_path, mac_of(site.real))
    assert (lease.address, lease.values['host_name']) == ('10.60.0.42', 'srv-15')
    with dhcrelay(network.lan, tmp_path):
        assert dhclient(network.lan.far, tmp_path, mac_of(site.behind_relay)).address == '10.61.0.13'


def test_each_port_of_a_bond_gets_the_address_of_the_bond(served: Both) -> None:
    network, site = served
    if not network.backend.can('bond'):
        return
    for number in (0, 1):
        client = Client(network.link, mac_of(site.bond, number), UEFI)
        ack = client.lease()
        assert (ack.yiaddr, ack.hostname) == ('10.60.0.15', 'srv-5')
        boots(ack, UEFI)
        client.release(ack)
        Client(network.link, mac_of(site.srv)).lease()  # the release has arrived, too


def test_firmware_tries_one_port_of_a_bond_after_the_other_and_releases_nothing(served: Both) -> None:
    network, site = served
    if not network.backend.can('bond') or not network.backend.can('bond-unreleased'):
        return
    for number in (0, 1, 0):
        assert Client(network.link, mac_of(site.other_bond, number), UEFI).lease().yiaddr == '10.60.0.43'


def test_a_known_machine_without_an_address_gets_one_of_the_lease_range(served: Both) -> None:
    network, site = served
    ack = Client(network.link, mac_of(site.known), BIOS).lease()
    assert 100 <= int(ack.yiaddr.rpartition('.')[2]) <= 150
    assert (ack.yiaddr.rpartition('.')[0], ack.hostname) == ('10.60.0', 'srv-6')
    boots(ack, BIOS)


def test_a_known_machine_of_elsewhere_gets_a_lease_where_there_are_some(served: Both) -> None:
    network, site = served
    ack = Client(network.relay(), mac_of(site.srv), BIOS).lease()
    assert ack.yiaddr.startswith('10.61.0.1')
    boots(ack, BIOS)


@pytest.mark.parametrize('firmware', (BIOS, UEFI, HTTP, IPXE_UEFI), ids=str)
def test_an_unknown_machine_boots_only_where_machines_are_discovered(served: Both, firmware: Firmware) -> None:
    network, _ = served
    if not network.backend.can('discovery'):
        return
    ack = Client(network.link, random_mac(), firmware).lease()
    assert ack.yiaddr.startswith('10.60.0.1')
    does_not_boot(ack)
    discovered = Client(network.relay(), random_mac(), firmware).lease()
    assert discovered.yiaddr.startswith('10.61.0.1')
    boots(discovered, firmware)


def test_an_unknown_machine_gets_nothing_where_there_is_no_lease_range(served: Both) -> None:
    network, site = served
    witness = Client(network.relay(), mac_of(site.behind_relay))
    assert Client(network.relay(giaddr=Lan.QUIET_RELAY4), random_mac(), BIOS).hears_nothing(witness)


@pytest.mark.parametrize('firmware', (BIOS, UEFI, HTTP, IPXE_UEFI), ids=str)
def test_a_machine_that_is_not_to_boot_gets_its_address_and_no_boot_file(served: Both, firmware: Firmware) -> None:
    network, site = served
    for machine, address in ((site.nothing, '10.60.0.17'), (site.no_offer, '10.60.0.19')):
        ack = Client(network.link, mac_of(machine), firmware).lease()
        assert (ack.yiaddr, ack.hostname) == (address, machine.hostname)
        does_not_boot(ack)


def test_a_machine_that_is_not_to_boot_is_not_discovered_either(served: Both) -> None:
    network, site = served
    ack = Client(network.relay(), mac_of(site.nothing), UEFI).lease()
    assert ack.yiaddr.startswith('10.61.0.')
    does_not_boot(ack)


def test_a_machine_that_boots_its_own_disk_by_a_script_is_still_sent_to_the_script(served: Both) -> None:
    network, site = served
    boots(Client(network.link, mac_of(site.local), IPXE_BIOS).lease(), IPXE_BIOS)


def test_a_bmc_gets_its_address_and_neither_name_nor_boot_file(served: Both) -> None:
    network, site = served
    machine = Client(network.link, mac_of(site.with_bmc, 0), UEFI).lease()
    bmc = Client(network.link, mac_of(site.with_bmc, 1), UEFI).lease()
    assert (machine.yiaddr, machine.hostname) == ('10.60.0.23', 'srv-13')
    assert (bmc.yiaddr, bmc.hostname) == ('10.60.0.33', None)
    does_not_boot(bmc)


def test_a_machine_is_known_by_its_client_identifier(served: Both) -> None:
    network, site = served
    if not network.backend.can('client-id'):
        return
    ack = Client(network.link, random_mac(), UEFI, identifier=site.CLIENT_ID).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.20', 'srv-10')
    boots(ack, UEFI)


def test_a_machine_is_known_by_the_port_that_it_is_plugged_into(served: Both) -> None:
    network, site = served
    if not network.backend.can('circuit-id'):
        return
    relay = network.relay(circuit_id=site.CIRCUIT, remote_id=b'sw-2')
    ack = Client(relay, random_mac(), UEFI).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.61.0.22', 'srv-12')
    boots(ack, UEFI)


def test_what_is_written_by_hand_is_served(served: Both) -> None:
    network, _ = served
    assert Client(network.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS


def test_nobody_can_decline_another_machines_address(served: Both) -> None:
    network, site = served
    Client(network.link, random_mac()).decline('10.60.0.11', Lan.SERVER4)
    assert Client(network.link, mac_of(site.srv)).lease().yiaddr == '10.60.0.11'


# DHCPv6


@pytest.mark.parametrize('duid', ('ll', 'llt'))
def test_a_known_machine_gets_its_ipv6_address(served: Both, duid: str) -> None:
    network, site = served
    if not network.backend.can('v6'):
        return
    client = Client6(network.link, mac_of(site.srv), duid=duid)  # type: ignore[arg-type]
    reply = client.lease()
    assert (reply.addresses, reply.name_servers) == (('2001:db8:60::11',), ['2001:db8:60::53'])
    assert reply.options[24] == b'\x03ber\x07example\x03com\x00'
    assert reply.boot_file is None
    client.release(reply)


@pytest.mark.parametrize('duid', ('en', 'uuid'))
def test_a_machine_is_known_by_its_mac_address_whatever_its_duid(served: Both, duid: str) -> None:
    network, site = served
    if not network.backend.can('v6') or not network.backend.can('any-duid'):
        return
    machines = [site.universal]
    if network.backend.can('any-duid-local'):
        machines.append(site.srv)
    for machine in machines:
        client = Client6(network.link, mac_of(machine), duid=duid)  # type: ignore[arg-type]
        reply = client.lease()
        client.release(reply)
        assert reply.addresses == (f'2001:db8:60::{"44" if machine is site.universal else "11"}',)


def test_a_machine_whose_duid_changes_keeps_its_address(served: Both) -> None:
    network, site = served
    if not network.backend.can('v6') or not network.backend.can('duid-changes'):
        return
    for duid in ('ll', 'llt', 'uuid'):
        client = Client6(network.link, mac_of(site.moves), duid=duid)
        assert client.lease().addresses == ('2001:db8:60::41',)


def test_a_machine_is_known_by_its_duid(served: Both) -> None:
    network, site = served
    if not network.backend.can('v6') or not network.backend.can('duid'):
        return
    client = Client6(network.link, random_mac(), duid=site.DUID)
    reply = client.lease()
    assert reply.addresses == ('2001:db8:60::21',)
    client.release(reply)


@pytest.mark.parametrize('firmware', CHAINS6, ids=str)
def test_each_firmware_is_sent_on_its_way_over_ipv6(served: Both, firmware: Firmware) -> None:
    network, site = served
    if not network.backend.can('v6') or not network.backend.can('boot6'):
        return
    if firmware in (HTTP, HTTP_ARM64) and not network.backend.can('http6'):
        return
    client = Client6(network.link, mac_of(site.srv), firmware)
    reply = client.lease()
    assert reply.addresses == ('2001:db8:60::11',)
    boots6(reply, firmware)
    client.release(reply)


def test_a_machine_behind_a_relay_over_ipv6(served: Both) -> None:
    network, site = served
    if not network.backend.can('v6'):
        return
    client = Client6(network.relay(), mac_of(site.behind_relay))
    reply = client.lease()
    assert (reply.addresses, reply.name_servers) == (('2001:db8:61::13',), ['2001:db8:61::53'])
    assert reply.relay_options[18] == b'eth1'
    client.release(reply)


def test_an_unknown_machine_over_ipv6_boots_only_where_machines_are_discovered(served: Both) -> None:
    network, _ = served
    if not network.backend.can('v6') or not network.backend.can('boot6') or not network.backend.can('discovery'):
        return
    here = Client6(network.link, random_mac(), IPXE_UEFI).lease()
    assert str(here.address).startswith('2001:db8:60::1')
    assert here.boot_file is None
    there = Client6(network.relay(), random_mac(), IPXE_UEFI).lease()
    assert str(there.address).startswith('2001:db8:61::1')
    boots6(there, IPXE_UEFI)


def test_the_real_client_over_ipv6(served: Both, tmp_path: Path) -> None:
    network, site = served
    if not network.backend.can('v6'):
        return
    network.hang_up()
    assert dhclient(network.lan.near, tmp_path, mac_of(site.real), version=6).address == '2001:db8:60::42'
    if not network.backend.can('plain-relay6'):
        return
    with dhcrelay(network.lan, tmp_path, 6):
        found = dhclient(network.lan.far, tmp_path, mac_of(site.real), version=6)
    assert found.address == '2001:db8:61::42'
