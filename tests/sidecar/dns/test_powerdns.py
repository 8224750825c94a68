"""PowerDNS by its API: ours come and go, sets shared with others are merged, and what it says is told."""

from pathlib import Path

import pytest

from substruct_sidecar.service import ApplyError
from substruct_sidecar.settings import Powerdns

from ..world import World
from .conftest import MakeSite, Serve, records
from .servers import FOREIGN, PowerDnsServer, zone_text

ZONE, REVERSE, CLASSLESS = 'example.com', '2.0.192.in-addr.arpa', '0/26.100.51.198.in-addr.arpa'
ZONES = {ZONE: zone_text(ZONE, *FOREIGN), REVERSE: zone_text(REVERSE), CLASSLESS: zone_text(CLASSLESS)}


@pytest.fixture
def server(tmp_path: Path, serve: Serve) -> PowerDnsServer:
    return serve(PowerDnsServer, tmp_path / 'server', ZONES)


def test_records_appear_change_and_go_and_those_of_others_stay(
    server: PowerDnsServer, world: World, site: MakeSite
) -> None:
    before = {zone: server.everything(zone) for zone in ZONES}
    serial = server.soa(ZONE)
    here = site(powerdns=Powerdns(url=server.url, credential='api'))
    zone, reverse, classless = (world.add_zone(name, update_method='powerdns') for name in ZONES)
    one, _ = records(world, zone, reverse, ('srv-1.example.com', '192.0.2.1'), ('srv-1.example.com', '192.0.2.2'))
    records(world, zone, classless, ('far.example.com', '198.51.100.7'))
    alias = world.add_record('alias.example.com', type='CNAME', value='srv-1', forward_zone=zone.id)
    here.apply()
    assert server.dig('srv-1.example.com') == ['192.0.2.1', '192.0.2.2']
    assert server.dig('2.2.0.192.in-addr.arpa', 'PTR') == ['srv-1.example.com.']
    assert server.dig(f'7.{CLASSLESS}', 'PTR') == ['far.example.com.']
    assert server.dig('alias.example.com', 'CNAME') == ['srv-1.example.com.']
    assert server.soa(ZONE) > serial
    assert here.verify() == []
    serial = server.soa(ZONE)
    world.change(one, address='192.0.2.11')
    world.remove(alias)
    world.add_record('alias.example.com', address='192.0.2.12', forward_zone=zone.id)
    assert not here.apply().full
    assert server.dig('srv-1.example.com') == ['192.0.2.11', '192.0.2.2']
    assert server.dig('alias.example.com') == ['192.0.2.12']
    assert server.soa(ZONE) > serial
    assert not here.plan(everything=True)
    for kind, number in list(world.objects):
        if kind == 'record':
            world.remove(world.objects[(kind, number)])
    here.apply()
    for name in ZONES:
        assert {line for line in server.everything(name) if not line.startswith('_substruct.')} == before[name]


def test_a_set_that_is_shared_with_others_is_merged(server: PowerDnsServer, world: World, site: MakeSite) -> None:
    here = site(powerdns=Powerdns(url=server.url, credential='api'))
    zone = world.add_zone(ZONE, update_method='powerdns')
    ours, same = records(world, zone, None, ('old.example.com', '192.0.2.98'), ('old.example.com', '192.0.2.99'))
    here.apply()
    assert server.dig('old.example.com') == ['192.0.2.98', '192.0.2.99']
    assert [problem.id for problem in here.verify()] == [same.id]
    server.update(ZONE, 'update add old.example.com. 3600 A 192.0.2.100')
    world.remove(ours)
    world.remove(same)
    here.apply()
    assert server.dig('old.example.com') == ['192.0.2.100', '192.0.2.99']
    assert server.dig('old.example.com', 'TXT') == ['"by hand"']
    assert here.owned() == set()


def test_what_somebody_removed_is_made_again(server: PowerDnsServer, world: World, site: MakeSite) -> None:
    here = site(powerdns=Powerdns(url=server.url, credential='api'))
    zone = world.add_zone(ZONE, update_method='powerdns')
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'), ('srv-2.example.com', '192.0.2.2'))
    here.apply()
    server.update(ZONE, 'update delete srv-1.example.com. A')
    assert [problem.name for problem in here.verify()] == ['srv-1.example.com']
    here.apply(everything=True)
    assert server.dig('srv-1.example.com') == ['192.0.2.1']


def test_a_zone_that_is_missing_is_made_only_where_that_is_asked_for(
    server: PowerDnsServer, world: World, site: MakeSite
) -> None:
    here = site(powerdns=Powerdns(url=server.url, credential='api'))
    zone = world.add_zone('new.example', update_method='powerdns', name_servers=['ns1.example.com'])
    records(world, zone, None, ('srv-1.new.example', '192.0.2.1'))
    with pytest.raises(ApplyError, match=r'has no zone new\.example.*create_zones'):
        here.apply()
    here.settings = type(here.settings)(
        enabled=True, powerdns=Powerdns(url=server.url, credential='api', create_zones=True)
    )
    here.again()
    here.apply(everything=True)
    assert server.dig('srv-1.new.example') == ['192.0.2.1']
    assert server.dig('new.example', 'NS') == ['ns1.example.com.']
    serial = server.soa('new.example')
    records(world, zone, None, ('srv-2.new.example', '192.0.2.2'))
    here.apply()
    assert server.soa('new.example') > serial


def test_a_zone_whose_serial_would_stay_is_told(server: PowerDnsServer, world: World, site: MakeSite) -> None:
    here = site(powerdns=Powerdns(url=server.url, credential='api'))
    world.add_zone(ZONE, update_method='powerdns')
    here.apply()
    assert [finding.verdict for finding in here.dns.check() if finding.part == f'zone {ZONE}'] == ['ok']
    server.util('set-meta', ZONE, 'SOA-EDIT-API', '')
    assert any('SOA-EDIT-API' in finding.remedy for finding in here.dns.check())


def test_a_wrong_key_and_a_server_that_is_away_are_told_apart(
    server: PowerDnsServer, world: World, site: MakeSite
) -> None:
    here = site(powerdns=Powerdns(url=server.url, credential='tsig'))
    zone = world.add_zone(ZONE, update_method='powerdns')
    records(world, zone, None, ('srv-1.example.com', '192.0.2.1'))
    with pytest.raises(ApplyError, match='does not take the key'):
        here.apply()
    server.stop()
    here.again()
    with pytest.raises(ApplyError, match='cannot be reached'):
        here.apply(everything=True)
    assert here.owned() == set()
    assert not any(key.startswith('intent') for key, _, _ in here.ledger.entries())
