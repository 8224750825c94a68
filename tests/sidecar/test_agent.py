"""The agent as a whole: what it keeps in step and reports, and that killing it at any moment loses nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from substruct_sidecar import status as board
from substruct_sidecar import wake
from substruct_sidecar.agent import AlreadyRunning, Finished, Lock, patience
from substruct_sidecar.claims import token_key
from substruct_sidecar.outbox import Message, Outbox
from substruct_sidecar.state import State

from .stand_in import standing_in
from .waiting import eventually

TREE = Path(__file__).parents[2]


@pytest.fixture
def stand_in(world):
    with standing_in() as found:
        # A snapshot each time: what a test changes in the world is there at the next poll.
        found.feed = lambda after: b'\n'.join(world.lines()) + b'\n'
        yield found


@pytest.fixture
def agent(tmp_path, stand_in):
    return Process(tmp_path, stand_in.url)


class Process:
    """The agent in a folder, started and ended as often as a test likes."""

    def __init__(self, folder, url):
        self.folder, self.url, self.process = folder, url, None

    def start(self, hook=''):
        self.log = (self.folder / 'log').open('a')
        command = [sys.executable, '-m', 'tests.sidecar.agent_under_test', str(self.folder), self.url]
        self.process = subprocess.Popen([*command, *filter(None, [hook])], cwd=TREE, stderr=self.log)

    def end(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            code = self.process.wait(20)
            self.log.close()
            self.process = None
            return code
        return None

    @contextmanager
    def running(self, hook=''):
        self.start(hook)
        try:
            yield self
        finally:
            self.end()

    def there(self):
        path = self.folder / 'there.json'
        return json.loads(path.read_text()) if path.exists() else {}

    def status(self):
        return board.read(self.folder / 'run')

    def outbox(self):
        (self.folder / 'state').mkdir(exist_ok=True)
        return Outbox(self.folder / 'state' / 'outbox.db')


def event(key, build=None):
    return Message(key=key, type='event', time=1.0, build=build, kind='progress')


def test_what_netbox_says_is_kept_in_step_and_reported(agent, world, stand_in):
    machine = world.add_machine('srv-1', boot='local')
    with agent.running():
        eventually(lambda: agent.there() == {'1': 'srv-1 local'})
        world.change(machine, name='srv-one')
        eventually(lambda: agent.there() == {'1': 'srv-one local'})
        eventually(lambda: stand_in.heartbeats and stand_in.heartbeats[-1]['services'][0]['state'] == 'ok')
        status = eventually(lambda: (s := agent.status()) and s.counts.get('machine') == 1 and s)
    assert (status.boot_server, status.netbox.state) == ('boot-ber', 'ok')
    beat = stand_in.heartbeats[-1]
    assert beat['applied_cursor'].startswith('test.')
    assert beat['services'][0]['name'] == 'names'


def test_a_build_that_ends_here_is_in_the_services_at_once_though_netbox_does_not_know(agent, world, stand_in):
    machine = world.add_machine('srv-1', boot='build')
    with agent.running():
        eventually(lambda: agent.there() == {'1': 'srv-1 build'})
        stand_in.fault = lambda handler, path: handler.give({'detail': 'down'}, 503) or True
        message = Message(key='b/done', type='event', time=1.0, build=machine.build.id, kind='finished')
        agent.outbox().put_end(message, machine.build.id, token_key(machine.build.token), 'done')
        assert wake.send(agent.folder / 'run', 'outbox')
        eventually(lambda: agent.there() == {'1': 'srv-1 local'})
        assert agent.end(signal.SIGKILL) == -9
        agent.start()
        eventually(lambda: (s := agent.status()) and s.services and s.services[0].state == 'ok' and s.started)
        assert agent.there() == {'1': 'srv-1 local'}
        stand_in.fault = None
        eventually(lambda: [found['key'] for found in stand_in.delivered] == ['b/done'])


def test_a_build_that_ends_is_noticed_though_the_word_of_it_is_lost(agent, world, stand_in, monkeypatch):
    monkeypatch.setenv('SUBSTRUCT_TEST_POLL', '3600')
    machine = world.add_machine('srv-1', boot='build')
    with agent.running():
        eventually(lambda: agent.there() == {'1': 'srv-1 build'})
        message = Message(key='b/done', type='event', time=1.0, build=machine.build.id, kind='finished')
        agent.outbox().put_end(message, machine.build.id, token_key(machine.build.token), 'done')
        eventually(lambda: agent.there() == {'1': 'srv-1 local'})


def test_an_ended_build_is_told_until_the_services_have_heard_of_it(tmp_path):
    outbox = Outbox(tmp_path / 'outbox.db')
    finished = Finished(tmp_path / 'outbox.db')
    outbox.put_end(event('b/done', 7), 7, 'digest', 'done')
    assert finished.refresh() == {'digest'}
    assert finished.refresh() == {'digest'}, 'telling them may have failed: a full disk'
    finished.told(frozenset({'digest'}))
    assert finished.refresh() == frozenset()
    assert finished.now() == {'digest'}
    outbox.close()


def test_a_thread_that_fails_for_days_is_begun_again_each_minute():
    assert [patience(failures) for failures in (1, 2, 5, 6, 5000)] == [2.0, 4.0, 32.0, 60.0, 60.0]


def test_a_thread_that_fails_is_reported_and_the_others_go_on(agent, world, stand_in):
    world.add_machine('srv-1', boot='local')
    with agent.running():
        eventually(lambda: agent.there())
    folder = agent.folder / 'run' / 'wake'
    folder.mkdir()  # nobody can listen there
    try:
        with agent.running():
            eventually(lambda: any('listener failed' in p['message'] for p in stand_in.heartbeats[-1]['problems']))
            world.add_machine('srv-2', boot='local')
            eventually(lambda: len(agent.there()) == 2)
    finally:
        folder.rmdir()


def test_it_serves_from_its_own_disk_without_netbox_and_says_so(agent, world, stand_in):
    world.add_machine('srv-1', boot='local')
    with agent.running():
        eventually(lambda: agent.there())
    (agent.folder / 'there.json').unlink()
    stand_in.fault = lambda handler, path: handler.give({'detail': 'down'}, 503) or True
    with agent.running():
        eventually(lambda: agent.there() == {'1': 'srv-1 local'})
        status = eventually(lambda: (s := agent.status()) and s.netbox.state == 'failing' and s)
    assert 'down' in status.netbox.message


def test_a_kill_at_any_moment_loses_no_message_and_delivers_none_twice(agent, world, stand_in):
    """Killed again and again while machines report and the state changes; then left in peace."""
    random.seed(20261121)
    machine = world.add_machine('srv-1', boot='local')
    put = []
    outbox = agent.outbox()
    for round_ in range(8):
        agent.start()
        if round_ == 0:
            eventually(lambda: agent.there())
        for number in range(40):
            key = f'{round_}.{number}'
            assert outbox.put(event(key, number % 3))
            put.append(key)
            if number % 8 == 0:
                wake.send(agent.folder / 'run', 'outbox')
        machine = world.change(machine, name=f'srv-{round_}')
        time.sleep(random.uniform(0.3, 1.2))  # any moment will do: it decides nothing but where the kill falls
        assert agent.end(signal.SIGKILL) == -9
        with State(agent.folder / 'state' / 'state.db').view() as view:
            assert view.count('machine') == 1
    with agent.running():
        eventually(lambda: len(stand_in.delivered) == len(put))
        eventually(lambda: agent.there() == {'1': 'srv-7 local'})
    assert [found['key'] for found in stand_in.delivered] == put


def test_two_sidecars_with_one_state_folder(agent, world):
    with agent.running():
        eventually(lambda: agent.status())
        with pytest.raises(AlreadyRunning, match=f'process {agent.process.pid}'):
            Lock(agent.folder / 'state')
    Lock(agent.folder / 'state').close()


def test_two_sidecars_with_one_boot_server_are_noticed_and_a_task_is_done_once(tmp_path, world, stand_in):
    world.add_machine('srv-1', boot='local')
    for number in range(20):
        world.add_task('fetch-image')
        stand_in.tasks.append({'id': number, 'kind': 'fetch-image', 'attempt': 1})
    pair = [Process(tmp_path / name, stand_in.url) for name in ('one', 'two')]
    for process in pair:
        process.folder.mkdir()
        process.start()
    try:
        eventually(lambda: len(stand_in.answers) == 20)
    finally:
        for process in pair:
            process.end()
    files = [process.folder / 'done' for process in pair]
    done = [line for file in files if file.exists() for line in file.read_text().split()]
    assert sorted(map(int, done)) == list(range(20))
    assert len({beat['instance'] for beat in stand_in.heartbeats}) == 2


def test_another_sidecar_of_the_same_boot_server_is_named(agent, world, stand_in):
    def fault(handler, path):
        if not path.endswith('/heartbeat/'):
            return False
        other = {'instance': 'boot-2-ab12', 'version': '0', 'last_heard': '2026-11-21T12:00:00+00:00'}
        handler.give({'boot_server': {}, 'time': '2026-11-21T12:00:00+00:00', 'other_instances': [other]})
        return True

    stand_in.fault = fault
    with agent.running():
        status = eventually(lambda: (s := agent.status()) and s.other_instances and s.problems and s)
    assert status.other_instances == ['boot-2-ab12']
    assert any('as this boot server too: boot-2-ab12.' in problem.message for problem in status.problems)


def test_a_heartbeat_that_netbox_refuses_is_seen_here(agent, world, stand_in):
    def fault(handler, path):
        return path.endswith('/heartbeat/') and (handler.give({'detail': 'Too many problems.'}, 400) or True)

    stand_in.fault = fault
    with agent.running():
        eventually(lambda: (s := agent.status()) and any('Too many problems' in p.message for p in s.problems))


def test_netbox_is_asked_to_call_back_and_the_secret_is_kept_from_others(agent, world, stand_in):
    with agent.running(hook='http://127.0.0.1:1/hook'):
        secret = agent.folder / 'state' / 'hook-secret'
        eventually(secret.exists)
        assert secret.read_text() == 'a-secret'
        assert secret.stat().st_mode & 0o777 == 0o600
        assert stand_in.webhooks == ['http://127.0.0.1:1/hook']
        eventually(lambda: (s := agent.status()) and s.netbox.webhook)
    assert agent.status().netbox.webhook == 'http://127.0.0.1:1/hook'
    assert 'a-secret' not in (agent.folder / 'log').read_text()


def test_a_wake_is_heard_long_before_the_poll(agent, world, stand_in, tmp_path):
    machine = world.add_machine('srv-1', boot='local')
    os.environ['SUBSTRUCT_TEST_POLL'] = '3600'
    try:
        with agent.running():
            eventually(lambda: agent.there())
            asked = len(stand_in.asked_after)
            world.change(machine, name='srv-one')
            wake.send(agent.folder / 'run', 'feed')
            eventually(lambda: agent.there() == {'1': 'srv-one local'})
            assert len(stand_in.asked_after) >= asked + 1
    finally:
        del os.environ['SUBSTRUCT_TEST_POLL']


def test_it_ends_when_asked_to_and_leaves_a_status(agent, world):
    agent.start()
    eventually(lambda: (s := agent.status()) and s.services)
    assert agent.end() == 0
    assert not (agent.folder / 'run' / 'wake').exists()
    assert msgspec.json.decode((agent.folder / 'run' / 'status.json').read_bytes())['boot_server'] == 'boot-ber'


def test_a_burst_of_wakes_is_a_few_reads(agent, world, stand_in):
    world.add_machine('srv-1', boot='local')
    os.environ['SUBSTRUCT_TEST_POLL'] = '3600'
    try:
        with agent.running():
            eventually(lambda: agent.there())
            asked = len(stand_in.asked_after)
            for _ in range(2000):
                wake.send(agent.folder / 'run', 'feed')
            world.add_machine('srv-2', boot='local')
            wake.send(agent.folder / 'run', 'feed')
            eventually(lambda: len(agent.there()) == 2)
            assert len(stand_in.asked_after) - asked < 100
    finally:
        del os.environ['SUBSTRUCT_TEST_POLL']
