"""DNS at many records: zone files beside named-checkzone of the same files; one change by dynamic update."""

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from substruct_sidecar.dns.service import Dns
from substruct_sidecar.ledger import Book
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dns as DnsSettings
from substruct_sidecar.settings import Rfc2136, Zonefile
from tests.sidecar.dns.servers import KEY, Bind, zone_text
from tests.sidecar.world import World

from .conftest import Report, sizes

ZONE, REVERSE = 'example.com', '10.in-addr.arpa'


def fill(world: World, count: int, method: str, server: str | None = None) -> None:
    """A forward and a reverse zone, and so many addresses in both."""
    for name in (ZONE, REVERSE):
        world.add_zone(name, update_method=method, server=server, name_servers=['ns1.example.net'])
    for n in range(count):
        world.add_record(
            f'host-{n:06d}.rack-{n % 97}.example.com', address=f'10.{n >> 16}.{n >> 8 & 255}.{n & 255}',
            forward_zone=1, reverse_zone=2,
        )  # fmt: skip
    world.sync()


def service(folder: Path, book: Book, settings: DnsSettings) -> Dns:
    (folder / 'secrets').mkdir(exist_ok=True)
    (folder / 'secrets' / 'tsig').write_text(KEY)
    return Dns(settings, Secrets(folder / 'secrets', {}), book.of('dns'))


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@pytest.mark.parametrize('count', sizes((1_000, 10_000)))
def test_full_plan_and_zone_files(tmp_path: Path, report: Report, count: int) -> None:
    world, book = World(tmp_path), Book(tmp_path / 'ledger.sqlite')
    fill(world, count, 'zonefile')
    zones = tmp_path / 'zones'
    zones.mkdir()
    dns = service(tmp_path, book, DnsSettings(zonefile=Zonefile(directory=str(zones), check=[])))

    def whole() -> None:
        with world.view() as view:
            dns.apply(dns.plan(view))

    def again() -> None:
        with world.view() as view:
            assert not dns.plan(view)

    made = timed(whole)
    planned = min(timed(again) for _ in range(3))
    check = Zonefile().check

    def checked() -> None:
        for name in (ZONE, REVERSE):
            subprocess.run([*check, name, str(zones / f'{name}.zone')], check=True, capture_output=True)

    peer = min(timed(checked) for _ in range(3))
    report.add(
        f'DNS: zone files of {count:,} addresses ({2 * count:,} records), from nothing',
        f'{made:.2f} s; a plan that finds nothing to do {planned:.2f} s',
        f'named-checkzone of these files {peer:.2f} s',
        f'{made / peer:.1f} times (aim: under 5)',
    )
    book.close()
    world.close()


@pytest.mark.parametrize('count', sizes((1_000, 10_000)))
def test_one_change_by_dynamic_update(tmp_path: Path, report: Report, count: int) -> None:
    """From the state on disk to the answer of the name server; the peer is nsupdate for the same two records."""
    world, book = World(tmp_path), Book(tmp_path / 'ledger.sqlite')
    server = Bind(tmp_path / 'server', {name: zone_text(name, 'ns1 A 192.0.2.53') for name in (ZONE, REVERSE)})
    try:
        fill(world, count, 'rfc2136', server.address)
        dns = service(tmp_path, book, DnsSettings(rfc2136=Rfc2136(credential='tsig', timeout=60.0)))

        def everything() -> None:
            with world.view() as view:
                dns.apply(dns.plan(view))

        filled = timed(everything)

        def nothing() -> None:
            with world.view() as view:
                assert not dns.plan(view)

        planned = min(timed(nothing) for _ in range(3))
        world.changes()
        took = []
        for turn in range(20):
            record = world.objects[('record', 1 + turn * (count // 20))]
            world.change(record, address=f'10.250.0.{turn}')
            changed = world.changes()

            def one(changed: object = changed) -> None:
                with world.state.view() as view:
                    plan = dns.plan(view, changed)  # type: ignore[arg-type]
                    assert not plan.full and len(plan.changes) == 3
                    dns.apply(plan)

            took.append(timed(one))
        peer = statistics.median(
            timed(
                lambda turn=turn: [  # type: ignore[misc]
                    server.update(ZONE, f'update add peer-{turn}.example.com. 3600 A 10.251.0.{turn}'),
                    server.update(REVERSE, f'update add {turn}.0.251.10.in-addr.arpa. 3600 PTR peer.example.com.'),
                ]
            )
            for turn in range(5)
        )
        report.add(
            f'DNS: one changed address among {count:,} by dynamic update (A and two PTR, BIND)',
            f'{1000 * statistics.median(took):.0f} ms (slowest {1000 * max(took):.0f}); all of them from nothing '
            f'{filled:.1f} s, full plan {planned:.2f} s',
            f'nsupdate, twice {1000 * peer:.0f} ms',
            'aim: flat in the number of records',
        )
    finally:
        server.stop()
        book.close()
        world.close()
