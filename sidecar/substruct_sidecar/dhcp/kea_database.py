"""Kea's host tables in PostgreSQL or MySQL: which rows are ours, how they are read, compared and changed.

It knows tables and statements; not where hosts come from, nor how Kea is configured.  A row is ours if its user
context says so (`{"substruct": {"server": …, "machine": …, "host": …}}`) and names this boot server; all others are
never written.  Kea reads the tables anew for each packet, so a change counts from its commit on.

Sources: share/kea/scripts/{pgsql,mysql}/dhcpdb_create.*; dhcpsrv/host.h (types of identifiers).
"""
# ruff: noqa: S608  (statements are put together from names that stand here; values are always parameters)

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from .kea_base import CONTEXT
from .kea_control import Family
from .kea_hosts import KNOWN_ONLY, KNOWN_TO_BOOT, Reservation, class_of
from .model import IdentifierKind

_TYPES: dict[IdentifierKind, int] = {'mac': 0, 'duid': 1, 'circuit-id': 2, 'client-id': 3}
_KINDS: dict[int, IdentifierKind] = {number: kind for kind, number in _TYPES.items()}

# The oldest layouts with what is needed here: several reservations of one address (Kea 1.9.1).
OLDEST = {'postgresql': (6, 2), 'mysql': (9, 5)}
CONNECT = 10
STATEMENT = 60
_AT_ONCE = 2000

type Key = tuple[Family, int, IdentifierKind, str]


class DatabaseError(Exception):
    """The database could not be used; the message says which, how, and what to do.  It has no password."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `hosts` as far as it concerns us.  `mine`: this boot server's.  `address` is text or ''.

    `key` is None for a row of a kind that Substruct has not (flex-id, or for both families).
    """

    key: Key | None
    address: str
    hostname: str
    classes: str
    context: str
    mine: bool
    substruct: bool
    machine: int

    @property
    def content(self) -> str:
        return f'{self.address}|{self.hostname}|{self.classes}|{self.context}'


def content(found: Reservation, server: int) -> str:
    """What `Row.content` is when the row is as it should be."""
    return f'{found.address}|{found.hostname}|{class_of(found)}|{context(found, server)}'


def context(found: Reservation, server: int) -> str:
    return f'{{"{CONTEXT}":{{"server":{server},"machine":{found.machine},"host":"{found.host}"}}}}'


def describe(text: str) -> str:
    """Content for people."""
    address, hostname, classes, context = text.split('|', 3)
    said = {KNOWN_TO_BOOT: 'boots', KNOWN_ONLY: 'does not boot'}.get(classes, classes)
    return f'{", ".join(part for part in (address, hostname, said) if part)} {context}'


@dataclass(frozen=True, slots=True)
class Work:
    """What one transaction does, in this order."""

    remove: Sequence[Key] = ()
    change: Sequence[Reservation] = ()
    add: Sequence[Reservation] = ()


class _Context(msgspec.Struct):
    server: int = 0
    machine: int = 0


_contexts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_own = msgspec.json.Decoder(_Context)


def _owner(text: str | None) -> _Context | None:
    """Who made a row of Substruct's, None for any other."""
    if not text or f'"{CONTEXT}"' not in text:
        return None
    try:
        found = _contexts.decode(text).get(CONTEXT)
        return None if found is None else _own.decode(found)
    except msgspec.DecodeError:
        return None


class Hosts:
    """The tables.  `server` is the id of the boot server whose rows are ours."""

    def __init__(self, url: str, password: Callable[[], str] | None = None) -> None:
        self.url = url
        self.kind: Literal['postgresql', 'mysql'] = (
            'mysql' if urlsplit(url).scheme in ('mysql', 'mariadb') else 'postgresql'
        )
        self._password = password
        self._address6: str | None = None
        self._errors = self._driver()

    def _driver(self) -> tuple[type[Exception], ...]:
        """What the driver raises.  Only the one that is used needs to be installed."""
        try:
            if self.kind == 'postgresql':
                import psycopg

                return psycopg.Error, OSError
            import pymysql

            return pymysql.MySQLError, OSError
        except ImportError as error:
            raise DatabaseError(
                f'The Python package for {self.kind} is not there: install substruct-sidecar[{self.kind}].'
            ) from error

    # -------------------------------------------------------------- connections

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection with a transaction, which is committed if the block ends well.  Raises DatabaseError."""
        try:
            connection = self._postgresql() if self.kind == 'postgresql' else self._mysql()
        except self._errors as error:
            raise self._explained(error) from error
        try:
            with contextlib.closing(connection):
                try:
                    yield connection
                    connection.commit()
                except BaseException:
                    with contextlib.suppress(Exception):  # it may be gone, and the first error is the one to tell
                        connection.rollback()
                    raise
        except self._errors as error:
            raise self._explained(error) from error

    def _postgresql(self) -> Any:
        import psycopg

        more: dict[str, Any] = {'password': self._password()} if self._password else {}
        return psycopg.connect(
            self.url,
            connect_timeout=CONNECT,
            application_name='substruct-sidecar',
            options=f'-c statement_timeout={STATEMENT * 1000} -c lock_timeout=10000',
            **more,
        )

    def _mysql(self) -> Any:
        import pymysql
        import pymysql.cursors

        parts = urlsplit(self.url)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        more: dict[str, Any] = {}
        if socket := query.get('unix_socket'):
            more['unix_socket'] = socket
        if ca := query.get('ssl_ca'):
            more['ssl'] = ssl.create_default_context(cafile=ca)
        return pymysql.connect(
            host=parts.hostname or 'localhost',
            port=parts.port or 3306,
            user=unquote(parts.username or '') or None,
            password=self._password() if self._password else '',
            database=unquote(parts.path.lstrip('/')),
            charset='utf8mb4',
            connect_timeout=CONNECT,
            read_timeout=STATEMENT,
            write_timeout=STATEMENT,
            **more,
        )

    def _explained(self, error: Exception) -> DatabaseError:
        place = urlsplit(self.url)
        where = f'{self.kind} {unquote(place.path.lstrip("/"))} at {place.hostname or "the local socket"}'
        words = ' '.join(str(error).split()) or type(error).__name__
        return DatabaseError(f"Kea's host database ({where}): {words[:500]}")

    # -------------------------------------------------------------- checks

    def schema(self, connection: Any) -> tuple[int, int]:
        with connection.cursor() as cursor:
            cursor.execute('SELECT version, minor FROM schema_version')
            row = cursor.fetchone()
        if row is None:
            raise DatabaseError("Kea's host database has no schema version. Make its tables with kea-admin db-init.")
        return int(row[0]), int(row[1])

    def faults(self) -> Iterator[tuple[str, str]]:
        """(what is wrong, what to do): the layout of the tables and the rights to use them."""
        with self.connected() as connection:
            try:
                version = self.schema(connection)
            except self._errors as error:
                words = ' '.join(str(error).split())
                yield (
                    f'it has no tables of Kea, or they cannot be read ({words[:200]})',
                    'kea-admin db-init makes them.',
                )
                return
            if version < OLDEST[self.kind]:
                wanted = '.'.join(map(str, OLDEST[self.kind]))
                yield (
                    f'its tables have layout {version[0]}.{version[1]}, older than {wanted}',
                    'kea-admin db-upgrade brings them to that of the installed Kea.',
                )
            yield from self._rights(connection)

    def _rights(self, connection: Any) -> Iterator[tuple[str, str]]:
        remedy = 'Grant SELECT, INSERT, UPDATE, DELETE on hosts and ipv6_reservations to this user.'
        if self.kind == 'postgresql':
            with connection.cursor() as cursor:
                for table in ('hosts', 'ipv6_reservations'):
                    for right in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'):
                        cursor.execute('SELECT has_table_privilege(%s, %s)', (table, right))
                        if not cursor.fetchone()[0]:
                            yield f'this user may not {right} in {table}', remedy
                for table, column in (('hosts', 'host_id'), ('ipv6_reservations', 'reservation_id')):
                    cursor.execute(
                        "SELECT has_sequence_privilege(pg_get_serial_sequence(%s, %s), 'USAGE')", (table, column)
                    )
                    if not cursor.fetchone()[0]:
                        yield f'this user may not use the sequence of {table}', f'Grant USAGE on it. {remedy}'
            return
        for statement in (
            'EXPLAIN INSERT INTO hosts (dhcp_identifier, dhcp_identifier_type) VALUES (0x00, 0)',
            'EXPLAIN UPDATE hosts SET hostname = NULL WHERE host_id = 0',
            'EXPLAIN DELETE FROM hosts WHERE host_id = 0',
            'EXPLAIN INSERT INTO ipv6_reservations (address, host_id) VALUES (0x00, 0)',
            'EXPLAIN DELETE FROM ipv6_reservations WHERE host_id = 0',
        ):
            with connection.cursor() as cursor:
                try:
                    cursor.execute(statement)
                except self._errors as error:
                    yield f'this user may not do what is needed ({" ".join(str(error).split())[:200]})', remedy

    # -------------------------------------------------------------- reading

    def all(self, connection: Any, server: int) -> Iterator[Row]:
        """Every row, streamed, in no order."""
        for family in _FAMILIES:
            with self._streaming(connection) as cursor:
                cursor.execute(self._select(connection, family))
                while rows := cursor.fetchmany(_AT_ONCE):
                    for row in rows:
                        yield self._row(family, row, server)

    def some(self, connection: Any, keys: Iterable[Key], server: int) -> Iterator[Row]:
        """The rows with these keys."""
        with connection.cursor() as cursor:
            for key in keys:
                family, subnet, kind, identifier = key
                cursor.execute(
                    f'{self._select(connection, family)} AND h.dhcp_identifier = %s AND h.dhcp_identifier_type = %s '
                    f'AND h.dhcp{family}_subnet_id = %s',
                    (_bytes(identifier), _TYPES[kind], subnet),
                )
                for row in cursor.fetchall():
                    yield self._row(family, row, server)

    def at(self, connection: Any, places: Iterable[tuple[Family, int, str]], server: int) -> Iterator[Row]:
        """The rows that reserve these addresses: (family, subnet, address)."""
        with connection.cursor() as cursor:
            for family, subnet, address in places:
                value: int | str | bytes
                if family == 4:
                    condition, value = 'h.ipv4_address = %s', int(IPv4Address(address))
                else:
                    condition = f'h.host_id IN (SELECT host_id FROM ipv6_reservations WHERE address = {self._ipv6()})'
                    value = self._to6(address)
                cursor.execute(
                    f'{self._select(connection, family)} AND {condition} AND h.dhcp{family}_subnet_id = %s',
                    (value, subnet),
                )
                for row in cursor.fetchall():
                    yield self._row(family, row, server)

    def count(self, connection: Any, server: int) -> int:
        """How many rows are ours.  A sequential scan; some 20 ms for a hundred thousand."""
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT count(*) FROM hosts WHERE user_context LIKE %s', (f'%"{CONTEXT}"%"server":{server},%',)
            )
            return int(cursor.fetchone()[0])

    def _select(self, connection: Any, family: Family) -> str:
        common = (
            f'SELECT h.dhcp_identifier, h.dhcp_identifier_type, h.dhcp{family}_subnet_id, h.hostname, '
            f'h.dhcp{family}_client_classes, h.user_context, h.dhcp{10 - family}_subnet_id'
        )
        if family == 4:
            return f'{common}, h.ipv4_address FROM hosts h WHERE h.dhcp4_subnet_id IS NOT NULL'
        self._learn(connection)
        joined = {
            'inet': "string_agg(host(r.address), ',')",
            'text': "string_agg(r.address, ',')",
            'varchar': 'group_concat(r.address)',
            'binary': 'group_concat(inet6_ntoa(r.address))',
        }[self._address6 or '']
        return (
            f'{common}, (SELECT {joined} FROM ipv6_reservations r WHERE r.host_id = h.host_id) '
            f'FROM hosts h WHERE h.dhcp6_subnet_id IS NOT NULL'
        )

    def _learn(self, connection: Any) -> None:
        """How this layout holds IPv6 addresses: as text until Kea 2.2, as inet or 16 bytes after."""
        if self._address6 is not None:
            return
        schema = 'current_schema()' if self.kind == 'postgresql' else 'database()'
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT data_type FROM information_schema.columns WHERE table_schema = {schema} '
                f"AND table_name = 'ipv6_reservations' AND column_name = 'address'"
            )
            row = cursor.fetchone()
        found = str(row[0]).lower() if row else ''
        if self.kind == 'postgresql':
            self._address6 = 'inet' if found == 'inet' else 'text'
        else:
            self._address6 = 'binary' if found == 'binary' else 'varchar'

    def _ipv6(self) -> str:
        return '%s::inet' if self._address6 == 'inet' else '%s'

    def _to6(self, address: str) -> str | bytes:
        return IPv6Address(address).packed if self._address6 == 'binary' else address

    @contextlib.contextmanager
    def _streaming(self, connection: Any) -> Iterator[Any]:
        if self.kind == 'postgresql':
            with connection.cursor(name='substruct') as cursor:
                cursor.itersize = _AT_ONCE
                yield cursor
        else:
            import pymysql.cursors

            with connection.cursor(pymysql.cursors.SSCursor) as cursor:
                yield cursor

    def _row(self, family: Family, row: Sequence[Any], server: int) -> Row:
        identifier, number, subnet, hostname, classes, text, other, address = row
        owner = _owner(text)
        kind = _KINDS.get(int(number))
        data = bytes(identifier)
        key: Key | None = None
        if kind is not None:
            key = (family, int(subnet), kind, data.hex(':') if kind == 'mac' else data.hex())
        if family == 4:
            where = str(IPv4Address(int(address))) if address else ''
        else:
            where = ','.join(str(IPv6Address(one)) for one in str(address).split(',')) if address else ''
        return Row(
            key=key,
            address=where,
            hostname=hostname or '',
            classes=classes or '',
            context=text or '',
            mine=owner is not None and owner.server == server and other is None,
            substruct=owner is not None,
            machine=owner.machine if owner else 0,
        )

    # -------------------------------------------------------------- writing

    def write(self, connection: Any, work: Work, server: int) -> None:
        """All of it; the caller's transaction makes it one.  A row of somebody's in its way undoes it."""
        self._learn(connection)
        ours = f'%"{CONTEXT}"%'
        with connection.cursor() as cursor:
            for family in _FAMILIES:
                condition = (
                    f'dhcp_identifier = %s AND dhcp_identifier_type = %s AND dhcp{family}_subnet_id = %s '
                    f'AND user_context LIKE %s'
                )
                gone = [key for key in work.remove if key[0] == family]
                if gone:
                    cursor.executemany(
                        f'DELETE FROM hosts WHERE {condition}',
                        [(_bytes(key[3]), _TYPES[key[2]], key[1], ours) for key in gone],
                    )
                changed = [found for found in work.change if found.family == family]
                if changed:
                    cursor.executemany(
                        f'UPDATE hosts SET ipv4_address = %s, hostname = %s, dhcp{family}_client_classes = %s, '
                        f'user_context = %s WHERE {condition}',
                        [(*_values(found, server), *_where(found), ours) for found in changed],
                    )
                    if family == 6:
                        cursor.executemany(
                            f'DELETE FROM ipv6_reservations WHERE host_id IN (SELECT host_id FROM hosts '
                            f'WHERE {condition})',
                            [(*_where(found), ours) for found in changed],
                        )
                        self._addresses(cursor, changed)
                added = [found for found in work.add if found.family == family]
                if added:
                    cursor.executemany(
                        f'INSERT INTO hosts (ipv4_address, hostname, dhcp{family}_client_classes, user_context, '
                        f'dhcp_identifier, dhcp_identifier_type, dhcp{family}_subnet_id) '
                        f'VALUES (%s, %s, %s, %s, %s, %s, %s)',
                        [(*_values(found, server), *_where(found)) for found in added],
                    )
                    if family == 6:
                        self._addresses(cursor, added)

    def _addresses(self, cursor: Any, found: Sequence[Reservation]) -> None:
        placed = [one for one in found if one.address]
        if placed:
            cursor.executemany(
                f'INSERT INTO ipv6_reservations (address, prefix_len, type, host_id) SELECT {self._ipv6()}, 128, 0, '
                f'host_id FROM hosts WHERE dhcp_identifier = %s AND dhcp_identifier_type = %s '
                f'AND dhcp6_subnet_id = %s',
                [(self._to6(one.address), *_where(one)) for one in placed],
            )


_FAMILIES: tuple[Family, ...] = (4, 6)


def _values(found: Reservation, server: int) -> tuple[int | None, str | None, str | None, str]:
    return (
        int(IPv4Address(found.address)) if found.address and found.family == 4 else None,
        found.hostname or None,
        class_of(found),
        context(found, server),
    )


def _where(found: Reservation) -> tuple[bytes, int, int]:
    return _bytes(found.identifier), _TYPES[found.kind], found.subnet


def _bytes(identifier: str) -> bytes:
    return bytes.fromhex(identifier.replace(':', ''))


def hosts_database(url: str, password: str) -> dict[str, Any]:
    """Kea's own words for a database URL (ARM, "Hosts Storage")."""
    parsed = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parsed.query).items()}
    found: dict[str, Any] = {
        'type': 'mysql' if parsed.scheme in ('mysql', 'mariadb') else 'postgresql',
        'name': unquote(parsed.path.lstrip('/')),
        'host': query.get('host') or parsed.hostname or 'localhost',
    }
    for key, value in (('user', unquote(parsed.username or query.get('user', ''))), ('password', password)):
        if value:
            found[key] = value
    if parsed.port or query.get('port'):
        found['port'] = int(parsed.port or query['port'])
    return found
