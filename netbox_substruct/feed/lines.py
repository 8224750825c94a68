"""Rows of `queries` become lines of the feed.  Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from .. import boot
from ..context import naming
from . import messages as m
from .queries import Row
from .subnets import Resolved


def boot_image_line(row: Row) -> m.BootImage:
    image_id, name, architecture, method, kernel, kernel_sha, initrds, disk, disk_sha = row

    def files() -> Iterator[m.BootFile]:
        if kernel:
            yield _boot_file('kernel', kernel, kernel_sha)
        for entry in json.loads(initrds):
            yield _boot_file('initrd', entry['source'], entry.get('sha256'))
        if disk:
            yield _boot_file('disk', disk, disk_sha)

    return m.BootImage(id=image_id, name=name, architecture=architecture, method=method, files=list(files()))


def _boot_file(role: Literal['kernel', 'initrd', 'disk'], url: str, sha256: str | None) -> m.BootFile:
    return m.BootFile(role=role, url=url, sha256=sha256 or None, path=naming.file_path(url, sha256))


def subnet_line(subnet: Resolved) -> m.Subnet:
    row = subnet.row
    return m.Subnet(
        id=row.id, prefix=str(row.network), vrf=row.vrf, vlan=row.vlan, site=row.site, gateway=subnet.gateway,
        name_servers=list(subnet.name_servers), ntp_servers=list(subnet.ntp_servers), domain=subnet.domain,
        lease_range=subnet.lease_range, lease_time=subnet.lease_time, dhcp_options=dict(subnet.dhcp_options),
        dhcp_enabled=subnet.dhcp_enabled, discovery_enabled=subnet.discovery_enabled,
    )  # fmt: skip


def machine_line(
    row: Row, interfaces: list[Row], macs: list[Row], tagged: list[Row], addresses: list[Row],
    places: list[int | None], subnets: Mapping[int, Resolved],
) -> m.Machine:  # fmt: skip
    (
        key, device, virtual, name, state, uuid, serial, architecture, firmware, boot_mac, local_boot, next_boot,
        _pinned, _site_id, site, build_id, build_state, profile, image, token, artifacts, protocol, bmc_address,
        bmc_port, credential, primary4, primary6,
    ) = row  # fmt: skip
    decision = boot.decide(boot.Subject(state, next_boot, firmware, local_boot, build_id, build_state))
    build = None
    if build_id is not None:
        build = m.Build(
            id=build_id, state=build_state, profile=profile, boot_image=image, token=token or '',
            artifacts=[
                m.Artifact(id=a[0], kind=a[1], name=a[2], sha256=a[3])
                for a in (json.loads(artifacts) if artifacts else ())
            ],
        )  # fmt: skip
    held: dict[int, list[m.Address]] = {}
    for (_, interface, address_id, address, dns_name, _vrf_id, vrf), place in zip(addresses, places, strict=True):
        held.setdefault(interface, []).append(
            m.Address(
                address=address,
                dns_name=dns_name or None,
                vrf=vrf,
                subnet=place,
                primary=address_id in (primary4, primary6),
            )
        )
    ranked = sorted(
        (
            (a[2] not in (primary4, primary6), a[2] != primary4, a[4], place)
            for a, place in zip(addresses, places, strict=True)
        ),
        key=lambda entry: entry[:2],
    )
    known = name or serial or boot_mac or f'machine-{key}'
    hostname, fqdn, _domain = naming.names_of(
        known,
        [dns_name for _, _, dns_name, _ in ranked if dns_name],
        [subnets[place].domain or '' for _, _, _, place in ranked if place is not None],
        f'machine-{key}',
    )
    hardware: dict[int, list[Row]] = {}
    for mac in macs:
        hardware.setdefault(mac[1], []).append(mac)
    vlans: dict[int, list[int]] = {}
    for _, interface, vid in tagged:
        vlans.setdefault(interface, []).append(vid)
    return m.Machine(
        id=key,
        name=known,
        hostname=hostname,
        fqdn=fqdn,
        device=device,
        virtual_machine=virtual,
        site=site,
        state=state,
        uuid=uuid,
        serial=serial,
        architecture=architecture,
        firmware=firmware or None,
        boot_mac=boot_mac,
        boot=m.Boot(action=decision.action, reason=decision.reason, local_method=decision.local_method or None),
        build=build,
        bmc=m.Bmc(protocol=protocol, address=bmc_address, port=bmc_port, credential=credential) if protocol else None,
        interfaces=[
            m.Interface(
                id=i[1],
                name=i[2],
                type=i[3],
                enabled=i[4],
                mgmt_only=i[5],
                mtu=i[6],
                macs=_primary_first(hardware.get(i[1], ()), i[7]),
                lag=i[8],
                parent=i[9],
                bridge=i[10],
                mode=i[11] or None,
                untagged_vlan=i[12],
                tagged_vlans=vlans.get(i[1], []),
                addresses=held.get(i[1], []),
                **dict(zip(m.DHCP_FIELDS, i[13:], strict=True)),
            )
            for i in interfaces
        ],
    )


def _primary_first(macs: Iterable[Row], primary: int | None) -> list[str]:
    return [mac for _, _, mac_id, mac in sorted(macs, key=lambda row: row[2] != primary)]
