"""The virtual rack for end-to-end tests: a lab of its own with everything in it, and what is shown when a test fails.

def test_an_unknown_machine_is_found(rack):
    machine = rack.machine('new-1', firmware='uefi')
    machine.power_on()
    machine.console.wait_for('boots discovery', 60)
    until(machine.netbox, 'NetBox knows the machine', 120)
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError
from lab.processes import Identity, tail
from lab.rack import Machine, Rack
from lab.rack.namespace import lacks
from tests.e2e.whole import a_lab, until

__all__ = ('Machine', 'Rack', 'a_rack', 'missing', 'told', 'until')


def missing(dhcp: str = 'kea') -> str:
    """Why there can be no rack here; '' if there can."""
    return '; '.join(lacks(dhcp))


@contextlib.contextmanager
def a_rack(name: str, dhcp: str = 'kea', with_prospector: bool = True) -> Iterator[Rack]:
    """In a lab of its own; gone at the end; if this process is killed, its machines and servers go with it."""
    with a_lab(name) as lab:
        rack = Rack(lab, owner=Identity.of(os.getpid()))
        rack.up(dhcp=dhcp, prospector=None if with_prospector else False, poll=2.0)
        rack.settled()
        yield rack


def told(rack: Rack) -> Iterator[tuple[str, str]]:
    """(title, text) of what helps to understand a failure: consoles, screens, the sidecar's log."""
    pictures = Path(tempfile.gettempdir()) / 'substruct-screens'
    for machine in rack.machines():
        try:
            status = machine.power.status()
            about = f'{status.power}, started {status.boots} times{f" ({status.why})" if status.why else ""}'
            if status.power == 'on':
                pictures.mkdir(exist_ok=True)
                about += f'; its screen: {machine.screenshot(pictures / f"{machine.name}.png")}'
        except LabError as error:
            about = str(error)
        yield f'{machine.name}: {about}', machine.console.tail(60)
    for name in ('sidecar', 'dhcp'):
        yield f'log of {name}', tail(rack.log(name), lines=60)
