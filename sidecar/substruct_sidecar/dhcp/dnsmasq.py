"""dnsmasq: configuration, hosts and options in files of Substruct's own, and the daemon told of them.

Below the folder of the settings:

    conf/substruct.conf   ranges, tags, boot files      read when dnsmasq starts: a change is a restart
    options/subnets       the options of the subnets    read at SIGHUP
    hosts/<n>.hosts       hosts, 256 machines a file    read at SIGHUP (dhcp-hostsfile)
    live/<key>.hosts      hosts that are new            read at once (dhcp-hostsdir)
    last-good/            the configuration with which dnsmasq came up last
    pending               what dnsmasq has not been told yet

dnsmasq adds a new file of dhcp-hostsdir at once, but forgets and changes nothing before SIGHUP: it refuses a second
line with an address that it has.  So only hosts that are new go there, with the same words in hosts/ for later, and
everything else is a SIGHUP, which takes dnsmasq a time that grows with the square of the number of hosts.

The files are the record of what was applied: a plan compares with them, and there is no other.  `pending` is written
before anything is changed and removed when dnsmasq has been told, so that a sidecar that is killed in between does it
when it is there again.  Everything pure is in `dnsmasq_config` and `dnsmasq_syntax`.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from ..files import sync_folder, write_atomically
from ..ledger import Ledger
from ..plan import Change, Operation, Plan, Problem
from ..secrets import Secrets
from ..service import ApplyError, Finding
from ..settings import Dnsmasq as DnsmasqSettings
from ..settings import Settings
from ..state import Changed, View
from . import dnsmasq_config as config
from . import dnsmasq_syntax as syntax
from .clients import table
from .derive import Deriver
from .dnsmasq_handwritten import Checker, Refusal, included, listed, reads, words_of
from .dnsmasq_process import Process
from .dnsmasq_syntax import Block, Unsayable
from .model import Host

log = structlog.get_logger('dhcp')

# Machines in one file of hosts/.  A change rewrites one file, a start reads all of them.
PER_FILE = 256

# How many hosts may be in live/ before a SIGHUP gathers them.
LIVE = 200

# Beyond this share of its time dnsmasq is not kept busy with reading its hosts again.
RELOADING = 0.2

OLDEST = (2, 86)

type Part = Literal['conf', 'options', 'hosts']
type Blocks = dict[str, Block]

_HOST_KEY = re.compile(r'm([0-9]+)\.[0-9]+\Z')
_VERSION = re.compile(r'version ([0-9]+)\.([0-9]+)')


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'Dnsmasq':
    """The service.  dnsmasq needs no secrets, and its files are the record of what was applied."""
    return Dnsmasq(settings)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a change is about: one block of one of our files; `after` is None for one that goes.  With `stray`, a file
    that is not ours in a folder that is."""

    part: Part
    key: str
    before: Block | None = None
    after: Block | None = None
    stray: Path | None = None


@dataclass
class _Work:
    """The payload of a plan: the blocks to be written, by file.  `told`: nothing but `pending` is to be done."""

    conf: Blocks | None = None
    options: Blocks | None = None


@dataclass
class _Memory:
    """What is known of the last full look, only to make things faster and to notice strangers' hands.

    `files`: path → (inode, size, time of change) of each of our files when we last read or wrote it.
    """

    hosts: int | None = None
    files: dict[Path, tuple[int, int, int]] = field(default_factory=dict)


class Dnsmasq:
    """The service `dhcp` by dnsmasq.  `clock` and `sleep` are for tests."""

    name = 'dhcp'
    backend = 'dnsmasq'

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._own: DnsmasqSettings = settings.dhcp.dnsmasq
        self._deriver = Deriver(settings)
        self._classes = table(settings.dhcp.loaders)
        self._clock, self._sleep = clock, sleep
        self.folder = Path(self._own.directory)
        self.conf = self.folder / 'conf' / 'substruct.conf'
        self.options = self.folder / 'options' / 'subnets'
        self.hosts = self.folder / 'hosts'
        self.live = self.folder / 'live'
        self.last_good = self.folder / 'last-good'
        self.pending = self.folder / 'pending'
        self._process = Process(Path(self._own.pid_file), Path(self._own.binary).name, sleep)
        self._checker = Checker(self._own.binary)
        self._memory = _Memory()
        self._restarted: float | None = None
        self._reloaded: tuple[float, float] | None = None

    # --- what it cannot

    def cannot(self) -> Sequence[str]:
        return _CANNOT_PROXY if self._own.proxy else _CANNOT

    # --- plan

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        desired = self._deriver.desired(view, changed)
        machines = desired.machines
        if machines is not None:
            found = self._plan_of(desired.hosts, machines)
            if found is not None:
                changes, count, faults = found
                return Plan(
                    'dhcp',
                    changes,
                    count,
                    [*desired.problems, *faults],
                    self._disruption(changes),
                    False,
                    payload=_Work(),
                )
            desired = self._deriver.desired(view, None)
        problems: list[Problem] = []
        wanted: dict[str, Blocks] = {}
        circuits: list[Host] = []
        for host in desired.hosts:
            made = self._block(host, problems)
            if made is not None:
                wanted.setdefault(_file_of(host.key), {})[host.key] = made
            if host.of('circuit-id'):
                circuits.append(host)
        written = config.configuration(
            desired.subnets, self._classes, circuits, hosts=str(self.hosts), live=str(self.live),
            options=str(self.options.parent), proxy=self._own.proxy,
        )  # fmt: skip
        work = _Work(written.conf, written.options)
        targets: list[_Target] = []
        targets += _compared('conf', self._read(self.conf), written.conf)
        targets += _compared('options', self._read(self.options), written.options)
        existing = len(self._read(self.conf)) + len(self._read(self.options))
        hosts = 0
        on_disk = {path.name for path in self._host_files()}
        for name in sorted(on_disk | wanted.keys()):
            before = self._read(self.hosts / name) if name in on_disk else {}
            hosts += len(before)
            targets += _compared('hosts', before, wanted.pop(name, {}))
        self._memory.hosts = hosts
        targets += [_Target('hosts', path.name, stray=path) for path in self._strays()]
        targets = self._acceptable(targets, problems)
        changes = [_change(target) for target in targets] + self._untold()
        if not changes:
            self._remember()
        return Plan(
            'dhcp', changes, existing + hosts, [*desired.problems, *written.problems, *problems],
            self._disruption(changes), True, payload=work,
        )  # fmt: skip

    def _plan_of(
        self, hosts: Iterable[Host], machines: frozenset[int]
    ) -> tuple[list[Change], int, list[Problem]] | None:
        """The changes of some machines' hosts; None where everything must be looked at: what these machines need is
        in a file that is written as a whole, or what is on disk is not known."""
        conf = self._read(self.conf)
        if not conf or self._untold():
            return None
        if any(key.startswith('circuit-') and _machine_of(key.removeprefix('circuit-')) in machines for key in conf):
            return None
        problems: list[Problem] = []
        wanted: Blocks = {}
        for host in hosts:
            if host.of('circuit-id') and not self._own.proxy:
                return None
            made = self._block(host, problems)
            if made is not None:
                wanted[host.key] = made
        before: Blocks = {}
        for name in {_file_of(f'm{machine}.0') for machine in machines}:
            before |= {
                key: found for key, found in self._read(self.hosts / name).items() if _machine_of(key) in machines
            }
        targets = self._acceptable(list(_compared('hosts', before, wanted)), problems)
        return [_change(target) for target in targets], self._count(), problems

    def _block(self, host: Host, problems: list[Problem]) -> Block | None:
        try:
            found = syntax.host_lines(
                host, boot_tag=config.BOOT, placed_tag=config.EVERY, addresses=not self._own.proxy
            )  # fmt: skip
        except Unsayable as error:
            message = f'dnsmasq cannot serve it: {error}.'
            problems.append(Problem('dhcp', 'machine', host.machine, host.machine_name, message, 'Correct it.'))
            return None
        for words in found.unsaid:
            problems.append(
                Problem('dhcp', 'machine', host.machine, host.machine_name, words, 'Change it.', 'warning')
            )  # fmt: skip
        return syntax.block(host.key, host.machine_name, found.lines) if found.lines else None

    def _acceptable(self, targets: list[_Target], problems: list[Problem]) -> list[_Target]:
        """The targets without the hosts that dnsmasq refuses, about which problems tell: another host must not suffer
        for them.  The daemon's own parser reads them, together with what is written by hand."""
        new = {target.key: target.after for target in targets if target.part == 'hosts' and target.after is not None}
        refused: set[str] = set()
        while new.keys() - refused:
            refusal = self._tried({key: block for key, block in new.items() if key not in refused})
            if refusal is None or refusal.source != 'hosts' or refusal.key in refused or refusal.key not in new:
                break  # nothing is wrong, or nothing that leaving out a host would mend: `apply` says so
            refused.add(refusal.key)
            machine = _machine_of(refusal.key)
            message = f'dnsmasq does not take its lines: {refusal.words}.'
            remedy = f'Look whether {self._own.config}, or a file that it reads, has the same address.'
            problems.append(Problem('dhcp', 'machine', machine, new[refusal.key].name, message, remedy))
        return [target for target in targets if target.key not in refused or target.part != 'hosts']

    def _disruption(self, changes: Sequence[Change]) -> str:
        parts = {change.payload.part for change in changes if isinstance(change.payload, _Target)}
        told = [change.payload for change in changes if isinstance(change.payload, str)]
        if 'conf' in parts or 'restart' in told:
            return 'dnsmasq is restarted'
        if 'options' in parts or told or any(change.operation != 'add' for change in changes):
            return 'dnsmasq reads its hosts again (SIGHUP), and forgets what DNS answers it has cached'
        return ''

    # --- apply

    def apply(self, plan: Plan) -> None:
        targets = [change.payload for change in plan.changes if isinstance(change.payload, _Target)]
        told = [change.payload for change in plan.changes if isinstance(change.payload, str)]
        work = plan.payload if isinstance(plan.payload, _Work) else _Work()
        hosts = [target for target in targets if target.part == 'hosts' and target.stray is None]
        restart = 'restart' in told or any(target.part == 'conf' for target in targets)
        at_once = (
            not restart
            and not told
            and all(target.part == 'hosts' and target.before is None and target.stray is None for target in targets)
            and len(hosts) + len(self._live_files()) <= LIVE
        )
        if plan.changes and restart and work.conf is not None:
            self._refuse_bad(work)
        if restart:
            self._wait(self._restarted, self._own.restart_interval)
        elif not at_once and self._reloaded is not None:
            when, took = self._reloaded
            self._wait(when, took / RELOADING)
        before = self._process.identity()
        try:
            for folder in (self.conf.parent, self.options.parent, self.hosts, self.live, self.last_good):
                folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            if plan.full:
                self._sweep()
            self._mark('restart' if restart else 'reload', '')
            self._write_hosts(hosts)
            for target in targets:
                if target.stray is not None:
                    target.stray.unlink(missing_ok=True)
            if work.options is not None and any(target.part == 'options' for target in targets):
                self._write(self.options, syntax.written(work.options.values()))
            if restart and work.conf is not None:
                self._write(self.conf, syntax.written(work.conf.values()))
            if at_once:
                for target in hosts:
                    if target.after is not None:
                        self._write(self.live / f'{target.key}.hosts', syntax.written([target.after]))
            else:
                self._gather()
            self._mark('restart' if restart else 'reload', before)
        except OSError as error:
            raise ApplyError(
                f'Files for dnsmasq could not be written: {error}. It goes on with what it has read; what is missing '
                'is written with the next plan. Look whether the disk is full, and who owns '
                f'{self.folder}.'
            ) from error
        self._memory.hosts = None if self._memory.hosts is None else self._memory.hosts + _balance(hosts)
        if restart:
            self._restart(before)
        elif at_once:
            self._process.settle()
        else:
            self._reload()
        self.pending.unlink(missing_ok=True)
        self._remember()

    def _wait(self, last: float | None, interval: float) -> None:
        """A burst of changes becomes a few restarts: the first at once, the others when it is time."""
        if last is not None and (left := last + interval - self._clock()) > 0:
            log.info('waiting', reason='dnsmasq was told just now', seconds=round(left, 1))
            self._sleep(left)

    def _mark(self, what: str, daemon: str) -> None:
        """`daemon`: the process that has not been told; '' while files are being written, of which it may have seen
        some.  One that was started since then has read them all."""
        write_atomically(self.pending, json.dumps({'what': what, 'daemon': daemon}))

    def _untold(self) -> list[Change]:
        """What was written and not told, as the change that tells it."""
        try:
            found = json.loads(self.pending.read_bytes())
            what, daemon = str(found['what']), str(found['daemon'])
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError):
            what, daemon = 'restart', ''
        now = self._process.identity()
        if not now or (daemon and daemon != now):
            return []
        words = 'is restarted' if what == 'restart' else 'reads its files again'
        return [Change('change', 'dnsmasq', 'has not been told of an earlier change', words, payload=what)]

    def _write_hosts(self, targets: Sequence[_Target]) -> None:
        files: dict[str, list[_Target]] = {}
        for target in targets:
            files.setdefault(_file_of(target.key), []).append(target)
        for name, changed in files.items():
            blocks = self._read(self.hosts / name)
            for target in changed:
                blocks.pop(target.key, None)
                if target.after is not None:
                    blocks[target.key] = target.after
            if blocks:
                self._write(self.hosts / name, syntax.written(blocks.values()))
            else:
                (self.hosts / name).unlink(missing_ok=True)
                sync_folder(self.hosts)
                self._memory.files.pop(self.hosts / name, None)

    def _write(self, path: Path, text: str) -> None:
        write_atomically(path, text)
        self._memory.files[path] = _stamp(path)

    def _gather(self) -> None:
        """Empty live/, for its hosts are in hosts/ too.  Files are moved out: dnsmasq reads one that it sees removed,
        and complains."""
        for path in self._live_files():
            path.rename(self.folder / f'.gathered-{path.name}')
            (self.folder / f'.gathered-{path.name}').unlink()
            self._memory.files.pop(path, None)

    def _sweep(self) -> None:
        """What a killed sidecar has left beside our files."""
        for folder in (self.folder, self.conf.parent, self.options.parent, self.hosts, self.live, self.last_good):
            for path in folder.glob('.*'):
                if path.name.endswith('.new') or path.name.startswith('.gathered-'):
                    path.unlink(missing_ok=True)

    # --- the daemon

    def _reload(self) -> None:
        began = self._clock()
        if not self._process.identity():
            log.warning('dnsmasq does not run', pid_file=str(self._own.pid_file))
            return  # it reads everything when it starts
        try:
            if self._own.reload:
                self._run(self._own.reload)
            else:
                self._process.signal(signal.SIGHUP)
        except PermissionError as error:
            raise ApplyError(
                'dnsmasq could not be told to read its hosts again: the sidecar may not send it signals. It serves '
                'what it had; nothing is lost. Set dhcp.dnsmasq.reload to a command that may '
                '(["sudo", "systemctl", "reload", "dnsmasq"]), or give the sidecar CAP_KILL.'
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise ApplyError(
                f'dnsmasq could not be told to read its hosts again: {words_of(error)}. It serves what it had; it is '
                'told again with the next plan.'
            ) from error
        self._process.settle()
        now = self._clock()
        self._reloaded = (now, now - began)

    def _restart(self, before: str) -> None:
        """Restart it with the configuration that is in place, and put the last good one back if it does not come up."""
        if not self._own.restart:
            if not before:
                return  # it reads everything when it is started
            raise ApplyError(
                'The new configuration of dnsmasq was checked and is in place, but dnsmasq runs with the old one: it '
                'must be restarted, and dhcp.dnsmasq.restart names no command. Restart it by hand, or set it '
                '(["systemctl", "restart", "dnsmasq"]).'
            )
        fault = self._came_up(before)
        if not fault:
            try:
                write_atomically(self.last_good / self.conf.name, self.conf.read_bytes())
            except OSError as error:
                log.warning('the good configuration was not kept', error=str(error))
            return
        good = self.last_good / self.conf.name
        if not good.exists():
            raise ApplyError(
                f'dnsmasq did not come up with its first configuration: {fault} There is no earlier one to put back. '
                'See its own log, and correct what it says.'
            )
        try:
            kept = good.read_bytes()
            refused = self.conf.read_bytes()
            self._write(self.conf, kept.decode('utf-8', 'surrogateescape'))
            write_atomically(self.last_good / 'refused.conf', refused)
        except OSError as error:
            raise ApplyError(
                f'dnsmasq did not come up with the new configuration: {fault} The last good one could not be put back '
                f'either: {error}. Copy {good} to {self.conf} and start dnsmasq.'
            ) from error
        again = self._came_up(self._process.identity())
        if again:
            raise ApplyError(
                f'dnsmasq did not come up with the new configuration: {fault} The last good one was put back, and it '
                f'does not come up with that either: {again} Look at its log: nobody is served.'
            )
        # The hosts and options in place are the new ones; dnsmasq has read them too.
        self.pending.unlink(missing_ok=True)
        raise ApplyError(
            f'dnsmasq did not come up with the new configuration: {fault} The last good one was put back and is '
            f'served; the other is in {self.last_good / "refused.conf"}. Look at its log.'
        )

    def _came_up(self, before: str) -> str:
        """Restart, and '' if it is there, else what happened."""
        self._restarted = self._clock()
        try:
            self._run(self._own.restart)
        except (OSError, subprocess.SubprocessError) as error:
            return f'{words_of(error)}.'
        wanted = {67} if b'dhcp-range' in self.conf.read_bytes() else set()
        fault = self._process.came_up(before, wanted, self._own.start_timeout)
        self._restarted = self._clock()
        return fault

    @staticmethod
    def _run(command: Sequence[str]) -> None:
        subprocess.run(
            list(command), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=120, encoding='utf-8', errors='replace',
        )  # fmt: skip

    # --- the daemon's own checker

    def _refuse_bad(self, work: _Work) -> None:
        refusal = self._tried({}, work)
        if refusal is not None:
            where = f' ({refusal.source}: {refusal.key})' if refusal.key else ''
            raise ApplyError(
                f'dnsmasq refuses the new configuration: {refusal.words}{where}. Nothing was changed, and it serves '
                'what it had. If the words are about a line that somebody wrote by hand, correct that; else correct '
                'the object in NetBox.'
            )

    def _tried(self, hosts: Mapping[str, Block], work: _Work | None = None) -> Refusal | None:
        conf = (work.conf if work is not None else None) or {}
        options = (work.options if work is not None else None) or {}
        hand_written = Path(self._own.config)
        return self._checker.refusal(hand_written, self.conf.parent, conf, options, hosts)

    # --- verify and check

    def verify(self, view: View) -> Iterable[Problem]:
        if not self._process.identity():
            yield _of_service(
                f'dnsmasq does not run: {self._own.pid_file} names no process of that name.', 'Start it; see its log.'
            )
        elif untold := self._untold():
            yield _of_service(
                'dnsmasq runs with an earlier configuration.', f'It {untold[0].after} with the next plan.'
            )
        for path, known in sorted(self._memory.files.items()):
            if not path.exists():
                yield _of_service(f'{path} is gone.', 'It is written again.')
            elif _stamp(path) != known:
                yield _of_service(f'{path} was changed by somebody.', 'It is put right. Write into files of your own.')
        if self._memory.files:
            for path in self._strays():
                yield _of_service(f'{path} is not ours.', 'It is removed. Put it elsewhere.')

    def _remember(self) -> None:
        """What our files are like, now that they are as they should be."""
        self._memory.files = {path: _stamp(path) for path in self._our_files()}

    def check(self) -> Iterable[Finding]:
        yield from self._check_binary()
        yield from self._check_folder()
        yield from self._check_config()
        yield from self._check_daemon()

    def _check_binary(self) -> Iterator[Finding]:
        part = 'dnsmasq'
        try:
            said = subprocess.run(
                [self._own.binary, '--version'], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=10,
                encoding='utf-8', errors='replace', env={**os.environ, 'LC_ALL': 'C'},
            ).stdout  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            yield Finding(
                part, 'error', f'{self._own.binary} cannot be run: {words_of(error)}.',
                'Install it, or set dhcp.dnsmasq.binary.',
            )  # fmt: skip
            return
        found = _VERSION.search(said)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        if version < OLDEST:
            yield Finding(
                part, 'error', f'this is not dnsmasq {OLDEST[0]}.{OLDEST[1]} or newer.', 'Install a newer one.'
            )  # fmt: skip
            return
        abilities = said.partition('Compile time options:')[2].split()
        for ability in ('DHCP', 'inotify'):
            if ability not in abilities:
                yield Finding(part, 'error', f'it was built without {ability}.', 'Install another build.')
        if 'DHCPv6' not in abilities:
            yield Finding(part, 'warning', 'it was built without DHCPv6.', 'Install another build if you need it.')
        yield Finding(part, 'ok', f'dnsmasq {version[0]}.{version[1]}')

    def _check_folder(self) -> Iterator[Finding]:
        part = 'dnsmasq folder'
        above = self.folder if self.folder.exists() else self.folder.parent
        if not os.access(above, os.W_OK | os.X_OK):
            yield Finding(
                part, 'error', f'{self.folder} cannot be written.',
                f'install -d -o substruct {self.folder}, or set dhcp.dnsmasq.directory.',
            )  # fmt: skip
        else:
            yield Finding(part, 'ok', f'{self.folder} can be written')

    def _check_config(self) -> Iterator[Finding]:
        part = 'dnsmasq configuration'
        path = Path(self._own.config)
        try:
            files = dict(included(path))
        except OSError as error:
            yield Finding(
                part, 'error', f'{path} cannot be read: {error.strerror}.',
                'Let the sidecar read it, or set dhcp.dnsmasq.config.',
            )  # fmt: skip
            return
        rows = [(name, row.strip()) for name, text in files.items() for row in text.splitlines()]
        if not any(reads(row, self.conf.parent) for _, row in rows):
            yield Finding(
                part, 'error', f'{path} does not read {self.conf.parent}.', f'Add the line: {self.line_to_add}'
            )
        else:
            yield Finding(part, 'ok', f'{path} reads {self.conf.parent}')
        for name, row in rows:
            if re.match(r'(dhcp-boot|pxe-service|pxe-prompt)\s*=(?!\s*(tag|net):)', row):
                yield Finding(
                    part, 'warning', f'"{row[:60]}" in {name} holds for machines of Substruct that boot nothing, too.',
                    'Give it a tag.',
                )  # fmt: skip
        if (refusal := self._tried({})) is not None:
            yield Finding(part, 'error', f'dnsmasq refuses it: {refusal.words}.', 'Correct it.')

    def _check_daemon(self) -> Iterator[Finding]:
        part = 'dnsmasq daemon'
        if not self._process.identity():
            yield Finding(
                part, 'warning', f'it does not run, or {self._own.pid_file} is not its pid file.',
                'Start it, or set dhcp.dnsmasq.pid_file.',
            )  # fmt: skip
        elif not self._own.reload and not self._process.may_signal():
            yield Finding(
                part, 'error', 'the sidecar may not send it signals.',
                'Set dhcp.dnsmasq.reload to a command that may, or give the sidecar CAP_KILL.',
            )  # fmt: skip
        else:
            yield Finding(part, 'ok', 'it runs')
        if not self._own.restart:
            yield Finding(
                part, 'warning', 'a new subnet needs a restart, and no command is known for it.',
                'Set dhcp.dnsmasq.restart, for example to ["systemctl", "restart", "dnsmasq"].',
            )  # fmt: skip

    @property
    def line_to_add(self) -> str:
        """What must stand in the hand-written configuration."""
        return f'conf-dir={self.conf.parent}/,*.conf'

    # --- our files

    def _read(self, path: Path) -> Blocks:
        try:
            return syntax.read(path.read_text('utf-8', 'surrogateescape'))
        except FileNotFoundError:
            return {}

    def _host_files(self) -> list[Path]:
        return [path for path in listed(self.hosts) if _is_hosts(path.name)]

    def _live_files(self) -> list[Path]:
        return [path for path in listed(self.live) if _HOST_KEY.match(path.name.removesuffix('.hosts'))]

    def _our_files(self) -> Iterator[Path]:
        for path in (self.conf, self.options):
            if path.exists():
                yield path
        yield from self._host_files()
        yield from self._live_files()

    def _strays(self) -> Iterator[Path]:
        """Files that dnsmasq reads, or would, out of folders that are ours, and that are not ours."""
        ours = set(self._our_files())
        for folder in (self.conf.parent, self.options.parent, self.hosts, self.live):
            for path in listed(folder):
                if path not in ours and path.is_file():
                    yield path

    def _count(self) -> int:
        """How many blocks there are, without reading all of them each time."""
        if self._memory.hosts is None:
            self._memory.hosts = sum(len(self._read(path)) for path in self._host_files())
        return self._memory.hosts + len(self._read(self.conf)) + len(self._read(self.options))


def _is_hosts(name: str) -> bool:
    return re.fullmatch(r'[0-9]{5,}\.hosts', name) is not None


def _file_of(key: str) -> str:
    return f'{_machine_of(key) // PER_FILE:05}.hosts'


def _machine_of(key: str) -> int:
    found = _HOST_KEY.match(key)
    return int(found[1]) if found else 0


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _compared(part: Part, before: Mapping[str, Block], after: Mapping[str, Block]) -> Iterator[_Target]:
    for old, new in syntax.difference(before, after):
        key = new.key if new is not None else next(key for key, found in before.items() if found is old)
        yield _Target(part, key, old, new)


def _change(target: _Target) -> Change:
    if target.stray is not None:
        return Change('remove', str(target.stray), 'a file that is not ours', payload=target)
    shown = target.after or target.before
    assert shown is not None
    operation: Operation = 'add' if target.before is None else 'remove' if target.after is None else 'change'
    before, after = _shown(target.before), _shown(target.after)
    if target.part == 'hosts':
        return Change(operation, target.key, before, after, shown.name, target)
    return Change(operation, f'{target.key} {shown.name}'.rstrip(), *_apart(before, after), payload=target)


def _shown(block: Block | None) -> str:
    return '\n'.join(block.lines) if block is not None else ''


def _apart(before: str, after: str) -> tuple[str, str]:
    """The lines that differ; where they are the same in another order, all of them."""
    old, new = before.splitlines(), after.splitlines()
    went = [row for row in old if row not in set(new)]
    came = [row for row in new if row not in set(old)]
    return ('\n'.join(went), '\n'.join(came)) if went or came else (before, after)


def _balance(targets: Iterable[_Target]) -> int:
    return sum((target.after is not None) - (target.before is not None) for target in targets)


def _of_service(message: str, remedy: str) -> Problem:
    return Problem('dhcp', 'service', 0, 'dhcp', message, remedy)


_CANNOT = (
    (
        'dnsmasq forgets and changes hosts only when it reads all of them again (SIGHUP), for which it needs time that '
        'grows with the square of their number: it is made for up to some ten thousand.'
    ),
    'A new or changed subnet, client class or boot server is a restart of dnsmasq, which takes a moment.',
    'An address that is moved to another machine is given to it only when the lease of the first has ended.',
    (
        'A circuit id gives a machine its address, name and boot chain, but each change of one is a restart, and a '
        'machine that takes the place of another on the same port waits until the lease of the first has ended.'
    ),
    'A machine with several DHCP client identifiers has its reserved IPv4 address by the first of them.',
    'A host name that looks like a time ("12", "30m") is not sent.',
    'Lease times below two minutes become two minutes.',
    'DHCPv6 is served in prefixes of length 64 or more only.',
    (
        'UEFI HTTP boot over DHCPv6 is not answered: dnsmasq cannot send the vendor class that firmware wants back. '
        'Over DHCPv4 it is.'
    ),
    'Options whose values dnsmasq writes in its own way (addresses, text, domain names) cannot hold other bytes.',
    'Of several subnets on one link, dnsmasq must have an address in each, or know the address of a relay in one.',
)

_CANNOT_PROXY = (
    'A proxy gives no addresses, host names and options: the other DHCP server does.',
    (
        'A proxy is not heard by clients for UEFI HTTP boot (HTTPClient): dnsmasq answers PXEClient only. '
        'Set these machines to PXE.'
    ),
    'A proxy does not serve DHCPv6.',
    'A proxy knows machines by MAC address and client identifier, not by circuit id.',
    (
        'A proxy has 127 bytes for what a machine boots: with a long base URL the boot script is told less about the '
        'machine (never less than its MAC address).'
    ),
    'The other DHCP server must not name a boot file and next-server itself, or machines take those.',
    (
        'UEFI asks a proxy a second time, on UDP port 4011: a firewall must let that through, and a relay does not '
        'carry it, so that dnsmasq must be reachable by the machines themselves.'
    ),
    (
        'Firmware that waits for menus of PXE (option 43), and GRUB and shim, which ask only the DHCP server where '
        'they come from, may not find their way: give such machines full DHCP.'
    ),
)
