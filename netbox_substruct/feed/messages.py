"""The lines of the feed, typed.  This is the protocol between plugin and sidecar; its number changes when it breaks.

A feed is newline-delimited JSON (application/x-ndjson): a header, any number of lines of the kinds below in this order,
and an end.  A reader that does not see the end has half an answer and must throw it away.  In a delta each line
replaces what the reader had under the same kind and id, and `gone` removes it; being told of something twice, or that
something is gone that one never had, is normal.

Addresses are text; networks and interface addresses carry their prefix length.  Times are ISO 8601 with zone.
"""

from typing import Any, Literal

import msgspec

PROTOCOL = 1

# Custom fields of interfaces that the feed tells, if there are such.
DHCP_FIELDS = ('dhcp_client_id', 'dhcp_duid', 'dhcp_circuit_id')


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field='kind', omit_defaults=False):
    """What all lines share: a `kind`."""


class BootServer(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    status: str
    base_url: str


class Header(Line, tag='header', frozen=True, kw_only=True):
    """The first line.  `cursor` may be used as `after` once the end has been read."""

    protocol: int
    mode: Literal['snapshot', 'delta']
    cursor: str
    boot_server: BootServer
    generated: str


class Subnet(Line, tag='subnet', frozen=True, kw_only=True):
    """A prefix with every inherited value resolved."""

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


class Zone(Line, tag='zone', frozen=True, kw_only=True):
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


class Record(Line, tag='record', frozen=True, kw_only=True, omit_defaults=True):
    """A DNS name and what it stands for.

    With `type` "address" (the default): `forward_zone` and `reverse_zone` are the zones of this feed that it belongs
    in, A or AAAA in the first, PTR in the second; null where that zone is somebody else's.  `id` is the IP address's.
    """

    id: int
    name: str
    address: str | None
    forward_zone: int | None
    reverse_zone: int | None
    type: str = 'address'
    value: str | None = None
    ttl: int | None = None


class BootFile(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is where templates expect it below the boot server's base URL (`context.naming.file_path`)."""

    role: Literal['kernel', 'initrd', 'disk']
    url: str
    sha256: str | None
    path: str


class BootImage(Line, tag='boot-image', frozen=True, kw_only=True):
    id: int
    name: str
    architecture: str
    method: str
    files: list[BootFile]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    dns_name: str | None
    vrf: str | None
    subnet: int | None
    primary: bool


class Interface(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`macs` has the primary MAC address first.  `lag`, `parent` and `bridge` are ids of interfaces beside it.

    What DHCP may know a client by beyond its MAC addresses are custom fields of these names (`DHCP_FIELDS`), as they
    were written.
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


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the build artifact's: its content is read at boot-servers/<id>/artifacts/<id>/."""

    id: int
    kind: str
    name: str
    sha256: str


class Build(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    state: str
    profile: str | None
    boot_image: int | None
    token: str
    artifacts: list[Artifact]


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """`boot.decide`, as it stands."""

    action: Literal['build', 'local', 'rescue', 'discovery', 'wipe', 'nothing']
    reason: str
    local_method: str | None


class Bmc(msgspec.Struct, frozen=True, kw_only=True):
    protocol: str
    address: str | None
    port: int | None
    credential: str


class Machine(Line, tag='machine', frozen=True, kw_only=True):
    """`name` is what NetBox calls it; `hostname` and `fqdn` are what it calls itself (`context.naming.names_of`)."""

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


class Task(Line, tag='task', frozen=True, kw_only=True):
    """Only open tasks are in the feed; one that has ended is `gone`."""

    id: int
    task: str
    state: str
    machine: int | None
    build: int | None
    parameters: dict[str, Any]
    not_before: str | None
    attempts: int


class Script(Line, tag='script', frozen=True, kw_only=True):
    """A boot script that belongs to no build: local, discover, rescue or wipe.

    `variant` tells several of one name apart: for local the local boot method ('' where the firmware is unknown), for
    the others the architecture.  The content holds the marker of the base URL (`bundles.markers`) and no other.
    """

    id: int
    name: str
    variant: str
    content: str


class Gone(Line, tag='gone', frozen=True, kw_only=True):
    """What this boot server does not serve (any more)."""

    what: Literal['subnet', 'zone', 'record', 'boot-image', 'machine', 'task', 'script']
    id: int


class End(Line, tag='end', frozen=True, kw_only=True):
    """The last line; `lines` counts those between it and the header."""

    lines: int


# Every kind of line, for decoders and the schema.
ANY_LINE = Header | Subnet | Zone | Record | BootImage | Machine | Task | Script | Gone | End

_encoder = msgspec.json.Encoder()


def encode(line: Line) -> bytes:
    """One line with its newline."""
    return _encoder.encode(line) + b'\n'


def schema() -> dict[str, Any]:
    """The JSON schema of one line."""
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': f'Substruct feed, protocol {PROTOCOL}: one line',
        **msgspec.json.schema(ANY_LINE),
    }
