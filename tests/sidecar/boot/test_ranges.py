"""Which part of a file a request gets (RFC 9110, sections 13 and 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.boot.clients import Proxies, plain
from substruct_sidecar.boot.ranges import Part, part_of

SIZE, ETAG, MODIFIED = 1000, 'abc', 1_700_000_000
DATE, BEFORE, AFTER = (
    'Tue, 14 Nov 2023 22:13:20 GMT', 'Tue, 14 Nov 2023 22:13:19 GMT', 'Wed, 15 Nov 2023 22:13:20 GMT'
)  # fmt: skip
WHOLE = Part(200, 0, SIZE)


def part(**headers):
    return part_of({name.replace('_', '-').title(): value for name, value in headers.items()}, SIZE, ETAG, MODIFIED)


@pytest.mark.parametrize(
    ('wanted', 'found'),
    [
        ('bytes=0-0', Part(206, 0, 1)), ('bytes=0-', Part(206, 0, 1000)), ('bytes=990-', Part(206, 990, 10)),
        ('bytes=990-5000', Part(206, 990, 10)), ('bytes=-10', Part(206, 990, 10)), ('bytes=-5000', Part(206, 0, 1000)),
        ('BYTES = 1 - 2', Part(206, 1, 2)), ('bytes=999-999', Part(206, 999, 1)),
        ('bytes=1000-', Part(416)), ('bytes=1000-2000', Part(416)), ('bytes=-0', Part(416)),
        # What is no range of bytes is passed over, and several at once get the whole.
        ('bytes=5-4', WHOLE), ('bytes=-', WHOLE), ('bytes=a-b', WHOLE), ('lines=0-1', WHOLE), ('bytes=0-1,5-6', WHOLE),
        ('', WHOLE), ('bytes=--5', WHOLE), ('bytes=+1-2', WHOLE), ('bytes=1-2x', WHOLE),
        ('bytes=' + '9' * 30 + '-', WHOLE), ('bytes=0-' + '9' * 5000, WHOLE),
    ],
)  # fmt: skip
def test_ranges(wanted, found):
    assert part(range=wanted) == found


@pytest.mark.parametrize(
    ('condition', 'holds'),
    [
        ('"abc"', True), ('"old"', False), ('W/"abc"', False), ('abc', False), (DATE, True), (AFTER, False),
        (BEFORE, False), ('nonsense', False), ('', False),
    ],
)  # fmt: skip
def test_a_range_is_given_only_of_the_very_file_that_the_client_has(condition, holds):
    assert part(range='bytes=10-', if_range=condition) == (Part(206, 10, 990) if holds else WHOLE)


@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({'if_none_match': '"abc"'}, 304), ({'if_none_match': 'W/"abc"'}, 304), ({'if_none_match': '"x", "abc"'}, 304),
        ({'if_none_match': '*'}, 304), ({'if_none_match': '"x"'}, 200), ({'if_none_match': 'abc'}, 200),
        ({'if_modified_since': DATE}, 304), ({'if_modified_since': AFTER}, 304), ({'if_modified_since': BEFORE}, 200),
        ({'if_modified_since': 'nonsense'}, 200), ({'if_none_match': '"x"', 'if_modified_since': AFTER}, 200),
        ({'if_match': '"abc"'}, 200), ({'if_match': '"x"'}, 412), ({'if_match': 'W/"abc"'}, 412),
        ({'if_match': '*'}, 200), ({'if_unmodified_since': DATE}, 200), ({'if_unmodified_since': BEFORE}, 412),
        ({'if_match': '"abc"', 'if_unmodified_since': BEFORE}, 200),
        ({'if_none_match': '"abc"', 'range': 'bytes=0-1'}, 304), ({'if_match': '"x"', 'range': 'bytes=0-1'}, 412),
    ],
)  # fmt: skip
def test_conditions(headers, status):
    assert part(**headers).status == status


def test_for_head_a_range_means_nothing():
    assert part_of({'Range': 'bytes=0-1'}, SIZE, ETAG, MODIFIED, get=False) == WHOLE


def test_an_empty_file_has_no_ranges():
    assert part_of({'Range': 'bytes=0-'}, 0, ETAG, MODIFIED) == Part(416)
    assert part_of({}, 0, ETAG, MODIFIED) == Part(200, 0, 0)


NAMES = ('Range', 'If-Range', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since')


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.one_of(st.text(), st.from_regex(r'bytes=\d{0,5}-\d{0,5}', fullmatch=True))
    ),
    st.integers(0, 2000),
)
def test_whatever_is_asked_the_part_lies_in_the_file(headers, size):
    found = part_of(headers, size, ETAG, MODIFIED)
    assert found.start >= 0
    assert found.start + found.count <= size
    if found.status == 206:
        assert found.count > 0


# ---------------------------------------------------------------------- who asks


def test_addresses_have_one_form():
    assert plain('::ffff:10.0.0.1') == '10.0.0.1'
    assert plain('fe80::1%eth0') == 'fe80::1'
    assert plain('2001:DB8::0001') == '2001:db8::1'
    assert plain('nobody') == ''


@pytest.mark.parametrize(
    ('peer', 'forwarded', 'client'),
    [
        ('10.0.0.9', ['1.1.1.1'], '10.0.0.9'),  # anybody can say so
        ('10.0.0.1', ['10.9.9.9'], '10.9.9.9'),
        ('::ffff:10.0.0.1', ['2001:db8::5'], '2001:db8::5'),
        ('10.0.0.1', ['6.6.6.6, 10.9.9.9'], '10.9.9.9'),  # only the last step is the proxy's own word
        ('10.0.0.1', ['6.6.6.6', '10.9.9.9, 10.0.0.2'], '10.9.9.9'),
        ('10.0.0.1', ['nonsense'], '10.0.0.1'),
        ('10.0.0.1', [''], '10.0.0.1'),
        ('10.0.0.1', [], '10.0.0.1'),
        ('10.0.0.1', ['10.0.0.2'], '10.0.0.2'),
    ],
)
def test_only_trusted_proxies_are_believed(peer, forwarded, client):
    assert Proxies(['10.0.0.0/30']).client(peer, forwarded) == client


def test_without_trusted_proxies_nobody_is():
    assert Proxies([]).client('127.0.0.1', ['1.1.1.1']) == '127.0.0.1'
