"""What goes wrong around every backend: the sidecar is killed, the disk is full, the daemon is dead or killed."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from substruct_sidecar.desired import Machine
from substruct_sidecar.service import ApplyError
from tests.sidecar import net
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.client import Client
from tests.sidecar.dhcp.conftest import Served

MAC = '02:00:00:00:02:{:02x}'.format

# Of all the steps at which the sidecar can be killed so many are tried, with equal distances.
POINTS = 5


@pytest.fixture
def machines(fresh: Served) -> list[Machine]:
    """Four, that are served: MAC(1) with 10.60.0.11, and so on."""
    fresh.world.add_subnet(
        net.Lan.NEAR4, gateway='10.60.0.1', lease_range=('10.60.0.100', '10.60.0.150'), lease_time=1800
    )
    found = [
        fresh.world.add_machine(f'srv-{number}', mac=MAC(number), address=f'10.60.0.{10 + number}/24')
        for number in range(1, 5)
    ]
    fresh.start()
    return found


def addresses(network: Served, *numbers: int) -> list[str]:
    return [Client(network.link, MAC(number)).lease().yiaddr for number in numbers]


def change(network: Served, machines: list[Machine], turn: int) -> None:
    """One machine is renamed, one gets another address, and one comes or goes."""
    world = network.world
    world.change(machines[1], hostname=f'turn-{turn}')
    world.change(machines[2], interfaces=[world.interface(mac=MAC(3), address=f'10.60.0.{30 + turn}/24')])
    extra = [line for line in world.objects.values() if isinstance(line, Machine) and line.name == 'extra']
    if extra:
        world.remove(extra[0])
    else:
        world.add_machine('extra', mac=MAC(9), address='10.60.0.19/24')


def is_as_it_should_be(network: Served, turn: int) -> None:
    assert addresses(network, 1, 4) == ['10.60.0.11', '10.60.0.14']
    ack = Client(network.link, MAC(2)).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.12', f'turn-{turn}')
    assert addresses(network, 3) == [f'10.60.0.{30 + turn}']
    extra = any(isinstance(line, Machine) and line.name == 'extra' for line in network.world.objects.values())
    assert (addresses(network, 9) == ['10.60.0.19']) == extra
    assert Client(network.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
    assert network.left().summary() == '0 to add, 0 to change, 0 to remove'
    network.backend.check()


# What the process does, as Python tells it (PEP 578); a hook cannot be taken away again.
_on_event: Callable[[str], None] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _on_event is None:
        return
    if event == 'open':
        flags = arguments[2]
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) and arguments[0] != os.devnull:
            _on_event('write')
    elif event in ('os.rename', 'os.remove', 'os.mkdir', 'os.kill', 'subprocess.Popen', 'socket.connect'):
        _on_event(event)


sys.addaudithook(_hook)


@contextmanager
def watching(told: Callable[[str], None]) -> Iterator[None]:
    global _on_event
    _on_event = told
    try:
        yield
    finally:
        _on_event = None


def steps_of(network: Served, *, full: bool, killed_at: int | None) -> int:
    """Apply what has changed in a process of its own, which is killed at a step; gives the number of steps there were,
    if it was not."""
    changed = None if full else network.world.changes()
    network.world.sync()
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            seen = 0

            def told(event: str) -> None:
                nonlocal seen
                seen += 1
                if seen == killed_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            with network.world.view() as view, network.lan.server.entered():
                plan = network.backend.service.plan(view, changed)
                with watching(told):
                    network.backend.service.apply(plan)
            os.write(mouth, str(seen).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(mouth)
    _, status = os.waitpid(child, 0)
    said = os.read(ear, 100)
    os.close(ear)
    if killed_at is None:
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, status
        return int(said)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    return 0


@pytest.mark.parametrize('full', (False, True), ids=('change', 'full'))
def test_a_sidecar_that_is_killed_at_any_point_is_mended_by_the_next(
    fresh: Served, machines: list[Machine], full: bool
) -> None:
    change(fresh, machines, 0)
    steps = steps_of(fresh, full=full, killed_at=None)
    assert steps > 0
    fresh.backend.restart_service()
    is_as_it_should_be(fresh, 0)
    for turn, point in enumerate(sorted({1 + steps * number // POINTS for number in range(POINTS)}), start=1):
        change(fresh, machines, turn)
        try:
            steps_of(fresh, full=full, killed_at=point)
        except AssertionError:
            assert point > 1  # the changes of another turn may take fewer steps
        # The host comes up before the sidecar: whom the change does not concern is served.
        fresh.backend.restart_daemon()
        assert addresses(fresh, 1, 4) == ['10.60.0.11', '10.60.0.14'], point
        fresh.backend.restart_service()
        fresh.apply(full=True)
        is_as_it_should_be(fresh, turn)


@pytest.mark.parametrize('free', (0, 1, 2), ids=lambda free: f'after-{free}-files')
def test_a_full_disk_changes_nothing_and_is_said(fresh: Served, machines: list[Machine], free: int) -> None:
    left = free

    def told(event: str) -> None:
        nonlocal left
        if event == 'write':
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    change(fresh, machines, 1)
    changed = fresh.world.changes()
    try:
        with fresh.world.view() as view, fresh.lan.server.entered():
            plan = fresh.backend.service.plan(view, changed)
            with watching(told):
                fresh.backend.service.apply(plan)
    except ApplyError as error:
        assert os.strerror(errno.ENOSPC) in str(error)
        assert addresses(fresh, 1, 4) == ['10.60.0.11', '10.60.0.14']
        assert Client(fresh.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
        fresh.backend.check()
    else:
        assert left >= 0, 'the disk was full and nobody said so'
    fresh.apply(full=True)
    is_as_it_should_be(fresh, 1)


def kill_everything(network: Served) -> None:
    """What runs in the server's namespace is killed: the daemons, and nothing else."""
    pids = [int(pid) for pid in net.ip('netns', 'pids', network.lan.server.name).split()]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    while any(net.lives(pid) for pid in pids):
        os.sched_yield()


def problems(network: Served) -> list[str]:
    with network.world.view() as view, network.lan.server.entered():
        return [str(problem) for problem in network.backend.service.verify(view)]


def test_a_daemon_that_is_dead_is_noticed(fresh: Served, machines: list[Machine]) -> None:
    assert problems(fresh) == []
    kill_everything(fresh)
    assert problems(fresh)
    fresh.backend.restart_daemon()
    assert problems(fresh) == []
    assert addresses(fresh, 1, 2, 3, 4) == ['10.60.0.11', '10.60.0.12', '10.60.0.13', '10.60.0.14']


def test_what_changes_while_the_daemon_is_dead_is_served_when_it_is_back(
    fresh: Served, machines: list[Machine]
) -> None:
    kill_everything(fresh)
    change(fresh, machines, 1)
    try:
        fresh.apply()
    except ApplyError as error:
        assert len(str(error)) > 20  # it is said, or the daemon was started again
    fresh.backend.restart_daemon()
    fresh.apply(full=True)
    is_as_it_should_be(fresh, 1)
