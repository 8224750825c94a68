"""Where an address belongs: its prefix, the subnet that boot servers serve there, and its site."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from django.utils.translation import gettext as _

from .facts import Facts


@dataclass(frozen=True, slots=True)
class Place:
    """A network in which a machine showed itself.  `address` is what it had there, with prefix length."""

    address: str
    prefix: Any

    @property
    def site(self) -> Any:
        return self.prefix._site


def prefix_of(address: str) -> Any:
    """The smallest Prefix that holds an address (without prefix length), or None.

    The same network in several VRFs: that with a subnet of ours, else that in the global table; else nobody knows.
    """
    from ipam.models import Prefix

    found = list(
        Prefix.objects.filter(prefix__net_contains_or_equals=address).select_related('_site', 'substruct_subnet', 'vrf')
    )
    if not found:
        return None
    longest = max(each.prefix.prefixlen for each in found)
    nearest = [each for each in found if each.prefix.prefixlen == longest]
    for wanted in (
        [each for each in nearest if subnet_of(each) is not None],
        [each for each in nearest if each.vrf_id is None],
        nearest,
    ):
        if len(wanted) == 1:
            return wanted[0]
    return None


def subnet_of(prefix: Any) -> Any:
    """The provisioning side of a prefix, or None."""
    return getattr(prefix, 'substruct_subnet', None)


def boot_place(facts: Facts) -> Place | None:
    """The network that the machine booted from; where that is not known, the first in which it has an address."""
    boot = facts.boot_port
    ports = [boot] if boot is not None and boot.addresses else list(facts.interfaces)
    for port in ports:
        for address in port.addresses:
            host = ip_interface(address).ip
            if host.is_link_local or host.is_loopback:
                continue
            prefix = prefix_of(str(host))
            if prefix is not None:
                return Place(address, prefix)
    return None


def next_address(prefix: Any) -> tuple[str | None, str]:
    """The first address of a prefix that nobody has, with prefix length; or None, and why.

    As NetBox would give it, but for what DHCP hands out to machines without an address of their own, and the gateway.
    """
    subnet = subnet_of(prefix)
    lease = subnet.lease_range if subnet is not None else None
    low, high = (int(lease.start_address.ip), int(lease.end_address.ip)) if lease is not None else (1, 0)
    gateway = int(ip_address(subnet.gateway)) if subnet is not None and subnet.gateway else None
    for address in prefix.iter_available_ips():
        value = int(address)
        if value != gateway and not low <= value <= high:
            return f'{address}/{prefix.prefix.prefixlen}', ''
    return None, _('All addresses of {prefix} are taken, or kept for leases.').format(prefix=prefix)


def hold_addresses() -> None:
    """Nobody else gets a next address before this transaction ends; NetBox's own API waits at the same lock."""
    from django.db import connection

    from netbox.constants import ADVISORY_LOCK_KEYS

    with connection.cursor() as cursor:
        cursor.execute('SELECT pg_advisory_xact_lock(%s)', [ADVISORY_LOCK_KEYS['available-ips']])
