"""The TFTP server on real sockets: what clients of every kind get, and what hostile ones do not achieve."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tftpy

from substruct_sidecar.boot.contents import OpenFile, Source
from substruct_sidecar.boot.tftp_server import Limits, Server
from substruct_sidecar.boot.tftp_sockets import CannotListen, listeners
from substruct_sidecar.boot.tftp_words import shown

from .tftp_client import Client, Served, ack, folder, serving

CONTENT = os.urandom(300_000)
TEXT = b'one\ntwo\rthree\r\n' * 100

HOSTS = ['127.0.0.1', *(['::1'] if socket.has_ipv6 and Path('/proc/net/if_inet6').exists() else [])]


@pytest.fixture(scope='module')
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('tftp')
    (path / 'loader').write_bytes(CONTENT)
    (path / 'text').write_bytes(TEXT)
    (path / 'empty').write_bytes(b'')
    (path / 'blocks').write_bytes(CONTENT[: 512 * 8])
    (path / 'large').write_bytes(b'0123456789abcdef' * (9 << 16))
    (path / 'folder').mkdir()
    return path


@pytest.fixture(scope='module', params=[False, True], ids=['a port each', 'one port'])
def served(tree: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(folder(tree), single=request.param) as found:
        yield found


@pytest.fixture(params=HOSTS)
def client(served: Served, request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(served.port, request.param) as made:
        yield made


# ------------------------------------------------------------------ files


def test_a_plain_request_gets_blocks_of_512(client: Client) -> None:
    assert client.fetch('loader') == CONTENT


@pytest.mark.parametrize('blksize', [8, 512, 1024, 1428, 1468, 8192])
def test_blocks_have_the_size_that_was_asked(client: Client, blksize: int) -> None:
    assert client.fetch('blocks', blksize=blksize) == CONTENT[: 512 * 8]


@pytest.mark.parametrize('window', [2, 4, 8, 64])
def test_windows(client: Client, window: int) -> None:
    assert client.fetch('loader', blksize=1468, windowsize=window, tsize=0) == CONTENT


def test_an_empty_file_is_one_empty_block(client: Client) -> None:
    assert client.fetch('empty') == b''


def test_a_file_of_whole_blocks_ends_with_an_empty_one(client: Client) -> None:
    client.ask('blocks')
    for block in range(1, 10):
        opcode, number, data = client.hear()
        assert (opcode, number, len(data)) == (3, block, 512 if block < 9 else 0)
        client.send(ack(block))


def test_text_mode(client: Client) -> None:
    assert client.fetch('text', 'netascii') == TEXT.replace(b'\r', b'\r\0').replace(b'\n', b'\r\n')


def test_the_size_in_text_mode_is_that_of_what_is_sent(client: Client) -> None:
    client.ask('text', 'netascii', tsize=0)
    assert client.options() == {'tsize': str(len(TEXT.replace(b'\r', b'\r\0').replace(b'\n', b'\r\n')))}
    client.send(b'\0\5\0\0enough\0')


def test_a_file_too_large_for_memory_is_read_from_the_disk(client: Client, tree: Path) -> None:
    assert client.fetch('large', blksize=32_000, windowsize=4) == (tree / 'large').read_bytes()
    with Client(client.asked, client.host) as other:
        other.ask('large', 'netascii')
        assert other.hear()[:2] == (5, 0)


def test_more_blocks_than_block_numbers(client: Client, tree: Path) -> None:
    """65,536 blocks of 144 bytes are exactly this file, so the last and empty one is number 1 again."""
    assert (tree / 'large').stat().st_size == 144 * 65_536
    assert client.fetch('large', blksize=144, windowsize=64) == (tree / 'large').read_bytes()


def test_the_size_alone_and_goodbye_as_firmware_does(client: Client, served: Served) -> None:
    client.ask('loader', tsize=0)
    assert client.options() == {'tsize': str(len(CONTENT))}
    client.send(b'\0\5\0\x08User aborted the transfer\0')
    # the same port again, as EDK II does
    client.port = client.asked
    assert client.fetch('loader', tsize=0, blksize=1468, windowsize=4) == CONTENT


def test_another_request_from_the_same_port_needs_no_goodbye_to_the_first(client: Client) -> None:
    """It may be lost, or read later: the two come by different sockets."""
    client.ask('loader', tsize=0)
    assert client.options() == {'tsize': str(len(CONTENT))}
    client.port = client.asked
    assert client.fetch('loader', tsize=0, blksize=1468, windowsize=4) == CONTENT


def test_only_options_that_were_asked_and_are_known_are_acknowledged(client: Client) -> None:
    client.ask('loader', multicast='', blksize='abc', windowsize=0, timeout=5, TSIZE=0)
    assert client.options() == {'timeout': '5', 'TSIZE': str(len(CONTENT))}
    client.send(b'\0\5\0\0enough\0')


def test_without_a_usable_option_the_first_block_comes_at_once(client: Client) -> None:
    client.ask('loader', blksize='abc')
    assert client.hear() == (3, 1, CONTENT[:512])
    client.send(b'\0\5\0\0enough\0')


@pytest.mark.parametrize('name', ['nothing', 'folder', '', '..', '../../etc/passwd', '/etc/passwd', 'a' * 1500])
def test_what_is_not_there_is_not_found(client: Client, name: str) -> None:
    client.ask(name)
    opcode, code, _ = client.hear()
    assert opcode == 5
    assert code in (0, 1)


def test_nothing_can_be_written(client: Client, tree: Path) -> None:
    before = sorted(tree.iterdir())
    client.ask('new', opcode=2)
    assert client.hear()[:2] == (5, 2)
    assert sorted(tree.iterdir()) == before


# ------------------------------------------------------------------ other people's clients


@pytest.mark.parametrize('options', [{}, {'blksize': 1428, 'tsize': 0}])
def test_tftpy(served: Served, tmp_path: Path, options: dict[str, int]) -> None:
    tftpy.TftpClient('127.0.0.1', served.port, options).download('loader', str(tmp_path / 'got'))
    assert (tmp_path / 'got').read_bytes() == CONTENT


@pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')
@pytest.mark.parametrize('host', HOSTS)
def test_curl(served: Served, host: str) -> None:
    place = f'tftp://[{host}]:{served.port}' if ':' in host else f'tftp://{host}:{served.port}'
    got = subprocess.run(['curl', '-sS', '--tftp-blksize', '1024', f'{place}/loader'], capture_output=True, check=True)
    assert got.stdout == CONTENT
    missing = subprocess.run(['curl', '-sS', f'{place}/nothing'], capture_output=True, check=False)
    assert missing.returncode == 68  # TFTP: file not found


# ------------------------------------------------------------------ hostile and broken clients

HOSTILE = [
    b'', b'\0', b'\0\1', b'\0\1\0\0\0', b'\0\1\0octet\0', b'\xff' * 500, b'\0\3\0\1data', b'\0\4\0\1', b'\0\5\0\0x\0',
    b'\0\6blksize\x008\0', b'\0\7\0\1', b'\0\1loader', b'\0\1loader\0octet', b'\0\1loader\0mail\0',
    b'\0\1\xc3\x28\xff\xfe\0octet\0', b'\0\1lo\xe9der\0octet\0', b'\0\1' + b'../' * 300 + b'etc/passwd\0octet\0',
    b'\0\1folder\0octet\0', b'\0\1' + b'A' * 65_000 + b'\0octet\0',
    b'\0\1loader\0octet\0blksize\0abc\0', b'\0\1loader\0octet\0blksize\0-1\0', b'\0\1loader\0octet\0windowsize\x000\0',
    b'\0\1loader\0octet\0blksize\0' + b'9' * 1000 + b'\0', b'\0\1loader\0octet\0tsize\0\xff\xff\0',
    b'\0\1loader\0octet\0' + b'x\0y\0' * 200, b'\0\2loader\0octet\0',
]  # fmt: skip


def test_no_packet_stops_the_server(client: Client) -> None:
    for packet in HOSTILE:
        with Client(client.asked, client.host) as other:
            other.send(packet)
    assert client.fetch('loader', blksize=1468) == CONTENT


def test_no_packet_stops_or_changes_a_transfer(client: Client) -> None:
    client.ask('loader')
    assert client.hear()[1] == 1
    for packet in HOSTILE:
        # A client may end its own transfer, and may ask for something else: both are its right.
        if packet[:2] not in (b'\0\5', b'\0\4', b'\0\1', b'\0\2'):
            client.send(packet)
    client.send(ack(1))
    assert client.hear() == (3, 2, CONTENT[512:1024])
    client.send(b'\0\5\0\0enough\0')


def test_strays_get_error_5_and_disturb_nothing(tree: Path) -> None:
    with serving(folder(tree)) as served, Client(served.port) as client, Client(served.port) as stranger:
        client.ask('loader')
        client.hear()
        for packet in (ack(1), b'\0\5\0\0go away\0', b'\0\1loader\0octet\0', b'', b'junk'):
            stranger.send(packet, client.port)
            opcode, code, _ = stranger.hear()
            assert (opcode, code) == (5, 5)
        client.send(ack(1))
        assert client.hear()[:2] == (3, 2)
        assert served.server.counts.strays == 5
        assert served.server.counts.errors_received == {}


def test_an_error_forged_from_another_port_ends_nothing_with_one_port(tree: Path) -> None:
    with serving(folder(tree), single=True) as served, Client(served.port) as client, Client(served.port) as stranger:
        client.ask('loader')
        client.hear()
        stranger.send(b'\0\5\0\0go away\0')
        stranger.send(ack(1))
        assert stranger.hear()[:2] == (5, 5)
        client.send(ack(1))
        assert client.hear()[:2] == (3, 2)


def test_a_request_that_is_repeated_is_one_transfer(tree: Path) -> None:
    with serving(folder(tree)) as served, Client(served.port) as client:
        for _ in range(3):
            client.ask('loader')
        client.hear()
        port = client.port
        client.send(ack(1))
        while client.hear()[1] != 2:
            pass
        assert client.port == port
        assert served.server.active == 1


def test_a_client_that_begins_anew_from_its_old_port_ends_its_old_transfer(tree: Path) -> None:
    with serving(folder(tree)) as served, Client(served.port) as client:
        client.ask('loader')
        client.hear()
        client.send(ack(1))
        client.hear()
        client.port = client.asked
        assert client.fetch('text') == TEXT
        assert served.server.counts.abandoned == 1


def test_a_block_that_is_not_acknowledged_comes_again(tree: Path) -> None:
    with serving(folder(tree)) as served, Client(served.port) as client:
        client.ask('loader')
        assert client.hear() == client.hear() == (3, 1, CONTENT[:512])
        assert served.server.counts.requests == 1


def test_a_lost_block_of_a_window_comes_again_with_those_after_it(tree: Path) -> None:
    with serving(folder(tree)) as served, Client(served.port) as client:
        client.ask('loader', windowsize=4)
        client.options()
        client.send(ack(0))
        assert [client.hear()[1] for _ in range(4)] == [1, 2, 3, 4]
        for _ in range(3):
            client.send(ack(2))  # as if the third was lost
        assert [client.hear()[1] for _ in range(4)] == [3, 4, 5, 6]


def test_a_client_whose_port_is_closed_is_given_up_at_once(tree: Path) -> None:
    with serving(folder(tree)) as served:
        with Client(served.port) as client:
            client.ask('loader')
        deadline = time.monotonic() + 10
        while not served.server.counts.abandoned:
            assert time.monotonic() < deadline
            time.sleep(0.01)


# ------------------------------------------------------------------ limits and faults


def test_beyond_the_limits_nothing_is_answered_until_there_is_room(tree: Path) -> None:
    with (
        serving(folder(tree), limits=Limits(transfers=3, transfers_per_client=2)) as served,
        Client(served.port) as one,
        Client(served.port) as two,
        Client(served.port) as three,
        Client(served.port, bind='127.0.0.9') as neighbour,
        Client(served.port, bind='127.0.0.8') as late,
    ):
        for client in (one, two):
            client.ask('loader')
            client.hear()
        three.ask('loader')
        assert three.silence()
        neighbour.ask('loader')
        neighbour.hear()
        late.ask('loader')
        assert late.silence()
        assert served.server.counts.turned_away == 2
        one.send(b'\0\5\0\0enough\0')
        three.ask('loader')
        assert three.hear()[:2] == (3, 1)


def test_many_transfers_of_one_file_hold_it_once(tree: Path) -> None:
    with serving(folder(tree), limits=Limits(transfers_per_client=1000)) as served:
        clients = [Client(served.port) for _ in range(100)]
        for client in clients:
            client.ask('loader')
            client.hear()
        contents = served.server._contents
        assert (len(contents), contents.in_memory) == (1, len(CONTENT))
        for client in clients:
            client.send(b'\0\5\0\0enough\0')
            client.__exit__()


def test_a_file_that_is_replaced_under_way_is_sent_as_it_was(tmp_path: Path) -> None:
    (tmp_path / 'loader').write_bytes(CONTENT)
    with serving(folder(tmp_path)) as served, Client(served.port) as client:
        client.ask('loader')
        client.hear()
        (tmp_path / 'new').write_bytes(b'other' * 1000)
        os.rename(tmp_path / 'new', tmp_path / 'loader')
        client.send(ack(1))
        assert client.hear() == (3, 2, CONTENT[512:1024])
        with Client(served.port) as other:
            assert other.fetch('loader') == b'other' * 1000


def test_a_large_file_that_is_cut_short_under_way_ends_with_an_error_not_with_half_of_it(tmp_path: Path) -> None:
    (tmp_path / 'large').write_bytes(bytes(9 << 20))
    with serving(folder(tmp_path)) as served, Client(served.port) as client:
        client.ask('large', blksize=1024)
        client.options()
        client.send(ack(0))
        client.hear()
        os.truncate(tmp_path / 'large', 1500)
        client.send(ack(1))
        assert client.hear()[:2] == (5, 0)


def test_a_lookup_that_fails_costs_one_request(tree: Path) -> None:
    def lookup(name: str, client: str) -> Source | None:
        if name == 'bad':
            raise RuntimeError('of whatever kind')
        return CONTENT

    with serving(lookup) as served, Client(served.port) as client:
        client.ask('bad')
        assert client.hear()[:2] == (5, 0)
        client.port = client.asked
        assert client.fetch('good') == CONTENT


def test_what_is_no_file_is_not_sent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')

    def lookup(name: str, client: str) -> Source | None:
        return OpenFile(os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK))

    with serving(lookup) as served, Client(served.port) as client:
        for name in ('pipe', '.'):
            client.ask(name)
            assert client.hear()[:2] == (5, 0)
            client.port = client.asked


def test_descriptors_are_given_back(tree: Path) -> None:
    with serving(folder(tree)) as served:
        with Client(served.port) as client:
            client.fetch('large', blksize=60_000)
        before = len(os.listdir('/proc/self/fd'))
        for _ in range(20):
            with Client(served.port) as client:
                client.fetch('large', blksize=60_000)
            with Client(served.port) as client:
                client.ask('nothing')
                client.hear()
        assert served.server.active == 0
        assert len(os.listdir('/proc/self/fd')) <= before


# ------------------------------------------------------------------ addresses


def test_the_answer_comes_from_the_address_that_was_asked(tree: Path) -> None:
    for single in (False, True):
        with serving(folder(tree), single=single) as served, Client(served.port, '127.0.0.77') as client:
            client.ask('loader')
            client.hear()
            assert client.sender == '127.0.0.77'


def test_a_request_to_a_broadcast_address_is_not_answered(tree: Path) -> None:
    """RFC 1123 section 4.2.3.5."""
    with serving(folder(tree)) as served, Client(served.port, '127.255.255.255') as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.ask('loader')
        assert client.silence()
        assert served.server.counts.requests == 0


def test_a_port_that_is_taken_is_said_with_a_remedy() -> None:
    (mine,) = listeners([('127.0.0.1', 0)])
    with pytest.raises(CannotListen, match=r'127\.0\.0\.1 port \d+: Address already in use\. Another TFTP server'):
        listeners([('127.0.0.1', mine[0].port)], shares=2)
    mine[0].socket.close()


def test_ipv4_and_ipv6_may_be_named_each() -> None:
    (mine,) = listeners([('127.0.0.1', 0), ('::1', 0)])
    assert len(mine) == 2
    for listener in mine:
        listener.socket.close()


def test_stopping_lets_transfers_end_and_takes_no_new_ones(tree: Path) -> None:
    (mine,) = listeners([('127.0.0.1', 0)])
    server = Server(mine, folder(tree))
    thread = threading.Thread(target=server.serve, args=(30.0,))
    thread.start()
    with Client(mine[0].port) as client, Client(mine[0].port) as late:
        client.ask('text')
        client.hear()
        server.stop()
        deadline = time.monotonic() + 10
        while not server.stopping:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        late.ask('text')
        assert late.silence()
        block = 1
        while True:
            client.send(ack(block))
            if server.counts.complete:
                break
            _, block, data = client.hear()
            if len(data) < 512:
                client.send(ack(block))
                break
    thread.join(10)
    assert not thread.is_alive()
    assert server.counts.complete == 1
    server.close()
    mine[0].socket.close()


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('grüße', 'grüße'),
        ('a\nforged\x1b[31m', r'a\nforged\x1b[31m'),
        ('\u202egnp.exe\udcff', r'\u202egnp.exe\udcff'),
        ('a' * 5000, 'a' * 200 + '… (5000 characters)'),
    ],
)
def test_names_in_the_log_are_on_one_line_and_act_on_no_terminal(name: str, words: str) -> None:
    assert shown(name) == words
