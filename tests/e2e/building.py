"""What the end-to-end tests of builds share: what machines become, and a build's timeline as they look at it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.demo.catalogue import Catalogue
from lab.images import disk_image, installer
from lab.progress import Progress
from lab.rack import Machine, Rack
from tests.e2e.rack import until

# Under emulation, beside other tests.
BOOTED, BUILT = 240.0, 900.0


@dataclass(frozen=True)
class Step:
    """An event of a build: what it is, when it was, and what it says."""

    kind: str
    time: datetime
    message: str
    log: str


class Builder:
    """Requests builds in the rack and looks at them, as an administrator does."""

    def __init__(self, rack: Rack) -> None:
        self.rack = rack
        self.catalogue = Catalogue(rack)
        self.api = rack.netbox
        self.substruct = self.api.plugins.substruct

    def image_profile(self, **values: Any) -> int:
        """The number of a profile that writes the lab's disk image."""
        image = self.catalogue.image(disk_image(Progress()))
        return self.catalogue.profile('Debian 12', image, **values)

    def installer_profile(self) -> int:
        return self.catalogue.profile('Debian 12 installed', self.catalogue.installer(installer(Progress())))

    def script_profile(self, name: str, text: str, **values: Any) -> int:
        """One that runs a script in the prospector."""
        return self.catalogue.profile(name, self.catalogue.script(name, text), **values)

    def post(self, url: str, **body: Any) -> Any:
        """An action of NetBox's API."""
        answer = self.api.http_session.post(url, json=body, headers={'Authorization': f'Bearer {self.api.token}'})
        assert answer.ok, f'{url}: {answer.status_code} {answer.text}'
        return answer.json()

    def request(self, machine: Machine, **body: Any) -> int:
        """The number of a new build of a machine that NetBox knows."""
        return int(self.post(f'{machine.netbox().url}build/', **body)['id'])

    def build(self, machine: Machine) -> Any:
        """The newest of a machine."""
        return machine.builds()[0]

    def state(self, machine: Machine) -> str:
        return str(self.build(machine).state.value)

    def reaches(self, machine: Machine, *states: str, seconds: float = BUILT) -> Any:
        """Its build, when it has come to one of these states."""
        what = f'the build of {machine.name} is {" or ".join(states)}'
        return patiently(lambda: (build := self.build(machine)).state.value in states and build, what, seconds)

    def timeline(self, machine: Machine) -> list[Step]:
        found = self.substruct.build_events.filter(build_id=self.build(machine).id)
        steps = [
            Step(event.kind.value, datetime.fromisoformat(event.time), event.message, event.log or '')
            for event in found
        ]
        return sorted(steps, key=lambda step: step.time)

    def kinds(self, machine: Machine) -> list[str]:
        return [step.kind for step in self.timeline(machine)]


def patiently(condition: Callable[[], Any], what: str, seconds: float) -> Any:
    """Like `until`, for what takes minutes: NetBox is asked once in a second, for machines need the processor."""

    def asked() -> Any:
        time.sleep(1.0)
        return condition()

    return until(asked, what, seconds)


def assert_plausible(steps: Sequence[Step], kinds: Sequence[str], since: datetime) -> None:
    """These kinds of steps, in this order, with others between; each after the build was requested and not in the
    future, and none twice but progress and notes."""
    told = '\n'.join(f'{step.time:%H:%M:%S} {step.kind}: {step.message}' for step in steps)
    rest = iter(step.kind for step in steps)
    for kind in kinds:
        assert kind in rest, f'{kind}, in this order, in:\n{told}'
    assert since <= steps[0].time, told
    assert steps[-1].time <= datetime.now(UTC), told
    once = [step.kind for step in steps if step.kind not in ('progress', 'note')]
    assert len(once) == len(set(once)), told
