"""The virtual rack, for real: machines are switched, speak and are seen, and nothing is left of it, however it ended.

It is bare here: machines, and nobody who answers them.  What they boot over the network is in tests/e2e/test_boot.py.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from lab.errors import LabError
from lab.places import Places
from lab.rack import Machine, Nic, Rack, media, packets
from lab.rack.namespace import lacks
from lab.stack import Lab

from .conftest import TREE, CommandLine

pytestmark = pytest.mark.skipif(bool(lacks('kea')), reason=f'no virtual rack here: {"; ".join(lacks("kea"))}')

DISK = 'HERE IS THE DISK'


def until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'not within {seconds} s: {what}'
        time.sleep(0.05)


def processes(run: Path) -> list[str]:
    """Everything that belongs to a run folder, found without the rack's own bookkeeping."""
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / 'cmdline').read_bytes()
                mine = str(run).encode() in words + (entry / 'environ').read_bytes()
                if mine and 'State:\tZ' not in (entry / 'status').read_text() and b'pytest' not in words:
                    found.append(f'{entry.name} {words.decode(errors="replace")}')
            except OSError:
                continue
    return found


@pytest.fixture(scope='module')
def rack(reachable_folder: Path) -> Iterator[Rack]:
    found = Rack(Lab(Places(reachable_folder / 'run')))
    found.up(bare=True)
    try:
        yield found
    finally:
        found.down()


@pytest.fixture
def machine(rack: Rack) -> Machine:
    """Off, with a disk that says that it was booted."""
    found = rack.machine('one', memory=128)
    found.power.off()
    with (found.folder / 'disk0.raw').open('r+b') as file:
        file.write(media.bios(DISK))
    return found


def boot_disk(machine: Machine) -> None:
    machine.power.next_boot('disk')
    machine.power_on()
    machine.console.wait_for(DISK, 30)


def test_a_machine_says_on_its_console_what_it_boots_and_when(rack, machine):
    before = time.time()
    boot_disk(machine)
    lines = machine.console.lines()
    times = [line.time for line in lines]
    assert times == sorted(times)
    assert before < times[0] < times[-1] < time.time()
    assert any('SeaBIOS' in line.text for line in lines)
    log = rack.log('console-one').read_text()
    assert re.search(rf'^\d\d:\d\d:\d\d\.\d{{3}} {DISK}$', log, re.MULTILINE)
    assert '---- switched on (' in log


def test_what_it_never_says_is_an_error_that_shows_what_it_said(machine):
    boot_disk(machine)
    with pytest.raises(AssertionError, match=rf'(?s)one has not said /no such words/.*{DISK}'):
        machine.console.wait_for('no such words', 0.2)


def test_it_is_switched_as_a_bmc_does(machine):
    assert machine.power.status().power == 'off'
    boot_disk(machine)
    on = machine.power.status()
    assert (on.power, on.next_boot) == ('on', '')
    machine.power.next_boot('disk')
    machine.power.reset()
    machine.console.wait_for(DISK, 30)
    assert machine.power.status().boots == on.boots + 1
    machine.power.next_boot('disk')
    machine.power.cycle()
    machine.console.wait_for(DISK, 30)
    assert machine.power.status().since > on.since
    machine.power.soft()  # nobody listens on it
    assert machine.power.is_on
    off = machine.power.off()
    assert (off.power, off.why) == ('off', 'switched off')
    with pytest.raises(LabError, match='one is off'):
        machine.power.reset()


def test_the_next_boot_is_chosen_once(machine):
    boot_disk(machine)
    machine.power.reset()
    machine.console.wait_for('iPXE initialising devices', 30)


def test_its_screen_can_be_seen(machine, tmp_path):
    boot_disk(machine)
    with Image.open(machine.screenshot(tmp_path / 'screen.png')) as image:
        assert image.format == 'PNG'
        assert image.width >= 640
        assert len(image.convert('L').getcolors()) > 1  # something is written on it


def test_a_machine_that_is_on_is_not_rebuilt(rack, machine):
    boot_disk(machine)
    with pytest.raises(LabError, match='one is on; switch it off'):
        rack.machine('one', memory=256)
    with pytest.raises(LabError, match=f'{machine.mac} is that of one'):
        rack.machine('other', nics=(Nic(machine.mac),))


def test_a_machine_stays_as_it_is_if_what_is_wanted_instead_cannot_be(rack, machine):
    other = rack.machine('other', memory=128)
    before = (machine.folder / 'disk0.raw').stat().st_ino
    with pytest.raises(LabError, match=f'{other.mac} is that of other'):
        rack.machine('one', memory=128, nics=(Nic(other.mac),))
    assert (machine.folder / 'disk0.raw').stat().st_ino == before
    boot_disk(machine)


def test_a_plain_machine_asks_as_an_ordinary_pxe_rom_does(rack, tmp_path):
    plain, ipxe = rack.machine('plain', client='plain', memory=128), rack.machine('ipxe', memory=128)
    with rack.capture(tmp_path / 'asked.pcap') as captured:
        plain.power_on()
        ipxe.power_on()

        def asked(machine: Machine) -> list[str]:
            return [event.what for event in packets.summary(captured) if event.who == machine.mac]

        until(lambda: asked(plain) and asked(ipxe), 'both ask for an address', 40)
    plain.power.off()
    ipxe.power.off()
    assert asked(plain)[0] == 'DISCOVER, vendor class "PXEClient:Arch:00000:UNDI:002001", architecture 0'
    assert asked(ipxe)[0] == asked(plain)[0] + ', user class "iPXE", iPXE features (175)'


def test_what_was_killed_is_mended(rack, machine):
    for name in ('rack-namespace', 'rack-machine-one'):
        record = rack.supervisor.record(name)
        assert record is not None
        record.identity.send(signal.SIGKILL)
        until(lambda one=record.identity: not one.alive, f'{name} is dead')
    with pytest.raises(LabError, match='nobody minds the machine one'):
        machine.power.status()
    rack.up(bare=True)
    boot_disk(machine)


def test_nothing_is_left_of_it_even_if_its_processes_were_killed(rack, machine):
    boot_disk(machine)
    namespace = rack.namespace
    # What people start in it goes too.
    visitor = subprocess.Popen(
        [TREE / 'bin/lab', 'rack', 'run', '--', 'sleep', '600'],
        env={**os.environ, 'SUBSTRUCT_RUN': str(rack.places.run)}, cwd='/',
    )  # fmt: skip
    until(lambda: 'sleep' in names(namespace.processes()), 'the visitor is inside')
    inside = namespace.processes()
    for name in ('rack-machine-one', 'rack-namespace'):
        record = rack.supervisor.record(name)
        assert record is not None
        record.identity.send(signal.SIGKILL)
    rack.down()
    visitor.wait(10)
    assert processes(rack.places.run) == []
    assert names(inside) == []
    assert not rack.folder.exists()
    assert not rack.sockets.exists()
    rack.up(bare=True)
    assert rack.machines() == []


def names(pids: list[int]) -> list[str]:
    """Of those processes that live."""
    found = []
    for pid in pids:
        try:
            status = Path(f'/proc/{pid}/status').read_text()
        except OSError:
            continue
        if 'State:\tZ' not in status:
            found.append(Path(f'/proc/{pid}/comm').read_text().strip())
    return found


OUTSIDE = """
import subprocess, sys
from pathlib import Path
from lab.places import Places
from lab.processes import Service
from lab.rack import Rack
from lab.rack.rack import HOLDER
from lab.stack import Lab
rack = Rack(Lab(Places(Path(sys.argv[1]))))
rack.places.make()
rack.supervisor.up(Service(HOLDER, ['sleep', '600'], ready=lambda identity: True))
bystander = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
rack.down()
assert rack.supervisor.record(HOLDER) is None
assert bystander.poll() is None, 'it was ended, and with it everything on this machine'
bystander.kill()
print('all is well')
"""


def test_nobody_outside_is_ended_where_the_rack_was_killed_before_it_had_its_namespace(reachable_folder):
    """In a namespace of its own, because what fails here would end everything around it."""
    user = [] if os.geteuid() == 0 else ['--user', '--map-root-user']
    done = subprocess.run(
        ['unshare', *user, '--net', sys.executable, '-c', OUTSIDE, str(reachable_folder / 'outside')],
        cwd=TREE, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == 'all is well\n', f'ended with {done.returncode}: {done.stderr}'


def test_a_doorway_ends_with_who_keeps_the_namespace(tmp_path):
    keeper = subprocess.Popen(['sleep', '600'])
    ends = [f'unix:{tmp_path / "a"}', f'unix:{tmp_path / "b"}']
    doorway = subprocess.Popen(
        [sys.executable, '-m', 'lab.rack.doorway', str(tmp_path / 'ready'), str(keeper.pid), *ends], cwd=TREE
    )
    try:
        until((tmp_path / 'ready').exists, 'it is ready')
        keeper.kill()
        keeper.wait()
        assert doorway.wait(10) == 0
    finally:
        doorway.kill()
        doorway.wait()


OWNER = """
import os, sys, time
from pathlib import Path
from lab.places import Places
from lab.processes import Identity
from lab.rack import Rack
from lab.stack import Lab
rack = Rack(Lab(Places(Path(sys.argv[1]))), owner=Identity.of(os.getpid()))
rack.up(bare=True)
rack.machine('orphan', memory=128).power_on()
print('up', flush=True)
time.sleep(600)
"""


def test_a_rack_that_belongs_to_a_process_ends_with_it_however_it_ends(reachable_folder):
    run = reachable_folder / 'owned'
    owner = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(run)], cwd=TREE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': f'{TREE}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'},
    )  # fmt: skip
    assert owner.stdout is not None
    try:
        assert 'up\n' in iter(owner.stdout.readline, '')
        until(lambda: any('orphan' in line for line in processes(run)), 'its machine runs')
    finally:
        owner.kill()
        owner.wait()
    until(lambda: processes(run) == [], 'nothing runs any more')
    Rack(Lab(Places(run))).down()
    assert not (run / 'rack').exists()


def test_the_command_line(reachable_folder, tmp_path):
    lab = CommandLine(reachable_folder / 'line')
    assert 'bin/lab rack up' in lab('rack', 'status', code=3)
    try:
        lab('rack', 'up', '--bare')
        assert 'UUID' in lab('rack', 'add', 'two', '--memory', '128', '--serial', 'A,B "C"')
        assert 'there is no machine three' in lab('rack', 'power', 'three', 'on', code=1)
        assert 'on' in lab('rack', 'power', 'two', 'on', '--next', 'disk')
        lab('rack', 'screenshot', 'two', str(tmp_path / 'two.png'))
        until(lambda: 'SeaBIOS' in lab('rack', 'console', 'two'), 'it speaks')
        assert re.search(r'two +on for', lab('rack', 'status'))
        assert 'br0' in lab('rack', 'run', '--', 'ip', 'link')
    finally:
        lab('down')
    assert 'There is no rack' in lab('rack', 'status', code=3)
    assert processes(lab.run) == []
    lab('reset')
