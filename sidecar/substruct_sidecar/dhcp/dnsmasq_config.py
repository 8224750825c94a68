"""What dnsmasq's configuration says for the subnets and client classes, as blocks of lines.  Pure.

How the decision about a packet runs in dnsmasq, where everything is done by tags:

- A packet has the tag of its subnet (`s<id>`), of its host's boot flag (`boot`), and of everything that the client
  says of itself (`arch-7`, `vendor-pxeclient`, `user-ipxe`, `option-175`).
- `tag-if` lines, which dnsmasq runs in their order, make of these the one class that the client is of (`c-uefi-x64`:
  the first that matches), whether it may boot (`chain`), and where machines of its subnet boot (`b0`, `b1`, …).
- A boot file, option 67 or URL is given for exactly one combination of class, chain and place.

All tags begin with `substruct-`, so that hand-written lines do not meet them by accident.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from ..plan import Problem
from . import dnsmasq_syntax as syntax
from .clients import SCRIPT, V4_BOOT_FILE, V6_BOOT_URL, Answer, ClientClass, Match
from .dnsmasq_syntax import Block, Unsayable
from .model import BootAt, Host, Network, Option, Subnet

PREFIX = 'substruct-'
BOOT = f'{PREFIX}boot'
EVERY = f'{PREFIX}every'
_KNOWN = f'{PREFIX}known'
_CHAIN = f'{PREFIX}chain'
_SEEN = f'{PREFIX}seen'
_MAKERS = f'{PREFIX}maker-'

ROUTERS = 3
SERVER_IP = 255  # dnsmasq's own number for the field siaddr, in lines of options

# Architectures from here on are UEFI to dnsmasq.
_FIRST_UEFI = 6

# A lease that never ends, as dnsmasq writes it.
_INFINITE = 0xFFFFFFFF


@dataclass
class Written:
    """`conf` is read when dnsmasq starts, `options` when it starts or gets SIGHUP; both by key, in their order.
    `circuits`: the keys of the hosts that are in `conf`, because dnsmasq has no other place for them."""

    conf: dict[str, Block] = field(default_factory=dict)
    options: dict[str, Block] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def configuration(
    subnets: Mapping[int, Subnet],
    classes: Sequence[ClientClass],
    circuits: Sequence[Host],
    *,
    hosts: Sequence[str],
    options: str,
    proxy: bool,
) -> Written:
    """Everything but the hosts that are known by MAC address, client identifier or DUID.

    `hosts` are the folders of dhcp-hostsfile and dhcp-hostsdir, or none if hosts are in the configuration itself;
    `options` is that of dhcp-optsfile.
    """
    return _Writer(subnets, classes, circuits, proxy).all(hosts, options)


def shorter_script(base_url: str, limit: int) -> str | None:
    """The URL of the boot script in at most `limit` bytes: with fewer of the values that help to know a machine.

    Its MAC address is always there; None where not even that fits."""
    path, _, query = SCRIPT.partition('?')
    values = query.split('&')
    while values:
        url = f'{base_url}{path}?{"&".join(values)}'
        if len(url.encode()) <= limit:
            return url
        values.pop()
    return None


class _Writer:
    def __init__(
        self, subnets: Mapping[int, Subnet], classes: Sequence[ClientClass], circuits: Sequence[Host], proxy: bool
    ) -> None:
        self._classes = classes
        self._circuits = circuits
        self._proxy = proxy
        self._written = Written()
        self._subnets = dict(self._usable(subnets.values()))
        # Places in the order of the oldest subnet that has them: a new subnet renumbers nothing.
        self._places: dict[tuple[BootAt, int], str] = {}
        for subnet in self._subnets.values():
            key = (subnet.boot, subnet.prefix.version)
            if key not in self._places and (subnet.boot.base_url or subnet.boot.tftp):
                self._places[key] = f'{PREFIX}b{subnet.id}'

    # --- subnets

    def _usable(self, subnets: Iterable[Subnet]) -> Iterator[tuple[int, Subnet]]:
        for subnet in sorted(subnets, key=lambda subnet: subnet.id):
            if subnet.prefix.version == 6 and self._proxy:
                continue  # said by `cannot`: it holds for all of them
            if subnet.prefix.version == 6 and subnet.prefix.prefixlen < 64:
                self._problem(
                    subnet, 'dnsmasq serves DHCPv6 in prefixes of length 64 or more only.', 'Use /64, or Kea.'
                )
                continue
            yield subnet.id, subnet

    def _problem(self, subnet: Subnet, message: str, remedy: str = '') -> None:
        self._written.problems.append(Problem('dhcp', 'subnet', subnet.id, str(subnet.prefix), message, remedy))

    def all(self, hosts: Sequence[str], options: str) -> Written:
        self._add('general', '', self._general(hosts, options))
        for subnet in self._subnets.values():
            self._add(f'subnet-{subnet.id}', str(subnet.prefix), self._ranges(subnet))
            if not self._proxy:
                self._option_lines(subnet)
        for host in () if self._proxy else self._circuits:
            self._add(f'circuit-{host.key}', host.machine_name, self._circuit(host))
        self._add('known', '', self._known())
        self._add('clients', '', self._clients())
        for (boot, version), place in self._places.items():
            self._add(place.removeprefix(PREFIX), boot.base_url, self._chain(boot, version, place))
        if self._proxy:
            self._add('proxy', '', self._proxy_ranges())
        return self._written

    def _add(self, key: str, name: str, lines: Iterable[str]) -> None:
        if found := tuple(lines):
            self._written.conf[key] = syntax.block(key, name, found)

    def _general(self, hosts: Sequence[str], options: str) -> Iterator[str]:
        for name, folder in zip(('dhcp-hostsfile', 'dhcp-hostsdir'), hosts, strict=False):
            yield syntax.line(name, folder)
        if not self._proxy:
            yield syntax.line('dhcp-optsfile', options)
        # A tag that every packet has (see host_lines).
        yield syntax.line('tag-if', _set(EVERY))

    def _ranges(self, subnet: Subnet) -> Iterator[str]:
        if self._proxy:
            return
        yield _range(subnet, subnet.lease_range)
        yield from self._links(subnet)

    def _links(self, subnet: Subnet) -> Iterator[str]:
        """A relay or an interface in this subnet may ask for the others on its link (man page, --shared-network).

        dnsmasq must be told addresses of relays and of its own: the routers of the subnet and the TFTP server are the
        ones that are known."""
        if not subnet.shared:
            return
        others = [
            other
            for other in self._subnets.values()
            if other.shared == subnet.shared and other.id != subnet.id and other.prefix.version == subnet.prefix.version
        ]
        ours = [IPv4Address(data) for found in subnet.options if found.code == ROUTERS for data in _fours(found.data)]
        if subnet.boot.tftp is not None:
            ours.append(subnet.boot.tftp)  # type: ignore[arg-type]
        for address in dict.fromkeys(ours):
            if address in subnet.prefix:
                for other in others:
                    yield syntax.line('shared-network', str(address), str(other.prefix[0]))

    def _option_lines(self, subnet: Subnet) -> None:
        version: Literal[4, 6] = 4 if subnet.prefix.version == 4 else 6
        here = syntax.tag(_of(subnet))
        lines = []
        for found in subnet.options:
            try:
                lines.append(_no_name(syntax.line('', here, *syntax.option(found, version))))
            except Unsayable as error:
                self._problem(
                    subnet,
                    f'dnsmasq cannot send DHCP option {found.code} ({found.name}): {error}.',
                    'Change its value, or use Kea or ISC dhcpd.',
                )
        if version == 4:
            # Without it dnsmasq names itself as boot server to everybody; dhcp-boot wins over it.
            lines.append(_no_name(syntax.line('', here, str(SERVER_IP), '0.0.0.0')))  # noqa: S104
        if lines:
            key = f'options-{subnet.id}'
            self._written.options[key] = syntax.block(key, str(subnet.prefix), lines)

    def _circuit(self, host: Host) -> Iterator[str]:
        """A machine that is known by the port that its relay says.  dnsmasq makes a tag of it and no host, so that its
        address is a range of one, for that tag alone."""
        own = f'{PREFIX}h-{host.key}'
        lines = [
            syntax.line('dhcp-circuitid', _set(own), bytes.fromhex(value).hex(':')) for value in host.of('circuit-id')
        ]
        lines.append(syntax.line('tag-if', _set(_KNOWN), syntax.tag(own)))
        if host.boot:
            lines.append(syntax.line('tag-if', _set(BOOT), syntax.tag(own)))
        try:
            if host.hostname:
                lines.append(syntax.line('dhcp-option', syntax.tag(own), '12', syntax.quoted(host.hostname)))
        except Unsayable:
            pass  # host names have no control characters
        for placement in host.version(4):
            subnet = self._subnets.get(placement.subnet)
            if subnet is not None:
                lines.append(_range(subnet, (placement.address, placement.address), syntax.tag(own)))
        yield from lines

    # --- clients

    def _known(self) -> Iterator[str]:
        yield syntax.line('tag-if', _set(_CHAIN), syntax.tag(BOOT))
        unknown = [syntax.tag(f'!{name}') for name in ('known', 'known-othernet', _KNOWN)]
        for subnet in self._subnets.values():
            if subnet.discovery:
                yield syntax.line('tag-if', _set(_CHAIN), syntax.tag(_of(subnet)), *unknown)
        for subnet in self._subnets.values():
            place = self._places.get((subnet.boot, subnet.prefix.version))
            if place is not None:
                yield syntax.line('tag-if', _set(place), syntax.tag(_of(subnet)))

    def _clients(self) -> Iterator[str]:
        conditions: dict[str, None] = {}
        order: list[str] = []
        versions: list[Literal[4, 6]] = [4]
        if any(subnet.prefix.version == 6 for subnet in self._subnets.values()):
            versions.append(6)
        for found in self._classes:
            matched = f'{PREFIX}m-{found.name}'
            for version in versions:
                for match in found.matches_of(version):
                    for wanted in _conditions(found.name, match, version, conditions):
                        tags = [syntax.tag(name) for name in wanted]
                        if version == 6:
                            tags.append('tag:dhcpv6')
                        order.append(syntax.line('tag-if', _set(matched), *tags))
            order.append(
                syntax.line('tag-if', _set(_class(found)), syntax.tag(matched), syntax.tag(f'!{_SEEN}'))
            )  # fmt: skip
            order.append(syntax.line('tag-if', _set(_SEEN), syntax.tag(matched)))
        yield from conditions
        yield from order

    def _chain(self, boot: BootAt, version: int, place: str) -> Iterator[str]:
        for found in self._classes:
            tags = [syntax.tag(name) for name in (place, _CHAIN, _class(found))]
            try:
                if version == 6:
                    yield from _answer6(found.answer(boot, 6), tags)
                elif self._proxy:
                    yield from _proxied(found, self._proxy_answer(found, boot), tags)
                else:
                    yield from _answer4(found.answer(boot, 4), tags)
            except Unsayable as error:
                for subnet in self._subnets.values():
                    if subnet.boot == boot and subnet.prefix.version == version:
                        self._problem(
                            subnet,
                            f'dnsmasq cannot tell {found.name} clients what to boot: {error}.',
                            'Give the boot server a shorter base URL.',
                        )

    # --- proxy

    def _proxy_answer(self, found: ClientClass, boot: BootAt) -> Answer | None:
        if found.how == 'http':
            return None  # dnsmasq's proxy answers nobody but PXEClient
        answer = found.answer(boot, 4)
        if answer is None or answer.next_server is None:
            return None  # iPXE passes over a proxy's offer without next-server
        if found.how == 'script' and not answer.in_header:
            short = shorter_script(boot.base_url, 127)
            if short is None:
                raise Unsayable('a proxy has 127 bytes for the URL of the boot script')
            return replace(answer, file=short)
        if not answer.in_header:
            raise Unsayable('a proxy has 127 bytes for the boot file')
        return answer

    def _proxy_ranges(self) -> Iterator[str]:
        """Only who has something to boot is answered: an empty offer would keep firmware from going on to its disk.

        dnsmasq puts the subnet's tag on a packet after it has chosen the range, so the range itself asks for the tags
        that decide, and there are two for each place: with and without discovery."""
        # dnsmasq is a proxy only if there is a PXE service; this one is for nobody.
        yield syntax.line('pxe-service', syntax.tag(f'{PREFIX}nobody'), '0', '"nobody"')
        unknown = [syntax.tag(f'!{name}') for name in ('known', 'known-othernet')]
        for (boot, _), place in self._places.items():
            everybody, known = _set(f'{place}-all'), _set(f'{place}-known')
            for found in self._classes:
                try:
                    answered = self._proxy_answer(found, boot) is not None
                except Unsayable:
                    answered = False  # said by `_chain`
                if answered:
                    own = syntax.tag(_class(found))
                    yield syntax.line('tag-if', known, syntax.tag(BOOT), own)
                    yield syntax.line('tag-if', everybody, own, *unknown)
            yield syntax.line('tag-if', everybody, syntax.tag(f'{place}-known'))
        for subnet in self._subnets.values():
            named = self._places.get((subnet.boot, subnet.prefix.version))
            if named is not None:
                wanted = syntax.tag(f'{named}-{"all" if subnet.discovery else "known"}')
                yield syntax.line(
                    'dhcp-range', wanted, _set(_of(subnet)), str(subnet.prefix[0]), 'proxy', _mask(subnet.prefix)
                )


def _answer4(answer: Answer | None, tags: Sequence[str]) -> Iterator[str]:
    if answer is None:
        return
    server = [str(answer.next_server)] if answer.next_server is not None else []
    if answer.in_header:
        yield syntax.line('dhcp-boot', *tags, syntax.quoted(answer.file) if answer.file else '', '', *server)
    else:
        # Only in option 67, and even to who does not ask for it: the header would hold a part of it.
        if len(answer.file.encode()) > 254:
            raise Unsayable('its URL has more than 254 bytes')
        yield syntax.line('dhcp-boot', *tags, '', '', *server)
        found = Option(V4_BOOT_FILE, answer.file.encode())
        yield syntax.line('dhcp-option-force', *tags, *syntax.option(found))
    for found in answer.options:
        yield syntax.line('dhcp-option-force', *tags, *syntax.option(found))


def _answer6(answer: Answer | None, tags: Sequence[str]) -> Iterator[str]:
    if answer is None:
        return
    try:
        more = [syntax.line('dhcp-option', *tags, *syntax.option(found, 6)) for found in answer.options]
    except Unsayable:
        return  # HTTP boot wants a vendor class back: said by `cannot`
    yield syntax.line('dhcp-option', *tags, *syntax.option(Option(V6_BOOT_URL, answer.file.encode()), 6))
    yield from more


def _proxied(found: ClientClass, answer: Answer | None, tags: Sequence[str]) -> Iterator[str]:
    """UEFI is sent to port 4011 without a file, and given that there without option 43: dnsmasq does so for an
    architecture with exactly one PXE service (pxe_uefi_workaround in rfc2131.c).  Much firmware boots from nothing
    else.  All others find the file in the offer."""
    if answer is None:
        return
    uefi = sorted({number for match in found.matches for number in match.architectures if number >= _FIRST_UEFI})
    if found.how == 'tftp' and uefi and '.' in answer.file:
        for number in uefi:
            parts = (str(number), '"network"', syntax.quoted(answer.file), str(answer.next_server))
            yield syntax.line('pxe-service', *tags, *parts)
        return
    file = syntax.quoted(answer.file) if answer.file else ''
    yield syntax.line('dhcp-boot', *tags, file, '', str(answer.next_server))


def _conditions(name: str, match: Match, version: Literal[4, 6], lines: dict[str, None]) -> Iterator[tuple[str, ...]]:
    """The combinations of tags that stand for one match; the lines that set these tags are added to `lines`."""
    fixed: list[str] = []

    def condition(tag: str, option: str, *values: str) -> str:
        lines.setdefault(syntax.line(option, _set(f'{PREFIX}{tag}'), *values))
        return f'{PREFIX}{tag}'

    if match.vendor_class:
        text = match.vendor_class
        if version == 4:
            fixed.append(condition(f'vendor-{text.lower()}', 'dhcp-match', '60', text.encode().hex(':')))
        else:
            # Intel's enterprise number, as UEFI has it.
            fixed.append(
                condition(f'vendor6-{text.lower()}', 'dhcp-vendorclass', 'enterprise:343', syntax.quoted(text))
            )
    if match.user_class:
        text = match.user_class
        if version == 4:
            tag = f'user-{text.lower()}'
            condition(tag, 'dhcp-match', '77', text.encode().hex(':'))
            fixed.append(condition(tag, 'dhcp-match', '77', (bytes((len(text),)) + text.encode()).hex(':')))
        else:
            fixed.append(condition(f'user6-{text.lower()}', 'dhcp-userclass', syntax.quoted(text)))
    if match.option is not None:
        fixed.append(condition(f'option-{match.option}', 'dhcp-match', str(match.option)))
    for prefix in match.macs:
        condition(f'maker-{name}', 'dhcp-mac', prefix + ':*' * (6 - len(prefix.split(':'))))
    if match.macs:
        fixed.append(f'{_MAKERS}{name}')
    if not match.architectures:
        yield tuple(fixed)
    for number in match.architectures:
        data = number.to_bytes(2).hex(':')
        option = ('93', data) if version == 4 else ('option6:61', data)
        yield (*fixed, condition(f'arch-{number}', 'dhcp-match', *option))


def _set(name: str) -> str:
    return syntax.tag(name, set_=True)


def _of(subnet: Subnet) -> str:
    return f'{PREFIX}s{subnet.id}'


def _class(found: ClientClass) -> str:
    return f'{PREFIX}c-{found.name}'


def _range(subnet: Subnet, leases: tuple[object, object] | None, *only: str) -> str:
    """A range of leases, or one that has none, for reserved addresses alone."""
    prefix = subnet.prefix
    ends = (str(leases[0]), str(leases[1])) if leases else (str(prefix[0]), 'static')
    time = 'infinite' if subnet.lease_time >= _INFINITE else str(subnet.lease_time)
    return syntax.line('dhcp-range', *only, _set(_of(subnet)), *ends, _mask(prefix), time)


def _mask(prefix: Network) -> str:
    return str(prefix.netmask) if isinstance(prefix, IPv4Network) else str(prefix.prefixlen)


def _fours(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data) - 3, 4):
        yield data[at : at + 4]


def _no_name(text: str) -> str:
    """A line of an options file: what stands after dhcp-option=."""
    return text.removeprefix('=')
