"""dnsmasq's syntax: whatever is written is one line, dnsmasq takes it, and it says what was meant."""

import os
import re
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from substruct_sidecar.dhcp import dnsmasq_syntax as syntax
from substruct_sidecar.dhcp import options
from substruct_sidecar.dhcp.dnsmasq_handwritten import Checker
from substruct_sidecar.dhcp.dnsmasq_syntax import Block, Unsayable
from substruct_sidecar.dhcp.model import Host, Identifier, Option, Placement
from tests.sidecar.dhcp.backend_dnsmasq import BINARY, DnsmasqBackend

NOWHERE = Path('/nonexistent')


@pytest.fixture(scope='module')
def checker(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    if reason := DnsmasqBackend.missing():
        pytest.skip(reason)
    return Checker(BINARY, tmp_path_factory.mktemp('run'))


def refusal(checker: Checker, hosts: list[str] = [], options: list[str] = []) -> object:  # noqa: B006
    """What the daemon's own parser says to lines of hosts and options."""
    parts = [Block('o', '', tuple(options))], [Block('h', '', tuple(hosts))]
    return checker.refusal(NOWHERE, NOWHERE, (), *parts)


def host(**values: object) -> Host:
    given = {
        'key': 'm1.1', 'machine': 1, 'machine_name': 'srv', 'identifiers': (Identifier('mac', '02:00:00:00:00:01'),),
        'placements': (), 'hostname': 'srv', 'boot': True, **values,
    }  # fmt: skip
    return Host(**given)  # type: ignore[arg-type]


def lines(found: Host) -> tuple[str, ...]:
    return syntax.host_lines(found, boot_tag='boot', placed_tag='every').lines


# Hosts


def test_a_host_has_a_line_for_anywhere_and_one_for_each_address() -> None:
    placements = (Placement(1, ip_address('10.0.0.5')), Placement(2, ip_address('10.1.0.5')))
    assert lines(host(placements=placements)) == (
        '02:00:00:00:00:01,set:boot,srv',
        '02:00:00:00:00:01,tag:every,set:boot,10.0.0.5,srv',
        '02:00:00:00:00:01,tag:every,set:boot,10.1.0.5,srv',
    )


def test_a_host_has_all_its_identifiers() -> None:
    identifiers = (
        Identifier('mac', '02:00:00:00:00:01'), Identifier('mac', '02:00:00:00:00:02'),
        Identifier('client-id', '01aabb'), Identifier('duid', '0003000102aabb'),
    )  # fmt: skip
    placements = (Placement(1, ip_address('10.0.0.5')), Placement(2, ip_address('2001:db8::5')))
    assert lines(host(identifiers=identifiers, placements=placements, boot=False, hostname='')) == (
        '02:00:00:00:00:01,02:00:00:00:00:02,id:01:aa:bb',
        'id:00:03:00:01:02:aa:bb',
        '02:00:00:00:00:01,02:00:00:00:00:02,id:01:aa:bb,tag:every,10.0.0.5',
        '02:00:00:00:00:01,02:00:00:00:00:02,id:00:03:00:01:02:aa:bb,tag:every,[2001:db8::5]',
        'id:00:03:00:01:02:00:00:00:00:01,tag:every,[2001:db8::5]',
        'id:00:03:00:01:02:00:00:00:00:02,tag:every,[2001:db8::5]',
    )


@pytest.mark.parametrize('name', ('12', '12h', '7d', '30M', '0', '99999w'))
def test_a_host_name_that_looks_like_a_time_is_not_sent_and_that_is_said(name: str) -> None:
    found = syntax.host_lines(host(hostname=name), boot_tag='boot', placed_tag='every')
    assert found.lines == ('02:00:00:00:00:01,set:boot',)
    (said,) = found.unsaid
    assert f'"{name}" looks like a lease time' in said


@pytest.mark.parametrize(('name', 'written'), (('ignore', 'Ignore'), ('infinite', 'Infinite'), ('IGNORE', 'IGNORE')))
def test_words_of_dnsmasq_are_host_names_all_the_same(name: str, written: str) -> None:
    assert syntax.hostname(name) == written


@pytest.mark.parametrize(
    'name', ('', 'a,b', 'set:x', 'a b', 'ä', '-a', 'a.b', 'a' * 64, 'a\n', '10.0.0.1', '[::1]', 'id:*', '#a', '"a"')
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(Unsayable):
        syntax.hostname(name)


@pytest.mark.parametrize('value', ('', '*', '02:00:00:00:00:0*', '02:00:00:00:00', '02-00-00-00-00-01', 'id:*', 'x\n'))
def test_what_is_no_mac_address_is_refused(value: str) -> None:
    with pytest.raises(Unsayable):
        syntax.mac(value)


def test_a_line_is_never_longer_than_dnsmasq_reads() -> None:
    many = tuple(Identifier('mac', f'02:00:00:00:00:{number:02x}') for number in range(200))
    with pytest.raises(Unsayable, match='more than 1000 bytes'):
        lines(host(identifiers=many))
    with pytest.raises(Unsayable, match='more than 1000 bytes'):
        syntax.line('dhcp-option', *syntax.option(Option(59, b'x' * 2000), 6))


_LABEL = st.from_regex(r'[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?', fullmatch=True)
_MAC = st.binary(min_size=6, max_size=6).map(lambda data: data.hex(':'))
_IDENTIFIER = st.one_of(
    st.builds(Identifier, st.just('mac'), _MAC),
    st.builds(Identifier, st.sampled_from(('client-id', 'duid')), st.binary(min_size=2, max_size=130).map(bytes.hex)),
)


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(_IDENTIFIER, min_size=1, max_size=4), _LABEL, st.booleans()), max_size=8))
def test_dnsmasq_takes_every_host(checker: Checker, hosts: list[tuple[list[Identifier], str, bool]]) -> None:
    """Reserved addresses are different, as the derivation makes sure."""
    written: list[str] = []
    for number, (identifiers, name, boot) in enumerate(hosts):
        placements = (Placement(1, ip_address(f'10.0.0.{number}')), Placement(2, ip_address(f'2001:db8::{number}')))
        found = host(identifiers=tuple(identifiers), hostname=name, boot=boot, placements=placements)
        written += lines(found)
    assert refusal(checker, hosts=written) is None


def test_the_checker_reads_hosts_and_options_although_the_daemons_own_test_does_not(checker: Checker) -> None:
    same = ['02:00:00:00:00:01,10.0.0.1', '02:00:00:00:00:02,10.0.0.1']
    found = checker.refusal(NOWHERE, NOWHERE, hosts=[Block('m7.3', 'srv', tuple(same))])
    assert found is not None
    assert (found.words, found.key, found.source) == ('duplicate dhcp-host IP address 10.0.0.1', 'm7.3', 'hosts')
    found = checker.refusal(NOWHERE, NOWHERE, options=[Block('options-1', '', ('tag:x,3,nonsense',))])
    assert found is not None
    assert (found.words, found.key, found.source) == ('bad IP address', 'options-1', 'options')


# Options


@pytest.mark.parametrize(
    ('found', 'version', 'written'),
    [
        (Option(3, bytes((10, 0, 0, 1, 10, 0, 0, 2))), 4, '3,10.0.0.1,10.0.0.2'),
        (Option(15, b'a"b\\c,d'), 4, r'15,"a\"b\\c,d"'),
        (Option(26, b'\x05\xdc'), 4, '26,05:dc'),
        (Option(23, b'\x40'), 4, '23,64b'),
        (Option(58, bytes((0, 0, 7, 8))), 4, '58,1800'),
        (Option(119, options.domain_name('a.example') + options.domain_name('b')), 4, '119,a.example,b'),
        (Option(224, b'text'), 4, '224,74:65:78:74'),
        (Option(80, b''), 4, '80'),
        (Option(23, ip_address('2001:db8::1').packed), 6, 'option6:23,[2001:db8::1]'),
        (Option(59, b'http://[::1]/a,b'), 6, 'option6:59,"http://[::1]/a,b"'),
        (Option(60, b'\0\3a,b\0\1c'), 6, 'option6:60,"a,b","c"'),
        (Option(7, b'\xff'), 6, 'option6:7,255b'),
    ],
    ids=str,
)  # fmt: skip
def test_options_are_written_as_dnsmasq_reads_them(checker: Checker, found: Option, version: int, written: str) -> None:
    assert ','.join(syntax.option(found, version)) == written  # type: ignore[arg-type]
    assert refusal(checker, options=[f'tag:x,{written}']) is None


@pytest.mark.parametrize(
    ('found', 'version'),
    [
        (Option(3, b'abc'), 4), (Option(3, bytes(4)), 4), (Option(15, b'a\nb'), 4), (Option(15, b'a\0'), 4),
        (Option(15, b'\xff'), 4), (Option(119, b'\3a b\0'), 4), (Option(119, b'\3abc'), 4), (Option(58, b'\1'), 4),
        (Option(23, bytes(15)), 6), (Option(16, b'\0\0\1\x57\0\1x'), 6), (Option(60, b'\0\0'), 6),
    ],
    ids=str,
)  # fmt: skip
def test_what_dnsmasq_would_read_as_something_else_is_not_written(found: Option, version: int) -> None:
    with pytest.raises(Unsayable):
        syntax.option(found, version)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=60), st.sampled_from((4, 6))), max_size=12))
def test_dnsmasq_takes_every_option(checker: Checker, found: list[tuple[int, bytes, int]]) -> None:
    written = []
    for code, data, version in found:
        try:
            parts = syntax.option(Option(code, data), version)  # type: ignore[arg-type]
        except Unsayable:
            continue
        written.append(','.join(('tag:x', *parts)))
    assert refusal(checker, options=written) is None


# Files


@given(st.text(max_size=200))
def test_a_comment_stays_one(text: str) -> None:
    block = syntax.block('m1.1', text, ['a', 'b'])
    assert len(block.text.splitlines()) == 3
    assert re.fullmatch(r'# m1\.1[ -~]*\n', block.text.splitlines(keepends=True)[0])
    assert max(map(len, block.text.splitlines())) < 100


def test_what_is_written_is_read_again() -> None:
    blocks = [
        syntax.block('m1.1', 'srv-1', ['a', 'b']),
        syntax.block('m10.2', '', []),
        syntax.block('m2.1', 'x', ['c']),
    ]
    assert list(syntax.read(syntax.written(blocks)).values()) == blocks


@pytest.mark.parametrize('strange', ('stranger\n', '# m1.1 twice\nb\n', '# \nx\n', '#comment\n'))
def test_lines_of_somebody_else_make_a_difference(strange: str) -> None:
    blocks = {'m1.1': syntax.block('m1.1', '', ['a'])}
    for text in (strange + syntax.written(blocks.values()), syntax.written(blocks.values()) + strange):
        assert list(syntax.difference(syntax.read(text), blocks))


def test_the_place_of_a_line_is_its_block() -> None:
    text = syntax.written([syntax.block('m1.1', '', ['a', 'b']), syntax.block('m2.1', '', ['c'])])
    assert [syntax.place_of(text, number) for number in range(1, 6)] == ['m1.1', 'm1.1', 'm1.1', 'm2.1', 'm2.1']


def test_what_a_killed_check_left_is_removed_when_it_is_old(checker: Checker, tmp_path: Path) -> None:
    old, new = tmp_path / 'dnsmasq-check-old', tmp_path / 'dnsmasq-check-new'
    for folder in (old, new):
        folder.mkdir()
        (folder / 'main.conf').touch()
    os.utime(old, (1, 1))
    assert Checker(BINARY, tmp_path).refusal(NOWHERE, NOWHERE) is None
    assert list(tmp_path.iterdir()) == [new]
