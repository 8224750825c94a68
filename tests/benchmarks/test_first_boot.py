"""From power-on to facts in NetBox, and from power-on to built, each beside the same by hand.

By hand: the same virtual machine, DHCP server, iPXE, kernel, initrd and image, but a script that somebody wrote and a
plain web server; what it takes until that hears of the facts, or of cloud-init's call, is what firmware, kernel and
image cost anyway.  Beside the seconds stand those of processor time that the machine itself took, for emulated machines
are slow where others are busy.
"""

import contextlib
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.images import disk_image
from lab.progress import Progress
from lab.rack import Machine, Rack
from lab.rack.holder import NETWORK, SERVER
from tests.e2e import rack as racks
from tests.e2e.building import Builder
from tests.e2e.rack import until

from .conftest import Report

ROUNDS = int(os.environ.get('SUBSTRUCT_BENCH_BOOTS', '3'))
PORT = 9000
PATIENCE = 900.0
HERE = Path(__file__).parent


@pytest.fixture(scope='module')
def rack() -> Iterator[Rack]:
    if reason := racks.missing():
        pytest.skip(f'no virtual rack here: {reason}')
    with racks.a_rack('bench-boot') as found:
        yield found


@dataclass
class ByHand:
    """The web server of somebody who boots by hand.  `url` is its address for machines."""

    folder: Path
    log: Path
    url: str = f'http://{SERVER}:{PORT}'

    def heard(self, path: str, since: float) -> float:
        """When it was told something at this path; 0.0 if not since then."""
        for line in self.log.read_text().splitlines():
            moment, _, what = line.partition(' ')
            if what == path and float(moment) >= since:
                return float(moment)
        return 0.0

    def script(self, mode: str, arguments: str = '') -> None:
        (self.folder / 'boot.ipxe').write_text(
            '#!ipxe\n'
            f'kernel {self.url}/vmlinuz initrd=initrd.img substruct.mode={mode} substruct.url={self.url} '
            f'BOOTIF=01-${{netX/mac:hexhyp}} {arguments}\n'
            f'initrd {self.url}/initrd.img\n'
            'boot\n'
        )


@pytest.fixture(scope='module')
def by_hand(rack: Rack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    folder = tmp_path_factory.mktemp('by-hand')
    for name in ('vmlinuz', 'initrd.img'):
        shutil.copyfile(rack.prospector / 'x86_64' / name, folder / name)
    log = folder / 'log'
    command = rack.namespace.command([sys.executable, HERE / 'by_hand.py', SERVER, str(PORT), folder])
    with log.open('a') as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: 'ready' in log.read_text(), 'the web server answers')
        yield ByHand(folder, log)
    finally:
        server.terminate()
        server.wait()


@dataclass
class Times:
    """Seconds of each round, by the clock and of the machine's processor."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def words(self) -> str:
        return f'{statistics.median(self.clock):.1f} s ({statistics.median(self.processor):.1f} s of processor)'


def added(ours: Times, peer: Times) -> str:
    by_clock = statistics.median(ours.clock) / statistics.median(peer.clock) - 1
    by_processor = statistics.median(ours.processor) / statistics.median(peer.processor) - 1
    return f'{by_clock:+.0%} ({by_processor:+.0%} of processor)'


def measure(machine: Machine, times: Times, ended: Callable[[float], float], disk_next: bool = False) -> None:
    """Switch it on, and wait for the moment that `ended` gives.

    `disk_next`: its next start is from its disk, as somebody sets it by hand who has no boot server that knows.
    """
    since = time.time()
    machine.power_on()
    if disk_next:
        machine.power.next_boot('disk')
    moment = until(lambda: ended(since), 'it is told', PATIENCE)
    times.clock.append(moment - since)
    times.processor.append(processor_time(machine))
    machine.power.off()


def now_and_then(condition: Callable[[], bool]) -> float:
    """The time, if the condition holds; asked twice a second, for NetBox shares the processor with the machine."""
    time.sleep(0.5)
    return time.time() if condition() else 0.0


def processor_time(machine: Machine) -> float:
    """Seconds that its QEMU has taken."""
    for entry in Path('/proc').iterdir():
        try:
            words = (entry / 'cmdline').read_text().split('\0')
            if f'guest={machine.name},process=rack:{machine.name}' in words:
                fields = (entry / 'stat').read_text().rpartition(')')[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        except OSError:
            continue
    return 0.0


@contextlib.contextmanager
def boots_by_hand(rack: Rack) -> Iterator[None]:
    """DHCP leads machines to the plain web server: an administrator has set a boot file in the subnet."""
    prefix = rack.netbox.ipam.prefixes.get(prefix=NETWORK)
    subnet = rack.netbox.plugins.substruct.subnets.get(prefix_id=prefix.id)
    subnet.update({'dhcp_options': {'boot-file-name': f'http://{SERVER}:{PORT}/boot.ipxe'}})
    rack.settled()
    try:
        yield
    finally:
        subnet.update({'dhcp_options': {}})
        rack.settled()


def test_from_power_on_to_facts(rack: Rack, by_hand: ByHand, report: Report) -> None:
    ours, peer = Times(), Times()
    api = rack.netbox.plugins.substruct

    def in_netbox(machine: Machine) -> Callable[[float], float]:
        return lambda since: now_and_then(lambda: machine.netbox() is not None)

    for round_ in range(ROUNDS):
        machine = rack.machine(f'facts-{round_}')
        measure(machine, ours, in_netbox(machine))
        api.machines.get(machine.netbox().id).delete()
    by_hand.script('discover')
    with boots_by_hand(rack):
        for round_ in range(ROUNDS):
            measure(rack.machine(f'facts-{round_}'), peer, lambda since: by_hand.heard('/facts', since))
            rack.remove(f'facts-{round_}')
    report.add('power-on to facts in NetBox', ours.words(), f'by hand {peer.words()}', added(ours, peer))


def test_from_power_on_to_built(rack: Rack, by_hand: ByHand, report: Report) -> None:
    ours, peer = Times(), Times()
    builder = Builder(rack)
    profile = builder.image_profile(built_status='')
    machine = rack.machine('built')
    machine.register('172.30.0.61', profile=profile)
    for _ in range(ROUNDS):
        builder.request(machine)
        rack.settled()
        measure(machine, ours, lambda since: now_and_then(lambda: builder.state(machine) == 'complete'))
        copy_artifacts(builder, machine, by_hand)
    image = disk_image(Progress())
    target = by_hand.folder / 'image'
    shutil.copyfile(image.path, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    build = f'{by_hand.url}/build/'
    by_hand.script(
        'image',
        f'substruct.build={build} substruct.image={by_hand.url}/image substruct.sha256={digest} substruct.disk=only',
    )
    # NetBox forgets it: what is known of a machine by name comes before what is set for all of its subnet.
    rack.netbox.dcim.devices.get(name=machine.name).delete()
    with boots_by_hand(rack):
        for _ in range(ROUNDS):
            rack.remove('built')
            measure(rack.machine('built'), peer, lambda since: by_hand.heard('/build/done', since), disk_next=True)
    report.add('power-on to built', ours.words(), f'by hand {peer.words()}', added(ours, peer))


def copy_artifacts(builder: Builder, machine: Machine, by_hand: ByHand) -> None:
    """What cloud-init was given, for the other too; only the boot server and the token are others."""
    folder = by_hand.folder / 'build'
    folder.mkdir(exist_ok=True)
    for artifact in builder.substruct.build_artifacts.filter(build_id=builder.build(machine).id):
        content = builder.api.http_session.get(
            f'{artifact.url}content/', headers={'Authorization': f'Bearer {builder.api.token}'}
        ).text
        content = content.replace('@@substruct:base-url@@', by_hand.url).replace('/@@substruct:token@@', '')
        (folder / artifact.name).write_text(content)
