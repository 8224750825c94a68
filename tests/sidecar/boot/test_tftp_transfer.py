"""The state machine of a transfer, with a clock that only moves when told."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from substruct_sidecar.boot import tftp_transfer as machine
from substruct_sidecar.boot.tftp_packets import Request
from substruct_sidecar.boot.tftp_transfer import NOTHING, Terms, Transfer, negotiate


def asked(**options: object) -> Request:
    return Request(False, 'a', 'octet', tuple((name, str(value)) for name, value in options.items()))


# ------------------------------------------------------------------ terms


def test_without_options_nothing_is_acknowledged() -> None:
    assert negotiate(asked(), 1000, 1468) == Terms(512, 1, None, ())


def test_only_what_was_asked_is_acknowledged_in_the_clients_spelling() -> None:
    terms = negotiate(asked(TSIZE=0, blksize=1468, multicast=''), 99, 1468)
    assert terms.accepted == (('TSIZE', '99'), ('blksize', '1468'))


@pytest.mark.parametrize('value', ['abc', '-1', '', '7', '65465', '١٢', '1_000', ' 512', '9' * 5000, '1e3', '+9'])
def test_a_blksize_that_is_none_is_passed_over(value: str) -> None:
    assert negotiate(asked(blksize=value), 1, 1468) == Terms()


def test_blksize_is_clamped_to_what_travels_in_one_piece_but_never_below_the_default() -> None:
    assert negotiate(asked(blksize=65464), 1, 1468).blksize == 1468
    assert negotiate(asked(blksize=1024), 1, 300).blksize == 512
    assert negotiate(asked(blksize=8), 1, 1468).blksize == 8


def test_a_window_is_clamped_to_a_burst_that_buffers_hold() -> None:
    assert negotiate(asked(windowsize=4, blksize=1468), 1, 1468).windowsize == 4
    assert negotiate(asked(windowsize=65535), 1, 1468).windowsize == machine.LARGEST_WINDOW
    assert negotiate(asked(windowsize=64, blksize=65464), 1, 65464).windowsize == 2
    assert negotiate(asked(windowsize=0), 1, 1468).accepted == ()


def test_a_timeout_is_the_interval_of_repetition() -> None:
    terms = negotiate(asked(timeout=3), 1, 1468)
    assert terms.accepted == (('timeout', '3'),)
    transfer = Transfer(1, terms)
    transfer.begin(100.0)
    assert transfer.deadline == 103.0
    assert negotiate(asked(timeout=255), 1, 1468).accepted == ()


# ------------------------------------------------------------------ lock step


def test_a_file_of_whole_blocks_ends_with_an_empty_one() -> None:
    assert Transfer(1024, Terms()).last == 3
    assert Transfer(1023, Terms()).last == 2
    assert Transfer(0, Terms()).last == 1


def test_each_acknowledgement_draws_the_next_block_until_the_last() -> None:
    transfer = Transfer(1024, Terms())
    assert transfer.begin(0.0) == (1, 1)
    assert transfer.acknowledged(1, 0.0) == (2, 2)
    assert transfer.acknowledged(2, 0.0) == (3, 3)
    assert transfer.acknowledged(3, 0.0) == NOTHING
    assert transfer.state == 'complete'


def test_the_option_acknowledgement_is_acknowledged_as_block_0() -> None:
    transfer = Transfer(600, Terms(accepted=(('tsize', '600'),)))
    assert transfer.begin(0.0) == (0, 0)
    assert transfer.acknowledged(1, 0.0) == NOTHING
    assert transfer.acknowledged(0, 0.0) == (1, 1)


def test_a_repeated_acknowledgement_draws_nothing_and_the_clock_repeats_the_block() -> None:
    """RFC 1123 section 4.2.3.1: the sorcerer's apprentice."""
    transfer = Transfer(5000, Terms())
    transfer.begin(0.0)
    transfer.acknowledged(1, 0.0)
    assert transfer.acknowledged(1, 0.0) == NOTHING
    assert transfer.overdue(0.2) == NOTHING
    assert transfer.overdue(0.26) == (2, 2)
    assert transfer.acknowledged(2, 0.3) == (3, 3)
    assert transfer.acknowledged(2, 0.3) == NOTHING


def test_repetitions_come_later_and_later_and_end() -> None:
    transfer = Transfer(5000, Terms())
    transfer.begin(0.0)
    transfer.acknowledged(1, 0.0)
    now, waits = 0.0, []
    while transfer.state == 'open':
        waits.append(transfer.deadline - now)
        now = transfer.deadline
        transfer.overdue(now)
    assert waits[:5] == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert transfer.state == 'abandoned'
    assert machine.PATIENCE < now < machine.PATIENCE + 5


def test_who_never_acknowledged_anything_draws_few_packets() -> None:
    transfer = Transfer(5000, Terms(accepted=(('tsize', '5000'),)))
    transfer.begin(0.0)
    sent = 1
    while transfer.state == 'open':
        first, last = transfer.overdue(transfer.deadline)
        sent += last - first + 1
    assert sent == machine.FIRST_TRIES
    assert transfer.state == 'abandoned'


def test_when_only_the_last_acknowledgement_is_missing_the_client_has_what_it_wanted() -> None:
    transfer = Transfer(600, Terms())
    transfer.begin(0.0)
    assert transfer.acknowledged(1, 0.0) == (2, 2)
    while transfer.state == 'open':
        transfer.overdue(transfer.deadline)
    assert transfer.state == 'unconfirmed'


def test_block_numbers_go_on_at_0_after_65535() -> None:
    transfer = Transfer(8 * 200_000, Terms(blksize=8))
    first, last = transfer.begin(0.0)
    while transfer.state == 'open':
        assert first == last
        first, last = transfer.acknowledged(last & 0xFFFF, 0.0)
    assert (transfer.acked, transfer.state) == (200_001, 'complete')


def test_a_slow_way_is_waited_for() -> None:
    transfer = Transfer(512 * 1000, Terms())
    transfer.begin(0.0)
    now = 0.0
    for block in range(1, 60):
        now += 0.4
        if transfer.deadline <= now:
            transfer.overdue(transfer.deadline)
        transfer.acknowledged(block, now)
    assert transfer.resent < 20, 'else every block travels twice'


# ------------------------------------------------------------------ windows


def windowed(size: int = 512 * 100, window: int = 4) -> Transfer:
    transfer = Transfer(size, Terms(windowsize=window, accepted=(('windowsize', str(window)),)))
    transfer.begin(0.0)
    assert transfer.acknowledged(0, 0.0) == (1, window)
    return transfer


def test_a_whole_window_draws_the_next() -> None:
    assert windowed().acknowledged(4, 0.0) == (5, 8)


def test_a_partial_acknowledgement_is_answered_a_little_late_with_what_is_missing() -> None:
    transfer = windowed()
    assert transfer.acknowledged(2, 0.1) == NOTHING
    assert transfer.acknowledged(2, 0.101) == NOTHING
    assert transfer.deadline == pytest.approx(0.1 + machine.LATE)
    assert transfer.overdue(transfer.deadline) == (3, 6)


def test_acknowledgements_of_every_block_draw_no_repetition() -> None:
    transfer = windowed()
    for block in (1, 2, 3):
        assert transfer.acknowledged(block, 0.0) == NOTHING
    assert transfer.acknowledged(4, 0.0) == (5, 8)
    assert transfer.resent == 0
    assert transfer.deadline == pytest.approx(0.25)


def test_an_acknowledgement_that_is_repeated_for_ever_draws_less_and_less() -> None:
    transfer = windowed()
    transfer.acknowledged(4, 0.0)
    sent, now = 0, 0.0
    while now < 10.0 and transfer.state == 'open':
        now += 0.001
        transfer.acknowledged(4, now)
        first, last = transfer.overdue(now)
        sent += max(0, last - first + 1)
    assert sent < 4 * 15, 'ten thousand packets must not draw forty thousand'


def test_what_the_socket_did_not_take_follows_soon() -> None:
    transfer = windowed()
    assert transfer.acknowledged(4, 0.0) == (5, 8)
    transfer.held_back(7, 0.0)
    assert transfer.acknowledged(6, 0.001) == (7, 10)


def test_a_refusal_ends_only_what_was_never_heard_of_or_is_all_but_done() -> None:
    transfer = windowed()
    transfer.refused()
    assert transfer.state == 'open'
    silent = Transfer(1, Terms())
    silent.begin(0.0)
    silent.refused()
    assert silent.state == 'abandoned'


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 60_000), blksize=st.sampled_from([8, 512, 1468]), window=st.integers(1, 16),
    loss=st.floats(0, 0.4), seed=st.integers(0, 10**9),
)  # fmt: skip
def test_a_lossy_way_delivers_every_block_once_in_order_or_says_that_it_did_not(
    size: int, blksize: int, window: int, loss: float, seed: int
) -> None:
    """Against a client of RFC 7440 in the same clock, with loss and reordering in both directions."""
    chance = random.Random(seed)
    transfer = Transfer(size, Terms(blksize, window, None, (('blksize', str(blksize)),)))
    now, has, since_ack = 0.0, -1, 0
    to_client: list[int] = []
    to_server: list[int] = []

    def send(found: tuple[int, int]) -> None:
        first, last = found
        assert first > last or (transfer.acked < first and last <= transfer.last and last - first < window)
        to_client.extend(block for block in range(first, last + 1) if chance.random() >= loss)

    send(transfer.begin(now))
    for _ in range(200_000):
        if transfer.state != 'open':
            break
        if to_client:
            block = to_client.pop(chance.choice([0, 0, 0, -1]))
            if block == has + 1:
                has, since_ack = block, since_ack + 1
                if since_ack >= window or has in (0, transfer.last):
                    since_ack = 0
                    to_server.append(has)
            elif has >= 0:
                to_server.append(has)
        elif to_server:
            number = to_server.pop(0)
            if chance.random() >= loss:
                send(transfer.acknowledged(number & 0xFFFF, now))
        else:
            now = max(now, transfer.deadline)
            send(transfer.overdue(now))
    assert transfer.state != 'open'
    if transfer.state == 'complete':
        assert has == transfer.last == transfer.acked
