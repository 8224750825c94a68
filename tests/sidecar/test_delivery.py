"""Delivery to NetBox: in order, once; what NetBox refuses, fails at or hangs over holds up nothing else."""

import threading
import time
import tracemalloc

import msgspec
import pytest

from substruct_sidecar.delivery import Deliverer
from substruct_sidecar.netbox import NetBox, Rejected, Trouble, Unreachable
from substruct_sidecar.outbox import Message, Outbox
from substruct_sidecar.status import Board, Status

from .stand_in import standing_in


@pytest.fixture
def outbox(tmp_path):
    outbox = Outbox(tmp_path / 'outbox.db')
    yield outbox
    outbox.close()


@pytest.fixture
def stand_in():
    with standing_in() as found:
        yield found


@pytest.fixture
def board():
    return Board(Status(written=0, started=0, version='0', instance='i'))


def event(key, build=7, **values):
    return Message(key=key, type='event', time=1.0, build=build, kind='progress', **values)


def keys(outbox):
    return [found.message.key for found in outbox.waiting()]


def test_messages_reach_netbox_in_order_and_leave_the_outbox(outbox, stand_in, board):
    for number in range(500):
        outbox.put(event(f'{number:04}'))
    deliverer, netbox = Deliverer(board), NetBox(stand_in.settings)
    while deliverer.step(outbox, netbox):
        pass
    assert [message['key'] for message in stand_in.delivered] == [f'{number:04}' for number in range(500)]
    assert keys(outbox) == []
    assert board.now().outbox.delivered == 500


def test_an_answer_that_is_lost_delivers_nothing_twice(outbox, stand_in, board):
    """NetBox has taken the messages, but its answer does not arrive."""
    outbox.put(event('a'))
    lost = []

    def fault(handler, path):
        if path.endswith('/deliver/') and not lost:
            lost.append(True)
            stand_in._take({'key': 'a'})
            handler.close_connection = True
            return True
        return False

    stand_in.fault = fault
    deliverer, netbox = Deliverer(board), NetBox(stand_in.settings)
    with pytest.raises(Unreachable):
        deliverer.step(outbox, netbox)
    assert keys(outbox) == ['a']
    deliverer.step(outbox, netbox)
    assert len(stand_in.delivered) == 1
    assert keys(outbox) == []


def test_a_refused_message_is_set_aside_and_the_others_go_on(outbox, stand_in, board):
    for key in ('a', 'b', 'c'):
        outbox.put(event(key))
    stand_in.refuse = {'b'}
    Deliverer(board).step(outbox, NetBox(stand_in.settings))
    assert [message['key'] for message in stand_in.delivered] == ['a', 'c']
    assert outbox.refusals() == [('b', 'unknown_build', 'No such build.')]
    assert outbox.depth().refused == 1


def test_a_message_at_which_netbox_fails_holds_up_only_its_own_build(outbox, stand_in, board):
    for key, build in (('a1', 1), ('bad', 2), ('a2', 1), ('after bad', 2), ('c', 3)):
        outbox.put(event(key, build))

    def fault(handler, path):
        if not path.endswith('/deliver/'):
            return False
        if b'bad' in handler.body_seen:
            handler.give({'detail': 'boom'}, 500)
            return True
        return False

    _see_bodies(stand_in, fault)
    Deliverer(board).step(outbox, NetBox(stand_in.settings))
    assert [message['key'] for message in stand_in.delivered] == ['a1', 'a2', 'c']
    assert keys(outbox) == ['bad', 'after bad'], 'in their order'
    assert 'NetBox fails at bad' in board.now().outbox.message


def test_a_message_over_which_netbox_hangs_holds_up_only_its_own_build_and_less_and_less(outbox, stand_in, board):
    let_go, asked = threading.Event(), []

    def fault(handler, path):
        if path.endswith('/deliver/') and b'"bad"' in handler.body_seen:
            asked.append(path)
            let_go.wait(20)
            handler.close_connection = True
            return True
        return False

    _see_bodies(stand_in, fault)
    netbox = NetBox(msgspec.structs.replace(stand_in.settings, timeout=0.5))
    deliverer = Deliverer(board)
    try:
        for key, build in (('a1', 1), ('bad', 2), ('a2', 1), ('after bad', 2), ('c', 3)):
            outbox.put(event(key, build))
        assert deliverer.step(outbox, netbox)
        assert [message['key'] for message in stand_in.delivered] == ['a1', 'a2', 'c']
        assert keys(outbox) == ['bad', 'after bad'], 'in their order'
        assert 'NetBox fails at bad: NetBox does not answer in time' in board.now().outbox.message
        waits = []
        for number in range(3):
            outbox.put(event(f'd{number}', 4))
            ((until, _),) = deliverer._later.values()
            waits.append(until - time.monotonic())
            deliverer._later.clear()  # as after that while
            asked.clear()
            assert deliverer.step(outbox, netbox)
            assert stand_in.delivered[-1]['key'] == f'd{number}', 'what is new goes with nobody who hangs'
            assert len(asked) == 1
        assert waits[0] < waits[1] < waits[2]
    finally:
        let_go.set()
    stand_in.answer = type(stand_in).answer.__get__(stand_in)
    deliverer._later.clear()
    while deliverer.step(outbox, netbox):
        pass
    assert [message['key'] for message in stand_in.delivered][-2:] == ['bad', 'after bad']
    assert not deliverer._failures


def test_a_netbox_that_hangs_altogether_is_not_asked_for_every_message(outbox, stand_in, board):
    outbox.put_all(event(f'{number}', number) for number in range(100))
    let_go, asked = threading.Event(), []

    def fault(handler, path):
        if path.endswith('/deliver/'):
            asked.append(path)
            let_go.wait(20)
            handler.close_connection = True
            return True
        return False

    stand_in.fault = fault
    try:
        with pytest.raises(Unreachable):
            Deliverer(board).step(outbox, NetBox(msgspec.structs.replace(stand_in.settings, timeout=0.2)))
    finally:
        let_go.set()
    assert len(asked) == 4


def test_what_waits_is_not_read_into_memory_as_a_whole(outbox, board):
    outbox.put_all(event(f'{number}', number, log='x' * 1_000_000) for number in range(60))
    tracemalloc.start()
    try:
        found, _ = Deliverer(board)._next(outbox)
        assert len(found) == 1
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def deliver_all(outbox, stand_in, board):
    deliverer, netbox = Deliverer(board), NetBox(stand_in.settings)
    for _ in range(20):
        try:
            if not deliverer.step(outbox, netbox):
                break
        except Trouble:
            continue
    return deliverer


def test_what_waits_behind_messages_at_which_netbox_fails_is_delivered_however_much_they_are(outbox, stand_in, board):
    outbox.put_all(event(f'bad {build} {number}', build) for build in range(5) for number in range(100))
    outbox.put(event('good', 9))

    def fault(handler, path):
        if path.endswith('/deliver/') and b'"bad ' in handler.body_seen:
            handler.give({'detail': 'boom'}, 500)
            return True
        return False

    _see_bodies(stand_in, fault)
    deliverer = deliver_all(outbox, stand_in, board)
    assert [message['key'] for message in stand_in.delivered] == ['good']
    assert len(outbox.waiting(1000)) == 500
    stand_in.answer = type(stand_in).answer.__get__(stand_in)
    deliverer._later.clear()  # as after a while
    while deliverer.step(outbox, NetBox(stand_in.settings)):
        pass
    assert len(stand_in.delivered) == 501


def test_facts_of_an_unknown_machine_at_which_netbox_fails_hold_up_no_other_machine(outbox, stand_in, board):
    for mac in ('02:00:00:00:00:01', '02:00:00:00:00:02'):
        for number in (1, 2):
            outbox.put(Message(key=f'{mac}/{number}', type='facts', time=1.0, identity={'macs': [mac]}))

    def fault(handler, path):
        if path.endswith('/deliver/') and b'02:00:00:00:00:01/1' in handler.body_seen:
            handler.give({'detail': 'boom'}, 500)
            return True
        return False

    _see_bodies(stand_in, fault)
    deliver_all(outbox, stand_in, board)
    assert [message['key'][-4:] for message in stand_in.delivered] == ['02/1', '02/2']
    assert keys(outbox) == ['02:00:00:00:00:01/1', '02:00:00:00:00:01/2']


def test_messages_that_are_more_than_netbox_takes_at_once_go_in_several_requests(outbox, stand_in, board):
    outbox.put_all(event(f'{number}', number, log='x' * 300_000) for number in range(9))
    sizes = []

    def fault(handler, path):
        sizes.append(len(handler.body_seen))
        return False

    _see_bodies(stand_in, fault)
    deliver_all(outbox, stand_in, board)
    assert len(stand_in.delivered) == 9
    assert max(sizes) < 2_621_440, 'DATA_UPLOAD_MAX_MEMORY_SIZE'


def test_a_netbox_in_trouble_is_not_asked_for_every_message(outbox, stand_in, board):
    outbox.put_all(event(f'{number}', number) for number in range(100))
    asked = []

    def fault(handler, path):
        if path.endswith('/deliver/'):
            asked.append(path)
            handler.give({'detail': 'down'}, 503)
            return True
        return False

    stand_in.fault = fault
    with pytest.raises(Trouble):
        Deliverer(board).step(outbox, NetBox(stand_in.settings))
    assert len(asked) == 4


def test_a_batch_that_is_no_request_is_sent_one_by_one(outbox, stand_in, board):
    for key in ('a', 'bad', 'c'):
        outbox.put(event(key))

    def fault(handler, path):
        if path.endswith('/deliver/') and b'"bad"' in handler.body_seen:
            handler.give({'detail': 'That is no message.', 'code': 'invalid'}, 400)
            return True
        return False

    _see_bodies(stand_in, fault)
    Deliverer(board).step(outbox, NetBox(stand_in.settings))
    assert [message['key'] for message in stand_in.delivered] == ['a', 'c']
    assert [refusal[:2] for refusal in outbox.refusals()] == [('bad', 'invalid')]


def _see_bodies(stand_in, fault):
    """Give the fault the body too: it is read from the connection before, so it is looked up where it was put."""
    import json

    original = stand_in.answer

    def answer(handler, method, path, query, body):
        handler.body_seen = json.dumps(body).encode()
        if not fault(handler, path):
            original(handler, method, path, query, body)

    stand_in.answer = answer


def test_errors_of_netbox_are_told_apart(stand_in):
    netbox = NetBox(stand_in.settings)
    netbox.boot_server()
    stand_in.fault = lambda handler, path: handler.give({'detail': 'no', 'code': 'x'}, 409) or True
    with pytest.raises(Rejected) as rejected:
        netbox.deliver([])
    assert (rejected.value.code, rejected.value.status) == ('x', 409)
