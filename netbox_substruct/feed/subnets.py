"""Values of subnets with what they inherit.  Pure: rows in, resolved values out, each with where it comes from.

A value that a subnet leaves empty is taken from the subnet of the nearest prefix above it, in the same VRF, that sets
it.  Gateway and lease range are a subnet's own: a router or a range of the prefix above is not inside this one.  DHCP
options are merged, the nearest winning for each option.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

DEFAULT_LEASE_TIME = 3600

INHERITED = (
    'boot_server_id', 'name_servers', 'ntp_servers', 'domain', 'lease_time', 'dhcp_enabled', 'discovery_enabled',
)  # fmt: skip
OWN = ('gateway', 'lease_range')


@dataclass(frozen=True, slots=True)
class Row:
    """A subnet as it stands in NetBox.  `network` has its prefix length; `lease_range` is (first, last) address."""

    id: int
    network: IPv4Network | IPv6Network
    vrf_id: int | None = None
    vrf: str | None = None
    vlan: int | None = None
    site_id: int | None = None
    site: str | None = None
    boot_server_id: int | None = None
    gateway: str | None = None
    name_servers: tuple[str, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    domain: str = ''
    lease_range: tuple[str, str] | None = None
    lease_time: int | None = None
    dhcp_options: Mapping[str, Any] = field(default_factory=dict)
    dhcp_enabled: bool | None = None
    discovery_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A subnet with its effective values.

    `origins` maps the name of each value that is set somewhere to the id of the subnet that sets it; DHCP options are
    under 'dhcp_options.<option>'.  A value that nobody sets has its default and no origin.
    """

    row: Row
    values: Mapping[str, Any]
    origins: Mapping[str, int]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


_DEFAULTS: Mapping[str, Any] = {
    'boot_server_id': None, 'name_servers': (), 'ntp_servers': (), 'domain': None, 'lease_time': DEFAULT_LEASE_TIME,
    'dhcp_enabled': False, 'discovery_enabled': False, 'gateway': None, 'lease_range': None,
}  # fmt: skip


def resolve_chain(chain: Iterable[Row]) -> Resolved:
    """Resolve one subnet.  `chain` is the subnet itself, then those above it, nearest first."""
    rows = list(chain)
    values: dict[str, Any] = {}
    origins: dict[str, int] = {}
    options: dict[str, Any] = {}
    for position, row in enumerate(rows):
        for name in INHERITED + (OWN if position == 0 else ()):
            value = getattr(row, name)
            if name not in values and value not in (None, '', ()):
                values[name], origins[name] = value, row.id
        for option, value in row.dhcp_options.items():
            if option not in options:
                options[option], origins[f'dhcp_options.{option}'] = value, row.id
    return Resolved(rows[0], {**_DEFAULTS, **values, 'dhcp_options': options}, origins)


def resolve(rows: Iterable[Row]) -> Iterator[Resolved]:
    """Resolve every subnet of `rows`, which must hold the ones above those of interest too."""
    stack: list[Row] = []
    for row in sorted(rows, key=_order):
        while stack and not _above(stack[-1], row):
            stack.pop()
        stack.append(row)
        yield resolve_chain(reversed(stack))


def _order(row: Row) -> tuple[int, int, int, int, int]:
    network = row.network
    return (row.vrf_id or 0, network.version, int(network.network_address), network.prefixlen, row.id)


def _above(upper: Row, lower: Row) -> bool:
    return (
        upper.vrf_id == lower.vrf_id
        and upper.network.version == lower.network.version
        and upper.network.prefixlen <= lower.network.prefixlen
        and lower.network.network_address in upper.network
    )


def network(text: str) -> IPv4Network | IPv6Network:
    """A network from a prefix as NetBox stores it (host bits may be set where NetBox does not forbid them)."""
    return ip_network(text, strict=False)
