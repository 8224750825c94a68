"""What a DHCP server is to do, as values that no backend's syntax has touched.  Pure.

`derive` makes these from the desired state, `clients` has the boot loaders for each kind of client, and each backend
writes them in its own way.  Every value here is checked: MAC addresses are aa:bb:cc:dd:ee:ff in lower case, host names
are RFC 1123 labels, options are the bytes that go over the wire.  So a backend quotes only to be safe twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

import msgspec

from ..plan import Problem

type Network = IPv4Network | IPv6Network
type IpAddress = IPv4Address | IPv6Address
type IdentifierKind = Literal['mac', 'client-id', 'duid', 'circuit-id']


@dataclass(frozen=True, slots=True)
class Option:
    """A DHCP option as it goes over the wire: its code (RFC 2132 / RFC 8415) and its bytes.

    `name` is the IANA name where there is one, for people only.
    """

    code: int
    data: bytes
    name: str = ''


@dataclass(frozen=True, slots=True)
class BootAt:
    """Where machines of a subnet boot: the HTTP base URL without a slash at its end, and the TFTP server's address
    (None: TFTP cannot be offered, because no address is known)."""

    base_url: str
    tftp: IpAddress | None


@dataclass(frozen=True, slots=True)
class Subnet:
    """One prefix as DHCP serves it.

    `id` is the NetBox Subnet's (1 to 2^32-2: it is Kea's subnet id too).  Subnets with the same `shared` are on one
    link ('' where the subnet is alone).  `options` holds everything but lease time: routers, name servers, NTP servers,
    domain name and those set by hand (these win).  `lease_range` is (first, last) or None; `lease_time` in seconds.
    `discovery`: unknown machines are offered the boot chain.
    """

    id: int
    prefix: Network
    shared: str
    options: tuple[Option, ...]
    lease_range: tuple[IpAddress, IpAddress] | None
    lease_time: int
    discovery: bool
    boot: BootAt


# There are hundreds of thousands of the next three: these are made five times as fast as frozen dataclasses.
class Identifier(msgspec.Struct, frozen=True, gc=False):
    """How a client is known.  `value` is aa:bb:cc:dd:ee:ff for a MAC address, else the bytes in hexadecimal."""

    kind: IdentifierKind
    value: str


class Placement(msgspec.Struct, frozen=True, gc=False):
    """An address in a subnet (its id)."""

    subnet: int
    address: IpAddress


class Host(msgspec.Struct, frozen=True, gc=False):
    """One thing that asks for addresses: the identifiers of a machine that share the same placements.

    `key` is stable and unique ('m7.3' is machine 7, interface 3) and safe in every syntax: letters, digits, dots.
    Several identifiers are the members of a bond or bridge: any of them may ask, one at a time.  `placements` has at
    most one address for each subnet; with none, the host is known but has an address of the lease range.
    `hostname` is one label or ''.  `boot`: it is offered the boot chain; if not, no boot server and file are named.
    """

    key: str
    machine: int
    machine_name: str
    identifiers: tuple[Identifier, ...]
    placements: tuple[Placement, ...]
    hostname: str
    boot: bool

    def of(self, kind: IdentifierKind) -> tuple[str, ...]:
        return tuple(found.value for found in self.identifiers if found.kind == kind)

    def version(self, number: Literal[4, 6]) -> tuple[Placement, ...]:
        return tuple(found for found in self.placements if found.address.version == number)


@dataclass(frozen=True, slots=True)
class Desired:
    """What a DHCP server is to do.  `subnets` by id, only those with DHCP on, always all of them.  `hosts` may be asked
    once: it reads the state as it goes, so that a hundred thousand are never in memory together.  `problems` grows
    meanwhile, and is complete when the hosts are.

    `machines`: the hosts are those of these machines alone; what a server has for one of them and is not among the
    hosts is to go.  None: the hosts are all that there are.
    """

    subnets: Mapping[int, Subnet]
    hosts: Iterator[Host]
    problems: Sequence[Problem]
    machines: frozenset[int] | None = None
