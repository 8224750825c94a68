"""The parts of the feed that only decide: inheritance, who serves what, finding networks and zones, cursors."""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_substruct.feed import messages
from netbox_substruct.feed.cursor import Cursor, CursorError
from netbox_substruct.feed.scope import Coverage, NetworkIndex, ZoneIndex, reverse_network
from netbox_substruct.feed.subnets import Row, resolve


def row(key, network, **fields):
    return Row(id=key, network=ip_network(network), **fields)


def resolved(*rows):
    return {subnet.row.id: subnet for subnet in resolve(rows)}


class TestInheritance:
    def test_the_nearest_prefix_above_that_sets_a_value_wins(self):
        found = resolved(
            row(1, '10.0.0.0/8', domain='a', lease_time=60, dhcp_enabled=True),
            row(2, '10.1.0.0/16', domain='b'),
            row(3, '10.1.2.0/24'),
        )[3]
        assert (found.domain, found.lease_time, found.dhcp_enabled) == ('b', 60, True)
        assert (found.origins['domain'], found.origins['lease_time']) == (2, 1)

    def test_false_is_a_value_and_nothing_is_not(self):
        found = resolved(row(1, '10.0.0.0/8', dhcp_enabled=True), row(2, '10.1.0.0/16', dhcp_enabled=False))
        assert found[2].dhcp_enabled is False

    def test_options_are_merged_one_by_one(self):
        found = resolved(
            row(1, '10.0.0.0/8', dhcp_options={'66': 'a', '67': 'b'}), row(2, '10.1.0.0/16', dhcp_options={'67': 'c'})
        )[2]
        assert found.dhcp_options == {'66': 'a', '67': 'c'}
        assert (found.origins['dhcp_options.66'], found.origins['dhcp_options.67']) == (1, 2)

    def test_gateway_and_lease_range_are_not_inherited(self):
        found = resolved(
            row(1, '10.0.0.0/8', gateway='10.0.0.1', lease_range=('10.0.0.2', '10.0.0.9')), row(2, '10.1.0.0/16')
        )[2]
        assert found.gateway is None and found.lease_range is None

    def test_nothing_is_inherited_across_vrfs_or_from_a_neighbour(self):
        found = resolved(
            row(1, '10.0.0.0/8', vrf_id=7, domain='vrf'), row(2, '10.1.0.0/16', domain='neighbour'),
            row(3, '10.2.0.0/16'), row(4, '2001:db8::/32', domain='six'),
        )  # fmt: skip
        assert found[3].domain is None and found[3].lease_time == 3600 and found[3].origins == {}


networks4 = st.builds(
    lambda address, length: ip_network((address, length), strict=False),
    st.integers(0, 2**32 - 1), st.integers(0, 32),
)  # fmt: skip


class TestNetworkIndex:
    @given(st.sets(networks4, max_size=30), st.lists(st.integers(0, 2**32 - 1), max_size=20))
    def test_it_finds_the_smallest_network_as_a_plain_search_does(self, networks, addresses):
        numbered = dict(enumerate(networks))
        index = NetworkIndex((None, network, key) for key, network in numbered.items())
        edges = [int(n.network_address) for n in networks] + [int(n.broadcast_address) for n in networks]
        for number in addresses + edges + [min(e + 1, 2**32 - 1) for e in edges]:
            address = ip_address(number)
            holding = [key for key, network in numbered.items() if address in network]
            expected = max(holding, key=lambda key: numbered[key].prefixlen, default=None)
            assert index.find(None, str(address)) == expected

    def test_vrfs_and_families_are_apart(self):
        index = NetworkIndex([(None, ip_network('10.0.0.0/8'), 1), (5, ip_network('10.0.0.0/8'), 2),
                              (None, ip_network('2001:db8::/32'), 3)])  # fmt: skip
        assert index.find(None, '10.1.1.1') == 1
        assert index.find(5, '10.1.1.1') == 2
        assert index.find(6, '10.1.1.1') is None
        assert index.find(None, '2001:db8::1') == 3


class TestCoverage:
    berlin = Coverage(1, frozenset({9}), ((None, ip_network('10.1.0.0/16')),))

    @pytest.mark.parametrize(
        'fields, served',
        [
            ({}, True),
            ({'vrf_id': 3}, False),
            ({'vrf_id': 3, 'site_id': 9}, True),
            ({'boot_server_id': 2}, False),
            ({'boot_server_id': 1, 'vrf_id': 3}, True),
        ],
    )
    def test_an_explicit_boot_server_wins_over_prefixes_and_sites(self, fields, served):
        assert self.berlin.serves(resolved(row(1, '10.1.5.0/24', **fields))[1]) is served

    def test_a_prefix_does_not_serve_what_is_larger_than_itself(self):
        assert not self.berlin.serves(resolved(row(1, '10.0.0.0/8'))[1])


class TestZones:
    @pytest.mark.parametrize(
        'zone, network',
        [
            ('10.in-addr.arpa', '10.0.0.0/8'),
            ('2.0.192.in-addr.arpa', '192.0.2.0/24'),
            ('64-26.2.0.192.in-addr.arpa', '192.0.2.64/26'),
            ('64/26.2.0.192.in-addr.arpa', '192.0.2.64/26'),
            ('8.b.d.0.1.0.0.2.ip6.arpa', '2001:db8::/32'),
            ('example.com', None),
            ('300.in-addr.arpa', None),
            ('x.y.in-addr.arpa', None),
            ('1.2.3.4.5.in-addr.arpa', None),
            ('zz.ip6.arpa', None),
        ],
    )
    def test_a_reverse_zone_is_a_network(self, zone, network):
        assert reverse_network(zone) == (ip_network(network) if network else None)

    def test_a_name_belongs_in_the_zone_with_the_longest_name(self):
        zones = ZoneIndex([(1, 'example.com'), (2, 'dc1.Example.com.')])
        assert zones.forward('srv.dc1.example.com') == 2
        assert zones.forward('srv.dc2.example.com') == 1
        assert zones.forward('dc1.example.com') == 2
        assert zones.forward('badexample.com') is None

    def test_an_address_belongs_in_the_smallest_reverse_zone(self):
        zones = ZoneIndex([(1, '10.in-addr.arpa'), (2, '1.10.in-addr.arpa')])
        assert (zones.reverse('10.1.2.3'), zones.reverse('10.2.0.1'), zones.reverse('192.0.2.1')) == (2, 1, None)


class TestCursors:
    @given(st.integers(3, 2**60), st.integers(0, 50), st.sets(st.integers(0, 49), max_size=20))
    def test_a_cursor_reads_as_it_was_written(self, xmin, span, running):
        listed = ','.join(str(xmin + n) for n in sorted(running) if n < span)
        cursor = Cursor('0123456789abcdef', f'{xmin}:{xmin + span}:{listed}')
        assert Cursor.parse(str(cursor)) == cursor

    @given(st.text(max_size=80))
    def test_anything_else_is_refused_as_malformed(self, text):
        try:
            cursor = Cursor.parse(text)
        except CursorError as error:
            assert error.code == 'malformed'
        else:
            assert str(cursor) == text


def test_the_published_schema_is_the_one_of_the_code():
    published = json.loads((Path(__file__).parents[3] / 'docs' / 'feed-schema.json').read_text())
    assert published == messages.schema(), 'make it anew: netbox substruct_feed schema > docs/feed-schema.json'
