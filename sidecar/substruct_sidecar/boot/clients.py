"""The address that a request came from.  Pure.

Proxies say on whose behalf they ask (X-Forwarded-For), and anybody can say so; it counts only as far as each step was
told by a proxy that the settings name.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """An address in its usual form: IPv4 out of IPv6 (::ffff:10.0.0.1), no zone.  '' where it is none."""
    try:
        found: IPv4Address | IPv6Address = ip_address(text.strip().partition('%')[0])
    except ValueError:
        return ''
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(found)


class Proxies:
    """The prefixes whose word about others counts."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._networks: Sequence[IPv4Network | IPv6Network] = [ip_network(prefix) for prefix in prefixes]

    def trusts(self, address: str) -> bool:
        if not self._networks or not address:
            return False
        found = ip_address(address)
        return any(found in network for network in self._networks if network.version == found.version)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address of the client: `peer`, or what a trusted one says (the values of X-Forwarded-For, in order)."""
        address = plain(peer)
        if not self._networks or not forwarded:
            return address
        steps = [step for value in forwarded for step in value.split(',')]
        while steps and self.trusts(address):
            before = plain(steps.pop())
            if not before:
                break
            address = before
        return address
