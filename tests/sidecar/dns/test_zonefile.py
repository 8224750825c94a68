"""Zone files for BIND and NSD: whole, checked, loaded, with serial numbers that only go forwards."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.desired import Zone
from substruct_sidecar.dns import zonefile
from substruct_sidecar.service import ApplyError
from substruct_sidecar.settings import Zonefile

from ..world import World
from .conftest import MakeSite, Serve, Site, records
from .servers import Bind, Nsd, need, until, zone_text

ZONE, REVERSE = 'example.com', '0/26.2.0.192.in-addr.arpa'
SERVERS = ['ns1.example.net', 'ns2.example.net']


class Case:
    """A name server that loads what Substruct writes."""

    def __init__(self, kind: str, folder: Path, serve: Serve) -> None:
        self.server: Bind | Nsd
        if kind == 'bind':
            self.server = serve(Bind, folder / 'server', {ZONE: '', REVERSE: ''}, '')
            self.check, self.reload = Zonefile().check, [*self.server.rndc, 'reload']
        else:
            self.server = serve(Nsd, folder / 'server', {ZONE: '', REVERSE: ''})
            self.check, self.reload = ['nsd-checkzone'], [*self.server.control, 'reload']

    def settings(self, **values: Any) -> dict[str, Any]:
        values = {
            'directory': str(self.server.folder), 'check': self.check, 'reload': self.reload,
            'server': self.server.address, **values,
        }  # fmt: skip
        return {'zonefile': Zonefile(**values)}

    @property
    def path(self) -> Path:
        return self.server.file(ZONE)


@pytest.fixture(params=['bind', 'nsd'])
def case(request: pytest.FixtureRequest, tmp_path: Path, serve: Serve) -> Case:
    return Case(request.param, tmp_path, serve)


@pytest.fixture
def bind(tmp_path: Path, serve: Serve) -> Case:
    return Case('bind', tmp_path, serve)


def a_zone(world: World, name: str = ZONE, **values: Any) -> Zone:
    return world.add_zone(name, update_method='zonefile', **{'name_servers': SERVERS, **values})


def test_records_appear_change_and_go_and_the_serial_grows_only_with_them(
    case: Case, world: World, site: MakeSite
) -> None:
    here = site(**case.settings())
    zone = a_zone(world, rname='host.master@example.com')
    reverse = a_zone(world, REVERSE)
    one, _ = records(world, zone, reverse, ('srv-1.example.com', '192.0.2.1'), ('srv-2.example.com', '192.0.2.2'))
    plan = here.apply()
    assert {change.key for change in plan.changes} >= {'srv-1.example.com. A', f'1.{REVERSE}. PTR'}
    assert case.server.dig('srv-1.example.com') == ['192.0.2.1']
    assert case.server.dig(f'2.{REVERSE}', 'PTR') == ['srv-2.example.com.']
    assert case.server.dig(ZONE, 'NS') == ['ns1.example.net.', 'ns2.example.net.']
    soa = case.server.dig(ZONE, 'SOA')[0].split()
    assert soa[:2] == ['ns1.example.net.', 'host\\.master.example.com.']
    serial, reverse_serial = int(soa[2]), case.server.soa(REVERSE)
    assert here.verify() == []

    # Looked at again, also by a sidecar that was started anew, nothing is written and nothing is loaded.
    written = case.path.stat().st_mtime_ns
    here.again()
    assert not here.apply(everything=True)
    assert (case.path.stat().st_mtime_ns, case.server.soa(ZONE)) == (written, serial)

    world.change(one, address='192.0.2.3')
    plan = here.apply()
    assert [change.operation for change in plan.changes if change.key == 'srv-1.example.com. A'] == ['change']
    assert case.server.dig('srv-1.example.com') == ['192.0.2.3']
    assert case.server.soa(ZONE) == serial + 1
    world.remove(one)
    here.apply()
    assert case.server.dig('srv-1.example.com') == []
    assert case.server.soa(ZONE) == serial + 2
    assert case.server.soa(REVERSE) == reverse_serial + 2
    assert here.verify() == []


def test_hand_written_records_have_a_file_of_their_own(case: Case, world: World, site: MakeSite) -> None:
    here = site(**case.settings())
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    serial = case.server.soa(ZONE)
    include = case.path.with_suffix('.include')
    include.write_text('hand IN A 192.0.2.77\n$ORIGIN deep.example.com.\nx IN TXT "by hand"\n')
    here.apply(everything=True)
    assert case.server.dig('hand.example.com') == ['192.0.2.77']
    assert case.server.dig('x.deep.example.com', 'TXT') == ['"by hand"']
    assert case.server.dig('srv-1.example.com') == ['192.0.2.1']
    assert case.server.soa(ZONE) == serial + 1
    include.write_text('hand IN A 192.0.2.78\n')
    here.apply(everything=True)
    assert case.server.dig('hand.example.com') == ['192.0.2.78']
    assert case.server.soa(ZONE) == serial + 2
    assert not here.plan(everything=True)

    # What would break the zone is refused by the checker; the last good one is served.
    include.write_text('srv-1 IN CNAME somewhere.else.\n')
    with pytest.raises(ApplyError, match=r'refused by .*checkzone.*The old one is served'):
        here.apply(everything=True)
    assert case.server.soa(ZONE) == serial + 2
    include.unlink()
    here.apply(everything=True)
    assert case.server.dig('hand.example.com') == []
    assert case.server.soa(ZONE) > serial + 2


def test_the_last_good_file_comes_back_if_the_server_does_not_take_the_new(
    bind: Case, tmp_path: Path, world: World, site: MakeSite
) -> None:
    """The checker is content, the server is not: here because it reads another file."""
    here = site(**bind.settings(patience=0.3))
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    before, serial = bind.path.read_text(), bind.server.soa(ZONE)
    fails = tmp_path / 'fails-once'
    fails.write_text('#!/bin/sh\nif [ ! -e "$0.done" ]; then touch "$0.done"; echo no, thank you >&2; exit 1; fi\n')
    fails.chmod(0o755)
    here.settings = type(here.settings)(enabled=True, **bind.settings(reload=[str(fails)]))
    here.again()
    records(world, zone, None, ('srv-2.example.com', '192.0.2.2'))
    with pytest.raises(ApplyError, match=r'no, thank you.*last good file was put back'):
        here.apply(everything=True)
    assert bind.path.read_text() == before
    here.settings = type(here.settings)(enabled=True, **bind.settings())
    here.again()
    here.apply(everything=True)
    assert bind.server.dig('srv-2.example.com') == ['192.0.2.2']
    assert bind.server.soa(ZONE) == serial + 2  # the number of the one that failed is never given again


def test_a_serial_goes_forwards_whatever_is_lost_and_whatever_the_clock_says(
    bind: Case, world: World, site: MakeSite, tmp_path: Path
) -> None:
    here = site(**bind.settings())
    zone = a_zone(world)
    number = 0

    def change() -> int:
        nonlocal number
        number += 1
        records(world, zone, None, (f'srv-{number}.example.com', '192.0.2.1'))
        here.apply(everything=True)
        return bind.server.soa(ZONE)

    serial = change()
    here.dns.files.clock = lambda: 86400.0  # 1970
    assert change() == serial + 1
    here.dns.files.clock = lambda: 4102444800.0  # 2100
    assert change() == serial + 2
    here.close()
    (tmp_path / 'ledger.sqlite').unlink()
    here = Site(tmp_path, world, here.settings)
    here.dns.files.clock = lambda: 86400.0
    assert change() == serial + 3
    bind.path.unlink()
    assert change() == serial + 4
    # Ledger and file at once: the server that serves it knows.
    here.close()
    (tmp_path / 'ledger.sqlite').unlink()
    bind.path.unlink()
    here = Site(tmp_path, world, here.settings)
    here.dns.files.clock = lambda: 86400.0
    assert change() == serial + 5
    here.close()


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**32 - 1)), max_size=3), st.floats(0, 2**33))
def test_the_next_serial_is_later_than_each_that_is_known(known: list[int | None], now: float) -> None:
    latest = zonefile.later(known)
    found = zonefile.next_serial(known, now)
    assert 0 < found < 2**32
    if latest is not None:
        assert zonefile.is_later(found, latest)


def test_a_file_of_somebody_else_is_never_written_over(bind: Case, world: World, site: MakeSite) -> None:
    bind.path.write_text(zone_text(ZONE, 'old A 192.0.2.99'))
    before = bind.path.read_bytes()
    here = site(**bind.settings())
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    plan = here.apply()
    assert not plan and bind.path.read_bytes() == before
    assert 'was not written by Substruct' in str(plan.problems[0])


def test_what_was_edited_by_hand_is_noticed_and_written_anew(bind: Case, world: World, site: MakeSite) -> None:
    here = site(**bind.settings())
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    good = bind.path.read_text()
    bind.path.write_text(good.replace('192.0.2.1', '192.0.2.66'))
    assert 'edited by hand' in str(here.verify()[0])
    assert here.apply(everything=True)
    assert bind.server.dig('srv-1.example.com') == ['192.0.2.1']
    assert here.verify() == []


def test_a_server_that_lost_its_load_is_told_again(bind: Case, world: World, site: MakeSite) -> None:
    here = site(**bind.settings())
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    # The server runs with an older file for some reason.
    now = bind.path.read_text()
    serial = bind.server.soa(ZONE)
    bind.path.write_text(now.replace(str(serial), str(serial - 5)))
    bind.server.stop()
    bind.server.start()
    until(lambda: bind.server.soa(ZONE) == serial - 5, 'the older file is not served')
    bind.path.write_text(now)
    assert 'is served instead of' in str(here.verify()[0])
    here.apply(everything=True)
    assert bind.server.soa(ZONE) == serial


def test_two_zones_one_of_which_is_wrong(bind: Case, world: World, site: MakeSite) -> None:
    here = site(**bind.settings())
    good, bad = a_zone(world), a_zone(world, REVERSE, name_servers=[])
    records(world, good, bad, ('srv-1.example.com', '192.0.2.1'))
    plan = here.apply()
    assert bind.server.dig('srv-1.example.com') == ['192.0.2.1']
    assert [str(problem) for problem in plan.problems] == [
        f'zone {REVERSE}: It has no name servers. Correct the zone in NetBox.'
    ]


def test_a_full_disk_leaves_the_old_file(
    bind: Case, world: World, site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(**bind.settings())
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    before = bind.path.read_bytes()
    records(world, zone, None, ('srv-2.example.com', '192.0.2.2'))

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('substruct_sidecar.files.os.fsync', full)
        with pytest.raises(ApplyError, match='No space left'):
            here.apply(everything=True)
    assert bind.path.read_bytes() == before
    here.apply(everything=True)
    assert bind.server.dig('srv-2.example.com') == ['192.0.2.2']


@pytest.mark.parametrize('checker', [['named-checkzone', '-i', 'local'], ['nsd-checkzone']])
def test_a_zone_that_is_gone_is_reported_until_its_file_is(
    tmp_path: Path, world: World, site: MakeSite, checker: list[str]
) -> None:
    need(checker[0])
    folder = tmp_path / 'zones'
    folder.mkdir()
    here = site(zonefile=Zonefile(directory=str(folder), check=checker))
    zone = a_zone(world)
    here.apply()
    world.remove(zone)
    assert 'its file' in str(here.plan().problems[0])
    (folder / 'example.com.zone').unlink()
    assert not here.plan(everything=True).problems


def test_the_lines_of_a_file_are_what_the_checker_reads(tmp_path: Path, world: World, site: MakeSite) -> None:
    need('named-checkzone')
    folder = tmp_path / 'zones'
    folder.mkdir()
    here = site(zonefile=Zonefile(directory=str(folder)))
    zone = a_zone(world)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'), ('srv-1.example.com', '2001:db8::1'))
    world.add_record('*.wild.example.com', address='192.0.2.9', forward_zone=zone.id)
    world.add_record('m.example.com', type='MX', value='10 srv-1', forward_zone=zone.id)
    world.add_record(
        't.example.com', type='TXT', value='"semi;colon" "quo\\"te" "back\\\\slash" "(paren"', forward_zone=zone.id
    )
    world.add_record('c.example.com', type='CAA', value='0 issue "ca.example.net; policy=ev"', forward_zone=zone.id)
    world.add_record('u.example.com', type='TYPE65280', value='\\# 3 abcdef', forward_zone=zone.id)
    here.apply()
    done = subprocess.run(
        ['named-checkzone', '-D', '-o', '-', ZONE, str(folder / 'example.com.zone')],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    read = {re.sub(r'\s+', ' ', line).lower() for line in done.stdout.splitlines()}
    ours = {line.lower() for line in (folder / 'example.com.zone').read_text().splitlines() if line[0] != ';'}
    assert ours == read
