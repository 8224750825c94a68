"""NetBox stopped, slow, in trouble, half an answer, an empty one, a token with fewer permissions: the state stays."""

import hashlib
import socket
import time

import msgspec
import pytest

from substruct_sidecar import desired
from substruct_sidecar.assembly import Artifacts
from substruct_sidecar.feeding import Feeder
from substruct_sidecar.netbox import Denied, Incompatible, NetBox, NetBoxError, Trouble, Unreachable
from substruct_sidecar.plan import Limits
from substruct_sidecar.state import State
from substruct_sidecar.status import Board, Status

from .agent_under_test import settings
from .stand_in import standing_in
from .world import artifact


@pytest.fixture
def stand_in(world):
    with standing_in() as found:
        found.feed = lambda after: b'\n'.join(world.lines()) + b'\n'
        yield found


class Fed:
    """A feeder with a state of its own."""

    def __init__(self, folder, stand_in):
        folder.mkdir()
        self.folder = folder
        self.board = Board(Status(written=0, started=0, version='0', instance='i'))
        self.changes = 0
        self.feeder = Feeder(folder, self.state, self.board, Limits(), None, self._changed)
        self.netbox = NetBox(stand_in.settings)

    def state(self):
        return State(self.folder / 'state.db')

    def _changed(self):
        self.changes += 1

    def pull(self):
        self.feeder.pull(self.netbox)

    def names(self):
        with self.state().view() as view:
            return [machine.name for machine in view.machines()]


@pytest.fixture
def fed(tmp_path, stand_in, world):
    world.add_machine('srv-1', mac='02:00:00:00:00:01')
    fed = Fed(tmp_path / 'fed', stand_in)
    fed.pull()
    assert fed.names() == ['srv-1']
    return fed


def unharmed(fed, error, match=None):
    """The state is as it was, and it is said what was wrong; when the fault is over, all goes on."""
    before = fed.state().about()
    with pytest.raises(error, match=match):
        fed.pull()
    assert fed.names() == ['srv-1']
    assert fed.state().about() == before
    status = fed.board.now()
    assert status.netbox.state == 'failing'
    assert status.netbox.message
    assert [problem.service for problem in status.problems] == ['feed']
    return status


def recovered(fed, stand_in):
    stand_in.fault = None
    fed.netbox.forget()
    fed.pull()
    status = fed.board.now()
    assert (status.netbox.state, status.netbox.failing_since, status.problems) == ('ok', None, [])


def test_after_a_snapshot_changes_are_asked_for_with_its_cursor(fed, stand_in):
    fed.pull()
    assert stand_in.asked_after == ['', 'test.1']
    assert fed.changes == 1, 'nothing has changed the second time'


def test_netbox_that_is_stopped(fed, stand_in):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        settings = msgspec.structs.replace(stand_in.settings, url=f'http://127.0.0.1:{taken.getsockname()[1]}')
        fed.netbox, right = NetBox(settings), fed.netbox
        unharmed(fed, Unreachable, 'cannot be reached.*refused')
    fed.netbox = right
    recovered(fed, stand_in)


def test_netbox_that_takes_too_long(fed, stand_in):
    import threading

    release = threading.Event()
    stand_in.fault = lambda handler, path: release.wait(10) and False
    fed.netbox = NetBox(msgspec.structs.replace(stand_in.settings, timeout=0.2))
    unharmed(fed, Unreachable, 'in time')
    release.set()
    fed.netbox = NetBox(stand_in.settings)
    recovered(fed, stand_in)


@pytest.mark.parametrize('status', [500, 502, 503, 429])
def test_netbox_in_trouble(fed, stand_in, status):
    stand_in.fault = lambda handler, path: handler.give({'detail': 'It hurts'}, status) or True
    unharmed(fed, Trouble, 'It hurts')
    recovered(fed, stand_in)


def test_half_an_answer_that_says_how_long_it_should_be(fed, stand_in, world):
    def fault(handler, path):
        if not path.endswith('/feed/'):
            return False
        body = b'\n'.join(world.lines()) + b'\n'
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True
        return True

    stand_in.fault = fault
    unharmed(fed, Unreachable)
    recovered(fed, stand_in)


def test_half_an_answer_that_ends_well_formed(fed, stand_in, world):
    """A proxy that closes the connection at a line's end and says nothing of length."""
    world.add_machine('srv-2')
    stand_in.feed = lambda after: b'\n'.join(world.lines()[:2]) + b'\n'
    unharmed(fed, Trouble, 'broke off')


def test_half_a_line(fed, stand_in, world):
    stand_in.feed = lambda after: b'\n'.join(world.lines())[:-20]
    unharmed(fed, Trouble, 'cannot be read')


@pytest.mark.parametrize('body', [b'', b'{}', b'<html>Please log in</html>', b'[]\n', b'\xff\xfe\n', b'null\n'])
def test_an_answer_that_is_no_feed(fed, stand_in, body):
    stand_in.feed = lambda after: body
    unharmed(fed, Trouble, 'does not begin with a header')


def test_an_empty_snapshot_is_refused(fed, stand_in, world):
    for number in range(40):
        world.add_machine(f'more-{number}')
    fed.pull()
    world.clear()
    with pytest.raises(NetBoxError, match='would remove 41 of 41'):
        fed.pull()
    assert len(fed.names()) == 41
    message = fed.board.now().netbox.message
    shown = (fed.folder / 'refused-state.txt').read_text()
    assert '- machine 1' in shown and '- more-39' in shown, 'a person can see what would go'
    fingerprint = message.split('--accept ')[1].split(')')[0]
    fed.state().accept(fingerprint, 0)
    fed.pull()
    assert fed.names() == []
    assert not (fed.folder / 'refused-state.txt').exists()


@pytest.mark.parametrize('status', [401, 403])
def test_a_token_with_fewer_permissions(fed, stand_in, status):
    stand_in.fault = lambda handler, path: handler.give({'detail': 'You may not'}, status) or True
    unharmed(fed, Denied, 'You may not.*permissions')
    recovered(fed, stand_in)


def test_a_token_that_was_replaced_is_read_again(fed, stand_in, tmp_path):
    token = tmp_path / 'token'
    token.write_text('an old one')
    fed.netbox = NetBox(msgspec.structs.replace(stand_in.settings, token='', token_file=str(token)))
    unharmed(fed, Denied)
    token.unlink()
    fed.netbox.forget()
    unharmed(fed, Denied)
    token.write_text(stand_in.settings.token)
    recovered(fed, stand_in)


def test_a_boot_server_that_has_gone(fed, stand_in):
    fed.netbox = NetBox(msgspec.structs.replace(stand_in.settings, boot_server='another'))
    unharmed(fed, Denied, 'no boot server "another"')


def test_a_plugin_that_has_gone(fed, stand_in):
    stand_in.fault = lambda handler, path: handler.give({'detail': 'Not found'}, 404) or True
    fed.netbox.forget()
    unharmed(fed, Incompatible, 'netbox_substruct installed')


def test_a_plugin_of_another_protocol(fed, stand_in, world):
    lines = world.lines()
    lines[0] = lines[0].replace(b'"protocol":1', b'"protocol":2')
    stand_in.feed = lambda after: b'\n'.join(lines) + b'\n'
    unharmed(fed, Incompatible, 'protocol 2 and this sidecar .* protocol 1: upgrade')


def test_a_cursor_that_is_too_old_gives_a_snapshot(fed, stand_in, world):
    world.add_machine('srv-2')

    def fault(handler, path):
        if 'after=' in handler.path:
            handler.give({'detail': 'Too old', 'code': 'expired'}, 410)
            return True
        return False

    stand_in.fault = fault
    fed.pull()
    assert fed.names() == ['srv-1', 'srv-2']
    assert fed.board.now().netbox.snapshots == 2


def test_a_redirect_is_an_error_and_hands_the_token_to_nobody(fed, stand_in):
    def fault(handler, path):
        handler.send_response(302)
        handler.send_header('Location', 'http://127.0.0.2:1/')
        handler.send_header('Content-Length', '0')
        handler.end_headers()
        return True

    stand_in.fault = fault
    unharmed(fed, Denied, 'redirects')


def test_a_full_disk_while_reading(fed, stand_in, monkeypatch):
    def full(*_, **__):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(fed.netbox, 'feed', full)
    unharmed(fed, NetBoxError, 'No space left')
    monkeypatch.undo()
    recovered(fed, stand_in)


def test_a_full_disk_while_taking(fed, stand_in, world, monkeypatch):
    for number in range(200):
        world.add_machine(f'more-{number}')

    def full():
        state = State(fed.folder / 'state.db')
        (pages,) = state._connection.execute('PRAGMA page_count').fetchone()
        state._connection.execute(f'PRAGMA max_page_count = {pages}')
        return state

    monkeypatch.setattr(fed.feeder, '_state', full)
    unharmed(fed, NetBoxError, 'is full')
    monkeypatch.undo()
    recovered(fed, stand_in)
    assert len(fed.names()) == 201


def test_artifacts_that_cannot_be_kept_keep_no_change_from_the_services(fed, stand_in, world, monkeypatch):
    def prepare(netbox, state):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(fed.feeder, '_prepare', prepare)
    world.add_machine('srv-2')
    fed.pull()
    assert (fed.names(), fed.changes) == (['srv-1', 'srv-2'], 2)
    assert ['No space left' in problem.message for problem in fed.board.now().problems] == [True]
    monkeypatch.undo()
    fed.pull()
    assert fed.board.now().netbox.state == 'ok'


def test_services_do_not_wait_until_artifacts_are_here(fed, stand_in, world, monkeypatch):
    told = []
    monkeypatch.setattr(fed.feeder, '_changed', lambda: told.append('services'))
    monkeypatch.setattr(fed.feeder, '_prepare', lambda netbox, state: told.append('artifacts') or [])
    world.add_machine('srv-2')
    fed.pull()
    assert told == ['services', 'artifacts']


def test_netbox_that_goes_away_between_artifacts_is_not_asked_for_all_of_them(tmp_path, world, stand_in):
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5)]
    machine = world.add_machine('srv-1')
    artifacts = [artifact(number, 'ipxe', 'x', digest) for number, digest in enumerate(digests)]
    world.change(machine, build=world.build(machine, artifacts=artifacts))
    world.sync()
    asked = []

    def fault(handler, path):
        asked.append(path)
        handler.close_connection = True
        return True

    netbox = NetBox(stand_in.settings)
    netbox.boot_server()
    stand_in.fault = fault
    problems = Artifacts(settings(tmp_path, stand_in.url))(netbox, world.state)
    assert len(asked) == len(problems) == 1
    stand_in.fault = None
    stand_in.artifacts = {number: str(number).encode() for number in range(5)}
    assert Artifacts(settings(tmp_path, stand_in.url))(netbox, world.state) == []


def test_a_boot_server_that_was_made_anew_without_its_prefixes_empties_nothing(tmp_path, stand_in, world):
    """It has its name again and another number; nobody has said what it serves."""
    world.boot_server = msgspec.structs.replace(world.boot_server, id=4)
    for number in range(40):
        world.add_machine(f'srv-{number}')
    fed = Fed(tmp_path / 'fed', stand_in)
    fed.pull()
    world.boot_server = msgspec.structs.replace(world.boot_server, id=5)
    world.clear()
    with pytest.raises(NetBoxError, match='would remove 40 of 40'):
        fed.pull()
    assert len(fed.names()) == 40


def test_another_boot_server_has_other_machines(tmp_path, stand_in, world):
    world.boot_server = msgspec.structs.replace(world.boot_server, id=4, name='another')
    for number in range(40):
        world.add_machine(f'srv-{number}')
    fed = Fed(tmp_path / 'fed', stand_in)
    fed.pull()
    world.boot_server = msgspec.structs.replace(world.boot_server, id=5, name='boot-ber')
    world.clear()
    fed.pull()
    assert fed.names() == []


def test_fields_of_a_newer_plugin_are_passed_over_and_unknown_kinds_are_not(fed, stand_in, world):
    lines = world.lines()
    lines[1] = lines[1].replace(b'"kind":"machine"', b'"kind":"machine","of_tomorrow":{"a":1}')
    stand_in.feed = lambda after: b'\n'.join(lines) + b'\n'
    fed.pull()
    assert fed.names() == ['srv-1']
    lines[1] = b'{"kind":"quota","id":1}'
    unharmed(fed, Trouble, 'cannot be read')


def test_the_clock_may_jump(fed, monkeypatch):
    """No decision is made on the wall clock: only ages are shown with it."""
    monkeypatch.setattr(time, 'time', lambda: 0.0)
    fed.pull()
    monkeypatch.setattr(time, 'time', lambda: 4e9)
    fed.pull()
    assert fed.names() == ['srv-1']


def test_the_end_says_how_many_lines_there_were(fed, stand_in, world):
    lines = world.lines()
    lines[-1] = msgspec.json.encode(desired.End(lines=9))
    stand_in.feed = lambda after: b'\n'.join(lines) + b'\n'
    unharmed(fed, Trouble, 'holds 9 lines, but 1 came')
