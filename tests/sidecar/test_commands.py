"""`check`, `plan`, `apply`, `status` and `show`: what they say, and what they leave alone."""

import json
import sqlite3
import time

import msgspec
import pytest

from substruct_sidecar import cli, commands, showing
from substruct_sidecar import status as board
from substruct_sidecar.agent import Lock
from substruct_sidecar.checking import findings
from substruct_sidecar.outbox import Outbox
from substruct_sidecar.settings import Boot, Dns, Zonefile
from substruct_sidecar.state import State
from substruct_sidecar.status import Board, Planned, Status
from substruct_sidecar.wake import Listener

from . import agent_under_test

CLASSLESS = '0-63.2.0.192.in-addr.arpa'


@pytest.fixture
def settings(tmp_path):
    """Of a sidecar that keeps zone files, and whose NetBox is nowhere."""
    zones = tmp_path / 'zones'
    zones.mkdir()
    return msgspec.structs.replace(
        agent_under_test.settings(tmp_path, 'http://127.0.0.1:9'),
        dns=Dns(enabled=True, zonefile=Zonefile(directory=str(zones), check=[])),
        boot=Boot(http=[], tftp=[]),
    )


@pytest.fixture
def known(settings, world):
    """Puts what the world holds where the sidecar has its state."""

    def put():
        settings.state_folder.mkdir(exist_ok=True)
        world.sync()
        State(settings.state_folder / 'state.db').close()
        target = sqlite3.connect(settings.state_folder / 'state.db')
        with sqlite3.connect(world.state.path) as source:
            source.backup(target)
        source.close()
        target.close()

    return put


def zone_with(world, count):
    zone = world.add_zone('example.com', update_method='zonefile', name_servers=['ns1.example.net'])
    for number in range(count):
        world.add_record(f'srv-{number}.example.com', address=f'192.0.2.{number}', forward_zone=zone.id)
    return zone


def test_check_makes_nothing_that_the_sidecar_could_not_use_later(settings):
    settings.state_folder.mkdir()
    said = [found.message for found in findings(settings)]
    assert any('no desired state' in message for message in said)
    assert not list(settings.state_folder.iterdir())


def test_check_tells_the_zone_around_a_classless_one_what_it_must_hold(settings, world, known):
    world.add_zone(CLASSLESS, update_method='zonefile', name_servers=['ns1.example.net'])
    known()
    said = ' '.join(found.message for found in findings(settings))
    assert f'$GENERATE 0-63 $.2.0.192.in-addr.arpa. CNAME $.{CLASSLESS}.' in said


def test_check_says_who_may_read_the_tokens(settings, world, known):
    known()
    assert not any('can read the tokens' in found.message for found in findings(settings))
    settings.state_folder.chmod(0o755)
    (settings.state_folder / 'state.db').chmod(0o644)
    assert any('can read the tokens' in found.message for found in findings(settings))


def test_whether_a_sidecar_runs_can_be_seen_without_touching_its_lock(settings):
    assert not Lock.is_held(settings.state_folder)
    assert not settings.state_folder.exists()
    lock = Lock(settings.state_folder)
    before = (settings.state_folder / 'lock').read_text()
    assert Lock.is_held(settings.state_folder)
    lock.close()
    assert not Lock.is_held(settings.state_folder)
    assert (settings.state_folder / 'lock').read_text() == before


def test_plan_shows_and_apply_does_and_a_plan_that_takes_too_much_needs_a_word(settings, world, known, capsys):
    zone_with(world, 30)
    known()
    assert commands.plan(settings, ['dns'], everything=False) == 0
    assert '+ srv-7.example.com. A' in capsys.readouterr().out
    assert commands.apply(settings, ['dns'], None) == 0
    assert 'done' in capsys.readouterr().out
    for key in [key for key in world.objects if key[0] == 'record']:
        del world.objects[key]
    known()
    assert commands.apply(settings, ['dns'], None) == 1
    said = capsys.readouterr().out
    assert 'would remove 30 of 31' in said
    assert commands.apply(settings, ['dns'], said.split('--accept ')[1].split(')')[0]) == 0
    assert 'srv-7' not in (settings.state_folder.parent / 'zones' / 'example.com.zone').read_text()


def test_names_reach_the_terminal_as_text(settings, world, known, capsys):
    world.add_machine('srv-\x1b[2J\u202e1', mac='02:00:00:00:00:01')
    known()
    assert showing.show(settings, '02:00:00:00:00:01', as_json=False) == 0
    said = capsys.readouterr().out
    assert '\x1b' not in said and '\u202e' not in said and 'srv-' in said


@pytest.mark.parametrize('wanted', ['10.0.0.5', '2001:DB8:0::5', '02-00-00-00-00-01', 'SRV-1', '1'])
def test_a_machine_is_found_by_whatever_people_know_of_it(settings, world, known, capsys, wanted):
    addresses = [world.address('10.0.0.5/24', vrf='blue'), world.address('2001:db8::5/64')]
    interface = msgspec.structs.replace(world.interface(mac='02:00:00:00:00:01'), addresses=addresses)
    world.add_machine('srv-1', interfaces=[interface])
    known()
    assert showing.show(settings, wanted, as_json=False) == 0
    assert capsys.readouterr().out.startswith('srv-1 ')


def test_apply_waits_until_the_running_sidecar_is_done(settings, world, known, capsys, monkeypatch):
    known_states = [
        {'last_plan': time.time() + 60, 'applying': True, 'state': 'degraded', 'planned': Planned(add=5)},
        {'last_plan': time.time() + 60, 'applying': True, 'state': 'degraded', 'planned': Planned(add=5)},
        {'last_plan': time.time() + 60, 'applying': False, 'state': 'ok', 'planned': Planned()},
    ]
    zone_with(world, 1)
    known()
    settings.run_folder.mkdir()
    found = Board(Status(written=time.time(), started=0, version='0', instance='i'))

    def read(folder):
        found.service('dns', 'zonefile', **(known_states.pop(0) if len(known_states) > 1 else known_states[0]))
        return found.now()

    monkeypatch.setattr(board, 'read', read)
    lock, listener = Lock(settings.state_folder), Listener(settings.run_folder)
    try:
        assert commands.apply(settings, ['dns'], None) == 0
        assert listener.wait(0.1) == {'services'}
    finally:
        lock.close()
        listener.close()
    assert 'dns          zonefile: ok' in capsys.readouterr().out


def test_status_of_a_sidecar_that_no_longer_runs_says_so(settings, capsys):
    settings.run_folder.mkdir()
    assert commands.status(settings, as_json=False) == 1
    assert 'No sidecar has run here' in capsys.readouterr().out
    old = Board(Status(written=0, started=0, version='0', instance='i'))
    old.write(settings.run_folder)
    found = json.loads((settings.run_folder / 'status.json').read_text())
    (settings.run_folder / 'status.json').write_text(json.dumps({**found, 'written': time.time() - 600}))
    assert commands.status(settings, as_json=False) == 1
    assert 'The agent does not run' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('spoil', 'says'),
    [
        (lambda path: sqlite3.connect(path).execute('PRAGMA user_version = 99'), 'written by a newer sidecar'),
        (lambda path: path.write_bytes(b'x' * 5000), 'cannot be used'),
    ],
)
def test_a_state_that_cannot_be_used_is_explained_in_a_line(settings, world, known, capsys, monkeypatch, spoil, says):
    known()
    Outbox(settings.state_folder / 'outbox.db').close()
    spoil(settings.state_folder / 'state.db')
    monkeypatch.setattr(cli, 'load', lambda path: settings)
    monkeypatch.setattr(cli.log, 'configure', lambda *_: None)
    assert cli.main(['show', 'srv-1']) == 1
    said = capsys.readouterr().err
    assert says in said and 'Traceback' not in said
