"""The language of dhcpd.conf(5): what a DHCP server is to do, written for ISC dhcpd 4.4, and our own files read back.

Pure.  `quote` is the one place where text becomes a dhcpd string.  Everything else that reaches a file is made of
numbers, checked names and hexadecimal bytes.

How the boot chain is decided.  dhcpd runs the statements of subnet, class and host in this order (`ack_lease` in its
server/dhcp.c), and the value of an option in DHCPv4 is worked out only when the packet is put together.  So the subnet
says where machines boot (option space `substruct`, which is never sent), the class says what this kind of client gets,
cut to as many bytes as `substruct.boot` says, and who is not to boot has no number there: then there is no value at
all, and nothing is sent.  A host that is not to boot sets it so; that is small enough for OMAPI.  (It cannot be empty:
dhcpd 4.4.3 dies of an option without bytes in a host.)
DHCPv6 works values out at once and knows no OMAPI for addresses, so there hosts that boot are in a named group instead.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from .clients import FILE_FIELD, LOADERS, SCRIPT, V4_BOOT_FILE, V6_BOOT_URL, ClientClass, Match
from .model import BootAt, Host, Identifier, Option, Subnet

type Version = Literal[4, 6]

# Options that dhcpd writes in a readable way; every other one is written as its bytes under a name of our own.
_ADDRESSES = {3: 'routers', 6: 'domain-name-servers', 42: 'ntp-servers'}
_PLAIN = re.compile(r'[ !#-\[\]-~]*\Z')  # ASCII without control characters, quotation mark and backslash

BUCKET = 250
"""Machines of so many ids share a file: a change of one rewrites that, not everything."""


def quote(text: str) -> str:
    """A string of dhcpd.conf.  dhcpd knows backslash, three octal digits for any byte (conflex.c, read_string)."""
    if _PLAIN.match(text):
        return f'"{text}"'
    return '"' + ''.join(_quoted(byte) for byte in text.encode('utf-8', 'surrogateescape')) + '"'


def _quoted(byte: int) -> str:
    character = chr(byte)
    return character if _PLAIN.match(character) else f'\\{byte:03o}'


def hexadecimal(data: bytes) -> str:
    return data.hex(':')


def comment(text: str) -> str:
    """Text from outside at the end of a comment: it never leaves its line."""
    return ''.join(character if character.isprintable() else '?' for character in text)[:100]


# --- options -------------------------------------------------------------------------------------------------------


def option_name(code: int, version: Version) -> str:
    return f'substruct-{code}' if version == 4 else f'dhcp6.substruct-{code}'


def option(found: Option, version: Version) -> str:
    if version == 4 and found.code in _ADDRESSES and found.data and len(found.data) % 4 == 0:
        addresses = (str(IPv4Address(found.data[i : i + 4])) for i in range(0, len(found.data), 4))
        return f'option {_ADDRESSES[found.code]} {", ".join(addresses)};'
    words = f'  # {comment(found.name)}' if found.name else ''
    return f'option {option_name(found.code, version)} {hexadecimal(found.data)};{words}'


def declarations(codes: Iterable[int], version: Version) -> Iterator[str]:
    """Names of our own for options, as bytes.  dhcpd goes by the number, so other names for it stay good."""
    for code in sorted(set(codes)):
        yield f'option {option_name(code, version)} code {code} = string;'


# --- what clients get ----------------------------------------------------------------------------------------------


def globals4(table: Sequence[ClientClass], subnets: Iterable[Subnet]) -> str:
    """Option space, names of options, and the class of all clients that boot over the network."""
    codes = {93, 175, V4_BOOT_FILE, *(given.option.code for found in table for given in found.v4)}
    longest = 0
    for subnet in subnets:
        codes.update(found.code for found in subnet.options if found.code not in _ADDRESSES)
        longest = max(longest, len(subnet.boot.base_url))
    lines = [
        'option space substruct;',
        '# Never sent: how many bytes of a boot answer are told (00:ff all; 00 is too short for a number, so none),',
        '# and where machines of a subnet boot.',
        'option substruct.boot code 1 = string;',
        'option substruct.discovery code 2 = unsigned integer 8;',
        'option substruct.url code 3 = text;',
        'option substruct.tftp code 4 = ip-address;',
        *declarations(codes, 4),
        '',
        'class "substruct" {',
        '  match if exists substruct-93 or exists user-class or exists substruct-175;',
        '  if known {',
        '    option substruct.boot 00:ff;',
        '  } elsif config-option substruct.discovery = 01 {',
        '    option substruct.boot 00:ff;',
        '  }',
        '  # Where a subnet names a boot file by hand, that is what everybody gets.',
        f'  if pick-first-value(config-option {option_name(V4_BOOT_FILE, 4)}, "") = "" {{',
    ]
    word = 'if'
    for found in table:
        lines.append(f'    {word} {_condition(found, 4)} {{  # {found.name}: {found.why}')
        lines += [f'      {line}' for line in _answer4(found, longest)]
        word = '} elsif'
    lines += ['    }', '  }', '}', '']
    return '\n'.join(lines)


def _answer4(found: ClientClass, longest_url: int) -> Iterator[str]:
    if found.how == 'nothing':
        yield 'option substruct.boot 00;'
        return
    yield f'option server.next-server = {_told("config-option substruct.tftp")};'
    force: list[int] = []
    file, in_header = '', True
    if found.how == 'script':
        file, in_header = f'concat(config-option substruct.url, {quote(SCRIPT)})', False
    elif found.how == 'http':
        path = LOADERS + found.loader
        file = f'concat(config-option substruct.url, {quote(path)})'
        in_header = longest_url + len(path) <= FILE_FIELD
    elif found.how == 'tftp':
        # Without a TFTP server there is no file either: the address is put before the name and left out again.
        file = f'substring(concat(config-option substruct.tftp, {quote(found.loader)}), 4, 255)'
    if file:
        if in_header:
            yield f'filename = {_told(file)};'
        else:
            force.append(V4_BOOT_FILE)
        yield f'option {option_name(V4_BOOT_FILE, 4)} = {_told(file)};'
    for given in found.v4:
        yield f'option {option_name(given.option.code, 4)} = {_told(hexadecimal(given.option.data))};  # {given.why}'
        force.append(given.option.code)
    if force:
        codes = ':'.join(f'{code:02x}' for code in force)
        yield f'option dhcp-parameter-request-list = concat(option dhcp-parameter-request-list, {codes});'


def _told(expression: str) -> str:
    return f'substring({expression}, 0, extract-int(config-option substruct.boot, 16))'


def _condition(found: ClientClass, version: Version) -> str:
    """In parentheses as a whole: dhcpd takes a parenthesis after "if" for one around everything."""
    alternatives = [_match(match, version) for match in found.matches_of(version)]
    return f'({" or ".join(f"({words})" for words in alternatives)})'


def _match(match: Match, version: Version) -> str:
    parts: list[str] = []
    architecture = option_name(93 if version == 4 else 61, version)
    if match.architectures:
        parts.append(
            ' or '.join(f'substring(option {architecture}, 0, 2) = {code.to_bytes(2).hex(":")}'
                        for code in match.architectures)
        )  # fmt: skip
    if match.vendor_class:
        where, offset = ('vendor-class-identifier', 0) if version == 4 else (option_name(16, 6), 6)
        parts.append(_begins(f'option {where}', (offset,), match.vendor_class))
    if match.user_class:
        where, offsets = ('user-class', (0, 1)) if version == 4 else (option_name(15, 6), (2,))
        parts.append(_begins(f'option {where}', offsets, match.user_class))
    if match.option is not None:
        parts.append(f'exists {option_name(match.option, version)}')
    if match.macs:
        parts.append(' or '.join(f'substring(hardware, 1, 3) = {mac}' for mac in match.macs))
    return ' and '.join(f'({part})' if ' or ' in part and len(parts) > 1 else part for part in parts)


def _begins(value: str, offsets: Iterable[int], text: str) -> str:
    return ' or '.join(f'substring({value}, {offset}, {len(text)}) = {quote(text)}' for offset in offsets)


def globals6(table: Sequence[ClientClass], subnets: Iterable[Subnet]) -> str:
    codes = {15, 16, V6_BOOT_URL, 61, *(given.option.code for found in table for given in found.v6)}
    places = places_of(subnets := list(subnets))
    for subnet in subnets:
        codes.update(found.code for found in subnet.options)
    chain = _chain6(table, places)
    return '\n'.join(
        (
            'option space substruct code width 2 length width 2;',
            "# Never sent: whether unknown machines are discovered, and which of the places below is the subnet's.",
            'option substruct.discovery code 2 = unsigned integer 8;',
            'option substruct.place code 5 = unsigned integer 16;',
            *declarations(codes, 6),
            '',
            '# Hosts that boot over the network.',
            'group "substruct-boot" {',
            *chain,
            '}',
            'class "substruct" {',
            f'  match if exists {option_name(61, 6)} or exists {option_name(15, 6)};',
            '  if not known {',
            '    if config-option substruct.discovery = 01 {',
            *(f'    {line}' for line in chain),
            '    }',
            '  }',
            '}',
            '',
        )
    )


def places_of(subnets: Iterable[Subnet]) -> dict[BootAt, int]:
    """Where machines boot, each with a number that does not depend on anything else."""
    found = sorted({(subnet.boot.base_url, str(subnet.boot.tftp or '')): subnet.boot for subnet in subnets}.items())
    return {boot: number for number, (_, boot) in enumerate(found, 1)}


def _chain6(table: Sequence[ClientClass], places: Mapping[BootAt, int]) -> list[str]:
    lines: list[str] = []
    for boot, number in places.items():
        lines.append(f'  if config-option substruct.place = {number.to_bytes(2).hex(":")} {{')
        word = 'if'
        for found in table:
            if not found.matches_of(6):
                continue
            lines.append(f'    {word} {_condition(found, 6)} {{  # {found.name}')
            answer = found.answer(boot, 6)
            if answer is not None and answer.file:
                lines.append(f'      option {option_name(V6_BOOT_URL, 6)} {quote(answer.file)};')
                lines += [f'      {option(given, 6)}' for given in answer.options]
            word = '} elsif'
        lines += ['    }', '  }']
    return lines


# --- subnets -------------------------------------------------------------------------------------------------------


def subnets4(subnets: Iterable[Subnet]) -> dict[int, str]:
    """Each subnet's declaration by its id."""
    return {subnet.id: _subnet4(subnet) for subnet in subnets}


def _subnet4(subnet: Subnet) -> str:
    assert isinstance(subnet.prefix, IPv4Network)
    lines = [
        f'subnet {subnet.prefix.network_address} netmask {subnet.prefix.netmask} {{',
        '  authoritative;',
        *_leases(subnet),
        *([f'  option substruct.url {quote(subnet.boot.base_url)};'] if subnet.boot.base_url else ()),
        *([f'  option substruct.tftp {subnet.boot.tftp};'] if subnet.boot.tftp is not None else ()),
        *(['  option substruct.discovery 1;'] if subnet.discovery else ()),
        *(f'  {option(found, 4)}' for found in subnet.options),
    ]
    if subnet.lease_range:
        lines.append(f'  range {subnet.lease_range[0]} {subnet.lease_range[1]};')
    return '\n'.join((*lines, '}'))


def subnets6(subnets: Iterable[Subnet]) -> dict[int, str]:
    subnets = list(subnets)
    places = places_of(subnets)
    return {subnet.id: _subnet6(subnet, places[subnet.boot]) for subnet in subnets}


def _subnet6(subnet: Subnet, place: int) -> str:
    lines = [
        f'subnet6 {subnet.prefix} {{',
        *_leases(subnet),
        f'  option substruct.place {place};',
        *(['  option substruct.discovery 1;'] if subnet.discovery else ()),
        *(f'  {option(found, 6)}' for found in subnet.options),
    ]
    if subnet.lease_range:
        lines.append(f'  range6 {subnet.lease_range[0]} {subnet.lease_range[1]};')
    return '\n'.join((*lines, '}'))


def _leases(subnet: Subnet) -> tuple[str, str]:
    return f'  default-lease-time {subnet.lease_time};', f'  max-lease-time {subnet.lease_time};'


@dataclass(frozen=True, slots=True)
class SubnetBlock:
    """A subnet as it stands in our file.  `shared` is '' or the name of its link."""

    id: int
    prefix: str
    shared: str
    text: str

    def __str__(self) -> str:
        return f'shared-network substruct-{self.shared} {{\n{self.text}\n}}' if self.shared else self.text


_SUBNET = '#= '


def subnet_file(blocks: Iterable[SubnetBlock]) -> str:
    lines: list[str] = []
    shared: dict[str, list[SubnetBlock]] = {}
    for block in sorted(blocks, key=lambda block: block.id):
        if block.shared:
            shared.setdefault(block.shared, []).append(block)
        else:
            lines += [f'{_SUBNET}{block.id} {block.prefix} -', block.text]
    for name, members in sorted(shared.items()):
        lines += [f'shared-network substruct-{name} {{']
        for block in members:
            lines += [f'{_SUBNET}{block.id} {block.prefix} {name}', block.text]
        lines += ['}  # shared']
    return '\n'.join((*lines, ''))


def no_subnet(version: Version) -> str:
    """Instead of subnets where there are none: dhcpd does not start without one for its interface.  This one matches
    every interface and gives nothing."""
    return 'subnet 0.0.0.0 netmask 0.0.0.0 { }\n' if version == 4 else 'subnet6 ::/0 { }\n'


def read_subnets(text: str) -> dict[int, SubnetBlock]:
    """Our own file, read back."""
    found: dict[int, SubnetBlock] = {}
    for part in f'\n{text}'.split(f'\n{_SUBNET}')[1:]:
        head, _, body = part.partition('\n')
        key, prefix, shared = head.split(' ')
        body = body[: body.index('\n}') + 2]
        found[int(key)] = SubnetBlock(int(key), prefix, '' if shared == '-' else shared, body)
    return found


# --- hosts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostBlock:
    """One host of the model as it stands in our files: one declaration for each of its identifiers.

    `generation` makes the names of its declarations: dhcpd never sees a name twice with different contents, so what it
    remembers of live changes in its leases file can never be mistaken for what our file says (see `declarations_of`).
    """

    key: str
    machine: int
    machine_name: str
    bodies: str
    generation: str = ''

    def names(self) -> list[str]:
        return [self.name(number) for number in range(self.bodies.count('\n') + 1)]

    def name(self, number: int) -> str:
        return f'{name_stem(self.key)}-{self.generation}-{number}'

    def __str__(self) -> str:
        return '\n'.join(f'host {name} {{ {body} }}' for name, body in zip(
            self.names(), self.bodies.split('\n'), strict=True
        ))  # fmt: skip


def name_stem(key: str) -> str:
    return f'substruct-{key.replace(".", "-")}'


_NAME = re.compile(r'substruct-(m[0-9]+)-([0-9]+)-[0-9a-z]+-[0-9]+\Z')


def key_of_name(name: str) -> str | None:
    """The key of the host that a declaration was made for, None where it is not ours."""
    match = _NAME.match(name)
    return f'{match[1]}.{match[2]}' if match else None


_OFF = ' option substruct.boot 00;'


def host4(host: Host) -> str:
    """The declarations' bodies, one a line; '' for a host that DHCPv4 cannot know."""
    more = f' option host-name {quote(host.hostname)};' if host.hostname else ''
    if not host.boot:
        more += _OFF
    addresses = [str(found.address) for found in host.placements if found.address.version == 4]
    fixed = f' fixed-address {", ".join(addresses)};' if addresses else ''
    lines: list[str] = []
    for identifier in host.identifiers:
        match = _identified4(identifier)
        if match:
            lines.append(f'{match}{fixed}{more}')
            if fixed and not host.boot:
                # dhcpd takes the statements of a host with a fixed address only where that address is; elsewhere the
                # machine is merely known.  This one says there too that it does not boot.
                lines.append(f'{match}{more}')
    return '\n'.join(lines)


def _identified4(identifier: Identifier) -> str:
    kind, value = identifier.kind, identifier.value
    if kind == 'mac':
        return f'hardware ethernet {value};'
    if kind == 'client-id':
        return f'option dhcp-client-identifier {_colons(value)};'
    if kind == 'circuit-id':
        return f'host-identifier option agent.circuit-id {_colons(value)};'
    return ''


def host6(host: Host) -> str:
    more = ' group "substruct-boot";' if host.boot else ''
    addresses = [f' fixed-address6 {found.address};' for found in host.placements if found.address.version == 6]
    lines: list[str] = []
    for identifier in host.identifiers:
        if identifier.kind == 'mac':
            match = f'hardware ethernet {identifier.value};'
        elif identifier.kind == 'duid':
            match = f'host-identifier option dhcp6.client-id {_colons(identifier.value)};'
        else:
            continue
        # One address each: dhcpd takes the declaration whose address is on the client's link.
        lines += [f'{match}{address}{more}' for address in addresses or ['']]
    return '\n'.join(lines)


def _colons(value: str) -> str:
    return bytes.fromhex(value).hex(':')


_HOST = '#='


def host_file(blocks: Iterable[HostBlock]) -> str:
    """One file of hosts: a line that says whose, then its declarations, a line each."""
    return ''.join(
        f'{_HOST}{block.key} {block.generation} {comment(block.machine_name)}\n{block}\n' for block in blocks
    )


def read_hosts(text: str) -> dict[str, HostBlock]:
    """Our own file, read back, in its order."""
    found: dict[str, HostBlock] = {}
    for part in f'\n{text}'.split(f'\n{_HOST}')[1:]:
        head, *lines = part.rstrip('\n').split('\n')
        key, generation, machine_name = head.split(' ', 2)
        bodies = '\n'.join([line[line.index('{ ') + 2 : -2] for line in lines])
        machine = int(key[1 : key.index('.')])
        found[key] = HostBlock(key, machine, machine_name, bodies, generation)
    return found


@dataclass(frozen=True, slots=True)
class Live:
    """A declaration as OMAPI has it: attributes of its object `host` (dhcpd(8), "The host object")."""

    name: str
    hardware: bytes
    client_id: bytes
    addresses: bytes
    statements: str


_BODY = re.compile(
    r'(?:hardware ethernet (?P<mac>[0-9a-f:]+);|option dhcp-client-identifier (?P<client>[0-9a-f:]+);)'
    r'(?: fixed-address (?P<fixed>[0-9., ]+);)?(?P<more>.*)\Z'
)


def live(name: str, body: str) -> Live | None:
    """The declaration for OMAPI; None where OMAPI cannot express it (a relay's circuit id)."""
    match = _BODY.match(body)
    if match is None:
        return None
    fixed = match['fixed'].split(', ') if match['fixed'] else []
    return Live(
        name,
        bytes.fromhex((match['mac'] or '').replace(':', '')),
        bytes.fromhex((match['client'] or '').replace(':', '')),
        b''.join(IPv4Address(address).packed for address in fixed),
        match['more'].strip(),
    )


# --- hand-written configuration ------------------------------------------------------------------------------------

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|#[^\n]*|[{};]|[^\s"#{};]+', re.DOTALL)


def statements(text: str) -> Iterator[list[str]]:
    """The words of each statement and of what stands before each brace, without comments; strings keep their quotes."""
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word.startswith('#'):
            continue
        if word in '{};':
            if words:
                yield words
            words = []
        else:
            words.append(word)


def for_everybody(text: str) -> list[str]:
    """What hand-written configuration gives every client that lets firmware boot, as its statements begin."""
    found: list[str] = []
    depth = 0
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word.startswith('#'):
            continue
        if word not in '{};':
            words.append(word)
            continue
        if not depth and words:
            name = ' '.join(words[:2]) if words[0] == 'option' else words[0]
            # With "code" it says of what kind an option is.
            if name in _BOOTING and words[2:3] != ['code']:
                found.append(name)
        depth += {'{': 1, '}': -1}.get(word, 0)
        words = []
    return found


_BOOTING = ('filename', 'next-server', 'server-name', 'option tftp-server-name', 'option bootfile-name',
            'option dhcp6.bootfile-url')  # fmt: skip


def includes(text: str) -> list[str]:
    return [words[1].strip('"') for words in statements(text) if len(words) == 2 and words[0] == 'include']


def declared_subnets(text: str) -> list[str]:
    """Subnets that hand-written configuration declares, as "10.0.0.0/24"; what cannot be read is passed over."""
    found: list[str] = []
    for words in statements(text):
        try:
            if words[0] == 'subnet' and len(words) == 4 and words[2] == 'netmask':
                found.append(str(IPv4Network(f'{words[1]}/{words[3]}')))
            elif words[0] == 'subnet6' and len(words) == 2:
                found.append(words[1].lower())
        except ValueError:
            continue
    return found
