"""ISC dhcpd beyond what every backend must do: live changes, restarts, what is refused, and being killed anywhere."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.dhcp import isc, isc_daemon, isc_files, isc_omapi, isc_syntax
from substruct_sidecar.dhcp.isc import IscService
from substruct_sidecar.plan import Plan
from substruct_sidecar.service import ApplyError
from tests.sidecar import net
from tests.sidecar.dhcp.backend_isc import PORT, SECRET, IscBackend, IscV4, IscWithoutOmapi
from tests.sidecar.dhcp.client import BIOS, UEFI, Client, Link
from tests.sidecar.world import World

MAC = '02:00:00:00:00:{:02x}'.format

pytestmark = pytest.mark.skipif(bool(IscBackend.missing()), reason=IscBackend.missing())


class Rig:
    """A world of two machines, the real dhcpd, and a client's place."""

    def __init__(self, world: World, backend: IscBackend, lan: net.Lan) -> None:
        self.world, self.backend, self.lan = world, backend, lan
        self.link = Link(lan.near)
        self.subnet = world.add_subnet('10.60.0.0/24', gateway='10.60.0.1', lease_range=('10.60.0.150', '10.60.0.160'))
        self.machines = [
            world.add_machine(f'srv-{n}', mac=MAC(n), address=f'10.60.0.{10 + n}/24', boot='local') for n in (1, 2)
        ]
        with world.view() as view:
            backend.start(view)
        world.changes()

    @property
    def service(self) -> IscService:
        return self.backend.service

    def plan(self, *, full: bool = False) -> Plan:
        changed = self.world.changes()
        with self.world.view() as view, self.lan.server.entered():
            return self.service.plan(view, None if full else changed)

    def carry_out(self, plan: Plan) -> None:
        with self.lan.server.entered():
            self.service.apply(plan)

    def apply(self, *, full: bool = False) -> Plan:
        plan = self.plan(full=full)
        self.carry_out(plan)
        return plan

    def address(self, number: int) -> str:
        return Client(self.link, MAC(number)).lease().yiaddr

    def verify(self) -> list[str]:
        with self.world.view() as view, self.lan.server.entered():
            return [str(problem) for problem in self.service.verify(view)]

    def close(self) -> None:
        self.link.close()
        self.backend.stop()


@pytest.fixture
def rig(world: World, lan: net.Lan, tmp_path: Path) -> Iterator[Rig]:
    backend = IscV4(lan, tmp_path)
    made = None
    try:
        made = Rig(world, backend, lan)
        yield made
    finally:
        if made is not None:
            made.close()
        backend.stop()


def test_hosts_come_change_and_go_without_a_restart(rig: Rig) -> None:
    pid = rig.backend.pid(4)
    rig.world.add_machine('srv-3', mac=(MAC(3), MAC(4)), address='10.60.0.13/24', boot='nothing')
    rig.world.change(rig.machines[0], hostname='other')
    rig.world.remove(rig.machines[1])
    plan = rig.plan()
    assert (plan.full, plan.summary()) == (False, '1 to add, 1 to change, 1 to remove')
    assert 'IPv4' not in plan.disruption
    rig.carry_out(plan)
    assert rig.backend.pid(4) == pid
    assert Client(rig.link, MAC(1)).lease().hostname == 'other'
    assert (rig.address(3), rig.address(4)) == ('10.60.0.13', '10.60.0.13')
    assert rig.address(2).startswith('10.60.0.15')
    assert not rig.plan(full=True)
    assert not rig.verify()


def test_what_was_changed_live_is_so_after_a_restart_of_dhcpd(rig: Rig) -> None:
    rig.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    rig.apply()
    for last in (21, 22, 23):  # several names for one host in the leases file
        machine = rig.world.objects['machine', 1]
        rig.world.change(machine, interfaces=[rig.world.interface(mac=MAC(1), address=f'10.60.0.{last}/24')])
        rig.apply()
    rig.world.remove(rig.machines[1])
    rig.apply()
    rig.backend.restart_daemon()
    assert (rig.address(1), rig.address(3)) == ('10.60.0.23', '10.60.0.13')
    assert rig.address(2).startswith('10.60.0.15')
    leases = (rig.backend.folder / 'leases4').read_text()
    assert leases.count('fixed-address') == 0  # our files have them, and dhcpd has thrown its own away
    assert not rig.verify()


def test_a_host_made_live_and_replaced_by_a_restart_does_not_come_back(rig: Rig) -> None:
    rig.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    rig.apply()
    machine = rig.world.objects['machine', 3]
    rig.world.change(machine, interfaces=[rig.world.interface(mac=MAC(3), address='10.60.0.33/24')])
    rig.world.change(rig.subnet, lease_time=7200)  # so that dhcpd is restarted
    assert 'IPv4' in rig.apply().disruption
    assert rig.address(3) == '10.60.0.33'
    rig.backend.restart_daemon()
    assert rig.address(3) == '10.60.0.33'


def test_options_and_subnets_need_one_restart(rig: Rig) -> None:
    before = rig.backend.restarts()
    rig.world.change(rig.subnet, lease_time=7200)
    rig.world.add_subnet('10.70.1.0/24')
    plan = rig.apply()
    assert 'dhcpd (IPv4) is restarted' in plan.disruption
    assert rig.backend.restarts() == before + 1
    assert Client(rig.link, MAC(1)).lease().lease_time == 7200


def test_restarts_are_gathered(rig: Rig) -> None:
    now = 1_800_000_000.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    service = IscService(
        rig.backend.settings_with(restart_interval=10.0, pid_file4='', pid_file6=''), rig.backend.secrets,
        rig.backend.ledger(), clock=lambda: now, sleep=sleep,
    )  # fmt: skip
    rig.backend.service = service
    for number in range(3):
        rig.world.change(rig.world.objects['subnet', 1], lease_time=5000 + number)
        rig.apply()
        now += 3
    assert slept == [7.0, 7.0]


def test_without_a_command_to_restart_it_nothing_is_changed_and_what_to_set_is_said(rig: Rig) -> None:
    top = (rig.backend.directory / 'substruct4.conf').read_bytes()
    rig.backend.service = IscService(
        rig.backend.settings_with(restart4=[]), rig.backend.secrets, rig.backend.ledger()
    )  # fmt: skip
    rig.world.change(rig.subnet, lease_time=7200)
    plan = rig.plan()
    with pytest.raises(ApplyError, match=r'dhcp\.isc\.restart4'):
        rig.carry_out(plan)
    assert (rig.backend.directory / 'substruct4.conf').read_bytes() == top
    rig.world.change(rig.subnet, lease_time=3600)
    rig.world.change(rig.machines[0], hostname='other')  # hosts go on live
    rig.apply(full=True)
    assert Client(rig.link, MAC(1)).lease().hostname == 'other'


def test_the_first_configuration_of_all_is_taken_back_too(world: World, lan: net.Lan, tmp_path: Path) -> None:
    backend = IscV4(lan, tmp_path)
    backend.prepare()
    (tmp_path / 'restart4.sh').write_text('#!/bin/sh\necho "no such device" >&2\nexit 1\n')
    world.add_subnet('10.60.0.0/24')
    try:
        with pytest.raises(ApplyError, match='no such device'), world.view() as view:
            backend.apply(view)
        assert 'include' not in (tmp_path / 'substruct' / 'substruct4.conf').read_text()
        backend.prepare()
        with world.view() as view:
            backend.apply(view)
        assert backend.pid(4)
    finally:
        backend.stop()


def test_a_configuration_that_dhcpd_refuses_never_gets_into_force(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pid, top = rig.backend.pid(4), (rig.backend.directory / 'substruct4.conf').read_bytes()
    rig.world.change(rig.subnet, lease_time=7200)
    real = isc_syntax.subnets4
    monkeypatch.setattr(
        isc_syntax, 'subnets4', lambda found: {key: text.replace('authoritative;', 'nonsense 1;')
                                                   for key, text in real(found).items()}
    )  # fmt: skip
    plan = rig.plan()
    with pytest.raises(ApplyError, match=r'(?s)refuses.*line \d+ \(.*10\.60\.0\.0/24.*'):
        rig.carry_out(plan)
    assert rig.backend.pid(4) == pid
    assert (rig.backend.directory / 'substruct4.conf').read_bytes() == top
    monkeypatch.undo()
    rig.apply(full=True)
    assert Client(rig.link, MAC(1)).lease().lease_time == 7200


def test_a_host_that_dhcpd_refuses_never_gets_into_our_files(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    top = (rig.backend.directory / 'substruct4.conf').read_bytes()
    rig.world.change(rig.machines[0], hostname='other')
    monkeypatch.setattr(isc_syntax, 'quote', lambda text: f'"{text}')
    plan = rig.plan()
    with pytest.raises(ApplyError, match='refuses'):
        rig.carry_out(plan)
    assert (rig.backend.directory / 'substruct4.conf').read_bytes() == top


def test_if_dhcpd_does_not_come_up_the_last_good_configuration_is_put_back(rig: Rig) -> None:
    # dhcpd's own check takes it, but the port is somebody else's.
    script = rig.backend.folder / 'restart4.sh'
    good = script.read_text()
    top, new = rig.backend.directory / 'substruct4.conf', rig.backend.folder / 'new'
    taken = f'grep -qf {new} {top} && {{ echo "the port is taken" >&2; exit 1; }}'
    script.write_text(good.replace('exec ', f'{taken}\nexec '))
    rig.world.change(rig.subnet, lease_time=7200)
    plan = rig.plan()
    (work,) = plan.payload
    entry = rig.service._daemons[4].store.write('subnets', *work.subnets)
    new.write_text(f'{entry.name}\n')
    with pytest.raises(ApplyError, match=r'(?s)the port is taken.*put back'):
        rig.carry_out(plan)
    assert Client(rig.link, MAC(1)).lease().lease_time == 3600
    assert not rig.verify()
    script.write_text(good)
    rig.apply(full=True)
    assert Client(rig.link, MAC(1)).lease().lease_time == 7200


def fails(rig: Rig, times: int) -> None:
    """dhcpd does not come up the next so many times."""
    script, left = rig.backend.folder / 'restart4.sh', rig.backend.folder / 'left'
    if 'left' not in script.read_text():
        taken = f'[ -s {left} ] && {{ sed -i 1d {left}; echo "the port is taken" >&2; exit 1; }}'
        script.write_text(script.read_text().replace('exec ', f'{taken}\nexec '))
    left.write_text('once more\n' * times)


@pytest.mark.parametrize('done', (False, True), ids=('before', 'after'))
def test_the_last_good_configuration_is_one_whose_files_are_still_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    rig.world.change(rig.subnet, lease_time=7200)
    rig.apply()
    rig.world.change(rig.machines[0], hostname='one')
    rig.apply()
    rig.world.change(rig.world.objects['machine', 1], hostname='two')
    plan = rig.plan()

    real = isc_omapi.Connection.add

    def die(*arguments: Any) -> None:
        if done:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(isc_omapi.Connection, 'add', die)
        with pytest.raises(Killed):
            rig.carry_out(plan)
    rig.backend.restart_service()
    rig.world.change(rig.world.objects['subnet', 1], lease_time=7300)
    fails(rig, 1)
    with pytest.raises(ApplyError, match='put back, and dhcpd runs with that'):
        rig.apply(full=True)
    answer = Client(rig.link, MAC(1)).lease()
    assert (answer.lease_time, answer.hostname) == (7200, 'one')
    rig.apply(full=True)
    answer = Client(rig.link, MAC(1)).lease()
    assert (answer.lease_time, answer.hostname) == (7300, 'two')
    assert not rig.verify()


def test_with_what_dhcpd_did_not_come_up_twice_it_is_not_restarted_again_and_again(rig: Rig) -> None:
    rig.world.change(rig.subnet, lease_time=7200)
    rig.world.change(rig.machines[0], hostname='other')
    for _ in range(2):
        fails(rig, 1)
        with pytest.raises(ApplyError, match='put back, and dhcpd runs with that'):
            rig.apply(full=True)
    restarts = rig.backend.restarts()
    with pytest.raises(ApplyError, match='did not come up with this configuration before'):
        rig.apply(full=True)
    assert rig.backend.restarts() == restarts
    assert Client(rig.link, MAC(1)).lease().lease_time == 3600
    assert not rig.verify()
    # With another one at once.
    rig.world.change(rig.world.objects['subnet', 1], lease_time=7300)
    rig.apply(full=True)
    assert Client(rig.link, MAC(1)).lease().lease_time == 7300


def test_a_clock_that_is_set_while_dhcpd_restarts_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isc_daemon, 'START_TIMEOUT', 0.5)
    for ahead in (3600, -3600):
        now = iter(time.time() + (0 if turn % 2 else ahead) for turn in range(1000))
        rig.backend.service = IscService(
            rig.backend.settings_with(), rig.backend.secrets, rig.backend.ledger(), clock=now.__next__
        )
        rig.world.change(rig.world.objects['subnet', 1], lease_time=7200 + ahead // 3600)
        rig.apply(full=True)
        assert Client(rig.link, MAC(1)).lease().lease_time == 7200 + ahead // 3600


def test_a_command_that_does_not_restart_dhcpd_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isc_daemon, 'START_TIMEOUT', 0.3)
    rig.backend.service = IscService(
        rig.backend.settings_with(restart4=['true']), rig.backend.secrets, rig.backend.ledger()
    )
    rig.world.change(rig.subnet, lease_time=7200)
    with pytest.raises(ApplyError, match='it was not restarted'):
        rig.apply()


def test_without_its_line_in_the_main_file_nothing_is_done(rig: Rig) -> None:
    main = rig.backend.folder / 'dhcpd4.conf'
    text = main.read_text()
    line = f'include "{rig.backend.directory}/substruct4.conf";'
    main.write_text(text.replace(line, f'# {line}'))
    rig.world.change(rig.machines[0], hostname='other')
    plan = rig.plan()
    with pytest.raises(ApplyError) as error:
        rig.carry_out(plan)
    assert line in str(error.value)
    assert line in ' '.join(finding.remedy for finding in rig.service.check())
    assert any('does not include' in words for words in rig.verify())


def test_check_finds_what_is_wrong(rig: Rig) -> None:
    with rig.lan.server.entered():
        assert {finding.verdict for finding in rig.service.check()} == {'ok'}
    main = rig.backend.folder / 'dhcpd4.conf'
    main.write_text(main.read_text() + 'subnet 10.60.0.0 netmask 255.255.255.0 { }\n')
    with rig.lan.server.entered():
        assert any('10.60.0.0/24' in finding.message for finding in rig.service.check() if finding.verdict == 'error')
    main.write_text('next-server 10.9.9.9; group { filename "old.0"; }\n' + main.read_text())
    with rig.lan.server.entered():
        (said,) = [found.message for found in rig.service.check() if found.verdict == 'warning']
    assert 'next-server to everybody' in said and 'filename' not in said
    (rig.backend.folder / 'secrets' / 'omapi').write_text('d3Jvbmc=')
    with rig.lan.server.entered():
        (finding,) = [found for found in rig.service.check() if found.part == 'OMAPI']
    assert finding.verdict == 'error' and 'd3Jvbmc' not in finding.message + finding.remedy


def test_somebody_changed_our_files(rig: Rig) -> None:
    (path,) = (rig.backend.directory / '4').glob('hosts-*.conf')
    path.write_text(path.read_text().replace('10.60.0.11', '10.60.0.99'))
    assert any('somebody else' in words for words in rig.verify())
    rig.apply(full=True)
    assert not rig.verify()
    assert rig.address(1) == '10.60.0.11'


def test_dhcpd_is_down(rig: Rig) -> None:
    rig.backend.end(4)
    assert any('does not run' in words for words in rig.verify())
    rig.world.change(rig.machines[0], hostname='other')
    plan = rig.plan()
    with pytest.raises(ApplyError, match='OMAPI'):
        rig.carry_out(plan)
    rig.backend.restart_daemon()
    assert Client(rig.link, MAC(1)).lease().hostname == 'other'
    rig.apply()
    assert not rig.plan(full=True)
    assert not rig.verify()


def test_dhcpd_has_lost_a_host(rig: Rig) -> None:
    with rig.lan.server.entered():
        key = isc_omapi.Key('substruct', 'hmac-sha256', SECRET)
        with isc_omapi.connect('127.0.0.1', PORT, key) as connection:
            for name in rig.service._daemons[4].store.read(_hosts(rig)).split():
                if name.startswith('substruct-m'):
                    connection.remove(name)
    assert any('srv-' in words and 'does not have its host' in words for words in rig.verify())


def _hosts(rig: Rig) -> isc_files.Entry:
    store = rig.service._daemons[4].store
    (entry,) = store.manifest(store.read_top()).hosts.values()
    return entry


def test_a_full_disk_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.world.change(rig.machines[0], hostname='other')
    plan = rig.plan()

    def full(self: Any, *_: Any) -> None:
        raise OSError(28, 'No space left on device', str(rig.backend.directory))

    with monkeypatch.context() as patch:
        patch.setattr(isc_files.Store, 'write', full)
        with pytest.raises(ApplyError, match='No space left'):
            rig.carry_out(plan)
    assert Client(rig.link, MAC(1)).lease().hostname == 'srv-1'
    rig.apply(full=True)
    assert Client(rig.link, MAC(1)).lease().hostname == 'other'


def test_a_plan_of_before_is_not_carried_out(rig: Rig) -> None:
    rig.world.change(rig.machines[0], hostname='other')
    old = rig.plan(full=True)
    rig.world.change(rig.world.objects['machine', 1], hostname='another')
    rig.carry_out(rig.plan(full=True))
    with pytest.raises(ApplyError, match='plan again'):
        rig.carry_out(old)


class Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


class Fuse:
    """Everything that `apply` does to the world outside, counted; the process 'dies' before the n-th of them."""

    def __init__(self, patch: pytest.MonkeyPatch, after: int) -> None:
        self.left = after
        for target, name in (
            (isc, 'write_atomically'), (isc_files, 'write_atomically'), (isc_files.Store, 'write'),
            (isc_files.Store, 'flush'), (isc_files.Store, 'clean'), (isc_omapi.Connection, 'add'),
            (isc_omapi.Connection, 'remove'), (isc_daemon.Daemon, '_run'),
            (isc_daemon, 'write_atomically'), (isc.Ledger, 'write'), (os, 'rename'),
        ):  # fmt: skip
            patch.setattr(target, name, self.guarded(getattr(target, name)))

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return function(*args, **more)

        return call


def killed_at_each_step(rig: Rig, change: Callable[[int], None], good: Callable[[int], None]) -> int:
    """Let `apply` die before each thing that it does, in turn.  Gives the number of steps."""
    for step in range(100):
        change(step)
        plan = rig.plan(full=True)
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse(patch, step)
            with contextlib.suppress(Killed):
                rig.carry_out(plan)
        rig.backend.check()  # what is on disk is a working configuration
        rig.backend.restart_service()
        if step % 2:
            rig.backend.restart_daemon()  # a power cut
        rest = rig.plan(full=True)
        if rest:
            rig.carry_out(rest)
        assert not rig.plan(full=True)
        good(step)
        assert not rig.verify()
        if fuse.left:
            return step
    raise AssertionError('it never ends')


def test_killed_anywhere_in_a_live_change(rig: Rig) -> None:
    def change(step: int) -> None:
        machine = rig.world.objects['machine', 1]
        rig.world.change(machine, interfaces=[rig.world.interface(mac=MAC(1), address=f'10.60.0.{20 + step}/24')])
        rig.world.change(
            rig.world.objects['machine', 2], hostname=f'name-{step}',
            boot=rig.world.objects['machine', 2].boot.__class__(  # type: ignore[union-attr]
                action='local' if step % 2 else 'nothing', reason='', local_method=None
            ),
        )  # fmt: skip

    def good(step: int) -> None:
        assert rig.address(1) == f'10.60.0.{20 + step}'
        answer = Client(rig.link, MAC(2), UEFI).lease()
        assert (answer.yiaddr, answer.hostname) == ('10.60.0.12', f'name-{step}')
        assert (answer.boot_file is not None) is bool(step % 2)

    assert killed_at_each_step(rig, change, good) > 10


def test_killed_anywhere_in_a_change_of_the_configuration(rig: Rig) -> None:
    def change(step: int) -> None:
        rig.world.change(rig.world.objects['subnet', 1], lease_time=4000 + step)
        machine = rig.world.objects['machine', 1]
        rig.world.change(machine, interfaces=[rig.world.interface(mac=MAC(1), address=f'10.60.0.{20 + step}/24')])

    def good(step: int) -> None:
        answer = Client(rig.link, MAC(1), BIOS).lease()
        assert (answer.yiaddr, answer.lease_time) == (f'10.60.0.{20 + step}', 4000 + step)

    assert killed_at_each_step(rig, change, good) > 10


def test_without_omapi_every_change_is_a_restart_and_it_says_so(world: World, lan: net.Lan, tmp_path: Path) -> None:
    backend = IscWithoutOmapi(lan, tmp_path)
    rig = Rig(world, backend, lan)
    try:
        assert any('Every change restarts dhcpd' in words for words in rig.service.cannot())
        rig.world.change(rig.machines[0], hostname='other')
        assert 'IPv4' in rig.apply().disruption
        assert Client(rig.link, MAC(1)).lease().hostname == 'other'
        assert not rig.plan(full=True)
        assert not rig.verify()
    finally:
        rig.close()


@pytest.mark.parametrize('algorithm', sorted(isc_omapi.ALGORITHMS))
def test_omapi_keys_of_every_kind(world: World, lan: net.Lan, tmp_path: Path, algorithm: str) -> None:
    backend = IscV4(lan, tmp_path)
    backend.algorithm = algorithm
    rig = Rig(world, backend, lan)
    try:
        with lan.server.entered():
            (finding,) = [found for found in rig.service.check() if found.part == 'OMAPI']
        assert finding.verdict == 'ok'
    finally:
        rig.close()
