"""The steps of builds that this boot server sees for itself, and who is at which address.

Boot loaders and boot files are fetched without a token: the machine is known by the address from which it fetched its
script, or by the one that NetBox has for it.  Each step is told once for a build.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from ..claims import token_key
from ..desired import Build, Machine
from ..outbox import Message
from . import callbacks
from .reading import NoState, Reader
from .scripts import NotReady, Scripts

# Addresses of which it is remembered which build they belong to.
REMEMBERED = 16384


class Underway(msgspec.Struct, frozen=True):
    """A build, the digest of its token, and the names of its boot files."""

    build: Build
    digest: str
    files: frozenset[str]


def known_at(address: str, reader: Reader, scripts: Scripts) -> Underway | None:
    """The build under way of the machine that has this address in NetBox, if it is one."""
    try:
        holders = reader.at_address(address)
        machine = reader.machine(holders[0]) if len(holders) == 1 else None
        if machine is None or machine.build is None or machine.boot.action != 'build':
            return None
        return Underway(machine.build, token_key(machine.build.token), frozenset(scripts.files_of(machine.build)))
    except (NoState, NotReady, sqlite3.Error):
        return None


class Steps:
    """For one event loop.  `put` keeps a message durably."""

    def __init__(self, reader: Reader, scripts: Scripts, put: Callable[[Message], Awaitable[bool]]) -> None:
        self._reader = reader
        self._scripts = scripts
        self._put = put
        self._told: set[tuple[str, str]] = set()
        self._at: OrderedDict[str, Underway] = OrderedDict()

    async def tell(self, build: Build, digest: str, kind: str, words: str) -> None:
        """A step of a build; on disk when this returns."""
        if (digest, kind) not in self._told:
            await self._put(callbacks.step(build.id, digest, kind, words, time.time()))
            self._remember(digest, kind)

    async def note(self, build: Build, digest: str, words: str) -> None:
        """What people should see on the build's page; each wording once."""
        if (digest, words) not in self._told:
            await self._put(callbacks.note(build.id, digest, words, time.time()))
            self._remember(digest, words)

    def _remember(self, digest: str, what: str) -> None:
        # The key of a message makes it one; this only spares the writing.
        if len(self._told) > 4 * REMEMBERED:
            self._told.clear()
        self._told.add((digest, what))

    # ------------------------------------------------------------------ who is where

    def came(self, address: str, build: Build, digest: str) -> None:
        """The machine of a build has fetched its script from there."""
        had = self._at.get(address)
        if had is None or had.digest != digest:
            try:
                files = frozenset(self._scripts.files_of(build))
            except (NoState, NotReady):
                files = frozenset()
            self._at[address] = Underway(build, digest, files)
        self._at.move_to_end(address)
        if len(self._at) > REMEMBERED:
            self._at.popitem(last=False)

    def left(self, address: str) -> None:
        """Whoever is there now was given something else than a build: what it fetches is no step of the one before."""
        self._at.pop(address, None)

    def is_at(self, machine: Machine, digest: str, address: str) -> bool:
        if (known := self._at.get(address)) is not None and known.digest == digest:
            return True
        return any(
            found.address.partition('/')[0] == address
            for interface in machine.interfaces
            for found in interface.addresses
        )

    async def loader(self, address: str, name: str) -> None:
        """A boot loader was asked for."""
        found = known_at(address, self._reader, self._scripts)
        if found is not None:
            await self.tell(found.build, found.digest, 'loader-fetched', loader_words(name, address, 'HTTP'))

    async def file(self, address: str, name: str) -> None:
        """A boot file was asked for, or one of the prospector (<architecture>/<name>)."""
        found = self._at.get(address) or known_at(address, self._reader, self._scripts)
        if found is None or (found.digest, 'kernel-fetched') in self._told:
            return
        if '/' not in name and name not in found.files:
            return
        if not self._reader.boots_its_disk(found.digest):
            await self.tell(found.build, found.digest, 'kernel-fetched', f'Boot files fetched from {address}')


def loader_words(name: str, address: str, protocol: str) -> str:
    return f'{name} fetched from {address} by {protocol}'
