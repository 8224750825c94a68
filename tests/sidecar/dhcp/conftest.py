"""Backends for the tests of DHCP, one after another, with the world of `expect.Site` or one that a test makes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from substruct_sidecar.plan import Plan
from tests.sidecar import net
from tests.sidecar.dhcp import backend
from tests.sidecar.dhcp.backend import Backend
from tests.sidecar.dhcp.client import Link, Relay
from tests.sidecar.dhcp.expect import Site
from tests.sidecar.world import World


@pytest.fixture(scope='module', params=backend.known(), ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, namespaces: None) -> type[Backend]:
    found: type[Backend] = request.param
    if reason := found.missing():
        pytest.skip(reason)
    return found


@dataclass
class Served:
    """A world, the backend that serves it, and the ways to it.  `relays` are closed at the end."""

    world: World
    backend: Backend
    link: Link
    lan: net.Lan
    plan: Plan | None = None
    relays: list[Relay] = field(default_factory=list)

    def start(self) -> Plan:
        with self.world.view() as view:
            self.plan = self.backend.start(view)
        self.world.changes()
        return self.plan

    def relay(self, **how: object) -> Relay:
        """A relay agent, in place of the one with the same giaddr."""
        self.hang_up(str(how.get('giaddr', net.Lan.RELAY4)))
        self.relays.append(Relay(self.lan, **how))  # type: ignore[arg-type]
        return self.relays[-1]

    def hang_up(self, giaddr: str = '') -> None:
        """Close the relay agents, so that the port is free."""
        for relay in list(self.relays):
            if giaddr in ('', relay.giaddr):
                relay.close()
                self.relays.remove(relay)

    def apply(self, *, full: bool = False, finished: tuple[object, ...] = ()) -> Plan:
        """Bring what has changed in the world to the daemon, as the agent does."""
        changed = self.world.changes()
        with self.world.view(finished) as view:  # type: ignore[arg-type]
            return self.backend.apply(view, None if full else changed)

    def left(self) -> Plan:
        """The full plan as it is now: empty where everything is applied."""
        with self.world.view() as view, self.lan.server.entered():
            return self.backend.service.plan(view)

    def close(self) -> None:
        self.hang_up()
        self.link.close()
        self.backend.stop()
        self.world.close()


@pytest.fixture(scope='module')
def served(
    kind: type[Backend], lan: net.Lan, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Site]]:
    """`expect.Site`, served.  Tests that ask for it only ask for addresses."""
    folder = tmp_path_factory.mktemp(kind.name)
    made = Served(World(folder), kind(lan, folder), Link(lan.near), lan)
    try:
        site = Site(made.world)
        made.start()
        yield made, site
    finally:
        made.close()


@pytest.fixture
def fresh(kind: type[Backend], lan: net.Lan, tmp_path: Path) -> Iterator[Served]:
    """An empty world and a backend that has not been started."""
    made = Served(World(tmp_path), kind(lan, tmp_path), Link(lan.near), lan)
    try:
        yield made
    finally:
        made.close()
