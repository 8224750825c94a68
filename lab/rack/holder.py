"""The process that keeps the rack's network namespace.  While it lives, others can get in (`namespace`).

    python -m lab.rack.holder <file that says when it is ready> [--user] [--owner <pid> <start>]

The namespace has no name anywhere: it is gone with its last process.  With `--user` it is in a user namespace of its
own, for those who are not root.  With `--owner`, everything in the namespace ends when that process does.

It also answers IPv6 router solicitations, by saying that there is no router: iPXE waits for one for 13 seconds.
"""

import argparse
import contextlib
import ctypes
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from lab.files import write_atomically
from lab.processes import Identity

NETWORK, SERVER, PREFIX = '172.30.0.0/24', '172.30.0.1', 24
BRIDGE, DARK = 'br0', 'br1'
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# A bridge has a carrier only while a port has one, and Kea does not listen without: one port is always there.
LINKS = f"""\
link set lo up
link add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0
link add {DARK} type bridge forward_delay 0 mcast_snooping 0
link add keep0 type veth peer name keep1
link set keep0 master {BRIDGE} up
link set keep1 up
link set {BRIDGE} up
link set {DARK} up
address add {SERVER}/{PREFIX} brd + dev {BRIDGE}
"""


def unshare(user: bool) -> None:
    """This process into namespaces of its own.  Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWNET | (_CLONE_NEWUSER if user else 0)):
        number = ctypes.get_errno()
        raise OSError(number, f'no namespace: {os.strerror(number)}')
    if user:
        # user_namespaces(7): without the right to set groups, a user may map his own group.
        Path('/proc/self/setgroups').write_text('deny')
        Path('/proc/self/uid_map').write_text(f'0 {uid} 1')
        Path('/proc/self/gid_map').write_text(f'0 {gid} 1')


def furnish() -> None:
    for group in ('all', 'default'):
        for key, value in (('accept_dad', '0'), ('router_solicitations', '0')):
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                Path(f'/proc/sys/net/ipv6/conf/{group}/{key}').write_text(value)
    subprocess.run(['ip', '-batch', '-'], input=LINKS, text=True, check=True)


def router() -> socket.socket | None:
    """A socket that hears router solicitations (RFC 4861 section 4.1)."""
    try:
        found = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex(BRIDGE)
        all_routers = socket.inet_pton(socket.AF_INET6, 'ff02::2') + struct.pack('@I', index)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, all_routers)
        for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            found.setsockopt(socket.IPPROTO_IPV6, option, 255)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    except OSError:
        return None
    found.setblocking(False)
    return found


def advertise(found: socket.socket) -> None:
    with contextlib.suppress(OSError):
        message, _ = found.recvfrom(2048)
        if message[:1] == b'\x85':
            # Type 134, hop limit 64, no flags, a router for 0 seconds, no prefix; the kernel adds the checksum.
            found.sendto(struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 0, 0, 0), ('ff02::1', 0))


def end_all() -> None:
    """Everything that is in this namespace but ourselves."""
    here = os.readlink('/proc/self/ns/net')
    for number in (signal.SIGTERM, signal.SIGKILL):
        for entry in Path('/proc').iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if os.readlink(entry / 'ns/net') == here:
                    os.kill(int(entry.name), number)
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('ready', type=Path)
    parser.add_argument('--user', action='store_true')
    parser.add_argument('--owner', nargs=2, type=int)
    arguments = parser.parse_args()
    try:
        unshare(arguments.user)
        furnish()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f'the namespace cannot be made: {error}')
    waiting = selectors.DefaultSelector()
    heard = router()
    if heard is not None:
        waiting.register(heard, selectors.EVENT_READ, 'router')
    if arguments.owner is not None:
        pid, started = arguments.owner
        owner = Identity.of(pid)
        if owner is None or owner.started != started:
            sys.exit('its owner has ended')
        waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, 'owner')
    write_atomically(arguments.ready, f'{os.getpid()}\n')
    while True:
        for key, _ in waiting.select():
            if key.data == 'owner':
                end_all()
                return
            assert heard is not None
            advertise(heard)


if __name__ == '__main__':
    main()
