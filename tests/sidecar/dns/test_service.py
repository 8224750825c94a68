"""Whatever changes, in whatever order: what was looked at bit by bit is as if everything had been looked at."""

import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from substruct_sidecar.dns.access import Access
from substruct_sidecar.dns.keeper import Place
from substruct_sidecar.dns.server import Conflict, Edit, Found, Refused, Unreachable
from substruct_sidecar.plan import Limits, Unsafe, guard
from substruct_sidecar.service import ApplyError
from substruct_sidecar.settings import Dns as DnsSettings
from substruct_sidecar.settings import Powerdns, Rfc2136, Zonefile

from ..world import World
from .conftest import MakeSite, Site, records

ZONE, REVERSE = 'example.com', '2.0.192.in-addr.arpa'

type Content = dict[tuple[str, str], dict[str, int]]


class Memory:
    """A server of zones in memory, with the conditions of RFC 2136: for thousands of updates."""

    merges = False

    def __init__(self, zones: dict[str, Content], zone: str) -> None:
        self.content = zones.setdefault(zone, {})
        self.updates = 0

    def send(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            there = self.content.get((edit.name, edit.type), {})
            others = {type_ for (name, type_), values in self.content.items() if name == edit.name and values}
            if (
                there.keys() != edit.expect
                or (edit.clear == 'cname' and 'CNAME' in others)
                or (edit.clear == 'name' and others)
            ):
                raise Conflict
        for edit in edits:
            values = self.content.setdefault((edit.name, edit.type), {})
            for value in edit.remove:
                del values[value]
        for edit in edits:
            for value in edit.add:
                self.content.setdefault((edit.name, edit.type), {})[value] = edit.ttl

    def read(self, wanted: Mapping[str, Iterable[str]], *, others: bool = False) -> dict[str, Found]:
        found: dict[str, Any] = {}
        for (name, type_), values in self.content.items():
            if name in wanted and values:
                found.setdefault(name, {})[type_] = (min(values.values()), frozenset(values))
        return found

    def everything(self) -> Iterator[tuple[str, str, int, str]]:
        for (name, type_), values in self.content.items():
            for value, ttl in values.items():
                yield name, type_, ttl, value

    def serial(self) -> int:
        return 1

    def close(self) -> None: ...


@pytest.fixture
def zones(monkeypatch: pytest.MonkeyPatch) -> dict[str, Content]:
    """What servers hold; all of them are in memory."""
    found: dict[str, Content] = {}
    monkeypatch.setattr(Access, 'server', lambda self, place, credential: Memory(found, place.zone))
    return found


_NAMES = ['a.example.com', 'b.example.com', 'c.example.com', 'bad_name.example.com', 'a.elsewhere.org']
_ADDRESSES = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1', 'none']
_record = st.one_of(
    st.fixed_dictionaries(
        {'name': st.sampled_from(_NAMES), 'address': st.sampled_from(_ADDRESSES),
         'forward_zone': st.sampled_from([1, None]), 'reverse_zone': st.sampled_from([2, None]),
         'ttl': st.sampled_from([None, 60])}
    ),
    st.fixed_dictionaries(
        {'name': st.sampled_from(_NAMES), 'type': st.just('CNAME'), 'value': st.sampled_from(['a', 'b']),
         'forward_zone': st.just(1)}
    ),
)  # fmt: skip
_steps = st.lists(st.lists(st.tuples(st.integers(1, 6), st.none() | _record), min_size=1, max_size=3), max_size=6)
_foreign = st.lists(
    st.tuples(st.sampled_from(_NAMES[:3]), st.sampled_from([('A', '192.0.2.1'), ('A', '192.0.2.77'), ('TXT', '"x"')])),
    max_size=2,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_steps, foreign=_foreign)
def test_bit_by_bit_is_as_everything_at_once(
    steps: list[Any], foreign: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(tmp_path_factory.mktemp('bits'))
    world = World(folder)
    zones: dict[str, Content] = {ZONE: {}}
    for name, (type_, value) in foreign:
        zones[ZONE].setdefault((name, type_), {})[value] = 300
    theirs = {key: dict(values) for key, values in zones[ZONE].items()}
    site = Site(folder, world, DnsSettings(rfc2136=Rfc2136(server='127.0.0.1')))

    def in_memory(place: Place, credential: str) -> Any:
        return Memory(zones, place.zone)

    try:
        site.dns.access.server = in_memory  # type: ignore[method-assign]
        world.add_zone(ZONE)
        world.add_zone(REVERSE)
        site.apply()
        for step in steps:
            for number, values in step:
                if ('record', number) in world.objects:
                    world.remove(world.objects[('record', number)])
                if values is not None:
                    world.add_record(id=number, **values)
            plan = site.apply()
            assert not plan.full
            # Nothing is left for somebody who looks at everything.
            rest = site.plan(everything=True)
            assert not rest.changes
            for key, values in theirs.items():
                assert values.items() <= zones[ZONE][key].items()
        for kind, number in list(world.objects):
            if kind == 'record':
                world.remove(world.objects[(kind, number)])
        site.apply()
        left = {key: values for key, values in zones[ZONE].items() if values and not key[0].startswith('_substruct.')}
        assert left == theirs
        assert site.owned() == set()
    finally:
        site.close()
        world.close()
        shutil.rmtree(folder)


def test_problems_go_with_what_caused_them(world: World, site: MakeSite, zones: dict[str, Content]) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    zone, reverse = world.add_zone(ZONE), world.add_zone(REVERSE)
    first, second = records(world, zone, reverse, ('a.example.com', '192.0.2.1'), ('b.example.com', '192.0.2.1'))
    assert [problem.id for problem in here.apply().problems] == [second.id]
    world.remove(first)
    plan = here.apply()
    assert not plan.full and ('record', second.id) in plan.looked_at and not plan.problems
    assert zones[REVERSE][('1.2.0.192.in-addr.arpa', 'PTR')] == {'b.example.com.': 3600}


def test_a_plan_reads_like_a_zone_file_and_can_be_refused(
    world: World, site: MakeSite, zones: dict[str, Content]
) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    zone = world.add_zone(ZONE)
    many = records(world, zone, None, *((f'srv-{n}.example.com', f'192.0.2.{n}') for n in range(40)))
    here.apply()
    world.change(many[0], address='192.0.2.200')
    assert list(here.plan(everything=True).diff()) == [
        'dns: 0 to add, 1 to change, 0 to remove; 40 there now',
        '  ~ srv-0.example.com. A',
        '      - srv-0.example.com. 3600 IN A 192.0.2.0',
        '      + srv-0.example.com. 3600 IN A 192.0.2.200',
    ]
    world.clear()
    plan = here.plan(everything=True)
    with pytest.raises(Unsafe, match='would remove 41 of 40'):
        guard(plan, Limits())


def test_one_server_that_does_not_answer_is_asked_once(
    world: World, site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Away(Memory):
        def send(self, edits: Sequence[Edit]) -> None:
            asked.append(edits)
            raise Unreachable('It is away.')

    monkeypatch.setattr(Access, 'server', lambda self, place, credential: Away({}, place.zone))
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    for n in range(5):
        zone = world.add_zone(f'zone-{n}.example')
        records(world, zone, None, (f'a.zone-{n}.example', '192.0.2.1'))
    with pytest.raises(ApplyError, match='5 of 5 zones'):
        here.apply()
    assert len(asked) == 1


class Refusing(Memory):
    """Takes everything but what has to do with one name."""

    refuses = 'b.example.com'

    def send(self, edits: Sequence[Edit]) -> None:
        if any(edit.name == self.refuses for edit in edits):
            raise Refused('Not that one.')
        super().send(edits)


def test_what_a_server_does_not_let_go_is_told_and_tried_again_later(
    world: World, site: MakeSite, zones: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    zone = world.add_zone(ZONE)
    first, second = records(world, zone, None, ('a.example.com', '192.0.2.1'), ('b.example.com', '192.0.2.2'))
    here.apply()
    with monkeypatch.context() as patch:
        patch.setattr(Access, 'server', lambda self, place, credential: Refusing(zones, place.zone))
        world.remove(first)
        world.remove(second)
        here.apply()
        assert here.owned() == {'b.example.com A'}
        for _ in range(3):
            told = [(problem.id, problem.name) for problem in here.verify()]
            told += [(problem.id, problem.name) for problem in here.plan(everything=True).problems]
            assert (second.id, 'b.example.com') in told
        assert not here.plan(everything=True), 'it is not tried all the time'
    monkeypatch.setattr('substruct_sidecar.dns.service.REFUSED_AGAIN', -1.0)
    assert ['tried again' in problem.remedy for problem in here.verify()] == [True]
    here.apply(everything=True)
    assert here.owned() == set()


def test_a_record_that_a_server_refuses_is_not_tried_each_minute(
    world: World, site: MakeSite, zones: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, 'server', lambda self, place, credential: Refusing(zones, place.zone))
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    records(world, world.add_zone(ZONE), None, ('a.example.com', '192.0.2.1'), ('b.example.com', '192.0.2.2'))
    here.apply()
    assert ['refuses' in problem.message for problem in here.verify()] == [True]
    assert here.verify() == []
    plan = here.plan(everything=True)
    assert not plan and ['refuses' in problem.message for problem in plan.problems] == [True]


def test_a_zone_that_left_is_released_when_all_of_ours_has_gone(
    world: World, site: MakeSite, zones: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1', credential='tsig'))
    zone = world.add_zone(ZONE)
    records(world, zone, None, ('a.example.com', '192.0.2.1'), ('b.example.com', '192.0.2.2'))
    here.apply()
    world.remove(zone)
    with monkeypatch.context() as patch:
        patch.setattr(Access, 'server', lambda self, place, credential: Refusing(zones, place.zone))
        here.apply()
    assert here.owned() == {'b.example.com A'}
    assert here.ledger.get(f'place rfc2136 127.0.0.1 {ZONE}') == ('zone 1', 'tsig'), 'its key is still needed'
    here.apply(everything=True)
    assert not any(zones[ZONE].values())
    assert here.owned() == set() and here.ledger.get(f'place rfc2136 127.0.0.1 {ZONE}') is None


@pytest.mark.parametrize(
    'values', [{'server': 'two words'}, {'update_method': 'of tomorrow'}, {'name': 'no zone!'}, {'server': 'a..b'}]
)
def test_a_zone_that_is_set_wrongly_loses_nothing(
    world: World, site: MakeSite, zones: dict[str, Content], values: dict[str, str]
) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    zone = world.add_zone(ZONE)
    records(world, zone, None, ('a.example.com', '192.0.2.1'))
    here.apply()
    world.change(zone, **values)
    plan = here.apply()
    assert not plan and [problem.what for problem in plan.problems if problem.what == 'zone'] == ['zone']
    assert zones[ZONE][('a.example.com', 'A')] == {'192.0.2.1': 3600}
    world.change(zone, server=None, update_method='rfc2136', name=ZONE)
    assert not here.apply()


_server = st.text(max_size=80) | st.sampled_from(
    ['a..b', 'a' * 64, 'a\0b', 'host:abc', 'host:99999', 'http://x:abc', 'http://', 'https://u:p@h', 'http://a..b',
     'http://h/a b', '[::1', '[::1]:x', 'fe80::1%\n', '²', 'h:²', 'http://h?x', '/etc/passwd', 'ä.example']
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(server=_server, method=st.sampled_from(['rfc2136', 'powerdns', 'zonefile']))
def test_no_server_of_a_zone_keeps_another_zone_from_being_served(
    server: str, method: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(tmp_path_factory.mktemp('server'))
    world = World(folder)
    zones: dict[str, Content] = {}
    fast = Zonefile(directory=str(folder), check=[], patience=0.0)
    site = Site(
        folder, world,
        DnsSettings(rfc2136=Rfc2136(server='good', timeout=0.05), powerdns=Powerdns(timeout=0.05), zonefile=fast),
    )  # fmt: skip
    real = site.dns.access.server

    def good_in_memory(place: Place, credential: str) -> Any:
        return Memory(zones, place.zone) if place.server == 'good' else real(place, 'api' if credential else '')

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('socket.getaddrinfo', _nobody)
            patch.setattr(site.dns.access, 'server', good_in_memory)
            bad, good = world.add_zone('bad.example', server=server, update_method=method), world.add_zone(ZONE)
            records(world, bad, None, ('a.bad.example', '192.0.2.1'))
            records(world, good, None, ('a.example.com', '192.0.2.1'))
            with suppress(ApplyError):
                site.apply()
            assert zones[ZONE][('a.example.com', 'A')] == {'192.0.2.1': 3600}
            site.verify()
    finally:
        site.close()
        world.close()
        shutil.rmtree(folder)


def _nobody(host: str, *_: Any, **__: Any) -> Any:
    """Fails as the resolver does, and asks nobody."""
    if not isinstance(host, str) or host in ('', 'good'):
        raise AssertionError(host)
    host.encode('idna')
    if '\0' in host:
        raise ValueError('embedded null character')
    raise socket.gaierror(-2, 'Name or service not known')


def test_a_server_that_has_lost_everything_gets_everything_again(
    world: World, site: MakeSite, zones: dict[str, Content]
) -> None:
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    records(world, world.add_zone(ZONE), None, *((f'srv-{n}.example.com', f'192.0.2.{n}') for n in range(40)))
    here.apply()
    zones[ZONE].clear()
    assert len(here.verify()) == 40
    plan = here.plan(everything=True)
    guard(plan, Limits())  # it takes nothing away that a person should look at
    here.dns.apply(plan)
    assert len([values for (name, _), values in zones[ZONE].items() if values and name[0] != '_']) == 40


def test_a_zone_whose_server_hangs_lets_the_others_go_first_the_next_time(
    world: World, site: MakeSite, zones: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Memory):
        def send(self, edits: Sequence[Edit]) -> None:
            if any(edit.name.endswith('zone-0.example') for edit in edits):
                raise Unreachable('It did not answer.', sent=True)
            super().send(edits)

    monkeypatch.setattr(Access, 'server', lambda self, place, credential: Hanging(zones, place.zone))
    here = site(rfc2136=Rfc2136(server='127.0.0.1'))
    for n in range(3):
        records(world, world.add_zone(f'zone-{n}.example'), None, (f'a.zone-{n}.example', '192.0.2.1'))
    with pytest.raises(ApplyError, match='3 of 3'):
        here.apply()
    with pytest.raises(ApplyError, match='1 of 3'):
        here.apply(everything=True)
    assert zones['zone-1.example'] and zones['zone-2.example']


def test_check_says_what_is_missing(world: World, site: MakeSite, tmp_path: Path) -> None:
    here = site(
        rfc2136=Rfc2136(credential='no-such-key'),
        zonefile=Zonefile(directory=str(tmp_path / 'nowhere'), check=['no-such-checker'], reload=[]),
    )
    world.add_zone('5.example', update_method='carrier-pigeon')
    world.add_zone('0-63.2.0.192.in-addr.arpa', server='127.0.0.1:1', credential='tsig')
    plan = here.plan()
    assert [problem.name for problem in plan.problems] == ['5.example']
    said = '\n'.join(f'{f.verdict}: {f.part}: {f.message} {f.remedy}' for f in here.dns.check())
    for words in (
        'nowhere: No such file', 'There is no no-such-checker', 'no secret "no-such-key"', 'carrier-pigeon',
        '$GENERATE 0-63 $.2.0.192.in-addr.arpa. CNAME $.0-63.2.0.192.in-addr.arpa.', 'cannot be reached',
    ):  # fmt: skip
        assert words in said
    assert all(sentence.endswith('.') for sentence in here.dns.cannot())
