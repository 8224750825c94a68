"""Which interfaces ask for which addresses, where they boot, and what cannot be served: from the feed to hosts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.dhcp.derive import Deriver
from substruct_sidecar.dhcp.model import Desired, Host
from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Problem
from substruct_sidecar.settings import Advertise, Boot, NetBox, Settings
from tests.sidecar.world import World

MAC = '02:00:00:00:00:{:02x}'.format


def settings(**boot: Any) -> Settings:
    return Settings(netbox=NetBox(url='http://netbox', boot_server='boot'), boot=Boot(**boot))


class Derived:
    """What was derived, read to its end."""

    def __init__(self, desired: Desired) -> None:
        self.subnets = desired.subnets
        self.hosts = {host.key: host for host in desired.hosts}
        self.machines = desired.machines
        self.problems = list(desired.problems)

    def of(self, name: str) -> list[Host]:
        return [host for host in self.hosts.values() if host.machine_name == name]

    def one(self, name: str) -> Host:
        (host,) = self.of(name)
        return host

    def said(self, name: str) -> list[Problem]:
        return [problem for problem in self.problems if problem.name == name]


def derive(world: World, **boot: Any) -> Derived:
    with world.view() as view:
        return Derived(Deriver(settings(**boot)).desired(view))


def addresses(host: Host) -> list[str]:
    return [str(placement.address) for placement in host.placements]


@pytest.fixture
def lan(world: World) -> Iterator[World]:
    world.add_subnet('10.60.0.0/24', gateway='10.60.0.1', lease_range=('10.60.0.200', '10.60.0.220'))
    yield world


def test_an_interface_is_a_host_with_its_address_and_name(lan: World) -> None:
    lan.add_machine('srv-1.example', mac='02-00-00-00-00-0A', address='10.60.0.11/24')
    found = derive(lan)
    assert not found.problems
    host = found.one('srv-1.example')
    assert (host.of('mac'), addresses(host), host.hostname, host.boot) == ((MAC(10),), ['10.60.0.11'], 'srv-1', True)


def test_a_disabled_interface_does_not_exist(lan: World) -> None:
    lan.add_machine(
        'srv', interfaces=[lan.interface(mac=MAC(1), address='10.60.0.11/24', enabled=False)], boot_mac=None
    )
    assert not derive(lan).hosts


def test_an_interface_without_address_is_known_all_the_same(lan: World) -> None:
    lan.add_machine('srv', mac=MAC(1))
    assert derive(lan).one('srv').placements == ()


def test_an_interface_for_management_has_its_address_and_neither_name_nor_boot_file(lan: World) -> None:
    lan.add_machine(
        'srv',
        interfaces=[
            lan.interface('eth0', mac=MAC(1), address='10.60.0.11/24'),
            lan.interface('bmc', mac=MAC(2), address='10.60.0.12/24', mgmt_only=True),
        ],
    )
    _, bmc = derive(lan).of('srv')
    assert (addresses(bmc), bmc.hostname, bmc.boot) == (['10.60.0.12'], '', False)


def test_members_of_a_bond_in_a_bridge_share_the_addresses_of_the_bridge(lan: World) -> None:
    bridge = lan.interface('br0', address='10.60.0.11/24')
    bond = lan.interface('bond0', mac=MAC(1), bridge=bridge.id)
    ports = [lan.interface(f'eth{n}', mac=MAC(n + 1), lag=bond.id) for n in (0, 1)]
    lan.add_machine('srv', interfaces=[*ports, bond, bridge])
    host = derive(lan).one('srv')
    assert (sorted(host.of('mac')), addresses(host)) == ([MAC(1), MAC(2)], ['10.60.0.11'])


def test_ports_of_a_bond_that_is_disabled_stand_for_themselves(lan: World) -> None:
    bond = lan.interface('bond0', address='10.60.0.11/24', enabled=False)
    lan.add_machine('srv', interfaces=[lan.interface(f'eth{n}', mac=MAC(n), lag=bond.id) for n in (1, 2)] + [bond])
    assert [host.placements for host in derive(lan).of('srv')] == [(), ()]


def test_a_vlan_interface_without_a_mac_asks_with_its_parents(lan: World) -> None:
    lan.add_subnet('10.61.0.0/24')
    port = lan.interface('eth0', mac=MAC(1), address='10.60.0.11/24')
    vlan = lan.interface('eth0.61', address='10.61.0.11/24', parent=port.id)
    own = lan.interface('eth0.62', mac=MAC(2), parent=port.id)
    lan.add_machine('srv', interfaces=[port, vlan, own])
    first, second = derive(lan).of('srv')
    assert (first.of('mac'), addresses(first)) == ((MAC(1),), ['10.60.0.11', '10.61.0.11'])
    assert (second.of('mac'), addresses(second)) == ((MAC(2),), [])


def test_the_same_mac_on_several_interfaces_makes_them_one_host(lan: World) -> None:
    lan.add_subnet('10.61.0.0/24')
    lan.add_machine(
        'srv',
        interfaces=[
            lan.interface('eth0', mac=MAC(1), address='10.60.0.11/24'),
            lan.interface('eth0.61', mac=MAC(1), address='10.61.0.11/24'),
        ],
    )
    assert addresses(derive(lan).one('srv')) == ['10.60.0.11', '10.61.0.11']


def test_interfaces_that_hold_each_other_end(lan: World) -> None:
    one, two = lan.interface('a', mac=MAC(1), id=901, bridge=902), lan.interface('b', mac=MAC(2), id=902, bridge=901)
    lan.add_machine('srv', interfaces=[one, two])
    assert sum(len(host.identifiers) for host in derive(lan).of('srv')) == 2


def test_of_several_addresses_in_a_subnet_the_primary_one_is_given(lan: World) -> None:
    second = lan.address('10.60.0.12/24', primary=False)
    first = lan.address('10.60.0.11/24', primary=True)
    interface = lan.interface(mac=MAC(1))
    lan.add_machine('srv', interfaces=[_with(interface, addresses=[second, first])])
    assert addresses(derive(lan).one('srv')) == ['10.60.0.11']


def _with(value: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(value, **changes)


def test_one_address_on_two_interfaces_of_a_machine_is_given_to_the_first(lan: World) -> None:
    ports = [lan.interface(f'eth{n}', mac=MAC(n), address='10.60.0.11/24') for n in (1, 2)]
    lan.add_machine('srv', interfaces=ports)
    found = derive(lan)
    assert [addresses(host) for host in found.of('srv')] == [['10.60.0.11'], []]
    assert ['10.60.0.11' in problem.message for problem in found.said('srv')] == [True]


def test_a_discovered_machine_is_known_by_its_boot_mac(lan: World) -> None:
    lan.add_machine('found', interfaces=[lan.interface()], boot_mac=MAC(9), boot='nothing')
    host = derive(lan).one('found')
    assert (host.key.endswith('.0'), host.of('mac'), host.boot) == (True, (MAC(9),), False)


@pytest.mark.parametrize(
    ('action', 'method', 'boots'),
    [
        ('build', None, True), ('local', 'sanboot', True), ('local', None, True), ('local', 'no-offer', False),
        ('nothing', None, False), ('rescue', 'no-offer', True), ('discovery', None, True), ('wipe', None, True),
    ],
)  # fmt: skip
def test_the_boot_chain_is_offered_unless_the_disk_is_reached_by_offering_nothing(
    lan: World, action: str, method: str | None, boots: bool
) -> None:
    lan.add_machine('srv', mac=MAC(1), boot=action, local_method=method)
    assert derive(lan).one('srv').boot is boots


def test_a_build_that_has_ended_here_boots_the_disk(lan: World) -> None:
    machine = lan.add_machine('srv', mac=MAC(1), boot='build', local_method='no-offer')
    with lan.view((machine,)) as view:
        (host,) = Deriver(settings()).desired(view).hosts
    assert not host.boot


def test_identifiers_beyond_mac_addresses(lan: World) -> None:
    port = lan.interface(
        address='10.60.0.11/24', dhcp_client_id='01:02:0A', dhcp_duid='0003-0001-0200-0000-0001',
        dhcp_circuit_id='Gi1/0/7 "x"',
    )  # fmt: skip
    lan.add_machine('srv', interfaces=[port])
    host = derive(lan).one('srv')
    assert (host.of('client-id'), host.of('duid')) == (('01020a',), ('00030001020000000001',))
    assert host.of('circuit-id') == (b'Gi1/0/7 "x"'.hex(),)
    lan.change(lan.objects['machine', 1], interfaces=[_with(port, dhcp_duid='no bytes', dhcp_client_id=None)])
    found = derive(lan)
    assert found.one('srv').of('duid') == ()
    assert ['duid' in problem.message for problem in found.problems] == [True]


def test_who_was_first_keeps_a_mac_and_both_are_told(lan: World) -> None:
    lan.add_machine('old', mac=MAC(1), address='10.60.0.11/24')
    lan.add_machine('new', mac=(MAC(1), MAC(2)), address='10.60.0.12/24')
    found = derive(lan)
    assert found.one('old').of('mac') == (MAC(1),)
    assert found.one('new').of('mac') == (MAC(2),)
    assert ['new' in problem.message for problem in found.said('old')] == [True]
    assert ['old' in problem.message for problem in found.said('new')] == [True]


def test_who_was_first_keeps_an_address_and_both_are_told(lan: World) -> None:
    lan.add_machine('old', mac=MAC(1), address='10.60.0.11/24')
    lan.add_machine('new', mac=MAC(2), address='10.60.0.11/24')
    found = derive(lan)
    assert addresses(found.one('old')) == ['10.60.0.11']
    assert addresses(found.one('new')) == []
    assert len(found.said('old')) == len(found.said('new')) == 1


@pytest.mark.parametrize(
    ('address', 'words'),
    [
        ('10.60.0.0/24', 'network itself'), ('10.60.0.255/24', 'broadcast'), ('10.60.0.1/24', 'gateway'),
        ('10.60.0.205/24', 'lease range'), ('10.99.0.1/24', 'not in its subnet'),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_given_is_left_out_and_reported(lan: World, address: str, words: str) -> None:
    interface = lan.interface(mac=MAC(1))
    lan.add_machine('srv', interfaces=[_with(interface, addresses=[lan.address(address, subnet=1)])])
    found = derive(lan)
    assert found.one('srv').placements == ()
    assert [words in problem.message for problem in found.said('srv')] == [True]


def test_a_name_that_is_none_is_left_out_and_reported(lan: World) -> None:
    for number, name in enumerate(('-a', 'a_b', 'x' * 64, 'a"; }', 'ü', 'a.b', 'a\n')):
        lan.add_machine(f'srv-{number}', mac=MAC(number), address=f'10.60.0.{11 + number}/24', hostname=name)
    found = derive(lan)
    assert {host.hostname for host in found.hosts.values()} == {''}
    assert len(found.problems) == 7
    assert all(problem.message.isprintable() for problem in found.problems)


def test_a_mac_that_is_none_is_reported(lan: World) -> None:
    lan.add_machine(
        'srv', mac=('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', 'nonsense'), boot_mac=None
    )
    found = derive(lan)
    assert not found.hosts
    assert len(found.problems) == 4


def test_only_subnets_with_dhcp_are_served(lan: World) -> None:
    lan.add_subnet('10.61.0.0/24', dhcp_enabled=False)
    lan.add_machine('srv', mac=MAC(1), address=['10.60.0.11/24', '10.61.0.11/24'])
    found = derive(lan)
    assert list(found.subnets) == [1]
    assert (addresses(found.one('srv')), found.problems) == (['10.60.0.11'], [])


def test_of_nested_prefixes_the_smallest_is_served_and_the_others_are_there_to_inherit_from(world: World) -> None:
    world.add_subnet('10.60.0.0/16')
    world.add_subnet('10.60.1.0/24')
    found = derive(world)
    assert (list(found.subnets), found.problems) == ([2], [])
    world.add_machine('srv', mac=MAC(1), address='10.60.2.1/24')
    found = derive(world)
    assert ['10.60.1.0/24' in problem.message for problem in found.said('srv')] == [True]
    world.change(world.objects['subnet', 1], gateway='10.60.0.1')  # it is meant to be served
    assert len(derive(world).said('10.60.0.0/16')) == 1


def test_the_older_of_two_overlapping_vrfs_is_served(world: World) -> None:
    world.add_subnet('10.60.0.0/24', vrf='red')
    world.add_subnet('10.60.0.0/25', vrf='blue')
    world.add_subnet('10.61.0.0/24', vrf='blue')
    found = derive(world)
    assert list(found.subnets) == [1, 3]
    assert ['VRF red' in problem.message for problem in found.said('10.60.0.0/25')] == [True]


def test_prefixes_of_one_vlan_are_on_one_link(world: World) -> None:
    for prefix, values in (
        ('10.60.0.0/24', {'vlan': 7}), ('10.60.1.0/24', {'vlan': 7}), ('2001:db8::/64', {'vlan': 7}),
        ('10.60.2.0/24', {'vlan': 8}), ('10.60.3.0/24', {'vlan': 7, 'site': 'Bonn'}), ('10.60.4.0/24', {}),
    ):  # fmt: skip
        world.add_subnet(prefix, **values)
    shared = [subnet.shared for subnet in derive(world, advertise=[V6]).subnets.values()]
    assert shared == ['link1', 'link1', '', '', '', '']


V6 = Advertise(prefix='::/0', url='http://[2001:db8::2]')


@pytest.mark.parametrize(
    ('lease', 'served'),
    [
        (('10.60.0.100', '10.60.0.110'), '10.60.0.100 10.60.0.110'),
        (('10.60.0.0', '10.60.0.255'), '10.60.0.1 10.60.0.254'),
        (('10.60.0.110', '10.60.0.100'), None),
        (('10.61.0.100', '10.61.0.110'), None),
        (('2001:db8::1', '2001:db8::2'), None),
        (('nonsense' * 9999, 'x'), None),
        (('10.60.0.250', '10.60.0.254'), None),  # the gateway is in it
    ],
)
def test_a_lease_range_is_inside_its_subnet(world: World, lease: tuple[str, str], served: str | None) -> None:
    world.add_subnet('10.60.0.0/24', lease_range=lease, gateway='10.60.0.252' if '250' in lease[0] else None)
    found = derive(world)
    (subnet,) = found.subnets.values()
    assert (' '.join(map(str, subnet.lease_range)) if subnet.lease_range else None) == served
    assert bool(found.problems) is (served is None)
    assert all(len(problem.message) < 400 for problem in found.problems)


def test_machines_are_told_the_url_of_the_most_specific_prefix(lan: World) -> None:
    lan.add_subnet('10.70.1.0/24')
    lan.add_subnet('10.70.2.0/24')
    found = derive(
        lan,
        base_url='http://10.0.0.9',
        tftp_server='10.0.0.8',
        advertise=[
            Advertise(prefix='10.70.0.0/16', url='http://10.70.0.2:8080/'),
            Advertise(prefix='10.70.2.0/24', url='https://boot.example', tftp='10.70.2.2'),
        ],
    )
    assert [(subnet.boot.base_url, str(subnet.boot.tftp)) for subnet in found.subnets.values()] == [
        ('http://10.0.0.9', '10.0.0.8'), ('http://10.70.0.2:8080', '10.70.0.2'), ('https://boot.example', '10.70.2.2'),
    ]  # fmt: skip


def test_a_host_name_in_the_url_is_resolved_once_for_tftp(lan: World) -> None:
    lan.add_subnet('10.61.0.0/24')
    asked: list[str] = []

    def resolve(host: str, version: int) -> Any:
        from ipaddress import ip_address

        asked.append(host)
        return [ip_address('10.0.0.7')]

    with lan.view() as view:
        found = Derived(Deriver(settings(base_url='http://boot.example'), resolve=resolve).desired(view))
        assert {str(subnet.boot.tftp) for subnet in found.subnets.values()} == {'10.0.0.7'}
        assert asked == ['boot.example']
        deriver = Deriver(settings(base_url='http://boot.example'), resolve=lambda host, version: [])
        found = Derived(deriver.desired(view))
    assert {subnet.boot.tftp for subnet in found.subnets.values()} == {None}
    assert all('boot.tftp_server' in problem.remedy for problem in found.problems)


def test_the_address_of_a_name_is_told_also_when_nobody_can_say_it(lan: World, tmp_path: Path) -> None:
    """After a power cut the sidecar is there before the name servers are."""
    from ipaddress import ip_address

    answers: list[Any] = [
        ['10.0.0.9', '10.0.0.7'],
        ['10.0.0.6', '10.0.0.7'],
        OSError('no name server'),
        ['10.0.0.8'],
        [],
    ]
    told = []
    for answer in answers:

        def resolve(host: str, version: int, answer: Any = answer) -> Any:
            if isinstance(answer, OSError):
                raise answer
            return [ip_address(found) for found in answer]

        # Each time by a sidecar that has just started.
        book = Book(tmp_path / 'ledger.db')
        deriver = Deriver(settings(base_url='http://boot.example'), book.of('dhcp kea'), resolve=resolve)
        with lan.view() as view:
            found = Derived(deriver.desired(view))
        told.append((str(found.subnets[1].boot.tftp), [problem.severity for problem in found.problems]))
        book.close()
    assert told == [
        ('10.0.0.7', []), ('10.0.0.7', []), ('10.0.0.7', ['warning']), ('10.0.0.8', []), ('None', ['error']),
    ]  # fmt: skip


def test_an_ipv4_url_is_not_told_to_ipv6_machines(world: World) -> None:
    world.add_subnet('2001:db8::/64')
    found = derive(world)
    assert next(iter(found.subnets.values())).boot.base_url == ''
    assert 'boot.advertise' in found.problems[0].remedy


def test_with_what_changed_only_those_machines_are_looked_at(lan: World) -> None:
    first = lan.add_machine('first', mac=MAC(1), address='10.60.0.11/24')
    lan.add_machine('second', mac=MAC(2), address='10.60.0.12/24')
    deriver = Deriver(settings())
    with lan.view() as view:
        list(deriver.desired(view).hosts)
    lan.changes()
    lan.change(first, hostname='other')
    changed = lan.changes()
    with lan.view() as view:
        found = Derived(deriver.desired(view, changed))
    assert found.machines == {first.id}
    assert found.one('first').hostname == 'other'
    assert len(found.hosts) == 1


def test_with_a_changed_subnet_everything_is_looked_at(lan: World) -> None:
    lan.add_machine('first', mac=MAC(1), address='10.60.0.11/24')
    deriver = Deriver(settings())
    with lan.view() as view:
        list(deriver.desired(view).hosts)
    lan.changes()
    lan.change(lan.objects['subnet', 1], gateway='10.60.0.11')
    changed = lan.changes()
    with lan.view() as view:
        found = Derived(deriver.desired(view, changed))
    assert found.machines is None
    assert found.one('first').placements == ()


def test_a_conflict_that_ends_gives_the_address_to_the_other(lan: World) -> None:
    old = lan.add_machine('old', mac=MAC(1), address='10.60.0.11/24')
    lan.add_machine('new', mac=MAC(2), address='10.60.0.11/24')
    deriver = Deriver(settings())
    with lan.view() as view:
        list(deriver.desired(view).hosts)
    lan.changes()
    lan.remove(old)
    changed = lan.changes()
    with lan.view() as view:
        found = Derived(deriver.desired(view, changed))
    assert addresses(found.one('new')) == ['10.60.0.11']
    assert not found.problems


def test_a_new_base_url_of_the_boot_server_is_noticed(tmp_path: Path) -> None:
    world = World(tmp_path, base_url='http://10.0.0.2')
    world.add_subnet('10.60.0.0/24')
    machine = world.add_machine('srv', mac=MAC(1))
    deriver = Deriver(settings())
    with world.view() as view:
        deriver.desired(view)
    world.changes()
    world.boot_server = _with(world.boot_server, base_url='http://10.0.0.3')
    world.change(machine, hostname='x')
    changed = world.changes()
    with world.view() as view:
        found = deriver.desired(view, changed)
    assert found.subnets[1].boot.base_url == 'http://10.0.0.3'
    assert found.machines is None
    world.close()
