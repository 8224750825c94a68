"""What DNS holds follows from the records of the feed; what cannot be is reported, and the rest is served."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from substruct_sidecar.desired import Record, Zone
from substruct_sidecar.dns import zonefile
from substruct_sidecar.dns.derive import Derived, address_at, classless, contents, delegation, lines_of, reverse_name
from substruct_sidecar.dns.presentation import Unusable, rdata, value_of
from substruct_sidecar.dns.rfc2136 import address_of
from substruct_sidecar.dns.tsig import InvalidKey, parse_key
from substruct_sidecar.plan import Problem

from .servers import KEY, need


def zone(number: int, name: str, **values: Any) -> Zone:
    values = {
        'reverse': name.endswith('.arpa'), 'update_method': 'zonefile', 'server': None, 'credential': None,
        'name_servers': ['ns1.example.net'], 'ttl': 3600, 'mname': None, 'rname': None, 'refresh': 3600, 'retry': 600,
        'expire': 604800, 'minimum': 300, **values,
    }  # fmt: skip
    return Zone(id=number, name=name, **values)


FORWARD, REVERSE = zone(1, 'example.com'), zone(2, '2.0.192.in-addr.arpa')


def derived(*records: Record, zones: tuple[Zone, ...] = (FORWARD, REVERSE)) -> tuple[set[str], list[Problem]]:
    """All lines of all zones, and all problems."""
    found = Derived(zones).add(records)
    problems = list(found.problems)
    lines: set[str] = set()
    for one in zones:
        for name, content, more in contents(found, one.id):
            lines.update(lines_of(name, content))
            problems.extend(more)
    return lines, problems


def host(number: int, name: str, address: str, forward: int | None = 1, reverse: int | None = 2, **more: Any) -> Record:
    return Record(id=number, name=name, address=address, forward_zone=forward, reverse_zone=reverse, **more)


def other(number: int, name: str, type_: str, value: str, **more: Any) -> Record:
    return Record(id=number, name=name, type=type_, value=value, forward_zone=1, **more)


def test_an_address_has_a_name_and_a_way_back() -> None:
    assert derived(host(1, 'A.Example.com.', '192.0.2.1')) == (
        {'a.example.com. 3600 IN A 192.0.2.1', '1.2.0.192.in-addr.arpa. 3600 IN PTR a.example.com.'},
        [],
    )


def test_one_name_may_have_several_addresses() -> None:
    lines, problems = derived(host(1, 'a.example.com', '192.0.2.1'), host(2, 'a.example.com', '192.0.2.2'))
    assert len(lines) == 4 and not problems


def test_of_two_names_for_one_address_the_oldest_record_has_the_way_back() -> None:
    for order in (1, -1):
        records = [host(7, 'b.example.com', '192.0.2.1'), host(3, 'a.example.com', '192.0.2.1')][::order]
        lines, problems = derived(*records)
        assert '1.2.0.192.in-addr.arpa. 3600 IN PTR a.example.com.' in lines
        assert len(lines) == 3
        assert [(problem.what, problem.id) for problem in problems] == [('record', 7)]


def test_the_same_said_twice_is_no_conflict() -> None:
    lines, problems = derived(host(1, 'a.example.com', '192.0.2.1'), host(2, 'a.example.com', '192.0.2.1'))
    assert len(lines) == 2 and not problems


def test_an_alias_stands_alone() -> None:
    lines, problems = derived(
        other(1, 'a.example.com', 'CNAME', 'b'), host(2, 'a.example.com', '192.0.2.1'),
        other(3, 'c.example.com', 'CNAME', 'b'), other(4, 'c.example.com', 'CNAME', 'd'),
        other(5, 'example.com', 'CNAME', 'b'),
    )  # fmt: skip
    assert {line for line in lines if 'PTR' not in line} == {
        'a.example.com. 3600 IN A 192.0.2.1', 'c.example.com. 3600 IN CNAME b.example.com.',
    }  # fmt: skip
    assert sorted(problem.id for problem in problems) == [1, 4, 5]


def test_a_set_has_one_ttl() -> None:
    lines, _ = derived(host(1, 'a.example.com', '192.0.2.1', ttl=60), host(2, 'a.example.com', '192.0.2.2', ttl=900))
    assert {line.split()[1] for line in lines if ' A ' in line} == {'60'}


@pytest.mark.parametrize(
    'record',
    [
        host(1, 'a.other.org', '192.0.2.1', reverse=None),
        host(1, 'aexample.com', '192.0.2.1', reverse=None),
        host(1, 'a.example.com', '198.51.100.1', forward=None),
        host(1, 'a b.example.com', '192.0.2.1'),
        host(1, 'under_score.example.com', '192.0.2.1'),
        host(1, '-a.example.com', '192.0.2.1'),
        host(1, 'a..example.com', '192.0.2.1'),
        host(1, 'a' * 64 + '.example.com', '192.0.2.1'),
        host(1, ('a' * 60 + '.') * 4 + 'example.com', '192.0.2.1'),
        host(1, 'ä.example.com', '192.0.2.1'),
        host(1, 'a.example.com', '192.0.2.300'),
        host(1, 'a.example.com', '192.0.2.1/24'),
        host(1, 'a.example.com', ''),
        other(1, 'a.example.com', 'SOA', '. . 1 2 3 4 5'),
        other(1, 'a.example.com', 'ANY', 'x'),
        other(1, 'a.example.com', 'nonsense', 'x'),
        other(1, 'a.example.com', 'A', '192.0.2.1\n$INCLUDE /etc/passwd'),
        other(1, 'a.example.com', 'MX', '10 bad_name'),
        other(1, 'a\n$TTL 5.example.com', 'TXT', 'x'),
        other(1, 'a.example.com', 'TXT', '"open'),
        other(1, 'a.example.com', 'TXT', 'ä'),
    ],
)
def test_what_cannot_be_served_is_reported_and_the_rest_is_served(record: Record) -> None:
    lines, problems = derived(record, host(9, 'good.example.com', '192.0.2.9'))
    assert len(lines) == 2 and all('good.example.com' in line for line in lines)
    assert [(problem.what, problem.id) for problem in problems] == [('record', 1)]
    assert problems[0].remedy


def test_a_ttl_that_is_none_is_reported_and_the_zones_is_used() -> None:
    lines, problems = derived(host(1, 'a.example.com', '192.0.2.1', reverse=None, ttl=2**31))
    assert lines == {'a.example.com. 3600 IN A 192.0.2.1'} and len(problems) == 1


def test_a_wildcard_has_no_way_back() -> None:
    assert derived(host(1, '*.example.com', '192.0.2.1')) == ({'*.example.com. 3600 IN A 192.0.2.1'}, [])


def test_ipv6_by_nibbles() -> None:
    six = zone(2, '8.b.d.0.1.0.0.2.ip6.arpa')
    lines, problems = derived(host(1, 'a.example.com', '2001:DB8:0::1'), zones=(FORWARD, six))
    assert f'1.{"0." * 23}8.b.d.0.1.0.0.2.ip6.arpa. 3600 IN PTR a.example.com.' in lines
    assert 'a.example.com. 3600 IN AAAA 2001:db8::1' in lines and not problems


@pytest.mark.parametrize(
    ('name', 'networks'),
    [
        ('0/26.2.0.192.in-addr.arpa', ['192.0.2.0/26']),
        ('64-26.2.0.192.in-addr.arpa', ['192.0.2.64/26']),
        ('0-63.2.0.192.in-addr.arpa', ['192.0.2.0/26']),
        ('128-255.2.0.192.in-addr.arpa', ['192.0.2.128/25']),
        ('0-31.2.0.192.in-addr.arpa', ['192.0.2.0/31', '192.0.2.0/27']),
        ('1-63.2.0.192.in-addr.arpa', []),
        ('0/24.2.0.192.in-addr.arpa', []),
        ('5/26.2.0.192.in-addr.arpa', []),
        ('0-63.999.0.192.in-addr.arpa', []),
        ('2.0.192.in-addr.arpa', []),
    ],
)
def test_zones_that_are_no_whole_octet(name: str, networks: list[str]) -> None:
    assert [str(network) for network in classless(name)] == networks


@pytest.mark.parametrize('name', ['0/26.2.0.192.in-addr.arpa', '0-63.2.0.192.in-addr.arpa'])
def test_addresses_in_a_zone_that_is_no_whole_octet(name: str) -> None:
    lines, problems = derived(
        host(1, 'a.example.com', '192.0.2.5', forward=None), host(2, 'b.example.com', '192.0.2.64', forward=None),
        zones=(zone(2, name),),
    )  # fmt: skip
    assert lines == {f'5.{name}. 3600 IN PTR a.example.com.'}
    assert [problem.id for problem in problems] == [2]
    assert address_at(f'5.{name}') == '192.0.2.5'
    assert delegation(zone(2, name)) == (
        f'{name}. IN NS ns1.example.net.', f'$GENERATE 0-63 $.2.0.192.in-addr.arpa. CNAME $.{name}.',
    )  # fmt: skip
    assert delegation(REVERSE) == ()


@given(st.ip_addresses())
def test_the_name_of_an_address_leads_back_to_it(address: Any) -> None:
    assert address_at(reverse_name(str(address))) == str(address)


_ALPHABET = 'ab1.-_*@$;"\\()#/\n\r\t \0\x7f' + 'ä\u202e\U0001f600'
_text = st.text(_ALPHABET, max_size=40) | st.text(max_size=80) | st.just('x' * 65536)
_names = _text.map(lambda text: f'{text}.example.com') | _text
_types = st.sampled_from(
    ['A', 'AAAA', 'CNAME', 'TXT', 'MX', 'SRV', 'CAA', 'PTR', 'NS', 'SOA', 'DNAME', 'HINFO', 'TYPE65280', 'ANY', 'URI']
)
_records = st.lists(
    st.one_of(
        st.builds(host, st.integers(1, 50), _names, st.sampled_from(['192.0.2.7', '2001:db8::7', 'x', '\n'])),
        st.builds(other, st.integers(1, 50), _names | st.just('h.example.com'), _types | _text, _text),
        st.builds(
            other, st.integers(1, 50), st.just('h.example.com'), st.sampled_from(['TXT', 'HINFO', 'CAA']),
            _text.map(lambda text: f'"{text}"') | _text.map(lambda text: f'0 issue "{text}"'),
        ),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_records)
def test_no_name_and_no_value_becomes_a_directive(hostile: list[Record]) -> None:
    good = host(100, 'good.example.com', '192.0.2.100')
    lines, _ = derived(good, *hostile)
    assert {
        'good.example.com. 3600 IN A 192.0.2.100',
        '100.2.0.192.in-addr.arpa. 3600 IN PTR good.example.com.',
    } <= lines
    for line in lines:
        assert line.isascii() and line.isprintable() and len(line) < 40_000
        name, ttl, class_, type_, value = line.split(' ', 4)
        assert re.fullmatch(r'[a-z0-9_/*.-]+\.', name) and ttl == '3600' and class_ == 'IN'
        # What goes over the wire is what stands in the file, and reads the same again.
        assert value_of(type_, value, '') == value and rdata(type_, value).to_wire()


# Not made smaller when it fails: each try is a process.
@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)  # fmt: skip
@given(hostile=_records)
def test_the_checker_accepts_the_file_and_reads_the_others_as_before(
    hostile: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> None:
    need('named-checkzone')
    folder = Path(tmp_path_factory.getbasetemp()) / 'hostile'
    folder.mkdir(exist_ok=True)
    good = [host(100 + n, f'good-{n}.example.com', f'192.0.2.{100 + n}') for n in range(3)]
    lines, _ = derived(*good, *hostile, zones=(FORWARD,))
    # A zone may be wrong as a whole although each of its records is right; that is for the checker to say.
    lines = {line for line in lines if ' NS ' not in line and ' DNAME ' not in line}
    body = zonefile.body_of(FORWARD, lines)
    path = folder / 'zone'
    path.write_text(zonefile.text_of(FORWARD, body, 5, 'a' * 64, None))
    done = subprocess.run(
        ['named-checkzone', '-k', 'fail', '-i', 'local', '-D', '-o', '-', 'example.com', str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:2000]
    read = {re.sub(r'\s+', ' ', line, count=4) for line in done.stdout.splitlines()}
    assert {f'good-{n}.example.com. 3600 IN A 192.0.2.{100 + n}' for n in range(3)} <= read
    assert len(read) == len(lines) + 2  # SOA and NS


def test_keys_and_servers_are_told_what_they_must_be() -> None:
    assert parse_key(KEY, 'tsig').name.to_text() == 'substruct.'
    for text in (
        '',
        'hmac-sha256',
        'hmac-sha256:name',
        'hmac-md5:name:YWJj',
        'hmac-sha256:name:!',
        'hmac-sha256:a b:YWJj',
    ):
        with pytest.raises(InvalidKey, match='tsig') as error:
            parse_key(text, 'tsig')
        assert 'YWJj' not in str(error.value)
    assert address_of('ns1.example.com') == ('ns1.example.com', 53)
    assert address_of('[2001:db8::1]:5353') == ('2001:db8::1', 5353)
    assert address_of('2001:db8::1') == ('2001:db8::1', 53)
    for text in ('', 'a b', 'a:b', '[::1', '[::1]5', 'a:0', 'a:70000'):
        with pytest.raises(ValueError, match='is no server'):
            address_of(text)


def test_a_mailbox_is_written_as_soa_has_it() -> None:
    for rname, shown in (
        ('host.master@example.com', 'host\\.master.example.com.'), ('hostmaster.example.com', 'hostmaster.example.com.')
    ):  # fmt: skip
        assert f' {shown} 5 ' in zonefile.soa(zone(1, 'example.com', rname=rname), 5)
    with pytest.raises(Unusable):
        zonefile.soa(zone(1, 'example.com', rname='a b@example.com'), 5)
