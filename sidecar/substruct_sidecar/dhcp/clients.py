"""What network-booting clients are there, how each is recognised, and what it is given.  A pure table.

`table` gives the client classes in order: the first that matches decides, also when what it gives is nothing.  A
backend writes the matching in its own syntax and asks `ClientClass.answer` for what goes into the packet.  Only
clients that a host or a subnet allows to boot are given anything; plain clients match no class at all.

Architecture types: IANA, "Processor Architecture Types" (dhcpv6-parameters), RFC 4578 section 2.1 with errata 4624 (7
is x64, 9 is EBC, but firmware for x64 sends either), RFC 5970 section 3.3.  iPXE: ipxe.org/howto/dhcpd and
ipxe.org/cfg.  HTTP boot: UEFI 2.10 section 24.7.  A client whose architecture has no loader here is given nothing: a
wrong loader hangs a machine, no loader lets it go on to its disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Literal

from .model import BootAt, IpAddress, Option

type How = Literal['script', 'http', 'tftp', 'server', 'nothing']

SCRIPT = (
    '/boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}&platform=${platform}'
)
"""Below the base URL; iPXE itself fills in the values (ipxe.org/cfg), for it knows which of its ports it boots from."""

LOADERS = '/loaders/'

# RFC 2132 and RFC 4578 (DHCPv4), RFC 8415 and RFC 5970 (DHCPv6).
V4_VENDOR_CLASS, V4_USER_CLASS, V4_ARCHITECTURE, V4_IPXE = 60, 77, 93, 175
V4_TFTP_SERVER_NAME, V4_BOOT_FILE = 66, 67
V6_USER_CLASS, V6_VENDOR_CLASS, V6_BOOT_URL, V6_ARCHITECTURE = 15, 16, 59, 61

# The field `file` of a DHCPv4 packet has 128 bytes with a NUL at its end (RFC 2131 section 2).  What is longer goes
# into option 67 alone: iPXE prefers the field where it is not empty, even if it was cut off.
FILE_FIELD = 127

# Who has iPXE's user class or its option is iPXE already, whatever its vendor class says.
IPXE_USER_CLASSES = ('iPXE', 'gPXE')


@dataclass(frozen=True, slots=True)
class Match:
    """All that is set here must hold of a client.

    `architectures`: one of them is the first in option 93 (v6: 61).  `vendor_class` and `user_class`: option 60 (v6:
    the data of 16, after enterprise number and length) and option 77 (v6: the data of 15) begin with it; option 77 may
    have a length byte before it (RFC 3004) or not (iPXE).  `option`: it is in the packet (v4 only).  `macs`: the
    hardware address begins with one of them, aa:bb:cc (v4 only).
    """

    architectures: tuple[int, ...] = ()
    vendor_class: str = ''
    user_class: str = ''
    option: int | None = None
    macs: tuple[str, ...] = ()

    @property
    def v6(self) -> bool:
        """Whether it can be asked of a DHCPv6 client."""
        return self.option is None and not self.macs


@dataclass(frozen=True, slots=True)
class Given:
    """An option that a class of clients gets, and why."""

    option: Option
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes into the packet.  `file` is a TFTP file name, a URL, or ''; `next_server` is siaddr (v4 only).

    `file` is sent in option 67 where the client asks for it or where `in_header` is false, else in the field of the
    header; over DHCPv6 it is a URL for option 59.
    """

    file: str
    next_server: IPv4Address | None = None
    options: tuple[Option, ...] = ()

    @property
    def in_header(self) -> bool:
        return len(self.file.encode()) <= FILE_FIELD


@dataclass(frozen=True, slots=True)
class ClientClass:
    """`name` has lower-case letters, digits and hyphens.  Any of `matches` makes a client one of this class.

    `how`: `script` is the URL of the boot script; `http` and `tftp` are `loader` by URL or TFTP; `server` is the TFTP
    server alone; `nothing` ends the search without an answer.
    """

    name: str
    matches: tuple[Match, ...]
    how: How
    why: str
    loader: str = ''
    v4: tuple[Given, ...] = ()
    v6: tuple[Given, ...] = ()

    def matches_of(self, version: Literal[4, 6]) -> tuple[Match, ...]:
        return self.matches if version == 4 else tuple(match for match in self.matches if match.v6)

    def answer(self, boot: BootAt, version: Literal[4, 6]) -> Answer | None:
        """What it is given where machines boot at `boot`; None: no boot server and no file."""
        if self.how == 'nothing':
            return None
        options = tuple(given.option for given in (self.v4 if version == 4 else self.v6))
        if self.how in ('script', 'http'):
            if not boot.base_url:
                return None
            # iPXE ignores an offer of a proxy without next-server, so it is always there where it is known.
            file = boot.base_url + (SCRIPT if self.how == 'script' else LOADERS + self.loader)
            return Answer(file, _server(boot.tftp), options)
        if boot.tftp is None or boot.tftp.version != version:
            return None
        if version == 6:
            return Answer(f'tftp://[{boot.tftp}]/{self.loader}', None, options) if self.loader else None
        return Answer(self.loader, _server(boot.tftp), options)


def _server(address: IpAddress | None) -> IPv4Address | None:
    return address if isinstance(address, IPv4Address) else None


_NO_PXEDHCP = Given(
    # Option 175 holds options of its own (code, length, value); 176 is no-pxedhcp.
    Option(V4_IPXE, bytes((176, 1, 1)), 'ipxe.no-pxedhcp'),
    'There is no ProxyDHCP server to wait for: saves iPXE some seconds.',
)
_HTTP_CLIENT = Given(
    Option(V4_VENDOR_CLASS, b'HTTPClient', 'vendor-class-identifier'),
    'UEFI takes an offer for HTTP boot only if it says HTTPClient too (UEFI 2.10 section 24.7.3.2).',
)
_HTTP_CLIENT_6 = Given(
    # Enterprise 343 is Intel's, as EDK II has it (NetworkPkg/HttpBootDxe).
    Option(V6_VENDOR_CLASS, (343).to_bytes(4) + (10).to_bytes(2) + b'HTTPClient', 'vendor-class'),
    'UEFI takes an offer for HTTP boot only if it says HTTPClient too (UEFI 2.10 section 24.7.3.2).',
)

# Raspberry Pi Ltd and Raspberry Pi Trading, IEEE registry of OUIs.
_RASPBERRY_PI = ('28:cd:c1', '2c:cf:67', '88:a2:9e', 'b8:27:eb', 'd8:3a:dd', 'dc:a6:32', 'e4:5f:01')


def _firmware(name: str, pxe: tuple[int, ...], http: tuple[int, ...], loader: str, why: str) -> tuple[ClientClass, ...]:
    """The two ways in which one kind of UEFI boots."""
    return (
        ClientClass(
            f'http-{name}', (Match(http, 'HTTPClient'),), 'http', why, loader, (_HTTP_CLIENT,), (_HTTP_CLIENT_6,)
        ),
        ClientClass(f'uefi-{name}', (Match(pxe, 'PXEClient'),), 'tftp', why, loader),
    )


CLASSES: tuple[ClientClass, ...] = (
    ClientClass(
        'ipxe',
        (*(Match(user_class=name) for name in IPXE_USER_CLASSES), Match(option=V4_IPXE)),
        'script',
        'It is iPXE already, from a ROM or a loader of ours: another loader would loop.',
        v4=(_NO_PXEDHCP,),
    ),
    ClientClass(
        'raspberry-pi',
        (Match((0, 41), macs=_RASPBERRY_PI),),
        'nothing',
        'It says that it is a BIOS PC and is none; its boot ROM wants its own firmware files by TFTP.',
    ),
    ClientClass(
        'bios', (Match((0,), 'PXEClient'),), 'tftp', 'PXELINUX with HTTP, which loads iPXE.', 'lpxelinux.0'
    ),
    *_firmware('x64', (7, 9), (16, 17), 'snponly.efi', 'iPXE on the network driver of the firmware.'),
    *_firmware('ia32', (6,), (15,), 'snponly-i386.efi', 'iPXE for 32-bit UEFI on x86.'),
    *_firmware('arm64', (11,), (19,), 'snponly-arm64.efi', 'iPXE for 64-bit ARM.'),
    *_firmware('arm32', (10,), (18,), 'snponly-arm32.efi', 'iPXE for 32-bit ARM.'),
    *_firmware('riscv64', (27,), (28,), 'snponly-riscv64.efi', 'iPXE for 64-bit RISC-V.'),
    *_firmware('loong64', (39,), (40,), 'snponly-loong64.efi', 'iPXE for 64-bit LoongArch.'),
    ClientClass(
        'uboot', (Match((21, 22)),), 'server', 'U-Boot looks for pxelinux.cfg/ by its MAC address (doc/README.pxe).'
    ),
    ClientClass(
        'opal', (Match((14,)),), 'server', 'Petitboot on POWER looks for pxelinux.cfg/ by its MAC address.'
    ),
    ClientClass(
        'unknown',
        (Match(vendor_class='PXEClient'), Match(vendor_class='HTTPClient')),
        'nothing',
        'No loader is known for its architecture.',
    ),
)  # fmt: skip

_NAMES = frozenset(found.name for found in CLASSES)


def table(overrides: Mapping[str, str] | None = None) -> tuple[ClientClass, ...]:
    """The classes, with other loaders where the settings name some (`dhcp.loaders`: class → file, '' for nothing).

    The one place where somebody's hardware can be treated otherwise: {"uefi-x64": "shimx64.efi"} for Secure Boot,
    {"raspberry-pi": "rpi/bootcode.bin"}, {"uboot": ""}.  Raises ValueError for a class that does not exist.
    """
    chosen = dict(overrides or {})
    if unknown := sorted(chosen.keys() - _NAMES):
        raise ValueError(f'there is no client class "{unknown[0]}"; there are {", ".join(sorted(_NAMES))}')
    return tuple(_overridden(found, chosen.get(found.name)) for found in CLASSES)


def _overridden(found: ClientClass, loader: str | None) -> ClientClass:
    if loader is None or found.how == 'script':
        return found
    if not loader:
        return replace(found, how='nothing', loader='')
    return replace(found, how='http' if found.how == 'http' else 'tftp', loader=loader)
