"""Kea 2.2 and later in the shared tests: hosts in its configuration, in PostgreSQL, and in MariaDB."""

import atexit
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from substruct_sidecar.dhcp.kea import Kea
from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Plan
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dhcp
from substruct_sidecar.settings import Kea as KeaSettings
from substruct_sidecar.state import View
from tests.sidecar.dhcp import kea_servers
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC, Backend, Capability, settings
from tests.sidecar.net import Daemon, Lan

HOOKS = Path('/usr/lib/x86_64-linux-gnu/kea/hooks')
_servers: dict[str, kea_servers.Server] = {}


def server(kind: Literal['postgresql', 'mysql']) -> kea_servers.Server:
    """One of each kind for all tests, as the second takes seconds to be made."""
    if kind not in _servers:
        _servers[kind] = kea_servers.PostgreSql() if kind == 'postgresql' else kea_servers.MariaDb()
        atexit.register(_servers[kind].close)
    return _servers[kind]


class KeaConfig(Backend):
    name = 'kea'
    binaries = ('kea-dhcp4', 'kea-dhcp6')
    lacks: ClassVar[Mapping[Capability, str]] = {
        'duid-changes': 'changes its DUID',
        'any-duid-local': 'locally administered',
        'bond-unreleased': 'bond whose members take turns',
    }
    database: ClassVar[Literal['', 'postgresql', 'mysql']] = ''

    def __init__(self, lan: Lan, folder: Path) -> None:
        super().__init__(lan, folder)
        # Kea's own files stand apart: the path of a control socket has at most 107 characters.
        self._place: Path | None = None
        self.daemons: dict[int, Daemon] = {}
        self.book: Book | None = None

    @classmethod
    def missing(cls) -> str:
        return super().missing() or (kea_servers.missing(cls.database) if cls.database else '')

    @property
    def place(self) -> Path:
        if self._place is None:
            self._place = Path(tempfile.mkdtemp(prefix='substruct-kea-'))
        return self._place

    @property
    def server(self) -> kea_servers.Server | None:
        return server(self.database) if self.database else None

    def base(self, family: int) -> dict[str, Any]:
        written: dict[str, Any] = {
            'interfaces-config': {'interfaces': ['br0']},
            'control-socket': {'socket-type': 'unix', 'socket-name': str(self.socket(family))},
            'lease-database': {'type': 'memfile', 'persist': True, 'name': str(self.place / f'leases{family}.csv')},
            'hooks-libraries': [{'library': str(HOOKS / 'libdhcp_lease_cmds.so')}],
            'valid-lifetime': 600,
        }
        if self.server is not None:
            written['hosts-database'] = self.server.words
        if family == 4:
            # By its address: on an interface with two, Kea hears each message twice, and the second may come too late.
            written['interfaces-config'] = {'interfaces': [f'br0/{Lan.SERVER4}'], 'dhcp-socket-type': 'raw'}
            written['reservations'] = [{'hw-address': HAND_WRITTEN_MAC, 'ip-address': HAND_WRITTEN_ADDRESS}]
        else:
            # Multicast, and what real relays send to its address.
            written['interfaces-config']['interfaces'] = ['br0', f'br0/{Lan.SERVER6}']
            written['data-directory'] = str(self.place)  # its own DUID
        return {f'Dhcp{family}': written}

    def socket(self, family: int) -> Path:
        return self.place / f'socket{family}'

    def output(self, family: int) -> Path:
        return self.place / f'kea-dhcp{family}.conf'

    def start(self, view: View) -> Plan:
        for family in (4, 6):
            text = json.dumps(self.base(family), indent=2)
            (self.folder / f'base{family}.json').write_text(f'// Written by hand.\n{text}  # the end\n')
        if self.server is not None:
            self.server.empty()
        self._service()
        for family in (4, 6):
            # As it would be in life: Kea runs with what is written by hand, and is told where Substruct's file is.
            self._run(family, self.folder / f'base{family}.json')
        plan = self.apply(view)
        self.restart_daemon()
        return plan

    def _service(self) -> None:
        if self.book is None:
            self.book = Book(self.folder / 'ledger.sqlite')
        kea = KeaSettings(
            mode='database' if self.database else 'config',
            socket4=str(self.socket(4)), socket6=str(self.socket(6)),
            base4=str(self.folder / 'base4.json'), base6=str(self.folder / 'base6.json'),
            output4=str(self.output(4)), output6=str(self.output(6)),
            database_url=self.server.url if self.server else '',
            database_credential='kea' if self.database == 'mysql' else '',
        )  # fmt: skip
        secrets = Secrets(self.folder, {'SUBSTRUCT_SECRET_KEA': 'se cret'})
        self.service = Kea(settings(self.folder, Dhcp(backend='kea', kea=kea)), secrets, self.book.of('dhcp kea'))

    def _run(self, family: int, file: Path) -> None:
        log = self.place / f'log{family}'
        environment = {
            'KEA_PIDFILE_DIR': str(self.place), 'KEA_LOCKFILE_DIR': str(self.place),
            'KEA_LOGGER_DESTINATION': 'stdout', **(self.server.environment if self.server else {}),
        }  # fmt: skip
        daemon = self.lan.server.start([f'kea-dhcp{family}', '-c', file], log=log, environment=environment)
        self.daemons[family] = daemon
        channel = next(found.channel for found in self.service._daemons if found.family == family)

        def answers() -> bool:
            with contextlib.suppress(Exception):
                return bool(channel.status().uptime >= 0)
            return False

        daemon.wait_for(answers, f'kea-dhcp{family} answers')

    def stop(self) -> None:
        for daemon in self.daemons.values():
            daemon.stop()
        self.daemons.clear()
        if self.book is not None:
            self.book.close()
            self.book = None
        if self._place is not None:
            shutil.rmtree(self._place)
            self._place = None

    def restart_daemon(self) -> None:
        for family in (4, 6):
            if found := self.daemons.pop(family, None):
                found.stop()
            self._run(family, self.output(family))

    def restart_service(self) -> None:
        if self.book is not None:
            self.book.close()
            self.book = None
        self._service()

    def hand_written(self) -> Mapping[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(self.folder.glob('base*.json'))}

    def check(self) -> None:
        for family in (4, 6):
            # Where its interfaces are.
            self.lan.server.run(
                [f'kea-dhcp{family}', '-t', self.output(family)], env={**os.environ, 'KEA_PIDFILE_DIR': str(self.place)}
            )


class KeaPostgreSql(KeaConfig):
    name = 'kea-postgresql'
    database = 'postgresql'


class KeaMySql(KeaConfig):
    name = 'kea-mysql'
    database = 'mysql'


# MariaDB's turn is in test_kea_database.py: Kea and the sidecar do the same with it but for the statements.
BACKENDS = [KeaConfig, KeaPostgreSql]
