"""Packets as clients write them, and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.boot import tftp_packets as packets
from substruct_sidecar.boot.tftp_packets import Ack, Code, Error, Malformed, Request, parse

from .tftp_client import request


def test_a_request_is_read_with_its_options_as_they_were_written() -> None:
    found = parse(request('/lpxelinux.0', 'OCTET', tsize=0, BlkSize=1468))
    assert found == Request(False, '/lpxelinux.0', 'octet', (('tsize', '0'), ('BlkSize', '1468')))


def test_a_request_padded_with_nuls_is_read() -> None:
    assert parse(request('a') + bytes(200)) == Request(False, 'a', 'octet')


def test_the_first_of_two_options_of_one_name_counts() -> None:
    found = parse(b'\0\1a\0octet\0blksize\x001024\0BLKSIZE\x008\0')
    assert isinstance(found, Request)
    assert found.options == (('blksize', '1024'),)


def test_an_option_without_a_value_is_passed_over() -> None:
    assert parse(b'\0\1a\0octet\0blksize\0') == Request(False, 'a', 'octet')


def test_a_name_that_is_no_utf8_is_kept_as_it_is() -> None:
    found = parse(b'\0\1a\xff\0octet\0')
    assert isinstance(found, Request)
    assert found.name.encode('utf-8', 'surrogateescape') == b'a\xff'


@pytest.mark.parametrize(
    ('packet', 'answer'),
    [
        (b'', None), (b'\0', None), (b'\0\1\0', None), (b'\1\1aaaa', None), (b'\0\3\0\1data', None),
        (b'\0\6blksize\0008\0', None), (b'\0\7aaaa', None),
        (b'\0\1abc', Code.ILLEGAL), (b'\0\1abc\0', Code.ILLEGAL), (b'\0\1a\0octet', Code.ILLEGAL),
        (request('a', 'mail'), Code.ILLEGAL), (request('a' * 65_000), Code.ILLEGAL),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_garbage_is_not_answered(packet: bytes, answer: Code | None) -> None:
    with pytest.raises(Malformed) as raised:
        parse(packet)
    assert raised.value.answer == answer


@given(st.binary(max_size=600))
def test_whatever_arrives_is_a_packet_or_malformed(packet: bytes) -> None:
    try:
        found = parse(packet)
    except Malformed:
        return
    assert isinstance(found, Request | Ack | Error)


@given(st.text(max_size=300))
def test_an_error_holds_one_string_whatever_its_message(message: str) -> None:
    try:
        packet = packets.error(Code.UNDEFINED, message)
    except UnicodeEncodeError:
        return  # a lone surrogate: no message of ours has one
    assert packet[:4] == b'\0\5\0\0'
    assert packet.index(b'\0', 4) == len(packet) - 1


def test_netascii_ends_lines_with_cr_lf_and_keeps_a_cr_apart() -> None:
    assert packets.netascii(b'a\nb\rc\r\n') == b'a\r\nb\r\0c\r\0\r\n'
