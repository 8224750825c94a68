"""The lab, for real: it comes up, says where to look, survives being killed, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import netbox
from lab.places import Places
from lab.postgresql import Cluster
from lab.progress import Progress
from lab.stack import Lab

from .conftest import TREE, CommandLine

# One lab for the whole module, built up and taken down in the order of the tests.

CODE = netbox.code()


@pytest.fixture(scope='module')
def lab(reachable_folder: Path) -> Iterator[CommandLine]:
    command = CommandLine(reachable_folder / 'run')
    try:
        yield command
    finally:
        command('reset')


def state(lab: CommandLine) -> dict:
    return json.loads(lab('status', '--json', code=None))


def processes(lab: CommandLine) -> list[int]:
    """Every process that works in the run folder, whoever started it; found without the lab's own bookkeeping."""
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / 'cmdline').read_bytes() + (entry / 'environ').read_bytes()
                text += os.readlink(entry / 'cwd').encode()
            except OSError:
                continue
            ours = str(lab.run).encode() in text and b'bin/lab' not in text and b'-m\0lab\0' not in text
            if ours and 'State:\tZ' not in (entry / 'status').read_text():
                found.append(int(entry.name))
    return found


def get(url: str, token: str = '') -> tuple[int, str]:
    request = urllib.request.Request(url, headers={'Authorization': f'Bearer {token}'} if token else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_before_up_there_is_nothing(lab: CommandLine) -> None:
    assert 'There is no lab' in lab('status', code=3)
    assert 'bin/lab up' in lab('manage', 'check', code=1)


def test_up_prints_where_to_look_and_what_it_prints_works(lab: CommandLine) -> None:
    output = lab('up')
    url = re.search(r'NetBox +(http\S+)', output)[1]
    token = re.search(r'Bearer (nbt_\w+\.\w+)', output)[1]
    code, page = get(f'{url}login/')
    assert (code, 'csrfmiddlewaretoken' in page) == (200, True)
    for path in re.findall(r'(?:href|src)="(/static/[^"?]+\.(?:css|js))', page):
        assert get(url.rstrip('/') + path)[0] == 200, path
    code, answer = get(f'{url}api/status/', token)
    assert code == 200
    assert 'netbox_substruct' in json.loads(answer)['plugins']
    assert get(f'{url}api/status/')[0] == 403


def test_secrets_are_for_the_owner_alone(lab: CommandLine) -> None:
    for name in ('accounts.json', 'settings.json'):
        assert stat.S_IMODE((lab.run / name).stat().st_mode) == 0o600
    assert (lab.run.stat().st_mode & 0o077) in (0, 0o011)


def test_the_administrator_can_sign_in(lab: CommandLine) -> None:
    accounts = json.loads((lab.run / 'accounts.json').read_text())
    url = state(lab)['url']
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
    form = opener.open(f'{url}login/', timeout=30).read().decode()
    fields = {
        'csrfmiddlewaretoken': re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1],
        'username': accounts['username'],
        'password': accounts['password'],
    }
    body = urllib.parse.urlencode(fields).encode()
    opener.open(urllib.request.Request(f'{url}login/', body, {'Referer': url}), timeout=60)
    assert opener.open(f'{url}user/api-tokens/', timeout=30).url.endswith('/user/api-tokens/')


def test_no_port_but_that_of_the_web_server_is_open(lab: CommandLine) -> None:
    inodes = {
        os.readlink(descriptor)[8:-1]
        for pid in processes(lab)
        for descriptor in Path(f'/proc/{pid}/fd').iterdir()
        if os.readlink(descriptor).startswith('socket:')
    }
    ports = set()
    for table in ('tcp', 'tcp6'):
        for line in Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == '0A' and fields[9] in inodes:  # listening
                ports.add(int(fields[1].split(':')[1], 16))
    assert ports == {int((lab.run / 'port').read_text())}


def test_a_second_up_changes_nothing(lab: CommandLine) -> None:
    if netbox.code() != CODE:
        pytest.skip('the plugin was edited since the lab came up, so it is rightly restarted')
    before = state(lab)
    lab('up')
    assert state(lab) == before


def test_up_repairs_what_a_kill_of_everything_left(lab: CommandLine) -> None:
    """One process stays, without a record: as after a kill between its start and the writing of its record."""
    cluster = Cluster(Places(lab.run))
    cluster.query('CREATE TABLE kept ()', database='netbox')
    left = state(lab)['services']['web']['pid']
    (lab.run / 'services/web.json').unlink()
    for pid in processes(lab):
        if pid != left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert not state(lab)['up']
    said = lab('up')
    assert state(lab)['up']
    assert not Path(f'/proc/{left}').exists()
    assert cluster.query("SELECT to_regclass('kept')::text", database='netbox') == [('kept',)], said


def test_a_reused_process_id_is_left_alone(lab: CommandLine) -> None:
    """The record names a process that is not the one it was written for."""
    lab('down')
    stranger = subprocess.Popen(['sleep', '60'])
    try:
        record = {
            'identity': {
                'pid': stranger.pid,
                'started': 1,
                'boot': Path('/proc/sys/kernel/random/boot_id').read_text(),
            },
            'fingerprint': '',
            'command': [],
        }
        (lab.run / 'services/redis.json').write_text(json.dumps(record))
        lab('down')
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_down_leaves_no_process(lab: CommandLine) -> None:
    assert processes(lab) == []


def test_a_broken_database_is_set_aside_and_the_lab_begins_again(lab: CommandLine) -> None:
    (lab.run / 'postgresql/global/pg_control').write_bytes(b'not what PostgreSQL expects')
    said: list[str] = []
    there = Lab(Places(lab.run), Progress(said.append))
    there.storage()
    assert 'begins again' in ''.join(said)
    assert there.cluster.query('SELECT count(*) FROM dcim_site', database='netbox') == [(0,)]
    assert there.cluster.query("SELECT to_regclass('kept')::text", database='netbox') == [(None,)]


def test_up_after_kills_in_the_middle_of_it_and_with_its_port_taken(lab: CommandLine) -> None:
    port = int((lab.run / 'port').read_text())
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(('127.0.0.1', port))
        taken.listen()
        for moment in (0.6, 1.2, 3.0):
            up = subprocess.Popen(
                [TREE / 'bin/lab', 'up'],
                env={**os.environ, 'SUBSTRUCT_RUN': str(lab.run)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(moment)
            up.kill()
            up.wait()
        output = lab('up')
    assert f'port {port} is in use' in output
    assert int((lab.run / 'port').read_text()) != port
    assert state(lab)['up']


def test_reset_leaves_nothing(lab: CommandLine) -> None:
    lab('reset')
    assert not lab.run.exists()
    assert processes(lab) == []
