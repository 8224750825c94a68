"""Neighbours, by frames as switches send them."""

import struct
import time

import pytest

from substruct_sidecar.prospector.inside import lldp
from substruct_sidecar.prospector.inside.lldp import Neighbour, announcement, parse


def value(kind: int, content: bytes) -> bytes:
    return struct.pack('!H', kind << 9 | len(content)) + content


HEADER = bytes.fromhex('0180c200000e001c73aabbcc88cc')
ARISTA = HEADER + b''.join((
    value(1, b'\x04' + bytes.fromhex('001c73aabbcc')), value(2, b'\x05Ethernet7'), value(3, b'\0\x78'),
    value(4, b'web1 eno1'), value(5, b'tor-a.example.net'), value(6, b'Arista Networks EOS version 4.28.3M'),
    value(8, b'\x05\x01\x0a\x09\x00\x02\x02\x00\x0f\x42\x3f\x00'),
    value(8, b'\x11\x02' + bytes.fromhex('20010db8000000000000000000000002') + b'\x02\0\0\0\1\0'),
    value(127, b'\x00\x80\xc2\x01\x00\x08'), value(127, b'\x00\x80\xc2\x03\x00\x5a\x03OOB'),
    value(127, b'\x00\x80\xc2\x03\x00\x08\x03ABC'), value(127, b'\x00\x12\x0f\x04\x05\xdc'), value(0, b''),
))  # fmt: skip


def test_a_switch_with_its_port_its_vlans_and_its_addresses() -> None:
    assert parse(ARISTA) == Neighbour(
        'lldp', chassis_id='00:1c:73:aa:bb:cc', chassis_name='tor-a.example.net',
        chassis_description='Arista Networks EOS version 4.28.3M', port_id='Ethernet7', port_description='web1 eno1',
        management_addresses=('10.9.0.2', '2001:db8::2'), vlan=8, tagged=(90,),
    )  # fmt: skip


def test_a_cisco_switch_that_speaks_only_its_own() -> None:
    def field(kind: int, content: bytes) -> bytes:
        return struct.pack('!HH', kind, len(content) + 4) + content

    body = b'\x02\xb4\0\0' + b''.join((
        field(1, b'sw1.example.net'), field(2, b'\0\0\0\x01\x01\x01\xcc\x00\x04\x0a\x09\x00\x03'),
        field(3, b'GigabitEthernet1/0/7'), field(5, b'Cisco IOS Software\nVersion 15.2'), field(10, b'\0\x0c'),
    ))  # fmt: skip
    frame = bytes.fromhex('01000ccccccc001c73aabbcc') + b'\x01\0' + bytes.fromhex('aaaa0300000c2000') + body
    found = parse(frame)
    assert found is not None
    assert (found.protocol, found.chassis_name, found.port_id) == ('cdp', 'sw1.example.net', 'GigabitEthernet1/0/7')
    assert (found.vlan, found.management_addresses) == (12, ('10.9.0.3',))
    assert found.chassis_description == 'Cisco IOS Software Version 15.2'


def test_our_own_announcement_is_a_neighbour_to_others() -> None:
    found = parse(announcement('52:54:00:12:34:56', 'prospector', 'Substruct'))
    assert found is not None
    assert (found.chassis_id, found.port_id, found.chassis_name) == ('52:54:00:12:34:56',) * 2 + ('prospector',)


def test_a_neighbour_that_says_goodbye_is_none() -> None:
    frame = HEADER + value(1, b'\x07a') + value(2, b'\x07b') + value(3, b'\0\0') + value(0, b'')
    assert parse(frame) is None


@pytest.mark.parametrize('cut', range(len(ARISTA)))
def test_a_frame_that_is_cut_off_never_fails(cut: int) -> None:
    parse(ARISTA[:cut])


@pytest.mark.parametrize('seed', range(200))
def test_a_frame_that_is_damaged_never_fails(seed: int) -> None:
    import random

    chance = random.Random(seed)
    frame = bytearray(ARISTA)
    for _ in range(8):
        frame[chance.randrange(12, len(frame))] = chance.randrange(256)
    found = parse(bytes(frame))
    assert found is None or all(text.isprintable() for text in (found.chassis_name, found.port_id))


def test_other_frames_are_no_neighbours() -> None:
    assert parse(b'') is None
    assert parse(bytes(60)) is None
    assert parse(bytes.fromhex('ffffffffffff5254001234560806') + bytes(46)) is None


def test_a_switch_that_speaks_all_the_time_hears_of_this_machine_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Line:
        """Spanning tree's frames, one after the other."""

        heard = 0

        def settimeout(self, seconds: float) -> None:
            assert seconds > 0

        def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int, int]]:
            self.heard += 1
            assert self.heard < 1000, 'it never speaks again'
            time.sleep(0.01)
            return bytes.fromhex('0180c2000000') + bytes(54), ('eth0', 4, 2)

    monkeypatch.setattr(lldp, 'EVERY', 0.1)
    line = Line()
    lldp.Listener(lambda interface, neighbour: None)._receive(line, 'eth0')  # type: ignore[arg-type]
    assert line.heard > 1
