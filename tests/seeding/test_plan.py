"""How the seeder spreads machines over sites and racks, and networks over them.  No database."""

from ipaddress import ip_network
from itertools import pairwise

import pytest

from lab.seeding.plan import LARGEST, SERVERS_PER_RACK, Plan, Scrambled, row_name

SIZES = (1, 9, 10, 37, 400, 401, 1000, 12_001, 40_001, LARGEST)


@pytest.mark.parametrize('size', SIZES)
def test_every_machine_has_its_place(size):
    plan = Plan(size)
    assert plan.registered_servers + plan.virtual_machines + plan.discovered == size
    assert sum(site.servers for site in plan.sites) == plan.servers
    assert sum(len(rack.servers) for site in plan.sites for rack in site.racks) == plan.servers
    assert sum(len(cluster.machines) for site in plan.sites for cluster in site.clusters) == plan.virtual_machines
    assert sum(plan.is_registered(server) for server in range(plan.servers)) == plan.registered_servers


@pytest.mark.parametrize('size', SIZES)
def test_sites_count_on_where_the_one_before_ended(size):
    plan = Plan(size)
    for before, after in pairwise(plan.sites):
        assert after.first_server == before.first_server + before.servers
        assert after.first_vm == before.first_vm + before.virtual_machines


def test_no_two_networks_overlap_in_the_largest_data_centre():
    plan = Plan(LARGEST)
    servers, oob = [], []
    for site in plan.sites:
        whole = ip_network(f'10.{16 * site.number}.0.0/12')
        for rack in site.racks:
            servers.append(ip_network(f'{rack.net4}.0/24'))
            oob.append(ip_network(f'{rack.oob(0)}/26'))
            assert servers[-1].subnet_of(ip_network(f'10.{16 * site.number}.0.0/14'))
            assert oob[-1].subnet_of(ip_network(f'10.{16 * site.number + 12}.0.0/14'))
            assert len(rack.servers) <= SERVERS_PER_RACK
        for cluster in site.clusters:
            servers.append(ip_network(f'{cluster.address(0)}/22'))
            assert servers[-1].subnet_of(ip_network(f'10.{16 * site.number + 8}.0.0/14'))
            assert servers[-1].subnet_of(whole)
    for networks in (servers, oob):
        networks.sort()
        assert not any(one.overlaps(other) for one, other in pairwise(networks))
    sixes = [rack.net6 for site in plan.sites for rack in site.racks]
    assert len(set(sixes)) == len(sixes)


@pytest.mark.parametrize('size', (0, -1, LARGEST + 1))
def test_other_numbers_are_refused(size):
    with pytest.raises(ValueError, match=r'it can be 1 to 100,000'):
        Plan(size)


def test_chance_depends_on_the_seed_and_on_what_it_is_for():
    def numbers(seed, *what):
        return [Plan(10, seed).chance(*what).random() for _ in range(2)]

    assert numbers(1, 'rack', 3) == numbers(1, 'rack', 3)
    assert numbers(1, 'rack', 3) != numbers(2, 'rack', 3)
    assert numbers(1, 'rack', 3) != numbers(1, 'rack', 4)


def test_scrambled_numbers_come_once_each():
    # The sizes and steps in use: MAC addresses below a maker's prefix, and serial numbers.
    for size, step in ((1 << 24, 6_180_335), (34**4 * 100, 7_368_787)):
        numbers = Scrambled(Plan(1).chance('x'), size, step)
        seen = {next(numbers) for _ in range(500_000)}
        assert len(seen) == 500_000
        assert max(seen) < size


def test_scrambled_numbers_end_when_all_are_used():
    numbers = Scrambled(Plan(1).chance('x'), 4, 3)
    assert sorted(next(numbers) for _ in range(4)) == [0, 1, 2, 3]
    with pytest.raises(OverflowError):
        next(numbers)


def test_rows_are_named_like_columns_of_a_spreadsheet():
    assert [row_name(number) for number in (0, 25, 26, 51, 52, 701, 702)] == ['A', 'Z', 'AA', 'AZ', 'BA', 'ZZ', 'AAA']
