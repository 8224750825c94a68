"""A sidecar's DNS service over a world of desired state, as tests of any backend use it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar.desired import Zone
from substruct_sidecar.dns.service import Dns
from substruct_sidecar.ledger import Book
from substruct_sidecar.plan import Plan, Problem
from substruct_sidecar.secrets import Secrets
from substruct_sidecar.settings import Dns as DnsSettings
from substruct_sidecar.settings import Powerdns, Rfc2136

from ..world import World
from .servers import API_KEY, KEY, NameServer


class Site:
    """The service with its ledger and secrets.  `again()` is a sidecar that was started anew."""

    def __init__(self, folder: Path, world: World, settings: DnsSettings) -> None:
        self.folder = folder
        self.world = world
        self.settings = settings
        secrets = folder / 'secrets'
        secrets.mkdir(exist_ok=True)
        for name, value in (('tsig', KEY), ('api', API_KEY), ('bad-tsig', KEY.replace('YSB', 'YSA'))):
            (secrets / name).write_text(value + '\n')
        self.book = Book(folder / 'ledger.sqlite')
        self.dns = self.again()

    def again(self) -> Dns:
        self.ledger = self.book.of('dns')
        self.dns = Dns(self.settings, Secrets(self.folder / 'secrets', {}), self.ledger)
        return self.dns

    def plan(self, *, everything: bool = False) -> Plan:
        """As the agent plans: the first time everything, then what has changed."""
        changed = self.world.changes()
        with self.world.view() as view:
            return self.dns.plan(view, None if everything or changed.since == 0 else changed)

    def apply(self, *, everything: bool = False) -> Plan:
        plan = self.plan(everything=everything)
        if plan:
            self.dns.apply(plan)
        return plan

    def verify(self) -> list[Problem]:
        with self.world.view() as view:
            return list(self.dns.verify(view))

    def owned(self) -> set[str]:
        """Name and type of everything that the ledger says is ours."""
        return {
            ' '.join(key.split()[3:5]) for method in ('rfc2136', 'powerdns') for key, _, _ in self.ledger.under(method)
        }

    def close(self) -> None:
        self.ledger.close()
        self.book.close()


type MakeSite = Callable[..., Site]


class Serve:
    """Starts name servers, which end with the test: `serve(Bind, folder, zones)`."""

    def __init__(self) -> None:
        self.started: list[NameServer] = []

    def __call__[S: NameServer](self, kind: type[S], *arguments: Any) -> S:
        made = kind(*arguments)
        self.started.append(made)
        return made


@pytest.fixture
def serve() -> Iterator[Serve]:
    made = Serve()
    yield made
    for server in made.started:
        server.stop()


@pytest.fixture
def site(tmp_path: Path, world: World) -> Iterator[MakeSite]:
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        settings = {
            'rfc2136': Rfc2136(credential='tsig', timeout=5.0), 'powerdns': Powerdns(credential='api'), **settings,
        }  # fmt: skip
        made.append(Site(tmp_path, world, DnsSettings(enabled=True, **settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def records(world: World, zone: Zone, reverse: Zone | None, *named: tuple[str, str]) -> list[Any]:
    """Address records, of (name, address)."""
    return [
        world.add_record(
            name, address=address, forward_zone=zone.id, reverse_zone=reverse.id if reverse is not None else None
        )
        for name, address in named
    ]
