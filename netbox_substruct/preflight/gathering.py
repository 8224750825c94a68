"""What NetBox knows of the way of one machine, read once and put into plain values for `checks`.

Objects that whoever looks may not view are neither named nor linked.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext as _

from ..bundles.markers import BASE_URL
from ..discovery.facts import Facts
from ..feed import queries as q
from ..feed.scope import Coverage, NetworkIndex, ZoneIndex
from ..feed.subnets import Resolved, network, resolve
from ..feed.touched import rows_above
from .steps import Link

# Where an artifact has the machine fetch the prospector.
_PROSPECTOR = re.compile(re.escape(BASE_URL) + r'/prospector/([a-z0-9_]{1,20})/')


@dataclass(frozen=True, slots=True)
class Address:
    """`subnet` is the id of the Subnet that holds it, None where there is none."""

    address: str
    subnet: int | None


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    macs: tuple[str, ...]
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A subnet with what it inherits; `link` only where it may be viewed."""

    prefix: str
    dhcp: bool
    gateway: str | None
    name_servers: tuple[str, ...]
    domain: str | None
    lease_range: bool
    link: Link | None


@dataclass(frozen=True, slots=True)
class Server:
    """A boot server that serves the machine.  `files` are its reports of boot files by their source."""

    id: int
    name: str
    status: str
    heard: datetime | None
    late: bool
    services: tuple[tuple[str, str, str], ...]  # name, state, message
    problems: tuple[Mapping[str, Any], ...]  # those about this machine or its boot image
    files: Mapping[str, Mapping[str, Any]]
    link: Link | None


@dataclass(frozen=True, slots=True)
class Image:
    id: int
    name: str
    files: tuple[tuple[str, str, str | None], ...]  # role, URL, SHA-256
    link: Link | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What rendering came to; `secrets` are names and `prospector` architectures that the artifacts refer to."""

    artifacts: int = 0
    errors: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    prospector: tuple[str, ...] = ()
    fqdn: str = ''
    layout: Mapping[str, Any] = field(default_factory=dict)
    # What the layout's roles and conditions mean, or why they mean nothing (`context.disks`).
    disks: tuple[str, ...] = ()
    disk_problem: str = ''


@dataclass(frozen=True, slots=True)
class Gathered:
    """All of it.  `facts` is None where nobody reported any, or they may not be viewed (`hidden`)."""

    name: str
    state: str
    state_words: str
    fqdn: str
    firmware: str
    uuid: str | None
    serial: str
    boot_mac: str | None
    guard: str | None
    active_build: int | None
    buildable: bool
    profile: str | None
    image: Image | None
    ports: tuple[Port, ...]
    places: Mapping[int, Place]
    claimed: Mapping[str, tuple[str, ...]]  # MAC address → other machines with it
    servers: tuple[Server, ...]
    zone: bool
    rendered: Rendered
    bmc: str | None
    bmc_exists: bool
    facts: Facts | None
    hidden: bool
    facts_time: datetime | None
    differences: tuple[str, ...]
    cables: tuple[tuple[str, str], ...]  # what is said of a cable, and why it differs
    links: Mapping[str, Link]


class Eyes:
    """What a user may view; without one everything."""

    def __init__(self, user: Any = None) -> None:
        self.user = user

    def rows(self, queryset: Any) -> Any:
        return queryset if self.user is None else queryset.restrict(self.user, 'view')

    def has(self, obj: Any) -> bool:
        return obj is None or bool(self.rows(type(obj).objects.all()).filter(pk=obj.pk).exists())

    def name(self, obj: Any) -> str:
        return str(obj) if self.has(obj) else str(_('something that you may not view'))


def gather(machine: Any, user: Any, profile: Any = None) -> Gathered:
    """Everything, for a `profile` other than the machine's own if one is given."""
    from ..context.reading import boot_image_of
    from ..discovery import keeping
    from ..lifecycle import guarding
    from ..lifecycle.states import MACHINE_MOVES

    eyes = Eyes(user)
    profile = profile or machine.profile
    image = boot_image_of(profile.chain) if profile is not None else None
    ports, subnets, index = _ports(machine)
    facts_set, reading = keeping.current(machine)
    hidden = not eyes.has(facts_set)
    facts = reading.facts if facts_set is not None and not hidden else None
    differences, cables = _compared(machine, facts, eyes)
    bmc = getattr(machine, 'bmc', None)
    rendered = rendered_of(machine, profile)
    fqdn = rendered.fqdn or machine.name
    build = machine.active_build
    return Gathered(
        name=machine.name, state=machine.state, state_words=str(machine.get_state_display()), fqdn=fqdn,
        firmware=machine.firmware, uuid=str(machine.uuid) if machine.uuid else None, serial=machine.serial,
        boot_mac=str(machine.boot_mac).lower() if machine.boot_mac else None, guard=guarding.guard(machine),
        active_build=build.pk if build else None, buildable='building' in MACHINE_MOVES[machine.state],
        profile=str(profile) if profile is not None else None,
        image=_image(image, eyes), ports=ports, places=_places(subnets, eyes),
        claimed=_claimed(machine, ports, eyes),
        servers=tuple(_server(found, machine, image, eyes) for found in serving(machine, subnets, index, ports)),
        zone=_zone(fqdn), rendered=rendered, bmc=_bmc_address(bmc),
        bmc_exists=bmc is not None,
        facts=facts, hidden=hidden,
        facts_time=facts_set.collected if facts_set is not None else None, differences=differences, cables=cables,
        links=_links(machine, profile, bmc, eyes),
    )  # fmt: skip


# ---------------------------------------------------------------------- addresses and boot servers


def _ports(machine: Any) -> tuple[tuple[Port, ...], dict[int, Resolved], NetworkIndex]:
    """The ports that may boot, and the subnets of their addresses with all that these inherit from."""
    with connection.cursor() as cursor:

        def fetch(sql: str, params: Iterable[Any] = ()) -> list[q.Row]:
            return q.fetch(cursor, sql, list(params))

        subnets = {found.row.id: found for found in resolve(rows_above(fetch, cursor, (), [machine.pk]))}
    index = NetworkIndex((found.row.vrf_id, found.row.network, key) for key, found in subnets.items())
    if machine.object is None:
        return (), subnets, index
    rows = machine.object.interfaces.prefetch_related('mac_addresses', 'ip_addresses')
    return tuple(
        Port(
            row.name,
            tuple(sorted(str(mac.mac_address).lower() for mac in row.mac_addresses.all())),
            tuple(
                Address(str(one.address.ip), index.find(one.vrf_id, str(one.address.ip)))
                for one in row.ip_addresses.all()
            ),
        )
        for row in rows
        if row.enabled and not getattr(row, 'mgmt_only', False)
    ), subnets, index  # fmt: skip


def serving(machine: Any, subnets: Mapping[int, Resolved], index: NetworkIndex, ports: Iterable[Port]) -> list[Any]:
    """The boot servers that serve a machine, by the rules of `feed.scope`.  Three queries, however many there are."""
    from ..models import BootServer

    servers = list(BootServer.objects.prefetch_related('sites', 'prefixes').order_by('name'))
    if machine.boot_server_id is not None:
        return [found for found in servers if found.pk == machine.boot_server_id]
    if machine.object is None:
        return servers
    known = {address.subnet for port in ports for address in port.addresses if address.subnet is not None}
    coverages = {
        found.pk: Coverage(
            found.pk,
            frozenset(site.pk for site in found.sites.all()),
            tuple((prefix.vrf_id, network(str(prefix.prefix))) for prefix in found.prefixes.all()),
        )
        for found in servers
    }
    if known:
        return [found for found in servers if any(coverages[found.pk].serves(subnets[key]) for key in known)]
    site = machine.site.pk if machine.site is not None else None
    return [found for found in servers if site is not None and site in coverages[found.pk].site_ids]


def servers_of(machine: Any) -> list[Any]:
    """The boot servers that serve a machine."""
    ports, subnets, index = _ports(machine)
    return serving(machine, subnets, index, ports)


def _places(subnets: Mapping[int, Resolved], eyes: Eyes) -> dict[int, Place]:
    from ..models import Subnet

    visible = set(eyes.rows(Subnet.objects.all()).filter(pk__in=subnets).values_list('pk', flat=True))
    return {
        key: Place(
            str(found.row.network), bool(found.dhcp_enabled), found.gateway, tuple(found.name_servers), found.domain,
            found.lease_range is not None,
            Link(str(found.row.network), reverse('plugins:netbox_substruct:subnet', args=[key]))
            if key in visible else None,
        )
        for key, found in subnets.items()
    }  # fmt: skip


def _server(found: Any, machine: Any, image: Any, eyes: Eyes) -> Server:
    mine = {('machine', machine.pk)} | ({('boot-image', image.pk)} if image is not None else set())
    return Server(
        id=found.pk, name=eyes.name(found), status=found.status, heard=found.last_heartbeat, late=found.is_late,
        services=tuple(
            (str(one.get('name', '')), str(one.get('state', '')), str(one.get('message', ''))) for one in found.services
        ),
        problems=tuple(one for one in found.out_of_step if (one.get('what'), one.get('id')) in mine),
        files={str(file.get('source', '')): file for file in found.files},
        link=_link(found, eyes),
    )  # fmt: skip


def _claimed(machine: Any, ports: Iterable[Port], eyes: Eyes) -> dict[str, tuple[str, ...]]:
    """Which other machines have one of its MAC addresses, on an interface that is not switched off."""
    from dcim.models import Interface
    from virtualization.models import VMInterface

    from ..models import Machine

    macs = {mac for port in ports for mac in port.macs}
    if machine.boot_mac:
        macs.add(str(machine.boot_mac).lower())
    if not macs:
        return {}
    found: dict[str, list[Any]] = {}
    for model, owner in ((Interface, 'device'), (VMInterface, 'virtual_machine')):
        rows = model.objects.filter(
            enabled=True, mac_addresses__mac_address__in=macs, **{f'{owner}__substruct_machine__isnull': False}
        ).exclude(**{f'{owner}__substruct_machine': machine.pk})
        for mac, key in rows.values_list('mac_addresses__mac_address', f'{owner}__substruct_machine'):
            found.setdefault(str(mac).lower(), []).append(key)
    ids = {key for keys in found.values() for key in keys}
    others = {
        other.pk: str(other)
        for other in eyes.rows(Machine.objects.select_related('device', 'virtual_machine')).filter(pk__in=ids)
    } if ids else {}  # fmt: skip
    return {
        mac: tuple(others.get(key, str(_('a machine that you may not view'))) for key in sorted(set(keys)))
        for mac, keys in found.items()
        if mac in macs
    }


# ---------------------------------------------------------------------- what is built


def _image(image: Any, eyes: Eyes) -> Image | None:
    if image is None:
        return None
    files = tuple((file['role'], file['url'], file['sha256']) for file in image.files)
    return Image(image.pk, eyes.name(image), files, _link(image, eyes))


def rendered_of(machine: Any, profile: Any) -> Rendered:
    """What rendering its artifacts would come to now."""
    from .. import bundles
    from ..bundles import markers
    from ..lifecycle.errors import LifecycleError

    if profile is None:
        return Rendered()
    try:
        bundle = bundles.preview(machine, profile)
    except LifecycleError as error:
        return Rendered(errors=tuple(str(error).splitlines()))
    texts = [artifact.content for artifact in bundle.artifacts]
    return Rendered(
        artifacts=len(texts),
        errors=tuple(map(str, bundle.errors)),
        secrets=tuple(dict.fromkeys(name for text in texts for name in markers.secrets_in(text))),
        prospector=tuple(dict.fromkeys(name for text in texts for name in _PROSPECTOR.findall(text))),
        fqdn=str(bundle.context['machine']['fqdn']),
        layout=bundle.context['profile']['disk_layout'],
        disks=tuple(bundle.context['disks']['chosen']),
        disk_problem=bundle.context['disks']['problem'],
    )


def _zone(fqdn: str) -> bool:
    """Whether a zone of NetBox holds its name."""
    from ..models import Zone

    if '.' not in fqdn:
        return False
    return ZoneIndex(Zone.objects.values_list('pk', 'name')).forward(fqdn.lower().rstrip('.')) is not None


def _bmc_address(bmc: Any) -> str | None:
    return str(bmc.effective_address) if bmc is not None and bmc.effective_address else None


# ---------------------------------------------------------------------- found against intended


def _compared(machine: Any, facts: Facts | None, eyes: Eyes) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What the machine says of itself that NetBox has otherwise, and the cables that lead elsewhere."""
    from ..discovery import difference

    if facts is None:
        return (), ()
    lines = difference.difference(machine, user=eyes.user).lines
    return (
        tuple(difference.summary(line) for line in lines if line.section == 'machine'),
        tuple((line.title, ' '.join(map(str, line.warnings))) for line in lines if line.section == 'cabling'),
    )


def _link(obj: Any, eyes: Eyes) -> Link | None:
    return Link(str(obj), obj.get_absolute_url()) if obj is not None and eyes.has(obj) else None


def _links(machine: Any, profile: Any, bmc: Any, eyes: Eyes) -> dict[str, Link]:
    """Where things are mended, by name; only what may be viewed."""
    found = {
        'machine': _link(machine, eyes), 'object': _link(machine.object, eyes), 'profile': _link(profile, eyes),
        'bmc': _link(bmc, eyes),
    }  # fmt: skip
    for name in ('preview', 'facts', 'edit'):
        if eyes.has(machine):
            url = reverse(f'plugins:netbox_substruct:machine_{name}', args=[machine.pk])
            found[name] = Link(name, url)
    return {name: link for name, link in found.items() if link is not None}
