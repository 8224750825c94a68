"""How the demo is told; that it comes true is tested in tests/e2e/test_first_boot.py."""

import io
import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from lab.demo import view
from lab.demo.story import BEFORE, SIGNS, Actor, Part, Story, in_words
from lab.rack.console import Console, Writer
from lab.rack.spec import Spec

from .conftest import CommandLine


def actor(name: str = 'web-1', **fields: Any) -> Actor:
    part = Part(Spec(name), profile=1, address='' if name == 'web-1' else '172.30.0.12')
    found = Actor(part, machine=None, name=name)  # type: ignore[arg-type]  # nothing here asks the machine
    for key, value in fields.items():
        setattr(found, key, value)
    return found


def doing(line: str) -> str:
    for pattern, words in SIGNS:
        if found := pattern.search(line):
            return words.format(*(group.strip() for group in found.groups()))
    return ''


@pytest.mark.parametrize(
    ('line', 'means'),
    [
        ('iPXE initialising devices...ok', 'its network card starts iPXE'),
        ('Substruct: app-1 is written from Debian 12 image', 'iPXE: app-1 is written from Debian 12 image'),
        ('[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@…)', 'Linux 6.1.0-56-cloud-amd64 starts'),
        ('[   12.3] The boot server has the facts', 'prospector: The boot server has the facts'),
        ('[    3.411413] ata1: SATA link up', ''),
        ('GRUB: Debian from the local disk', 'its own disk: GRUB loads the kernel'),
        ("[   42.937716] cloud-init[268]: Cloud-init v. 22.4.2 running 'init'", "its own disk: cloud-init, init"),
        ('web-1 login:', 'runs from its own disk'),
    ],
)  # fmt: skip
def test_what_a_console_says_is_what_the_machine_does(line, means):
    assert doing(line) == means


@pytest.fixture
def heard(tmp_path):
    """What a story makes of a console: (what was said, the machine as it is then)."""

    def hear(*said: bytes, now: bool = True) -> tuple[list[str], Actor]:
        told: list[str] = []
        rack: Any = SimpleNamespace(netbox=SimpleNamespace(plugins=SimpleNamespace(substruct=None)))
        story = Story(rack, [], lambda moment, actor, text: told.append(text))
        writer = Writer(tmp_path, tmp_path / 'log')
        found = actor()
        found.machine = SimpleNamespace(console=Console(tmp_path))  # type: ignore[assignment]
        for part in said:
            writer.write(part)
            story._hear(found, now=now)
        return told, found

    return hear


GRUB = b'iPXE initialising devices...\r\nGRUB: Debian from the local disk\r\n'


@pytest.mark.parametrize(
    'said',
    [
        [GRUB, b'web-1 login: ', b"[  411.8] cloud-init[312]: Cloud-init v. 22.4.2 running 'modules:config'\r\n"],
        [GRUB + b"web-1 login: [  411.8] cloud-init[312]: Cloud-init v. 22.4.2 running 'modules:config'\r\n"],
    ],
)
def test_a_prompt_is_heard_also_if_its_line_goes_on(heard, said):
    told, _ = heard(*said)
    assert told == ['boots from its own disk', 'web-1 runs from its own disk']


def test_a_prompt_behind_another_start_is_not_that_of_the_disk(heard):
    told, _ = heard(GRUB, b'iPXE initialising devices...\r\nrescue login: ')
    assert told == ['boots from its own disk']


def test_what_was_before_is_known_and_not_told(heard):
    told, found = heard(GRUB + b'web-1 login: ', now=False)
    assert (told, found.moments) == ([], {'disk': BEFORE, 'running': BEFORE})
    assert view.moment(found, 'disk') == 'before'
    _, again = heard(GRUB + b'web-1 login: \r\niPXE initialising devices...\r\n', now=False)
    assert again.moments == {}, 'it has been started anew since'


def test_events_are_not_said_twice():
    assert in_words('Boot script fetched', 'Boot script fetched from 10.0.0.1') == 'Boot script fetched from 10.0.0.1'
    assert in_words('Progress', '40% packages') == 'Progress: 40% packages'
    assert in_words('Finished', '') == 'Finished'


def test_without_a_terminal_each_thing_that_happens_is_a_line():
    stream = io.StringIO()
    lines = view.Lines(stream)
    lines.look(1.0, [actor()])
    lines.happened(62.4, actor(), 'is powered on')
    assert stream.getvalue() == '  1:02  web-1    is powered on\n'


def test_on_a_terminal_the_machines_stand_below_what_has_happened_and_are_drawn_over():
    stream = io.StringIO()
    live = view.Live(stream)
    actors = [actor(doing='the firmware starts'), actor('db-1', doing='off')]
    live.look(1.0, actors)
    first = stream.getvalue()
    assert first.index('web-1') < first.index('db-1')
    live.happened(2.0, actors[0], 'is powered on')
    after = stream.getvalue()[len(first) :]
    assert after.startswith('\033[4F\033[J'), 'the four lines of the table go'
    assert after.index('is powered on') < after.index('the firmware starts'), 'and come again below'


def test_progress_is_a_bar_and_the_end_is_marked():
    writing = actor(doing='prospector: fetched 44 of 98 MB', progress=42)
    failed, done = actor('db-1', failed='its build is failed', over=True), actor('app-1', over=True, doing='runs')
    _, head, *rows = view.table(100.0, [writing, failed, done], 140)
    assert '1:40' in head
    assert '████████░░░░░░░░░░░░  42 %  fetched 44' in rows[0]
    assert '✘' in rows[1]
    assert 'FAILED' in rows[1]
    assert '✔' in rows[2]
    assert all(len(row) <= 60 for row in view.table(100.0, [writing, failed, done], 60)), 'no line is wrapped'


def test_the_summary_says_when_what_happened_and_what_failed():
    told = view.summary(
        [
            actor(moments={'power': 1.0, 'discovered': 41.2, 'built': 186.0}, url='http://netbox/builds/2/'),
            actor('db-1', failed='its build is stalled'),
        ]
    )
    assert '41 s' in told
    assert '186 s' in told
    assert 'http://netbox/builds/2/' in told
    assert 'failed: its build is stalled' in told


def test_nothing_that_is_told_moves_the_cursor_or_begins_a_line():
    stream = io.StringIO()
    view.Lines(stream).happened(1.0, actor(), 'Progress: \x1b[2Jone\ntwo\x9b1A')
    assert stream.getvalue() == '  0:01  web-1    Progress:  [2Jone two 1A\n'
    rows = view.table(1.0, [actor(doing='a\x1b[H', last='b\r\n')], 140)
    assert all(row.isprintable() for row in rows)


def test_where_there_can_be_no_machines_the_unattended_demo_says_what_it_needs(reachable_folder, tmp_path, monkeypatch):
    """Without the programs that stand where users' programs do."""
    (tmp_path / 'dirname').symlink_to(shutil.which('dirname'))
    monkeypatch.setenv('PATH', str(tmp_path))
    said = CommandLine(reachable_folder / 'run')('demo', '--unattended', code=1)
    assert 'the program qemu-system-x86_64 (package qemu-system-x86; `make bootstrap` installs it)' in said
    assert not (reachable_folder / 'run').exists(), 'it is said before anything is begun'
