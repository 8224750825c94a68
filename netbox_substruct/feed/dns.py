"""Zones and records of the plugin netbox_dns, where it is installed.

A zone that both know by name is kept by our boot server and described by netbox_dns: its SOA values, its name servers
and its records, and no others.  Where netbox_dns has several zones of one name (views), the one of its default view
counts, else the oldest.

Its tables are read as they are; what is read here exists since its version 1.1.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from . import messages as m

type Fetch = Callable[..., list[tuple[Any, ...]]]

APP = 'netbox_dns'

# The zones of netbox_dns that are ours too: (our zone's id, theirs), one for each of ours.
_SHARED = """
SELECT DISTINCT ON (o.id) o.id AS ours, z.id AS theirs, o.boot_server_id
FROM netbox_substruct_zone o
JOIN netbox_dns_zone z ON rtrim(lower(z.name), '.') = o.name
JOIN netbox_dns_view v ON v.id = z.view_id
ORDER BY o.id, v.default_view DESC, z.id
"""

_ZONES = f"""
SELECT s.ours, z.default_ttl, rtrim(n.name, '.'), rtrim(z.soa_rname, '.'), z.soa_refresh, z.soa_retry, z.soa_expire,
    z.soa_minimum, ARRAY(
        SELECT rtrim(y.name, '.') FROM netbox_dns_zone_nameservers l JOIN netbox_dns_nameserver y
        ON y.id = l.nameserver_id WHERE l.zone_id = z.id ORDER BY 1)
FROM ({_SHARED}) s JOIN netbox_dns_zone z ON z.id = s.theirs LEFT JOIN netbox_dns_nameserver n ON n.id = z.soa_mname_id
"""

# SOA and the zone's own NS records follow from the zone.
_RECORDS = f"""
SELECT r.id, s.ours, coalesce(r.fqdn, CASE r.name WHEN '@' THEN z.name ELSE r.name || '.' || z.name END), r.type,
    r.value, r.ttl
FROM ({_SHARED}) s JOIN netbox_dns_zone z ON z.id = s.theirs JOIN netbox_dns_record r ON r.zone_id = z.id
WHERE s.boot_server_id = %s AND z.status = ANY(%s) AND r.status = ANY(%s)
    AND r.type <> 'SOA' AND NOT (r.type = 'NS' AND r.managed) AND {{only}} ORDER BY r.id
"""


def installed() -> bool:
    from django.apps import apps

    return bool(apps.is_installed(APP))


def zones(fetch: Fetch) -> dict[int, dict[str, Any]]:
    """What netbox_dns says of zones, by the id of ours: the fields of a line that it knows better."""
    return {
        row[0]: {
            'ttl': row[1], 'mname': row[2] or None, 'rname': row[3] or None, 'refresh': row[4], 'retry': row[5],
            'expire': row[6], 'minimum': row[7], 'name_servers': row[8],
        }
        for row in fetch(_ZONES)
    }  # fmt: skip


def records(fetch: Fetch, boot_server_id: int, only: Collection[int] | None = None) -> Iterator[m.Record]:
    """The active records of the zones that a boot server keeps.

    Their ids are those of netbox_dns with a minus sign, so that they are no IP address's.
    """
    from netbox.plugins import get_plugin_config

    statuses = [list(get_plugin_config(APP, f'{what}_active_status')) for what in ('zone', 'record')]
    condition, params = ('TRUE', []) if only is None else ('r.id = ANY(%s)', [list(only)])
    for key, zone, name, kind, value, ttl in fetch(
        _RECORDS.replace('{only}', condition), [boot_server_id, *statuses, *params]
    ):
        yield m.Record(
            id=-key, name=name.rstrip('.').lower(), address=None, forward_zone=zone, reverse_zone=None, type=kind,
            value=value, ttl=ttl,
        )  # fmt: skip


def zones_named(fetch: Fetch, zone_ids: Collection[int]) -> set[str]:
    """The names of zones of netbox_dns."""
    return {row[0] for row in fetch('SELECT name FROM netbox_dns_zone WHERE id = ANY(%s)', [list(zone_ids)])}


def zones_served_by(fetch: Fetch, nameserver_ids: Collection[int]) -> set[int]:
    """The zones of netbox_dns in which these name servers stand."""
    ids = list(nameserver_ids)
    return {
        row[0]
        for row in fetch(
            'SELECT zone_id FROM netbox_dns_zone_nameservers WHERE nameserver_id = ANY(%s) '
            'UNION SELECT id FROM netbox_dns_zone WHERE soa_mname_id = ANY(%s)',
            [ids, ids],
        )
    }


def records_in(fetch: Fetch, names: Collection[str]) -> set[int]:
    """The records in all zones of netbox_dns with these names."""
    return {
        row[0]
        for row in fetch(
            'SELECT r.id FROM netbox_dns_record r JOIN netbox_dns_zone z ON z.id = r.zone_id '
            "WHERE rtrim(lower(z.name), '.') = ANY(%s)",
            [list(names)],
        )
    }
