"""Leases that stand in the way of a reservation, and giving them back in their holders' place.

dnsmasq does not give a reserved address to its new owner as long as somebody else has leased it: a machine with a new
network card, or two that exchange their addresses, would wait until the lease ends.  As dnsmasq's own dhcp_release
does, a DHCPRELEASE (RFC 2131 section 4.4.6) is sent for it, from the host on which both run.  IPv4 only; without
access to the lease file nothing is done, and the machine waits.
"""

import re
import socket
import struct
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

# Where dnsmasq keeps leases if its configuration does not say (config.h; Debian's build and upstream's for Linux).
DEFAULT = Path('/var/lib/misc/dnsmasq.leases')

_SERVER = 67
_COOKIE = bytes((99, 130, 83, 99))
_RELEASE = 7
_FILE = re.compile(r'(?:dhcp-leasefile|dhcp-lease-file)\s*=\s*"?([^"\s]+)"?\s*\Z')
_MAC = re.compile(r'(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\Z')
_HEX = re.compile(r'(?:[0-9a-f]{2}:)*[0-9a-f]{2}\Z')


@dataclass(frozen=True, slots=True)
class Lease:
    """`client_id` is in hexadecimal with colons, '' where the client sent none."""

    address: IPv4Address
    mac: str
    client_id: str

    def of(self, identifiers: Set[str]) -> bool:
        """Whether a client with one of these has it: MAC addresses, and client identifiers in hexadecimal, with colons
        or without."""
        return not identifiers.isdisjoint((self.mac, self.client_id or self.mac, self.client_id.replace(':', '')))


def file_of(texts: Iterable[str]) -> Path:
    """The lease file that a configuration names."""
    found = DEFAULT
    for text in texts:
        for row in text.splitlines():
            if match := _FILE.match(row.strip()):
                found = Path(match[1])
    return found


def read(path: Path) -> Iterator[Lease]:
    """The IPv4 leases on Ethernet: time, MAC address, address, name, client identifier or * (man page, --dhcp-script).

    Raises OSError."""
    with path.open(encoding='ascii', errors='replace') as rows:
        for row in rows:
            words = row.split()
            if len(words) == 5 and _MAC.match(words[1]):
                try:
                    address = IPv4Address(words[2])
                except ValueError:
                    continue
                yield Lease(address, words[1], words[4] if _HEX.match(words[4]) else '')


def give_back(lease: Lease) -> None:
    """Send a DHCPRELEASE to the server on this host.  There is no answer.  Raises OSError.

    The server is the address from which this host reaches the leased one: that of dnsmasq's interface in the subnet,
    or in the direction of its relay."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.connect((str(lease.address), _SERVER))  # sends nothing
        server = opened.getsockname()[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.sendto(release(lease, IPv4Address(server)), (server, _SERVER))


def release(lease: Lease, server: IPv4Address) -> bytes:
    """The packet (RFC 2131 section 2 and table 5)."""
    options = bytes((53, 1, _RELEASE, 54, 4)) + server.packed
    if lease.client_id:
        identifier = bytes.fromhex(lease.client_id.replace(':', ''))
        options += bytes((61, len(identifier))) + identifier
    header = struct.pack(
        '!BBBBIHH4s4s4s4s16s64s128s', 1, 1, 6, 0, 0, 0, 0, lease.address.packed, b'', b'', b'',
        bytes.fromhex(lease.mac.replace(':', '')), b'', b'',
    )  # fmt: skip
    return (header + _COOKIE + options + b'\xff').ljust(300, b'\0')
