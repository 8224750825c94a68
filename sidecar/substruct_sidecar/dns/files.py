"""Zones that are whole files: planned, published, watched and checked; the files themselves are zonefile.py's."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ..desired import Zone
from ..files import write_atomically
from ..ledger import Ledger
from ..plan import Change, Problem
from ..service import Finding
from ..settings import Dns as DnsSettings
from . import zonefile
from .building import Building, FilePlan, file_changes, zone_problem
from .derive import SERVICE, Derived, contents, lines_of
from .presentation import Unusable, plain
from .rfc2136 import DnsServer
from .server import Refused, Unreachable


class ZoneFiles:
    """`clock` gives the time in seconds since 1970, for the first serial number of a zone.  `reload` has the ids of the
    zones that are to be loaded again."""

    def __init__(self, settings: DnsSettings, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._ledger = ledger
        self.clock = clock
        self.reload: set[int] = set()

    def plan(self, zone: Zone, derived: Derived, build: Building) -> None:
        directory = Path(self._settings.zonefile.directory)
        path = directory / zonefile.file_name(zone.name)
        include = zonefile.include_path(directory, zone.name)
        lines: list[str] = []
        for name, content, problems in contents(derived, zone.id):
            build.problems.extend(problems)
            lines.extend(lines_of(name, content))
        try:
            body = zonefile.body_of(zone, lines)
            extra = include.read_bytes() if include.exists() else None
            digest = zonefile.digest_of(zone, body, extra)
            old = zonefile.read(path)
        except Unusable as error:
            build.problems.append(zone_problem(zone, str(error), 'Correct the zone in NetBox.'))
            return
        except zonefile.FileError as error:
            build.problems.append(zone_problem(zone, str(error), ''))
            return
        except OSError as error:
            build.problems.append(zone_problem(zone, f'{include} cannot be read ({error.strerror}).', ''))
            return
        build.lines += old.body.count('\n') if old else 0
        loaded = self._ledger.mark(f'loaded {plain(zone.name)}')
        label = f'zone {plain(zone.name)}'
        if old is None or old.digest != digest or not old.intact:
            before = len(build.changes)
            build.changes.extend(file_changes(zone, old.body if old else '', body))
            if len(build.changes) == before:
                what = 'SOA or included records' if old and old.intact else 'edited by hand: written anew'
                build.changes.append(Change('change', label, after=what))
            build.payload.files.append(FilePlan(zone, body, digest, include if extra is not None else None, True))
        elif loaded != str(old.serial) or zone.id in self.reload:
            build.changes.append(Change('change', label, after=f'; loaded again (serial {old.serial})'))
            build.payload.files.append(FilePlan(zone, body, digest, include if extra is not None else None, False))

    def left(self, zones: list[Zone]) -> Iterator[Problem]:
        """The files of zones that are kept here no longer."""
        files = {key for key, _, _ in self._ledger.under('file ')}
        for zone in zones:
            files.discard(f'file {plain(zone.name)}' if zone.update_method == 'zonefile' else '')
        for key in sorted(files):
            row = self._ledger.get(key)
            path = Path(row[1]) if row else Path()
            if path.exists():
                yield Problem(
                    SERVICE, 'zone', int((row or ('zone 0', ''))[0].split()[1]), key.removeprefix('file '),
                    f'It is no longer kept here, but its file {path} is still there.',
                    'Remove the zone from the name server’s configuration, then the file.', 'warning',
                )  # fmt: skip

    def publish(self, wanted: FilePlan) -> None:
        zone = wanted.zone
        name = plain(zone.name)
        directory = Path(self._settings.zonefile.directory)
        path = directory / zonefile.file_name(zone.name)
        commands = self._commands(zone)
        old = zonefile.read(path)
        if not wanted.write:
            assert old is not None
            commands.reloaded(name, old.serial)
            self._ledger.write((), (), **{f'loaded {name}': str(old.serial)})
            return
        noted = self._ledger.mark(f'serial {name}')
        try:
            served = commands.serial()
        except zonefile.FileError:
            served = None  # it may not have the zone yet
        known = (old.serial if old else None, int(noted) if noted else None, served)
        serial = zonefile.next_serial(known, self.clock())
        # Before anybody can see it: a serial number that was once out is never given again.
        self._ledger.write([(f'file {name}', f'zone {zone.id}', str(path))], (), **{f'serial {name}': str(serial)})
        text = zonefile.text_of(zone, wanted.body, serial, wanted.digest, wanted.include)
        zonefile.publish(path, text, name, serial, commands)
        self._ledger.write((), (), **{f'loaded {name}': str(serial)})

    def verify(self, zone: Zone) -> Iterator[Problem]:
        path = Path(self._settings.zonefile.directory) / zonefile.file_name(zone.name)
        try:
            file = zonefile.read(path)
            if file is None or self._ledger.mark(f'loaded {plain(zone.name)}') is None:
                return  # the plan makes it
            if not file.intact:
                yield zone_problem(zone, f'{path} was edited by hand.', 'It is written anew.', 'warning')
            served = self._commands(zone).serial()
        except zonefile.FileError as error:
            self.reload.add(zone.id)
            yield zone_problem(zone, str(error), 'Look into the name server’s log and configuration.')
            return
        if served is not None and served != file.serial:
            self.reload.add(zone.id)
            yield zone_problem(
                zone, f'Serial {served} is served instead of {file.serial}.', 'It is loaded again.', 'warning'
            )

    def check(self) -> Iterator[Finding]:
        settings = self._settings.zonefile
        directory = Path(settings.directory)
        try:
            write_atomically(directory / '.substruct-check', b'')
            os.unlink(directory / '.substruct-check')
            yield Finding('dns zonefile', 'ok', f'Zone files can be written to {directory}.')
        except OSError as error:
            yield Finding(
                'dns zonefile', 'error', f'{directory}: {error.strerror}.', 'Make the folder, writable by the sidecar.'
            )
        for what, command in (('check', settings.check), ('reload', settings.reload)):
            if command and shutil.which(command[0]) is None:
                yield Finding(
                    'dns zonefile', 'error', f'There is no {command[0]}.', f'Install it, or set dns.zonefile.{what}.'
                )
        if not settings.reload:
            yield Finding('dns zonefile', 'warning', 'No name server is told of new files.', 'Set dns.zonefile.reload.')

    def _commands(self, zone: Zone) -> zonefile.Commands:
        settings = self._settings.zonefile
        server = zone.server or settings.server

        def serial() -> int | None:
            if not server:
                return None
            asked = DnsServer(server, zone.name, None, self._settings.rfc2136.timeout)
            try:
                return asked.serial()
            except (Refused, Unreachable) as error:
                raise zonefile.FileError(f'Its serial number cannot be asked for: {error}') from error
            finally:
                asked.close()

        return zonefile.Commands(settings.check, settings.reload, serial, settings.timeout, settings.patience)
