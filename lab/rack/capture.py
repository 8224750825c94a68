"""Writes the packets on the machines' cables into a pcap file (pcap-savefile(5)), until it is told to stop.

    python -m lab.rack.capture <file that says when it is ready> <file>

What machines say to each other is there twice, once from each cable.  It does not listen on the bridge, because there
the kernel does not show all packets that machines send to this host.  Of a packet that carries a file, only the
beginning is kept: a kernel is not worth keeping twice.
"""

import contextlib
import os
import re
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from lab.files import write_atomically

WHOLE, BEGINNING = 65535, 1200
ETHERNET = 1
CABLE = re.compile(r't[0-9a-f]{12}')  # as `qemu.tap` calls them
_PORTS_OF_INTEREST = {53, 67, 68, 546, 547}


def header() -> bytes:
    return struct.pack('<IHHiIII', 0xA1B2C3D4, 2, 4, 0, 0, WHOLE, ETHERNET)


def record(frame: bytes, moment: float) -> bytes:
    kept = frame[: WHOLE if _is_small(frame) else BEGINNING]
    return struct.pack('<IIII', int(moment), int(moment % 1 * 1e6), len(kept), len(frame)) + kept


def _is_small(frame: bytes) -> bool:
    """Whether it is DHCP or DNS, of which every byte counts."""
    if frame[12:14] != b'\x08\x00' or frame[23:24] != b'\x11':
        return len(frame) <= BEGINNING
    at = 14 + (frame[14] & 0x0F) * 4
    return bool({int.from_bytes(frame[at : at + 2]), int.from_bytes(frame[at + 2 : at + 4])} & _PORTS_OF_INTEREST)


def main() -> None:
    ready, path = sys.argv[1:]
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda found, _frame: stopping.append(found))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as source, open(path, 'wb') as sink:
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        with contextlib.suppress(OSError):
            source.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE, for root
        source.settimeout(0.2)
        sink.write(header())
        sink.flush()
        write_atomically(Path(ready), f'{os.getpid()}\n')
        while not stopping:
            try:
                frame, about = source.recvfrom(WHOLE)
            except TimeoutError:
                sink.flush()
                continue
            if CABLE.fullmatch(about[0]):
                sink.write(record(frame, time.time()))


if __name__ == '__main__':
    main()
