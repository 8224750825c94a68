"""Which boot server serves what.  Pure.

- A subnet with a boot server, its own or inherited, is served by that one alone.
- Any other subnet is served by every boot server one of whose prefixes holds it, or at whose site it is.
- A machine with a boot server is served by that one alone.
- A discovered machine that is neither device nor virtual machine is served by all: nobody has said where it stands.
- Any other machine is served by the boot servers of the subnets in which it has addresses; one without an address in
  any subnet, by those at its site.
- A zone is served by its boot server.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6, inet_pton

from .subnets import Resolved

type Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one boot server was told to serve: sites, and prefixes as (VRF id, network)."""

    boot_server_id: int
    site_ids: frozenset[int]
    prefixes: tuple[tuple[int | None, Network], ...]

    def serves(self, subnet: Resolved) -> bool:
        if subnet.boot_server_id is not None:
            return bool(subnet.boot_server_id == self.boot_server_id)
        row = subnet.row
        if row.site_id is not None and row.site_id in self.site_ids:
            return True
        return any(
            vrf_id == row.vrf_id
            and network.version == row.network.version
            and network.prefixlen <= row.network.prefixlen
            and row.network.network_address in network
            for vrf_id, network in self.prefixes
        )


class NetworkIndex:
    """Finds the smallest of many networks that holds an address, in O(log n).

    The networks are cut into stretches that do not overlap, each with the smallest network over it.
    """

    def __init__(self, networks: Iterable[tuple[int | None, Network, int]]) -> None:
        """`networks`: (VRF id, network, id); the same network twice in a VRF: the higher id wins."""
        groups: dict[tuple[int | None, int], list[tuple[int, int, int]]] = {}
        for vrf_id, network, key in networks:
            first = int(network.network_address)
            groups.setdefault((vrf_id, network.version), []).append((first, first + network.num_addresses - 1, key))
        self._stretches: dict[tuple[int | None, int], tuple[list[bytes], list[int | None]]] = {}
        for (vrf_id, version), members in groups.items():
            width = 4 if version == 4 else 16
            starts: list[bytes] = []
            owners: list[int | None] = []

            def mark(at: int, owner: int | None, width: int = width, starts: list[bytes] = starts,
                     owners: list[int | None] = owners) -> None:  # fmt: skip
                if at >= 1 << (8 * width):
                    return
                where = at.to_bytes(width, 'big')
                if starts and starts[-1] == where:
                    owners[-1] = owner
                else:
                    starts.append(where)
                    owners.append(owner)

            stack: list[tuple[int, int]] = []  # (last address, key) of the networks that are open here

            def close(stack: list[tuple[int, int]] = stack, mark: Callable[[int, int | None], None] = mark) -> None:
                """End the innermost network, and those around it that end where it does."""
                last = stack.pop()[0]
                while stack and stack[-1][0] <= last:
                    stack.pop()
                mark(last + 1, stack[-1][1] if stack else None)

            for first, last, key in sorted(members, key=lambda m: (m[0], -m[1], m[2])):
                while stack and stack[-1][0] < first:
                    close()
                mark(first, key)
                stack.append((last, key))
            while stack:
                close()
            self._stretches[(vrf_id, version)] = (starts, owners)

    def find(self, vrf_id: int | None, address: str) -> int | None:
        """The id of the smallest network that holds the address (text, without prefix length), or None."""
        version, family = (6, AF_INET6) if ':' in address else (4, AF_INET)
        stretches = self._stretches.get((vrf_id, version))
        if stretches is None:
            return None
        starts, owners = stretches
        position = bisect_right(starts, inet_pton(family, address)) - 1
        return owners[position] if position >= 0 else None


def reverse_network(zone: str) -> Network | None:
    """The network whose PTR records belong in a reverse zone; None if the name is none.

    in-addr.arpa and ip6.arpa at octet and nibble boundaries (RFC 1035 section 3.5, RFC 3596 section 2.5), and the
    classless form `0/25.2.0.192.in-addr.arpa` or `0-25.…` with a dash (RFC 2317).
    """
    name = zone.lower().rstrip('.')
    try:
        if name.endswith('.in-addr.arpa'):
            labels = name.removesuffix('.in-addr.arpa').split('.')[::-1]
            last = labels[-1].replace('/', '-')
            if '-' in last:
                if len(labels) != 4:
                    return None
                base, _, length = last.partition('-')
                return IPv4Network(f'{".".join(labels[:-1])}.{int(base)}/{int(length)}') if int(length) > 24 else None
            if len(labels) > 4:
                return None
            return IPv4Network(f'{".".join((labels + ["0"] * 4)[:4])}/{8 * len(labels)}')
        if name.endswith('.ip6.arpa'):
            nibbles = name.removesuffix('.ip6.arpa').split('.')[::-1]
            if len(nibbles) > 32 or any(len(n) != 1 for n in nibbles):
                return None
            digits = ''.join(nibbles).ljust(32, '0')
            return IPv6Network((int(digits, 16), 4 * len(nibbles)))
    except ValueError:
        return None
    return None


class ZoneIndex:
    """Finds the zone in which a name's address records, or an address's PTR record, belong."""

    def __init__(self, zones: Iterable[tuple[int, str]]) -> None:
        """`zones`: (id, name) of every zone in NetBox, whoever serves it: a smaller zone cuts a hole in a larger."""
        listed = [(zone_id, name.lower().rstrip('.')) for zone_id, name in zones]
        self._forward = {name: zone_id for zone_id, name in listed}
        reverse = [(None, found, zone_id) for zone_id, name in listed if (found := reverse_network(name))]
        self._reverse = NetworkIndex(reverse)

    def forward(self, name: str) -> int | None:
        """The id of the zone with the longest name that `name` is in, or None."""
        while name:
            if (zone_id := self._forward.get(name)) is not None:
                return zone_id
            _, _, name = name.partition('.')
        return None

    def reverse(self, address: str) -> int | None:
        """The id of the smallest reverse zone that holds the address, or None."""
        return self._reverse.find(None, address)
