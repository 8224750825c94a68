"""The desired state on disk: taken whole or not at all, whatever happens; who claims what; what has changed."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from substruct_sidecar import desired
from substruct_sidecar.claims import token_key
from substruct_sidecar.database import WrongVersion, connect
from substruct_sidecar.plan import Limits, Unsafe
from substruct_sidecar.state import HalfAnswer, State, View

MAC = '02:00:00:00:00:01'


def header(mode='snapshot', cursor='c'):
    server = desired.BootServer(id=5, name='boot-ber', status='active', base_url='http://10.60.0.1')
    return desired.Header(protocol=1, mode=mode, cursor=cursor, boot_server=server, generated='2026-11-21T12:00:00Z')


def test_a_snapshot_is_what_is_there_afterwards(world):
    machine = world.add_machine('srv-1', mac=MAC)
    gone = world.add_machine('srv-2')
    world.sync()
    world.remove(gone)
    world.sync(snapshot=True)
    with world.view() as view:
        assert [found.name for found in view.machines()] == ['srv-1']
        assert view.object('machine', machine.id) == machine
        assert view.object('machine', gone.id) is None


def test_an_answer_without_its_end_changes_nothing(world):
    world.add_machine('srv-1', mac=MAC)
    world.sync()
    line = msgspec.json.encode(world.change(next(iter(world.objects.values())), name='half'))
    with pytest.raises(HalfAnswer, match='broke off after 1 lines'), world.state.intake(header(), 0) as intake:
        intake.line(msgspec.json.decode(line, type=desired.Machine), line)
    with world.state.view() as view:
        assert [found.name for found in view.machines()] == ['srv-1']
        assert view.about().cursor == 'test.1'


def test_an_end_with_another_number_of_lines_changes_nothing(world):
    world.add_machine('srv-1')
    world.sync()
    with pytest.raises(HalfAnswer, match='holds 7 lines, but 0 came'), world.state.intake(header(), 0) as intake:
        intake.end(desired.End(lines=7))
    assert world.state.about().cursor == 'test.1'


def test_a_file_of_the_version_before_is_brought_up_to_date_and_read_before_that_too(world):
    world.add_machine('srv-1', mac=MAC)
    world.sync()
    path = world.state.path
    world.state.close()
    with closing(connect(path)) as old:
        old.execute('DROP TABLE former')
        old.execute('PRAGMA user_version = 1')
    with View(path) as view:
        assert not view.is_former('digest')
    world.state = State(path)
    with world.view() as view:
        assert [found.name for found in view.machines()] == ['srv-1']
        assert not view.is_former('digest')


def test_a_token_whose_build_was_taken_away_is_remembered_until_it_comes_back(world):
    srv = world.add_machine('srv-1', mac=MAC)
    digest = token_key(srv.build.token)
    world.sync()
    world.change(srv, build=None)
    with world.view() as view:
        assert view.is_former(digest)
    world.change(srv, build=srv.build)
    with world.view() as view:
        assert not view.is_former(digest)
    world.remove(srv)
    with world.view() as view:
        assert not view.is_former(digest), 'its machine may be another boot server’s now'


def test_a_reader_sees_one_moment_while_the_state_moves_on(world):
    machine = world.add_machine('srv-1')
    with world.view() as view:
        assert view.count('machine') == 1
        world.remove(machine)
        world.sync(limits=Limits())
        assert view.count('machine') == 1
        assert view.object('machine', machine.id) is not None
    with world.view() as later:
        assert later.count('machine') == 0


def test_only_what_changed_is_told_and_what_is_told_twice_is_no_change(world):
    first, second = world.add_machine('srv-1'), world.add_machine('srv-2')
    assert world.changes().of('machine') == {first.id, second.id}
    world.sync(snapshot=True)
    assert not world.changes()
    world.change(first, name='srv-one')
    world.remove(second)
    assert world.changes().of('machine') == {first.id, second.id}


def test_whoever_shares_a_claim_is_looked_at_again_when_it_comes_and_goes(world):
    first = world.add_machine('srv-1', mac=MAC, address='10.0.0.1/24')
    world.changes()
    second = world.add_machine('srv-2', mac=MAC.upper())
    assert world.changes().of('machine') == {first.id, second.id}
    with world.view() as view:
        assert view.contested('mac') == {MAC: [first.id, second.id]}
        assert view.holders('mac', MAC) == [first.id, second.id]
    world.remove(second)
    assert world.changes().of('machine') == {first.id, second.id}
    with world.view() as view:
        assert view.contested('mac') == {}


def moved(world):
    """The card of an old server is in a new one; in NetBox, the old one's interface was switched off."""
    off = world.interface('eth0', mac=MAC, address='10.0.0.1/24', enabled=False, dhcp_duid='00:01')
    old = world.add_machine('old', interfaces=[off, world.interface('eth1', mac='02:00:00:00:00:02')], boot_mac=MAC)
    on = world.interface('eth0', mac=MAC, address='10.0.0.1/24', dhcp_duid='0001')
    return old, world.add_machine('new', interfaces=[on])


def test_an_interface_that_is_switched_off_claims_nothing_against_others(world):
    old, new = moved(world)
    with world.view() as view:
        assert view.holders('mac', MAC) == view.holders('duid', '0001') == view.at_address('10.0.0.1') == [new.id]
        assert view.contested('mac') == view.contested('address') == view.contested('duid') == {}
        assert view.meant_by('mac', MAC) == [new.id]
    world.remove(new)
    world.changes()
    with world.view() as view:
        assert view.holders('mac', MAC) == []
        assert view.meant_by('mac', MAC) == [old.id], 'where nobody else has it, it is known by it'
    world.change(old, interfaces=[world.interface('eth0', mac=MAC)])
    with world.view() as view:
        assert view.holders('mac', MAC) == [old.id]


def test_what_such_an_interface_claimed_in_the_version_before_is_put_right(world):
    old, new = moved(world)
    world.sync()
    path = world.state.path
    world.state.close()
    with closing(connect(path)) as before:
        before.execute("UPDATE claim SET kind = replace(kind, 'disabled-', '')")
        before.execute("INSERT INTO claim VALUES ('duid', '0001', ?)", (old.id,))
        before.execute('PRAGMA user_version = 2')
    world.state = State(path)
    with world.view() as view:
        assert view.contested('mac') == view.contested('address') == view.contested('duid') == {}
        assert view.holders('mac', MAC) == [new.id]


def test_the_same_address_in_two_vrfs_is_no_conflict(world):
    for vrf in (None, 'red'):
        interface = world.interface('eth0')
        address = world.address('10.0.0.1/24', vrf=vrf)
        world.add_machine(f'in {vrf}', interfaces=[msgspec.structs.replace(interface, addresses=[address])])
    with world.view() as view:
        assert view.contested('address') == {}


def test_identifiers_that_identify_nothing_are_claimed_by_nobody(world):
    for number in range(2):
        world.add_machine(f'srv-{number}', serial='To Be Filled By O.E.M.', uuid='03000200-0400-0500-0006-000700080009')
    with world.view() as view:
        assert view.contested('serial') == {} == view.contested('uuid')


def test_a_token_is_found_by_its_digest_alone(world):
    machine = world.add_machine('srv-1', boot='build')
    with world.view() as view:
        assert view.holders('token', machine.build.token) == []
    rows = connect(world.state.path, readonly=True).execute("SELECT value FROM claim WHERE kind = 'token'").fetchall()
    assert all(machine.build.token not in row[0] for row in rows)
    assert len(rows) == 1


def test_a_machine_whose_build_has_ended_here_boots_its_disk(world):
    machine = world.add_machine('srv-1', boot='build', local_method='exit')
    with world.view() as view:
        assert view.object('machine', machine.id).boot.action == 'build'
    with world.view(finished=[machine]) as view:
        boot = view.object('machine', machine.id).boot
        assert (boot.action, boot.local_method) == ('local', 'exit')
        assert f'#{machine.build.id} has ended' in boot.reason
    # A new build of the same machine is another build.
    world.change(machine, build=world.build(machine))
    with world.view(finished=[machine]) as view:
        assert view.object('machine', machine.id).boot.action == 'build'


def test_an_answer_that_takes_away_too_much_is_refused_until_a_person_accepts_it(world):
    for number in range(100):
        world.add_machine(f'srv-{number}')
    world.add_task('power')
    world.sync()
    world.clear()
    with pytest.raises(Unsafe, match='would remove 100 of 100') as refused:
        world.sync(snapshot=True, limits=Limits())
    with world.state.view() as view:
        assert view.count('machine') == 100
    world.state.accept(refused.value.plan.fingerprint, time.time())
    world.sync(snapshot=True, limits=Limits())
    with world.state.view() as view:
        assert view.count('machine') == 0
    assert not world.state.accepted(refused.value.plan.fingerprint), 'a word holds once'


def test_what_comes_in_the_same_answer_does_not_make_up_for_what_goes(world):
    """A NetBox that was filled anew has other machines under other numbers: that is worth a look."""
    old = [world.add_machine(f'srv-{number}') for number in range(30)]
    world.sync()
    for machine in old:
        world.remove(machine)
    for number in range(500):
        world.add_machine(f'new-{number}')
    with pytest.raises(Unsafe, match='would remove 30 of 30'):
        world.sync(snapshot=True, limits=Limits())


def test_removing_a_few_of_many_needs_no_word(world):
    machines = [world.add_machine(f'srv-{number}') for number in range(100)]
    world.sync()
    for machine in machines[:15]:
        world.remove(machine)
    world.sync(limits=Limits())
    with world.state.view() as view:
        assert view.count('machine') == 85


def test_tombstones_stay_until_they_are_forgotten(world):
    machine = world.add_machine('srv-1')
    world.changes()
    world.remove(machine)
    world.sync()
    with world.state.view() as view:
        assert view.changed(1).of('machine') == {machine.id}
        revision = view.revision
    world.state.forget(revision)
    with world.state.view() as view:
        assert view.changed(1).of('machine') == frozenset()


def test_a_file_of_a_newer_sidecar_is_not_touched(tmp_path):
    path = tmp_path / 'state.db'
    State(path).close()
    connection = connect(path)
    connection.execute('PRAGMA user_version = 99')
    connection.close()
    with pytest.raises(WrongVersion, match='newer sidecar'):
        State(path)


KILLED = """
import os, sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from substruct_sidecar import desired
from substruct_sidecar.state import State
import msgspec
state = State(Path({path!r}))
header = msgspec.json.decode({header!r}, type=desired.Header)
raw = {raw!r}
with state.intake(header, time.time()) as intake:
    for line in raw[:{lines}]:
        intake.line(msgspec.json.decode(line, type=desired.Machine), line)
    if {lines} == len(raw):
        intake.end(desired.End(lines=len(raw)))
        intake.finish(time.time(), None)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize('lines', [0, 1, 19, 20])
def test_a_kill_in_the_middle_of_taking_a_snapshot_leaves_the_last_state(world, lines):
    machines = [world.add_machine(f'srv-{number}', mac=f'02:00:00:00:01:{number:02x}') for number in range(20)]
    world.sync()
    raw = [msgspec.json.encode(msgspec.structs.replace(machine, name='new')) for machine in machines]
    script = KILLED.format(
        tests=str(Path(__file__).parents[2]), path=str(world.state.path), header=msgspec.json.encode(header()), raw=raw,
        lines=lines,
    )  # fmt: skip
    result = subprocess.run([sys.executable, '-c', script], check=False, capture_output=True)
    assert result.returncode == -9, result.stderr
    with State(world.state.path).view() as view:
        assert {found.name for found in view.machines()} == {f'srv-{number}' for number in range(20)}
        assert view.about().cursor == 'test.1'
        assert len(view.holders('mac', '02:00:00:00:01:00')) == 1
