"""Kea that refuses, hangs, dies or is configured by somebody else; a sidecar that is killed; a disk that is full."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from substruct_sidecar.dhcp import kea as kea_module
from substruct_sidecar.dhcp import kea_control, kea_daemon
from substruct_sidecar.dhcp.kea import Kea
from substruct_sidecar.dhcp.kea_config import Document
from substruct_sidecar.dhcp.kea_control import ControlError, Refused, Unsupported, over_http, over_socket
from substruct_sidecar.plan import Plan
from substruct_sidecar.service import ApplyError
from tests.sidecar import net
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.backend_kea import KeaConfig
from tests.sidecar.dhcp.client import UEFI, Client, Client6, Link
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import boots, does_not_boot
from tests.sidecar.net import Lan
from tests.sidecar.world import World

MAC = '02:00:00:00:02:{:02x}'.format


@pytest.fixture
def served(namespaces: None, lan: net.Lan, tmp_path: Path) -> Iterator[Served]:
    """Two machines in a subnet, served by Kea with everything in its configuration."""
    if reason := KeaConfig.missing():
        pytest.skip(reason)
    made = Served(World(tmp_path), KeaConfig(lan, tmp_path), Link(lan.near), lan)
    try:
        made.world.add_subnet(Lan.NEAR4, gateway='10.60.0.1', lease_range=('10.60.0.100', '10.60.0.150'))
        for number in (1, 2):
            made.world.add_machine(f'srv-{number}', mac=MAC(number), address=f'10.60.0.{10 + number}/24')
        made.start()
        yield made
    finally:
        made.close()


def kea(served: Served) -> KeaConfig:
    assert isinstance(served.backend, KeaConfig)
    return served.backend


def channel(served: Served, family: int = 4) -> kea_control.Channel:
    service = served.backend.service
    assert isinstance(service, Kea)
    return next(found.channel for found in service._daemons if found.family == family)


def address(served: Served, number: int) -> str:
    return Client(served.link, MAC(number)).lease().yiaddr


def output(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kea(served).output(4).read_bytes())['Dhcp4']
    return found


def edit(served: Served, change: Callable[[dict[str, Any]], object]) -> None:
    """Somebody edits the hand-written part."""
    path = served.backend.folder / 'base4.json'
    document = kea(served).base(4)
    change(document['Dhcp4'])
    path.write_text(json.dumps(document))


def problems(plan: Plan) -> str:
    return ' '.join(str(problem) for problem in plan.problems)


def verified(served: Served) -> list[str]:
    with served.world.view() as view, served.lan.server.entered():
        return [str(problem) for problem in served.backend.service.verify(view)]


# What is written by hand


def test_kea_reads_the_file_itself_where_it_was_started_with_it(served: Served) -> None:
    kea(served).daemons[4].log.write_text('')  # type: ignore[union-attr]
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    served.apply()
    assert address(served, 3) == '10.60.0.13'
    said = kea(served).daemons[4].said()
    assert "command 'config-reload'" in said
    assert "command 'config-set'" not in said


def test_kea_is_told_where_it_was_started_with_another_file(served: Served) -> None:
    backend = kea(served)
    backend.daemons.pop(4).stop()
    backend._run(4, backend.folder / 'base4.json')
    findings = [str(finding) for finding in backend.service.check()]
    assert any('was started with' in finding and 'base4.json' in finding for finding in findings)
    # It does not know anybody; that is noticed, and mended.
    assert any('runs another configuration' in problem for problem in verified(served))
    assert [change.key for change in served.left().changes] == ['configuration of kea-dhcp4']
    served.apply(full=True)
    assert address(served, 1) == '10.60.0.11'
    assert verified(served) == []
    assert "command 'config-set'" in backend.daemons[4].said()


def test_an_edit_by_hand_comes_into_force_with_the_next_plan(served: Served) -> None:
    edit(served, lambda base: base['reservations'].append({'hw-address': MAC(9), 'ip-address': '10.60.0.77'}))
    assert [change.key for change in served.left().changes] == ['configuration of kea-dhcp4']
    served.apply(full=True)
    assert address(served, 9) == '10.60.0.77'
    assert Client(served.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
    assert address(served, 1) == '10.60.0.11'


@pytest.mark.parametrize(
    ('fault', 'words'),
    (
        (lambda base: base.update({'client-classes': [{'name': 'x', 'test': 'option[60].hex =='}]}), 'even without'),
        (lambda base: base.update(nonsense=1), 'nonsense'),
        (
            lambda base: base['control-socket'].update({'socket-name': '/run/elsewhere'}),
            'could not be reached any more',
        ),
        (lambda base: base.update({'loggers': []}), 'could not read its file'),
    ),
    ids=('expression', 'key', 'socket', 'grammar'),
)
def test_a_broken_hand_written_part_is_said_and_everybody_is_served(
    served: Served, fault: Callable[[dict[str, Any]], object], words: str
) -> None:
    before = kea(served).output(4).read_bytes()
    edit(served, fault)
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    plan = served.apply(full=True)
    assert words in problems(plan)
    assert 'base4.json' in problems(plan) or 'could not read' in problems(plan)
    assert kea(served).output(4).read_bytes() == before
    assert address(served, 1) == '10.60.0.11'
    edit(served, lambda base: None)
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'


@pytest.mark.parametrize('written', (MAC(1).upper(), MAC(1).replace(':', '')), ids=('capitals', 'plain'))
def test_a_machine_that_is_reserved_by_hand_too_is_reported_and_holds_up_nobody(served: Served, written: str) -> None:
    edit(served, lambda base: base['reservations'].append({'hw-address': written, 'hostname': 'by-hand'}))
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    plan = served.apply(full=True)
    assert [(problem.what, problem.name) for problem in plan.problems] == [('machine', 'srv-1')]
    assert 'base4.json' in problems(plan)
    assert [address(served, number) for number in (1, 3)] == ['10.60.0.11', '10.60.0.13']
    assert not served.left().changes


def test_where_addresses_must_be_unique_a_bond_is_reported_and_holds_up_nobody(served: Served) -> None:
    edit(served, lambda base: base.update({'ip-reservations-unique': True}))
    world = served.world
    bond = world.interface('bond0', address='10.60.0.15/24', type='lag')
    world.add_machine('bonded', interfaces=[bond, *(world.interface(mac=MAC(n), lag=bond.id) for n in (15, 16))])
    plan = served.apply(full=True)
    assert ('machine', 'bonded') in [(problem.what, problem.name) for problem in plan.problems]
    assert address(served, 15) == '10.60.0.15'
    # The other port is known all the same.
    other = Client(served.link, MAC(16), UEFI).lease()
    assert (other.yiaddr.startswith('10.60.0.1'), other.hostname) == (True, 'bonded')
    boots(other, UEFI)
    assert not served.left().changes


def test_a_boot_file_written_by_hand_for_everybody_is_not_for_machines_that_must_not_boot(served: Served) -> None:
    edit(
        served,
        lambda base: base.update({'next-server': '10.9.9.9', 'boot-file-name': 'old.0', 'server-hostname': 'old'}),
    )
    served.world.add_machine('off', mac=MAC(8), address='10.60.0.18/24', boot='nothing')
    served.world.add_machine('disk', mac=MAC(9), address='10.60.0.19/24', boot='local', local_method='no-offer')
    served.apply(full=True)
    for mac in (MAC(8), MAC(9), '02:00:00:00:77:02'):
        ack = Client(served.link, mac, UEFI).lease()
        does_not_boot(ack)
        assert ack.siaddr == '0.0.0.0'
    boots(Client(served.link, MAC(1), UEFI).lease(), UEFI)


def test_an_interface_on_which_kea_hears_everything_twice_is_warned_of(served: Served) -> None:
    def warnings() -> list[str]:
        with served.lan.server.entered():
            return [
                f'{found.message} {found.remedy}' for found in served.backend.service.check() if found.verdict != 'ok'
            ]

    assert warnings() == []
    for names in (['br0'], ['*']):
        edit(served, lambda base, names=names: base['interfaces-config'].update({'interfaces': names}))  # type: ignore[misc]
        (said,) = warnings()
        assert '10.60.0.1, 10.60.1.1' in said
        assert '"br0/10.60.0.1"' in said


def test_a_boot_file_option_written_by_hand_for_everybody_is_warned_of(served: Served) -> None:
    assert {finding.verdict for finding in served.backend.service.check()} == {'ok'}
    edit(served, lambda base: base.update({'option-data': [{'name': 'boot-file-name', 'data': 'old.0'}]}))
    found = [finding for finding in served.backend.service.check() if finding.verdict == 'warning']
    assert ['boot-file-name' in finding.message for finding in found] == [True]


def test_what_somebody_changed_in_the_file_is_noticed_and_put_right(served: Served) -> None:
    output4 = kea(served).output(4)
    before = output4.read_bytes()
    output4.write_bytes(before.replace(b'"10.60.0.11"', b'"10.60.0.66"'))
    assert any('was changed by somebody' in problem for problem in verified(served))
    plan = served.apply(full=True)
    assert any('10.60.0.66' in change.before and '10.60.0.11' in change.after for change in plan.changes)
    assert output4.read_bytes() == before
    assert verified(served) == []


def test_a_file_of_somebody_else_is_never_overwritten(served: Served) -> None:
    by_hand = b'{"Dhcp4": {"valid-lifetime": 7}} // mine'
    kea(served).output(4).write_bytes(by_hand)
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    assert 'was not written by Substruct' in problems(served.apply(full=True))
    assert kea(served).output(4).read_bytes() == by_hand
    assert address(served, 1) == '10.60.0.11'


def test_a_subnet_that_kea_refuses_is_left_out_and_the_rest_is_served(served: Served) -> None:
    # The two are alike for Kea: DHCP's own message type is no option that a subnet may hand out (it is reserved).
    bad = served.world.add_subnet('10.99.0.0/24', dhcp_options={})
    served.world.add_subnet(Lan.FAR4, lease_range=('10.61.0.100', '10.61.0.150'))
    service = served.backend.service
    assert isinstance(service, Kea)
    real = service._daemons[0].test

    def test(section: bytes) -> str:
        return 'the subnet is not to my taste' if b'10.99.0.0' in section else real(section)

    service._daemons[0].test = test  # type: ignore[method-assign]
    plan = served.apply(full=True)
    assert [(problem.what, problem.id) for problem in plan.problems] == [('subnet', bad.id)]
    assert 'not to my taste' in problems(plan)
    assert [subnet['subnet'] for subnet in output(served)['subnet4']] == [Lan.NEAR4, Lan.FAR4]
    assert address(served, 1) == '10.60.0.11'


# Who is offered the boot chain, and when Kea knows it


def test_boot_is_decided_after_the_host_is_found_also_on_a_shared_network(served: Served) -> None:
    """Kea puts a client into the classes of its reservation before it gives an address where the subnet stands alone,
    and after that on a shared network: both must come to the same."""
    lan = served.world.objects['subnet', 1]
    served.world.change(lan, vlan=60)  # type: ignore[arg-type]
    served.world.add_subnet(Lan.SECOND4, vlan=60, gateway='10.60.1.1', discovery_enabled=True)
    served.world.add_machine('two', mac=MAC(7), address='10.60.1.7/24')
    served.world.add_machine('off', mac=MAC(8), address='10.60.1.8/24', boot='nothing')
    served.apply(full=True)
    assert [network['name'] for network in output(served)['shared-networks']] == ['substruct-link1']
    boots(Client(served.link, MAC(7), UEFI).lease(), UEFI)
    boots(Client(served.link, MAC(1), UEFI).lease(), UEFI)
    off = Client(served.link, MAC(8), UEFI).lease()
    assert off.yiaddr == '10.60.1.8'
    does_not_boot(off)
    # Discovery is on in the other subnet; this address is of the first.
    unknown = Client(served.link, '02:00:00:00:77:01', UEFI).lease()
    assert unknown.yiaddr.startswith('10.60.0.1')
    does_not_boot(unknown)


def test_a_universal_mac_address_is_known_over_ipv6_whatever_the_duid(served: Served) -> None:
    """Kea takes it out of the link-local address only if it is not locally administered (RFC 2373, the u bit)."""
    served.world.add_subnet(Lan.NEAR6, lease_range=('2001:db8:60::1000', '2001:db8:60::1fff'))
    served.world.add_machine('real', mac='00:1b:21:00:00:07', address='2001:db8:60::77/64')
    served.apply(full=True)
    reply = Client6(served.link, '00:1b:21:00:00:07', duid='uuid').lease()
    assert reply.addresses == ('2001:db8:60::77',)


# Kea that does not do what it should


def test_a_configuration_that_is_refused_leaves_everything_as_it_was(served: Served) -> None:
    before = kea(served).output(4).read_bytes()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    with served.world.view() as view, served.lan.server.entered():
        plan = served.backend.service.plan(view)
        daemon, made = plan.payload.pushes[0]
        broken = made.section.replace(b'"10.60.0.13"', b'"10.60.0.999"'), made.content.replace(b'.13"', b'.999"')
        plan.payload.pushes[0] = (daemon, type(made)(broken[1], broken[0], made.fingerprint))
        with pytest.raises(ApplyError, match=r'goes on with the one it has.*10\.60\.0\.999'):
            served.backend.service.apply(plan)
    assert kea(served).output(4).read_bytes() == before
    assert address(served, 1) == '10.60.0.11'
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'


def test_a_configuration_that_passes_the_test_and_fails_then_is_taken_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kea(served).output(4).read_bytes()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    with served.world.view() as view, served.lan.server.entered():
        plan = served.backend.service.plan(view)
        daemon, made = plan.payload.pushes[0]
        # As if the test had not seen the fault.
        content = made.content.replace(b'"10.60.0.13"', b'"10.60.0.999"')
        section = made.section.replace(b'"10.60.0.13"', b'"10.60.0.999"')
        plan.payload.pushes[0] = (daemon, type(made)(content, section, made.fingerprint))
        monkeypatch.setattr(kea_daemon.Daemon, '_against', lambda self, document: '')
        with pytest.raises(ApplyError, match=r'refused the new configuration.*runs the last good one again'):
            served.backend.service.apply(plan)
    monkeypatch.undo()
    assert kea(served).output(4).read_bytes() == before
    assert address(served, 1) == '10.60.0.11'
    assert verified(served) == []


def refuse(monkeypatch: pytest.MonkeyPatch, host: bytes) -> None:
    """Kea's tests find nothing, and Kea itself does not take a configuration with this host."""
    real = kea_module.document

    def broken(*arguments: Any, **more: Any) -> Document:
        made = real(*arguments, **more)
        return replace(
            made, content=made.content.replace(host, b'10.60.0.999'), section=made.section.replace(host, b'10.60.0.999')
        )

    monkeypatch.setattr(kea_module, 'document', broken)
    monkeypatch.setattr(kea_daemon.Daemon, '_against', lambda self, document: '')


def test_a_sidecar_that_is_killed_after_kea_refused_leaves_a_last_good_configuration(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kea 2.2 is deaf then, and its file holds what it does not take: only what was there before helps."""
    before = kea(served).output(4).read_bytes()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    served.world.sync()
    refuse(monkeypatch, b'10.60.0.13')
    child = os.fork()
    if child == 0:
        try:
            kea_daemon.Daemon._restore = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign,return-value]
            served.backend.restart_service()
            with served.world.state.view() as view, served.lan.server.entered():
                served.backend.service.apply(served.backend.service.plan(view))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    assert b'10.60.0.999' in kea(served).output(4).read_bytes()
    # It is still refused, and put back this time.
    served.backend.restart_service()
    with pytest.raises(ApplyError, match='runs the last good one again'):
        served.apply(full=True)
    assert kea(served).output(4).read_bytes() == before
    assert address(served, 1) == '10.60.0.11'
    # What it comes up with is good too, and when Kea takes it, it is there.
    kea(served).check()
    served.backend.restart_daemon()
    monkeypatch.undo()
    served.apply(full=True)
    assert [address(served, number) for number in (1, 3)] == ['10.60.0.11', '10.60.0.13']
    assert verified(served) == []
    assert not any(found._before.exists() for found in served.backend.service._daemons)  # type: ignore[attr-defined]


def test_where_the_last_good_file_cannot_be_written_kea_gets_its_configuration_all_the_same(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kea(served).output(4).read_bytes()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    refuse(monkeypatch, b'10.60.0.13')
    real, written = kea_daemon.write_atomically, []

    def write(path: Path, content: bytes, mode: int) -> None:
        if path == kea(served).output(4):
            written.append(path)
            if len(written) == 2:
                raise OSError(28, 'No space left on device')
        real(path, content, mode)

    monkeypatch.setattr(kea_daemon, 'write_atomically', write)
    with pytest.raises(ApplyError, match=r'could not be put back .No space left on device'):
        served.apply(full=True)
    assert address(served, 1) == '10.60.0.11'
    # The next turn puts the file back, before anything else.
    with pytest.raises(ApplyError, match='runs the last good one again'):
        served.apply(full=True)
    assert kea(served).output(4).read_bytes() == before


def test_what_kea_did_not_take_twice_is_not_tried_again_and_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is one without DHCP."""
    given: list[int] = []
    real = kea_daemon.Daemon._give

    def give(self: kea_daemon.Daemon, section: bytes) -> None:
        if self.family == 4:
            given.append(4)
        real(self, section)

    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    refuse(monkeypatch, b'10.60.0.13')
    monkeypatch.setattr(kea_daemon.Daemon, '_give', give)
    for _ in range(2):
        with pytest.raises(ApplyError, match='runs the last good one again'):
            served.apply(full=True)
    assert given == [4] * 4  # the new one and the last good one, twice
    with pytest.raises(ApplyError, match='did not come up with this configuration before'):
        served.apply(full=True)
    assert given == [4] * 4
    assert address(served, 1) == '10.60.0.11'
    # With another one it is tried at once.
    served.world.remove(served.world.objects['machine', 3])
    served.world.add_machine('srv-4', mac=MAC(4), address='10.60.0.14/24')
    served.apply(full=True)
    assert address(served, 4) == '10.60.0.14'


def test_kea_that_is_down_gets_the_configuration_when_it_starts(served: Served) -> None:
    backend = kea(served)
    backend.daemons.pop(4).stop()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    with pytest.raises(ApplyError, match='takes it when it starts'):
        served.apply(full=True)
    assert any('control socket' in problem for problem in verified(served))
    # Nothing is left to be done, but it is still said.
    left = served.left()
    assert not left.changes
    assert 'kea-dhcp4' in problems(left)
    backend._run(4, backend.output(4))
    assert address(served, 3) == '10.60.0.13'
    assert verified(served) == []


def test_kea_that_hangs_is_noticed_and_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kea_control, 'QUICK', 0.3)
    for name in ('ask', 'version', 'status'):
        original = getattr(kea_control.Channel, name)
        if name == 'ask':
            monkeypatch.setitem(original.__kwdefaults__, 'timeout', 0.3)
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    kea(served).daemons[4].signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(ApplyError, match='did not answer'):
            served.apply(full=True)
        assert any('did not answer' in problem for problem in verified(served))
        assert time.monotonic() - began < 8
    finally:
        kea(served).daemons[4].signal(signal.SIGCONT)
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'


def test_kea_that_dies_of_a_configuration_is_not_left_with_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = kea(served)
    before = backend.output(4).read_bytes()
    monkeypatch.setattr(kea_daemon, 'COME_BACK', 0.3)
    original = kea_daemon.Daemon._give

    def give(self: kea_daemon.Daemon, section: bytes) -> None:
        backend.daemons[4].process.kill()
        backend.daemons[4].process.wait()
        original(self, section)

    monkeypatch.setattr(kea_daemon.Daemon, '_give', give)
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    with pytest.raises(ApplyError, match='broke off while it took'):
        served.apply(full=True)
    monkeypatch.undo()
    assert backend.output(4).read_bytes() == before  # with which it came up before, and does so again
    backend._run(4, backend.output(4))
    assert address(served, 1) == '10.60.0.11'
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'


def test_kea_that_was_restarted_between_plan_and_apply_gets_it_all_the_same(served: Served) -> None:
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    with served.world.view() as view, served.lan.server.entered():
        plan = served.backend.service.plan(view)
    served.backend.restart_daemon()
    with served.lan.server.entered():
        served.backend.service.apply(plan)
    assert address(served, 3) == '10.60.0.13'
    assert verified(served) == []


def test_somebody_else_who_configures_kea_is_noticed(served: Served) -> None:
    channel(served).ask('config-set', kea(served).base(4))
    assert any('runs another configuration' in problem for problem in verified(served))
    served.apply(full=True)
    assert address(served, 1) == '10.60.0.11'


# The sidecar that does not do what it should

_STEPS = ('before the test', 'after the test', 'before the file', 'after the file', 'after Kea took it')


@pytest.mark.parametrize('step', _STEPS)
def test_a_sidecar_that_is_killed_anywhere_loses_nothing(served: Served, step: str) -> None:
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    served.world.sync()
    backend = kea(served)
    child = os.fork()
    if child == 0:
        try:
            _apply_and_die(served, step)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    # Whoever asks is served as before or as it should be, and Kea comes up with what is in its file.
    assert address(served, 1) == '10.60.0.11'
    backend.check()
    backend.restart_daemon()
    assert address(served, 1) == '10.60.0.11'
    backend.restart_service()
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'
    assert not served.left().changes
    assert verified(served) == []
    assert [path.name for path in backend.place.iterdir() if path.name.endswith('.test')] == []


def _apply_and_die(served: Served, step: str) -> None:
    def die(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def before(owner: Any, name: str) -> None:
        setattr(owner, name, die)

    def after(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*arguments: Any, **more: Any) -> None:
            real(*arguments, **more)
            die()

        setattr(owner, name, wrapped)

    how, owner, name = {
        'before the test': (before, kea_daemon.Daemon, '_against'),
        'after the test': (after, kea_daemon.Daemon, '_against'),
        'before the file': (before, kea_daemon, 'write_atomically'),
        'after the file': (after, kea_daemon, 'write_atomically'),
        'after Kea took it': (after, kea_daemon.Daemon, '_give'),
    }[step]
    how(owner, name)
    served.backend.restart_service()
    with served.world.state.view() as view, served.lan.server.entered():
        served.backend.service.apply(served.backend.service.plan(view))


@pytest.mark.parametrize('how', ('killed', 'down'))
def test_a_lease_that_stands_in_the_way_is_ended_also_later(
    served: Served, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The sidecar was killed before it had ended it, or Kea did not run."""
    backend = kea(served)
    assert address(served, 1) == '10.60.0.11'
    machine = served.world.objects['machine', 1]
    interface = served.world.interface(mac=MAC(99), address='10.60.0.11/24')
    served.world.change(machine, interfaces=[interface], boot_mac=MAC(99))  # type: ignore[arg-type]
    served.world.sync()
    if how == 'killed':
        child = os.fork()
        if child == 0:
            try:
                kea_daemon.Daemon.free = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign,return-value]
                served.backend.restart_service()
                with served.world.state.view() as view, served.lan.server.entered():
                    served.backend.service.apply(served.backend.service.plan(view))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    else:
        backend.daemons.pop(4).stop()
        with pytest.raises(ApplyError, match='takes it when it starts'):
            served.apply(full=True)
        assert not served.left().changes
        backend._run(4, backend.output(4))
    served.backend.restart_service()
    plan = served.apply(full=True)
    assert [change.key for change in plan.changes] == ['leases']
    assert address(served, 99) == '10.60.0.11'
    assert not served.left().changes


def test_a_full_disk_changes_nothing_and_is_said(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kea(served).output(4).read_bytes()
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')

    def full(path: Path, content: bytes, mode: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(kea_daemon, 'write_atomically', full)
    with pytest.raises(ApplyError, match='No space left on device'):
        served.apply(full=True)
    monkeypatch.undo()
    assert kea(served).output(4).read_bytes() == before
    assert address(served, 1) == '10.60.0.11'
    served.apply(full=True)
    assert address(served, 3) == '10.60.0.13'


def test_what_a_killed_sidecar_left_beside_the_file_is_removed(served: Served) -> None:
    place, long_ago = kea(served).place, time.time() - 86400
    left = [place / '.substruct-abc.test', place / '.kea-dhcp4.conf.0123456789ab.new']
    of_others = [place / '.mine.test', place / '.kea-dhcp4.conf.swp']
    for path in (*left, *of_others):
        path.write_text('{}')
        os.utime(path, (long_ago, long_ago))
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    served.apply(full=True)
    assert [path.exists() for path in (*left, *of_others)] == [False, False, True, True]


def test_passwords_written_by_hand_are_for_those_who_may_read_them_there(served: Served) -> None:
    base = served.backend.folder / 'base4.json'
    base.chmod(0o600)
    served.world.add_machine('srv-3', mac=MAC(3), address='10.60.0.13/24')
    served.apply(full=True)
    assert kea(served).output(4).stat().st_mode & 0o777 == 0o600


# The control channel


def test_what_kea_refuses_is_told_in_its_own_words(served: Served) -> None:
    with pytest.raises(Refused, match='nonsense') as refused:
        channel(served).ask('config-test', {'Dhcp4': {'nonsense': 1}})
    assert 'nonsense' in refused.value.words
    with pytest.raises(Unsupported):
        channel(served).ask('no-such-command')


@pytest.mark.parametrize('answer', (b'', b'{"result"', b'[]', b'"x"', b'{"result": 0, "arguments": [', b'\xff\xfe'))
def test_what_is_no_answer_of_kea_is_said(tmp_path: Path, answer: bytes) -> None:
    path = Path(f'/tmp/substruct-test-{os.getpid()}')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def speak() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        try:
            with pytest.raises(ControlError, match='kea-dhcp4'):
                over_socket(4, str(path)).status()
        finally:
            thread.join()
            path.unlink()
    with pytest.raises(ControlError, match=r'nobody listens|no control socket'):
        over_socket(4, str(path)).status()


def test_the_control_agent_works_too(served: Served) -> None:
    place = kea(served).place
    configuration = {
        'Control-agent': {
            'http-host': '127.0.0.1', 'http-port': 8000,
            'control-sockets': {'dhcp4': {'socket-type': 'unix', 'socket-name': str(kea(served).socket(4))}},
            'authentication': {'type': 'basic', 'realm': 'kea', 'clients': [{'user': 'u', 'password': 'p:w'}]},
        }
    }  # fmt: skip
    (place / 'agent.json').write_text(json.dumps(configuration))
    environment = {'KEA_PIDFILE_DIR': str(place), 'KEA_LOCKFILE_DIR': 'none'}
    agent = served.lan.server.start(
        ['kea-ctrl-agent', '-c', place / 'agent.json'], log=place / 'agent.log', environment=environment
    )
    try:
        with served.lan.server.entered():
            found = over_http(4, 'http://127.0.0.1:8000/', lambda: 'u:p:w')

            def answers() -> bool:
                with contextlib.suppress(ControlError):
                    return found.status().pid == kea(served).daemons[4].pid
                return False

            agent.wait_for(answers, 'the control agent answers')
            assert found.version().version >= (2, 2, 0)
            with pytest.raises(Refused, match='nonsense'):
                found.ask('config-test', msgspec.Raw(b'{"Dhcp4": {"nonsense": 1}}'))
            with pytest.raises(ControlError, match='other credentials'):
                over_http(4, 'http://127.0.0.1:8000/', lambda: 'u:x').status()
            with pytest.raises(ControlError, match='no answer from the control agent'):
                over_http(4, 'http://127.0.0.1:8001/').status()
    finally:
        agent.stop()


def test_check_says_what_is_well_and_what_is_not(served: Served) -> None:
    service = served.backend.service
    assert {finding.verdict for finding in service.check()} == {'ok'}
    kea(served).daemons.pop(6).stop()
    found = {finding.part: finding for finding in service.check()}
    assert (found['kea-dhcp4'].verdict, found['kea-dhcp6'].verdict) == ('ok', 'error')
    assert 'control socket' in found['kea-dhcp6'].message
