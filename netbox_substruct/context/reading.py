"""NetBox objects become the frozen context.  The number of queries does not depend on how much a machine has.

(But for the profile chain and NetBox's own matching of config contexts, which ask once for each ancestor or kind of
group.)
"""

import re
from collections.abc import Iterable
from ipaddress import ip_interface
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from .. import parameters as parameters_
from ..boot import local_method
from ..discovery import facts
from ..feed.subnets import Row, network, resolve_chain
from . import disks, naming
from .schema import (
    SCHEMA_VERSION,
    VLAN,
    Address,
    BootImage,
    Build,
    Context,
    DeviceType,
    Disk,
    File,
    Interface,
    Machine,
    Named,
    Network,
    Profile,
    Site,
)

_MACHINE = ('profile', 'device', 'virtual_machine')
_DEVICE = (
    'site', 'location', 'rack', 'role', 'device_type__manufacturer', 'platform', 'tenant', 'cluster',
    'primary_ip4', 'primary_ip6',
)  # fmt: skip
_VIRTUAL = ('site', 'role', 'platform', 'tenant', 'cluster', 'primary_ip4', 'primary_ip6')


def assemble(machine: Any, profile: Any, build_id: int | None = None, parameters: Any = None) -> Context:
    """The context of a machine that is to become `profile`.

    `build_id` is None in a preview.  `parameters` may be given where they were resolved already.
    """
    obj = _object(machine)
    chain = profile.chain
    if parameters is None:
        parameters = parameters_.resolve(machine, profile)
    addresses = _addresses(obj) if obj is not None else {}
    interfaces = _interfaces(obj, addresses) if obj is not None else ()
    net = _network(machine, interfaces)
    profile_ = _profile(chain)
    return Context(
        schema_version=SCHEMA_VERSION,
        machine=_machine(machine, obj, interfaces, net),
        interfaces=interfaces,
        network=net,
        disks=disks.choose(profile_.disk_layout, _disks(machine)),
        profile=profile_,
        boot_image=_boot_image(boot_image_of(chain)),
        parameters=parameters.values,
        build=Build(id=build_id) if build_id is not None else None,
    )


def boot_image_of(chain: Iterable[Any]) -> Any:
    """The boot image of the nearest profile that names one, or None."""
    for profile in chain:
        if profile.boot_image_id:
            return profile.boot_image
    return None


# ---------------------------------------------------------------- the machine


def _object(machine: Any) -> Any:
    """The device or virtual machine with everything that is read of it, in one query."""
    from dcim.models import Device
    from virtualization.models import VirtualMachine

    if machine.device_id:
        return Device.objects.select_related(*_DEVICE).get(pk=machine.device_id)
    if machine.virtual_machine_id:
        return VirtualMachine.objects.select_related(*_VIRTUAL).get(pk=machine.virtual_machine_id)
    return None


def _machine(machine: Any, obj: Any, interfaces: Iterable[Interface], net: Network) -> Machine:
    primary = [address for address in (net.ip4, net.ip6) if address is not None]
    others = [address for interface in interfaces for address in interface.addresses if not address.primary]
    name = machine.name
    hostname, fqdn, domain = naming.names_of(
        name,
        [address.dns_name for address in (*primary, *others)],
        [net.domain, *(address.domain for address in others)],
        f'machine-{machine.pk}',
    )
    is_device = machine.device_id is not None
    position = getattr(obj, 'position', None)
    site = getattr(obj, 'site', None)
    device_type = getattr(obj, 'device_type', None)
    return Machine(
        id=machine.pk,
        name=name,
        kind='discovered' if obj is None else 'device' if is_device else 'virtual-machine',
        hostname=hostname,
        fqdn=fqdn,
        domain=domain,
        uuid=str(machine.uuid or ''),
        serial=machine.serial or getattr(obj, 'serial', '') or '',
        asset_tag=getattr(obj, 'asset_tag', '') or '',
        architecture=machine.architecture,
        firmware=machine.firmware,
        boot_mac=_mac(machine.boot_mac),
        local_boot=local_method(machine.local_boot, machine.firmware),
        site=Site(name=site.name, slug=site.slug, time_zone=str(site.time_zone or '')) if site else None,
        location=_name(getattr(obj, 'location', None)),
        rack=_name(getattr(obj, 'rack', None)),
        position=float(position) if position is not None else None,
        role=_named(getattr(obj, 'role', None)),
        device_type=DeviceType(
            manufacturer=device_type.manufacturer.name, model=device_type.model, slug=device_type.slug
        )
        if device_type
        else None,
        cluster=_name(getattr(obj, 'cluster', None)),
        platform=_named(getattr(obj, 'platform', None)),
        tenant=_named(getattr(obj, 'tenant', None)),
        status=getattr(obj, 'status', '') or '',
        tags=tuple(sorted(obj.tags.values_list('slug', flat=True))) if obj is not None else (),
        custom_fields=dict(getattr(obj, 'custom_field_data', None) or {}),
    )


def _name(obj: Any) -> str:
    return obj.name if obj is not None else ''


def _named(obj: Any) -> Named | None:
    return Named(name=obj.name, slug=obj.slug) if obj is not None else None


def _mac(value: Any) -> str:
    """A MAC address in lower case with colons, as the kernel and iPXE write it."""
    return str(value).lower().replace('-', ':') if value else ''


# ---------------------------------------------------------------- its interfaces


def _interfaces(obj: Any, addresses: dict[int, list[Address]]) -> tuple[Interface, ...]:
    found = list(
        obj.interfaces.select_related('untagged_vlan', 'primary_mac_address').prefetch_related(
            'tagged_vlans', 'mac_addresses'
        )
    )
    names = {interface.pk: interface.name for interface in found}
    members: dict[int, list[str]] = {}
    for interface in found:
        if lag := getattr(interface, 'lag_id', None):
            members.setdefault(lag, []).append(interface.name)
    called = dict(zip(names, naming.os_names(names.values()), strict=True))
    return tuple(
        Interface(
            name=interface.name,
            os_name=called[interface.pk],
            type=getattr(interface, 'type', None) or 'virtual',
            label=getattr(interface, 'label', '') or '',
            description=interface.description,
            enabled=interface.enabled,
            mac=_interface_mac(interface),
            mtu=interface.mtu,
            mgmt_only=getattr(interface, 'mgmt_only', False),
            lag=names.get(getattr(interface, 'lag_id', None) or 0, ''),
            members=tuple(members.get(interface.pk, ())),
            parent=names.get(interface.parent_id or 0, ''),
            bridge=names.get(interface.bridge_id or 0, ''),
            mode=interface.mode or '',
            untagged_vlan=_vlan(interface.untagged_vlan) if interface.untagged_vlan else None,
            tagged_vlans=tuple(
                sorted((_vlan(vlan) for vlan in interface.tagged_vlans.all()), key=lambda vlan: (vlan.vid, vlan.name))
            ),
            addresses=tuple(addresses.get(interface.pk, ())),
        )
        for interface in found
    )


def _interface_mac(interface: Any) -> str:
    if interface.primary_mac_address is not None:
        return _mac(interface.primary_mac_address.mac_address)
    # One that nobody marked as primary is still the one it has.
    macs = [mac.mac_address for mac in interface.mac_addresses.all()]
    return _mac(macs[0]) if len(macs) == 1 else ''


def _vlan(vlan: Any) -> VLAN:
    return VLAN(vid=vlan.vid, name=vlan.name)


def _addresses(obj: Any) -> dict[int, list[Address]]:
    """The IP addresses of all interfaces, by interface, in NetBox's order."""
    from ipam.models import IPAddress

    model = obj.interfaces.model
    rows = list(
        IPAddress.objects.filter(
            assigned_object_type=ContentType.objects.get_for_model(model),
            assigned_object_id__in=obj.interfaces.values('pk'),
        ).select_related('vrf')
    )
    subnets = _subnets(rows)
    primary = {obj.primary_ip4_id, obj.primary_ip6_id}
    found: dict[int, list[Address]] = {}
    for row in rows:
        found.setdefault(row.assigned_object_id, []).append(_address(row, subnets, row.pk in primary))
    return found


def _address(row: Any, subnets: list[Row], primary: bool) -> Address:
    interface = ip_interface(str(row.address))
    chain = [
        subnet for subnet in subnets if subnet.vrf_id == row.vrf_id and interface.ip in subnet.network
    ]  # nearest first
    values = resolve_chain(chain).values if chain else {}
    return Address(
        address=str(interface),
        ip=str(interface.ip),
        family=interface.version,
        prefix_length=interface.network.prefixlen,
        network=str(interface.network),
        netmask=str(interface.netmask),
        broadcast=str(interface.network.broadcast_address) if interface.version == 4 else '',
        gateway=str(values.get('gateway') or ''),
        name_servers=tuple(map(str, values.get('name_servers', ()))),
        ntp_servers=tuple(map(str, values.get('ntp_servers', ()))),
        domain=values.get('domain') or '',
        dns_name=row.dns_name,
        assignment=row.status if row.status in ('dhcp', 'slaac') else 'static',
        primary=primary,
        vrf=row.vrf.name if row.vrf else '',
    )


def _subnets(rows: list[Any]) -> list[Row]:
    """Every subnet that one of the addresses lies in, the smallest first, in one query."""
    from ..models import Subnet

    if not rows:
        return []
    wanted = Q()
    for row in rows:
        wanted |= Q(prefix__vrf_id=row.vrf_id, prefix__prefix__net_contains_or_equals=str(row.address.ip))
    found = [
        Row(
            id=subnet.pk,
            network=network(str(subnet.prefix.prefix)),
            vrf_id=subnet.prefix.vrf_id,
            gateway=subnet.gateway,
            name_servers=tuple(subnet.name_servers),
            ntp_servers=tuple(subnet.ntp_servers),
            domain=subnet.domain,
        )
        for subnet in Subnet.objects.filter(wanted).select_related('prefix')
    ]
    return sorted(found, key=lambda subnet: (-subnet.network.prefixlen, subnet.id))


def _network(machine: Any, interfaces: tuple[Interface, ...]) -> Network:
    primary = [(interface, address) for interface in interfaces for address in interface.addresses if address.primary]
    ip4 = next((address for _, address in primary if address.family == 4), None)
    ip6 = next((address for _, address in primary if address.family == 6), None)
    main = ip4 or ip6
    boot_mac = _mac(machine.boot_mac)
    boot = next((interface for interface in interfaces if boot_mac and interface.mac == boot_mac), None)
    if boot is None and main is not None:
        boot = next(interface for interface, address in primary if address is main)
    if boot is None:
        boot = next(
            (interface for interface in interfaces if interface.enabled and interface.mac and not interface.mgmt_only),
            None,
        )
    return Network(
        interface=boot.name if boot is not None else '',
        ip4=ip4,
        ip6=ip6,
        gateway=main.gateway if main else '',
        name_servers=main.name_servers if main else (),
        ntp_servers=main.ntp_servers if main else (),
        domain=main.domain if main else '',
    )


# ---------------------------------------------------------------- its disks


def _disks(machine: Any) -> tuple[Disk, ...]:
    """What the newest facts that tell of disks say, in one query."""
    if machine.pk is None:
        return ()
    newest = machine.fact_sets.filter(data__has_key='disks').order_by('-collected', '-pk')
    reported = newest.values_list('data__disks', flat=True).first()
    found = facts.read({'disks': reported or []}).facts.disks
    return tuple(
        Disk(
            name=disk.name or '', device=_device(disk), size_bytes=disk.size_bytes or 0, vendor=disk.vendor or '',
            model=disk.model or '', serial=disk.serial or '', wwn=disk.wwn or '', transport=disk.transport or '',
            rotational=disk.rotational,
        )
        for disk in found
        if disk.name and not disk.removable
    )  # fmt: skip


def _device(disk: facts.Disk) -> str:
    """The name by which another kernel finds a disk too: that of its WWN or EUI first, for it has no odd letters."""
    names = sorted(
        (f'/dev/disk/by-id/{path.rpartition("/")[2]}' for path in disk.by_id),
        key=lambda path: (not re.search(r'/(wwn-|nvme-eui|nvme-uuid|scsi-3)', path), len(path), path),
    )
    usable = [name for name in names if re.fullmatch(r'/dev/disk/by-id/[A-Za-z0-9._:+-]+', name)]
    return usable[0] if usable else f'/dev/{disk.name}'


# ---------------------------------------------------------------- what it is to become


def _profile(chain: list[Any]) -> Profile:
    layout: dict[str, Any] = parameters_.merge(
        (parameters_.Source('profile', each.name), each.disk_layout) for each in reversed(chain)
    ).values
    return Profile(
        name=chain[0].name,
        slug=chain[0].slug,
        chain=tuple(each.name for each in chain),
        handoff=next((each.handoff for each in chain if each.handoff), 'none'),
        built_status=next((each.built_status for each in chain if each.built_status), ''),
        disk_layout=layout,
    )


def _boot_image(image: Any) -> BootImage | None:
    if image is None:
        return None
    return BootImage(
        name=image.name,
        platform=_named(image.platform),
        architecture=image.architecture,
        method=image.method,
        arguments=image.arguments,
        kernel=_file(image.kernel_url, image.kernel_sha256) if image.kernel_url else None,
        initrds=tuple(_file(entry['source'], entry.get('sha256')) for entry in image.initrds),
        disk_image=_file(image.disk_image_url, image.disk_image_sha256) if image.disk_image_url else None,
    )


def _file(url: str, sha256: str | None) -> File:
    return File(name=naming.file_name(url), path=naming.file_path(url, sha256), sha256=sha256 or '')
