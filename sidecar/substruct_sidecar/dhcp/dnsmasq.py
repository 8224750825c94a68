"""dnsmasq: configuration, hosts and options in files of Substruct's own, and the daemon told of them.

dnsmasq adds the hosts of a new file at once (dhcp-hostsdir), but forgets and changes nothing before SIGHUP: it refuses
a second line with an address that it has.  So hosts that are new go into such files, and everything else is SIGHUP,
or a restart where it is about more than hosts and options.

dnsmasq 2.86 to 2.90 die of SIGHUP if a host that they read from such files has a tag and has asked for an address
(bugs.launchpad.net/bugs/2026757).  For them the hosts are part of the configuration, where SIGHUP does no harm, and
every change is a restart.

The files are the record of what was applied: a plan compares with them, and there is no other (`dnsmasq_store` has
them).  The file `pending` is written before anything is changed and removed when dnsmasq has been told, so that a
sidecar that is killed in between does it when it is there again.  What is written is decided in `dnsmasq_config`, and
how, in `dnsmasq_syntax`; both are pure.
"""

import hashlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

import structlog

from ..files import write_atomically
from ..ledger import Ledger
from ..plan import Change, Operation, Plan, Problem
from ..secrets import Secrets
from ..service import ApplyError, Finding
from ..settings import Dnsmasq as DnsmasqSettings
from ..settings import Settings
from ..state import Changed, View
from . import dnsmasq_check as checking
from . import dnsmasq_config as config
from . import dnsmasq_leases as leases
from . import dnsmasq_syntax as syntax
from .clients import table
from .derive import Deriver
from .dnsmasq_handwritten import Checker, Refusal, included, words_of
from .dnsmasq_process import Process
from .dnsmasq_store import Blocks, Store, machine_of, number_of
from .dnsmasq_syntax import Block, Unsayable
from .model import Host
from .patience import Patience

log = structlog.get_logger('dhcp')

# How many hosts may be in live/ before SIGHUP gathers them.
LIVE = 200

# Beyond this share of its time dnsmasq is not kept busy with reading its hosts again.
RELOADING = 0.2

type Part = Literal['conf', 'options', 'hosts', 'lease']
type Telling = Literal['restart', 'reload', 'nothing']


def build(settings: Settings, secrets: Secrets, ledger: Ledger) -> 'Dnsmasq':
    """The service.  dnsmasq needs no secrets, and its files are the record of what was applied."""
    return Dnsmasq(settings, ledger)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a change is about: one block of one of our files; `after` is None for one that goes.  With `stray`, a file
    that is not ours in a folder that is; with `telling`, nothing but that dnsmasq is told; with `lease`, only that."""

    part: Part
    key: str = ''
    before: Block | None = None
    after: Block | None = None
    stray: Path | None = None
    telling: Telling = 'nothing'
    lease: leases.Lease | None = None
    machine: str = ''


@dataclass(frozen=True, slots=True)
class _Whole:
    """The payload of a full plan: everything that is in the two files that are written as a whole."""

    conf: Blocks
    options: Blocks


class Dnsmasq:
    """The service `dhcp` by dnsmasq.  In the ledger are addresses of names alone; `clock` and `sleep` are for tests."""

    name = 'dhcp'
    backend = 'dnsmasq'

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._own: DnsmasqSettings = settings.dhcp.dnsmasq
        self._deriver = Deriver(settings, ledger)
        self._classes = table(settings.dhcp.loaders)
        self._clock, self._sleep = clock, sleep
        self._program = checking.Program(self._own.binary)
        self._process = Process(Path(self._own.pid_file), Path(self._own.binary).name, sleep)
        self._checker = Checker(self._own.binary, settings.run_folder)
        folder, placed = Path(self._own.directory), syntax.tag(config.EVERY)
        self._stores = {how: Store(folder, reloads=how, placed=placed) for how in (True, False)}
        self._hosts: int | None = None  # how many there are in files, where that was counted
        self._restarted: float | None = None
        self._reloaded: tuple[float, float] | None = None  # when, and how long it took
        self._given_back: set[leases.Lease] = set()  # each once: one that stays is not in our power
        self._patience = Patience(clock)

    @property
    def store(self) -> Store:
        """Our files, as they suit this dnsmasq.  What it has died of once is not tried again."""
        if self._own.sighup != 'auto':
            return self._stores[self._own.sighup == 'yes']
        return self._stores[self._program.version >= checking.RELOADS and not self._stores[True].deadly.exists()]

    @property
    def line_to_add(self) -> str:
        """What must stand in the hand-written configuration."""
        return f'conf-dir={self.store.conf.parent}/,*.conf'

    def cannot(self) -> Sequence[str]:
        return checking.cannot(reloads=self.store.reloads, proxy=self._own.proxy)

    def check(self) -> Iterable[Finding]:
        return checking.findings(
            self._own, self._program, self.store, self._process, self._checker, self.line_to_add
        )  # fmt: skip

    # --- plan

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        store = self.store
        desired = self._deriver.desired(view, changed)
        if desired.machines is not None:
            problems: list[Problem] = []
            targets = self._of_machines(store, desired.hosts, desired.machines, problems)
            if targets is not None:
                changes = [_change(target) for target in targets]
                count = self._count(store)
                problems = [*desired.problems, *problems]
                return Plan('dhcp', changes, count, problems, self._disruption(store, targets), full=False)
            desired = self._deriver.desired(view)
        problems = []
        circuits: list[Host] = []
        wanted: dict[int, Blocks] = {}
        targets = []
        leased = self._leases()
        for host in desired.hosts:
            targets += self._in_the_way(host, leased)
            made = self._block(host, problems)
            if made is not None:
                wanted.setdefault(number_of(host.machine), {})[host.key] = made
            if host.of('circuit-id'):
                circuits.append(host)
        written = config.configuration(
            desired.subnets, self._classes, circuits,
            hosts=[str(store.hosts), str(store.live)] if store.reloads else [],
            options=str(store.options.parent), proxy=self._own.proxy,
        )  # fmt: skip
        conf, options = store.conf_blocks(), store.options_blocks()
        targets += [*_compared('conf', conf, written.conf), *_compared('options', options, written.options)]
        self._hosts = 0
        for number in sorted({*store.numbers(), *wanted}):
            before = store.host_blocks(number)
            self._hosts += len(before)
            targets += _compared('hosts', before, wanted.pop(number, {}))
        targets = self._acceptable(targets, problems)
        targets += [_Target('hosts', stray=path) for path in store.strays()]
        targets += self._untold(store)
        if not targets:
            store.remember()
        return Plan(
            'dhcp', [_change(target) for target in targets], self._hosts + len(conf) + len(options),
            [*desired.problems, *written.problems, *problems], self._disruption(store, targets),
            payload=_Whole(written.conf, written.options),
        )  # fmt: skip

    def _of_machines(
        self, store: Store, hosts: Iterable[Host], machines: frozenset[int], problems: list[Problem]
    ) -> list[_Target] | None:
        """What changes for some machines; None where everything must be looked at: what they need is in a file that is
        written as a whole, or what dnsmasq knows is not known."""
        conf = store.conf_blocks()
        if not conf or self._untold(store):
            return None
        if any(machine_of(key.removeprefix('circuit-')) in machines for key in conf if key.startswith('circuit-')):
            return None
        wanted: Blocks = {}
        for host in hosts:
            if host.of('circuit-id') and not self._own.proxy:
                return None
            made = self._block(host, problems)
            if made is not None:
                wanted[host.key] = made
        before: Blocks = {}
        for number in {number_of(machine) for machine in machines}:
            before |= {key: found for key, found in store.host_blocks(number).items() if machine_of(key) in machines}
        return self._acceptable(list(_compared('hosts', before, wanted)), problems)

    def _block(self, host: Host, problems: list[Problem]) -> Block | None:
        def problem(message: str, severity: Literal['warning', 'error']) -> None:
            problems.append(
                Problem('dhcp', 'machine', host.machine, host.machine_name, message, 'Change it in NetBox.', severity)
            )

        try:
            found = syntax.host_lines(
                host, boot_tag=config.BOOT, placed_tag=config.EVERY, addresses=not self._own.proxy
            )  # fmt: skip
        except Unsayable as error:
            problem(f'dnsmasq cannot serve it: {error}.', 'error')
            return None
        for words in found.unsaid:
            problem(words, 'warning')
        return syntax.block(host.key, host.machine_name, found.lines) if found.lines else None

    def _acceptable(self, targets: list[_Target], problems: list[Problem]) -> list[_Target]:
        """The targets, where hosts that dnsmasq refuses are without their addresses, about which problems tell: another
        host must not suffer for them, and that may be one which gets the address that they had.  The daemon's own
        parser reads them, together with what is written by hand."""
        new = {target.key: target.after for target in targets if target.part == 'hosts' and target.after is not None}
        refused: dict[str, Block | None] = {}
        while new:
            refusal = self._refusal({}, {}, new.values())
            if refusal is None or refusal.source != 'hosts' or refusal.key not in new:
                break  # nothing is wrong, or nothing that leaving out a host would mend: `apply` says so
            block = new.pop(refusal.key)
            if refusal.key in refused:
                refused[refusal.key] = None  # it was not for the addresses
                continue
            _, known = self.store.parted([block])
            refused[refusal.key] = known[0] if known else None
            if known:
                new[refusal.key] = known[0]
            message = f'dnsmasq does not take its lines: {refusal.words}.'
            remedy = f'Look whether {self._own.config}, or a file that it reads, has the same address.'
            problems.append(Problem('dhcp', 'machine', machine_of(refusal.key), block.name, message, remedy))
        found = []
        for target in targets:
            if target.part == 'hosts' and target.key in refused:
                target = replace(target, after=refused[target.key])
                if _lines(target.before) == _lines(target.after):
                    continue
            found.append(target)
        return found

    def _refusal(
        self, conf: Mapping[str, Block], options: Mapping[str, Block], hosts: Iterable[Block] = ()
    ) -> Refusal | None:
        placed, others = self.store.parted(hosts)
        ours = self.store.conf.parent
        return self._checker.refusal(Path(self._own.config), ours, conf.values(), options.values(), [*placed, *others])

    def _untold(self, store: Store) -> list[_Target]:
        """What is to be done although the files are as they should be."""
        telling: Telling = 'restart' if store.elsewhere() else store.untold(self._process.identity()) or 'nothing'
        return [] if telling == 'nothing' else [_Target('conf', telling=telling)]

    def _telling(self, store: Store, targets: Sequence[_Target]) -> Telling:
        """How dnsmasq is told of these changes."""
        if all(target.lease is not None for target in targets):
            return 'nothing'
        if not store.reloads or any(target.part == 'conf' and target.telling != 'reload' for target in targets):
            return 'restart'
        new = all(target.lease is not None or (target.after and not target.before) for target in targets)
        return 'nothing' if new and len(targets) + len(store.live_files()) <= LIVE else 'reload'

    def _disruption(self, store: Store, targets: Sequence[_Target]) -> str:
        return {
            'restart': 'dnsmasq is restarted',
            'reload': 'dnsmasq reads its hosts again (SIGHUP), and forgets the DNS answers that it keeps',
            'nothing': '',
        }[self._telling(store, targets)]

    def _count(self, store: Store) -> int:
        """How many blocks there are; hosts are counted once."""
        if self._hosts is None:
            self._hosts = sum(len(store.host_blocks(number)) for number in store.numbers())
        return self._hosts + len(store.conf_blocks()) + len(store.options_blocks())

    # --- apply

    def apply(self, plan: Plan) -> None:
        store = self.store
        targets = [change.payload for change in plan.changes if isinstance(change.payload, _Target)]
        telling = self._telling(store, targets)
        if telling == 'restart':
            self._wait(self._restarted, self._own.restart_interval)
        elif telling == 'reload' and self._reloaded is not None:
            when, took = self._reloaded
            self._wait(when, took / RELOADING)
        before = self._process.identity()
        hosts = [target for target in targets if target.part == 'hosts' and target.stray is None]
        counted, self._hosts = self._hosts, None
        whole = plan.payload if isinstance(plan.payload, _Whole) else None
        try:
            store.prepare()
            conf = self._candidate(store, hosts, whole, telling)
            store.mark('restart' if telling == 'restart' else 'reload', '')
            if store.reloads:
                store.write_hosts(_merged(store, hosts))
            for target in targets:
                if target.stray is not None:
                    target.stray.unlink(missing_ok=True)
            if whole is not None and any(target.part == 'options' for target in targets):
                store.write(store.options, syntax.written(whole.options.values()))
            if conf is not None:
                store.write_conf(conf)
            if telling == 'nothing':
                for target in hosts:
                    if target.after is not None:
                        store.write_live(target.key, target.after)
            else:
                store.gather()
            store.mark('restart' if telling == 'restart' else 'reload', before)
        except OSError as error:
            raise ApplyError(
                f'Files for dnsmasq could not be written: {words_of(error)}. It goes on with what it has read, and the '
                'rest is written with the next plan. Look whether the disk is full, and whether the sidecar may write '
                f'in {store.folder}.'
            ) from error
        if telling == 'restart':
            self._restart(store, before)
        elif telling == 'reload':
            self._reload(store)
        else:
            self._process.settle()
        self._free(targets)
        store.told()
        if counted is not None:
            self._hosts = counted + sum((target.after is not None) - (target.before is not None) for target in hosts)
        if plan.full or telling == 'restart':
            store.sweep()
        if plan.full:
            store.remember()

    # --- leases

    def _leases(self) -> dict[IPv4Address, leases.Lease]:
        """What dnsmasq has leased, as far as it can be known, but for what was given back before."""
        if self._own.proxy or not self._process.identity():
            return {}
        try:
            path = leases.file_of(text for _, text in included(Path(self._own.config)))
            return {lease.address: lease for lease in leases.read(path) if lease not in self._given_back}
        except OSError as error:
            log.debug('leases are not known', error=str(error))
            return {}

    def _in_the_way(self, host: Host, leased: Mapping[IPv4Address, leases.Lease]) -> Iterator[_Target]:
        """Leases that others have of a host's addresses."""
        for placement in host.placements:
            lease = leased.get(placement.address) if isinstance(placement.address, IPv4Address) else None
            if lease is not None and not lease.of({found.value for found in host.identifiers}):
                yield _Target('lease', str(lease.address), lease=lease, machine=host.machine_name)

    def _free(self, targets: Iterable[_Target]) -> None:
        """Give back the leases that others have of addresses that now belong to these hosts."""
        found = [(target.lease, target.machine) for target in targets if target.lease is not None]
        owners = {
            address: (names, target.after.name)
            for target in targets
            if target.part == 'hosts' and target.after is not None
            for address, names in syntax.owners(target.after).items()
        }
        if owners:
            for address, lease in self._leases().items():
                if address in owners and not lease.of(owners[address][0]):
                    found.append((lease, owners[address][1]))
        if not found or not self._process.identity():
            return
        for lease, machine in found:
            self._given_back.add(lease)
            try:
                leases.give_back(lease)
            except OSError as error:
                log.warning('a lease could not be given back', address=str(lease.address), error=str(error))
            else:
                log.info('lease given back', address=str(lease.address), mac=lease.mac, machine=machine)
        self._process.settle()

    def _candidate(self, store: Store, hosts: Sequence[_Target], whole: _Whole | None, telling: Telling) -> str | None:
        """The new configuration, which dnsmasq has read and takes; None where it stays as it is.  Files of hosts that
        it names are written: they hold only with it.  Raises ApplyError and OSError."""
        if telling != 'restart':
            return None
        naming = None if store.reloads else store.write_hosts(_merged(store, hosts))
        blocks = {**(whole.conf if whole is not None else store.conf_blocks())}
        if naming is not None:
            blocks[naming.key] = naming
        text = syntax.written(blocks.values())
        if self._process.identity():  # else nobody is served as it is
            self._patience.ask(_digest(text.encode('utf-8', 'surrogateescape')), 'dnsmasq')
        refusal = self._refusal(blocks, whole.options if whole is not None else {})
        if refusal is not None and not refusal.asked:
            raise ApplyError(
                f'The new configuration could not be checked by dnsmasq: {refusal.words}. Nothing was changed, and it '
                'serves what it had. Look whether the disk is full, and at dhcp.dnsmasq.binary.'
            )
        if refusal is not None:
            where = f' ({refusal.source} {refusal.key})'.replace(' )', ')') if refusal.source else ''
            raise ApplyError(
                f'dnsmasq refuses the new configuration: {refusal.words}{where}. Nothing was changed, and it serves '
                'what it had. If the words are about a line that somebody wrote by hand, correct that; else correct '
                'the object in NetBox.'
            )
        return text

    def _wait(self, last: float | None, interval: float) -> None:
        """A burst of changes becomes a few restarts: the first at once, the others when it is time."""
        if last is not None and (left := last + interval - self._clock()) > 0:
            log.info('waiting', reason='dnsmasq was told just now', seconds=round(left, 1))
            self._sleep(left)

    # --- telling the daemon

    def _reload(self, store: Store) -> None:
        began = self._clock()
        before = self._process.identity()
        if not before:
            log.warning('dnsmasq does not run', pid_file=self._own.pid_file)
            return  # it reads everything when it starts
        try:
            if self._own.reload:
                _run(self._own.reload, 60.0)
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
                f'dnsmasq could not be told to read its hosts again: {words_of(error)}. It serves what it had, and is '
                'told again with the next plan.'
            ) from error
        self._process.settle()
        now = self._clock()
        self._reloaded = (now, now - began)
        if self._process.identity() != before:
            self._died(store)

    def _died(self, store: Store) -> None:
        """It did not bear SIGHUP, against what its version says."""
        log.error('dnsmasq died of SIGHUP; from now on it is restarted instead', binary=self._own.binary)
        write_atomically(store.deadly, '')
        fault = self._came_up(store, '') if self._own.restart else 'dhcp.dnsmasq.restart names no command.'
        raise ApplyError(
            'dnsmasq died when it was told to read its hosts again (SIGHUP). From now on it is restarted instead, and '
            'its hosts go into other files with the next plan. '
            + (f'It could not be started: {fault}' if fault else 'It was started again, with everything new.')
        )

    def _restart(self, store: Store, before: str) -> None:
        """Restart it with the configuration that is in place, and put the last good one back if it does not come
        up."""
        if not self._own.restart:
            if not before:
                return  # it reads everything when it is started
            raise ApplyError(
                'The new configuration of dnsmasq was checked and is in place, but dnsmasq runs with the old one: it '
                'must be restarted, and dhcp.dnsmasq.restart names no command. Restart it by hand, or set it '
                '(["systemctl", "restart", "dnsmasq"]).'
            )
        fault = self._came_up(store, before)
        if not fault:
            self._patience.forget()
            try:
                write_atomically(store.good, store.conf.read_bytes())
            except OSError as error:
                log.warning('the good configuration was not kept', error=str(error))
            return
        failed = f'dnsmasq did not come up with the new configuration: {fault}'
        try:
            text = store.conf.read_bytes()
            self._patience.failed(_digest(text))
            good = store.good.read_bytes()
        except FileNotFoundError as error:
            raise ApplyError(
                f'{failed} There is no earlier one to put back. Look at its log, and correct what it says.'
            ) from error
        if good == text:
            raise ApplyError(f'{failed} It is the one with which it came up last. Look at its log: nobody is served.')
        try:
            write_atomically(store.refused, text)
            store.write_conf(good.decode('utf-8', 'surrogateescape'))
        except OSError as error:
            raise ApplyError(
                f'{failed} The last good one could not be put back either: {words_of(error)}. Copy {store.good} to '
                f'{store.conf} and start dnsmasq.'
            ) from error
        again = self._came_up(store, self._process.identity())
        if again:
            raise ApplyError(
                f'{failed} The last good one was put back, and it does not come up with that either: {again} Look at '
                'its log: nobody is served.'
            )
        store.told()
        raise ApplyError(
            f'{failed} The last good one was put back and is served; the other is in {store.refused}. Look at the log '
            'of dnsmasq.'
        )

    def _came_up(self, store: Store, before: str) -> str:
        """Restart it; '' if it is there, else what happened."""
        try:
            # It may read all its hosts before it goes into the background.
            _run(self._own.restart, max(60.0, self._own.start_timeout))
        except (OSError, subprocess.SubprocessError) as error:
            return f'{words_of(error)}.'
        finally:
            self._restarted = self._clock()
        ports = _ports(store)
        fault = self._process.came_up(before, ports, self._own.start_timeout)
        self._restarted = self._clock()
        return fault

    def retry(self) -> None:
        self._patience.forget()

    # --- verify

    def verify(self, view: View) -> Iterable[Problem]:
        store = self.store
        daemon = self._process.identity()
        if not daemon:
            yield _of_service(
                f'dnsmasq does not run: {self._own.pid_file} names no process of that name.', 'Start it; see its log.'
            )
        elif store.untold(daemon) == 'restart':
            yield _of_service('dnsmasq runs with an earlier configuration.', 'It must be restarted.')
        elif store.untold(daemon):
            yield _of_service('dnsmasq has earlier hosts.', 'It is told with the next plan.')
        for path, there in store.touched():
            if there:
                words = f'{path} was changed by somebody.'
                yield _of_service(words, 'It is put right with the next plan. Write into files of your own.')
            else:
                yield _of_service(f'{path} is gone.', 'It is written again with the next plan.')
        if store.remembers:
            for path in store.strays():
                yield _of_service(f'{path} is not ours.', 'It is removed with the next plan. Put it elsewhere.')


def _lines(block: Block | None) -> tuple[str, ...]:
    return block.lines if block is not None else ()


def _merged(store: Store, targets: Iterable[_Target]) -> dict[int, Blocks]:
    """The files of hosts that change, as they will be, by number."""
    files: dict[int, Blocks] = {}
    for target in targets:
        number = number_of(machine_of(target.key))
        if number not in files:
            files[number] = store.host_blocks(number)
        files[number].pop(target.key, None)
        if target.after is not None:
            files[number][target.key] = target.after
    return files


def _ports(store: Store) -> set[int]:
    """The UDP ports of which one must be in use when it is there."""
    rows = [row for block in store.conf_blocks().values() for row in block.lines if row.startswith('dhcp-range=')]
    return {67, 547} if rows else set()


def _run(command: Sequence[str], seconds: float) -> None:
    subprocess.run(
        list(command), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        timeout=seconds, encoding='utf-8', errors='replace',
    )  # fmt: skip


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _compared(part: Part, before: Mapping[str, Block], after: Mapping[str, Block]) -> Iterator[_Target]:
    for key, old, new in syntax.difference(before, after):
        yield _Target(part, key, old, new)


def _change(target: _Target) -> Change:
    if target.stray is not None:
        return Change('remove', str(target.stray), 'a file that is not ours', payload=target)
    if target.lease is not None:
        words = f'leased to {target.lease.mac}', f'given back, for it belongs to {target.machine}'
        return Change('change', f'lease {target.key}', *words, target.machine, target)
    if target.telling != 'nothing':
        how = 'is restarted' if target.telling == 'restart' else 'reads its hosts again'
        return Change('change', 'dnsmasq', 'has not been told of an earlier change', how, payload=target)
    shown = target.after or target.before
    assert shown is not None
    operation: Operation = 'add' if target.before is None else 'remove' if target.after is None else 'change'
    before = '\n'.join(target.before.lines) if target.before is not None else ''
    after = '\n'.join(target.after.lines) if target.after is not None else ''
    if target.part == 'hosts':
        return Change(operation, target.key, before, after, shown.name, target)
    return Change(operation, f'{target.key} {shown.name}'.rstrip(), *_apart(before, after), payload=target)


def _apart(before: str, after: str) -> tuple[str, str]:
    """The lines that differ; where they are the same in another order, all of them."""
    old, new = before.splitlines(), after.splitlines()
    went = [row for row in old if row not in set(new)]
    came = [row for row in new if row not in set(old)]
    return ('\n'.join(went), '\n'.join(came)) if went or came else (before, after)


def _of_service(message: str, remedy: str) -> Problem:
    return Problem('dhcp', 'service', 0, 'dhcp', message, remedy)
