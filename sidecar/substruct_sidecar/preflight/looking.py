"""Going through the chain for one machine: for NetBox's task, and for the command line."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import structlog

from .. import status as board
from ..boot.urls import base_url_for
from ..desired import Machine
from ..log import printable
from ..netbox import Claimed
from ..outbox import Outbox
from ..plan import Problem
from ..settings import Settings
from ..showing import find
from ..state import State, View
from ..tasks import Keep, TaskError
from . import chain, dhcp, network
from .steps import Step, Wanted, failure, ok, report, unknown

log: Any = structlog.get_logger('preflight')

SIGNS = {'ok': 'ok     ', 'warning': 'WARNING', 'failure': 'FAILURE', 'unknown': '?      '}


class Preflight:
    """The handler of the task `preflight`.  Its parameters are a `Wanted`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, task: Claimed, keep: Keep) -> dict[str, Any]:
        try:
            wanted = msgspec.convert(task.parameters, Wanted)
        except msgspec.ValidationError as error:
            raise TaskError(f'The parameters of the task are not what they should be: {error}') from error
        if task.machine is None:
            raise TaskError('The task names no machine.')
        with viewing(self._settings) as view:
            return report(look(self._settings, view, task.machine, wanted))


@contextmanager
def viewing(settings: Settings) -> Iterator[View]:
    """The state on disk, with what has ended here."""
    folder = settings.state_folder
    with closing(Outbox(folder / 'outbox.db')) as outbox:
        finished = outbox.finished()
    with closing(State(folder / 'state.db')) as state, state.view(finished) as view:
        yield view


def look(settings: Settings, view: View, key: int, wanted: Wanted) -> list[Step]:
    """Every step, in the order in which a machine comes to them.  What goes wrong in looking is a step itself."""
    found: Machine | None = view.object('machine', key)
    if found is None:
        return [
            failure('known', f'This boot server does not know the machine #{key} (yet).',
                    'Does it serve the machine, and does it reach NetBox?')
        ]  # fmt: skip
    machine = view.as_it_boots(found)
    status = board.read(settings.run_folder)
    steps = [ok('known', f'This boot server knows it as {machine.fqdn}.')]
    port: dhcp.Expected | None = None
    problems: list[Problem] = []

    def step(key: str, looking: Callable[[], Iterable[Step]]) -> None:
        try:
            steps.extend(looking())
        except Exception as error:  # one step that cannot be looked at hides no other
            log.exception('preflight', step=key, machine=machine.id)
            steps.append(unknown(key, f'It could not be looked at: {type(error).__name__}: {error}'))

    try:
        port, problems = dhcp.expected(view, settings, machine)
    except Exception as error:  # as above
        log.exception('preflight', step='dhcp', machine=machine.id)
        steps.append(unknown('dhcp', f'It could not be looked at: {type(error).__name__}: {error}'))
    else:
        step('dhcp', lambda: dhcp.steps(settings, status, machine, port, problems))
    mac = port.mac if port is not None else machine.boot_mac or ''
    address = str(port.address) if port is not None and port.address is not None else ''
    base_url = port.subnet.boot.base_url if port is not None and port.subnet is not None else ''
    base_url = base_url or base_url_for(settings, view.about(), address)
    step('loader', lambda: chain.loader(settings, machine, mac))
    step('loader', lambda: [chain.http(settings, base_url)])
    step('script', lambda: [chain.script(settings, machine, mac, address)])
    step('files', lambda: chain.files(settings, status, view, machine, wanted))
    step('secrets', lambda: chain.secrets(settings, wanted))
    step('dns', lambda: network.names(view, machine))
    step('bmc', lambda: network.bmc(settings, machine))
    return steps


def command(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """`substruct-sidecar preflight <machine>`: 1 if a step fails."""
    if not (settings.state_folder / 'state.db').exists():
        print(f'There is no desired state in {settings.state_folder} yet.', file=sys.stderr)
        return 1
    failed = False
    with viewing(settings) as view:
        ids = find(view, wanted)
        if not ids:
            print(f'No machine is known here by "{wanted}" (name, MAC or IP address, UUID, serial number, id).')
            return 1
        for key in ids:
            steps = look(settings, view, key, Wanted())
            failed |= any(step.outcome == 'failure' for step in steps)
            if as_json:
                print(json.dumps(report(steps), indent=2, ensure_ascii=False))
                continue
            for line in _lines(steps):
                print(printable(line))
    return 1 if failed else 0


def _lines(steps: list[Step]) -> Iterator[str]:
    for step in steps:
        yield f'{SIGNS[step.outcome]} {step.key}: {step.words}'
        if step.remedy:
            yield f'        → {step.remedy}'
