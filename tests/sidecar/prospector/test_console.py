"""What people see: every line on every console, and nothing that a terminal would obey."""

import time
from pathlib import Path

import pytest

from substruct_sidecar.prospector.inside import tools
from substruct_sidecar.prospector.inside.console import Console, consoles, shown


def test_a_line_is_on_every_console_with_its_time(tmp_path: Path) -> None:
    console = Console(lambda: 12.34)
    for name in ('tty0', 'ttyS0'):
        (tmp_path / name).touch()
        console.write_to(str(tmp_path / name))
    console.say('Erasing /dev/sda')
    console.flush()
    for name in ('tty0', 'ttyS0'):
        assert (tmp_path / name).read_bytes() == b'[   12.3] Erasing /dev/sda\r\n'
    assert console.log() == '[   12.3] Erasing /dev/sda\n'


def test_a_console_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    console = Console()
    console.write_to(str(tmp_path / 'no' / 'such'))
    began = time.monotonic()
    for number in range(3000):
        console.say(f'{number}')
    assert time.monotonic() - began < 5.0


def test_the_same_words_are_said_again_only_after_a_while() -> None:
    now = [0.0]
    console = Console(lambda: now[0])
    for now[0] in (0.0, 1.0, 59.0, 61.0):
        console.again('dhcp', 'No DHCP server has answered yet')
    console.again('dhcp', 'Something else')
    assert len(console.log().splitlines()) == 3


def test_nothing_that_a_machine_says_does_anything_to_a_terminal() -> None:
    assert shown('a\x1b[2Jb\nc\x07\u202e\x9b1m') == 'a?[2Jb c???1m'
    assert len(shown('x' * 10_000)) == 1000


def test_consoles_are_those_of_the_kernel_the_screen_and_the_serial_line(tmp_path: Path) -> None:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    for name in ('tty0', 'ttyS0', 'ttyS1', 'hvc0'):
        put(f'dev/{name}', '')
    put('sys/class/tty/console/active', 'hvc0 ttyS1\n')
    put('sys/class/tty/ttyS0/type', '4\n')
    assert consoles(tmp_path) == ['/dev/hvc0', '/dev/ttyS1', '/dev/tty0', '/dev/ttyS0']
    put('sys/class/tty/ttyS0/type', '0\n')
    assert consoles(tmp_path) == ['/dev/hvc0', '/dev/ttyS1', '/dev/tty0'], 'a port without hardware'


class TestTools:
    def test_a_tool_that_hangs_is_given_up(self) -> None:
        with pytest.raises(tools.ToolError, match='sleep 60: gave no answer in 0 seconds'):
            tools.run(['sleep', '60'], 0.2)

    def test_a_tool_that_fails_is_quoted(self) -> None:
        with pytest.raises(tools.ToolError, match='no such disk'):
            tools.run(['sh', '-c', 'echo "no such disk" >&2; exit 1'])

    def test_a_tool_that_is_not_there(self) -> None:
        with pytest.raises(tools.ToolError, match='No such file'):
            tools.run(['/no/such/tool'])

    def test_what_it_is_given_and_what_it_prints(self) -> None:
        assert tools.run(['cat'], given='x\n').output == 'x\n'

    def test_many_at_once_keep_their_order(self) -> None:
        assert tools.each(lambda number: number * 2, range(100), 7) == [number * 2 for number in range(100)]
        assert tools.each(lambda number: number, []) == []
        with pytest.raises(ZeroDivisionError):
            tools.each(lambda number: 1 // number, [1, 0, 2])
