"""What has changed since a cursor, and what else that may have changed."""

from collections.abc import Callable, Collection
from typing import Any

from . import dns
from . import queries as q
from .changes import EVERYTHING, LOG
from .cursor import Cursor, CursorError
from .scope import reverse_network
from .subnets import Row

# A delta that would touch more objects than this is slower than a snapshot.
DELTA_LIMIT = 50_000


class Touched:
    """The log since a cursor, widened to the objects whose lines it may change.

    What is widened: an interface to its machine; a VLAN to the interfaces and prefixes that have it; a site to what
    stands there; a prefix to the subnets below it (they inherit) and to the machines with addresses in it (they may
    have changed hands); a zone to the names in it, also where it is one of netbox_dns.
    """

    def __init__(self, fetch: Callable[..., list[q.Row]], cursor: Any, after: Cursor) -> None:
        self._fetch = fetch
        self._cursor = cursor
        ids: dict[str, set[int]] = {}
        details: dict[str, set[str]] = {}
        for kind, changed, texts in fetch(
            f'SELECT kind, ids, details FROM {LOG} WHERE xid >= %s::text::xid8 '
            'AND NOT pg_visible_in_snapshot(xid, %s::text::pg_snapshot)',
            [str(after.xmin), after.snapshot],
        ):
            ids.setdefault(kind, set()).update(changed)
            details.setdefault(kind, set()).update(texts)
        if EVERYTHING in ids:
            raise CursorError('unknown', 'NetBox changed in a way that the feed could not follow. Take a snapshot.')

        self.tasks = ids.get('task', set())
        self.images = ids.get('bootimage', set())
        self.records = set(ids.get('ipaddress', ()))
        self.zones = set(ids.get('zone', ()))
        self.dns_records = ids.get('dnsrecord', set())
        names = details.get('zone', set()) | self._dns_zones(ids, details.get('dnszone', set()))
        self._zones(names)
        if names and dns.installed():
            self.dns_records |= dns.records_in(fetch, names)
        self._networks(ids, details.get('prefix', set()))
        self._machines(ids)
        if len(self.machines) + len(self.records) + len(self.dns_records) > DELTA_LIMIT:
            raise CursorError('too-many', 'So much has changed that a snapshot is quicker. Take a snapshot.')

    def _ids(self, sql: str, *params: object) -> set[int]:
        return {row[0] for row in self._fetch(sql, params)}

    def _dns_zones(self, ids: dict[str, set[int]], names: set[str]) -> set[str]:
        """The names of the zones of netbox_dns that were made, changed or removed; ours of these names are touched."""
        if not dns.installed():
            return set()
        changed = ids.get('dnszone', set())
        if servers := ids.get('dnsnameserver'):
            changed = changed | dns.zones_served_by(self._fetch, servers)
        found = {name.lower().rstrip('.') for name in names | dns.zones_named(self._fetch, changed)}
        if found:
            self.zones |= self._ids('SELECT id FROM netbox_substruct_zone WHERE name = ANY(%s)', list(found))
        return found

    def _zones(self, names: set[str]) -> None:
        """The names and addresses in the zones that were made, changed or removed."""
        for name in names:
            if (reverse := reverse_network(name)) is not None:
                self.records |= self._ids(
                    "SELECT id FROM ipam_ipaddress WHERE dns_name <> '' AND host(address)::inet <<= %s::cidr",
                    str(reverse),
                )
            else:
                self.records |= self._ids(
                    'SELECT id FROM ipam_ipaddress WHERE lower(dns_name) = %s OR right(lower(dns_name), %s) = %s',
                    name, len(name) + 1, f'.{name}',
                )  # fmt: skip

    def _networks(self, ids: dict[str, set[int]], texts: set[str]) -> None:
        """The networks whose subnets may have changed, and the subnets in and below them."""
        prefixes = set(ids.get('prefix', ()))
        if vlans := ids.get('vlan'):
            prefixes |= self._ids('SELECT id FROM ipam_prefix WHERE vlan_id = ANY(%s)', list(vlans))
        if ranges := ids.get('iprange'):
            prefixes |= self._ids(
                'SELECT prefix_id FROM netbox_substruct_subnet WHERE lease_range_id = ANY(%s)', list(ranges)
            )
        if sites := ids.get('site'):
            prefixes |= self._ids(
                'SELECT p.id FROM ipam_prefix p JOIN netbox_substruct_subnet n ON n.prefix_id = p.id '
                'WHERE p._site_id = ANY(%s)',
                list(sites),
            )
        found = self._fetch('SELECT prefix::text FROM ipam_prefix WHERE id = ANY(%s)', [list(prefixes)])
        self.networks = sorted(texts | {row[0] for row in found})
        self.subnets = set(ids.get('subnet', ()))
        if self.networks:
            self.subnets |= self._ids(
                'SELECT n.id FROM unnest(%s::cidr[]) AS w JOIN ipam_prefix p ON p.prefix <<= w '
                'JOIN netbox_substruct_subnet n ON n.prefix_id = p.id',
                self.networks,
            )

    def _machines(self, ids: dict[str, set[int]]) -> None:
        """The machines that may have changed or changed hands, and the subnets that their lines need."""
        devices = set(ids.get('device', ()))
        virtual = set(ids.get('virtualmachine', ()))
        for kind, table, owner, into in (
            ('interface', 'dcim_interface', 'device_id', devices),
            ('vminterface', 'virtualization_vminterface', 'virtual_machine_id', virtual),
        ):
            if changed := ids.get(kind):
                into |= self._ids(f'SELECT {owner} FROM {table} WHERE id = ANY(%s)', list(changed))
            if vlans := ids.get('vlan'):
                into |= self._ids(
                    f'SELECT {owner} FROM {table} WHERE untagged_vlan_id = ANY(%s) UNION SELECT i.{owner} '
                    f'FROM {table}_tagged_vlans l JOIN {table} i ON i.id = l.{kind}_id WHERE l.vlan_id = ANY(%s)',
                    list(vlans), list(vlans),
                )  # fmt: skip
        self.machines = set(ids.get('machine', ()))
        if self.networks:
            self.machines |= self._ids(
                f"""
                WITH held AS (
                    SELECT a.assigned_object_type_id AS kind, a.assigned_object_id AS id
                    FROM unnest(%s::cidr[]) AS w JOIN ipam_ipaddress a ON a.address <<= w
                    WHERE a.assigned_object_id IS NOT NULL
                )
                SELECT m.id FROM held JOIN dcim_interface i ON i.id = held.id AND held.kind = {q.INTERFACE_TYPE}
                JOIN netbox_substruct_machine m ON m.device_id = i.device_id
                UNION
                SELECT m.id FROM held JOIN virtualization_vminterface i
                ON i.id = held.id AND held.kind = {q.VMINTERFACE_TYPE}
                JOIN netbox_substruct_machine m ON m.virtual_machine_id = i.virtual_machine_id
                """,
                self.networks,
            )
        if sites := ids.get('site'):
            devices |= self._ids(
                'SELECT d.id FROM dcim_device d JOIN netbox_substruct_machine m ON m.device_id = d.id '
                'WHERE d.site_id = ANY(%s)',
                list(sites),
            )
            virtual |= self._ids(
                'SELECT v.id FROM virtualization_virtualmachine v '
                'JOIN netbox_substruct_machine m ON m.virtual_machine_id = v.id WHERE v.site_id = ANY(%s)',
                list(sites),
            )
        if devices or virtual:
            self.machines |= self._ids(
                'SELECT id FROM netbox_substruct_machine WHERE device_id = ANY(%s) '
                'UNION SELECT id FROM netbox_substruct_machine WHERE virtual_machine_id = ANY(%s)',
                list(devices), list(virtual),
            )  # fmt: skip
        self.subnet_rows = rows_above(self._fetch, self._cursor, self.subnets, self.machines)


def rows_above(
    fetch: Callable[..., list[q.Row]], cursor: Any, subnet_ids: Collection[int], machine_ids: Collection[int]
) -> list[Row]:
    """These subnets and those that hold an address of these machines, with all those above them."""
    if not subnet_ids and not machine_ids:
        return []
    targets = fetch(
        'SELECT DISTINCT p.prefix::text FROM netbox_substruct_subnet n JOIN ipam_prefix p ON p.id = n.prefix_id '
        'WHERE n.id = ANY(%s)',
        [list(subnet_ids)],
    )
    if machine_ids:
        targets += fetch(
            f"""
            SELECT DISTINCT host(a.address) FROM netbox_substruct_machine m
            JOIN dcim_interface i ON i.device_id = m.device_id
            JOIN ipam_ipaddress a ON a.assigned_object_id = i.id AND a.assigned_object_type_id = {q.INTERFACE_TYPE}
            WHERE m.id = ANY(%s)
            UNION
            SELECT DISTINCT host(a.address) FROM netbox_substruct_machine m
            JOIN virtualization_vminterface i ON i.virtual_machine_id = m.virtual_machine_id
            JOIN ipam_ipaddress a
            ON a.assigned_object_id = i.id AND a.assigned_object_type_id = {q.VMINTERFACE_TYPE}
            WHERE m.id = ANY(%s)
            """,
            [list(machine_ids), list(machine_ids)],
        )
    if not targets:
        return []
    return q.subnet_rows(
        cursor,
        'p.id IN (SELECT y.id FROM unnest(%s::inet[]) AS w JOIN ipam_prefix y ON y.prefix >>= w)',
        [[row[0] for row in targets]],
    )
