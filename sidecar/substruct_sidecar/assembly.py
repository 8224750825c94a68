"""Which services this sidecar has, out of its settings; and the agent with all its parts."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from .agent import Agent, AlreadyRunning
from .boot.artifacts import ArtifactStore, missing
from .boot.files_store import FilesStore, name_of
from .desired import BootImage
from .ledger import Book
from .netbox import Claimed, NetBox, NetBoxError, Unreachable
from .plan import Problem
from .preflight import Preflight
from .secrets import Secrets
from .service import Service
from .settings import Settings
from .state import State
from .tasks import Keep, NotYet, TaskError

log: Any = structlog.get_logger('agent')

EX_TEMPFAIL = 75  # sysexits.h


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
                if isinstance(error, Unreachable):
                    break  # the feed is not looked at while this lasts; the others come with the next look
        return problems


class FetchImage:
    """The task fetch-image: done when every file of a boot image is here and checked.

    Files are fetched anyhow; the task is for those who want to wait for them.  Parameters: {"boot_image": id or name}.
    """

    def __init__(self, settings: Settings, patience: float = 3600.0) -> None:
        self._settings = settings
        self._patience = patience
        self._store = FilesStore(settings.files_folder, settings.prospector_folder)
        # Until when each task waits, by id and attempt; seconds of the monotonic clock.
        self._deadlines: dict[tuple[int, int], float] = {}

    def __call__(self, task: Claimed, keep: Keep) -> dict[str, Any]:
        key = (task.id, task.attempt)
        image = self._image(task.parameters.get('boot_image'))
        deadline = self._deadlines.setdefault(key, time.monotonic() + self._patience)
        missing = [file.url for file in image.files if not self._store.has(name_of(file))]
        if missing and time.monotonic() <= deadline:
            raise NotYet
        self._deadlines.pop(key)
        if missing:
            raise TaskError(
                f'After {self._patience:.0f} seconds these files are not here: {", ".join(missing)}. The boot '
                f'server’s page says why.'
            )
        return {'boot_image': image.id, 'files': len(image.files)}

    def _image(self, wanted: object) -> BootImage:
        with closing(State(self._settings.state_folder / 'state.db')) as state, state.view() as view:
            found: list[BootImage] = [
                image for image in view.objects('boot-image') if wanted in (image.id, str(image.id), image.name)
            ]
        if not found:
            raise TaskError(
                f'There is no boot image {wanted!r}: give its id or name as the parameter, {{"boot_image": 7}}.'
            )
        return found[0]


def run_agent(settings: Settings) -> int:
    try:
        agent = Agent(
            settings, lambda book: services_of(settings, book),
            {'fetch-image': FetchImage(settings), 'preflight': Preflight(settings)}, prepare=Artifacts(settings),
        )  # fmt: skip
    except AlreadyRunning as error:
        # Machines are served all the same, and whoever has the state (an `apply`, for example) may soon let go of it.
        log.error('not started', reason=str(error))
        return EX_TEMPFAIL
    return agent.run()
