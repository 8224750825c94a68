"""`substruct-sidecar run`: its processes serve without NetBox, are started again when they end, and end together."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from substruct_sidecar import supervisor
from substruct_sidecar.agent import Lock
from tests.sidecar.dns.servers import free_port
from tests.sidecar.waiting import eventually


class Run:
    """A sidecar whose NetBox is nowhere."""

    def __init__(self, folder):
        self.folder = folder
        self.http, self.tftp, self.manage = free_port(), free_port(), free_port()
        self.settings = folder / 'sidecar.toml'
        self.settings.write_text(
            f"""
[netbox]
url = "http://127.0.0.1:9"
boot_server = "boot-ber"
token = "0123456789abcdef0123456789abcdef01234567"
[paths]
state = "{folder}/state"
run = "{folder}/run"
[boot]
http = ["127.0.0.1:{self.http}"]
tftp = ["127.0.0.1:{self.tftp}"]
base_url = "http://127.0.0.1:{self.http}"
[manage]
listen = ["127.0.0.1:{self.manage}"]
"""
        )
        # As systemd would listen (sd_notify(3)).
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / 'notify'))
        self.notified.settimeout(30)
        self.process = None

    def start(self):
        command = [sys.executable, '-m', 'substruct_sidecar', '--config', str(self.settings), 'run']
        environment = {**os.environ, 'NOTIFY_SOCKET': str(self.folder / 'notify')}
        with (self.folder / 'log').open('ab') as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment)

    def serves(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f'http://127.0.0.1:{self.http}/boot.ipxe?mac=02:00:00:00:00:01', timeout=5) as answer:
                return answer.read().startswith(b'#!ipxe')
        except OSError:
            return False

    def children(self):
        """The processes by name."""
        found = {}
        for task in Path(f'/proc/{self.process.pid}/task').iterdir():
            for pid in (task / 'children').read_text().split():
                words = Path(f'/proc/{pid}/cmdline').read_text().split('\0')
                if 'process' in words:
                    found[words[words.index('process') + 1]] = int(pid)
        return found

    def end(self):
        self.notified.close()
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        return self.process.returncode


@pytest.fixture
def run(tmp_path):
    # The folder is short, for the path of a Unix socket has at most 107 characters.
    found = Run(tmp_path)
    yield found
    found.end()


def test_it_serves_without_netbox_and_tells_systemd(run):
    run.start()
    eventually(run.serves, 'machines are served')
    messages = set()
    while 'READY=1' not in messages:
        messages.add(run.notified.recv(100).decode())
    assert set(run.children()) == {'http', 'tftp', 'agent'}


def test_a_process_that_is_killed_is_started_again_and_the_others_go_on(run):
    run.start()
    before = eventually(lambda: len(found := run.children()) == 3 and found, 'all processes run')
    os.kill(before['agent'], signal.SIGKILL)
    after = eventually(
        lambda: len(found := run.children()) == 3 and found['agent'] != before['agent'] and found,
        'the agent runs again',
    )
    assert (after['http'], after['tftp']) == (before['http'], before['tftp'])
    os.kill(after['http'], signal.SIGKILL)
    eventually(lambda: run.children().get('http') not in (None, before['http']), 'http runs again')
    eventually(run.serves, 'machines are served again')


def test_a_command_that_has_the_state_takes_nobody_down(run):
    """As `apply` has it while it works, and the agent is started again in that time."""
    (run.folder / 'state').mkdir()
    lock = Lock(run.folder / 'state')
    try:
        run.start()
        eventually(run.serves, 'machines are served')
        eventually(lambda: 'Another sidecar' in (run.folder / 'log').read_text(), 'the agent is not started')
        assert run.process.poll() is None
    finally:
        lock.close()
    eventually(lambda: (run.folder / 'run' / 'status.json').exists(), 'the agent runs')


def test_its_processes_end_when_it_is_killed(run):
    run.start()
    eventually(run.serves, 'machines are served')
    children = eventually(lambda: len(found := run.children()) == 3 and found, 'all processes run')
    run.process.kill()
    run.process.wait()
    for pid in children.values():
        eventually(lambda pid=pid: not Path(f'/proc/{pid}').exists(), 'it ends')
    run.start()
    eventually(run.serves, 'machines are served again')


def test_a_process_that_cannot_be_started_is_tried_again(tmp_path):
    child = supervisor.Child('http', [str(tmp_path / 'nothing')])
    supervisor.look_after([child])
    assert (child.process, child.failures) == (None, 1)
    (tmp_path / 'nothing').write_text('#!/bin/sh\nexec sleep 60\n')
    (tmp_path / 'nothing').chmod(0o755)
    child.due = 0.0
    supervisor.look_after([child])
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def test_a_systemd_that_does_not_listen_holds_up_nothing(run, monkeypatch):
    monkeypatch.setenv('NOTIFY_SOCKET', str(run.folder / 'notify'))
    for _ in range(1000):  # more than its queue holds
        supervisor.notify('WATCHDOG=1')


def test_it_ends_with_all_its_processes(run):
    run.start()
    children = eventually(lambda: len(found := run.children()) == 3 and found, 'all processes run')
    eventually(run.serves, 'machines are served')
    assert run.end() == 0
    for pid in children.values():
        assert not Path(f'/proc/{pid}').exists()


def test_a_port_that_is_taken_is_said_once_and_not_tried_for_ever(run):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', run.http))
        taken.listen()
        run.start()
        assert run.process.wait(30) == 78
    said = (run.folder / 'log').read_text()
    assert f'127.0.0.1:{run.http} cannot be listened on' in said
    assert said.count('cannot be listened on') == 1


def test_settings_that_cannot_be_used_are_an_error_of_their_own(run):
    run.settings.write_text('[netbox]\n')
    run.start()
    assert run.process.wait(30) == 78
    assert 'netbox.url: is missing' in (run.folder / 'log').read_text()
