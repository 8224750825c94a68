"""What is written for Kea: the hand-written part is kept whole, ours can be told from it, and each value is data."""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.dhcp import clients
from substruct_sidecar.dhcp.kea_base import Base, BaseError, base, parse
from substruct_sidecar.dhcp.kea_config import Parts, document, local_links, parts, served
from substruct_sidecar.dhcp.kea_control import Dialect, dialect
from substruct_sidecar.dhcp.kea_hosts import reservation_json, reservations
from substruct_sidecar.dhcp.kea_written import differences, written
from substruct_sidecar.dhcp.model import BootAt, Host, Identifier, Option, Placement, Subnet
from substruct_sidecar.settings import SettingsError, load

OLD, NEW = Dialect((2, 2, 0)), Dialect((3, 0, 0))
BOOT = BootAt('http://10.60.0.1:8080', ip_address('10.60.0.1'))


def a_subnet(number: int = 7, prefix: str = '10.60.0.0/24', **values: Any) -> Subnet:
    values = {
        'shared': '', 'options': (Option(3, bytes((10, 60, 0, 1))),), 'lease_range': None, 'lease_time': 1800,
        'discovery': False, 'boot': BOOT, **values,
    }  # fmt: skip
    return Subnet(id=number, prefix=ip_network(prefix), **values)


def a_host(number: int = 1, **values: Any) -> Host:
    values = {
        'identifiers': (Identifier('mac', f'02:00:00:00:00:{number:02x}'),),
        'placements': (Placement(7, ip_address(f'10.60.0.{10 + number}')),),
        'hostname': f'srv-{number}', 'boot': True, **values,
    }  # fmt: skip
    return Host(key=f'm{number}.1', machine=number, machine_name=f'srv-{number}', **values)


def a_base(**section: Any) -> Base:
    return base(4, {'Dhcp4': {'interfaces-config': {'interfaces': ['br0']}, **section}}, 'base4.json')


def made(*hosts: Host, subnets: tuple[Subnet, ...] = (a_subnet(),), dialect: Dialect = OLD) -> Parts:
    by_id = {subnet.id: subnet for subnet in subnets}
    lines: dict[int, list[bytes]] = {}
    for host in hosts:
        for found in reservations(host, (4,), by_id):
            lines.setdefault(found.subnet, []).append(reservation_json(found))
    return parts(4, by_id, lines, clients.table(), dialect)


def test_kea_s_own_json_is_understood() -> None:
    text = """
    // a comment, # and /* more */
    { "Dhcp4": { # here too
        "a": "no // comment, # and no /* comment */ \\" in a string",
        "list": [ 1, 2, /* the last one, */ ], <?include "more.json"?>
    } }"""
    found = parse(text, 'base.json', {'more.json': '"b": true // the end'}.__getitem__)
    assert found == {'Dhcp4': {'a': 'no // comment, # and no /* comment */ " in a string', 'list': [1, 2], 'b': True}}


@pytest.mark.parametrize(
    ('text', 'words'),
    (
        ('{\n  "Dhcp4": { "a": 1 "b": 2 }\n}', 'line 2, column 21'),
        ('// one\n/* two\nthree */ {:}', 'line 3'),
        ('{"a": 1, "a": 2}', '"a" stands there twice'),
        ('{"a": NaN}', 'NaN'),
        ('[' * 100_000, 'base.json'),
        ('{"a": "' + 'x' * 100, 'line 1'),
    ),
)
def test_what_is_no_json_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(BaseError, match=r'base\.json') as error:
        parse(text, 'base.json')
    assert words in str(error.value)


def test_includes_that_include_themselves_end() -> None:
    with pytest.raises(BaseError, match='nested too deeply'):
        parse('<?include "me"?>', 'me', lambda name: '<?include "me"?>')


@pytest.mark.parametrize(
    ('section', 'words'),
    (
        ({'client-classes': [{'name': 'substruct-mine'}]}, 'substruct-mine'),
        ({'subnet4': [{'subnet': '10.0.0.0/8'}]}, 'has no "id"'),
        ({'shared-networks': [{'name': 'a', 'subnet4': [{'id': 0, 'subnet': '10.0.0.0/8'}]}]}, 'has no "id"'),
        ({'subnet4': {}}, 'no list of maps'),
        ({'shared-networks': [{'name': 'a', 'subnet4': 7}]}, 'no list of maps'),
        ({'shared-networks': [{'name': 'a', 'subnet4': ['10.0.0.0/8']}]}, 'no list of maps'),
        ({'user-context': {'substruct': {}}}, 'written by Substruct itself'),
    ),
)
def test_a_base_to_which_nothing_can_be_added_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(BaseError, match=r'base4\.json') as error:
        a_base(**section)
    assert words in str(error.value)


def test_everything_written_by_hand_is_kept() -> None:
    by_hand = {
        'interfaces-config': {'interfaces': ['br0']},
        'client-classes': [{'name': 'mine', 'test': "option[60].text == 'x'"}],
        'option-data': [{'name': 'domain-search', 'data': 'example.com'}],
        'reservations': [{'hw-address': '02:00:00:00:99:01', 'hostname': 'mine', 'user-context': {'note': 'ü'}}],
        'shared-networks': [{'name': 'n', 'subnet4': [{'id': 4000000002, 'subnet': '10.2.0.0/16'}]}],
        'subnet4': [{'id': 4000000001, 'subnet': '10.1.0.0/16', 'valid-lifetime': 7}],
        'user-context': {'version': 3},
        'ip-reservations-unique': True,
    }
    whole = document(
        base(4, {'Dhcp4': by_hand, 'Other': {'x': 1}}, 'b'), made(a_host()), {'ip-reservations-unique': False}
    )
    found = json.loads(whole.content)
    assert found['Other'] == {'x': 1}
    for key, value in by_hand.items():
        if isinstance(value, list):
            assert found['Dhcp4'][key][: len(value)] == value
        elif key == 'user-context':
            assert found['Dhcp4'][key].items() >= value.items()
        else:
            assert found['Dhcp4'][key] == value
    # What goes to the daemon is the same.
    assert json.loads(whole.section) == {'Dhcp4': found['Dhcp4']}


def test_a_boot_file_for_everybody_is_one_for_the_subnets_written_by_hand() -> None:
    by_hand = a_base(
        **{'next-server': '10.9.9.9', 'boot-file-name': 'old.0'},
        subnet4=[{'id': 400, 'subnet': '10.1.0.0/16', 'boot-file-name': 'new.0'}],
        **{'shared-networks': [{'name': 'n', 'subnet4': [{'id': 401, 'subnet': '10.2.0.0/16'}]}]},
    )
    found = json.loads(document(by_hand, made(a_host()), {}).content)['Dhcp4']
    fields = ('next-server', 'boot-file-name')
    assert not found.keys() & set(fields)
    mine, ours = found['subnet4']
    assert [mine[key] for key in fields] == ['10.9.9.9', 'new.0']
    assert not ours.keys() & set(fields)
    assert [found['shared-networks'][0][key] for key in fields] == ['10.9.9.9', 'old.0']


def test_what_was_written_is_found_again() -> None:
    subnets = (a_subnet(), a_subnet(8, '10.61.0.0/24', shared='link8'), a_subnet(9, '10.62.0.0/24', shared='link8'))
    by_hand = a_base(
        reservations=[{'hw-address': '02:00:00:00:99:01', 'hostname': 'mine'}],
        subnet4=[{'id': 400, 'subnet': '10.1.0.0/16', 'reservations': [{'hw-address': '02:00:00:00:99:02'}]}],
    )
    mine = made(a_host(1), a_host(2, placements=(Placement(8, ip_address('10.61.0.2')),)), subnets=subnets)
    whole = document(by_hand, mine, {})
    again = written(4, whole.content)
    assert again.fingerprint == whole.fingerprint
    assert list(differences(again.parts, mine)) == []
    assert again.parts.count == mine.count == 3 + 4
    # Each host stands in a line of its own, where people look for it.
    assert sum(b'02:00:00:00:00:01' in line for line in whole.content.splitlines()) == 2


def test_the_fingerprint_is_of_everything() -> None:
    plain = document(a_base(), made(a_host()), {}).fingerprint
    assert document(a_base(), made(a_host()), {}).fingerprint == plain
    assert document(a_base(), made(a_host(boot=False)), {}).fingerprint != plain
    assert document(a_base(**{'valid-lifetime': 1}), made(a_host()), {}).fingerprint != plain


def test_a_difference_names_the_host_and_its_machine() -> None:
    found = list(differences(made(a_host(), a_host(2)), made(a_host(hostname='new'), a_host(3))))
    assert [(one.what, one.name, bool(one.before), bool(one.after), one.object) for one in found] == [
        ('host', 'hw-address 02:00:00:00:00:01 in every subnet', True, True, 1),
        ('host', 'hw-address 02:00:00:00:00:02 in every subnet', True, False, 2),
        ('host', 'hw-address 02:00:00:00:00:03 in every subnet', False, True, 3),
        ('host', 'hw-address 02:00:00:00:00:01 in 10.60.0.0/24', True, True, 1),
        ('host', 'hw-address 02:00:00:00:00:02 in 10.60.0.0/24', True, False, 2),
        ('host', 'hw-address 02:00:00:00:00:03 in 10.60.0.0/24', False, True, 3),
    ]


def test_a_subnet_that_is_written_by_hand_too_is_a_problem_of_that_subnet_alone() -> None:
    by_hand = a_base(subnet4=[{'id': 400, 'subnet': '10.60.0.0/24'}, {'id': 8, 'subnet': '10.9.0.0/16'}])
    subnets = {7: a_subnet(), 8: a_subnet(8, '10.61.0.0/24'), 9: a_subnet(9, '10.62.0.0/24')}
    mine, problems = served(subnets, by_hand)
    assert list(mine) == [9]
    assert [(problem.id, problem.name) for problem in problems] == [(7, '10.60.0.0/24'), (8, '10.61.0.0/24')]
    assert 'as subnet 400' in problems[0].message
    assert '10.9.0.0/16, with the same id 8' in problems[1].message


def test_a_subnet_that_overlaps_one_written_by_hand_is_served_and_warned_of() -> None:
    by_hand = a_base(subnet4=[{'id': 400, 'subnet': '10.60.0.0/16'}, {'id': 401, 'subnet': '10.9.0.0/16'}])
    mine, problems = served({7: a_subnet(), 9: a_subnet(9, '10.62.0.0/24')}, by_hand)
    assert list(mine) == [7, 9]
    assert [(problem.id, problem.severity) for problem in problems] == [(7, 'warning')]
    assert '10.60.0.0/16' in problems[0].message


def test_newer_versions_are_told_in_their_own_words() -> None:
    old, new = ((json.loads(document(a_base(), made(dialect=one), {}).content)['Dhcp4']) for one in (OLD, NEW))
    assert old['subnet4'][0]['require-client-classes'] == new['subnet4'][0]['evaluate-additional-classes'] != []
    listed = {entry['name'] for entry in old['client-classes'] if entry.get('only-if-required')}
    assert listed == {entry['name'] for entry in new['client-classes'] if entry.get('only-in-additional-list')}
    assert listed >= set(old['subnet4'][0]['require-client-classes'])
    assert not any('only-if-required' in entry for entry in new['client-classes'])


def test_versions_are_read_as_kea_says_them() -> None:
    assert dialect('2.2.0').version == (2, 2, 0)
    assert dialect('2.7.4-git').version == (2, 7, 4)
    assert dialect('3.0.1 (stable)').version == (3, 0, 1)


def test_no_value_can_leave_its_place() -> None:
    nasty = '"}],"subnet4":[{"x":"\\ \n\x00</'
    whole = json.loads(document(a_base(), made(a_host(hostname=nasty)), {}).content)
    hosts = whole['Dhcp4']['subnet4'][0]['reservations']
    assert [host['hostname'] for host in hosts] == [nasty]
    boot = BootAt("http://x'/) or member('ALL') or ('", None)
    classes = json.loads(document(a_base(), made(subnets=(a_subnet(boot=boot),)), {}).content)['Dhcp4'][
        'client-classes'
    ]
    assert not any('http://x' in entry.get('test', '') for entry in classes)


def test_a_host_is_known_everywhere_but_has_its_address_in_its_subnet() -> None:
    subnets = {7: a_subnet()}
    found = [(one.subnet, one.address) for one in reservations(a_host(), (4,), subnets)]
    assert found == [(0, ''), (7, '10.60.0.11')]
    assert [one.subnet for one in reservations(a_host(), (4,), subnets, everywhere=False)] == [7]
    homeless = a_host(placements=())
    assert [one.subnet for one in reservations(homeless, (4,), subnets, everywhere=False)] == [0]
    # A subnet that is not served takes its address with it, not the host.
    assert [one.subnet for one in reservations(a_host(), (4,), {}, everywhere=False)] == [0]


def test_links_of_this_host_are_read_from_proc() -> None:
    text = (
        'fe80000000000000021122fffe334455 02 40 20 80     eth0\n'
        '20010db8006000000000000000000001 03 40 00 80      br0\n'
        '00000000000000000000000000000001 01 80 10 80       lo\n'
    )
    assert local_links(text) == {ip_network('2001:db8:60::/64'): 'br0'}


@pytest.mark.parametrize(
    ('kea', 'words'),
    (
        ({}, 'dhcp.kea.socket4: is missing'),
        ({'socket4': 'relative', 'interfaces': ['eth0']}, 'dhcp.kea.socket4: "relative" is no absolute path'),
        ({'socket4': '/s', 'url4': 'http://h', 'base4': '/b'}, 'dhcp.kea.url4: dhcp.kea.socket4 is set too'),
        ({'socket4': '/s'}, 'dhcp.kea.base4: is missing, and dhcp.kea.interfaces too'),
        ({'socket4': '/s', 'base4': '/b', 'output4': '/b'}, 'dhcp.kea.output4: is the same file as base4'),
        ({'socket4': '/s', 'base4': '/b', 'mode': 'database'}, 'dhcp.kea.database_url: must be'),
        (
            {'socket4': '/s', 'base4': '/b', 'mode': 'database', 'database_url': 'mysql://u:hunter2@h/k'},
            'dhcp.kea.database_url: holds a password',
        ),
    ),
)
def test_settings_that_cannot_work_are_said_with_their_keys(tmp_path: Path, kea: dict[str, Any], words: str) -> None:
    lines = ['[netbox]', 'url = "http://netbox"', 'boot_server = "b"', '[dhcp]', 'backend = "kea"', '[dhcp.kea]']
    lines += [f'{key} = {json.dumps(value)}' for key, value in kea.items()]
    (tmp_path / 'sidecar.toml').write_text('\n'.join(lines))
    with pytest.raises(SettingsError) as error:
        load(tmp_path / 'sidecar.toml', {})
    assert words in str(error.value)
    assert 'hunter2' not in str(error.value)
