"""Reading the feed: the snapshot of everything that a boot server serves, and what has changed since a cursor.

All of one answer is read in one REPEATABLE READ transaction, so that it shows one moment; the cursor is that moment.
A snapshot takes a fixed number of queries and is streamed.  A delta reads the log since the cursor, widens it to the
objects that it touches, and reads those alone.
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

from django.db import connections, transaction

from .. import boot
from . import messages as m
from . import queries as q
from .changes import EVERYTHING, LOG, STATE, maintain
from .cursor import Cursor, CursorError, check, epoch
from .scope import Coverage, NetworkIndex, ZoneIndex
from .subnets import Resolved, Row, network, resolve, resolve_chain

# A delta that would touch more objects than this is slower than a snapshot.
DELTA_LIMIT = 50_000


class NoBootServer(Exception):
    """The boot server has gone."""


def read(boot_server_id: int, after: str | None = None, using: str = 'default') -> Generator[bytes]:
    """The lines of a feed, as bytes with newlines.

    `after` is the cursor of what the reader has; without it a snapshot is given.  Nothing is read before the first line
    is asked for; by then CursorError (take a snapshot) or NoBootServer have been raised if they are to be.
    Must not be called inside a transaction.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        raise RuntimeError('The feed needs a transaction of its own; do not read it inside one (ATOMIC_REQUESTS off).')
    wanted = Cursor.parse(after) if after is not None else None
    with transaction.atomic(using=using), connection.cursor() as cursor:
        maintain(cursor)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
        # The cursors below are read to their end, so plans for the first rows alone are the wrong ones.
        cursor.execute('SET LOCAL cursor_tuple_fraction = 1.0; SET LOCAL jit = off')
        now, horizon = _now(cursor)
        if wanted is not None:
            check(wanted, now, horizon)
        reading = _Reading(connection, cursor, boot_server_id)
        lines = reading.snapshot() if wanted is None else reading.delta(wanted)
        yield m.encode(
            m.Header(
                protocol=m.PROTOCOL,
                mode='snapshot' if wanted is None else 'delta',
                cursor=str(now),
                boot_server=reading.boot_server,
                generated=datetime.now(UTC).isoformat(timespec='seconds'),
            )
        )
        count = 0
        for line in lines:
            count += 1
            yield m.encode(line)
        yield m.encode(m.End(lines=count))


def _now(cursor) -> tuple[Cursor, int]:
    """The cursor of this transaction, and the number of the oldest transaction whose changes are still in the log."""
    cursor.execute(
        f"""
        SELECT pg_current_snapshot()::text, s.generation, s.horizon::text,
            (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT oid FROM pg_database WHERE datname = current_database())
        FROM {STATE} s
        """
    )
    snapshot, generation, horizon, system, timeline, database = cursor.fetchone()
    return Cursor(epoch(generation, system, timeline, database), snapshot), int(horizon)


class _Reading:
    """One answer to one boot server, inside its transaction."""

    def __init__(self, connection, cursor, boot_server_id: int) -> None:
        self.connection = connection
        self.cursor = cursor
        self.id = boot_server_id
        found = self._fetch(
            'SELECT id, name, status, base_url FROM netbox_substruct_bootserver WHERE id = %s', [boot_server_id]
        )
        if not found:
            raise NoBootServer(f'There is no boot server with the id {boot_server_id} (any more).')
        row = found[0]
        self.boot_server = m.BootServer(id=row[0], name=row[1], status=row[2], base_url=row[3])
        self.coverage = Coverage(
            boot_server_id,
            frozenset(
                row[0]
                for row in self._fetch(
                    'SELECT site_id FROM netbox_substruct_bootserver_sites WHERE bootserver_id = %s', [boot_server_id]
                )
            ),
            tuple(
                (row[0], network(row[1]))
                for row in self._fetch(
                    'SELECT p.vrf_id, p.prefix::text FROM netbox_substruct_bootserver_prefixes b '
                    'JOIN ipam_prefix p ON p.id = b.prefix_id WHERE b.bootserver_id = %s',
                    [boot_server_id],
                )
            ),
        )
        self._read_zones()

    def _fetch(self, sql: str, params: Iterable = ()) -> list[tuple]:
        return q.fetch(self.cursor, sql, list(params))

    def _read_zones(self) -> None:
        """All zones are read, few as they are: somebody else's smaller zone cuts a hole in one of ours."""
        rows = self._fetch(q.ZONES)
        self.zone_index = ZoneIndex((row[0], row[1]) for row in rows)
        self.zones = {
            r[0]: m.Zone(
                id=r[0], name=r[1], reverse=r[1].endswith('.arpa'), update_method=r[3], server=r[4] or None,
                credential=r[5] or None, name_servers=r[6] or [], ttl=r[7], mname=r[8] or None, rname=r[9] or None,
                refresh=r[10], retry=r[11], expire=r[12], minimum=r[13],
            )
            for r in rows
            if r[2] == self.id
        }  # fmt: skip

    # What both kinds of answer are made of

    def _subnets(self, rows: Iterable[Row]) -> dict[int, Resolved]:
        return {subnet.row.id: subnet for subnet in resolve(rows)}

    def _records(self, rows: Iterable[tuple]) -> Iterator[m.Record]:
        """Records in our zones, of rows (id, DNS name, address)."""
        for address_id, dns_name, address in rows:
            name = dns_name.lower().rstrip('.')
            forward = self.zone_index.forward(name)
            reverse = self.zone_index.reverse(address)
            forward = forward if forward in self.zones else None
            reverse = reverse if reverse in self.zones else None
            if forward is not None or reverse is not None:
                yield m.Record(
                    id=address_id, name=name, address=address, forward_zone=forward, reverse_zone=reverse
                )

    def _boot_images(self, rows: Iterable[tuple]) -> Iterator[m.BootImage]:
        for image_id, name, architecture, method, kernel, kernel_sha, initrds, disk, disk_sha in rows:
            files = []
            if kernel:
                files.append(m.BootFile(role='kernel', url=kernel, sha256=kernel_sha or None))
            for entry in json.loads(initrds):
                files.append(m.BootFile(role='initrd', url=entry['url'], sha256=entry.get('sha256') or None))
            if disk:
                files.append(m.BootFile(role='disk', url=disk, sha256=disk_sha or None))
            yield m.BootImage(id=image_id, name=name, architecture=architecture, method=method, files=files)

    def _tasks(self, condition: str = 'TRUE', params: Iterable = ()) -> Iterator[m.Task]:
        for r in self._fetch(q.only(q.TASKS, condition), [self.id, *params]):
            yield m.Task(
                id=r[0], task=r[1], state=r[2], machine=r[3], build=r[4], parameters=json.loads(r[5]),
                not_before=r[6].isoformat() if r[6] else None, attempts=r[7],
            )  # fmt: skip

    def _machines(
        self, condition: str, params: Iterable, subnets: dict[int, Resolved], index: NetworkIndex
    ) -> Iterator[m.Machine]:
        """The machines of `condition` that this boot server serves.  Five queries, however many there are."""
        served = {key for key, subnet in subnets.items() if self.coverage.serves(subnet)}
        with ExitStack() as stack:

            def rows(sql: str) -> Iterator[tuple]:
                # The queries over interfaces have two halves, and so the condition twice.
                times = sql.count('{only}')
                return stack.enter_context(
                    q.stream(self.connection, q.only(sql, condition), list(params) * times)
                )

            interfaces = q.Groups(rows(q.INTERFACES))
            macs = q.Groups(rows(q.MACS))
            addresses = q.Groups(rows(q.ADDRESSES))
            tagged = q.Groups(rows(q.TAGGED_VLANS))
            for row in rows(q.MACHINES):
                key, pinned, site_id = row[0], row[12], row[13]
                mine = addresses.take(key)
                places = [index.find(a[5], a[3].partition('/')[0]) for a in mine]
                known = [place for place in places if place is not None]
                if pinned is not None:
                    ours = pinned == self.id
                elif known:
                    ours = not served.isdisjoint(known)
                else:
                    ours = site_id is not None and site_id in self.coverage.site_ids
                if not ours:
                    continue
                yield _machine(row, interfaces.take(key), macs.take(key), tagged.take(key), mine, places)

    # The two kinds of answer

    def snapshot(self) -> Iterator[m.Line]:
        subnets = self._subnets(q.subnet_rows(self.cursor))
        index = _index(subnets)
        for subnet in subnets.values():
            if self.coverage.serves(subnet):
                yield _subnet(subnet)
        yield from self.zones.values()
        with q.stream(self.connection, q.all_of(q.RECORDS)) as rows:
            yield from self._records(rows)
        yield from self._boot_images(self._fetch(q.all_of(q.BOOT_IMAGES)))
        yield from self._machines('TRUE', (), subnets, index)
        yield from self._tasks()

    def delta(self, after: Cursor) -> Iterator[m.Line]:
        """What has changed since the cursor.  Read at once as far as errors go, so that none comes half-way."""
        touched = _Touched(self._fetch, self.cursor, after)
        return self._delta(touched)

    def _delta(self, touched: '_Touched') -> Iterator[m.Line]:
        subnets = self._subnets(touched.subnet_rows)
        index = _index(subnets)
        yield from _replace(
            'subnet',
            sorted(touched.subnets),
            {key: _subnet(s) for key, s in subnets.items() if self.coverage.serves(s)},
        )
        yield from _replace('zone', sorted(touched.zones), self.zones)
        if touched.records:
            ids = sorted(touched.records)
            rows = self._fetch(q.only(q.RECORDS, 'x.id = ANY(%s)'), [ids])
            yield from _replace('record', ids, {record.id: record for record in self._records(rows)})
        if touched.images:
            ids = sorted(touched.images)
            rows = self._fetch(q.only(q.BOOT_IMAGES, 'g.id = ANY(%s)'), [ids])
            yield from _replace('boot-image', ids, {image.id: image for image in self._boot_images(rows)})
        if touched.machines:
            ids = sorted(touched.machines)
            found = set()
            for machine in self._machines('m.id = ANY(%s)', [ids], subnets, index):
                found.add(machine.id)
                yield machine
            for key in ids:
                if key not in found:
                    yield m.Gone(what='machine', id=key)
        if touched.tasks:
            ids = sorted(touched.tasks)
            yield from _replace('task', ids, {task.id: task for task in self._tasks('k.id = ANY(%s)', [ids])})


class _Touched:
    """The log since a cursor, widened to the objects whose lines it may change.

    What is widened: an interface to its machine; a VLAN to the interfaces and prefixes that have it; a site to what
    stands there; a prefix to the subnets below it (they inherit) and to the machines with addresses in it (they may have
    changed hands); a zone to the names in it.
    """

    def __init__(self, fetch: Callable[..., list[tuple]], cursor, after: Cursor) -> None:
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
        self.zones = ids.get('zone', set())
        self._zones(details.get('zone', set()))
        self._networks(ids, details.get('prefix', set()))
        self._machines(ids)
        if len(self.machines) + len(self.records) > DELTA_LIMIT:
            raise CursorError('too-many', 'So much has changed that a snapshot is quicker. Take a snapshot.')

    def _ids(self, sql: str, *params: object) -> set[int]:
        return {row[0] for row in self._fetch(sql, params)}

    def _zones(self, names: set[str]) -> None:
        """The names and addresses in the zones that were made, changed or removed."""
        from .scope import reverse_network

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
                SELECT m.id FROM held JOIN dcim_interface i ON i.id = held.id AND held.kind = {q._INTERFACE_TYPE}
                JOIN netbox_substruct_machine m ON m.device_id = i.device_id
                UNION
                SELECT m.id FROM held JOIN virtualization_vminterface i
                ON i.id = held.id AND held.kind = {q._VMINTERFACE_TYPE}
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
        self.subnet_rows = self._above()

    def _above(self) -> list[Row]:
        """The subnets that are touched or hold an address of a touched machine, with all those above them."""
        if not self.subnets and not self.machines:
            return []
        targets = self._fetch(
            'SELECT DISTINCT p.prefix::text FROM netbox_substruct_subnet n JOIN ipam_prefix p ON p.id = n.prefix_id '
            'WHERE n.id = ANY(%s)',
            [list(self.subnets)],
        )
        if self.machines:
            targets += self._fetch(
                f"""
                SELECT DISTINCT host(a.address) FROM netbox_substruct_machine m
                JOIN dcim_interface i ON i.device_id = m.device_id
                JOIN ipam_ipaddress a ON a.assigned_object_id = i.id AND a.assigned_object_type_id = {q._INTERFACE_TYPE}
                WHERE m.id = ANY(%s)
                UNION
                SELECT DISTINCT host(a.address) FROM netbox_substruct_machine m
                JOIN virtualization_vminterface i ON i.virtual_machine_id = m.virtual_machine_id
                JOIN ipam_ipaddress a
                ON a.assigned_object_id = i.id AND a.assigned_object_type_id = {q._VMINTERFACE_TYPE}
                WHERE m.id = ANY(%s)
                """,
                [list(self.machines), list(self.machines)],
            )
        if not targets:
            return []
        return q.subnet_rows(
            self._cursor,
            'p.id IN (SELECT y.id FROM unnest(%s::inet[]) AS w JOIN ipam_prefix y ON y.prefix >>= w)',
            [[row[0] for row in targets]],
        )


def _replace(what, ids: Iterable[int], found: dict[int, m.Line]) -> Iterator[m.Line]:
    """For each id its line, or that it has gone."""
    for key in ids:
        yield found.get(key) or m.Gone(what=what, id=key)


def _index(subnets: dict[int, Resolved]) -> NetworkIndex:
    return NetworkIndex((s.row.vrf_id, s.row.network, key) for key, s in subnets.items())


def _subnet(subnet: Resolved) -> m.Subnet:
    row = subnet.row
    return m.Subnet(
        id=row.id, prefix=str(row.network), vrf=row.vrf, vlan=row.vlan, site=row.site, gateway=subnet.gateway,
        name_servers=list(subnet.name_servers), ntp_servers=list(subnet.ntp_servers), domain=subnet.domain,
        lease_range=subnet.lease_range, lease_time=subnet.lease_time, dhcp_options=dict(subnet.dhcp_options),
        dhcp_enabled=subnet.dhcp_enabled, discovery_enabled=subnet.discovery_enabled,
    )  # fmt: skip


def _machine(
    row: tuple, interfaces: list[tuple], macs: list[tuple], tagged: list[tuple], addresses: list[tuple],
    places: list[int | None],
) -> m.Machine:  # fmt: skip
    (
        key, device, virtual, name, state, uuid, serial, architecture, firmware, boot_mac, local_boot, next_boot, _pinned,
        _site_id, site, build_id, build_state, profile, image, token, artifacts, protocol, bmc_address, bmc_port,
        credential, primary4, primary6,
    ) = row  # fmt: skip
    decision = boot.decide(boot.Subject(state, next_boot, firmware, local_boot, build_id, build_state))
    build = None
    if build_id is not None:
        build = m.Build(
            id=build_id, state=build_state, profile=profile, boot_image=image, token=token or '',
            artifacts=[
                m.Artifact(id=a[0], kind=a[1], name=a[2], sha256=a[3]) for a in (json.loads(artifacts) if artifacts else ())
            ],
        )  # fmt: skip
    held: dict[int, list[m.Address]] = {}
    for (_, interface, address_id, address, dns_name, _vrf_id, vrf), place in zip(addresses, places, strict=True):
        held.setdefault(interface, []).append(
            m.Address(
                address=address, dns_name=dns_name or None, vrf=vrf, subnet=place,
                primary=address_id in (primary4, primary6),
            )  # fmt: skip
        )
    hardware: dict[int, list[tuple]] = {}
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
                id=i[1], name=i[2], type=i[3], enabled=i[4], mgmt_only=i[5], mtu=i[6],
                macs=_primary_first(hardware.get(i[1], ()), i[7]), lag=i[8], parent=i[9], bridge=i[10],
                mode=i[11] or None, untagged_vlan=i[12], tagged_vlans=vlans.get(i[1], []),
                addresses=held.get(i[1], []),
            )  # fmt: skip
            for i in interfaces
        ],
    )


def _primary_first(macs: Iterable[tuple], primary: int | None) -> list[str]:
    return [mac for _, _, mac_id, mac in sorted(macs, key=lambda row: row[2] != primary)]


def effective(subnet) -> Resolved:
    """One Subnet with what it inherits, for a page or a check (two queries)."""
    with connections['default'].cursor() as cursor:
        rows = q.subnet_rows(
            cursor,
            'p.id IN (SELECT y.id FROM ipam_prefix y JOIN ipam_prefix x ON x.id = %s '
            'AND y.prefix >>= x.prefix AND y.vrf_id IS NOT DISTINCT FROM x.vrf_id)',
            [subnet.prefix_id],
        )
    chain = sorted(rows, key=lambda row: (row.id != subnet.pk, -row.network.prefixlen))
    return resolve_chain(chain)
