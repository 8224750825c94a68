"""Which services this sidecar has, out of its settings; and the agent with all its parts."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import structlog

from .agent import Agent, AlreadyRunning
from .boot.artifacts import ArtifactStore, missing
from .ledger import Book
from .netbox import NetBox, NetBoxError
from .plan import Problem
from .secrets import Secrets
from .service import Service
from .settings import Settings
from .state import State
from .status import Board

log: Any = structlog.get_logger('agent')


def services_of(settings: Settings, book: Book) -> list[Service]:
    """The services, each with its part of the ledger.  A backend's module is loaded only if it is chosen."""
    secrets = secrets_of(settings)

    def found() -> Iterator[Service]:
        from .boot.files_service import build as files

        yield files(settings, secrets, book.of('files'))
        if settings.dhcp.backend == 'kea':
            from .dhcp.kea import build as kea

            yield kea(settings, secrets, book.of('dhcp kea'))
        elif settings.dhcp.backend == 'isc':
            from .dhcp.isc import build as isc

            yield isc(settings, secrets, book.of('dhcp isc'))
        elif settings.dhcp.backend == 'dnsmasq':
            from .dhcp.dnsmasq import build as dnsmasq

            yield dnsmasq(settings, secrets, book.of('dhcp dnsmasq'))
        if settings.dns.enabled:
            from .dns.service import build as dns

            yield dns(settings, secrets, book.of('dns'))

    return list(found())


def secrets_of(settings: Settings) -> Secrets:
    from pathlib import Path

    return Secrets(Path(settings.secrets.directory))


class Artifacts:
    """Fetches the artifacts of builds before their machines ask for them."""

    def __init__(self, settings: Settings) -> None:
        self._store = ArtifactStore(settings.state_folder / 'artifacts')

    def __call__(self, netbox: NetBox, state: State) -> list[Problem]:
        with closing(state.view()) as view:
            wanted = list(missing(view, self._store))
            self._store.tidy(view)
        problems = []
        for artifact, sha256 in wanted:
            try:
                self._store.put(sha256, netbox.artifact(artifact))
            except (NetBoxError, ValueError) as error:
                problems.append(
                    Problem('artifacts', 'service', 0, 'artifacts', f'Artifact {artifact} cannot be kept: {error}')
                )
        return problems


def run_agent(settings: Settings) -> int:
    try:
        agent = Agent(settings, lambda book: services_of(settings, book), prepare=Artifacts(settings))
    except AlreadyRunning as error:
        log.error('not started', reason=str(error))
        return 78
    return agent.run()


__all__ = ('Board', 'run_agent', 'secrets_of', 'services_of')
