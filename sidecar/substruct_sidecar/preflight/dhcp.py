"""The step `dhcp`: what the machine would be answered, as it is derived from NetBox, and as the daemon says itself.

The daemon is asked (`asking`) where this host is on the machine's link and the machine has an address of its own: a
client of a lease range would keep an address from others for a while.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..desired import Machine
from ..dhcp import clients
from ..dhcp.derive import Deriver
from ..dhcp.model import Host, Placement, Subnet
from ..plan import Problem
from ..settings import Settings
from ..state import Changed, View
from ..status import Status
from . import asking
from .steps import Step, failure, ok, unknown, warning

KEY = 'dhcp'

# Option 93 of firmware (IANA, Processor Architecture Types), as `dhcp.clients` has the loaders for it.
_PXE = {
    ('x86_64', 'bios'): 0, ('i386', 'bios'): 0, ('x86_64', 'uefi'): 7, ('i386', 'uefi'): 6, ('aarch64', 'uefi'): 11,
    ('armv7l', 'uefi'): 10, ('riscv64', 'uefi'): 27,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expected:
    """The port that the machine boots from, as DHCP knows it: `subnet` and `address` are None where it has none of its
    own, `mac` is '' where it is not known by one."""

    host: Host
    mac: str
    subnet: Subnet | None
    address: IPv4Address | None


def architectures_of(machine: Machine) -> list[int]:
    """What its firmware may say in option 93; both ways of a PC where its firmware is not known."""
    ways = [machine.firmware] if machine.firmware else ['bios', 'uefi']
    found = [_PXE[machine.architecture, way] for way in ways if (machine.architecture, way) in _PXE]
    return list(dict.fromkeys(found))


def class_of(architecture: int, mac: str, loaders: dict[str, str]) -> clients.ClientClass | None:
    """The first class of clients that a PXE client is in, as the daemons look for it."""
    for found in clients.table(loaders):
        for match in found.matches:
            if (
                match.option is None
                and not match.user_class
                and (not match.architectures or architecture in match.architectures)
                and 'PXEClient'.startswith(match.vendor_class)
                and (not match.macs or mac.startswith(match.macs))
            ):
                return found
    return None


def expected(view: View, settings: Settings, machine: Machine) -> tuple[Expected | None, list[Problem]]:
    """The port that it boots from, and what is wrong with its DHCP."""
    deriver = Deriver(settings)
    deriver.desired(view)  # reads the subnets; the hosts of all others are not made
    changed = Changed(view.revision, view.revision, {'machine': frozenset((machine.id,))})
    desired = deriver.desired(view, changed)
    hosts = list(desired.hosts)
    problems = [
        found
        for found in desired.problems
        if (found.what, found.id) == ('machine', machine.id)
        or (found.what == 'subnet' and found.id in {place.subnet for host in hosts for place in host.placements})
    ]
    host = _boots_from(machine, hosts)
    if host is None:
        return None, problems
    mac = machine.boot_mac.lower() if machine.boot_mac else next(iter(host.of('mac')), '')
    place = next(iter(host.version(4)), None)
    subnet = desired.subnets.get(place.subnet) if place is not None else None
    address = place.address if place is not None and isinstance(place.address, IPv4Address) else None
    return Expected(host, mac, subnet, address), problems


def _boots_from(machine: Machine, hosts: list[Host]) -> Host | None:
    if machine.boot_mac:
        return next((host for host in hosts if machine.boot_mac.lower() in host.of('mac')), None)
    management = {f'm{machine.id}.{port.id}' for port in machine.interfaces if port.mgmt_only}
    ports = [host for host in hosts if host.key not in management] or hosts

    def first(places: tuple[Placement, ...]) -> bool:
        return bool(places)

    return next((host for host in ports if first(host.version(4))), next(iter(ports), None))


def steps(settings: Settings, status: Status | None, machine: Machine, found: Expected | None,
          problems: list[Problem]) -> Iterator[Step]:  # fmt: skip
    if settings.dhcp.backend == 'none':
        yield unknown(
            KEY, 'This boot server runs no DHCP server: what another one answers is not known here.',
            'See that it leads this machine to this boot server (docs/dhcp.md).',
        )  # fmt: skip
        if found is None or found.address is None:
            return
    elif found is None:
        words = 'DHCP does not know the port that it boots from.'
        mine = [problem for problem in problems if problem.what == 'machine']
        if mine:
            words = f'{words} {mine[0].message}'
        yield failure(KEY, words, 'Give its interface the MAC address in NetBox, and an address in a subnet with DHCP.')
        return
    elif found.subnet is None or found.address is None:
        yield warning(
            KEY, f'{found.mac or machine.name} has no IPv4 address of its own in a subnet that is served: '
            'it gets one of a lease range, if its link has one.',
            'Give its boot interface an IP address in NetBox.',
        )  # fmt: skip
        return
    yield from _reported(settings, status, problems)
    assert found is not None
    if found.subnet is not None and found.address is not None and found.mac:
        yield from _answers(settings, machine, found, found.subnet, found.address)


def _reported(settings: Settings, status: Status | None, problems: list[Problem]) -> Iterator[Step]:
    for problem in problems:
        make = failure if problem.severity == 'error' else warning
        yield make(KEY, f'{problem.name}: {problem.message}', problem.remedy)
    if settings.dhcp.backend == 'none' or status is None:
        return
    service = next((one for one in status.services if one.name == 'dhcp'), None)
    if service is None or service.state == 'starting':
        yield warning(KEY, 'The DHCP service has not begun yet.', 'Look again in a moment.')
    elif service.state != 'ok':
        yield failure(KEY, f'The DHCP service ({service.backend}) is {service.state}: {service.message}',
                      'substruct-sidecar status, on the boot server, says more.')  # fmt: skip
    elif service.revision < status.revision:
        yield warning(KEY, 'What changed last in NetBox is not applied to the DHCP server yet.',
                      'Look again in a moment.')  # fmt: skip


def _answers(settings: Settings, machine: Machine, found: Expected, subnet: Subnet, address: IPv4Address
             ) -> Iterator[Step]:  # fmt: skip
    network = subnet.prefix
    interface = asking.interface_in(network) if isinstance(network, IPv4Network) else None
    plans = architectures_of(machine)
    if not plans:
        yield unknown(KEY, f'No boot loader is known for {machine.architecture} with {machine.firmware or "any"} '
                           'firmware.')  # fmt: skip
    for architecture in plans:
        chosen = class_of(architecture, found.mac, settings.dhcp.loaders)
        answer = chosen.answer(subnet.boot, 4) if chosen is not None else None
        plan = f'{address} and {answer.file or "no file"} from {answer.next_server}' if answer else f'{address} alone'
        if answer is None and found.host.boot:
            yield failure(
                KEY, f'{_client(architecture)} would be given {address}, and nothing to boot.',
                "Set the boot server's base URL in NetBox, or a loader for this kind of client (dhcp.loaders).",
            )  # fmt: skip
            continue
        if interface is None:
            if settings.dhcp.backend != 'none':
                yield ok(KEY, f'{_client(architecture)} is to be given {plan}. (As planned: this boot server has no '
                              f'address in {network}, so the daemon itself was not asked.)')  # fmt: skip
            continue
        yield _asked(settings, found, interface, architecture, address, answer)


def _asked(settings: Settings, found: Expected, interface: str, architecture: int, address: IPv4Address,
           answer: clients.Answer | None) -> Step:  # fmt: skip
    name, who = settings.dhcp.backend, _client(architecture)
    try:
        offers, deaf = asking.discover(interface, found.mac, architecture=architecture)
    except asking.CannotAsk as error:
        return _planned(who, address, answer, f'the daemon was not asked: {error}')
    if not offers:
        if name == 'none':
            return failure(KEY, f'Nobody on {interface} answers {who}.', 'Start a DHCP server for this link.')
        if deaf:
            return _planned(who, address, answer, 'its daemon cannot be heard from its own host without CAP_NET_RAW')
        return failure(
            KEY, f'The DHCP server did not answer {who} on {interface}, which is to have {address}.',
            'Is it running, and does it serve this interface? substruct-sidecar check says more.',
        )  # fmt: skip
    servers = ', '.join(offer.server for offer in offers)
    wrong = [offer for offer in offers if offer.address != str(address)]
    if wrong:
        words = '; '.join(f'{offer.server} offers {offer.address}' for offer in wrong)
        return failure(
            KEY, f'{who} is to have {address}, but {words}.',
            'Several DHCP servers on one link, or one that does not have the last change.' if len(offers) > 1
            else 'Look at the plan of the DHCP service: substruct-sidecar plan dhcp.',
        )  # fmt: skip
    offer = offers[0]
    file = answer.file if answer is not None and found.host.boot else ''
    if offer.file != file:
        return failure(
            KEY, f'{offer.server} offers {who} {address} with the file {offer.file or "(none)"} and not '
                 f'{file or "(none)"}.',
            'Something else sets the boot file: another server, or a hand-written part of its configuration.',
        )  # fmt: skip
    if len(offers) > 1:
        return warning(KEY, f'Several DHCP servers answer {who} alike: {servers}.', 'Is that meant?')
    loads = f' and {offer.file} from {offer.next_server}' if offer.file else ', and no boot file'
    return ok(KEY, f'{offer.server} offers {who} {offer.address}{loads}.')


def _planned(who: str, address: IPv4Address, answer: clients.Answer | None, why: str) -> Step:
    file = f' and {answer.file} from {answer.next_server}' if answer is not None else ''
    return ok(KEY, f'{who} is to be given {address}{file}. (As planned: {why}.)')


def _client(architecture: int) -> str:
    return {0: 'BIOS', 6: 'UEFI (32 bit)', 7: 'UEFI'}.get(architecture, f'a PXE client of architecture {architecture}')
