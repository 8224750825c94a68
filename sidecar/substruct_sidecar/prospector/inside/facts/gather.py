"""Facts put together: every part by itself, at once, and with a time limit.

A part that fails, or hangs in a driver, is an entry in `problems`, and costs nothing of the rest.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import tools
from ..lldp import Neighbour
from . import bmc, disks, interfaces, system
from .source import Source

FORMAT = 1
# Seconds for one part.  Controllers may take long for each of many disks.
LIMIT = 90.0
# Characters of one problem, and how many there may be.
_LONGEST, _MOST = 400, 200


@dataclass(frozen=True)
class Asked:
    """What is known from elsewhere."""

    boot_mac: str = ''
    interface: str = ''
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)


def _run(command: Sequence[str], seconds: float) -> tools.Done:
    return tools.run(command, seconds, check=False)


def source_of(root: Path = Path('/'), run: Callable[[Sequence[str], float], tools.Done] = _run) -> Source:
    return Source(root, run)


def identity(source: Source) -> dict[str, object]:
    """Who the machine is, as far as it can say: quick, and without tools."""
    serial, uuid = system.identity(source)
    return {'uuid': uuid, 'serial': serial, 'macs': interfaces.macs(source)}


def hardware(source: Source, limit: float = LIMIT) -> dict[str, object]:
    """All that does not depend on the network."""
    return together(source, {**system.GATHERERS, 'disks': disks.disks, 'bmc': bmc.bmc}, limit)


def network(source: Source, asked: Asked, limit: float = 30.0) -> dict[str, object]:
    def gather(own: Source) -> dict[str, object]:
        return interfaces.interfaces(own, asked.neighbours, asked.boot_mac, asked.interface)

    return together(source, {'interfaces': gather}, limit)


def together(
    source: Source, parts: Mapping[str, Callable[[Source], dict[str, object]]], limit: float
) -> dict[str, object]:
    found: dict[str, dict[str, object]] = {}

    def one(name: str, gather: Callable[[Source], dict[str, object]]) -> None:
        try:
            found[name] = gather(source)
        except Exception as error:  # whatever a machine says must not cost the rest
            source.problem(f'{name}: {type(error).__name__}: {error}')

    running = {name: threading.Thread(target=one, args=(name, gather), daemon=True) for name, gather in parts.items()}
    for thread in running.values():
        thread.start()
    deadline = time.monotonic() + limit
    for name, thread in running.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            source.problem(f'{name}: gave no answer in {limit:.0f} seconds')
    result: dict[str, object] = {}
    for name in parts:
        result.update(found.get(name, {}))
    return result


def document(
    identity: Mapping[str, object], data: Mapping[str, object], problems: Sequence[str], about: Mapping[str, object]
) -> bytes:
    """What is posted to the boot server."""
    shown = [problem[:_LONGEST] for problem in problems[:_MOST]]
    return json.dumps({
        'source': 'prospector', 'format_version': FORMAT, 'identity': dict(identity),
        'data': {**data, 'prospector': dict(about), 'problems': shown},
    }).encode()  # fmt: skip
