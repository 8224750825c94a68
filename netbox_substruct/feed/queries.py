"""The SQL that reads desired state, and the rows that it gives.

Every query reads either all there is or the objects with given ids (`only`), with the same columns.  Text is asked for
where the driver would make objects: the feed is text in the end.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections

from ..lifecycle.states import BUILD_ACTIVE, BUILD_OPEN, TASK_OPEN
from . import subnets
from .messages import DHCP_FIELDS

type Row = tuple[Any, ...]

# Rows fetched at once from a server-side cursor.
FETCH = 2000

_IN_BUILD = ', '.join(f"'{state}'" for state in sorted(BUILD_ACTIVE))
_MAYBE_BUILD = ', '.join(f"'{state}'" for state in sorted(BUILD_OPEN - BUILD_ACTIVE))
_IN_TASK = ', '.join(f"'{state}'" for state in sorted(TASK_OPEN))


def _content_type(app_label: str, model: str) -> str:
    return f"(SELECT id FROM django_content_type WHERE app_label = '{app_label}' AND model = '{model}')"


INTERFACE_TYPE = _content_type('dcim', 'interface')
VMINTERFACE_TYPE = _content_type('virtualization', 'vminterface')


def _by_interface(columns: str, joins: str) -> str:
    """A query over the interfaces of machines, be they devices or virtual machines, in the order of machines."""
    parts = []
    for parent, table, key, owner, kind in (
        ('device_id', 'dcim_interface', 'interface_id', 'device_id', INTERFACE_TYPE),
        ('virtual_machine_id', 'virtualization_vminterface', 'vminterface_id', 'virtual_machine_id', VMINTERFACE_TYPE),
    ):
        names = {'table': table, 'key': key, 'kind': kind}
        of_device = owner == 'device_id'
        names |= {
            'type': 'i.type' if of_device else "'virtual'",
            'mgmt_only': 'i.mgmt_only' if of_device else 'false',
            'lag_id': 'i.lag_id' if of_device else 'NULL::bigint',
        }
        parts.append(
            f'SELECT m.id, i.id, {columns.format(**names)} FROM netbox_substruct_machine m '
            f'JOIN {table} i ON i.{owner} = m.{parent} {joins.format(**names)} WHERE {{only}}'
        )
    return ' UNION ALL '.join(parts)


MACHINES = f"""
SELECT m.id, m.device_id, m.virtual_machine_id, coalesce(d.name, v.name, nullif(m.discovered_name, '')),
    m.state, m.uuid::text, coalesce(nullif(m.serial, ''), nullif(d.serial, ''), nullif(v.serial, '')), m.architecture,
    m.firmware, m.boot_mac::text, m.local_boot, m.next_boot, m.boot_server_id, s.id, s.slug,
    b.id, b.state, p.name, (b.request->>'boot_image')::bigint, t.token,
    CASE WHEN b.id IS NOT NULL THEN (
        SELECT json_agg(json_build_array(a.id, a.kind, a.name, a.sha256) ORDER BY a.kind)::text
        FROM netbox_substruct_buildartifact a WHERE a.build_id = b.id) END,
    c.protocol, coalesce(host(c.address), host(o.address)), c.port, c.credential,
    coalesce(d.primary_ip4_id, v.primary_ip4_id), coalesce(d.primary_ip6_id, v.primary_ip6_id)
FROM netbox_substruct_machine m
LEFT JOIN dcim_device d ON d.id = m.device_id
LEFT JOIN virtualization_virtualmachine v ON v.id = m.virtual_machine_id
LEFT JOIN dcim_site s ON s.id = coalesce(d.site_id, v.site_id)
LEFT JOIN netbox_substruct_build b ON b.machine_id = m.id AND (b.state IN ({_IN_BUILD}) OR b.state IN ({_MAYBE_BUILD})
    AND NOT EXISTS (SELECT FROM netbox_substruct_build y WHERE y.machine_id = b.machine_id AND y.id > b.id))
LEFT JOIN netbox_substruct_buildtoken t ON t.build_id = b.id
LEFT JOIN netbox_substruct_profile p ON p.id = b.profile_id
LEFT JOIN netbox_substruct_bmc c ON c.machine_id = m.id
LEFT JOIN ipam_ipaddress o ON o.id = d.oob_ip_id
WHERE {{only}} ORDER BY m.id
"""

INTERFACES = (
    _by_interface(
        'i.name, {type}, i.enabled, {mgmt_only}, i.mtu, i.primary_mac_address_id, {lag_id}, i.parent_id, '
        'i.bridge_id, i.mode, u.vid, '
        + ', '.join(f"nullif(btrim(i.custom_field_data->>'{name}'), '')" for name in DHCP_FIELDS),
        'LEFT JOIN ipam_vlan u ON u.id = i.untagged_vlan_id',
    )
    + ' ORDER BY 1, 2'
)

MACS = (
    _by_interface(
        'x.id, x.mac_address::text',
        'JOIN dcim_macaddress x ON x.assigned_object_id = i.id AND x.assigned_object_type_id = {kind}',
    )
    + ' ORDER BY 1, 2, 3'
)

ADDRESSES = (
    _by_interface(
        'x.id, x.address::text, x.dns_name, x.vrf_id, f.name',
        'JOIN ipam_ipaddress x ON x.assigned_object_id = i.id AND x.assigned_object_type_id = {kind} '
        'LEFT JOIN ipam_vrf f ON f.id = x.vrf_id',
    )
    + ' ORDER BY 1, 2, 3'
)

TAGGED_VLANS = (
    _by_interface(
        'x.vid',
        'JOIN {table}_tagged_vlans l ON l.{key} = i.id JOIN ipam_vlan x ON x.id = l.vlan_id',
    )
    + ' ORDER BY 1, 2, 3'
)

SUBNETS = """
SELECT n.id, p.prefix::text, p.vrf_id, f.name, l.vid, s.id, s.slug, n.boot_server_id, host(n.gateway),
    n.name_servers::text[], n.ntp_servers::text[], n.domain, host(r.start_address), host(r.end_address),
    n.lease_time, n.dhcp_options::text, n.dhcp_enabled, n.discovery_enabled
FROM netbox_substruct_subnet n
JOIN ipam_prefix p ON p.id = n.prefix_id
LEFT JOIN ipam_vrf f ON f.id = p.vrf_id
LEFT JOIN ipam_vlan l ON l.id = p.vlan_id
LEFT JOIN dcim_site s ON s.id = p._site_id
LEFT JOIN ipam_iprange r ON r.id = n.lease_range_id
WHERE {only}
"""

RECORDS = "SELECT x.id, x.dns_name, host(x.address) FROM ipam_ipaddress x WHERE x.dns_name <> '' AND {only}"

ZONES = """
SELECT z.id, z.name, z.boot_server_id, z.update_method, z.server, z.credential, z.name_servers::text[], z.ttl,
    z.soa_mname, z.soa_rname, z.soa_refresh, z.soa_retry, z.soa_expire, z.soa_minimum
FROM netbox_substruct_zone z ORDER BY z.id
"""

BOOT_IMAGES = """
SELECT g.id, g.name, g.architecture, g.method, g.kernel_url, g.kernel_sha256, g.initrds::text, g.disk_image_url,
    g.disk_image_sha256
FROM netbox_substruct_bootimage g WHERE {only} ORDER BY g.id
"""

TASKS = f"""
SELECT k.id, k.kind, k.state, k.machine_id, k.build_id, k.parameters::text, k.not_before, k.attempts
FROM netbox_substruct_task k WHERE k.boot_server_id = %s AND k.state IN ({_IN_TASK}) AND {{only}} ORDER BY k.id
"""


def all_of(sql: str) -> str:
    return sql.replace('{only}', 'TRUE')


def only(sql: str, condition: str) -> str:
    return sql.replace('{only}', condition)


@contextmanager
def stream(connection: Any, sql: str, params: Sequence[Any] = ()) -> Iterator[Iterator[Row]]:
    """The rows of a query through a server-side cursor: memory does not grow with their number."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params or None)

        def rows() -> Iterator[Row]:
            while batch := cursor.fetchmany(FETCH):
                yield from batch

        yield rows()


def fetch(cursor: Any, sql: str, params: Sequence[Any] = ()) -> list[Row]:
    cursor.execute(sql, params or None)
    rows: list[Row] = cursor.fetchall()
    return rows


def subnet_rows(cursor: Any, condition: str = 'TRUE', params: Sequence[Any] = ()) -> list[subnets.Row]:
    return [
        subnets.Row(
            id=r[0], network=subnets.network(r[1]), vrf_id=r[2], vrf=r[3], vlan=r[4], site_id=r[5], site=r[6],
            boot_server_id=r[7], gateway=r[8], name_servers=tuple(map(_plain, r[9] or ())),
            ntp_servers=tuple(map(_plain, r[10] or ())), domain=r[11], lease_range=(r[12], r[13]) if r[12] else None,
            lease_time=r[14], dhcp_options=json.loads(r[15]), dhcp_enabled=r[16], discovery_enabled=r[17],
        )
        for r in fetch(cursor, only(SUBNETS, condition), params)
    ]  # fmt: skip


def _plain(address: str) -> str:
    """An inet as text without the prefix length of a single host."""
    return address.removesuffix('/32').removesuffix('/128')


class Groups:
    """Rows in the order of their first column, taken group by group."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._next: Row | None = next(self._rows, None)

    def take(self, key: int) -> list[Row]:
        """The rows of `key`.  Keys have to be asked for in rising order; what is passed over is dropped."""
        row = self._next
        while row is not None and row[0] < key:
            row = next(self._rows, None)
        found = []
        while row is not None and row[0] == key:
            found.append(row)
            row = next(self._rows, None)
        self._next = row
        return found


def effective(subnet: Any) -> subnets.Resolved:
    """One Subnet with what it inherits, for a page or a check (one query)."""
    with connections['default'].cursor() as cursor:
        rows = subnet_rows(
            cursor,
            'p.id IN (SELECT y.id FROM ipam_prefix y JOIN ipam_prefix x ON x.id = %s '
            'AND y.prefix >>= x.prefix AND y.vrf_id IS NOT DISTINCT FROM x.vrf_id)',
            [subnet.prefix_id],
        )
    chain = sorted(rows, key=lambda row: (row.id != subnet.pk, -row.network.prefixlen))
    return subnets.resolve_chain(chain)
