"""Which base URL and which TFTP server the machines of a subnet are told, and the addresses of host names in URLs."""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Literal
from urllib.parse import urlsplit

import structlog

from .. import desired
from ..ledger import Ledger
from ..plan import Problem, Severity
from ..settings import Settings
from .model import BootAt, IpAddress, Network

log: Any = structlog.get_logger('dhcp')

type Resolve = Callable[[str, Literal[4, 6]], Sequence[IpAddress]]


def resolve(host: str, version: Literal[4, 6]) -> list[IpAddress]:
    """The addresses of a name, as this system knows it.  Raises OSError if nobody can say."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NODATA:  # it has some of the other family
            return []
        raise
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from error
    return [ip_address(str(entry[4][0])) for entry in found]


class Names:
    """Addresses of names.  One that was told once is told as long as the name has it, and while nobody can say: after
    a power cut the sidecar is there before the name servers, which may be machines that it boots itself."""

    def __init__(self, resolve: Resolve, ledger: Ledger | None) -> None:
        self._resolve = resolve
        self._ledger = ledger
        self._known: dict[tuple[str, int], tuple[IpAddress | None, bool]] = {}

    def ask_again(self) -> None:
        self._known.clear()

    def address(self, host: str, version: Literal[4, 6]) -> tuple[IpAddress | None, bool]:
        """(one address of a name or None, whether it is one that is remembered because nobody can say)."""
        if (host, version) not in self._known:
            self._known[host, version] = self._ask(host, version)
        return self._known[host, version]

    def _ask(self, host: str, version: Literal[4, 6]) -> tuple[IpAddress | None, bool]:
        mark = f'address{version} {host}'
        told = self._ledger.mark(mark) if self._ledger is not None else None
        last = ip_address(told) if told else None
        try:
            found = self._resolve(host, version)
        except OSError as error:
            log.warning('a name is not known', name=host, version=version, reason=str(error))
            return last, last is not None
        if last in found:
            return last, False
        # The order of several differs from answer to answer.
        address = min(found, key=int) if found else None
        if self._ledger is not None and address != last:
            self._ledger.write((), (), **{mark: str(address or '')})
        return address, False


class Where:
    """Which base URL and TFTP server machines of a subnet are told."""

    def __init__(self, settings: Settings, base_url: str, names: 'Names') -> None:
        boot = settings.boot
        self._advertise = [(ip_network(entry.prefix), entry.url, entry.tftp) for entry in boot.advertise]
        self._default = (boot.base_url or base_url, boot.tftp_server)
        self._names = names

    def at(self, line: desired.Subnet, network: Network, problems: list[Problem]) -> BootAt:
        holding = [entry for entry in self._advertise if holds(entry[0], network)]
        url, tftp = max(holding, key=lambda entry: entry[0].prefixlen)[1:] if holding else self._default
        url = url.rstrip('/')
        try:
            host = urlsplit(url).hostname or ''
        except ValueError:
            host = ''
        if not host:
            problems.append(
                of_subnet(line, 'no base URL is known, so its machines cannot boot over the network.',
                           "Set the boot server's base URL in NetBox, or boot.base_url in the settings.")
            )  # fmt: skip
            return BootAt('', None)
        literal = _literal(host)
        if literal is not None and literal.version != network.version:
            problems.append(
                of_subnet(line, f'its machines cannot boot: the base URL {url} has an IPv{literal.version} address.',
                           f'Add an entry to boot.advertise for {network}, or use a host name.', 'warning')
            )  # fmt: skip
            url = ''
        server = _literal(tftp) if tftp else None
        if server is None or server.version != network.version:
            server = literal
            if literal is None:
                server, remembered = self._names.address(host, network.version)
                if remembered:
                    problems.append(
                        of_subnet(line, f'nobody can say just now which address {host} has; {server}, which it had, '
                                        f'is told.', 'Look at the name servers of this host.', 'warning')
                    )  # fmt: skip
            if server is None or server.version != network.version:
                server = None
                if url:
                    problems.append(
                        of_subnet(line, f'TFTP cannot be offered: {host} has no IPv{network.version} address.',
                                   'Set boot.tftp_server in the settings, or tftp in boot.advertise.')
                    )  # fmt: skip
        return BootAt(url, server)


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def holds(above: Network, below: Network) -> bool:
    return above.version == below.version and above[0] <= below[0] and below[-1] <= above[-1]  # type: ignore[operator]


def of_subnet(subnet: desired.Subnet, message: str, remedy: str = '', severity: Severity = 'error') -> Problem:
    return Problem('dhcp', 'subnet', subnet.id, subnet.prefix, message, remedy, severity)


def short(text: str) -> str:
    """Text from outside as it stands in a message."""
    plain = ascii(text)[1:-1]
    return plain if len(plain) <= 60 else f'{plain[:57]}…'
