"""Hosts in Kea's tables: whose rows are whose, what a change costs, and what happens when something breaks off.

With PostgreSQL and MariaDB, both real; Kea itself answers where it matters.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.dhcp.kea import Kea
from substruct_sidecar.dhcp.kea_database import Hosts
from substruct_sidecar.dhcp.kea_rows import Rows
from substruct_sidecar.ledger import Ledger
from substruct_sidecar.plan import Plan
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.service import ApplyError
from tests.sidecar import net
from tests.sidecar.dhcp import kea_servers
from tests.sidecar.dhcp.backend_kea import KeaConfig, KeaMySql, KeaPostgreSql
from tests.sidecar.dhcp.client import UEFI, Client, Client6, Link
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import boots, does_not_boot
from tests.sidecar.net import Lan
from tests.sidecar.world import World

MAC = '02:00:00:00:03:{:02x}'.format
FOREIGN = b'\x02\0\0\0\x09\x01'


both = pytest.mark.parametrize('served', (KeaPostgreSql, KeaMySql), indirect=True, ids=lambda kind: kind.database)
"""Tests of what is said in SQL.  The others are about what stands above it."""


@pytest.fixture
def served(request: pytest.FixtureRequest, namespaces: None, lan: net.Lan, tmp_path: Path) -> Iterator[Served]:
    """Two machines in a subnet of each family."""
    kind: type[KeaConfig] = getattr(request, 'param', KeaPostgreSql)
    if reason := kind.missing():
        pytest.skip(reason)
    made = Served(World(tmp_path), kind(lan, tmp_path), Link(lan.near), lan)
    try:
        made.world.add_subnet(Lan.NEAR4, gateway='10.60.0.1', lease_range=('10.60.0.100', '10.60.0.150'))
        made.world.add_subnet(Lan.NEAR6, lease_range=('2001:db8:60::1000', '2001:db8:60::1fff'))
        for number in (1, 2):
            a_machine(made, number)
        made.start()
        yield made
    finally:
        made.close()


def a_machine(served: Served, number: int, **values: Any) -> Any:
    addresses = (f'10.60.0.{10 + number}/24', f'2001:db8:60::{10 + number}/64')
    return served.world.add_machine(f'srv-{number}', mac=MAC(number), address=addresses, **values)


def rows(served: Served) -> int:
    return int(server(served).execute('SELECT count(*) FROM hosts')[0][0])


def server(served: Served) -> kea_servers.Server:
    assert isinstance(served.backend, KeaConfig) and served.backend.server is not None
    return served.backend.server


def service(served: Served) -> Kea:
    assert isinstance(served.backend.service, Kea)
    return served.backend.service


def table(served: Served) -> Rows:
    found = service(served)._rows
    assert found is not None
    return found


def hosts(served: Served) -> Hosts:
    return table(served).hosts


def by_hand(served: Served, identifier: bytes, subnet: int, address: int, hostname: str, context: str = '') -> None:
    server(served).execute(
        'INSERT INTO hosts (dhcp_identifier, dhcp_identifier_type, dhcp4_subnet_id, ipv4_address, hostname, '
        'user_context) VALUES (%s, 0, %s, %s, %s, %s)',
        identifier, subnet, address, hostname, context or None,
    )  # fmt: skip


def problems(plan: Plan) -> str:
    return ' '.join(str(problem) for problem in plan.problems)


def verified(served: Served) -> list[str]:
    with served.world.view() as view:
        return [str(problem) for problem in served.backend.service.verify(view)]


def lease(served: Served, number: int) -> Any:
    return Client(served.link, MAC(number), UEFI).lease()


@both
def test_machines_come_change_and_go_while_kea_goes_on(served: Served) -> None:
    """The whole life of a machine, without Kea being told anything."""
    backend = served.backend
    assert isinstance(backend, KeaConfig)
    before = backend.output(4).read_bytes()
    boots(lease(served, 1), UEFI)
    assert rows(served) == 2 * 4  # everywhere and in its subnet, in both families

    machine = a_machine(served, 3)
    plan = served.apply()
    assert (plan.full, plan.count('add'), plan.count('change'), plan.disruption) == (False, 4, 0, '')
    assert lease(served, 3).yiaddr == '10.60.0.13'
    assert Client6(served.link, MAC(3)).lease().addresses == ('2001:db8:60::13',)

    served.world.boots(machine, 'nothing')
    plan = served.apply()
    assert (plan.full, plan.summary()) == (False, '0 to add, 4 to change, 0 to remove')
    assert 'does not boot' in '\n'.join(plan.diff())
    does_not_boot(lease(served, 3))

    moved = served.world.interface(mac=MAC(3), address=('10.60.0.33/24', '2001:db8:60::33/64'))
    served.world.change(machine, interfaces=[moved])
    served.apply()
    assert lease(served, 3).yiaddr == '10.60.0.33'

    served.world.remove(machine)
    plan = served.apply()
    assert (plan.full, plan.count('remove')) == (False, 4)
    assert rows(served) == 2 * 4
    assert lease(served, 3).yiaddr.startswith('10.60.0.1')
    assert not served.left().changes
    assert backend.output(4).read_bytes() == before
    assert verified(served) == []


@both
def test_rows_of_others_are_never_touched(served: Served) -> None:
    """Neither those that look like ours nor those that stand where ours should."""
    subnet = served.world.objects['subnet', 1].id
    by_hand(served, FOREIGN, subnet, 0x0A3C004D, 'mine')
    by_hand(served, b'\x02\0\0\0\x09\x02', subnet, 0, 'other', '{"substruct-of-another": {}}')
    by_hand(served, b'\x02\0\0\0\x09\x03', subnet, 0, 'broken', '{"substruct": ')
    by_hand(
        served, b'\x02\0\0\0\x09\x04', subnet, 0, 'server-9', '{"substruct":{"server":9,"machine":1,"host":"m1.1"}}'
    )
    foreign = sorted(server(served).execute('SELECT host_id, hostname FROM hosts WHERE hostname NOT LIKE %s', 'srv%'))
    assert Client(served.link, '02:00:00:00:09:01').lease().yiaddr == '10.60.0.77'
    for full in (False, True):
        served.world.add_machine('thief', mac='02:00:00:00:09:01', address='10.60.0.78/24', id=50)
        served.world.add_machine('heir', mac=MAC(9), address='10.60.0.77/24', id=51)
        plan = served.apply(full=full)
        assert {problem.name for problem in plan.problems} == {'thief', 'heir'}
        assert 'that Substruct has not made' in problems(plan)
        assert 'address 10.60.0.77' in problems(plan)
        assert served.apply(full=True).summary() == '0 to add, 0 to change, 0 to remove'
        for number in (50, 51):
            served.world.remove(served.world.objects['machine', number])
        served.apply(full=full)
    found = sorted(server(served).execute('SELECT host_id, hostname FROM hosts WHERE hostname NOT LIKE %s', 'srv%'))
    assert found == foreign
    assert rows(served) == 2 * 4 + 4
    assert Client(served.link, '02:00:00:00:09:01').lease().yiaddr == '10.60.0.77'


@both
def test_what_stood_in_the_way_and_has_gone_is_noticed(served: Served) -> None:
    """A person removes it because the problem says so, or another boot server that had the machine before."""
    subnet = served.world.objects['subnet', 1].id
    by_hand(served, b'\x02\0\0\0\x09\x01', subnet, 0, 'mine')
    by_hand(served, b'\x02\0\0\0\x09\x09', subnet, 0x0A3C004D, 'mine')
    moved = '{"substruct":{"server":9,"machine":1,"host":"m1.1"}}'
    by_hand(served, b'\x02\0\0\0\x09\x02', subnet, 0x0A3C004F, 'server-9', moved)
    for number, name in ((1, 'thief'), (2, 'moved'), (9, 'heir')):
        address = {1: 78, 2: 80, 9: 77}[number]
        served.world.add_machine(name, mac=f'02:00:00:00:{10 if name == "heir" else 9:02x}:{number:02x}',
                                 address=f'10.60.0.{address}/24')  # fmt: skip
    plan = served.apply()
    assert {problem.name for problem in plan.problems} == {'thief', 'heir', 'moved'}
    assert verified(served) == []
    for identifier, name in ((b'\x01', 'thief'), (b'\x02', 'moved'), (b'\x09', 'heir')):
        server(served).execute(
            'DELETE FROM hosts WHERE dhcp_identifier = %s AND dhcp4_subnet_id = %s AND hostname <> %s',
            b'\x02\0\0\0\x09' + identifier, subnet, name,
        )  # fmt: skip
        (said,) = verified(served)
        assert name in said and 'has gone' in said
        served.apply(full=True)
        assert verified(served) == []
    assert Client(served.link, '02:00:00:00:09:02').lease().yiaddr == '10.60.0.80'


@both
def test_what_somebody_did_to_our_rows_is_mended(served: Served) -> None:
    server(served).execute("UPDATE hosts SET ipv4_address = 1 WHERE hostname = 'srv-1' AND dhcp4_subnet_id > 0")
    server(served).execute("DELETE FROM hosts WHERE hostname = 'srv-2'")
    assert any('somebody removed some' in problem for problem in verified(served))
    plan = served.apply(full=True)
    assert plan.summary() == '4 to add, 1 to change, 0 to remove'
    assert [lease(served, number).yiaddr for number in (1, 2)] == ['10.60.0.11', '10.60.0.12']
    assert verified(served) == []


def test_the_ledger_may_be_lost(served: Served) -> None:
    backend = served.backend
    (backend.folder / 'ledger.sqlite').rename(backend.folder / 'lost')
    for extra in ('-wal', '-shm'):
        (backend.folder / f'ledger.sqlite{extra}').unlink(missing_ok=True)
    backend.restart_service()
    assert not served.left().changes  # and it knows them again
    machine = served.world.objects['machine', 1]
    served.world.change(
        machine, interfaces=[served.world.interface(mac=MAC(99), address='10.60.0.11/24')], boot_mac=MAC(99)
    )  # type: ignore[arg-type]
    plan = served.apply()
    assert not plan.full
    assert rows(served) == 3 + 4  # that of 2001:db8:60::11 has gone
    assert lease(served, 99).yiaddr == '10.60.0.11'
    assert not served.left().changes


def test_two_sidecars_of_one_boot_server_agree(served: Served, tmp_path: Path) -> None:
    """Both keep the same rows, each with a ledger of its own."""
    from substruct_sidecar.ledger import Book

    book = Book(tmp_path / 'second.sqlite')
    first = service(served)
    second = Kea(
        _settings(served), Secrets(tmp_path, {'SUBSTRUCT_SECRET_KEA': 'se cret'}), book.of('dhcp kea')
    )  # fmt: skip
    with served.world.view() as view, served.lan.server.entered():
        assert not second.plan(view).changes
    machine = a_machine(served, 3)
    served.apply()
    with served.world.view() as view, served.lan.server.entered():
        assert not second.plan(view, view.changed(view.revision - 1)).changes
    # What the first has put there, the second can change and remove.
    served.world.change(
        machine, interfaces=[served.world.interface(mac=MAC(88), address='10.60.0.13/24')], boot_mac=MAC(88)
    )
    with served.world.view() as view, served.lan.server.entered():
        plan = second.plan(view, view.changed(view.revision - 1))
        assert not plan.full
        second.apply(plan)
    with served.world.view() as view, served.lan.server.entered():
        assert not first.plan(view).changes
    assert lease(served, 88).yiaddr == '10.60.0.13'
    # What one has removed is not missing for the other.
    served.world.remove(machine)
    served.apply()
    for changed in (True, False):
        with served.world.view() as view, served.lan.server.entered():
            assert not second.plan(view, view.changed(view.revision - 1) if changed else None).changes
            assert [str(problem) for problem in second.verify(view)] == []
    assert verified(served) == []
    book.close()


def _settings(served: Served) -> Any:
    from substruct_sidecar.settings import Dhcp
    from tests.sidecar.dhcp.backend import settings

    return settings(served.backend.folder, Dhcp(backend='kea', kea=service(served)._settings))


@pytest.mark.parametrize('step', ('before the ledger', 'after the ledger', 'before the commit', 'after the commit'))
def test_a_sidecar_that_is_killed_anywhere_loses_nothing(served: Served, step: str) -> None:
    machine = a_machine(served, 3)
    served.apply()
    served.world.change(
        machine, interfaces=[served.world.interface(mac=MAC(33), address='10.60.0.13/24')], boot_mac=MAC(33)
    )
    served.world.sync()
    child = os.fork()
    if child == 0:
        try:
            _apply_and_die(served, step)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    done = step == 'after the commit'
    assert lease(served, 33).yiaddr.startswith('10.60.0.13' if done else '10.60.0.1')
    served.backend.restart_service()
    # The sidecar looks at everything after a start; but what the ledger knows must be enough, too.
    plan = served.apply(full=False)
    # Only leases that stand in the way are left to be ended.
    assert ({change.key for change in plan.changes} == {'leases'}) == done
    assert rows(served) == 2 * 4 + 3
    assert lease(served, 33).yiaddr == '10.60.0.13'
    assert not served.left().changes
    assert verified(served) == []


def _apply_and_die(served: Served, step: str) -> None:
    def die(*arguments: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    real_write, real_rows = Ledger.write, Hosts.write
    served.backend.restart_service()
    with served.world.state.view() as view, served.lan.server.entered():
        plan = served.backend.service.plan(view)
        if step == 'before the ledger':
            Ledger.write = die  # type: ignore[method-assign,assignment]
        elif step == 'after the ledger':
            Hosts.write = die  # type: ignore[method-assign,assignment]
        elif step == 'before the commit':

            def write(*arguments: Any) -> None:
                real_rows(*arguments)
                die()

            Hosts.write = write  # type: ignore[method-assign,assignment]
        else:

            def note(self: Ledger, put: Any = (), remove: Any = (), **marks: str) -> None:
                if put or marks:
                    real_write(self, put, **marks)
                else:
                    die()

            Ledger.write = note  # type: ignore[method-assign,assignment]
        served.backend.service.apply(plan)


@both
def test_without_its_database_the_plan_says_so_and_nothing_is_changed(served: Served) -> None:
    found = service(served)
    url = hosts(served).url
    hosts(served).url = url.replace('/kea?', '/nothing?')
    a_machine(served, 3)
    with pytest.raises(ApplyError, match=r'host database .*nothing.*Hosts stay as they are') as error:
        served.apply()
    assert 'se cret' not in str(error.value)
    assert any('host database' in problem for problem in verified(served))
    assert {finding.verdict for finding in found.check() if finding.part == 'Kea host database'} == {'error'}
    hosts(served).url = url
    served.apply(full=True)
    assert lease(served, 3).yiaddr == '10.60.0.13'


@both
def test_a_row_that_comes_in_between_undoes_the_whole_transaction(served: Served) -> None:
    a_machine(served, 3)
    a_machine(served, 4)
    with served.world.view() as view, served.lan.server.entered():
        plan = served.backend.service.plan(view)
    subnet = served.world.objects['subnet', 1].id
    by_hand(served, b'\x02\0\0\0\x03\x04', subnet, 0, 'quicker')
    with served.lan.server.entered(), pytest.raises(ApplyError, match=r'(?i)duplicate.*No host was changed'):
        served.backend.service.apply(plan)
    assert rows(served) == 2 * 4 + 1
    plan = served.apply(full=True)
    assert 'that Substruct has not made: quicker' in problems(plan)
    assert lease(served, 3).yiaddr == '10.60.0.13'


@both
def test_check_says_what_is_lacking(served: Served) -> None:
    found = service(served)
    assert {finding.verdict for finding in found.check()} == {'ok'}
    version = server(served).execute('SELECT version, minor FROM schema_version')[0]
    server(served).execute('UPDATE schema_version SET version = 3')
    try:
        assert any('older than' in message for message, _ in hosts(served).faults())
    finally:
        server(served).execute('UPDATE schema_version SET version = %s, minor = %s', *version)
    if server(served).kind == 'postgresql':
        server(served).execute('CREATE ROLE reader LOGIN')
        server(served).execute('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader')
        reader = Hosts(hosts(served).url.replace('kea@', 'reader@'))
        messages = [message for message, _ in reader.faults()]
        server(served).execute('DROP OWNED BY reader')
        server(served).execute('DROP ROLE reader')
    else:
        server(served).execute("CREATE USER reader@localhost IDENTIFIED BY ''")
        server(served).execute('GRANT SELECT ON kea.* TO reader@localhost')
        reader = Hosts(hosts(served).url.replace('kea@', 'reader@'))
        messages = [message for message, _ in reader.faults()]
        server(served).execute('DROP USER reader@localhost')
    assert any('may not' in message for message in messages)


@both
def test_ipv6_addresses_of_newer_layouts(served: Served) -> None:
    """Since Kea 2.3 they are no text any more."""
    kind = 'INET USING address::inet' if server(served).kind == 'postgresql' else 'BINARY(16)'
    server(served).execute('DELETE FROM ipv6_reservations')
    alter = 'ALTER COLUMN address TYPE' if server(served).kind == 'postgresql' else 'MODIFY address'
    server(served).execute(f'ALTER TABLE ipv6_reservations {alter} {kind}')
    try:
        served.backend.restart_service()
        plan = served.left()
        assert plan.summary() == '0 to add, 2 to change, 0 to remove'
        table(served).write(plan.payload.work, plan.payload.server)
        assert not served.left().changes
        with hosts(served).connected() as connection:
            found = [row.address for row in hosts(served).at(connection, [(6, 2, '2001:db8:60::11')], 5)]
        assert found == ['2001:db8:60::11']
    finally:
        server(served).execute('DELETE FROM ipv6_reservations')
        back = 'VARCHAR(39) USING host(address)' if server(served).kind == 'postgresql' else 'VARCHAR(39) NOT NULL'
        server(served).execute(f'ALTER TABLE ipv6_reservations {alter} {back}')


def test_a_change_costs_the_same_however_many_machines_there_are(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in statements, for no test depends on time."""

    def statements() -> int:
        counted = 0
        real = Hosts.connected

        class Cursor:
            def __init__(self, real: Any) -> None:
                self._real = real

            def __enter__(self) -> 'Cursor':
                self._real.__enter__()
                return self

            def __exit__(self, *error: object) -> None:
                self._real.__exit__(*error)

            def __getattr__(self, name: str) -> Any:
                nonlocal counted
                if name in ('execute', 'executemany'):
                    counted += 1
                return getattr(self._real, name)

        class Connection:
            def __init__(self, real: Any) -> None:
                self._real = real

            def cursor(self, *arguments: Any, **more: Any) -> Cursor:
                return Cursor(self._real.cursor(*arguments, **more))

        import contextlib

        @contextlib.contextmanager
        def connected(self: Hosts) -> Iterator[Any]:
            with real(self) as connection:
                yield Connection(connection)

        with monkeypatch.context() as patched:
            patched.setattr(Hosts, 'connected', connected)
            machine = served.world.objects['machine', 1]
            served.world.change(machine, hostname=f'srv-1-{rows(served)}')  # type: ignore[arg-type]
            assert not served.apply().full
        return counted

    few = statements()
    for number in range(3, 60):
        a_machine(served, number)
    served.apply()
    assert statements() == few < 20
