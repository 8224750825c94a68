"""Desired state, as the feed of the plugin tells it: the lines of protocol 1, typed.

The plugin's `feed.messages` is the other side; the sidecar never imports it, and `docs/feed-schema.json` holds both to
the same shape.  Fields that a newer plugin adds are passed over; a line of an unknown kind is an error, because it may
be something that must not be ignored, and the protocol number says so first.

Addresses are text; networks and interface addresses carry their prefix length.  Times are ISO 8601 with zone.
"""

from typing import Any, Literal

import msgspec

PROTOCOL = 1

type What = Literal['subnet', 'zone', 'record', 'boot-image', 'machine', 'task', 'script']
type Action = Literal['build', 'local', 'rescue', 'discovery', 'wipe', 'nothing']


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field='kind', gc=False):
    """What all lines share: a `kind`."""


class BootServer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    status: str
    base_url: str


class Header(Line, tag='header', frozen=True, kw_only=True, gc=False):
    """The first line.  `cursor` may be used as `after` once the end has been read."""

    protocol: int
    mode: Literal['snapshot', 'delta']
    cursor: str
    boot_server: BootServer
    generated: str


class Subnet(Line, tag='subnet', frozen=True, kw_only=True, gc=False):
    """A prefix with every inherited value resolved.  `vlan` is the VLAN's number; `lease_time` is in seconds."""

    id: int
    prefix: str
    vrf: str | None
    vlan: int | None
    site: str | None
    gateway: str | None
    name_servers: list[str]
    ntp_servers: list[str]
    domain: str | None
    lease_range: tuple[str, str] | None
    lease_time: int
    dhcp_options: dict[str, Any]
    dhcp_enabled: bool
    discovery_enabled: bool


class Zone(Line, tag='zone', frozen=True, kw_only=True, gc=False):
    """A DNS zone with its SOA values (RFC 1035 section 3.3.13; seconds)."""

    id: int
    name: str
    reverse: bool
    update_method: str
    server: str | None
    credential: str | None
    name_servers: list[str]
    ttl: int
    mname: str | None
    rname: str | None
    refresh: int
    retry: int
    expire: int
    minimum: int


class Record(Line, tag='record', frozen=True, kw_only=True, gc=False):
    """A DNS name and what it stands for.

    With `type` "address" (the default): A or AAAA in `forward_zone` and PTR in `reverse_zone`; null where that zone is
    somebody else's.  With another type (CNAME, TXT, …, of netbox_dns): `value` is its presentation form, in
    `forward_zone`.  `id` is unique within the kind `record`.
    """

    id: int
    name: str
    address: str | None = None
    forward_zone: int | None = None
    reverse_zone: int | None = None
    type: str = 'address'
    value: str | None = None
    ttl: int | None = None


class BootFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`path` is where templates expect it below the boot server's base URL."""

    role: Literal['kernel', 'initrd', 'disk']
    url: str
    sha256: str | None
    path: str


class BootImage(Line, tag='boot-image', frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    architecture: str
    method: str
    files: list[BootFile]


class Address(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`subnet` is the id of the Subnet that it lies in, null where there is none (or none of this feed)."""

    address: str
    dns_name: str | None
    vrf: str | None
    subnet: int | None
    primary: bool


class Interface(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`macs` has the primary MAC address first.  `lag`, `parent` and `bridge` are ids of interfaces beside it.

    `dhcp_client_id`, `dhcp_duid` (hexadecimal) and `dhcp_circuit_id` (text) are what NetBox knows beyond MAC addresses.
    """

    id: int
    name: str
    type: str
    enabled: bool
    mgmt_only: bool
    mtu: int | None
    macs: list[str]
    lag: int | None
    parent: int | None
    bridge: int | None
    mode: str | None
    untagged_vlan: int | None
    tagged_vlans: list[int]
    addresses: list[Address]
    dhcp_client_id: str | None = None
    dhcp_duid: str | None = None
    dhcp_circuit_id: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`id` is the build artifact's: its content is read at boot-servers/<id>/artifacts/<id>/."""

    id: int
    kind: str
    name: str
    sha256: str


class Build(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: int
    state: str
    profile: str | None
    boot_image: int | None
    token: str
    artifacts: list[Artifact]


class Boot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the machine boots now, and why, as the plugin's `boot.decide` has it."""

    action: Action
    reason: str
    local_method: str | None


class Bmc(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    protocol: str
    address: str | None
    port: int | None
    credential: str


class Machine(Line, tag='machine', frozen=True, kw_only=True, gc=False):
    """`name` is what NetBox calls it; `hostname` and `fqdn` are what it calls itself."""

    id: int
    name: str
    hostname: str
    fqdn: str
    device: int | None
    virtual_machine: int | None
    site: str | None
    state: str
    uuid: str | None
    serial: str | None
    architecture: str
    firmware: str | None
    boot_mac: str | None
    boot: Boot
    build: Build | None
    bmc: Bmc | None
    interfaces: list[Interface]


class Task(Line, tag='task', frozen=True, kw_only=True, gc=False):
    """Only open tasks are in the feed; one that has ended is `gone`."""

    id: int
    task: str
    state: str
    machine: int | None
    build: int | None
    parameters: dict[str, Any]
    not_before: str | None
    attempts: int


class Script(Line, tag='script', frozen=True, kw_only=True, gc=False):
    """A script that belongs to no build: what is served for `name`, for example local, discover, rescue or wipe.

    `variant` tells several of one name apart: for `local` the local boot method ('' where the firmware is unknown); for
    the others the architecture.  The content holds the marker of the base URL and no other.
    """

    id: int
    name: str
    variant: str
    content: str


class Gone(Line, tag='gone', frozen=True, kw_only=True, gc=False):
    """What this boot server does not serve (any more)."""

    what: What
    id: int


class End(Line, tag='end', frozen=True, kw_only=True, gc=False):
    """The last line; `lines` counts those between it and the header."""

    lines: int


type Object = Subnet | Zone | Record | BootImage | Machine | Task | Script

# Every kind of line that there may be.
AnyLine = Header | Subnet | Zone | Record | BootImage | Machine | Task | Script | Gone | End

# The kinds of objects, in the order of the feed, with their types.
KINDS: dict[str, type[Line]] = {
    'subnet': Subnet,
    'zone': Zone,
    'record': Record,
    'boot-image': BootImage,
    'script': Script,
    'machine': Machine,
    'task': Task,
}
