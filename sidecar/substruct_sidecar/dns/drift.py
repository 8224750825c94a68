"""Finds what of ours is not at its server any more: a few names each time, whole zones where something has changed."""

import time
from collections.abc import Iterable
from itertools import islice

from ..ledger import Ledger
from ..settings import Rfc2136
from .keeper import Entry, Place, entry_of
from .server import Refused, Server

# How many of our records are asked for each time, for each zone.
SAMPLE = 20


class Drift:
    def __init__(self, settings: Rfc2136, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._sampled: dict[Place, str] = {}
        self._compared: dict[Place, tuple[int, float]] = {}

    def missing(self, place: Place, server: Server) -> list[Entry]:
        """Raises Refused and Unreachable."""
        serial = server.serial()
        now = time.monotonic()
        compared, at = self._compared.get(place, (-1, float('-inf')))
        if compared == serial:
            return []  # nobody has changed anything since everything was compared
        if not self._settings.transfer or now - at < self._settings.transfer_interval:
            return self._of_some(place, server)
        try:
            missing = self._of_all(place, server.everything())
        except Refused:
            missing = self._of_some(place, server)
            serial = -1
        self._compared[place] = (serial, now)
        return missing

    def _of_all(self, place: Place, there: Iterable[tuple[str, str, int, str]]) -> list[Entry]:
        ours = {(e.name, e.type, e.value): e for row in self._ledger.under(f'{place} ') if (e := entry_of(*row))}
        for name, type_, ttl, value in there:
            entry = ours.get((name, type_, value))
            if entry is not None and (entry.ttl == ttl or place.method == 'powerdns'):
                del ours[(name, type_, value)]
        return list(ours.values())

    def _of_some(self, place: Place, server: Server) -> list[Entry]:
        """Of the next few of our records, those that are not there: in the course of time it is the turn of all."""
        rows = list(islice(self._ledger.under(f'{place} ', self._sampled.get(place, '')), SAMPLE))
        self._sampled[place] = rows[-1][0] if len(rows) == SAMPLE else ''
        entries = [entry_of(*row) for row in rows]
        wanted: dict[str, set[str]] = {}
        for entry in entries:
            wanted.setdefault(entry.name, set()).add(entry.type)
        found = server.read(wanted)
        return [
            entry
            for entry in entries
            if entry.value not in found.get(entry.name, {}).get(entry.type, (0, frozenset()))[1]
        ]
