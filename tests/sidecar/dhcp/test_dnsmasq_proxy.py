"""dnsmasq as a proxy beside somebody else's DHCP server (PXE 2.1 section 2.2.3): a real dhcpd gives the addresses."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from substruct_sidecar.plan import Plan
from tests.sidecar import net
from tests.sidecar.dhcp.backend_dnsmasq import DnsmasqProxy
from tests.sidecar.dhcp.client import (
    BIOS,
    HTTP,
    IPXE_BIOS,
    IPXE_UEFI,
    PLAIN,
    UEFI,
    UEFI_ARM64,
    UEFI_BC,
    Client,
    Firmware,
    Link,
    pxe,
    random_mac,
)
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.wire import Answer
from tests.sidecar.net import Lan
from tests.sidecar.world import BASE_URL, World

FOREIGN = '10.60.0.254'
DHCPD = """
ping-check false; authoritative; default-lease-time 300;
subnet 10.60.0.0 netmask 255.255.255.0 { range 10.60.0.100 10.60.0.150; option routers 10.60.0.254; }
"""
KNOWN, QUIET, LATE = '02:00:00:00:00:11', '02:00:00:00:00:12', '02:00:00:00:00:13'

# Without ${platform}: the field has room for 127 bytes.
SCRIPT = (
    f'{BASE_URL}/boot.ipxe?mac=${{netX/mac:hexhyp}}&uuid=${{uuid}}&serial=${{serial:uristring}}&arch=${{buildarch}}'
)
FILES = {BIOS: 'lpxelinux.0', IPXE_BIOS: SCRIPT, IPXE_UEFI: SCRIPT}
FILES_UEFI = {UEFI: 'snponly.efi', UEFI_BC: 'snponly.efi', UEFI_ARM64: 'snponly-arm64.efi'}


@pytest.fixture(scope='module')
def served(lan: net.Lan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    for binary in ('dnsmasq', 'dhcpd'):
        if shutil.which(binary, path='/usr/sbin:/usr/bin') is None:
            pytest.skip(f'{binary} is not installed')
    folder = tmp_path_factory.mktemp('proxy')
    config, leases = folder / 'dhcpd.conf', folder / 'dhcpd.leases'
    config.write_text(DHCPD)
    leases.touch()
    dhcpd = lan.relay.start(
        ['dhcpd', '-f', '-d', '-4', '-cf', config, '-lf', leases, '--no-pid', 'eth0'], log=folder / 'dhcpd.log'
    )
    dhcpd.wait_for(lambda: 'Server starting' in dhcpd.said(), 'dhcpd is there')
    made = Served(World(folder), DnsmasqProxy(lan, folder), Link(lan.near), lan)
    made.world.add_subnet(Lan.NEAR4, gateway='10.60.0.1')
    made.world.add_subnet(Lan.NEAR6)
    made.world.add_machine('known', mac=KNOWN, address='10.60.0.11/24')
    made.world.add_machine('quiet', mac=QUIET, address='10.60.0.12/24', boot='nothing')
    try:
        made.start()
        yield made
    finally:
        made.close()
        dhcpd.stop()


def offers(served: Served, mac: str, firmware: Firmware) -> dict[str, Answer]:
    """Who offers what, by the server's address."""
    return {answer.server: answer for answer in Client(served.link, mac, firmware).offers()}


def asked_again(served: Served, mac: str, firmware: Firmware) -> Answer:
    """What firmware is told on port 4011, when it has an address."""
    ack = Client(served.link, mac).lease()
    assert ack.server == FOREIGN
    return Client(served.link, mac, firmware).proxy(ack, Lan.SERVER4)


@pytest.mark.parametrize('firmware', FILES, ids=str)
def test_a_known_machine_is_told_what_to_boot_and_nothing_else(served: Served, firmware: Firmware) -> None:
    found = offers(served, KNOWN, firmware)
    assert set(found) == {FOREIGN, Lan.SERVER4}
    assert found[FOREIGN].yiaddr.startswith('10.60.0.1')
    proxy = found[Lan.SERVER4]
    assert (proxy.yiaddr, proxy.siaddr, proxy.boot_file) == ('0.0.0.0', Lan.SERVER4, FILES[firmware])
    assert str(proxy.vendor_class).startswith('PXEClient')
    assert not {1, 3, 6, 12, 51} & set(proxy.options)


@pytest.mark.parametrize('firmware', FILES_UEFI, ids=str)
def test_uefi_is_told_on_port_4011(served: Served, firmware: Firmware) -> None:
    proxy = offers(served, KNOWN, firmware)[Lan.SERVER4]
    assert (proxy.yiaddr, proxy.siaddr, proxy.boot_file) == ('0.0.0.0', Lan.SERVER4, None)
    answer = asked_again(served, KNOWN, firmware)
    assert (answer.siaddr, answer.boot_file) == (Lan.SERVER4, FILES_UEFI[firmware])
    # A menu would keep it waiting for a key, and much firmware boots only without one.
    assert 43 not in proxy.options and 43 not in answer.options


def test_bios_is_told_not_to_look_for_other_boot_servers(served: Served) -> None:
    # PXE 2.1 table 2-1: option 43, sub-option 6 (discovery control), bit 3: boot what is in the header.
    assert offers(served, KNOWN, BIOS)[Lan.SERVER4].options[43].startswith(bytes((6, 1, 8)))


@pytest.mark.parametrize(
    ('mac', 'firmware'),
    [
        (KNOWN, PLAIN),  # an operating system
        (KNOWN, HTTP),  # dnsmasq cannot
        (KNOWN, pxe(99)),  # nobody has a loader for it
        (QUIET, BIOS), (QUIET, UEFI), (QUIET, IPXE_BIOS),  # it boots nothing
        ('06:00:00:00:77:01', BIOS), ('06:00:00:00:77:02', UEFI),  # nobody knows it, and nobody wants to
    ],
    ids=str,
)  # fmt: skip
def test_who_has_nothing_to_boot_hears_the_other_server_alone(served: Served, mac: str, firmware: Firmware) -> None:
    assert set(offers(served, mac, firmware)) == {FOREIGN}


def test_what_it_cannot_do_is_said(served: Served) -> None:
    said = ' '.join(served.backend.service.cannot())
    for words in ('gives no addresses', 'HTTPClient', 'DHCPv6', '127 bytes', '4011', 'GRUB and shim'):
        assert words in said
    assert served.plan is not None
    assert [str(problem) for problem in served.plan.problems] == []
    served.backend.check()


def test_machines_come_and_go_and_unknown_ones_are_wanted(served: Served) -> None:
    unknown = random_mac()
    late = served.world.add_machine('late', mac=LATE)
    served.apply()
    assert asked_again(served, LATE, UEFI).boot_file == FILES_UEFI[UEFI]
    lan = served.world.objects['subnet', 1]
    served.world.change(lan, discovery_enabled=True)
    served.world.remove(late)
    plan: Plan = served.apply()
    assert plan.full
    assert offers(served, unknown, BIOS)[Lan.SERVER4].boot_file == FILES[BIOS]
    assert offers(served, LATE, IPXE_UEFI)[Lan.SERVER4].boot_file == FILES[IPXE_UEFI]
    # Known, and it boots nothing: that is no machine to be discovered.
    assert set(offers(served, QUIET, BIOS)) == {FOREIGN}
    served.world.change(lan, discovery_enabled=False)
    served.apply()
    assert set(offers(served, unknown, BIOS)) == {FOREIGN}
    served.backend.check()


def test_a_base_url_that_leaves_no_room_is_a_problem_of_its_subnet(served: Served, tmp_path: Path) -> None:
    world = World(tmp_path, base_url='http://10.60.0.1:8080/' + 'x' * 100)
    world.add_subnet(Lan.NEAR4)
    try:
        with world.view() as view:
            plan = served.backend.service.plan(view)
    finally:
        world.close()
    (problem,) = plan.problems
    assert problem.name == Lan.NEAR4
    assert 'a proxy has 127 bytes' in problem.message
