"""Substruct's rows in Kea's host tables: compared with what is wanted, changed, and counted.

The ledger holds the keys of the rows that were made, so that a change of one machine finds what it had.  Which
statements that takes is in `kea_database`.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..ledger import Ledger
from ..plan import Change, Problem
from ..secrets import SecretError
from ..service import Finding
from .kea_control import Family
from .kea_database import DatabaseError, Hosts, Key, Row, Work, content, describe
from .kea_hosts import Reservation

# So many of the reservations that wait for others to go are looked at each time.
_LOOKED_AT = 500


class Rows:
    """The rows of one boot server (`server`, its id)."""

    def __init__(self, url: str, password: Callable[[], str] | None, ledger: Ledger) -> None:
        self.hosts = Hosts(url, password)
        self._ledger = ledger
        # Somebody else's row is where theirs should be; with the names of their machines.
        self._waiting: list[tuple[Reservation, str]] = []
        self._count = 0  # ours in the tables, counted by the last full plan and kept up since

    def check(self) -> Iterator[Finding]:
        part = 'Kea host database'
        try:
            faults = list(self.hosts.faults())
        except (DatabaseError, SecretError) as error:
            yield Finding(part, 'error', str(error), 'Look at dhcp.kea.database_url and its secret.')
            return
        for message, remedy in faults:
            yield Finding(part, 'error', message, remedy)
        if not faults:
            yield Finding(part, 'ok', 'tables and rights are as needed')

    def compare(
        self, machines: frozenset[int] | None, wanted: Iterable[Reservation], families: set[Family], server: int,
        names: Mapping[int, str], problems: list[Problem],
    ) -> tuple[Work, list[Change], int]:  # fmt: skip
        """(what is to be done, as changes, how many rows there are), for all or for some machines.  Raises
        DatabaseError and SecretError."""
        with self.hosts.connected() as connection:
            if machines is None:
                return self._all(connection, wanted, families, server, names, problems)
            return self._some(connection, machines, wanted, families, server, names, problems)

    def _all(
        self, connection: Any, wanted: Iterable[Reservation], families: set[Family], server: int,
        names: Mapping[int, str], problems: list[Problem],
    ) -> tuple[Work, list[Change], int]:  # fmt: skip
        mine: dict[Key, str] = {}
        machines: dict[Key, int] = {}
        foreign: dict[Key, Row] = {}
        taken: dict[tuple[Family, int, str], Row] = {}
        for row in self.hosts.all(connection, server):
            if row.key is None or row.key[0] not in families:
                continue
            if row.mine:
                mine[row.key] = row.content
                machines[row.key] = row.machine
            else:
                foreign[row.key] = row
                if row.address and not row.substruct:
                    taken[row.key[0], row.key[1], row.address] = row
        comparing = _Comparing(server, mine, foreign, taken, names, problems)
        for found in wanted:
            comparing.compare(found)
        comparing.gone((key, machines[key]) for key in mine)
        self._agree(machines, families, comparing.work)
        self._waiting = comparing.waiting
        self._count = len(machines)
        return comparing.work, comparing.changes, self._count

    def _agree(self, machines: Mapping[Key, int], families: set[Family], work: Work) -> None:
        """Let the ledger have what is in the tables: it was lost, somebody was killed before it was written, or another
        sidecar of this boot server has made and removed rows."""
        gone: list[str] = []
        known = 0
        for name, whose, _ in self._ledger.entries():
            key = _key(name)
            if key in machines:
                known += whose == _owner(machines[key])
            elif key[0] in families:
                gone.append(name)
        if gone:
            coming = {_name(found.key) for found in work.add}
            gone = [name for name in gone if name not in coming]
        unknown = machines.items() if known < len(machines) else ()
        if gone or unknown:
            self._ledger.write(put=(_entry(key, machine) for key, machine in unknown), remove=gone)

    def _some(
        self, connection: Any, machines: frozenset[int], wanted: Iterable[Reservation], families: set[Family],
        server: int, names: Mapping[int, str], problems: list[Problem],
    ) -> tuple[Work, list[Change], int]:  # fmt: skip
        """Those of some machines: what they are to have, and what the ledger says that they had."""
        found = list(wanted)
        known = {name for name, _, _ in self._ledger.entries_of(map(_owner, sorted(machines)))}
        keys = {key for key in map(_key, known) if key[0] in families}
        keys |= {one.key for one in found}
        mine: dict[Key, str] = {}
        whose: dict[Key, int] = {}
        foreign: dict[Key, Row] = {}
        for row in self.hosts.some(connection, sorted(keys), server):
            if row.key is None:
                continue
            if row.mine:
                mine[row.key], whose[row.key] = row.content, row.machine
            else:
                foreign[row.key] = row
        places = [
            (one.family, one.subnet, one.address)
            for one in found
            if one.address and mine.get(one.key) != content(one, server)
        ]
        taken = {
            (row.key[0], row.key[1], row.address): row
            for row in self.hosts.at(connection, places, server)
            if row.key is not None and not row.substruct
        }
        gone = [name for name in known if (key := _key(name)) in keys and key not in mine]
        comparing = _Comparing(server, mine, foreign, taken, names, problems)
        present = [_entry(one.key, one.machine) for one in found if comparing.compare(one)]
        # A row that another machine has now is that machine's.
        comparing.gone((key, whose[key]) for key in list(mine) if whose[key] in machines)
        unknown = [entry for entry in present if entry[0] not in known]
        if unknown or gone:
            self._ledger.write(put=unknown, remove=gone)
        self._waiting = [
            *(waiting for waiting in self._waiting if waiting[0].machine not in machines), *comparing.waiting
        ]  # fmt: skip
        return comparing.work, comparing.changes, self._count

    def write(self, work: Work, server: int) -> None:
        """The ledger first: what it holds too much costs a look, what it holds too little leaves a row for ever.

        Raises DatabaseError and SecretError."""
        if work.add or work.change:
            self._ledger.write(put=(_entry(found.key, found.machine) for found in (*work.add, *work.change)))
        with self.hosts.connected() as connection:
            self.hosts.write(connection, work, server)
        self._count += len(work.add) - len(work.remove)
        if work.remove:
            self._ledger.write(remove=map(_name, work.remove))

    def verify(self, server: int) -> Iterator[Problem]:
        try:
            with self.hosts.connected() as connection:
                there = self.hosts.count(connection, server)
                free = list(self._free(connection, server))
        except (DatabaseError, SecretError) as error:
            yield Problem('dhcp', 'service', 0, 'Kea host database', str(error))
            return
        for found, name in free:
            yield Problem(
                'dhcp', 'machine', found.machine, name,
                f"what stood in the way of its {found.kind} {found.identifier} in Kea's host database has gone.",
                'It is put there with the next plan.', 'warning',
            )  # fmt: skip
        known = self._ledger.count()
        if there < known:
            yield Problem(
                'dhcp', 'service', 0, 'Kea host database',
                f'it holds {there} hosts of Substruct, and {known} were put there: somebody removed some.',
                'They are put there again.',
            )  # fmt: skip

    def _free(self, connection: Any, server: int) -> Iterator[tuple[Reservation, str]]:
        """Those of which nothing stands in the way any more."""
        waiting = self._waiting
        if len(waiting) > _LOOKED_AT:
            waiting = random.sample(waiting, _LOOKED_AT)
        keys = {row.key for row in self.hosts.some(connection, [one.key for one, _ in waiting], server) if not row.mine}
        places = [(one.family, one.subnet, one.address) for one, _ in waiting if one.address]
        taken = {
            (row.key[0], row.key[1], row.address)
            for row in self.hosts.at(connection, places, server)
            if row.key is not None and not row.substruct
        }
        for one, name in waiting:
            if one.key not in keys and (one.family, one.subnet, one.address) not in taken:
                yield one, name


class _Comparing:
    """Rows as they are beside those that are wanted."""

    def __init__(
        self, server: int, mine: dict[Key, str], foreign: Mapping[Key, Row],
        taken: Mapping[tuple[Family, int, str], Row], names: Mapping[int, str], problems: list[Problem],
    ) -> None:  # fmt: skip
        self._server = server
        self._mine = mine
        self._foreign = foreign
        self._taken = taken
        self._names = names
        self._problems = problems
        self._add: list[Reservation] = []
        self._change: list[Reservation] = []
        self._remove: list[Key] = []
        self.changes: list[Change] = []
        self.waiting: list[tuple[Reservation, str]] = []

    @property
    def work(self) -> Work:
        return Work(self._remove, self._change, self._add)

    def compare(self, found: Reservation) -> bool:
        """Notes what is to be done for one.  Returns whether it is there as it should be."""
        after = content(found, self._server)
        before = self._mine.pop(found.key, None)
        if before == after:
            return True
        row = self._foreign.get(found.key)
        if row is not None and row.substruct and _alike(row, found):
            self.waiting.append((found, self._names.get(found.machine, '')))
            return False  # another boot server that shares these tables has made it
        if row is None and found.address:
            row = self._taken.get((found.family, found.subnet, found.address))
        if row is not None:
            self.waiting.append((found, self._names.get(found.machine, '')))
            self._clash(found, row)
            return before is not None  # what it has now stays
        machine = self._names.get(found.machine, '')
        if before is None:
            self._add.append(found)
            self.changes.append(Change('add', _title(found.key), '', describe(after), machine))
        else:
            self._change.append(found)
            self.changes.append(Change('change', _title(found.key), describe(before), describe(after), machine))
        return False

    def _clash(self, found: Reservation, row: Row) -> None:
        what = f'{found.kind} {found.identifier}'
        if row.key is not None and row.key != found.key:
            what = f'address {found.address} ({row.key[2]} {row.key[3]})'
        self._problems.append(
            Problem(
                'dhcp',
                'machine',
                found.machine,
                self._names.get(found.machine, str(found.machine)),
                f"Kea's host database has a reservation of {what} in "
                f'{f"subnet {found.subnet}" if found.subnet else "every subnet"} that Substruct has not made'
                f'{": " + row.hostname if row.hostname else ""}.',
                'It is left as it is; remove it if the machine is to be served as NetBox says.',
            )
        )

    def gone(self, left: Iterable[tuple[Key, int]]) -> None:
        for key, machine in left:
            if key in self._mine:
                self._remove.append(key)
                self.changes.append(
                    Change('remove', _title(key), describe(self._mine[key]), '', self._names.get(machine, ''))
                )


def _alike(row: Row, found: Reservation) -> bool:
    """Whether a row of another boot server says the same of the client."""
    return content(found, 0).rpartition('|')[0] == row.content.partition('|{')[0]


def _title(key: Key) -> str:
    family, subnet, kind, identifier = key
    return f'host{family} {kind} {identifier} in {f"subnet {subnet}" if subnet else "every subnet"}'


def _name(key: Key) -> str:
    """A key in the ledger."""
    return f'{key[0]}/{key[1]}/{key[2]}/{key[3]}'


def _key(name: str) -> Key:
    family, subnet, kind, identifier = name.split('/', 3)
    return int(family), int(subnet), kind, identifier  # type: ignore[return-value]


def _entry(key: Key, machine: int) -> tuple[str, str, str]:
    return _name(key), _owner(machine), ''


def _owner(machine: int) -> str:
    return f'machine {machine}'
