"""A transfer under any sequence of acknowledgements, silence, refusals and full sockets: it sends nothing but blocks of
the file, never more than a window, not too often, and it ends."""

from substruct_sidecar.boot.tftp_transfer import FIRST_TRIES, LONGEST_TIMEOUT, Range, Terms, Transfer
from tests.fuzz import harness

# Terms and size, then steps of two bytes: what happens, and a number.
SEEDS = [
    bytes([3, 1, 10]) + bytes([0, 0] * 12),
    bytes([3, 4, 40]) + bytes([0, 0, 1, 2, 1, 2, 4, 9, 0, 0, 2, 0, 3, 200]),
    bytes([0, 8, 255]) + bytes([4, 255] * 20),
    bytes([1, 64, 90]) + bytes([0, 0, 5, 3, 6, 0, 0, 0, 3, 50, 1, 255]),
    bytes([2, 1, 0]) + bytes([0, 0, 6, 0]),
]


def check(data: bytes) -> None:
    if len(data) < 3:
        return
    options = bool(data[0] & 1)
    window = data[1] % 64 + 1 if options else 1
    size = data[2] << (data[0] >> 1 & 15)
    terms = Terms(
        512, window, min(data[0] >> 3, LONGEST_TIMEOUT) or None, (('windowsize', str(window)),) if options else ()
    )
    transfer = Transfer(size, terms)
    now, sent, answers = 1000.0, 0, 0

    def send(found: Range) -> None:
        nonlocal sent
        first, last = found
        if first > last:
            return
        assert transfer.state == 'open', 'nothing is sent after the end'
        assert max(0, transfer.acked + 1) == first
        assert last <= transfer.last == size // 512 + 1, 'never beyond the file'
        assert last - first < window, 'never more than a window'
        assert last == transfer.sent
        sent += last - first + 1

    send(transfer.begin(now))
    for kind, number in zip(data[3::2], data[4::2], strict=False):
        before = (transfer.acked, transfer.state)
        match kind % 7:
            case 0:
                send(transfer.acknowledged(transfer.sent & 0xFFFF, now))
            case 1:
                send(transfer.acknowledged(number | kind << 8, now))
            case 2:
                send(transfer.acknowledged((transfer.acked + number % (window + 2)) & 0xFFFF, now))
            case 3:
                now += number / 100
                send(transfer.overdue(now))
            case 4:
                now = max(now, transfer.deadline)
                send(transfer.overdue(now))
            case 5 if transfer.sent > max(0, transfer.acked):
                transfer.held_back(max(0, transfer.acked + 1) + number % (transfer.sent - max(0, transfer.acked)), now)
            case 6:
                transfer.refused()
        answers += transfer.acked != before[0]
        assert before[0] <= transfer.acked <= transfer.sent <= transfer.last
        assert before[1] == 'open' or (transfer.acked, transfer.state) == before, 'the end is the end'
        assert transfer.state != 'complete' or transfer.acked == transfer.last
        if transfer.state == 'open':
            assert transfer.deadline <= now + LONGEST_TIMEOUT, 'it is always looked at again'
        # Each window that was acknowledged allows the next, and each packet of the client at most one repetition.
        assert sent <= (answers + len(data)) * window + FIRST_TRIES
    # Silence ends it, in bounded time and with few packets.
    begun, at_begin = now, sent
    while transfer.state == 'open':
        now = max(now, transfer.deadline)
        send(transfer.overdue(now))
        assert now - begun <= 6 * LONGEST_TIMEOUT, 'silence ends it'
    assert sent - at_begin <= 40 * window


if __name__ == '__main__':
    harness.main(check, SEEDS, ['substruct_sidecar.boot.tftp_transfer'])
