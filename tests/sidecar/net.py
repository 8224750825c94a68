"""Network namespaces for tests: a server's bridge, a client on it, and a second segment behind a relay.

Needs root.  Everything is removed at the end, also after a failure; what a killed run left is removed by the next one.
Names begin with a word that belongs to this source tree and the process that made them, so nothing else is touched.
It knows nothing of DHCP; it makes links and processes.
"""

import contextlib
import ctypes
import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_HERE = Path(__file__).resolve()
TREE = hashlib.sha256(str(_HERE.parent).encode()).hexdigest()[:6]
PREFIX = f'substest-{TREE}-'
_FOLDER = Path('/run/netns')
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_counter = iter(range(1, 1 << 30))
_counting = threading.Lock()


def missing() -> str:
    """Why there can be no namespaces here, '' if there can."""
    if os.geteuid() != 0:
        return 'network namespaces need root'
    if subprocess.run(['ip', '-V'], capture_output=True, check=False).returncode:
        return 'network namespaces need the program ip (iproute2)'
    return ''


class Namespace:
    """One network namespace with its processes.  `close` ends them and removes it."""

    def __init__(self, label: str) -> None:
        with _counting:
            self.name = f'{PREFIX}{os.getpid()}-{next(_counter)}-{label}'
        self._processes: list[subprocess.Popen[bytes]] = []
        ip('netns', 'add', self.name)
        ip('-n', self.name, 'link', 'set', 'lo', 'up')
        # Link-local addresses may be used at once: nobody else is there who could have them.
        for group in ('all', 'default'):
            self.sysctl(f'net/ipv6/conf/{group}/accept_dad', '0')
            self.sysctl(f'net/ipv6/conf/{group}/router_solicitations', '0')

    @property
    def path(self) -> Path:
        return _FOLDER / self.name

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in the namespace: sockets that it opens and processes that it starts stay there."""
        before = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        inside = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(inside)
            try:
                yield
            finally:
                _setns(before)
        finally:
            os.close(inside)
            os.close(before)

    def sysctl(self, key: str, value: str) -> None:
        with self.entered():
            Path('/proc/sys', key).write_text(value)

    def ip(self, *arguments: str) -> str:
        return ip('-n', self.name, *arguments)

    def run(
        self, command: Sequence[str | Path], *, check: bool = True, timeout: float = 30.0, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; with `check` a failure is an AssertionError that shows what it printed."""
        with self.entered():
            return run(command, check=check, timeout=timeout, **more)

    def start(
        self,
        command: Sequence[str | Path],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> 'Daemon':
        """Start a program that stays in the foreground.  Its output goes to `log`."""
        sink: IO[bytes] | int = log.open('ab') if log is not None else subprocess.DEVNULL
        try:
            with self.entered():
                process = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment} if environment else None,
                    cwd=cwd,
                )
        finally:
            if not isinstance(sink, int):
                sink.close()
        self._processes.append(process)
        return Daemon(process, log)

    def close(self) -> None:
        for process in self._processes:
            end(process)
        remove(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Daemon:
    """A program that runs in a namespace."""

    process: subprocess.Popen[bytes]
    log: Path | None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text('utf-8', 'replace') if self.log is not None and self.log.exists() else ''

    def wait_for(self, condition: Callable[[], object], what: str, timeout: float = 15.0) -> None:
        """Wait until a condition holds; the program's end or the deadline is an AssertionError with what it printed."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.alive:
                raise AssertionError(f'ended with {self.process.returncode} before {what}:\n{self.said()[-4000:]}')
            if time.monotonic() > deadline:
                raise AssertionError(f'not within {timeout} s: {what}\n{self.said()[-4000:]}')
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        end(self.process)


@dataclass(frozen=True)
class Lan:
    """Two segments.

    `server` has the bridge `br0` (10.60.0.1, 10.60.1.1, 2001:db8:60::1); `near` is a client's place on it.  `relay`
    joins it (eth0, 10.60.0.254) with a second segment (eth1, 10.61.0.254), on which `far` is; the server knows the way
    there.  Clients' places have no IPv4 address.
    """

    server: Namespace
    near: Namespace
    relay: Namespace
    far: Namespace

    SERVER4 = '10.60.0.1'
    SERVER6 = '2001:db8:60::1'
    NEAR4 = '10.60.0.0/24'
    SECOND4 = '10.60.1.0/24'  # on the same link as NEAR4
    FAR4 = '10.61.0.0/24'
    NEAR6 = '2001:db8:60::/64'
    FAR6 = '2001:db8:61::/64'
    RELAY4 = '10.61.0.254'
    QUIET4 = '10.62.0.0/24'  # on the same link as FAR4
    QUIET_RELAY4 = '10.62.0.254'
    RELAY6 = '2001:db8:61::fe'

    @property
    def namespaces(self) -> tuple[Namespace, ...]:
        return self.server, self.near, self.relay, self.far

    def close(self) -> None:
        for namespace in self.namespaces:
            namespace.close()


def a_lan() -> Lan:
    """Make it.  Whoever calls closes it."""
    made: list[Namespace] = []
    try:
        for label in ('server', 'near', 'relay', 'far'):
            made.append(Namespace(label))
        lan = Lan(*made)
        _furnish(lan)
    except BaseException:
        for namespace in made:
            namespace.close()
        raise
    return lan


def _furnish(lan: Lan) -> None:
    server, near, relay, far = (namespace.name for namespace in lan.namespaces)
    # A bridge has a carrier only while a port has one, and Kea does not listen without: one port is always there.
    _batch(
        server,
        'link add br0 type bridge forward_delay 0 mcast_snooping 0',
        'link add keep0 type veth peer name keep1',
        'link set keep0 master br0 up',
        'link set keep1 up',
        f'link add near type veth peer name eth0 netns {near}',
        f'link add relay type veth peer name eth0 netns {relay}',
        'link set near master br0 up',
        'link set relay master br0 up',
        'link set br0 up',
        f'address add {lan.SERVER4}/24 dev br0',
        'address add 10.60.1.1/24 dev br0',
        f'address add {lan.SERVER6}/64 dev br0 nodad',
    )
    _batch(near, 'link set eth0 up')
    _batch(
        relay,
        f'link add eth1 type veth peer name eth0 netns {far}',
        'link set eth0 up',
        'link set eth1 up',
        'address add 10.60.0.254/24 dev eth0',
        'address add 2001:db8:60::fe/64 dev eth0 nodad',
        f'address add {lan.RELAY4}/24 dev eth1',
        f'address add {lan.QUIET_RELAY4}/24 dev eth1',
        f'address add {lan.RELAY6}/64 dev eth1 nodad',
    )
    _batch(far, 'link set eth0 up')
    _batch(
        server,
        f'route add {lan.FAR4} via 10.60.0.254',
        f'route add {lan.QUIET4} via 10.60.0.254',
        f'route add {lan.FAR6} via 2001:db8:60::fe',
    )
    for key in ('net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'):
        lan.relay.sysctl(key, '1')


def sweep() -> None:
    """Remove what runs of this tree that are no more have left."""
    if not _FOLDER.is_dir():
        return
    for found in _FOLDER.iterdir():
        owner = found.name.removeprefix(PREFIX).partition('-')[0]
        if found.name.startswith(PREFIX) and owner.isdigit() and not lives(int(owner)):
            remove(found.name)


def remove(name: str) -> None:
    """End every process in one of our namespaces, and remove it."""
    assert name.startswith(PREFIX), name
    if not (_FOLDER / name).exists():
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        pids = [int(pid) for pid in ip('netns', 'pids', name).split()]
        # The thread that removes it may be this process itself, if it is inside.
        pids = [pid for pid in pids if pid != os.getpid()]
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + 3
        while any(lives(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.01)
    ip('netns', 'delete', name)


def end(process: subprocess.Popen[bytes], timeout: float = 5.0) -> None:
    """SIGTERM, and SIGKILL for who does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(
    command: Sequence[str | Path], *, check: bool = True, timeout: float = 30.0, **more: Any
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL if 'input' not in more else None,
        capture_output=True,
        check=False,
        timeout=timeout,
        encoding='utf-8',
        errors='replace',
        **more,
    )
    if check and done.returncode:
        said = f'{done.stdout}{done.stderr}'[-4000:]
        raise AssertionError(f'{" ".join(map(str, command))} ended with {done.returncode}:\n{said}')
    return done


def ip(*arguments: str) -> str:
    return run(['ip', *arguments]).stdout


def _batch(namespace: str, *lines: str) -> None:
    run(['ip', '-n', namespace, '-batch', '-'], input='\n'.join(lines) + '\n')


def _setns(handle: int) -> None:
    # Python's own os.setns is missing where Python was built against an old C library.
    if _libc.setns(handle, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f'setns: {os.strerror(number)}')


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected yet does not."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != 'Z'
