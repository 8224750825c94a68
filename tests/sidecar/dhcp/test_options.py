"""DHCP options that people set by hand, and those of a subnet's fields, as bytes on the wire."""

from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.dhcp.options import OptionError, make, of_subnet
from tests.sidecar.world import World


@pytest.mark.parametrize(
    ('option', 'value', 'data'),
    [
        ('66', '10.0.0.2', b'10.0.0.2'),
        ('tftp-server-name', 'boot.example', b'boot.example'),
        ('server-name', 'boot', b'boot'),  # what IANA calls 66
        ('26', 9000, b'\x23\x28'),
        ('interface-mtu', '9000', b'\x23\x28'),
        ('2', -3600, b'\xff\xff\xf1\xf0'),
        ('ip-forwarding', False, b'\x00'),
        ('19', 'true', b'\x01'),
        ('150', '10.0.0.2, 10.0.0.3', bytes((10, 0, 0, 2, 10, 0, 0, 3))),
        ('ntp-servers', ['10.0.0.2', '10.0.0.3'], bytes((10, 0, 0, 2, 10, 0, 0, 3))),
        ('119', 'a.example, b', b'\x01a\x07example\x00\x01b\x00'),
        ('121', '10.0.0.0/8 10.1.1.1, 0.0.0.0/0 10.1.1.1', bytes((8, 10, 10, 1, 1, 1, 0, 10, 1, 1, 1))),
        ('classless-static-route', ['10.1.2.0/24 via 10.1.1.1'], bytes((24, 10, 1, 2, 10, 1, 1, 1))),
        ('249', 'default 10.1.1.1', bytes((0, 10, 1, 1, 1))),
        ('33', '10.0.0.0 10.1.1.1', bytes((10, 0, 0, 0, 10, 1, 1, 1))),
        ('25', [68, 296], b'\x00\x44\x01\x28'),
        ('43', 'hex:01:04:0a-0B 0c0d', b'\x01\x04\x0a\x0b\x0c\x0d'),
        ('224', 'plain text', b'plain text'),
        ('224', 'hex:00', b'\x00'),
        ('66', 'hex:6162', b'ab'),
    ],
)  # fmt: skip
def test_a_value_becomes_its_bytes(option: str, value: Any, data: bytes) -> None:
    assert make(option, value, 4).data == data


@pytest.mark.parametrize(
    ('option', 'value', 'data'),
    [
        ('23', '2001:db8::1', bytes.fromhex('20010db8000000000000000000000001')),
        ('domain-search', ['a.b'], b'\x01a\x01b\x00'),
        ('56', '2001:db8::1', bytes.fromhex('0001001020010db8000000000000000000000001')),
        ('56', 'ntp.example', b'\x00\x03\x00\x0d\x03ntp\x07example\x00'),
        ('59', 'http://x/y', b'http://x/y'),
    ],
)
def test_a_value_becomes_its_bytes_in_dhcpv6(option: str, value: Any, data: bytes) -> None:
    assert make(option, value, 6).data == data


@pytest.mark.parametrize(
    ('option', 'value', 'words'),
    [
        ('26', 70000, 'too large'),
        ('26', 'many', 'whole number'),
        ('26', True, 'whole number'),
        ('19', 'perhaps', 'neither true nor false'),
        ('6', '2001:db8::1', 'no IPv4 address'),
        ('6', 7, 'no IPv4 address'),
        ('6', '', 'no value'),
        ('16', ['10.0.0.1', '10.0.0.2'], 'one value'),
        ('66', 'x' * 256, '256 bytes'),
        ('66', 'a\nb', 'control characters'),
        ('66', True, 'text'),
        ('121', '10.0.0.1/8 10.1.1.1', 'no route'),
        ('121', '10.0.0.0/8', 'no route'),
        ('33', '10.0.0.0', 'pairs'),
        ('119', 'a..b', 'no domain name'),
        ('119', 'a b"; {', 'no domain name'),
        ('43', 'abc', 'not known'),
        ('224', 5, 'not known'),
        ('224', 'hex:0', 'no bytes'),
        ('51', 60, 'server sets it'),
        ('subnet-mask', '255.0.0.0', 'server sets it'),
        ('255', 'x', 'server sets it'),
        ('999', 'x', 'no such number'),
        ('no-such-option', 'x', 'no option has this name'),
        ('bootfile-url', 'x', 'DHCPv6 has'),
    ],
)
def test_what_cannot_be_written_says_why_and_what_to_do(option: str, value: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words) as error:
        make(option, value, 4)
    assert error.value.remedy
    assert len(str(error.value)) < 200


def test_a_subnet_hands_out_its_fields(world: World) -> None:
    subnet = world.add_subnet(
        '10.60.0.0/24', gateway='10.60.0.1', name_servers=['10.0.0.2', '2001:db8::2'], ntp_servers=['10.0.0.3'],
        domain='ber.example',
    )  # fmt: skip
    options, problems = of_subnet(subnet, 4)
    assert not problems
    assert {option.code: option.data for option in options} == {
        3: bytes((10, 60, 0, 1)), 6: bytes((10, 0, 0, 2)), 15: b'ber.example', 42: bytes((10, 0, 0, 3)),
        119: b'\x03ber\x07example\x00',
    }  # fmt: skip
    assert [option.code for option in options] == sorted(option.code for option in options)


def test_ipv6_has_no_gateway_and_takes_the_addresses_of_its_family(world: World) -> None:
    subnet = world.add_subnet('2001:db8::/64', gateway='2001:db8::1', name_servers=['10.0.0.2', '2001:db8::2'])
    options, problems = of_subnet(subnet, 6)
    assert not problems
    assert [(option.code, option.data.hex()) for option in options] == [(23, '20010db8000000000000000000000002')]


def test_what_is_set_by_hand_wins(world: World) -> None:
    subnet = world.add_subnet('10.60.0.0/24', gateway='10.60.0.1', dhcp_options={'routers': '10.60.0.254'})
    assert of_subnet(subnet, 4)[0][0].data == bytes((10, 60, 0, 254))


def test_one_bad_option_does_not_take_the_others_with_it(world: World) -> None:
    subnet = world.add_subnet(
        '10.60.0.0/24', gateway='10.60.0.1', name_servers=['nonsense'],
        dhcp_options={'26': 'x', '66': 'boot', 'tftp-server-name': 'twice'},
    )  # fmt: skip
    options, problems = of_subnet(subnet, 4)
    assert {option.code: option.data for option in options} == {3: bytes((10, 60, 0, 1)), 66: b'boot'}
    assert [problem.what for problem in problems] == ['subnet'] * 3
    assert ['26' in problems[1].message, 'tftp-server-name' in problems[2].message] == [True, True]
    assert all(problem.name == '10.60.0.0/24' and problem.remedy for problem in problems)


def test_classless_routes_without_a_default_route_are_warned_of(world: World) -> None:
    subnet = world.add_subnet('10.60.0.0/24', gateway='10.60.0.1', dhcp_options={'121': '10.0.0.0/8 10.60.0.2'})
    (problem,) = of_subnet(subnet, 4)[1]
    assert problem.severity == 'warning'
    assert '0.0.0.0/0 10.60.0.1' in problem.remedy
    other = world.change(subnet, dhcp_options={'121': '10.0.0.0/8 10.60.0.2, 0.0.0.0/0 10.60.0.1'})
    assert not of_subnet(other, 4)[1]


def test_hostile_texts_are_shortened_in_messages(tmp_path: Path, world: World) -> None:
    nasty = '"; }\n\u202e' + 'x' * 65536
    subnet = world.add_subnet('10.60.0.0/24', gateway=nasty, domain=nasty, dhcp_options={nasty: nasty, '26': nasty})
    options, problems = of_subnet(subnet, 4)
    assert not options
    assert len(problems) == 4
    assert all(len(problem.message) < 300 and problem.message.isprintable() for problem in problems)


def test_a_vendor_class_set_by_hand_is_warned_of(world: World) -> None:
    _, problems = of_subnet(world.add_subnet('10.60.0.0/24', dhcp_options={'60': 'PXEClient'}), 4)
    assert [(problem.severity, 'HTTPClient' in problem.message) for problem in problems] == [('warning', True)]
