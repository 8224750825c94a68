"""Reading the feed: the snapshot of everything that a boot server serves, and what has changed since a cursor.

All of one answer is read in one REPEATABLE READ transaction, so that it shows one moment; the cursor is that moment.
A snapshot takes a fixed number of queries and is streamed.  A delta reads the log since the cursor, widens it to the
objects that it touches, and reads those alone.
"""

import json
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connections, transaction

from . import dns, scripts
from . import messages as m
from . import queries as q
from .changes import STATE, maintain
from .cursor import Cursor, check, epoch
from .lines import boot_image_line, machine_line, subnet_line
from .scope import Coverage, NetworkIndex, ZoneIndex
from .subnets import Resolved, Row, network, resolve
from .touched import Touched, rows_above


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


def served(boot_server_id: int, machine_ids: Collection[int], using: str = 'default') -> frozenset[int]:
    """Those of the machines that a boot server serves.  A few queries, whose cost grows with the machines asked for."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        reading = _Reading(connection, cursor, boot_server_id)
        return frozenset(machine.id for machine in reading.machines(machine_ids))


def serves(boot_server_id: int, machine_id: int, using: str = 'default') -> bool:
    """Whether this boot server is told of this machine.  Raises NoBootServer."""
    return machine_id in served(boot_server_id, [machine_id], using)


def _now(cursor: Any) -> tuple[Cursor, int]:
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
    return Cursor(epoch(generation, system, timeline, database, scripts.digest(), dns.installed()), snapshot), int(
        horizon
    )


class _Reading:
    """One answer to one boot server, inside its transaction."""

    def __init__(self, connection: Any, cursor: Any, boot_server_id: int) -> None:
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

    def _fetch(self, sql: str, params: Iterable[Any] = ()) -> list[q.Row]:
        return q.fetch(self.cursor, sql, list(params))

    def _read_zones(self) -> None:
        """All zones are read, few as they are: somebody else's smaller zone cuts a hole in one of ours."""
        rows = self._fetch(q.ZONES)
        self.zone_index = ZoneIndex((row[0], row[1]) for row in rows)
        self.dns_zones = dns.zones(self._fetch) if dns.installed() else {}
        self.zones = {
            r[0]: m.Zone(
                id=r[0], name=r[1], reverse=r[1].endswith('.arpa'), update_method=r[3], server=r[4] or None,
                credential=r[5] or None, name_servers=r[6] or [], ttl=r[7], mname=r[8] or None, rname=r[9] or None,
                refresh=r[10], retry=r[11], expire=r[12], minimum=r[13],
            )
            for r in rows
            if r[2] == self.id
        }  # fmt: skip
        for key in self.zones.keys() & self.dns_zones.keys():
            self.zones[key] = msgspec.structs.replace(self.zones[key], **self.dns_zones[key])

    # What both kinds of answer are made of

    def _subnets(self, rows: Iterable[Row]) -> dict[int, Resolved]:
        return {subnet.row.id: subnet for subnet in resolve(rows)}

    def _records(self, rows: Iterable[q.Row]) -> Iterator[m.Record]:
        """Records in our zones, of rows (id, DNS name, address)."""
        for address_id, dns_name, address in rows:
            name = dns_name.lower().rstrip('.')
            forward = self.zone_index.forward(name)
            reverse = self.zone_index.reverse(address)
            # In a zone of netbox_dns stands what netbox_dns says, and nothing else.
            forward = forward if forward in self.zones and forward not in self.dns_zones else None
            reverse = reverse if reverse in self.zones and reverse not in self.dns_zones else None
            if forward is not None or reverse is not None:
                yield m.Record(id=address_id, name=name, address=address, forward_zone=forward, reverse_zone=reverse)

    def _tasks(self, condition: str = 'TRUE', params: Iterable[Any] = ()) -> Iterator[m.Task]:
        for r in self._fetch(q.only(q.TASKS, condition), [self.id, *params]):
            yield m.Task(
                id=r[0], task=r[1], state=r[2], machine=r[3], build=r[4], parameters=json.loads(r[5]),
                not_before=r[6].isoformat() if r[6] else None, attempts=r[7],
            )  # fmt: skip

    def _machines(
        self, condition: str, params: Iterable[Any], subnets: dict[int, Resolved], index: NetworkIndex
    ) -> Iterator[m.Machine]:
        """The machines of `condition` that this boot server serves.  Five queries, however many there are."""
        served = {key for key, subnet in subnets.items() if self.coverage.serves(subnet)}
        with ExitStack() as stack:

            def rows(sql: str) -> Iterator[q.Row]:
                # The queries over interfaces have two halves, and so the condition twice.
                times = sql.count('{only}')
                return stack.enter_context(q.stream(self.connection, q.only(sql, condition), list(params) * times))

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
                elif row[1] is None and row[2] is None:
                    ours = True  # discovered: nobody has said where it stands
                elif known:
                    ours = not served.isdisjoint(known)
                else:
                    ours = site_id is not None and site_id in self.coverage.site_ids
                if not ours:
                    continue
                yield machine_line(row, interfaces.take(key), macs.take(key), tagged.take(key), mine, places, subnets)

    def machines(self, ids: Collection[int]) -> Iterator[m.Machine]:
        """Those of the machines with these ids that are served."""
        subnets = self._subnets(rows_above(self._fetch, self.cursor, (), ids))
        yield from self._machines('m.id = ANY(%s)', [list(ids)], subnets, _index(subnets))

    # The two kinds of answer

    def snapshot(self) -> Iterator[m.Line]:
        subnets = self._subnets(q.subnet_rows(self.cursor))
        index = _index(subnets)
        for subnet in subnets.values():
            if self.coverage.serves(subnet):
                yield subnet_line(subnet)
        yield from self.zones.values()
        with q.stream(self.connection, q.all_of(q.RECORDS)) as rows:
            yield from self._records(rows)
        if self.dns_zones:
            yield from dns.records(self._fetch, self.id)
        yield from map(boot_image_line, self._fetch(q.all_of(q.BOOT_IMAGES)))
        yield from scripts.standard()
        yield from self._machines('TRUE', (), subnets, index)
        yield from self._tasks()

    def delta(self, after: Cursor) -> Iterator[m.Line]:
        """What has changed since the cursor.  Read at once as far as errors go, so that none comes half-way."""
        touched = Touched(self._fetch, self.cursor, after)
        return self._delta(touched)

    def _delta(self, touched: 'Touched') -> Iterator[m.Line]:
        subnets = self._subnets(touched.subnet_rows)
        index = _index(subnets)
        yield from _replace(
            'subnet',
            sorted(touched.subnets),
            {key: subnet_line(s) for key, s in subnets.items() if self.coverage.serves(s)},
        )
        yield from _replace('zone', sorted(touched.zones), self.zones)
        if touched.records:
            ids = sorted(touched.records)
            rows = self._fetch(q.only(q.RECORDS, 'x.id = ANY(%s)'), [ids])
            yield from _replace('record', ids, {record.id: record for record in self._records(rows)})
        if touched.dns_records:
            ids = sorted(touched.dns_records)
            found = {record.id: record for record in dns.records(self._fetch, self.id, ids)}
            yield from _replace('record', [-key for key in ids], found)
        if touched.images:
            ids = sorted(touched.images)
            rows = self._fetch(q.only(q.BOOT_IMAGES, 'g.id = ANY(%s)'), [ids])
            yield from _replace('boot-image', ids, {row[0]: boot_image_line(row) for row in rows})
        if touched.machines:
            ids = sorted(touched.machines)
            told = set()
            for machine in self._machines('m.id = ANY(%s)', [ids], subnets, index):
                told.add(machine.id)
                yield machine
            for key in ids:
                if key not in told:
                    yield m.Gone(what='machine', id=key)
        if touched.tasks:
            ids = sorted(touched.tasks)
            yield from _replace('task', ids, {task.id: task for task in self._tasks('k.id = ANY(%s)', [ids])})


def _replace(what: Any, ids: Iterable[int], found: Mapping[int, m.Line]) -> Iterator[m.Line]:
    """For each id its line, or that it has gone."""
    for key in ids:
        yield found.get(key) or m.Gone(what=what, id=key)


def _index(subnets: dict[int, Resolved]) -> NetworkIndex:
    return NetworkIndex((s.row.vrf_id, s.row.network, key) for key, s in subnets.items())
