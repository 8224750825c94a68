"""Preflight asks the real DHCP servers, from the host on which they run, and takes nothing."""

from ipaddress import IPv4Network

import pytest

from substruct_sidecar.preflight import asking
from tests.sidecar.dhcp.client import Client
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import Site, mac_of

LINK = IPv4Network('10.60.0.0/24')


def ask(network: Served, mac: str, architecture: int | None = None) -> list[asking.Offer]:
    with network.lan.server.entered():
        interface = asking.interface_in(LINK)
        assert interface == 'br0'
        offers, deaf = asking.discover(interface, mac, architecture=architecture)
    assert not deaf
    return offers


@pytest.mark.parametrize(('architecture', 'file'), [(0, 'lpxelinux.0'), (7, 'snponly.efi')])
def test_the_server_of_this_host_says_what_it_would_offer(
    served: tuple[Served, Site], architecture: int, file: str
) -> None:
    network, site = served
    offers = ask(network, mac_of(site.srv), architecture)
    assert [(offer.address, offer.next_server, offer.file) for offer in offers] == [('10.60.0.11', '10.60.0.1', file)]


def test_it_is_offered_what_the_machine_itself_is_offered_afterwards(served: tuple[Served, Site]) -> None:
    network, site = served
    offers = ask(network, mac_of(site.srv))
    ack = Client(network.link, mac_of(site.srv)).lease()
    assert [offer.address for offer in offers] == [ack.yiaddr]


def test_where_this_host_has_no_address_nobody_can_be_asked(served: tuple[Served, Site]) -> None:
    network, _ = served
    with network.lan.server.entered():
        assert asking.interface_in(IPv4Network('192.0.2.0/24')) is None


@pytest.mark.parametrize('data', [b'', b'\2' * 300, bytes(239), b'\2' + bytes(235) + b'\x63\x82\x53\x63\x35'])
def test_what_is_no_offer_is_none(data: bytes) -> None:
    assert asking.read(data, data[4:8]) is None
