"""What clients must be told, written down by hand: the world that every backend serves in tests, and its right answers.

It takes nothing from the sidecar's tables, so that a mistake there is seen here.
"""

from dataclasses import dataclass

from substruct_sidecar.desired import Machine, Subnet
from tests.sidecar.dhcp.backend import BASE_URL6
from tests.sidecar.dhcp.client import (
    BIOS,
    HTTP,
    HTTP_ARM64,
    IPXE_ARM64,
    IPXE_BIOS,
    IPXE_UEFI,
    PLAIN,
    UEFI,
    UEFI_ARM64,
    UEFI_BC,
    Firmware,
)
from tests.sidecar.dhcp.wire import Answer, Answer6
from tests.sidecar.net import Lan
from tests.sidecar.world import BASE_URL, World

SCRIPT = '/boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}&platform=${platform}'  # fmt: skip  # noqa: E501


@dataclass(frozen=True)
class Chain:
    """The boot file of one kind of firmware.  `tftp`: it is fetched by TFTP, so the next server must be right."""

    file: str
    tftp: bool = False
    vendor_class: str | None = None


CHAINS: dict[Firmware, Chain] = {
    BIOS: Chain('lpxelinux.0', tftp=True),
    UEFI: Chain('snponly.efi', tftp=True),
    UEFI_BC: Chain('snponly.efi', tftp=True),
    UEFI_ARM64: Chain('snponly-arm64.efi', tftp=True),
    HTTP: Chain(f'{BASE_URL}/loaders/snponly.efi', vendor_class='HTTPClient'),
    HTTP_ARM64: Chain(f'{BASE_URL}/loaders/snponly-arm64.efi', vendor_class='HTTPClient'),
    IPXE_BIOS: Chain(f'{BASE_URL}{SCRIPT}'),
    IPXE_UEFI: Chain(f'{BASE_URL}{SCRIPT}'),
    IPXE_ARM64: Chain(f'{BASE_URL}{SCRIPT}'),
}
CHAINS6: dict[Firmware, Chain] = {
    UEFI: Chain(f'tftp://[{Lan.SERVER6}]/snponly.efi'),
    UEFI_ARM64: Chain(f'tftp://[{Lan.SERVER6}]/snponly-arm64.efi'),
    HTTP: Chain(f'{BASE_URL6}/loaders/snponly.efi', vendor_class='HTTPClient'),
    HTTP_ARM64: Chain(f'{BASE_URL6}/loaders/snponly-arm64.efi', vendor_class='HTTPClient'),
    IPXE_UEFI: Chain(f'{BASE_URL6}{SCRIPT}'),
}
FIRMWARES = (PLAIN, *CHAINS)


def boots(answer: Answer, firmware: Firmware) -> None:
    """The answer sends this firmware on its way."""
    chain = CHAINS[firmware]
    assert answer.boot_file == chain.file
    if chain.tftp:
        # The header's field is what ROMs look at.
        assert answer.siaddr == Lan.SERVER4
    if chain.vendor_class:
        assert str(answer.vendor_class).startswith(chain.vendor_class)
    # An option 43 would send a PXE ROM into the discovery of boot servers.
    assert 43 not in answer.options


def boots6(answer: Answer6, firmware: Firmware) -> None:
    chain = CHAINS6[firmware]
    assert answer.boot_file == chain.file
    if chain.vendor_class:
        assert answer.vendor_class is not None
        assert answer.vendor_class[6:].startswith(chain.vendor_class.encode())


def does_not_boot(answer: Answer) -> None:
    """Firmware goes on to the next boot device."""
    assert answer.boot_file is None
    assert 66 not in answer.options
    assert not str(answer.vendor_class).startswith('HTTPClient')


class Site:
    """A small data centre on the links of `net.Lan`, with machines of every kind."""

    lan: Subnet
    second: Subnet
    far: Subnet
    quiet: Subnet
    lan6: Subnet
    far6: Subnet

    srv: Machine
    on_second: Machine
    behind_relay: Machine
    everywhere: Machine
    bond: Machine
    other_bond: Machine
    universal: Machine
    known: Machine
    nothing: Machine
    local: Machine
    no_offer: Machine
    by_client_id: Machine
    by_duid: Machine
    by_circuit: Machine
    with_bmc: Machine
    moves: Machine
    real: Machine

    CLIENT_ID = bytes.fromhex('ff00000001000200007ed9aabbccddeeff')
    DUID = bytes.fromhex('0002000009bf0102030405')
    CIRCUIT = b'Gi1/0/7:"x"'

    def __init__(self, world: World) -> None:
        """Everything is in the world, and nothing else."""
        common = {'name_servers': ['10.60.0.53', '10.60.0.54'], 'ntp_servers': ['10.60.0.123'], 'lease_time': 1800}
        self.lan = world.add_subnet(
            Lan.NEAR4, vlan=60, gateway='10.60.0.1', domain='ber.example.com',
            lease_range=('10.60.0.100', '10.60.0.150'), dhcp_options={'interface-mtu': 9000, '224': 'of the lan'},
            **common,
        )  # fmt: skip
        self.second = world.add_subnet(
            Lan.SECOND4, vlan=60, gateway='10.60.1.1', domain='two.example.com', dhcp_options={'224': 'of the second'},
            **common,
        )  # fmt: skip
        self.far = world.add_subnet(
            Lan.FAR4, vlan=61, gateway='10.61.0.1', domain='far.example.com', discovery_enabled=True,
            lease_range=('10.61.0.100', '10.61.0.150'), **common,
        )  # fmt: skip
        self.quiet = world.add_subnet(Lan.QUIET4, vlan=62, gateway='10.62.0.1', **common)
        self.lan6 = world.add_subnet(
            Lan.NEAR6, vlan=60, name_servers=['2001:db8:60::53'], domain='ber.example.com', lease_time=1800,
            lease_range=('2001:db8:60::1000', '2001:db8:60::1fff'),
        )  # fmt: skip
        self.far6 = world.add_subnet(Lan.FAR6, vlan=61, name_servers=['2001:db8:61::53'], discovery_enabled=True,
                                     lease_range=('2001:db8:61::1000', '2001:db8:61::1fff'))  # fmt: skip

        def mac(number: int) -> str:
            return f'02:00:00:00:00:{number:02x}'

        def machine(name: str, number: int, *addresses: str, boot: str = 'build', method: str | None = None) -> Machine:
            return world.add_machine(name, mac=mac(number), address=addresses, boot=boot, local_method=method)

        self.srv = machine('srv-1', 0x11, '10.60.0.11/24', '2001:db8:60::11/64')
        self.on_second = machine('srv-2', 0x12, '10.60.1.12/24')
        self.behind_relay = machine('srv-3', 0x13, '10.61.0.13/24', '2001:db8:61::13/64')
        self.everywhere = machine('srv-4', 0x14, '10.60.0.14/24', '10.61.0.14/24')
        self.known = machine('srv-6', 0x16)
        self.nothing = machine('srv-7', 0x17, '10.60.0.17/24', boot='nothing')
        self.local = machine('srv-8', 0x18, '10.60.0.18/24', boot='local', method='exit')
        self.no_offer = machine('srv-9', 0x19, '10.60.0.19/24', boot='local', method='no-offer')

        self.universal = world.add_machine('srv-17', mac='00:1b:21:00:00:44', address='2001:db8:60::44/64')

        def bonded(name: str, address: str, *numbers: int) -> Machine:
            bond = world.interface('bond0', address=address, type='lag')
            ports = [world.interface(f'eth{place}', mac=mac(n), lag=bond.id) for place, n in enumerate(numbers)]
            return world.add_machine(name, interfaces=[bond, *ports])

        self.bond = bonded('srv-5', '10.60.0.15/24', 0x15, 0x25)
        self.other_bond = bonded('srv-16', '10.60.0.43/24', 0x43, 0x53)
        self.by_client_id = world.add_machine(
            'srv-10',
            interfaces=[world.interface(address='10.60.0.20/24', dhcp_client_id=self.CLIENT_ID.hex())],
        )
        self.by_duid = world.add_machine(
            'srv-11', interfaces=[world.interface(address='2001:db8:60::21/64', dhcp_duid=self.DUID.hex())]
        )
        self.by_circuit = world.add_machine(
            'srv-12',
            interfaces=[world.interface(address='10.61.0.22/24', dhcp_circuit_id=self.CIRCUIT.decode())],
        )
        self.moves = machine('srv-14', 0x41, '10.60.0.41/24', '2001:db8:60::41/64')
        self.real = machine('srv-15', 0x42, '10.60.0.42/24', '2001:db8:60::42/64', '2001:db8:61::42/64')
        self.with_bmc = world.add_machine(
            'srv-13',
            interfaces=[
                world.interface('eth0', mac=mac(0x23), address='10.60.0.23/24'),
                world.interface('bmc', mac=mac(0x33), address='10.60.0.33/24', mgmt_only=True),
            ],
        )


def mac_of(machine: Machine, number: int = 0) -> str:
    return [mac for interface in machine.interfaces for mac in interface.macs][number]
