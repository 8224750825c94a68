"""A machine of the rack as others see it: they talk to its `bmc` over a Unix socket and read its console's files."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.errors import LabError
from lab.rack import seed
from lab.rack.console import Console
from lab.rack.spec import Spec

if TYPE_CHECKING:
    from lab.rack.rack import Rack

type NextBoot = Literal['', 'pxe', 'disk']
PATIENCE = 30.0


@dataclass(frozen=True)
class Status:
    """`since`: when it was switched on or off; `boots` counts starts and restarts; `why` it is off."""

    name: str
    power: Literal['on', 'off']
    since: float
    boots: int
    next_boot: str
    accelerator: str
    why: str


class Power:
    """What a BMC does.  Every method raises LabError where the machine, or QEMU, refuses."""

    def __init__(self, path: Path, name: str, about_to_start: Callable[[], object]) -> None:
        self._path, self._name, self._about_to_start = path, name, about_to_start

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(self._path))
                client.sendall(json.dumps({'do': do, **more}).encode() + b'\n')
                with client.makefile('rb') as answers:
                    line = answers.readline()
        except (FileNotFoundError, ConnectionError):
            raise LabError(f'nobody minds the machine {self._name}; run  bin/lab rack up') from None
        except TimeoutError:
            raise LabError(f'the machine {self._name} has not answered "{do}" within {PATIENCE:.0f} s') from None
        if not line:
            raise LabError(f'whoever minds the machine {self._name} ended over "{do}"')
        answer: dict[str, Any] = json.loads(line)
        if 'error' in answer:
            raise LabError(str(answer['error']))
        return answer

    def status(self) -> Status:
        return Status(**self.ask('status'))

    @property
    def is_on(self) -> bool:
        return self.status().power == 'on'

    def on(self) -> Status:
        if not self.is_on:
            self._about_to_start()
        return Status(**self.ask('on'))

    def off(self) -> Status:
        """At once, as if the plug was pulled."""
        return Status(**self.ask('off'))

    def soft(self) -> Status:
        """Asks the system to shut down; `wait_off` waits until it has."""
        return Status(**self.ask('soft'))

    def cycle(self) -> Status:
        self._about_to_start()
        return Status(**self.ask('cycle'))

    def reset(self) -> Status:
        self._about_to_start()
        return Status(**self.ask('reset'))

    def next_boot(self, device: NextBoot) -> Status:
        """What the firmware tries first, once: at the next start or restart."""
        return Status(**self.ask('next-boot', device=device))

    def wait_off(self, seconds: float = 60.0) -> Status:
        """Raises AssertionError if the machine is still on then."""
        deadline = time.monotonic() + seconds
        while (found := self.status()).power == 'on':
            if time.monotonic() > deadline:
                raise AssertionError(f'{self._name} is still on after {seconds:.0f} s')
            time.sleep(0.1)
        return found


class Machine:
    def __init__(self, rack: 'Rack', spec: Spec, folder: Path, path: Path) -> None:
        self.rack, self.spec, self.folder = rack, spec, folder
        self.console = Console(folder, spec.name)
        # What was said before it starts is of no interest to who waits for something.
        self.power = Power(path, spec.name, self.console.skip)

    def __repr__(self) -> str:
        return f'<{self.name}: {self.spec.firmware}, {self.spec.mac}>'

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def mac(self) -> str:
        """Of the card that boots."""
        return self.spec.mac

    def power_on(self) -> Status:
        return self.power.on()

    def screenshot(self, path: Path) -> Path:
        """Into a PNG file."""
        self.power.ask('screenshot', path=str(path.absolute()))
        return path

    def type(self, text: str) -> None:
        """On its serial console."""
        self.power.ask('type', text=text)

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """Any command of QEMU's machine protocol, such as qmp('set_link', name='nic0', up=False)."""
        return self.power.ask('qmp', execute=execute, arguments=arguments)['return']

    # ------------------------------------------------------------------ in NetBox

    def register(self, address: str = '', **values: Any) -> Any:
        """NetBox knows it from now on; `values` are fields of the Substruct machine.  Gives that machine."""
        return seed.register(self.rack.netbox, self.spec, address, **values)

    def netbox(self) -> Any:
        """The Substruct machine as NetBox has it now, or None."""
        return seed.find(self.rack.netbox, self.spec)

    def builds(self) -> list[Any]:
        """Its builds, the newest first."""
        found = self.netbox()
        builds = self.rack.netbox.plugins.substruct.builds.filter(machine_id=found.id) if found else []
        return sorted(builds, key=lambda build: build.id, reverse=True)
