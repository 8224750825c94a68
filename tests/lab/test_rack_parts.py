"""The parts of the virtual rack that need no machine: specs, QEMU's command line, consoles, packets, disks."""

import struct

import pytest

from lab.errors import LabError
from lab.rack import Disk, Nic, Spec, capture, lldp, media, packets, plain, qemu
from lab.rack.console import Console, Splitter, Writer
from lab.rack.spec import decode, encode

# ---------------------------------------------------------------------- specs


def test_what_is_not_said_follows_from_the_name():
    one, same, other = Spec('web-1'), Spec('web-1'), Spec('web-2')
    assert one == same
    assert len({one.mac, other.mac}) == len({one.uuid, other.uuid}) == len({one.serial, other.serial}) == 2
    assert (one.client, Spec('web-1', firmware='uefi').client) == ('ipxe', 'plain')


def test_a_spec_comes_back_from_its_file_as_it_was():
    spec = Spec('web-1', serial='', nics=(Nic(), Nic('52-54-00-AA-BB-CC', 'dark', 'e1000', 'swp1')), boots_from=1)
    assert decode(encode(spec)) == spec
    assert spec.mac == '52:54:00:aa:bb:cc'


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'name': '../x'}, 'no name of a machine'),
        ({'name': 'x', 'uuid': '12'}, 'is no UUID'),
        ({'name': 'x', 'nics': (Nic('12:34'),)}, 'is no MAC address'),
        ({'name': 'x', 'boots_from': 1}, 'no network card number 1'),
        ({'name': 'x', 'nics': (Nic('52:54:00:00:00:01'), Nic('52:54:00:00:00:01'))}, 'the same MAC address'),
        ({'name': 'x', 'disks': (Disk(1000),)}, 'not made of sectors'),
        ({'name': 'x', 'client': 'http'}, 'only UEFI'),
        ({'name': 'x', 'memory': 1}, 'too few'),
    ],
)
def test_a_spec_that_cannot_be_is_refused(fields, words):
    with pytest.raises(LabError, match=words):
        Spec(**fields)


# ---------------------------------------------------------------------- QEMU


def words_of(spec, tmp_path, **more):
    return qemu.command(spec, tmp_path, 'tcg', qemu.Handles(3, 4, 5), **more)


def test_a_name_cannot_become_an_option_of_qemu(tmp_path):
    words = words_of(Spec('x', product='a,file=/etc/shadow', serial='1,2'), tmp_path)
    said = next(word for word in words if word.startswith('type=1,'))
    assert 'product=a,,file=/etc/shadow' in said
    assert 'serial=1,,2' in said
    with pytest.raises(LabError, match='control characters'):
        words_of(Spec('x', product='a\nb'), tmp_path)


def test_no_two_cards_have_the_same_cable():
    specs = [Spec('x', nics=(Nic(f'{first}:54:00:00:00:01'), Nic(f'{first}:54:00:00:00:02'))) for first in ('52', '02')]
    names = [qemu.tap(spec, number) for spec in specs for number in (0, 1)]
    assert len(set(names)) == 4
    assert all(len(name) <= 15 and capture.CABLE.fullmatch(name) for name in names)


def test_the_card_that_boots_comes_before_the_disks_unless_the_disk_is_chosen(tmp_path):
    spec = Spec('x', nics=(Nic(), Nic()), boots_from=1, disks=(Disk(), Disk(kind='nvme')))
    assert qemu.order(spec, 'network') == {'nic1': 1, 'disk0': 10, 'disk1': 11}
    order = qemu.order(spec, 'disk')
    assert sorted(order, key=order.__getitem__) == ['disk0', 'disk1', 'nic1']


def test_a_plain_bios_machine_has_no_rom_and_its_packets_go_through_the_filter(tmp_path):
    words = words_of(Spec('x', client='plain'), tmp_path)
    assert any('filter-redirector' in word for word in words)
    assert any(word.startswith('virtio-net-pci') and word.endswith('romfile=') for word in words)
    assert '-kernel' not in words_of(Spec('x', client='plain'), tmp_path, first='disk')


# ---------------------------------------------------------------------- consoles


def split(*chunks: bytes) -> list[str]:
    splitter = Splitter()
    lines = [text for chunk in chunks for _, text in splitter.feed(chunk)]
    return lines + ([splitter.partial[1]] if splitter.partial[1] else [])


@pytest.mark.parametrize(
    ('said', 'lines'),
    [
        ([b'one\r\ntwo\r\n'], ['one', 'two']),
        ([b'one\r', b'\ntwo'], ['one', 'two']),
        ([b'\x1b[2J\x1b[01;01Hat the top\x1b[5;1Hfurther down'], ['at the top', 'further down']),
        ([b'\x1b[0;1mbold\x1b[0m and pl', b'ain\x1b', b'[0m\r\n'], ['bold and plain']),
        ([b'Ctrl-B\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08 net0\r\n'], [' net0']),
        ([b' 10%\r 50%\r100%\r\ndone\r\n'], ['100%', 'done']),
        ([b'SeaBIOS\r\n' + b'a' * 80 + b'\r\n' + b'b' * 80 + b'\r\nc\r\n'], ['SeaBIOS', 'a' * 80 + 'b' * 80 + 'c']),
        ([b'l' * 100 + b'\r\n' + b'a' * 80 + b'\r\nb\r\n'], ['l' * 100, 'a' * 80, 'b']),
        ([b'\xff\xc3\xa4\n'], ['�ä']),
        ([b'one\xc2\x9b2Jtwo\n'], ['one2Jtwo']),
    ],
)
def test_what_firmware_does_to_a_screen_becomes_lines(said, lines):
    assert split(*said) == lines


def test_each_wait_goes_on_behind_the_last_one(tmp_path):
    writer, console = Writer(tmp_path, tmp_path / 'log'), Console(tmp_path, 'x')
    writer.write(b'first ok\r\nsecond ok\r\nthird')
    assert console.wait_for('ok', 1).text == 'first ok'
    assert console.wait_for('o', 1).text == 'second ok'
    assert console.wait_for('ok', 1).text == 'second ok'
    assert console.find('ok') is None
    writer.write(b' ok\r\n')
    found = console.wait_for(r'(\w+) ok', 1)
    assert found.match is not None
    assert found.match[1] == 'third'
    console.skip()
    assert console.find('ok') is None
    assert Console(tmp_path).text.splitlines() == ['first ok', 'second ok', 'third ok']


def test_a_line_that_still_grows_is_given_whole(tmp_path):
    writer, console = Writer(tmp_path, tmp_path / 'log'), Console(tmp_path, 'x')
    writer.write(b'loading ...')
    assert console.wait_for('load', 1).text == 'loading ...'
    writer.write(b' ok\r\n')
    assert console.wait_for('ok', 1).text == 'loading ... ok'


# ---------------------------------------------------------------------- packets


def dhcp_frame(*options: bytes) -> bytes:
    """A DISCOVER as iPXE sends it, with these options."""
    mac = bytes.fromhex('525400000001')
    body = struct.pack('!BBBBIHH16s6s202s', 1, 1, 6, 0, 1, 0, 0, b'', mac, b'') + b'\x63\x82\x53\x63'
    body += b'\x35\x01\x01' + b''.join(options) + b'\xff'
    udp = struct.pack('!HHHH', 68, 67, 8 + len(body), 0xABCD) + body
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b'\0' * 4, b'\xff' * 4)
    return b'\xff' * 6 + mac + b'\x08\x00' + ip + udp


VENDOR = b'\x3c\x09PXEClient'
IPXE = b'\xaf\x03\xb0\x01\x01'


def test_what_gives_ipxe_away_is_taken_out_of_a_plain_machines_packets():
    said = dhcp_frame(b'\x4d\x05plain', VENDOR, IPXE)
    sent = plain.filtered(said)
    assert len(sent) == len(said)
    assert VENDOR in sent
    assert b'plain' not in sent
    assert IPXE not in sent
    assert sent[:34] == said[:34]


@pytest.mark.parametrize(
    'frame', [dhcp_frame(b'\x4d\x04iPXE', IPXE), dhcp_frame(VENDOR), b'\0' * 60, b'', b'\x08' * 42]
)
def test_nobody_elses_packets_are_touched(frame):
    assert plain.filtered(frame) == frame


def test_a_captured_packet_is_told_in_words(tmp_path):
    path = tmp_path / 'x.pcap'
    path.write_bytes(capture.header() + capture.record(dhcp_frame(VENDOR, b'\x5d\x02\x00\x07'), 12.5))
    (event,) = packets.summary(path)
    assert (event.time, event.who, event.protocol) == (12.5, '52:54:00:00:00:01', 'DHCP')
    assert event.what == 'DISCOVER, vendor class "PXEClient", architecture 7'


def test_a_packet_that_is_no_dhcp_message_is_told_all_the_same(tmp_path):
    path = tmp_path / 'x.pcap'
    path.write_bytes(capture.header() + capture.record(dhcp_frame(b'\x35\x00'), 12.5))
    (event,) = packets.summary(path)
    assert event.what.startswith('BOOTP')


def test_what_carries_files_is_kept_in_part_and_dhcp_as_a_whole():
    big = dhcp_frame(VENDOR).ljust(3000, b'\0')
    assert len(capture.record(big, 0.0)) == 16 + 3000
    assert len(capture.record(b'\0' * 3000, 0.0)) == 16 + capture.BEGINNING


def test_the_switch_says_who_it_is():
    from scapy.contrib.lldp import LLDPDU, LLDPDUPortID, LLDPDUSystemName
    from scapy.layers.l2 import Ether

    found = Ether(lldp.frame('swp7'))
    assert LLDPDU in found
    assert (found[LLDPDUPortID].id, found[LLDPDUSystemName].system_name) == (b'swp7', b'rack-sw1')


# ---------------------------------------------------------------------- disks


def test_a_boot_sector_is_one():
    disk = media.bios('hello')
    assert (len(disk), disk[510:]) == (512, b'\x55\xaa')
    assert b'hello\r\n\0' in disk
    with pytest.raises(ValueError, match='does not fit'):
        media.bios('x' * 500)


def test_an_efi_disk_has_a_file_system_with_the_application():
    disk = media.uefi('hello')
    assert (disk[54:62], disk[510:512]) == (b'FAT16   ', b'\x55\xaa')
    program = disk.index(b'MZ')
    assert disk[program + 0x40 : program + 0x44] == b'PE\0\0'
    assert 'hello'.encode('utf-16-le') in disk
    assert b'BOOTX64 EFI' in disk
