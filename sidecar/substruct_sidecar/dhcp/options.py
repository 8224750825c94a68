"""DHCP options: names and numbers to types, and values to the bytes that go over the wire.  Pure.

Options come from a subnet's own fields and from those that people set by hand in NetBox, as {name or number: value}.
Names are those of the IANA lists (bootp-dhcp-parameters, dhcpv6-parameters) in lower case with hyphens, and those
that ISC dhcpd and Kea have for them.  A value that cannot be written raises `OptionError`: why, and what to do.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import Literal

from .. import desired
from ..plan import Problem, Severity
from .model import IpAddress, Option

type Version = Literal[4, 6]
type Value = str | int | bool | list[str | int | bool]

MAX_V4 = 255
"""RFC 2132 section 2; longer values would need RFC 3396, which firmware does not know."""
MAX_V6 = 4096
"""An option of more than a packet can hold is of no use (RFC 8415 section 21.1 allows 65,535)."""


class OptionError(ValueError):
    """An option cannot be written.  `remedy` says what to do."""

    def __init__(self, message: str, remedy: str = '') -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Known:
    """`names`: the first is what people are shown."""

    code: int
    type: str
    names: tuple[str, ...]


# Types: ip (one address), ips (a list), pairs (a list of two addresses each), text, u8/u16/u32/s32, u8s/u16s (lists),
# bool, names (domain names, RFC 1035 section 3.1, without compression), name (one of these), routes (RFC 3442),
# empty, bytes (hexadecimal only).
_V4 = """
2 s32 time-offset
3 ips routers router
4 ips time-servers time-server
5 ips ien116-name-servers name-servers name-server
6 ips domain-name-servers domain-server dns-servers
7 ips log-servers log-server
8 ips cookie-servers quotes-server
9 ips lpr-servers lpr-server
10 ips impress-servers impress-server
11 ips resource-location-servers rlp-server
13 u16 boot-size boot-file-size
14 text merit-dump merit-dump-file
15 text domain-name
16 ip swap-server
17 text root-path
18 text extensions-path extension-file
19 bool ip-forwarding forward-on-off
20 bool non-local-source-routing srcrte-on-off
21 pairs policy-filter
22 u16 max-dgram-reassembly max-dg-assembly
23 u8 default-ip-ttl
24 u32 path-mtu-aging-timeout mtu-timeout
25 u16s path-mtu-plateau-table mtu-plateau
26 u16 interface-mtu mtu-interface
27 bool all-subnets-local mtu-subnet
28 ip broadcast-address
29 bool perform-mask-discovery mask-discovery
30 bool mask-supplier
31 bool router-discovery
32 ip router-solicitation-address router-request
33 pairs static-routes static-route
34 bool trailer-encapsulation trailers
35 u32 arp-cache-timeout arp-timeout
36 bool ieee802-3-encapsulation ethernet
37 u8 default-tcp-ttl
38 u32 tcp-keepalive-interval keepalive-time
39 bool tcp-keepalive-garbage keepalive-data
40 text nis-domain
41 ips nis-servers
42 ips ntp-servers
43 bytes vendor-encapsulated-options vendor-specific
44 ips netbios-name-servers netbios-name-srv
45 ips netbios-dd-server netbios-dist-srv
46 u8 netbios-node-type
47 text netbios-scope
48 ips font-servers x-window-font
49 ips x-display-manager x-window-manager
58 u32 dhcp-renewal-time renewal-time
59 u32 dhcp-rebinding-time rebinding-time
60 text vendor-class-identifier class-id
62 text nwip-domain netware-ip-domain
63 bytes nwip-suboptions netware-ip-option
64 text nisplus-domain nis-domain-name
65 ips nisplus-servers nis-server-addr
66 text tftp-server-name server-name
67 text bootfile-name boot-file-name
68 ips mobile-ip-home-agent home-agent-addrs
69 ips smtp-server
70 ips pop-server pop3-server
71 ips nntp-server
72 ips www-server
73 ips finger-server
74 ips irc-server
75 ips streettalk-server
76 ips streettalk-directory-assistance-server stda-server
85 ips nds-servers
86 text nds-tree-name
87 text nds-context
98 text uap-servers user-auth
100 text pcode
101 text tcode
108 u32 v6-only-preferred ipv6-only-preferred
112 ips netinfo-server-address netinfo-address
113 text netinfo-server-tag netinfo-tag
114 text v4-captive-portal default-url dhcp-captive-portal
116 bool auto-config
117 u16s name-service-search
119 names domain-search
120 bytes sip-servers
121 routes classless-static-route rfc3442-classless-static-routes classless-static-routes
124 bytes vivco-suboptions v-i-vendor-class
125 bytes vivso-suboptions v-i-vendor-specific-information
128 bytes etherboot-signature
136 ips pana-agent option-pana-agent
137 name v4-lost
138 ips capwap-ac-v4
141 names sip-ua-cs-domains
150 ips tftp-server-address
175 bytes ipxe etherboot
208 bytes pxelinux-magic loader-pxe-magic
209 text loader-configfile configuration-file
210 text loader-pathprefix path-prefix
211 u32 loader-reboottime reboot-time
213 name v4-access-domain
249 routes ms-classless-static-routes
252 text wpad
"""

_V6 = """
7 u8 preference
17 bytes vendor-opts
21 names sip-server-dns sip-servers-names
22 ips sip-server-addr sip-servers-addresses
23 ips dns-servers name-servers domain-name-servers
24 names domain-search domain-list
27 ips nis-servers
28 ips nisp-servers
29 names nis-domain-name
30 names nisp-domain-name
31 ips sntp-servers
32 u32 information-refresh-time
33 names bcmcs-server-dns
34 ips bcmcs-server-addr
41 text new-posix-timezone
42 text new-tzdb-timezone
51 name v6-lost
56 ntp ntp-server ntp-servers
57 name v6-access-domain
58 names sip-ua-cs-list
59 text bootfile-url
60 bytes bootfile-param
64 name aftr-name
82 u32 solmax-rt sol-max-rt
83 u32 inf-max-rt
103 text v6-captive-portal captive-portal
112 bytes mud-url
"""

# What the server itself says, and the field that has it where there is one.
_REFUSED_4 = {
    0: '', 1: 'It follows from the prefix.', 12: 'It is each machine\'s own name.', 50: '',
    51: 'Set the lease time of the subnet.', 52: '', 53: '', 54: '', 55: '', 56: '', 57: '', 61: '', 81: '', 82: '',
    90: '', 93: '', 94: '', 97: '', 118: '', 255: '',
}  # fmt: skip
_REFUSED_NAMES_4 = {
    'subnet-mask': 1, 'host-name': 12, 'hostname': 12, 'dhcp-lease-time': 51, 'address-time': 51,
    'dhcp-message-type': 53, 'dhcp-server-identifier': 54, 'server-identifier': 54, 'client-id': 61,
    'dhcp-client-identifier': 61,
}  # fmt: skip
_REFUSED_6 = dict.fromkeys((1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 20, 25, 26, 37, 38, 39, 61, 62), '')
_REFUSED_NAMES_6 = {'clientid': 1, 'serverid': 2, 'client-id': 1, 'server-id': 2}


def _read(text: str) -> tuple[dict[int, Known], dict[str, Known]]:
    known = [Known(int(code), type_, tuple(names)) for code, type_, *names in map(str.split, text.strip().splitlines())]
    return {found.code: found for found in known}, {name: found for found in known for name in found.names}


_CODES: dict[Version, dict[int, Known]] = {}
_NAMES: dict[Version, dict[str, Known]] = {}
_CODES[4], _NAMES[4] = _read(_V4)
_CODES[6], _NAMES[6] = _read(_V6)
_REFUSED: dict[Version, tuple[Mapping[int, str], Mapping[str, int]]] = {
    4: (_REFUSED_4, _REFUSED_NAMES_4),
    6: (_REFUSED_6, _REFUSED_NAMES_6),
}


def lookup(option: str, version: Version) -> Known:
    """The option of a name or number.  Raises OptionError; a number without a known type has the type `unknown`."""
    reasons, refused = _REFUSED[version]
    code = int(option) if re.fullmatch(r'[0-9]{1,5}', option) else refused.get(option, -1)
    if code in reasons:
        raise OptionError('the server sets it by itself.', reasons[code] or 'Remove it.')
    if code >= 0:
        if code > (254 if version == 4 else 65535):
            raise OptionError('there is no such number.', f'DHCPv{version} options go up to 254.')
        return _CODES[version].get(code) or Known(code, 'unknown', (f'option-{code}',))
    if option not in _NAMES[version]:
        other: Version = 6 if version == 4 else 4
        if option in _NAMES[other]:
            raise OptionError(f'DHCPv{version} has no such option, DHCPv{other} has.', 'Set it in another subnet.')
        raise OptionError('no option has this name.', 'Use its number, or its name in the IANA list.')
    return _NAMES[version][option]


def make(option: str, value: Value, version: Version) -> Option:
    """One option set by hand.  `value` is text (lists with commas), a number, true or false, or a list of these; text
    that begins with "hex:" is the bytes themselves.  Raises OptionError."""
    found = lookup(option.strip().lower(), version)
    data = _bytes(found, value, version)
    limit = MAX_V4 if version == 4 else MAX_V6
    if len(data) > limit:
        raise OptionError(f'its value takes {len(data)} bytes, and {limit} fit.', 'Shorten it.')
    if not data and found.type != 'empty':
        raise OptionError('it has no value.', 'Give one, or remove the option.')
    return Option(found.code, data, found.names[0])


def of_addresses(code: int, addresses: list[IpAddress], version: Version) -> Option:
    """An option that is a list of addresses of one family (routers, name servers, …)."""
    found = _CODES[version][code]
    if version == 6 and found.type == 'ntp':
        return Option(code, b''.join(_ntp(address) for address in addresses), found.names[0])
    return Option(code, b''.join(address.packed for address in addresses), found.names[0])


def of_subnet(subnet: desired.Subnet, version: Version) -> tuple[tuple[Option, ...], list[Problem]]:
    """Everything that a subnet hands out, by code: what its fields say, over which goes what is set by hand.

    An option that cannot be written is left out, and a problem says so.
    """
    found: dict[int, Option] = {}
    problems: list[Problem] = []

    def problem(option: str, error: OptionError, severity: Severity = 'error') -> None:
        message = f'DHCP option {_short(option)}: {error}'
        problems.append(Problem('dhcp', 'subnet', subnet.id, subnet.prefix, message, error.remedy, severity))

    for field, code, values in (
        ('gateway', 3 if version == 4 else 0, [subnet.gateway] if subnet.gateway else []),
        ('name servers', 6 if version == 4 else 23, subnet.name_servers),
        ('NTP servers', 42 if version == 4 else 56, subnet.ntp_servers),
    ):
        addresses = []
        for value in values:
            try:
                address = ip_address(value)
            except ValueError:
                problem(field, OptionError(f'"{_short(value)}" is no IP address.', f'Correct its {field}.'))
                continue
            if address.version == version:  # those of the other family are for the other server
                addresses.append(address)
        if code and addresses:  # DHCPv6 has no routers: they announce themselves
            option = of_addresses(code, addresses, version)
            if version == 4 and len(option.data) > MAX_V4:
                problem(field, OptionError('there are more than 63 addresses.', 'Remove some.'))
            else:
                found[code] = option
    if subnet.domain:
        try:
            labels = domain_name(subnet.domain)
        except OptionError as error:
            problem('domain', error)
        else:
            if version == 4:
                found[15] = Option(15, subnet.domain.rstrip('.').encode(), 'domain-name')
            code = 119 if version == 4 else 24
            found[code] = Option(code, labels, 'domain-search')
    by_hand: dict[int, str] = {}
    for name, value in subnet.dhcp_options.items():
        try:
            option = make(name, value, version)
            if option.code in by_hand:
                raise OptionError(f'it is set twice, as {_short(by_hand[option.code])} too.', 'Remove one of them.')
        except OptionError as error:
            problem(name, error)
            continue
        by_hand[option.code] = name
        found[option.code] = option
    if version == 4 and 121 in by_hand and 3 in found and not _has_default(found[121].data):
        words = 'it has no default route, and clients that know it pass over the gateway (RFC 3442).'
        remedy = f'Add "0.0.0.0/0 {subnet.gateway}".' if subnet.gateway else 'Add "0.0.0.0/0 <router>".'
        problem(by_hand[121], OptionError(words, remedy), 'warning')
    if version == 4 and 60 in by_hand:
        words = 'UEFI HTTP boot takes only offers that say HTTPClient there, and everybody is told this value.'
        problem(by_hand[60], OptionError(words, 'Remove it: clients that need one are told it.'), 'warning')
    return tuple(found[code] for code in sorted(found)), problems


def _has_default(routes: bytes) -> bool:
    at = 0
    while at < len(routes):
        if routes[at] == 0:
            return True
        at += 1 + (routes[at] + 7) // 8 + 4
    return False


def domain_name(text: str) -> bytes:
    """A domain name as labels (RFC 1035 section 3.1).  Raises OptionError."""
    labels = text.rstrip('.').split('.')
    try:
        raw = [label.encode('ascii') for label in labels]
    except UnicodeEncodeError:
        raise OptionError(f'"{_short(text)}" is no domain name.', 'Write it in ASCII (xn--…).') from None
    if any(not _LABEL.match(label) for label in labels) or sum(map(len, raw)) + len(raw) + 1 > 255:
        raise OptionError(f'"{_short(text)}" is no domain name.', 'Use letters, digits and hyphens between dots.')
    return b''.join(bytes((len(label),)) + label for label in raw) + b'\0'


_LABEL = re.compile(r'[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z')
_WIDTHS = {'u8': 1, 'u16': 2, 'u32': 4, 's32': 4}


def _bytes(found: Known, value: Value, version: Version) -> bytes:
    if isinstance(value, str) and value[:4].lower() == 'hex:':
        return _hex(value[4:])
    kind = found.type
    if kind == 'bytes' or (kind == 'unknown' and not isinstance(value, str)):
        raise OptionError(
            f'how the value of option {found.code} is written is not known.', 'Write its bytes as "hex:0a0b…".'
        )
    if kind in ('text', 'unknown'):
        return _text(value)
    if kind == 'bool':
        return bytes((_bool(value),))
    if kind in _WIDTHS:
        return _number(_single(value), kind)
    if kind in ('u8s', 'u16s'):
        return b''.join(_number(item, kind[:-1]) for item in _items(value))
    if kind == 'ip':
        return _address(_single(value), version)
    if kind == 'ips':
        return b''.join(_address(item, version) for item in _items(value))
    if kind == 'pairs':
        items = [part for item in _items(value) for part in str(item).split()]
        if len(items) % 2:
            raise OptionError('it takes pairs of addresses.', 'Write "10.0.0.0 10.0.0.1".')
        return b''.join(_address(item, version) for item in items)
    if kind in ('name', 'names'):
        items = [part for item in _items(value) for part in str(item).split()]
        if kind == 'name' and len(items) != 1:
            raise OptionError('it takes one domain name.', 'Write "example.org".')
        return b''.join(map(domain_name, items))
    if kind == 'ntp':
        return b''.join(_ntp_item(str(item)) for item in _items(value))
    assert kind == 'routes', kind
    return b''.join(_routes(value))


def _items(value: Value) -> list[str | int | bool]:
    """The values of a list, however it is written."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(',') if part.strip()]
    return [value]


def _single(value: Value) -> str | int | bool:
    if isinstance(value, list):
        if len(value) != 1:
            raise OptionError(f'it takes one value, and {len(value)} are given.', 'Give one.')
        return value[0]
    return value


def _text(value: Value) -> bytes:
    item = _single(value)
    if isinstance(item, bool):
        raise OptionError('it takes text.', 'Put it into quotes.')
    text = str(item)
    if re.search(r'[\x00-\x1f\x7f]', text):
        raise OptionError('its text has control characters.', 'Remove them, or write "hex:…".')
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise OptionError('its text is no valid Unicode.', 'Write "hex:…".') from None


def _hex(text: str) -> bytes:
    digits = re.sub(r'[\s:.-]', '', text)
    if not re.fullmatch(r'(?:[0-9a-fA-F]{2})+', digits):
        raise OptionError(f'"hex:{_short(text)}" are no bytes.', 'Write pairs of hexadecimal digits: hex:0a0b.')
    return bytes.fromhex(digits)


def _bool(value: Value) -> bool:
    item = _single(value)
    if isinstance(item, bool) or item in (0, 1):
        return bool(item)
    words = {'true': True, 'on': True, 'yes': True, '1': True, 'false': False, 'off': False, 'no': False, '0': False}
    found = words.get(str(item).strip().lower())
    if found is None:
        raise OptionError(f'"{_short(item)}" is neither true nor false.', 'Write true or false.')
    return found


def _number(item: str | int | bool, kind: str) -> bytes:
    width, signed = _WIDTHS[kind], kind == 's32'
    if isinstance(item, bool) or not re.fullmatch(r'-?[0-9]{1,12}', str(item).strip()):
        raise OptionError(f'"{_short(item)}" is no whole number.', 'Give a whole number.')
    try:
        return int(item).to_bytes(width, signed=signed)
    except OverflowError:
        low, high = (-(1 << 31), (1 << 31) - 1) if signed else (0, (1 << 8 * width) - 1)
        raise OptionError(f'{item} is too large or too small.', f'Give a number from {low} to {high}.') from None


def _address(item: str | int | bool, version: Version) -> bytes:
    try:
        found = ip_address(item.strip()) if isinstance(item, str) else None
    except ValueError:
        found = None
    if found is None or found.version != version or getattr(found, 'scope_id', None):
        raise OptionError(f'"{_short(item)}" is no IPv{version} address.', 'Give addresses, with commas between them.')
    return found.packed


def _ntp(address: IpAddress) -> bytes:
    """RFC 5908 section 4.1: suboption 1, a server's address."""
    return (1).to_bytes(2) + (16).to_bytes(2) + address.packed


def _ntp_item(item: str) -> bytes:
    try:
        return _ntp(IPv6Address(item))
    except ValueError:
        name = domain_name(item)  # RFC 5908 section 4.3: suboption 3, a server's name
        return (3).to_bytes(2) + len(name).to_bytes(2) + name


def _routes(value: Value) -> Iterator[bytes]:
    """RFC 3442: prefix length, the significant octets of the destination, the router."""
    for item in _items(value):
        words = re.sub(r'\b(?:via|gw)\b|=>|->', ' ', str(item)).split()
        if len(words) != 2:
            raise OptionError(f'"{_short(item)}" is no route.', 'Write "10.0.0.0/8 10.0.0.1", more after commas.')
        try:
            network = ip_network('0.0.0.0/0' if words[0] == 'default' else words[0])
            router = IPv4Address(words[1])
        except ValueError:
            network = None
        if not isinstance(network, IPv4Network):
            raise OptionError(f'"{_short(item)}" is no route.', 'Write "10.0.0.0/8 10.0.0.1", more after commas.')
        octets = (network.prefixlen + 7) // 8
        yield bytes((network.prefixlen,)) + network.network_address.packed[:octets] + router.packed


def _short(value: object) -> str:
    """A value as it stands in a message."""
    text = ascii(str(value))[1:-1]
    return text if len(text) <= 60 else f'{text[:57]}…'
