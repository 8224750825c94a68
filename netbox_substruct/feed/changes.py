"""How the feed notices changes: statement-level database triggers that write one row per statement into a log.

Triggers, because a change counts however it was made: by a page, the API, `QuerySet.update`, `bulk_create`, raw SQL, a
migration or a branch that is merged.  None of those but the first two sends Django signals reliably.

What the triggers promise to NetBox:
- They never make a statement fail.  If a column they read has gone (a newer NetBox, with the plugin disabled), they
  write that everything may have changed, and readers take a snapshot.  If their log has gone, they do nothing.
- They fall asleep by themselves.  Readers keep the log short and note that they did; when nobody has read for
  `ASLEEP_AFTER`, nothing is logged any more.  Whoever reads next gets a snapshot (`maintain`).
- A row that is updated without a change in the columns that the feed reads leaves no trace (NetBox rewrites devices for
  counters and rendered config contexts all the time).

Each log row holds the number of its transaction (xid8).  Readers compare it with the transactions that they have seen,
so that one that commits late is still seen, and one transaction is never torn in two (`cursor`).  The two tables are
made by migration 0002.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from . import dns
from .messages import DHCP_FIELDS

LOG = 'netbox_substruct_feedchange'
STATE = 'netbox_substruct_feedstate'
PREFIX = 'netbox_substruct_feed_'
RETENTION = '3 days'
ASLEEP_AFTER = '14 days'


@dataclass(frozen=True, slots=True)
class Emission:
    """What a changed row is logged as: a kind, and an SQL expression over the row `r` that gives the object's id."""

    kind: str
    expression: str
    # An SQL expression for a network or a name, kept beside the ids so that a deleted or renamed object is known.
    detail: str = 'NULL'


@dataclass(frozen=True, slots=True)
class Tracked:
    """A table that the feed reads from.  An update is logged only if one of `columns` has changed, or one of the
    `custom_fields`."""

    table: str
    columns: tuple[str, ...]
    emissions: tuple[Emission, ...]
    custom_fields: tuple[str, ...] = ()

    def compared(self, alias: str) -> str:
        """What an update is compared by."""
        custom = (f"{alias}.custom_field_data->>'{name}'" for name in self.custom_fields)
        return ', '.join((*(f'{alias}.{column}' for column in self.columns), *custom))


def _assigned(app_label: str, model: str) -> str:
    """The id of the object that a row is assigned to, if it is of the given type; else NULL."""
    return (
        '(SELECT r.assigned_object_id FROM {schema}.django_content_type c '
        f"WHERE c.id = r.assigned_object_type_id AND c.app_label = '{app_label}' AND c.model = '{model}')"
    )


_OWNERS = (
    Emission('interface', _assigned('dcim', 'interface')),
    Emission('vminterface', _assigned('virtualization', 'vminterface')),
)
_INTERFACE_COLUMNS = (
    'name', 'enabled', 'mtu', 'mode', 'parent_id', 'bridge_id', 'untagged_vlan_id', 'vrf_id', 'primary_mac_address_id',
)  # fmt: skip

TRACKED: tuple[Tracked, ...] = (
    Tracked(
        'dcim_device',
        ('name', 'serial', 'status', 'site_id', 'primary_ip4_id', 'primary_ip6_id', 'oob_ip_id'),
        (Emission('device', 'r.id'),),
    ),
    Tracked(
        'virtualization_virtualmachine',
        ('name', 'serial', 'status', 'site_id', 'primary_ip4_id', 'primary_ip6_id'),
        (Emission('virtualmachine', 'r.id'),),
    ),
    Tracked(
        'dcim_interface',
        ('device_id', 'type', 'mgmt_only', 'lag_id', *_INTERFACE_COLUMNS),
        (Emission('device', 'r.device_id'),),
        DHCP_FIELDS,
    ),
    Tracked(
        'virtualization_vminterface',
        ('virtual_machine_id', *_INTERFACE_COLUMNS),
        (Emission('virtualmachine', 'r.virtual_machine_id'),),
        DHCP_FIELDS,
    ),
    Tracked('dcim_interface_tagged_vlans', ('interface_id', 'vlan_id'), (Emission('interface', 'r.interface_id'),)),
    Tracked(
        'virtualization_vminterface_tagged_vlans',
        ('vminterface_id', 'vlan_id'),
        (Emission('vminterface', 'r.vminterface_id'),),
    ),
    Tracked('dcim_macaddress', ('mac_address', 'assigned_object_type_id', 'assigned_object_id'), _OWNERS),
    Tracked(
        'ipam_ipaddress',
        ('address', 'vrf_id', 'dns_name', 'assigned_object_type_id', 'assigned_object_id'),
        (Emission('ipaddress', 'r.id'), *_OWNERS),
    ),
    Tracked(
        'ipam_prefix',
        ('prefix', 'vrf_id', 'vlan_id', 'scope_type_id', 'scope_id', '_site_id'),
        (Emission('prefix', 'r.id', 'r.prefix::text'),),
    ),
    Tracked('ipam_iprange', ('start_address', 'end_address', 'vrf_id'), (Emission('iprange', 'r.id'),)),
    Tracked('ipam_vlan', ('vid', 'name'), (Emission('vlan', 'r.id'),)),
    Tracked(
        'netbox_substruct_bootserver',
        ('name', 'status', 'base_url'),
        (Emission('bootserver', 'r.id'),),
    ),
    Tracked('netbox_substruct_bootserver_sites', ('bootserver_id', 'site_id'), (Emission('site', 'r.site_id'),)),
    Tracked(
        'netbox_substruct_bootserver_prefixes', ('bootserver_id', 'prefix_id'), (Emission('prefix', 'r.prefix_id'),)
    ),
    Tracked(
        'netbox_substruct_subnet',
        (
            'prefix_id', 'boot_server_id', 'gateway', 'name_servers', 'ntp_servers', 'domain', 'lease_range_id',
            'lease_time', 'dhcp_options', 'dhcp_enabled', 'discovery_enabled',
        ),
        (Emission('subnet', 'r.id'), Emission('prefix', 'r.prefix_id')),
    ),
    Tracked(
        'netbox_substruct_zone',
        (
            'name', 'boot_server_id', 'update_method', 'server', 'credential', 'name_servers', 'ttl', 'soa_mname',
            'soa_rname', 'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum',
        ),
        (Emission('zone', 'r.id', 'r.name::text'),),
    ),
    Tracked(
        'netbox_substruct_bootimage',
        (
            'name', 'architecture', 'method', 'kernel_url', 'kernel_sha256', 'initrds', 'disk_image_url',
            'disk_image_sha256',
        ),
        (Emission('bootimage', 'r.id'),),
    ),
    Tracked(
        'netbox_substruct_machine',
        (
            'device_id', 'virtual_machine_id', 'discovered_name', 'uuid', 'serial', 'architecture', 'firmware',
            'boot_mac', 'boot_server_id', 'local_boot', 'state', 'next_boot',
        ),
        (Emission('machine', 'r.id'),),
    ),
    Tracked('netbox_substruct_build', ('machine_id', 'state'), (Emission('machine', 'r.machine_id'),)),
    Tracked(
        'netbox_substruct_bmc',
        ('machine_id', 'protocol', 'address', 'port', 'credential'),
        (Emission('machine', 'r.machine_id'),),
    ),
    Tracked(
        'netbox_substruct_task',
        ('boot_server_id', 'kind', 'machine_id', 'build_id', 'parameters', 'not_before', 'state', 'attempts'),
        (Emission('task', 'r.id'),),
    ),
)  # fmt: skip

# The kind of a row that says that anything may have changed.
EVERYTHING = 'everything'

# The tables of netbox_dns, where it is installed (`dns`).
OF_DNS: tuple[Tracked, ...] = (
    Tracked(
        'netbox_dns_zone',
        (
            'name', 'view_id', 'status', 'default_ttl', 'soa_mname_id', 'soa_rname', 'soa_refresh', 'soa_retry',
            'soa_expire', 'soa_minimum',
        ),
        (Emission('dnszone', 'r.id', 'r.name::text'),),
    ),
    Tracked('netbox_dns_zone_nameservers', ('zone_id', 'nameserver_id'), (Emission('dnszone', 'r.zone_id'),)),
    Tracked('netbox_dns_nameserver', ('name',), (Emission('dnsnameserver', 'r.id'),)),
    Tracked(
        'netbox_dns_record',
        ('zone_id', 'name', 'fqdn', 'type', 'value', 'ttl', 'status', 'managed'),
        (Emission('dnsrecord', 'r.id'),),
    ),
    # Another default view may change which of several zones counts.
    Tracked('netbox_dns_view', ('default_view',), (Emission(EVERYTHING, 'r.id'),)),
)  # fmt: skip


def tracked(cursor: Any) -> tuple[Tracked, ...]:
    """The tables that there are to be watched."""
    if not dns.installed():
        return TRACKED
    # Its tables may not be there yet: it is installed, and its migrations come after ours.
    cursor.execute(
        'SELECT count(*) FROM unnest(%s::text[]) AS t WHERE to_regclass(t) IS NOT NULL', [[t.table for t in OF_DNS]]
    )
    return (*TRACKED, *OF_DNS) if cursor.fetchone()[0] == len(OF_DNS) else TRACKED


@cache
def fingerprint(tables: tuple[Tracked, ...]) -> str:
    """Changes when the triggers have to be made anew."""
    return hashlib.sha256(''.join(_function_sql(t, 'S') + _trigger_sql(t, 'S') for t in tables).encode()).hexdigest()


def install(cursor: Any, force: bool = False) -> bool:
    """Make the triggers, unless they are there as they should be.  Readers then have to take a snapshot.

    Returns whether anything was done.  Tables are taken in the schema in which the log stands.
    """
    cursor.execute('SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace '
                   'WHERE c.oid = to_regclass(%s)', [STATE])  # fmt: skip
    row = cursor.fetchone()
    if row is None:
        return False
    schema = '"' + row[0].replace('"', '""') + '"'
    tables = tracked(cursor)
    wanted = fingerprint(tables)
    cursor.execute(f'SELECT triggers FROM {schema}.{STATE} FOR UPDATE')
    if cursor.fetchone()[0] == wanted and not force:
        return False
    uninstall(cursor)
    for table in tables:
        cursor.execute(_function_sql(table, schema))
        cursor.execute(_trigger_sql(table, schema))
    cursor.execute(
        f'UPDATE {schema}.{STATE} SET triggers = %s, generation = gen_random_uuid(), maintained = now()', [wanted]
    )
    return True


def uninstall(cursor: Any) -> None:
    """Remove every trigger and function of the feed, also those of older versions."""
    cursor.execute(
        "SELECT format('DROP FUNCTION IF EXISTS %%I.%%I() CASCADE', n.nspname, p.proname) FROM pg_proc p "
        'JOIN pg_namespace n ON n.oid = p.pronamespace WHERE starts_with(p.proname, %s)',
        [PREFIX],
    )
    for (statement,) in cursor.fetchall():
        cursor.execute(statement)


def maintain(cursor: Any) -> None:
    """Shorten the log to `RETENTION` and note that somebody still cares.

    If nobody has for so long that the triggers fell asleep, a new generation begins: every reader takes a snapshot.
    Call it in a transaction; one caller at a time does the work, others pass.
    """
    cursor.execute(
        f"SELECT maintained < now() - interval '{ASLEEP_AFTER}' FROM {STATE} "
        "WHERE maintained < now() - interval '1 hour' FOR UPDATE SKIP LOCKED"
    )
    row = cursor.fetchone()
    if row is None:
        return
    if row[0]:
        # Writers that found the triggers asleep hold a lock on the state until they end; what they wrote has to be
        # visible before the new generation begins.
        cursor.execute(f'LOCK TABLE {STATE} IN ACCESS EXCLUSIVE MODE')
    cursor.execute(
        f"""
        WITH gone AS (DELETE FROM {LOG} WHERE at < now() - interval '{RETENTION}' RETURNING xid),
             last AS (SELECT max(xid::text::numeric) AS xid FROM gone)
        UPDATE {STATE} SET
            maintained = now(),
            generation = CASE WHEN %s THEN gen_random_uuid() ELSE generation END,
            horizon = CASE
                WHEN last.xid IS NULL OR last.xid < horizon::text::numeric THEN horizon
                ELSE (last.xid + 1)::text::xid8
            END
        FROM last
        """,
        [row[0]],
    )


def reset(cursor: Any) -> None:
    """Begin a new generation: every reader takes a snapshot at its next request."""
    cursor.execute(f'UPDATE {STATE} SET generation = gen_random_uuid(), maintained = now()')


def _function_sql(tracked: Tracked, schema: str) -> str:
    columns = ('id', *tracked.columns)
    names = [f'ids_{number}' for number, _ in enumerate(tracked.emissions)]
    declared = ' '.join(f"ids_{n} bigint[]; details_{n} text[] := '{{}}';" for n, _ in enumerate(tracked.emissions))
    picked, targets = [], []
    for number, emission in enumerate(tracked.emissions):
        picked.append(f'array_agg(DISTINCT e.id_{number}) FILTER (WHERE e.id_{number} IS NOT NULL)')
        targets.append(f'ids_{number}')
        if emission.detail != 'NULL':
            picked.append(f'array_agg(DISTINCT e.detail_{number}) FILTER (WHERE e.detail_{number} IS NOT NULL)')
            targets.append(f'details_{number}')
    expressions = ', '.join(
        f'{emission.expression.format(schema=schema)} AS id_{number}'
        + (f', {emission.detail} AS detail_{number}' if emission.detail != 'NULL' else '')
        for number, emission in enumerate(tracked.emissions)
    )

    def select(rows: str) -> str:
        return (
            f'SELECT {", ".join(picked)} INTO {", ".join(targets)} '
            f'FROM (SELECT {expressions} FROM ({rows}) r) e;'
        )  # fmt: skip

    of = {alias: ', '.join(f'{alias}.{column}' for column in columns) for alias in ('o', 'n')}
    differs = f'({tracked.compared("o")}) IS DISTINCT FROM ({tracked.compared("n")})'
    join = f'FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE {differs}'
    plain = ', '.join(columns)
    inserts = '\n    '.join(
        f'IF {name} IS NOT NULL THEN INSERT INTO {schema}.{LOG} (kind, ids, details) '
        f"VALUES ('{emission.kind}', {name}, coalesce(details_{number}, '{{}}')); END IF;"
        for number, (name, emission) in enumerate(zip(names, tracked.emissions, strict=True))
    )
    return f"""
CREATE FUNCTION {schema}.{PREFIX}{tracked.table}() RETURNS trigger LANGUAGE plpgsql AS $feed$
DECLARE
    {declared}
    awake boolean := false;
BEGIN
    IF to_regclass('{schema}.{LOG}') IS NULL OR to_regclass('{schema}.{STATE}') IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT maintained > now() - interval '{ASLEEP_AFTER}' INTO awake FROM {schema}.{STATE};
    IF awake IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    -- Only reading is done inside the block, so that no subtransaction gets a number of its own.
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {select(f'SELECT {plain} FROM new_rows')}
        ELSIF TG_OP = 'DELETE' THEN
            {select(f'SELECT {plain} FROM old_rows')}
        ELSE
            {select(f'SELECT {of["o"]} {join} UNION ALL SELECT {of["n"]} {join}')}
        END IF;
    EXCEPTION WHEN undefined_column OR undefined_table OR undefined_function OR datatype_mismatch THEN
        INSERT INTO {schema}.{LOG} (kind) VALUES ('{EVERYTHING}');
        RETURN NULL;
    END;
    {inserts}
    RETURN NULL;
END
$feed$;"""


def _trigger_sql(tracked: Tracked, schema: str) -> str:
    name = f'{PREFIX}{tracked.table}'
    tables = {
        'INSERT': 'NEW TABLE AS new_rows',
        'DELETE': 'OLD TABLE AS old_rows',
        'UPDATE': 'OLD TABLE AS old_rows NEW TABLE AS new_rows',
    }
    return '\n'.join(
        f'CREATE TRIGGER {PREFIX}{event.lower()} AFTER {event} ON {schema}.{tracked.table} REFERENCING {transition} '
        f'FOR EACH STATEMENT EXECUTE FUNCTION {schema}.{name}();'
        for event, transition in tables.items()
    )
