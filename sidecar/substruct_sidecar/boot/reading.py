"""What the servers that machines talk to read: the desired state, and what has ended here, as they are right now.

One process reads while the agent writes.  Lookups go by an index, so an answer costs the same with a hundred machines
and with a hundred thousand; what is asked all the time (scripts, subnets) is kept until the state changes.  For one
thread.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import msgspec

from ..claims import token_key
from ..desired import Boot, Machine, Subnet
from ..outbox import Outbox, Outcome
from ..state import About, View

# How often it is checked whether the state was moved away and begun anew, in seconds.
_LOOK = 1.0


class NoState(Exception):
    """There is no desired state yet: this boot server has never reached NetBox."""


class Reader:
    """`revision` names the state; what was worked out for one revision holds until there is another."""

    def __init__(self, state: Path, outbox: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = state
        self._outbox = Outbox(outbox)
        self._clock = clock
        self._view: View | None = None
        self._inode = 0
        self._looked = -_LOOK
        self._version = -1
        self._about: About | None = None
        self._taken = 0.0
        self._scripts: dict[tuple[str, str], str] = {}
        self._subnets = _Subnets()
        self._known = -1  # the revision at which scripts and subnets were read

    def close(self) -> None:
        if self._view is not None:
            self._view.close()
        self._outbox.close()

    # ------------------------------------------------------------------ the desired state

    def about(self) -> About:
        """Where the state comes from: the same object for as long as it is the same state.  Raises NoState."""
        self._refresh()
        if self._about is None:
            raise NoState('There is no desired state yet: this boot server has not reached NetBox so far.')
        return self._about

    def revision(self) -> int:
        return self.about().revision

    def taken(self) -> float:
        """When NetBox was last heard, in seconds since 1970.  Raises NoState."""
        self.about()
        return self._taken

    def machine(self, key: int) -> Machine | None:
        """A machine with what it boots now: its own disk, if its build has ended here."""
        found = self._open().object('machine', key)
        return self._as_it_boots(found) if found is not None else None

    def holders(self, kind: str, value: str) -> list[int]:
        return self._open().meant_by(kind, value)

    def at_address(self, address: str) -> list[int]:
        return self._open().at_address(address)

    def view(self) -> View:
        return self._open()

    def script(self, name: str, variant: str) -> str | None:
        """A script of the feed, the one for all variants where there is none for this one."""
        self._read()
        return self._scripts.get((name, variant)) or self._scripts.get((name, ''))

    def subnets_of(self, address: str) -> list[Subnet]:
        """The most specific subnets that hold an address: several only if VRFs use the same prefix."""
        self._read()
        return self._subnets.holding(address)

    # ------------------------------------------------------------------ what has ended here

    def outcome(self, digest: str) -> Outcome | None:
        return self._outbox.outcome(digest)

    def boots_its_disk(self, digest: str) -> bool:
        """Whether the machine of a build boots its own disk: the build has ended here, or goes on from there."""
        return self._outbox.boots_its_disk(digest)

    def is_former(self, digest: str) -> bool:
        """Whether a token's build was taken away or replaced by NetBox."""
        return self._open().is_former(digest)

    def last_served_once(self, machine: int, action: str) -> float | None:
        """When that was, in seconds since 1970; None if it is not known."""
        return self._outbox.last_served_once(machine, action)

    def was_served_once(self, machine: int, action: str) -> bool:
        return self._outbox.was_served_once(machine, action)

    def waiting(self) -> tuple[int, float | None]:
        """How many messages wait for NetBox, and since when (seconds since 1970)."""
        depth = self._outbox.depth()
        return depth.waiting, depth.oldest

    def _as_it_boots(self, machine: Machine) -> Machine:
        if machine.boot.action != 'build' or machine.build is None:
            return machine
        digest = token_key(machine.build.token)
        if not self._outbox.boots_its_disk(digest):
            return machine
        reason = (
            f'Build #{machine.build.id} has ended: its own disk.'
            if self._outbox.outcome(digest) is not None
            else f'Build #{machine.build.id} has written its disk: its own disk, where it goes on.'
        )
        return msgspec.structs.replace(
            machine, boot=Boot(action='local', reason=reason, local_method=machine.boot.local_method)
        )

    # ------------------------------------------------------------------ keeping up

    def _open(self) -> View:
        now = self._clock()
        if self._view is not None and now - self._looked < _LOOK:
            return self._view
        self._looked = now
        try:
            inode = os.stat(self._path).st_ino
        except FileNotFoundError:
            inode = 0
        if self._view is not None and inode == self._inode:
            return self._view
        if self._view is not None:
            self._view.close()
            self._view = None
        self._version = self._known = -1
        self._about = None
        if not inode:
            raise NoState('There is no desired state yet: this boot server has not reached NetBox so far.')
        try:
            self._view = View(self._path)
            self._view.about()
        except sqlite3.OperationalError as error:
            # The agent is making it right now.
            if self._view is not None:
                self._view.close()
                self._view = None
            raise NoState(f'The desired state cannot be read: {error}.') from error
        self._inode = inode
        return self._view

    def _refresh(self) -> None:
        view = self._open()
        version = view.data_version()
        if version != self._version:
            about = view.about()
            # NetBox says again and again that nothing has changed; what was worked out then still holds.
            if self._about is None or about is None or _but_for_its_age(about) != _but_for_its_age(self._about):
                self._about = about
            self._taken = about.taken if about is not None else 0.0
            self._version = version

    def _read(self) -> None:
        revision = self.revision()
        if revision == self._known:
            return
        view = self._open()
        changed = view.changed(self._known) if 0 <= self._known < revision else None
        if changed is None or changed.of('script'):
            self._scripts = {(script.name, script.variant): script.content for script in view.objects('script')}
        if changed is None or changed.of('subnet'):
            self._subnets = _Subnets(view.objects('subnet'))
        self._known = revision


def _but_for_its_age(about: About) -> tuple[int, str, int, str]:
    return about.revision, about.base_url, about.boot_server_id, about.boot_server


class _Subnets:
    """Longest prefix first: as many lookups as there are prefix lengths."""

    def __init__(self, subnets: Iterable[Subnet] = ()) -> None:
        self._by_length: dict[tuple[int, int], dict[IPv4Network | IPv6Network, list[Subnet]]] = {}
        for subnet in subnets:
            try:
                network = ip_network(subnet.prefix, strict=False)
            except ValueError:
                continue
            at = self._by_length.setdefault((network.version, network.prefixlen), {})
            at.setdefault(network, []).append(subnet)
        self._order = sorted(self._by_length, reverse=True)

    def holding(self, address: str) -> list[Subnet]:
        try:
            wanted: IPv4Address | IPv6Address = ip_address(address)
        except ValueError:
            return []
        for version, length in self._order:
            if version == wanted.version:
                found = self._by_length[version, length].get(ip_network((wanted, length), strict=False))
                if found:
                    return found
        return []
