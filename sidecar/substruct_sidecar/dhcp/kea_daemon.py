"""One running Kea daemon: its hand-written part, the file it starts with, and how it is given a new configuration.

It does not know what is in the configuration.  The order that makes it safe: the daemon itself tests the new one; then
it is in the file with which the daemon starts; then the daemon takes it.  Whoever is killed in between leaves a daemon
that runs what it ran, and a file that the daemon has found good; the next plan notices the difference.  A daemon may
find good what it then does not take, so what was there before is kept beside until it runs the new one.
"""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from .. import settings as settings_
from ..files import write_atomically
from ..service import ApplyError
from .kea_base import CONTEXT, OWN, Base, BaseError, base, parse, plain_base
from .kea_config import Document, Parts
from .kea_control import OLDEST, SLOW, Channel, ControlError, Dialect, Family, Refused, dialect
from .kea_written import Written, written
from .patience import Patience

log: Any = structlog.get_logger('dhcp')

# After a configuration Kea serves for four times as long as it took, at most so many seconds: a burst of changes must
# not keep it busy reading configurations.
LONGEST_REST = 10.0
# Up to so many addresses are asked for one by one; beyond, all leases at once.
ONE_BY_ONE = 500
# How long a daemon that broke off while it was configured is given to come back.
COME_BACK = 5.0


# file:line.column: as Kea's parser says it.
_GRAMMAR = re.compile(r':\d+\.\d+(-\d+)?: ')


class _Context(msgspec.Struct, rename='kebab'):
    user_context: dict[str, Any] = {}


class _Lease(msgspec.Struct, rename='kebab'):
    ip_address: str
    hw_address: str = ''
    client_id: str = ''
    duid: str = ''


class _Leases(msgspec.Struct):
    leases: list[_Lease] = []


class _Tag(msgspec.Struct, rename='kebab'):
    server_tag: str = ''


class _Running(msgspec.Struct):
    Dhcp4: _Context | None = None
    Dhcp6: _Context | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen to run at a time: by process, and by the moment it was configured (in seconds since 1970)."""

    pid: int
    moment: float
    at: float
    fingerprint: str

    def holds(self, pid: int, moment: float, now: float) -> bool:
        """Kea tells the moment to the second.  What was seen right after it may have been replaced in the same second,
        so it is asked for once more later."""
        settled = self.at - self.moment > 3 or now - self.at < 30
        return self.pid == pid and abs(self.moment - moment) < 1.5 and settled


class Daemon:
    """kea-dhcp4 or kea-dhcp6, with its settings."""

    def __init__(self, family: Family, channel: Channel, settings: settings_.Kea, state_folder: Path) -> None:
        self.family = family
        self.channel = channel
        self.name = f'kea-dhcp{family}'
        self._interfaces = settings.interfaces
        self._binary = settings.binary4 if family == 4 else settings.binary6
        self.socket = settings.socket4 if family == 4 else settings.socket6
        hand_written = settings.base4 if family == 4 else settings.base6
        self.base_path = Path(hand_written) if hand_written else None
        output = settings.output4 if family == 4 else settings.output6
        self.output = Path(output) if output else state_folder / 'kea' / f'kea-dhcp{family}.conf'
        # What the file held before a configuration that the daemon may or may not have taken (empty: there was none).
        self._before = state_folder / 'kea' / f'kea-dhcp{family}.before'
        self.patience = Patience()
        self._seen: _Seen | None = None
        self._version: Dialect | None = None
        self._rest_until = 0.0
        self.answers = False

    # ------------------------------------------------------------------ what there is

    def base(self) -> Base:
        """The hand-written part.  Raises BaseError."""
        if self.base_path is None:
            return plain_base(self.family, self._interfaces, _lease_commands())
        where = str(self.base_path)
        found = base(self.family, parse(_read(where), where, _read), where)
        told = [found.section.get('control-socket'), *found.section.get('control-sockets', ())]
        places = [entry.get('socket-name') for entry in told if isinstance(entry, dict) and 'socket-name' in entry]
        if self.socket and places and not any(_same_place(self.socket, str(place)) for place in places):
            raise BaseError(
                f'{where}: its control socket is {places[0]}, but dhcp.kea.socket{self.family} is {self.socket}: with '
                f'this configuration Kea could not be reached any more. Make them the same.'
            )
        return found

    def loads(self, library: str) -> bool | None:
        """Whether the hand-written part names a hook library; None where it cannot be read."""
        try:
            hooks = self.base().section.get('hooks-libraries', ())
        except BaseError:
            return None
        return any(isinstance(hook, dict) and library in str(hook.get('library', '')) for hook in hooks)

    def on_disk(self) -> Written:
        """What the file holds with which Kea starts, if it is there.  Raises BaseError for somebody else's."""
        try:
            content = self.output.read_bytes()
        except FileNotFoundError:
            return Written(Parts(self.family), '')
        except OSError as error:
            raise BaseError(f'{self.output}: cannot be read ({error.strerror}).') from error
        with contextlib.suppress(ValueError):
            found = written(self.family, content)
            if found.fingerprint:
                return found
        raise BaseError(
            f'{self.output}: was not written by Substruct, so it is not overwritten. If it is the hand-written part, '
            f'move it to another place and name that as dhcp.kea.base{self.family}.'
        )

    def files(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What tells whether the hand-written part and the file with which Kea starts are still the same files."""
        return tuple(_stamp(path) for path in (self.base_path, self.output))

    def dialect(self) -> Dialect:
        """That of the running daemon; of the installed program, or the last that was seen, while it does not run.

        `answers` says afterwards whether it runs: one that hangs must not be waited for again and again.
        """
        self.answers = True
        try:
            self._version = self.channel.version()
        except ControlError:
            self.answers = False
            if self._version is None:
                self._version = self._installed()
        return self._version or OLDEST

    def _installed(self) -> Dialect | None:
        try:
            done = subprocess.run([self._binary, '-v'], capture_output=True, text=True, timeout=10, check=False)
            return dialect(done.stdout.strip())
        except (OSError, subprocess.SubprocessError, ControlError):
            return None

    def running(self) -> str:
        """The fingerprint of what it runs, '' if that is not of Substruct.  Raises ControlError.

        The whole configuration is asked for only where the hand-written part has a server tag of its own, and then
        only if the daemon was started or configured since the last time.
        """
        found_tag: _Tag | None = self.channel.ask('server-tag-get', type_=_Tag)
        if found_tag is not None and found_tag.server_tag.startswith(OWN):
            return found_tag.server_tag.removeprefix(OWN)
        status = self.channel.status()
        now = time.time()
        moment = now - status.reload
        if self._seen is not None and self._seen.holds(status.pid, moment, now):
            return self._seen.fingerprint
        found: _Running = self.channel.ask('config-get', timeout=SLOW, type_=_Running)
        section = found.Dhcp4 if self.family == 4 else found.Dhcp6
        own = section.user_context.get(CONTEXT) if section else None
        fingerprint = str(own.get('fingerprint', '')) if isinstance(own, dict) else ''
        self._seen = _Seen(status.pid, moment, now, fingerprint)
        return fingerprint

    # ------------------------------------------------------------------ a new configuration

    def test(self, section: bytes) -> str:
        """Kea's own words against a configuration, '' if it is good.  Raises ControlError."""
        try:
            self.channel.ask('config-test', msgspec.Raw(section), timeout=SLOW)
        except Refused as refused:
            return refused.words
        return ''

    def push(self, document: Document) -> None:
        """Test it, put it into the file, and let the daemon take it.  Raises ApplyError."""
        rest = self._rest_until - time.monotonic()
        if rest > 0:
            time.sleep(min(rest, LONGEST_REST))
        try:
            self.channel.status()  # whether it hangs is known sooner so
            words = self._against(document)
        except ControlError as error:
            self._push_offline(document, error)
            return
        if words:
            raise ApplyError(
                f'{self.name} does not take the new configuration, and goes on with the one it has: {words}'
            )
        self._recover()
        self.patience.ask(document.fingerprint, self.name)
        previous = self._keep(document)
        began = time.monotonic()
        self._seen = None
        try:
            self._give(document.section)
        except Refused as refused:
            # Where it takes long, Kea 2.2 calls the connection timed out all the same.
            if not self._runs(document):
                self._put_back(document, previous, f'{self.name} refused the new configuration: {refused.words}')
        except ControlError as error:
            self._after_silence(document, previous, error)
        self._confirm(document)
        self._before.unlink(missing_ok=True)
        self.patience.forget()
        took = time.monotonic() - began
        self._rest_until = time.monotonic() + min(4 * took, LONGEST_REST)
        log.info('kea configured', daemon=self.name, fingerprint=document.fingerprint, seconds=round(took, 3))

    def _recover(self) -> None:
        """Somebody was killed, or the disk was full, while the daemon took a configuration.  If it did not take it, it
        may be deaf, and does not come up with its file: it gets what was there before.  Raises ApplyError."""
        try:
            previous = self._before.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._disk(error) from error
        with contextlib.suppress(BaseError, ControlError):
            if self.running() == self.on_disk().fingerprint:
                self._before.unlink()
                return
        log.warning('the last good configuration is put back', daemon=self.name)
        self._restore(previous or None)

    def _against(self, document: Document) -> str:
        """What speaks against a configuration.  Raises ControlError.

        The program tests the file beside the daemon, which goes on answering clients meanwhile.  Where it is content
        that is enough; where not, the daemon decides, but for the grammar of the file.
        """
        if self._reloads():
            words = self._checked_by_program(document.content)
            if not words:
                return ''
            return self.test(document.section) or (words if _GRAMMAR.search(words) else '')
        return self.test(document.section)

    def _reloads(self) -> bool:
        """Whether it was started with our file and the program is here: then it reads that itself, which is faster than
        to be told, and nothing depends on how long it takes."""
        started = self.started_with()
        return bool(started) and _real(started) == _real(str(self.output)) and shutil.which(self._binary) is not None

    def _give(self, section: bytes) -> None:
        if self._reloads():
            self.channel.ask('config-reload', timeout=SLOW)
        else:
            self.channel.ask('config-set', msgspec.Raw(section), timeout=SLOW)

    def _runs(self, document: Document) -> bool:
        try:
            return self.running() == document.fingerprint
        except ControlError:
            return False

    def _keep(self, document: Document) -> bytes | None:
        """Write the file; returns what was there before, which is kept.  Raises ApplyError, with nothing changed."""
        try:
            previous: bytes | None = self.output.read_bytes()
        except FileNotFoundError:
            previous = None
        except OSError as error:
            raise self._disk(error) from error
        try:
            self._before.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._before, previous or b'', 0o600)
            self._write(document.content)
        except OSError as error:
            raise self._disk(error) from error
        return previous

    def _write(self, content: bytes) -> None:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        like = next((path for path in (self.base_path, self.output) if path is not None and path.exists()), None)
        status = like.stat() if like else None
        # Passwords of databases may stand in it: no more people may read it than may read the hand-written part.
        write_atomically(self.output, content, status.st_mode & 0o666 if status else 0o640)
        if status is not None:
            with contextlib.suppress(OSError):  # only who is in that group may give a file to it
                os.chown(self.output, -1, status.st_gid)

    def _disk(self, error: OSError) -> ApplyError:
        return ApplyError(
            f'{self.name}: {self.output} cannot be written ({error.strerror}); the daemon goes on with what it has. '
            f'Make room, or let this user write there.'
        )

    def _confirm(self, document: Document) -> None:
        """It says that it took it; it must also be alive and run it."""
        try:
            found = self.running()
        except ControlError as error:
            raise ApplyError(f'{self.name} took the new configuration and then did not answer: {error}') from error
        if found != document.fingerprint:
            raise ApplyError(
                f'{self.name} said that it took the new configuration, but runs another ({found or "not ours"}): '
                f'somebody else configures it too.'
            )

    def _put_back(self, document: Document, previous: bytes | None, words: str) -> None:
        """The last good file and configuration again; always raises ApplyError."""
        self.patience.failed(document.fingerprint)
        try:
            self._restore(previous)
        except ApplyError as error:
            raise ApplyError(f'{words} {error}') from error
        raise ApplyError(f'{words} It runs the last good one again.')

    def _restore(self, previous: bytes | None) -> None:
        """What was there before, in the file and in the daemon.  Raises ApplyError.

        It is given again even if the daemon says that it runs it: Kea closes its sockets before it takes a new
        configuration, and after one that it refuses it leaves them closed.
        """
        self._seen = None
        fault = ''
        try:
            if previous is None:
                self.output.unlink(missing_ok=True)
            else:
                self._write(previous)
        except OSError as error:
            fault = f'{self.output} could not be put back ({error.strerror}).'
        try:
            if previous is None:
                # What it was started with, which is not ours.
                self.channel.ask('config-reload', timeout=SLOW)
            elif fault:
                self.channel.ask('config-set', msgspec.Raw(_section(self.family, previous)), timeout=SLOW)
            else:
                self._give(_section(self.family, previous))
        except ControlError as error:
            raise ApplyError(f'{fault} The last good one could not be put back: {error}'.lstrip()) from error
        if fault:
            raise ApplyError(f'It runs the last good one again, but {fault}')
        self._before.unlink(missing_ok=True)

    def _after_silence(self, document: Document, previous: bytes | None, error: ControlError) -> None:
        """It broke off while it took a configuration: it came back with the new one, or the old file is put back."""
        deadline = time.monotonic() + COME_BACK
        while time.monotonic() < deadline:
            with contextlib.suppress(ControlError):
                if self.running() == document.fingerprint:
                    return
                break  # it lives, with another one
            time.sleep(0.1)
        self._put_back(document, previous, f'{self.name} broke off while it took the new configuration ({error}).')

    def _push_offline(self, document: Document, error: ControlError) -> None:
        """The daemon cannot be asked: its program tests the file, which waits for it.  Always raises ApplyError."""
        words = self._checked_by_program(document.content)
        if words:
            raise ApplyError(f'{error} And its program does not take the new configuration: {words}')
        try:
            self._write(document.content)
        except OSError as full:
            raise self._disk(full) from full
        raise ApplyError(
            f'{error} The new configuration is in {self.output}, from where {self.name} takes it when it starts.'
        )

    def unreadable(self, content: bytes) -> str:
        """What the program says against a file that the daemon has found good as a command; '' if nothing.

        Its grammar for files is stricter, and that is what it reads when it starts.  Whatever else the program finds is
        left to the daemon, which knows better: this host, user or version may be another one.
        """
        said = self._checked_by_program(content)
        return said if _GRAMMAR.search(said) else ''

    def _checked_by_program(self, content: bytes) -> str:
        """What `kea-dhcp4 -t` says against it, '' if nothing, or if the program is not on this host."""
        program = shutil.which(self._binary)
        if program is None:
            return ''
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._sweep()
            # Beside the file itself, because Debian's AppArmor profile lets Kea read in /etc/kea and nowhere else.
            with tempfile.NamedTemporaryFile(dir=self.output.parent, prefix='.substruct-', suffix='.test') as file:
                file.write(content)
                file.flush()
                done = subprocess.run(
                    [program, '-t', file.name],
                    capture_output=True,
                    text=True,
                    errors='replace',
                    timeout=SLOW,
                    check=False,
                    env={**os.environ, 'KEA_LOCKFILE_DIR': 'none'},
                )
                name = file.name
        except OSError as error:
            raise self._disk(error) from error
        except subprocess.TimeoutExpired:
            return f'{self._binary} -t did not end within {SLOW:g} s'
        if done.returncode == 0:
            return ''
        said = [line for line in f'{done.stdout}{done.stderr}'.splitlines() if ' INFO ' not in line]
        words = ' '.join(said)[-1000:].replace(name, str(self.output))
        return words or f'{self._binary} -t ended with {done.returncode}'

    def _sweep(self) -> None:
        """What a killed sidecar has left beside the file: all of it may hold passwords, and is as long as the file."""
        for pattern in ('.substruct-*.test', f'.{self.output.name}.*.new'):
            for path in self.output.parent.glob(pattern):
                with contextlib.suppress(OSError):  # somebody else was quicker
                    if time.time() - path.stat().st_mtime > 2 * SLOW:
                        path.unlink()

    # ------------------------------------------------------------------ leases

    def can_free(self) -> bool:
        """Whether leases can be removed: the hook library lease_cmds.  Raises ControlError."""
        return {f'lease{self.family}-get', f'lease{self.family}-del'} <= self.channel.commands()

    def free(self, claims: Mapping[str, Collection[str]]) -> int:
        """End the leases that somebody else has of addresses which now belong to others.  Raises ControlError.

        `claims` has the identifiers of the new owner of each address, in hexadecimal without colons.  Kea itself would
        not give a reserved address to its owner before the other's lease has ended, which may be days.
        """
        if not claims or not self.can_free():
            return 0
        freed = 0
        for lease in self._leases(list(claims)):
            holders = {lease.hw_address.replace(':', ''), lease.client_id.replace(':', ''), lease.duid.replace(':', '')}
            if holders.isdisjoint(claims.get(lease.ip_address, holders)):
                self.channel.ask(f'lease{self.family}-del', {'ip-address': lease.ip_address})
                log.info(
                    'lease ended', daemon=self.name, address=lease.ip_address, held_by=lease.hw_address or lease.duid
                )
                freed += 1
        return freed

    def _leases(self, addresses: Sequence[str]) -> Iterator[_Lease]:
        if len(addresses) > ONE_BY_ONE:
            found: _Leases | None = self.channel.ask(f'lease{self.family}-get-all', timeout=SLOW, type_=_Leases)
            yield from found.leases if found else ()
            return
        for address in addresses:
            lease: _Lease | None = self.channel.ask(
                f'lease{self.family}-get', {'ip-address': address}, type_=_Lease | None
            )
            if lease is not None:
                yield lease

    def started_with(self) -> str:
        """The file that the running daemon was started with, '' where that cannot be seen."""
        with contextlib.suppress(ControlError, OSError, ValueError):
            words = Path(f'/proc/{self.channel.status().pid}/cmdline').read_bytes().decode().split('\0')
            if self.name in words[0]:
                return words[words.index('-c') + 1]
        return ''


def _lease_commands() -> str:
    """Where the packages of this host have put the hook library lease_cmds."""
    found = sorted(glob.glob('/usr/lib*/**/kea/hooks/libdhcp_lease_cmds.so', recursive=True))
    return found[0] if found else ''


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status is not None else None


def _real(path: str) -> str:
    return os.path.realpath(path)


def _same_place(mine: str, told: str) -> bool:
    """Since 3.0 a socket's name may be without its folder."""
    return mine == told or ('/' not in told and Path(mine).name == told)


def _section(family: Family, content: bytes) -> bytes:
    """What goes to a running daemon, out of a whole file."""
    name = f'Dhcp{family}'
    found = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: found[name]})


def _read(path: str) -> str:
    try:
        return Path(path).read_text('utf-8')
    except UnicodeDecodeError as error:
        raise BaseError(f'{path}: is not UTF-8 text (byte {error.start}).') from error
    except OSError as error:
        raise BaseError(f'{path}: cannot be read ({error.strerror}).') from error
