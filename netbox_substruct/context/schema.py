"""The frozen context: everything that templates see of a machine, as plain typed data.

This is an interface: templates that users wrote rely on it.  SCHEMA_VERSION goes up when a name is removed or changes
its meaning; adding names does not change it.  docs/context-schema.json is made from here, and a test holds it to this.

Text that is not set is empty, an object that is not set is None, and lists are never None.
"""

from typing import Any

from msgspec import Struct

SCHEMA_VERSION = 1


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything here is frozen."""


class Named(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object of NetBox by its name."""

    name: str
    slug: str


class Site(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`time_zone` is a name of the tz database, such as Europe/Berlin."""

    time_zone: str


class DeviceType(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    manufacturer: str
    model: str
    slug: str


class Machine(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and its device or virtual machine.

    `hostname` is the first label and `domain` the rest of `fqdn` (`naming.names_of` says where they come from).
    `kind` is device, virtual-machine, or discovered for a machine that is neither yet.  `architecture` is named as by
    `uname -m`, `firmware` is bios, uefi or empty.  `local_boot` is how it reaches its disk: sanboot, exit, grub,
    no-offer, or empty where the boot loader has to look.  `custom_fields` are as NetBox stores them (objects by id).
    """

    id: int
    name: str
    kind: str
    hostname: str
    fqdn: str
    domain: str
    uuid: str
    serial: str
    asset_tag: str
    architecture: str
    firmware: str
    boot_mac: str
    local_boot: str
    site: Site | None
    location: str
    rack: str
    position: float | None
    role: Named | None
    device_type: DeviceType | None
    cluster: str
    platform: Named | None
    tenant: Named | None
    status: str
    tags: tuple[str, ...]
    custom_fields: dict[str, Any]


class VLAN(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    vid: int
    name: str


class Address(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An IP address of an interface, and what its subnet says (empty where no subnet says anything).

    `address` has the prefix length (10.0.0.5/24), `ip` has not; `network` is 10.0.0.0/24 and `netmask` 255.255.255.0.
    `family` is 4 or 6.  `primary` marks the primary address of its family.  `assignment` is how the machine comes
    to it: static, dhcp or slaac, as the status of the address says.
    """

    address: str
    ip: str
    family: int
    prefix_length: int
    network: str
    netmask: str
    broadcast: str
    gateway: str
    name_servers: tuple[str, ...]
    ntp_servers: tuple[str, ...]
    domain: str
    dns_name: str
    assignment: str
    primary: bool
    vrf: str


class Interface(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`lag`, `parent` and `bridge` are names of interfaces of the same machine; `members` are those whose `lag` this
    is.

    `os_name` is the name as Linux can have it (`naming.os_names`).  `mac` is in lower case with colons.  `mode` is
    access, tagged, tagged-all, q-in-q or empty.
    """

    name: str
    os_name: str
    type: str
    label: str
    description: str
    enabled: bool
    mac: str
    mtu: int | None
    mgmt_only: bool
    lag: str
    members: tuple[str, ...]
    parent: str
    bridge: str
    mode: str
    untagged_vlan: VLAN | None
    tagged_vlans: tuple[VLAN, ...]
    addresses: tuple[Address, ...]


class Network(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The addresses that the machine is known by, and what goes with them.

    `interface` is the name of the one that it boots and installs over: that of the boot MAC address, else the one with
    the primary address, else the first that is enabled, has a MAC address and is not for management.  The rest is of
    the primary IPv4 address, else of the primary IPv6 address.
    """

    interface: str
    ip4: Address | None
    ip6: Address | None
    gateway: str
    name_servers: tuple[str, ...]
    ntp_servers: tuple[str, ...]
    domain: str


class Profile(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`chain` are the names of the profile and of those it inherits from, nearest first."""

    name: str
    slug: str
    chain: tuple[str, ...]
    handoff: str
    built_status: str
    disk_layout: dict[str, Any]


class File(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the boot server serves: `path` is where, below its base URL; `name` is what the source called it."""

    name: str
    path: str
    sha256: str


class BootImage(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`arguments` is the template of the kernel arguments; other templates see it rendered, on one line."""

    name: str
    platform: Named | None
    architecture: str
    method: str
    arguments: str
    kernel: File | None
    initrds: tuple[File, ...]
    disk_image: File | None


class Build(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: int


class Disk(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A disk that the machine reported last; removable ones are left out.

    `device` is what stays the same from one boot to the next: a link below /dev/disk/by-id where there is one, else
    the kernel's own name for it.  `rotational` is None where the machine did not say.
    """

    name: str
    device: str
    size_bytes: int
    vendor: str
    model: str
    serial: str
    wwn: str
    transport: str
    rotational: bool | None


class Disks(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The disks of the machine, and those of them that the profile's disk layout means (`disks.choose`).

    `chosen` are devices to install on.  `only` leaves it to the installer to see that there is one disk.  `problem`
    says why nothing could be chosen; a template that needs a disk ends with it.
    """

    found: tuple[Disk, ...]
    chosen: tuple[str, ...]
    only: bool
    problem: str


class Context(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What templates see; beside it stand `urls` and the functions of the sandbox."""

    schema_version: int
    machine: Machine
    interfaces: tuple[Interface, ...]
    network: Network
    disks: Disks
    profile: Profile
    boot_image: BootImage | None
    parameters: dict[str, Any]
    build: Build | None
