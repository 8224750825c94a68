"""What is to be done so that ISC dhcpd is as desired: our files compared with what is wanted, for one dhcpd.

Nothing is changed here.  The service (`isc`) asks a `Planner` for each dhcpd, with the hosts bucket by bucket, so that
they are never in memory together, and carries out the `Work` that comes of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from ..plan import Change, Operation
from . import clients, isc_syntax
from .isc_daemon import Daemon
from .isc_files import Damaged, Entry, Manifest, digest
from .isc_syntax import BUCKET, HostBlock, Live, SubnetBlock, Version
from .model import Desired, Host

LIVE_MOST = 1000
"""With more changes of hosts than this at once a restart is quicker: OMAPI does some hundred in a second."""


@dataclass(slots=True)
class Work:
    """What is to be done for one dhcpd.  `base` is the configuration that the plan started from.

    `hosts` has new contents by bucket (empty: the file goes); `remove` and `add` are what changes in the running dhcpd,
    where it can be changed live; `finish` are names of hosts that were in flight when somebody was killed.
    """

    version: Version
    base: str
    generation: int
    common: str | None = None
    subnets: tuple[str, int] | None = None
    hosts: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    add: list[Live] = field(default_factory=list)
    finish: list[str] = field(default_factory=list)
    restart: str = ''

    @property
    def fingerprint(self) -> str:
        """Names what it makes of the files, but for the names of new hosts, which are others each time."""
        own = _base36(self.generation)
        texts = [self.common or '', self.subnets[0] if self.subnets else '']
        texts += [text for _, (text, _) in sorted(self.hosts.items())]
        return digest('\0'.join(texts).replace(f'-{own}-', '--').replace(f' {own} ', '  '))


def of_hosts(planners: Sequence['Planner']) -> Iterator[Change]:
    """A host is one thing, whether one dhcpd knows it or both."""
    if len(planners) == 1:
        found: Mapping[str, list[HostChange]] = {key: [change] for key, change in planners[0].hosts.items()}
    else:
        both: dict[str, list[HostChange]] = {}
        for planner in planners:
            for key, change in planner.hosts.items():
                both.setdefault(key, []).append(change)
        found = both
    for key, changes in found.items():
        before = '\n'.join([change.before for change in changes if change.before])
        after = '\n'.join([change.after for change in changes if change.after])
        yield Change(_operation(before, after), f'host {key}', before, after, changes[0].machine)


def existing(planners: Sequence['Planner']) -> int:
    subnets = sum(planner.manifest.subnets.count for planner in planners if planner.manifest.subnets)
    return subnets + max((planner.manifest.count_hosts() for planner in planners), default=0)


def by_bucket(hosts: Iterable[Host]) -> Iterator[tuple[int, list[Host]]]:
    """Hosts come in the order of their machines' ids, so each bucket comes once."""
    for bucket, found in groupby(hosts, lambda host: host.machine // BUCKET):
        yield bucket, list(found)


class HostChange(NamedTuple):
    before: str
    after: str
    machine: str


class Planner:
    """Compares what is desired with our files, for one dhcpd.  `changes` are those of its configuration, `hosts` those
    of hosts by their key."""

    def __init__(self, daemon: Daemon, generation: int, loaded: str, flight: list[str]) -> None:
        self.changes: list[Change] = []
        self.hosts: dict[str, HostChange] = {}
        self._daemon = daemon
        self._version = daemon.version
        try:
            top = daemon.store.read_top()
        except OSError:
            top = ''
        self.manifest = daemon.store.manifest(top)
        self.work = Work(daemon.version, digest(top or daemon.store.text(Manifest())), generation)
        self._generation = _base36(generation)
        self._damaged = ''
        self._flight = flight
        self._operations = 0
        self._is_loaded = loaded == digest(top)
        if not self._is_loaded and not flight:
            self.work.restart = f'dhcpd (IPv{daemon.version}) is restarted'
        # Without a configuration that can be compared, a change of one machine is not all that is to be done.
        self.needs_all = not self.manifest.common or not self._is_loaded

    def _read(self, entry: Entry | None) -> str:
        if entry is None:
            return ''
        try:
            return self._daemon.store.read(entry)
        except Damaged as error:
            self._damaged = str(error)
            return ''

    def configuration(self, table: Sequence[clients.ClientClass], desired: Desired) -> None:
        """Options, classes and subnets."""
        mine = [subnet for subnet in desired.subnets.values() if subnet.prefix.version == self._version]
        if self._version == 4:
            common, texts = isc_syntax.globals4(table, mine), isc_syntax.subnets4(mine)
        else:
            common, texts = isc_syntax.globals6(table, mine), isc_syntax.subnets6(mine)
        old = _without_head(self._read(self.manifest.common))
        subnets = isc_syntax.read_subnets(self._read(self.manifest.subnets))
        if old != common:
            self._changed(_operation(old, common), f'client classes (IPv{self._version})', old, common)
            self.work.common = common
        blocks = {
            subnet.id: SubnetBlock(subnet.id, str(subnet.prefix), subnet.shared, texts[subnet.id]) for subnet in mine
        }
        differ = False
        for key in sorted(subnets.keys() | blocks.keys()):
            before, after = subnets.get(key), blocks.get(key)
            if before == after:
                continue
            differ = True
            old, new = str(before or ''), str(after or '')
            prefix = (after or before or _NOBODY).prefix
            self._changed(_operation(old, new), f'subnet {prefix}', old, new)
        if differ or self.manifest.subnets is None or self._damaged:
            text = isc_syntax.subnet_file(blocks.values())
            if not blocks and not self._daemon.declares_subnets():
                text = isc_syntax.no_subnet(self._version)
            self.work.subnets = text, len(blocks)
            if not differ:  # the file is not there or was changed by somebody
                self._changed('change', f'subnets (IPv{self._version})', '', 'the file is written again')
        if self.work.common is not None or self.work.subnets is not None:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'

    def _changed(self, operation: Operation, key: str, before: str, after: str) -> None:
        self.changes.append(Change(operation, key, before, after))

    def bucket(self, bucket: int, hosts: list[Host], only: frozenset[int] | None) -> None:
        """The hosts of one file; with `only`, those of these machines."""
        entry = self.manifest.hosts.get(bucket)
        existing: dict[str, HostBlock] = {}
        damaged = False
        if entry is not None:
            text = self._read(entry)
            damaged = not text
            existing = isc_syntax.read_hosts(text)
        write = isc_syntax.host4 if self._version == 4 else isc_syntax.host6
        blocks: list[HostBlock] = [] if only is None else [
            block for block in existing.values() if block.machine not in only
        ]  # fmt: skip
        unseen = {key for key, block in existing.items() if only is None or block.machine in only}
        differ = damaged
        for host in hosts:
            bodies = write(host)
            if not bodies:
                continue
            before = existing.get(host.key)
            unseen.discard(host.key)
            if before is not None and before.bodies == bodies:
                blocks.append(before)
                continue
            differ = True
            after = HostBlock(host.key, host.machine, host.machine_name, bodies, self._generation)
            blocks.append(after)
            self._host(before, after)
        for key in sorted(unseen):
            differ = True
            self._host(existing[key], None)
        if damaged:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
            if not hosts:
                self._changed('change', f'hosts {bucket * BUCKET} to {(bucket + 1) * BUCKET - 1}', '', self._damaged)
        if differ:
            blocks.sort(key=_order)
            self.work.hosts[bucket] = isc_syntax.host_file(blocks), len(blocks)

    def leave(self, visited: set[int]) -> None:
        """Files of hosts none of which is wanted any more."""
        for bucket in self.manifest.hosts.keys() - visited:
            self.bucket(bucket, [], None)

    def _host(self, before: HostBlock | None, after: HostBlock | None) -> None:
        block = after or before
        assert block is not None
        self.hosts[block.key] = HostChange(_shown(before), _shown(after), block.machine_name)
        if self.work.restart or self._operations > LIVE_MOST:
            return
        removed = before.names() if before else []
        added = [
            isc_syntax.live(name, body)
            for name, body in zip(after.names(), after.bodies.split('\n'), strict=True)
        ] if after else []  # fmt: skip
        self._operations += len(removed) + len(added)
        possible = [host for host in added if host is not None]
        known_by_more = before is not None and 'host-identifier' in before.bodies
        if not self._daemon.live or len(possible) < len(added) or known_by_more or self._operations > LIVE_MOST:
            self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
            return
        self.work.remove += removed
        self.work.add += possible

    def settle(self) -> None:
        """At the end: what was left half done by somebody who was killed."""
        if self._flight and not self.work.restart:
            if self._daemon.live:
                self.work.finish = self._flight
                words = 'live changes of hosts that were not finished'
            else:
                self.work.restart = f'dhcpd (IPv{self._version}) is restarted'
                words = 'hosts that were not finished'
            self._changed('change', f'dhcpd (IPv{self._version})', words, 'finished')
        elif not self.changes and not self.hosts and self.work.restart:
            self._changed(
                'change', f'dhcpd (IPv{self._version})', 'runs with an older configuration', 'runs with the present one'
            )


_NOBODY = SubnetBlock(0, '', '', '')


def _operation(before: str, after: str) -> Operation:
    return 'add' if not before else 'remove' if not after else 'change'


def _shown(block: HostBlock | None) -> str:
    if block is None:
        return ''
    stem = isc_syntax.name_stem(block.key)
    return '\n'.join([f'host {stem} {{ {body} }}' for body in block.bodies.split('\n')])


def _order(block: HostBlock) -> tuple[int, int]:
    return block.machine, int(block.key.rpartition('.')[2])


def _without_head(text: str) -> str:
    return text.partition('\n')[2]


def _base36(number: int) -> str:
    digits = ''
    while number:
        number, digit = divmod(number, 36)
        digits = '0123456789abcdefghijklmnopqrstuvwxyz'[digit] + digits
    return digits or '0'
