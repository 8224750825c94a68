"""Who claims what: by which values the state finds machines and records, and how these are written.  Pure.

What only one machine should have (a MAC address, an IP address, a serial number) may be claimed by several all the
same; whoever reads the claims decides what that means.
"""

import hashlib
import re
import socket
from collections.abc import Iterator

from .desired import Interface, Machine, Record
from .identity import clean_serial, clean_uuid

# Where these are claimed by several, the oldest has them: one that goes lets another have it.
EXCLUSIVE = frozenset(('mac', 'address', 'client-id', 'duid', 'circuit-id'))


# Of an interface that is switched off in NetBox: no claim against others, and a machine is found by it all the same
# where nobody else has it.  A card may have gone to another machine.
DISABLED = 'disabled-'


def claims_of(machine: Machine) -> Iterator[tuple[str, str]]:
    """What only one machine should claim, as (kind, value): mac, address, client-id, duid, circuit-id, uuid, serial,
    token (its SHA-256); and disabled-mac and disabled-address."""
    off = {mac.lower() for interface in machine.interfaces if not interface.enabled for mac in interface.macs}
    on = {mac.lower() for interface in machine.interfaces if interface.enabled for mac in interface.macs}
    if machine.boot_mac and (boot_mac := machine.boot_mac.lower()) not in off - on:
        yield 'mac', boot_mac
    for interface in machine.interfaces:
        for kind, value in _of_interface(interface):
            if interface.enabled:
                yield kind, value
            elif kind in ('mac', 'address'):
                yield f'{DISABLED}{kind}', value
    if uuid := clean_uuid(machine.uuid):
        yield 'uuid', uuid
    if serial := clean_serial(machine.serial):
        yield 'serial', serial
    if machine.build is not None and machine.build.token:
        yield 'token', token_key(machine.build.token)


def _of_interface(interface: Interface) -> Iterator[tuple[str, str]]:
    for mac in interface.macs:
        yield 'mac', mac.lower()
    for address in interface.addresses:
        yield 'address', address_key(address.vrf, address.address)
    for kind, value in (
        ('client-id', plain_hex(interface.dhcp_client_id)),
        ('duid', plain_hex(interface.dhcp_duid)),
        ('circuit-id', interface.dhcp_circuit_id),
    ):
        if value:
            yield kind, value


def plain_hex(value: str | None) -> str:
    """Bytes that people wrote as 00:01:…, 00-01-… or 0001…, in one form; text that is none stays as it is."""
    plain = (value or '').lower().translate(_SEPARATORS)
    return plain if len(plain) % 2 == 0 and _HEX.match(plain) else value or ''


_SEPARATORS = str.maketrans('', '', ':-. ')
_HEX = re.compile(r'[0-9a-f]+\Z')


def places_of(record: Record) -> Iterator[str]:
    """Where other records may stand beside this one: its name, and its address in the form of `inet_ntop`."""
    yield record.name.lower().rstrip('.')
    if record.address:
        yield plain_address(record.address)


def plain_address(text: str) -> str:
    """An IP address in its one usual form; what is none as it is."""
    family = socket.AF_INET6 if ':' in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        return text


def address_key(vrf: str | None, address: str) -> str:
    """Addresses are compared within their VRF."""
    return f'{address.partition("/")[0]}%{vrf or ""}'


def token_key(token: str) -> str:
    """Tokens are looked up by their digest, so that the time a lookup takes tells nothing about them."""
    return hashlib.sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()
