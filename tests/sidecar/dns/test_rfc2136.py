"""Dynamic updates against BIND, Knot and PowerDNS: ours appear, change and go; what others made stays."""

from pathlib import Path

import pytest

from substruct_sidecar.service import ApplyError
from substruct_sidecar.settings import Rfc2136

from ..world import World
from .conftest import MakeSite, Serve, Site, records
from .servers import FOREIGN, Bind, Knot, NameServer, PowerDnsServer, zone_text

ZONE, REVERSE, REVERSE6 = 'example.com', '2.0.192.in-addr.arpa', '8.b.d.0.1.0.0.2.ip6.arpa'
CLASSLESS = '64-127.100.51.198.in-addr.arpa'
ZONES = {
    ZONE: zone_text(ZONE, *FOREIGN),
    REVERSE: zone_text(REVERSE, '99 PTR old.example.com.'),
    REVERSE6: zone_text(REVERSE6),
    CLASSLESS: zone_text(CLASSLESS),
}


@pytest.fixture(params=[Bind, Knot, PowerDnsServer], ids=['bind', 'knot', 'powerdns'])
def server(request: pytest.FixtureRequest, tmp_path: Path, serve: Serve) -> NameServer:
    return serve(request.param, tmp_path / 'server', ZONES)


@pytest.fixture
def bind(tmp_path: Path, serve: Serve) -> Bind:
    return serve(Bind, tmp_path / 'server', ZONES)


def test_records_appear_change_and_go_and_those_of_others_stay(
    server: NameServer, world: World, site: MakeSite
) -> None:
    before = {zone: server.everything(zone) for zone in ZONES}
    serial = server.soa(ZONE)
    here = site()
    zone, reverse, reverse6, classless = (world.add_zone(name, server=server.address) for name in ZONES)
    one, two = records(world, zone, reverse, ('srv-1.example.com', '192.0.2.1'), ('srv-2.example.com', '192.0.2.2'))
    records(world, zone, reverse6, ('srv-1.example.com', '2001:db8::1'))
    records(world, zone, classless, ('far.example.com', '198.51.100.70'))
    alias = world.add_record('alias.example.com', type='CNAME', value='srv-1', forward_zone=zone.id, ttl=60)
    world.add_record('_sip._tcp.example.com', type='SRV', value='1 2 5060 srv-1.example.com.', forward_zone=zone.id)
    world.add_record('text.example.com', type='TXT', value='"a; b" "c\\"d"', forward_zone=zone.id)

    plan = here.apply()
    assert plan.count('add') == len(plan.changes) == 11
    assert server.dig('srv-1.example.com') == ['192.0.2.1']
    assert server.dig('srv-1.example.com', 'AAAA') == ['2001:db8::1']
    assert server.dig('1.2.0.192.in-addr.arpa', 'PTR') == ['srv-1.example.com.']
    assert server.dig('1.' + '0.' * 23 + REVERSE6, 'PTR') == ['srv-1.example.com.']
    assert server.dig(f'70.{CLASSLESS}', 'PTR') == ['far.example.com.']
    assert server.dig('alias.example.com', 'CNAME') == ['srv-1.example.com.']
    assert server.dig('text.example.com', 'TXT') == ['"a; b" "c\\"d"']
    assert server.dig('_sip._tcp.example.com', 'SRV') == ['1 2 5060 srv-1.example.com.']
    assert all(before[zone] <= server.everything(zone) for zone in ZONES)
    assert server.soa(ZONE) > serial
    assert here.verify() == []

    # One change looks at few, and changes the address and both PTR records in place.
    world.change(one, address='192.0.2.11')
    world.change(alias, value='srv-2', ttl=120)
    serial = server.soa(ZONE)
    plan = here.apply()
    assert not plan.full
    assert server.dig('srv-1.example.com') == ['192.0.2.11']
    assert server.dig('1.2.0.192.in-addr.arpa', 'PTR') == []
    assert server.dig('11.2.0.192.in-addr.arpa', 'PTR') == ['srv-1.example.com.']
    assert server.dig('alias.example.com', 'CNAME') == ['srv-2.example.com.']
    assert any(' 120 ' in line for line in server.everything(ZONE) if line.startswith('alias'))
    assert server.soa(ZONE) > serial

    # A name that was an alias becomes a host, and the other way round.
    world.remove(alias)
    alias = world.add_record('alias.example.com', address='192.0.2.12', forward_zone=zone.id, reverse_zone=None)
    world.remove(two)
    world.add_record('srv-2.example.com', type='CNAME', value='alias', forward_zone=zone.id)
    here.apply()
    assert server.dig('alias.example.com') == ['192.0.2.12']
    assert server.dig('srv-2.example.com', 'CNAME') == ['alias.example.com.']
    assert here.verify() == []
    assert not here.plan(everything=True)

    # When nothing is left to serve, nothing of ours is left, and all of theirs.
    for record in [found for (kind, _), found in list(world.objects.items()) if kind == 'record']:
        world.remove(record)
    here.apply()
    for name in ZONES:
        left = {line for line in server.everything(name) if not line.startswith('_substruct.')}
        assert left == before[name]
    assert here.owned() == set()


def test_what_others_have_made_is_left_alone_and_reported(server: NameServer, world: World, site: MakeSite) -> None:
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    before = server.everything(ZONE)
    records(
        world, zone, None,
        ('old.example.com', '192.0.2.99'),   # exactly what somebody has made
        ('old.example.com', '192.0.2.98'),   # beside what somebody has made
        ('www.example.com', '192.0.2.97'),   # beside somebody's CNAME
        ('fine.example.com', '192.0.2.96'),
    )  # fmt: skip
    world.add_record('ns1.example.com', type='CNAME', value='fine', forward_zone=zone.id)
    here.apply()
    assert server.dig('fine.example.com') == ['192.0.2.96']
    assert before <= server.everything(ZONE)
    assert here.owned() == {'fine.example.com A'}
    told = here.verify()
    assert {(problem.id, problem.what) for problem in told} == {
        (1, 'record'),
        (2, 'record'),
        (3, 'record'),
        (5, 'record'),
    }
    assert 'made by somebody else' in str(next(problem for problem in told if problem.id == 1))

    # The next full plan has them as problems, tries nothing again, and there is no drift.
    plan = here.plan(everything=True)
    assert not plan and len(plan.problems) == 4
    assert here.verify() == []

    # When the other one has gone, ours takes its place.
    server.update(ZONE, 'update delete www.example.com. CNAME')
    assert [problem.name for problem in here.verify()] == ['www.example.com']
    here.apply(everything=True)
    assert server.dig('www.example.com') == ['192.0.2.97']


def test_what_somebody_removed_is_made_again(server: NameServer, world: World, site: MakeSite) -> None:
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'), ('srv-2.example.com', '192.0.2.2'))
    here.apply()
    assert here.verify() == []
    server.update(ZONE, 'update delete srv-1.example.com. A')
    assert [problem.name for problem in here.verify()] == ['srv-1.example.com']
    plan = here.apply(everything=True)
    assert len(plan.changes) == 1
    assert server.dig('srv-1.example.com') == ['192.0.2.1']
    assert here.verify() == []


def test_records_that_are_there_as_wanted_are_adopted_where_that_is_allowed(
    bind: Bind, world: World, site: MakeSite
) -> None:
    here = site(adopt=[ZONE])
    zone = world.add_zone(ZONE, server=bind.address)
    (record,) = records(world, zone, None, ('old.example.com', '192.0.2.99'))
    here.apply()
    assert here.owned() == {'old.example.com A'}
    world.remove(record)
    here.apply()
    assert bind.dig('old.example.com') == []
    assert bind.dig('old.example.com', 'TXT') == ['"by hand"']


def test_a_zone_that_fails_does_not_hold_up_the_others(bind: Bind, world: World, site: MakeSite) -> None:
    here = site()
    good = world.add_zone(ZONE, server=bind.address)
    bad_key = world.add_zone(REVERSE, server=bind.address, credential='bad-tsig')
    unknown = world.add_zone('not-there.example', server=bind.address)
    no_server = world.add_zone('nowhere.example', server='127.0.0.1:1')
    world.add_record('a.example.com', address='192.0.2.1', forward_zone=good.id, reverse_zone=bad_key.id)
    world.add_record('a.not-there.example', address='192.0.2.1', forward_zone=unknown.id)
    world.add_record('a.nowhere.example', address='192.0.2.1', forward_zone=no_server.id)
    with pytest.raises(ApplyError) as error:
        here.apply()
    said = str(error.value)
    assert said.startswith('3 of 4 zones')
    assert 'BADSIG' in said and 'NOTAUTH' in said and 'cannot be reached' in said
    assert bind.dig('a.example.com') == ['192.0.2.1']
    assert {problem.name for problem in here.verify()} == {REVERSE, 'not-there.example', 'nowhere.example'}


@pytest.mark.parametrize(
    ('policy', 'words'),
    [('', 'REFUSED'), ('update-policy { grant stranger zonesub ANY; };', 'REFUSED')],
    ids=['no updates', 'another key'],
)
def test_a_server_that_refuses_is_quoted(
    serve: Serve, tmp_path: Path, world: World, site: MakeSite, policy: str, words: str
) -> None:
    server = serve(Bind, tmp_path / 'server', ZONES, policy)
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    records(world, zone, None, *((f'srv-{n}.example.com', f'192.0.2.{n}') for n in range(1, 250)))
    with pytest.raises(ApplyError, match=words):
        here.apply()
    assert here.owned() == set()


def test_one_record_that_a_policy_refuses_does_not_hold_up_the_rest(
    serve: Serve, tmp_path: Path, world: World, site: MakeSite
) -> None:
    server = serve(
        Bind, tmp_path / 'server', ZONES,
        'update-policy { deny substruct name srv-77.example.com.; grant substruct zonesub A TXT; };',
    )  # fmt: skip
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    records(world, zone, None, *((f'srv-{n}.example.com', f'192.0.2.{n}') for n in range(1, 250)))
    here.apply()
    assert len(here.owned()) == 248
    told = here.verify()
    assert [problem.name for problem in told] == ['srv-77.example.com']
    assert 'REFUSED' in str(told[0])


def test_a_zone_that_is_no_longer_ours_is_left_as_it_was_found(bind: Bind, world: World, site: MakeSite) -> None:
    before = bind.everything(ZONE)
    here = site()
    zone = world.add_zone(ZONE, server=bind.address)
    (found,) = records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    assert bind.everything(ZONE) != before
    world.remove(zone)
    world.change(found, forward_zone=None)
    here.apply()
    assert bind.everything(ZONE) == before
    assert list(here.ledger.entries()) == []


def test_a_zone_that_moves_to_another_server_leaves_nothing_behind(
    bind: Bind, serve: Serve, tmp_path: Path, world: World, site: MakeSite
) -> None:
    before = bind.everything(ZONE)
    other = serve(Bind, tmp_path / 'other', ZONES)
    here = site()
    zone = world.add_zone(ZONE, server=bind.address)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    world.change(zone, server=other.address)
    here.apply()
    assert other.dig('srv-1.example.com') == ['192.0.2.1']
    assert bind.everything(ZONE) == before


def test_a_server_that_is_gone_for_good_can_be_forgotten(bind: Bind, world: World, site: MakeSite) -> None:
    here = site()
    zone = world.add_zone(ZONE, server=bind.address)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    bind.stop()
    world.change(zone, server='127.0.0.1:1')
    with pytest.raises(ApplyError, match=r'dns\.forget'):
        here.apply()
    here.settings = type(here.settings)(
        enabled=True, forget=[bind.address], rfc2136=Rfc2136(credential='tsig', timeout=5.0)
    )
    here.again()
    with pytest.raises(ApplyError, match=r'127\.0\.0\.1:1'):
        here.apply(everything=True)
    assert here.owned() == set()


def test_without_a_marker_nothing_but_our_records_is_in_the_zone(bind: Bind, world: World, site: MakeSite) -> None:
    before = bind.everything(ZONE)
    here = site(rfc2136=Rfc2136(credential='tsig', marker=''))
    zone = world.add_zone(ZONE, server=bind.address)
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    here.apply()
    assert {line.split()[0] for line in bind.everything(ZONE) - before} == {'srv-1.example.com.'}
    assert any('marker' in sentence for sentence in here.dns.cannot())


def test_two_sidecars_at_one_zone_do_each_their_own(bind: Bind, tmp_path: Path, world: World, site: MakeSite) -> None:
    (tmp_path / 'second').mkdir()
    second_world = World(tmp_path / 'second')
    here = site()
    there = Site(tmp_path / 'second', second_world, here.settings)
    try:
        zone = world.add_zone(ZONE, server=bind.address)
        zone2 = second_world.add_zone(ZONE, server=bind.address)
        for n in range(3):
            records(world, zone, None, (f'here-{n}.example.com', '192.0.2.1'))
            records(second_world, zone2, None, (f'there-{n}.example.com', '192.0.2.2'))
            here.apply()
            there.apply()
        assert len(here.owned()) == len(there.owned()) == 3
        assert bind.dig('here-2.example.com') + bind.dig('there-2.example.com') == ['192.0.2.1', '192.0.2.2']
    finally:
        there.close()
        second_world.close()
