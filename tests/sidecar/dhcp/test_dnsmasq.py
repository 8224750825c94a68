"""What only dnsmasq has: files of two kinds, SIGHUP and restarts, and what happens when something goes wrong.

What clients are told is in the tests that all backends share.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from substruct_sidecar.desired import Machine
from substruct_sidecar.dhcp import dnsmasq as module
from substruct_sidecar.dhcp import dnsmasq_check
from substruct_sidecar.plan import Problem
from substruct_sidecar.service import ApplyError
from tests.sidecar import net
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.backend_dnsmasq import DnsmasqBackend, DnsmasqReloading
from tests.sidecar.dhcp.client import UEFI, Client, Link
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import boots
from tests.sidecar.net import Lan
from tests.sidecar.world import World


def mac(number: int) -> str:
    return f'02:00:00:00:01:{number:02x}'


class Rack(Served):
    """Four machines in one subnet, served by dnsmasq."""

    backend: DnsmasqBackend
    machines: list[Machine]

    @property
    def service(self) -> module.Dnsmasq:
        return self.backend.service

    def address(self, number: int) -> str:
        return Client(self.link, mac(number)).lease().yiaddr

    def addresses(self) -> list[str]:
        return [self.address(number) for number in range(1, 5)]

    def exchange(self, back: bool = False) -> None:
        """The first two machines exchange their addresses, and the third gets another name; or all of it back."""
        for machine, address in zip(self.machines[:2], (11, 12) if back else (12, 11), strict=True):
            placed = [self.world.address(f'10.60.0.{address}/24')]
            interface = msgspec.structs.replace(machine.interfaces[0], addresses=placed)
            self.world.change(machine, interfaces=[interface])
        self.world.change(self.machines[2], hostname='srv-3' if back else 'other')

    def in_files(self) -> list[tuple[str, ...]]:
        """The lines of the hosts with which dnsmasq would start now."""
        store = self.service.store
        return sorted(block.lines for number in store.numbers() for block in store.host_blocks(number).values())

    def verified(self) -> list[Problem]:
        with self.world.view() as view, self.lan.server.entered():
            return list(self.service.verify(view))

    def running(self) -> str:
        """Names this run of the daemon."""
        return f'{self.backend.pid} {Path(f"/proc/{self.backend.pid}/stat").read_text().split()[21]}'


BEFORE = ['10.60.0.11', '10.60.0.12', '10.60.0.13', '10.60.0.14']
AFTER = ['10.60.0.12', '10.60.0.11', '10.60.0.13', '10.60.0.14']


def a_rack(kind: type[DnsmasqBackend], lan: net.Lan, folder: Path) -> Rack:
    made = Rack(World(folder), kind(lan, folder), Link(lan.near), lan)
    made.world.add_subnet(Lan.NEAR4, gateway='10.60.0.1', lease_range=('10.60.0.100', '10.60.0.150'))
    made.machines = [
        made.world.add_machine(f'srv-{number}', mac=mac(number), address=f'10.60.0.{10 + number}/24')
        for number in range(1, 5)
    ]
    return made


@pytest.fixture
def made(lan: net.Lan, tmp_path: Path) -> Iterator[Callable[[type[DnsmasqBackend]], Rack]]:
    if reason := DnsmasqBackend.missing():
        pytest.skip(reason)
    found: list[Rack] = []

    def make(kind: type[DnsmasqBackend]) -> Rack:
        found.append(a_rack(kind, lan, tmp_path))
        return found[0]

    yield make
    for rack in found:
        rack.close()


@pytest.fixture
def rack(made: Callable[[type[DnsmasqBackend]], Rack]) -> Rack:
    found = made(DnsmasqBackend)
    found.start()
    return found


# What is written, and when


def test_a_change_writes_one_file_of_hosts(rack: Rack) -> None:
    for number in range(300):
        rack.world.add_machine(f'more-{number}', mac=f'02:00:00:01:{number >> 8:02x}:{number & 255:02x}')
    rack.apply()
    store = rack.service.store
    before = {path.name for path in store.hosts.iterdir()}
    assert [name[:7] for name in sorted(before)] == ['0-00000', '1-00000', '1-00001']
    rack.exchange()
    plan = rack.apply()
    assert [change.operation for change in plan.changes] == ['change'] * 3
    assert not plan.full
    named = {row.rpartition('/')[2] for row in store.conf.read_text().splitlines() if row.startswith('conf-file=')}
    new = named - before
    assert len(named) == 3
    assert [name[:7] for name in sorted(new)] == ['0-00000', '1-00000']
    assert rack.addresses() == AFTER
    # The number that exist is kept, and not counted again.
    existing = rack.service.plan(rack.world.view(), rack.world.changes()).existing
    rack.backend.restart_service()
    assert rack.left().existing == existing


def test_a_plan_shows_the_lines_that_change(rack: Rack) -> None:
    rack.world.change(rack.machines[0], hostname='renamed')
    changed = rack.world.changes()
    with rack.world.view() as view:
        plan = rack.service.plan(view, changed)
    shown = '\n'.join(plan.diff())
    assert '~ m1.1  [srv-1]' in shown
    assert '+ 02:00:00:00:01:01,tag:substruct-every,set:substruct-boot,10.60.0.11,renamed' in shown
    assert 'applying it: dnsmasq is restarted' in shown


def test_a_burst_of_changes_is_a_few_restarts(rack: Rack) -> None:
    now = [1000.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    rack.service._clock, rack.service._sleep, rack.service._restarted = lambda: now[0], sleep, None
    rack.service._own = type(rack.service._own)(
        **{name: getattr(rack.service._own, name) for name in rack.service._own.__struct_fields__}
        | {'restart_interval': 10.0}
    )
    for number, seconds in ((10, 0), (11, 3), (12, 20)):
        now[0] += seconds
        rack.world.add_machine(f'new-{number}', mac=mac(number))
        rack.apply()
    assert slept == [7.0]


# SIGHUP


def test_a_new_machine_is_known_at_once_without_restart_and_sighup(
    made: Callable[[type[DnsmasqBackend]], Rack],
) -> None:
    rack = made(DnsmasqReloading)
    rack.start()
    running, said = rack.running(), rack.backend.said()
    rack.world.add_machine('new', mac=mac(9), address='10.60.0.19/24')
    plan = rack.apply()
    assert plan.disruption == ''
    ack = Client(rack.link, mac(9), UEFI).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.19', 'new')
    boots(ack, UEFI)
    assert rack.running() == running
    assert f'read {rack.service.store.hosts}/' not in rack.backend.said().removeprefix(said)
    # After a restart it is read out of hosts/ and live/: twice the same is no harm.
    rack.backend.restart_daemon()
    assert rack.address(9) == '10.60.0.19'
    assert rack.left().summary() == '0 to add, 0 to change, 0 to remove'


def test_a_dnsmasq_that_dies_of_sighup_is_started_again_and_restarted_from_then_on(
    made: Callable[[type[DnsmasqBackend]], Rack], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not DnsmasqReloading.missing():
        pytest.skip('this dnsmasq bears SIGHUP')
    monkeypatch.setattr(dnsmasq_check.Program, 'version', property(lambda self: dnsmasq_check.RELOADS))
    monkeypatch.setattr(DnsmasqReloading, 'sighup', 'auto')
    rack = made(DnsmasqReloading)
    rack.start()
    assert rack.addresses() == BEFORE  # a host with a tag that has been answered is what it dies of
    rack.exchange()
    with pytest.raises(ApplyError, match=r'died when it was told.* It was started again, with everything new'):
        rack.apply()
    assert [rack.address(3), rack.address(4)] == BEFORE[2:]
    assert not rack.service.store.reloads
    rack.apply(full=True)
    assert rack.addresses() == AFTER
    assert rack.left().summary() == '0 to add, 0 to change, 0 to remove'
    os.kill(rack.backend.pid, signal.SIGHUP)  # somebody's `systemctl reload` does no harm any more
    assert rack.addresses() == AFTER
    rack.world.remove(rack.machines[3])
    rack.apply()
    assert rack.address(4) != BEFORE[3]
    rack.backend.check()


# What is refused, and what does not come up


def test_a_host_that_dnsmasq_refuses_is_reported_and_all_others_are_served(rack: Rack) -> None:
    rack.world.add_machine('twin', mac=mac(8), address=f'{HAND_WRITTEN_ADDRESS}/24')
    rack.world.add_machine('new', mac=mac(9), address='10.60.0.19/24')
    plan = rack.apply()
    (problem,) = plan.problems
    assert problem.name == 'twin'
    assert f'duplicate dhcp-host IP address {HAND_WRITTEN_ADDRESS}' in problem.message
    assert str(rack.backend.main) in problem.remedy
    assert rack.address(9) == '10.60.0.19'
    assert Client(rack.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
    assert rack.addresses() == BEFORE


def test_a_machine_whose_new_address_is_refused_holds_up_nobody_who_gets_its_old_one(rack: Rack) -> None:
    taken = msgspec.structs.replace(
        rack.machines[0].interfaces[0], addresses=[rack.world.address(f'{HAND_WRITTEN_ADDRESS}/24')]
    )
    rack.world.change(rack.machines[0], interfaces=[taken])
    assert [problem.name for problem in rack.apply().problems] == ['srv-1']
    rack.world.add_machine('heir', mac=mac(8), address='10.60.0.11/24')
    rack.apply()
    assert rack.address(8) == '10.60.0.11'
    # It is known all the same.
    ack = Client(rack.link, mac(1), UEFI).lease()
    assert (ack.yiaddr.startswith('10.60.0.1'), ack.hostname) == (True, 'srv-1')
    boots(ack, UEFI)
    left = rack.left()
    assert (left.summary(), [problem.name for problem in left.problems]) == (
        '0 to add, 0 to change, 0 to remove', ['srv-1'],
    )  # fmt: skip
    main = rack.backend.main.read_text()
    rack.backend.main.write_text(main.replace(f'dhcp-host={HAND_WRITTEN_MAC}', '# mended'))
    rack.apply(full=True)
    assert rack.address(1) == HAND_WRITTEN_ADDRESS


def test_a_configuration_that_dnsmasq_refuses_changes_nothing(rack: Rack) -> None:
    running = rack.running()
    main = rack.backend.main.read_text()
    rack.backend.main.write_text(main + 'dhcp-range=nonsense\n')
    rack.exchange()
    with pytest.raises(ApplyError, match=r'refuses the new configuration: bad dhcp-range at line \d+ of .*hand-writ'):
        rack.apply()
    assert rack.running() == running
    assert rack.addresses() == BEFORE
    rack.backend.main.write_text(main)
    rack.apply(full=True)
    assert rack.addresses() == AFTER


def test_when_dnsmasq_does_not_come_up_the_last_good_configuration_and_its_hosts_are_put_back(rack: Rack) -> None:
    good = rack.backend.command.read_text()
    fails = f'grep -q 10.61.0.0 {rack.service.store.conf} && exit 7'
    rack.backend.command.write_text(good.replace('exec ', f'{fails}\nexec '))
    rack.world.add_subnet(Lan.FAR4)
    rack.exchange()
    with pytest.raises(
        ApplyError, match=r'did not come up.*ended with 7.*The last good one was put back and is served'
    ):
        rack.apply()
    assert rack.addresses() == BEFORE
    assert '10.61.0.0' in rack.service.store.refused.read_text()
    # It is not tried again and again: each time is one without DHCP.
    with pytest.raises(ApplyError, match='put back and is served'):
        rack.apply(full=True)
    restarts = rack.backend.restarts()
    with pytest.raises(ApplyError, match='did not come up with this configuration before'):
        rack.apply(full=True)
    assert rack.backend.restarts() == restarts
    rack.backend.command.write_text(good)
    rack.service.retry()
    rack.apply(full=True)
    assert rack.addresses() == AFTER


def test_without_a_command_for_restarts_a_person_is_told_and_may_do_it(rack: Rack) -> None:
    rack.service._own = type(rack.service._own)(
        **{name: getattr(rack.service._own, name) for name in rack.service._own.__struct_fields__} | {'restart': []}
    )
    rack.exchange()
    with pytest.raises(ApplyError, match=r'must be restarted, and dhcp\.dnsmasq.restart names no command'):
        rack.apply()
    assert [problem.message for problem in rack.verified()] == ['dnsmasq runs with an earlier configuration.']
    rack.backend.restart_daemon()
    assert rack.verified() == []
    assert rack.left().summary() == '0 to add, 0 to change, 0 to remove'


# Crashes and full disks


def killed(rack: Rack, point: int) -> bool:
    """Apply the full plan in a process that is killed at some step that can be seen from outside; whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            writes = event == 'open' and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in ('os.rename', 'os.remove', 'os.mkdir', 'os.kill', 'subprocess.Popen'):
                seen += 1
                if seen == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            with rack.world.view() as view, rack.lan.server.entered():
                plan = rack.service.plan(view)
                sys.addaudithook(watch)
                rack.service.apply(plan)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_a_sidecar_that_is_killed_at_any_point_leaves_what_was_or_what_is_to_be(rack: Rack) -> None:
    there = rack.in_files()
    rack.exchange()
    rack.apply()
    states = {False: there, True: rack.in_files()}
    assert states[False] != states[True]
    exchanged, point, was_killed = True, 0, True
    while was_killed:
        point += 1
        exchanged = not exchanged
        rack.exchange(back=not exchanged)
        was_killed = killed(rack, point)
        # The host is restarted before the sidecar is there again: dnsmasq comes up, with the one or with the other.
        rack.backend.restart_daemon()
        assert rack.in_files() in states.values(), point
        assert [rack.address(3), rack.address(4)] == BEFORE[2:], point
        rack.backend.restart_service()
        rack.apply(full=True)
        assert rack.in_files() == states[exchanged], point
        assert rack.addresses() == (AFTER if exchanged else BEFORE), point
        assert rack.left().summary() == '0 to add, 0 to change, 0 to remove'
    assert point > 15  # it was killed at many
    assert not rack.service.store.pending.exists()
    assert not list(rack.service.store.folder.rglob('.*'))
    rack.backend.check()


def test_files_that_were_written_and_not_told_are_told_by_the_next_plan(rack: Rack) -> None:
    running = rack.running()
    store = rack.service.store
    store.mark('restart', '')  # a sidecar was killed after it had written, before it restarted
    assert rack.left().disruption == 'dnsmasq is restarted'
    rack.apply(full=True)
    assert rack.running() != running
    assert rack.left().summary() == '0 to add, 0 to change, 0 to remove'


def test_a_full_disk_changes_nothing_that_is_served(
    made: Callable[[type[DnsmasqBackend]], Rack], tmp_path: Path
) -> None:
    rack = made(DnsmasqBackend)
    small = rack.backend.directory
    small.mkdir()
    if net.run(['mount', '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', small], check=False).returncode:
        pytest.skip('file systems cannot be mounted here')
    try:
        rack.start()
        filler = small / 'filler'
        with pytest.raises(OSError, match='No space left'), filler.open('wb', buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        rack.exchange()
        with pytest.raises(ApplyError, match=r'could not be written: .*No space left on device'):
            rack.apply()
        assert rack.addresses() == BEFORE
        rack.backend.restart_daemon()
        assert rack.addresses() == BEFORE
        filler.unlink()
        rack.apply(full=True)
        assert rack.addresses() == AFTER
        rack.backend.stop()
    finally:
        net.run(['umount', '-l', small])


# Other people's hands


def test_what_somebody_changed_in_our_files_is_noticed_and_put_right(rack: Rack) -> None:
    rack.left()
    assert rack.verified() == []
    path = min(rack.service.store.hosts.iterdir())
    path.write_text(path.read_text().replace('10.60.0.11', '10.60.0.66'))
    stray = rack.service.store.conf.parent / 'mine.conf'
    stray.write_text('dhcp-range=10.99.0.0,static\n')
    said = [problem.message for problem in rack.verified()]
    assert said == [f'{path} was changed by somebody.', f'{stray} is not ours.']
    plan = rack.apply(full=True)
    assert plan.count('change') == 1 and plan.count('remove') == 1
    assert not stray.exists()
    assert rack.verified() == []
    assert rack.addresses() == BEFORE


def test_a_dnsmasq_that_does_not_run_is_noticed(rack: Rack) -> None:
    rack.backend.end()
    assert 'dnsmasq does not run' in rack.verified()[0].message
    # Another process has its number by now.
    other = rack.lan.server.start(['sleep', '1000'])
    rack.backend.pid_file.write_text(f'{other.pid}\n')
    assert 'dnsmasq does not run' in rack.verified()[0].message


# check


def findings(rack: Rack) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with rack.lan.server.entered():
        for finding in rack.service.check():
            found.setdefault(finding.verdict, []).append(f'{finding.message} {finding.remedy}'.strip())
    return found


def test_check_finds_nothing_where_all_is_well(rack: Rack) -> None:
    assert set(findings(rack)) == {'ok'}


def test_check_says_which_line_to_add(rack: Rack) -> None:
    main = rack.backend.main.read_text()
    line = rack.service.line_to_add
    assert line in main
    rack.backend.main.write_text(main.replace(line, ''))
    assert f'Add the line: {line}' in findings(rack)['error'][0]
    # In a file that the main file reads, it is found too.
    folder = rack.backend.folder / 'dnsmasq.d'
    folder.mkdir()
    (folder / 'substruct.conf').write_text(f'{line}\n')
    rack.backend.main.write_text(main.replace(line, f'conf-dir={folder},.dpkg-dist\ndhcp-boot=pxelinux.0'))
    found = findings(rack)
    assert 'error' not in found
    assert '"dhcp-boot=pxelinux.0"' in found['warning'][0]
    rack.exchange()
    rack.apply()
    assert rack.addresses() == AFTER


def test_check_finds_what_is_missing(rack: Rack) -> None:
    rack.backend.main.write_text('nonsense\n')
    rack.backend.end()
    found = findings(rack)
    assert any('dnsmasq refuses it: bad option at line 1' in words for words in found['error'])
    assert any('does not run' in words for words in found['warning'])
