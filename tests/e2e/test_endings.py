"""However the rack was left, `down` leaves nothing of it: each of its processes is killed in turn."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import MARK, Identity
from lab.rack import Rack
from lab.rack.rack import PREFIX
from tests.e2e.rack import until

pytestmark = pytest.mark.e2e_all

PARTS = ('namespace', 'doorway-inside', 'doorway-outside', 'dhcp', 'dns', 'sidecar', 'machine-victim')


def left(rack: Rack, namespace: str) -> Iterator[str]:
    """What lives in the namespace or belongs to the rack, found without its own bookkeeping."""
    mark = f'{MARK}={rack.places.run}:{PREFIX}'.encode()
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit() and Identity.of(int(entry.name)) is not None:
            try:
                words, is_inside = (entry / 'cmdline').read_bytes(), os.readlink(entry / 'ns/net') == namespace
                if is_inside or str(rack.folder).encode() in words or mark in (entry / 'environ').read_bytes():
                    yield f'{entry.name} {words.decode(errors="replace")}'
            except OSError:
                continue


@pytest.mark.parametrize('part', PARTS)
def test_what_was_killed_is_mended_and_nothing_is_left_after_down(rack, part):
    machine = rack.machine('victim', memory=128)
    machine.power_on()
    namespace = rack.namespace.identity
    kill(rack, part)
    rack.up()
    rack.settled()
    again = rack.namespace.identity
    if part == 'namespace':
        assert again != namespace
    machine.power.on()
    machine.console.wait_for('SeaBIOS|iPXE', 60)
    kill(rack, part)
    rack.down()
    for each in (namespace, again):
        assert list(left(rack, each)) == []
    assert not rack.folder.exists()
    assert not rack.sockets.exists()
    rack.up(poll=2.0)
    rack.settled()
    assert rack.machines() == []


def kill(rack: Rack, part: str) -> None:
    record = rack.supervisor.record(PREFIX + part)
    assert record is not None
    record.identity.send(signal.SIGKILL)
    until(lambda: not record.identity.alive, f'{part} is dead')
