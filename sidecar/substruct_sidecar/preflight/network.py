"""The steps beside the boot chain: whether DNS knows the machine, and whether its BMC can be reached."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address, ip_interface
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename

from ..desired import Bmc, Machine, Subnet
from ..secrets import SecretError, Secrets
from ..settings import Settings
from ..state import View
from .steps import Step, failure, ok, unknown, warning

PATIENCE = 2.0
# Name servers that are asked, of a subnet's.
MOST_SERVERS = 3


# ---------------------------------------------------------------------- DNS


def names(view: View, machine: Machine) -> Iterator[Step]:
    """Whether the name servers that the machine is told answer with its address for its name."""
    found = _primary(view, machine)
    if found is None:
        yield unknown('dns', 'It has no address in a subnet that is served here, so it is told no name servers.')
        return
    address, subnet = found
    if not subnet.name_servers:
        yield warning('dns', f'Machines in {subnet.prefix} are told no name server.',
                      'Give the subnet name servers in NetBox; most installers need one.')  # fmt: skip
        return
    for server in subnet.name_servers[:MOST_SERVERS]:
        yield _server(server, machine.fqdn, address)


def _primary(view: View, machine: Machine) -> tuple[str, Subnet] | None:
    places = [
        (not address.primary, str(ip_interface(address.address).ip), address.subnet)
        for interface in machine.interfaces if interface.enabled and not interface.mgmt_only
        for address in interface.addresses if address.subnet is not None
    ]  # fmt: skip
    for _, address, key in sorted(places, key=lambda place: place[0]):
        subnet: Subnet | None = view.object('subnet', key) if key is not None else None
        if subnet is not None:
            return address, subnet
    return None


def _server(server: str, fqdn: str, address: str) -> Step:
    kind = dns.rdatatype.AAAA if ':' in address else dns.rdatatype.A
    try:
        forward = _ask(server, fqdn, kind)
        reverse = _ask(server, dns.reversename.from_address(address).to_text(), dns.rdatatype.PTR)
    except (OSError, dns.exception.DNSException) as error:
        return warning('dns', f'The name server {server} does not answer from here: {error or type(error).__name__}',
                       'If machines reach it and this host does not, all is well.')  # fmt: skip
    if '.' not in fqdn.rstrip('.'):
        return ok('dns', f'The name server {server} answers; {fqdn} has no domain to be looked for in.')
    if address not in forward:
        said = ', '.join(forward) or 'nothing'
        return warning('dns', f'The name server {server} has {said} for {fqdn}, and not {address}.',
                       'Give the address its DNS name in NetBox, and its zone a boot server.')  # fmt: skip
    names = [name.rstrip('.').lower() for name in reverse]
    if fqdn.lower() not in names:
        said = ', '.join(names) or 'nothing'
        return warning('dns', f'The name server {server} has {said} for {address}, and not {fqdn}.',
                       'Make its reverse zone in NetBox.')  # fmt: skip
    return ok('dns', f'The name server {server} knows {fqdn} as {address}, and back.')


def _ask(server: str, name: str, kind: dns.rdatatype.RdataType) -> list[str]:
    answer = dns.query.udp(dns.message.make_query(name, kind), server, timeout=PATIENCE)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise OSError(f'it says {dns.rcode.to_text(answer.rcode())}')
    return [str(item) for found in answer.answer if found.rdtype == kind for item in found]


# ---------------------------------------------------------------------- BMC


def bmc(settings: Settings, machine: Machine) -> Iterator[Step]:
    found = machine.bmc
    if found is None:
        yield unknown('bmc', 'NetBox has no BMC of it: somebody has to switch it on, and let it boot from the network.')
        return
    if not found.address:
        yield warning('bmc', 'Its BMC has no address.', 'Give the BMC an address, or the device an out-of-band IP.')
        return
    yield _reached(found, found.address)
    try:
        Secrets(Path(settings.secrets.directory)).get(found.credential)
    except SecretError as error:
        yield warning('bmc', f'Its BMC cannot be used from here. {error}')


def _reached(found: Bmc, address: str) -> Step:
    try:
        ip_address(address)
    except ValueError:
        return failure('bmc', f'"{address[:60]}" is no address of a BMC.', 'Correct it in NetBox.')
    if found.protocol == 'redfish':
        port = found.port or 443
        try:
            socket.create_connection((address, port), PATIENCE).close()
        except OSError as error:
            return warning('bmc', f'Its BMC does not answer at {address}, TCP port {port}: {error}', _REMEDY)
        return ok('bmc', f'Its BMC answers at {address}, TCP port {port}.')
    port = found.port or 623
    if ipmi_answers(address, port):
        return ok('bmc', f'Its BMC answers IPMI at {address}, UDP port {port}.')
    return warning('bmc', f'Its BMC does not answer IPMI at {address}, UDP port {port}.', _REMEDY)


_REMEDY = 'Is its cable plugged in, its address right, and the management network open from the boot server?'


def ipmi_answers(address: str, port: int) -> bool:
    """Ask what every BMC answers without an account: Get Channel Authentication Capabilities (IPMI 2.0, 22.13)."""
    # The channel that we speak on, and the privilege of a user; RMCP, a session of none, and the checksums of the bus.
    body = bytes((0x20, 6 << 2)) + bytes((_sum(0x20, 6 << 2), 0x81, 0, 0x38, 0x0E, 0x02))
    body += bytes((_sum(*body[3:]),))
    packet = bytes((6, 0, 0xFF, 7)) + bytes(9) + struct.pack('B', len(body)) + body
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for _ in range(2):
        try:
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as asker:
                asker.settimeout(PATIENCE / 2)
                asker.connect((address, port))
                asker.send(packet)
                if asker.recv(1024)[:1] == b'\6':
                    return True
        except OSError:
            continue
    return False


def _sum(*values: int) -> int:
    """Two's complement checksum."""
    return -sum(values) & 0xFF
