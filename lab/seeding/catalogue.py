"""What data centres are made of.  Plain data: nothing here knows Django or depends on the size or the seed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

# Dates in the data stand around this moment, not around the day of seeding: the same seed gives the same rows.
REFERENCE = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

DOMAIN = 'example.com'


@dataclass(frozen=True)
class City:
    """Where a site is; the region is (continent, country)."""

    name: str
    region: tuple[str, str]
    time_zone: str
    latitude: str
    longitude: str


CITIES = (
    City('Frankfurt', ('Europe', 'Germany'), 'Europe/Berlin', '50.110600', '8.682100'),
    City('Amsterdam', ('Europe', 'Netherlands'), 'Europe/Amsterdam', '52.367600', '4.904100'),
    City('Ashburn', ('North America', 'United States'), 'America/New_York', '39.043800', '-77.487400'),
    City('Singapore', ('Asia', 'Singapore'), 'Asia/Singapore', '1.352100', '103.819800'),
    City('London', ('Europe', 'United Kingdom'), 'Europe/London', '51.507400', '-0.127800'),
    City('Tokyo', ('Asia', 'Japan'), 'Asia/Tokyo', '35.676200', '139.650300'),
    City('Dallas', ('North America', 'United States'), 'America/Chicago', '32.776700', '-96.797000'),
    City('Paris', ('Europe', 'France'), 'Europe/Paris', '48.856600', '2.352200'),
    City('Sydney', ('Oceania', 'Australia'), 'Australia/Sydney', '-33.868800', '151.209300'),
    City('Toronto', ('North America', 'Canada'), 'America/Toronto', '43.653200', '-79.383200'),
)


@dataclass(frozen=True)
class Port:
    """An interface template; `kind` is NetBox's interface type."""

    name: str
    kind: str
    mgmt_only: bool = False


@dataclass(frozen=True)
class Model:
    """A device type.  `oui` begins the MAC addresses of its ports, `serial` is how its serial numbers look.

    In a serial number X stands for a letter or digit and 9 for a digit.
    """

    manufacturer: str
    model: str
    slug: str
    part_number: str
    height: int
    ports: tuple[Port, ...]
    oui: str
    serial: str
    bmc: str = ''
    bond: tuple[str, ...] = ()
    redfish: bool = True
    firmware: str = 'uefi'

    @property
    def nics(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if not port.mgmt_only)


def _numbered(form: str, numbers: range, kind: str) -> tuple[Port, ...]:
    return tuple(Port(form.format(number), kind) for number in numbers)


T1G, T10G, S25G, Q100G = '1000base-t', '10gbase-t', '25gbase-x-sfp28', '100gbase-x-qsfp28'

# Two NICs in one unit of height, four in two: with 24 servers a rack has 24 to 39 units and 48 ports a switch in use.
SMALL_SERVERS = (
    Model('Dell', 'PowerEdge R650', 'dell-poweredge-r650', 'R650', 1,
          (Port('ens1f0np0', S25G), Port('ens1f1np1', S25G), Port('iDRAC', T1G, True)),
          'B0:7B:25', 'XXXXXX3', 'iDRAC', ('ens1f0np0', 'ens1f1np1')),
    Model('HPE', 'ProLiant DL360 Gen11', 'hpe-proliant-dl360-gen11', 'P52499-B21', 1,
          (Port('ens10f0np0', S25G), Port('ens10f1np1', S25G), Port('iLO', T1G, True)),
          '88:E9:A4', 'CZ23999XXX', 'iLO', ('ens10f0np0', 'ens10f1np1')),
    Model('Supermicro', 'SYS-1029P-WTRT', 'supermicro-sys-1029p-wtrt', 'SYS-1029P-WTRT', 1,
          (Port('eno1', T10G), Port('eno2', T10G), Port('IPMI', T1G, True)),
          '3C:EC:EF', 'S2999XXX9999999', 'IPMI', redfish=False, firmware='bios'),
)  # fmt: skip
LARGE_SERVERS = (
    Model('Dell', 'PowerEdge R750', 'dell-poweredge-r750', 'R750', 2,
          (Port('eno1', T1G), Port('eno2', T1G), Port('ens1f0np0', S25G), Port('ens1f1np1', S25G),
           Port('iDRAC', T1G, True)),
          '4C:D9:8F', 'XXXXXX4', 'iDRAC', ('ens1f0np0', 'ens1f1np1')),
    Model('Lenovo', 'ThinkSystem SR650 V3', 'lenovo-thinksystem-sr650-v3', '7D76', 2,
          (Port('eno1', T1G), Port('eno2', T1G), Port('ens2f0np0', S25G), Port('ens2f1np1', S25G),
           Port('XCC', T1G, True)),
          '38:68:DD', 'J39XXXX9', 'XCC', ('ens2f0np0', 'ens2f1np1')),
)  # fmt: skip
TOP_OF_RACK = Model(
    'Arista', 'DCS-7050SX3-48YC8', 'arista-dcs-7050sx3-48yc8', 'DCS-7050SX3-48YC8-F', 1,
    (*_numbered('Ethernet{}', range(1, 49), S25G), *_numbered('Ethernet{}/1', range(49, 57), Q100G),
     Port('Management1', T1G, True)),
    'FC:BD:67', 'JPE9999XXXX',
)  # fmt: skip
OUT_OF_BAND = Model(
    'Juniper', 'EX3400-48T', 'juniper-ex3400-48t', 'EX3400-48T', 1,
    (*_numbered('ge-0/0/{}', range(48), T1G), *_numbered('xe-0/2/{}', range(4), '10gbase-x-sfpp'),
     Port('me0', T1G, True)),
    '20:4E:71', 'NW9999XX9999',
)  # fmt: skip
SPINE = Model(
    'Arista', 'DCS-7060CX-32S', 'arista-dcs-7060cx-32s', 'DCS-7060CX-32S-F', 1,
    (*_numbered('Ethernet{}/1', range(1, 33), Q100G), Port('Management1', T1G, True)),
    '98:5D:82', 'SSJ9999XXXX',
)  # fmt: skip
SERVERS = (*SMALL_SERVERS, *LARGE_SERVERS)
MODELS = (*SERVERS, TOP_OF_RACK, OUT_OF_BAND, SPINE)
VM_OUI = '52:54:00'


@dataclass(frozen=True)
class Role:
    """A device role.  `share` weighs how often a rack has it; `profile` is what its machines become."""

    name: str
    slug: str
    color: str
    parent: str = ''
    share: int = 0
    profile: str = ''
    vm_role: bool = False
    large: bool = False


ROLES = (
    Role('Server', 'server', '2196f3', vm_role=True),
    Role('Network', 'network', '607d8b'),
    Role('Hypervisor', 'hypervisor', '673ab7', 'server', 0, 'hypervisor', large=True),
    Role('Web', 'web', '4caf50', 'server', 4, 'debian-12', vm_role=True),
    Role('Database', 'database', 'ff9800', 'server', 2, 'debian-13', vm_role=True, large=True),
    Role('Kubernetes node', 'kubernetes', '03a9f4', 'server', 4, 'kubernetes', vm_role=True),
    Role('Storage', 'storage', '795548', 'server', 1, 'debian-13', large=True),
    Role('Compute', 'compute', '009688', 'server', 3, 'cloud-image'),
    Role('Top-of-rack switch', 'tor', '9e9e9e', 'network'),
    Role('Out-of-band switch', 'oob', '9e9e9e', 'network'),
    Role('Spine switch', 'spine', '455a64', 'network'),
)
SERVER_ROLES = tuple(role for role in ROLES if role.share)
VM_ROLES = tuple(role for role in SERVER_ROLES if role.vm_role)
HYPERVISOR = next(role for role in ROLES if role.slug == 'hypervisor')


@dataclass(frozen=True)
class Platform:
    name: str
    slug: str
    parent: str = ''
    manufacturer: str = ''


PLATFORMS = (
    Platform('Linux', 'linux'),
    Platform('Debian', 'debian', 'linux'),
    Platform('Debian 12', 'debian-12', 'debian'),
    Platform('Debian 13', 'debian-13', 'debian'),
    Platform('Arista EOS', 'arista-eos', '', 'Arista'),
    Platform('Junos', 'junos', '', 'Juniper'),
)
# What a machine of a profile runs once it is built.
PLATFORM_OF_PROFILE = {
    'debian-12': 'debian-12',
    'debian-13': 'debian-13',
    'hypervisor': 'debian-12',
    'kubernetes': 'debian-13',
    'cloud-image': 'debian-12',
}

TENANTS = (
    ('Operations', 'operations', 'Internal'),
    ('Web shop', 'web-shop', 'Products'),
    ('Payments', 'payments', 'Products'),
    ('Research', 'research', 'Internal'),
)


@dataclass(frozen=True)
class Tag:
    name: str
    slug: str
    color: str
    description: str = ''


TAGS = (
    # The slug is the default of Substruct's setting protected_tag.
    Tag('Protected', 'protected', 'f44336', 'Is never built without an explicit override'),
    Tag('Canary', 'canary', 'ffeb3b', 'Gets changes first'),
    Tag('PCI DSS', 'pci-dss', '9c27b0', 'Card data'),
)


@dataclass(frozen=True)
class Context:
    """A config context; `role` limits it to a device role, `site` stands for one context of every site."""

    name: str
    weight: int
    data: dict[str, object] = field(default_factory=dict)
    role: str = ''


CONTEXTS = (
    Context('base', 100, {
        'syslog': {'servers': ['syslog.example.com'], 'facility': 'local6'},
        'time_zone': 'Etc/UTC',
        'packages': ['openssh-server', 'curl'],
    }),
    Context('hypervisors', 3000, {'sysctl': {'net.ipv4.ip_forward': 1}, 'hugepages': 1024}, 'hypervisor'),
    Context('kubernetes nodes', 3000, {'kubernetes': {'version': '1.34', 'runtime': 'containerd'}}, 'kubernetes'),
)  # fmt: skip
