"""One running ISC dhcpd: whether it is there, its own check of a configuration, its restart, and how OMAPI reaches it.

What its words mean is said in terms of our files: a fault in a line becomes the subnet or host that the line is about.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ..files import write_atomically
from ..plan import Problem
from ..secrets import SecretError, Secrets
from ..service import ApplyError, Finding
from ..settings import Isc
from . import isc_syntax
from .isc_files import Damaged, Manifest, Store, digest
from .isc_omapi import Connection, Key, OmapiError, connect
from .isc_syntax import BUCKET, Live, SubnetBlock, Version
from .patience import Patience

START_TIMEOUT = 60.0
_COMMAND_TIMEOUT = 180.0
_SAMPLE = 3

PATH = os.pathsep.join((os.environ.get('PATH', ''), '/usr/sbin', '/sbin'))
_FAULT = re.compile(r'^(?P<file>/[^\n]*?) line (?P<line>[0-9]+): (?P<words>.*)$', re.MULTILINE)


class Daemon:
    def __init__(self, version: Version, settings: Isc, omapi: 'Omapi | None') -> None:
        self.version = version
        self.store = Store(Path(settings.directory), version)
        self.good = self.store.folder / 'last-good'
        self._binary = settings.binary
        self._main = Path(settings.config4 if version == 4 else settings.config6)
        self._command = settings.restart4 if version == 4 else settings.restart6
        self._pid_file = settings.pid_file4 if version == 4 else settings.pid_file6
        self._omapi = omapi
        self.patience = Patience()

    @property
    def live(self) -> bool:
        return self._omapi is not None and self._omapi.port > 0

    @property
    def can_restart(self) -> bool:
        return bool(self._command)

    def check(self) -> Iterator[Finding]:
        part = f'dhcpd (IPv{self.version})'
        try:
            text = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            yield Finding(part, 'error', f'{self._main} cannot be read: {error.strerror}.', 'Correct dhcp.isc.config.')
            return
        if str(self.store.top) in isc_syntax.includes(text):
            yield Finding(part, 'ok', f'{self._main} includes {self.store.top}.')
        else:
            yield Finding(part, 'error', f'{self._main} does not include our files.', self._add_line())
        ours = {block.prefix for block in self._subnets().values()}
        if twice := sorted(ours.intersection(isc_syntax.declared_subnets(text))):
            yield Finding(
                part, 'error', f'{self._main} declares {", ".join(twice)}, which NetBox has too.',
                'Remove the declaration there, or turn DHCP off for that prefix in NetBox.',
            )  # fmt: skip
        if booting := isc_syntax.for_everybody(text):
            yield Finding(
                part, 'warning',
                f'{self._main} gives {", ".join(dict.fromkeys(booting))} to everybody, also to machines that must not '
                f'boot.',
                'Move it into the subnets or groups that it is for.',
            )  # fmt: skip
        if not self._command:
            yield Finding(
                part, 'warning', 'No command is set that restarts dhcpd.',
                f'Set dhcp.isc.restart{self.version}, for example ["systemctl", "restart", "isc-dhcp-server"].',
            )  # fmt: skip

    def declares_subnets(self) -> bool:
        """Whether the main file has subnets of its own."""
        try:
            return bool(isc_syntax.declared_subnets(self._main.read_text('utf-8', 'replace')))
        except OSError:
            return False

    def _add_line(self) -> str:
        return f'Add this line at its end: {self.store.statement}'

    def _subnets(self) -> dict[int, SubnetBlock]:
        try:
            entry = self.store.manifest(self.store.read_top()).subnets
            return isc_syntax.read_subnets(self.store.read(entry)) if entry else {}
        except (OSError, Damaged):
            return {}

    def must_be_included(self) -> None:
        try:
            text = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            raise ApplyError(f'{self._main} cannot be read: {error.strerror}.  Nothing was changed.') from error
        if str(self.store.top) not in isc_syntax.includes(text):
            raise ApplyError(f'{self._main} does not include our files, so nothing was changed.  {self._add_line()}')

    def check_all(self, top: str) -> None:
        """Let dhcpd read its whole configuration as it would be.  Raises ApplyError with its words."""
        candidate = self.store.folder / '.candidate.conf'
        write_atomically(candidate, top)
        main = self._main.read_bytes().replace(f'"{self.store.top}"'.encode(), f'"{candidate}"'.encode())
        self._check(main)

    def check_some(self, manifest: Manifest, buckets: Iterable[int]) -> None:
        """Let dhcpd read only the files of hosts that are new: what costs grows with what changed."""
        entries = [manifest.common, *(manifest.hosts.get(bucket) for bucket in buckets)]
        lines = [f'include "{self.store.folder / entry.name}";' for entry in entries if entry is not None]
        self._check('\n'.join((*lines, '')).encode())

    def _check(self, main: bytes) -> None:
        path = self.store.folder / '.check.conf'
        write_atomically(path, main, 0o600)  # the main file may hold keys
        try:
            done = self._run([self._binary, f'-{self.version}', '-t', '-cf', str(path)])
        finally:
            path.unlink(missing_ok=True)
        if done.returncode:
            raise ApplyError(
                f'dhcpd refuses the new configuration; it runs on as it was.  {self._explained(done.stdout)}'
            )

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Its output goes through a file: a daemon that keeps it open would keep a pipe from ending."""
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_COMMAND_TIMEOUT,
                    env={**os.environ, 'PATH': PATH}, check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                return subprocess.CompletedProcess(command, -1, f'it did not end in {_COMMAND_TIMEOUT:.0f} seconds')
            except OSError as error:
                return subprocess.CompletedProcess(command, -1, f'{command[0]}: {error.strerror}')
            output.seek(0)
            return subprocess.CompletedProcess(command, code, output.read(1 << 20).decode('utf-8', 'replace'))

    def _explained(self, said: str) -> str:
        """dhcpd's own words, with what the line that it names is about."""
        match = _FAULT.search(said)
        if match is None:
            told = said.partition('If you think you have received this message')[0].strip().splitlines()
            return ' '.join(line.strip() for line in told[-4:] if line.strip())
        about = ''
        path = Path(match['file'])
        if path.parent == self.store.folder and path.exists():
            lines = path.read_text('utf-8', 'replace').splitlines()[: int(match['line'])]
            head = next((line for line in reversed(lines) if line.startswith('#=')), '')
            about = f' ({head[2:].strip()})' if head else ''
        return f'{match["file"]} line {match["line"]}{about}: {match["words"]}'

    def restart(self) -> str | None:
        """Restart dhcpd and wait until it is there.  Gives None, or what went wrong in words."""
        before = self._process()
        done = self._run(self._command)
        if done.returncode:
            said = self._explained(done.stdout)
            return f'"{" ".join(self._command)}" failed ({done.returncode}): {said}'
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            reason = self._absent(before)
            if not reason:
                return None
            if time.monotonic() > deadline:
                return reason
            time.sleep(0.05)

    def _process(self) -> str:
        """Names this run of it: its number, and its start in ticks since this host's; '' if there is none."""
        try:
            pid = int(Path(self._pid_file).read_text('ascii').strip()) if self._pid_file else 0
            # From the third field on: the state is the first, the start the twentieth (proc(5)).
            found = Path(f'/proc/{pid}/stat').read_text('ascii', 'replace').rpartition(')')[2].split()
            # One that has ended stays as Z until its parent has looked.
            return f'{pid} since {found[19]}' if found[0] not in 'ZX' else ''
        except (OSError, ValueError, IndexError):
            return ''

    def _absent(self, before: str = '') -> str:
        """Why it does not seem to run, or still to be the run of before; '' if all is well, or if there is no way to
        tell."""
        if self._pid_file:
            now = self._process()
            if not now:
                return f'it does not run (there is no process for {self._pid_file}).'
            if now == before:
                return f'it was not restarted (it is still process {now.partition(" ")[0]}).'
        if self._omapi is not None and self._omapi.port:
            try:
                with self._omapi.connected():
                    pass
            except OmapiError as error:
                return str(error)
        return ''

    def hosts_of(self, names: Iterable[str]) -> Mapping[str, Live | None]:
        """What our files say of these declarations; None: they have none of that name."""
        manifest = self.store.manifest(self.store.read_top())
        wanted: dict[int, list[tuple[str, str]]] = {}
        found: dict[str, Live | None] = {}
        for name in names:
            found[name] = None
            if key := isc_syntax.key_of_name(name):
                wanted.setdefault(int(key[1 : key.index('.')]) // BUCKET, []).append((key, name))
        for bucket, keys in wanted.items():
            entry = manifest.hosts.get(bucket)
            if entry is None:
                continue
            try:
                blocks = isc_syntax.read_hosts(self.store.read(entry))
            except Damaged:
                continue
            for key, name in keys:
                block = blocks.get(key)
                if block is not None and name in block.names():
                    number = block.names().index(name)
                    found[name] = isc_syntax.live(name, block.bodies.split('\n')[number])
        return found

    def verify(self, loaded: str) -> Iterator[Problem]:
        try:
            top = self.store.read_top()
            main = self._main.read_text('utf-8', 'replace')
        except OSError as error:
            yield _problem(f'{error.filename} cannot be read: {error.strerror}.', 'Give the sidecar access to it.')
            return
        if str(self.store.top) not in isc_syntax.includes(main):
            yield _problem(f'{self._main} does not include our files any more.', self._add_line())
        if digest(top) != loaded:
            yield _problem(
                f'{self.store.top} is not what dhcpd was started with.', 'It is mended by the next full plan.'
            )
        manifest = self.store.manifest(top)
        for words in self.store.damaged(manifest):
            yield _problem(f'{words}.', 'It is mended by the next full plan (substruct-sidecar apply dhcp).')
        if reason := self._absent():
            yield _problem(f'dhcpd (IPv{self.version}): {reason}', 'Start it, and look at its log.')
            return
        if self.live:
            yield from self._sample(manifest)

    def _sample(self, manifest: Manifest) -> Iterator[Problem]:
        """A few hosts, others each time, asked of the running dhcpd."""
        assert self._omapi is not None
        buckets = sorted(manifest.hosts)
        if not buckets:
            return
        try:
            blocks = list(
                isc_syntax.read_hosts(self.store.read(manifest.hosts[buckets[_turn() % len(buckets)]])).values()
            )
            with self._omapi.connected() as connection:
                for number in range(min(_SAMPLE, len(blocks))):
                    block = blocks[(_turn() + number) % len(blocks)]
                    if not connection.has(block.name(0)):
                        yield Problem(
                            'dhcp', 'machine', block.machine, block.machine_name,
                            'dhcpd does not have its host, although our files do.', 'Restart dhcpd.',
                        )  # fmt: skip
        except OmapiError as error:
            yield _problem(str(error), 'Look at its log.')
        except Damaged:
            return  # said already


def _turn() -> int:
    return int(time.monotonic())


class Omapi:
    """How OMAPI is reached, by the settings."""

    def __init__(self, settings: Isc, secrets: Secrets) -> None:
        self.port = settings.omapi_port
        self._settings = settings
        self._secrets = secrets

    def connected(self) -> AbstractContextManager[Connection]:
        """Raises OmapiError when it is entered."""
        settings = self._settings
        key = None
        if settings.omapi_key_name:
            try:
                secret = self._secrets.get(settings.omapi_credential or settings.omapi_key_name)
            except SecretError as error:
                raise OmapiError(str(error)) from error
            key = Key(settings.omapi_key_name, settings.omapi_algorithm, secret)
        return connect(settings.omapi_host, settings.omapi_port, key)

    def check(self) -> Finding:
        if not self.port:
            return Finding(
                'OMAPI', 'warning', 'OMAPI is not set up, so every change restarts dhcpd.',
                'Add omapi-port and omapi-key to dhcpd.conf, and set dhcp.isc.omapi_port and omapi_key_name.',
            )  # fmt: skip
        try:
            with self.connected():
                pass
        except OmapiError as error:
            return Finding('OMAPI', 'error', str(error), 'Compare the settings with dhcpd.conf.')
        if not self._settings.omapi_key_name:
            return Finding(
                'OMAPI', 'warning', 'OMAPI has no key: whoever reaches its port can change dhcpd.',
                'Add a key and omapi-key to dhcpd.conf.',
            )  # fmt: skip
        return Finding('OMAPI', 'ok', f'dhcpd answers at {self._settings.omapi_host} port {self.port}.')


def _problem(message: str, remedy: str) -> Problem:
    return Problem('dhcp', 'service', 0, 'dhcp', message, remedy)
