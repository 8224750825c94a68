"""Rows of `queries` become lines of the feed.  Pure."""

import json
from collections.abc import Iterable

from .. import boot
from . import messages as m
from .queries import Row
from .subnets import Resolved


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
    places: list[int | None],
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
    hardware: dict[int, list[Row]] = {}
    for mac in macs:
        hardware.setdefault(mac[1], []).append(mac)
    vlans: dict[int, list[int]] = {}
    for _, interface, vid in tagged:
        vlans.setdefault(interface, []).append(vid)
    return m.Machine(
        id=key,
        name=name or serial or boot_mac or f'machine-{key}',
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
            )
            for i in interfaces
        ],
    )


def _primary_first(macs: Iterable[Row], primary: int | None) -> list[str]:
    return [mac for _, _, mac_id, mac in sorted(macs, key=lambda row: row[2] != primary)]
