"""The agent as a process of its own, with one small service, so that tests can kill it at any moment.

`python -m tests.sidecar.agent_under_test <folder> <URL of NetBox> [<hook URL>]`; the service keeps names of machines
in <folder>/there.json.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from substruct_sidecar import log
from substruct_sidecar.agent import Agent
from substruct_sidecar.files import write_atomically
from substruct_sidecar.netbox import Claimed
from substruct_sidecar.plan import Change, Plan, Problem
from substruct_sidecar.service import Finding
from substruct_sidecar.settings import Log, Manage, NetBox, Paths, Settings
from substruct_sidecar.state import Changed, View
from substruct_sidecar.tasks import Keep

from .stand_in import TOKEN


class Names:
    name, backend = 'names', 'file'

    def __init__(self, path: Path) -> None:
        self._path = path

    def _there(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def cannot(self) -> Sequence[str]:
        return ()

    def check(self) -> Iterable[Finding]:
        return ()

    def plan(self, view: View, changed: Changed | None = None) -> Plan:
        there = self._there()
        wanted = {str(found.id): f'{found.name} {found.boot.action}' for found in view.machines()}
        changes = [
            Change('change' if key in there else 'add', key, there.get(key, ''), value)
            for key, value in wanted.items()
            if there.get(key) != value
        ]
        changes += [Change('remove', key, value) for key, value in there.items() if key not in wanted]
        return Plan(self.name, changes, len(there), payload=wanted)

    def apply(self, plan: Plan) -> None:
        write_atomically(self._path, json.dumps(plan.payload))

    def verify(self, view: View) -> Iterable[Problem]:
        return ()


def settings(folder: Path, url: str, hook: str = '') -> Settings:
    return Settings(
        netbox=NetBox(
            url=url,
            boot_server='boot-ber',
            token=TOKEN,
            timeout=5.0,
            poll_interval=float(os.environ.get('SUBSTRUCT_TEST_POLL', 0.2)),
            heartbeat_interval=0.2,
        ),
        paths=Paths(state=str(folder / 'state'), run=str(folder / 'run')),
        manage=Manage(hook_url=hook),
        log=Log(level='info', format='json'),
    )


def main() -> int:
    folder = Path(sys.argv[1])
    found = settings(folder, *sys.argv[2:])
    log.configure(found.log, 'agent')

    def fetch(task: Claimed, keep: Keep) -> dict[str, int]:
        with (folder / 'done').open('a') as file:
            file.write(f'{task.id}\n')
        return {'n': task.id}

    agent = Agent(found, lambda book: [Names(folder / 'there.json')], {'fetch-image': fetch})
    return agent.run()


if __name__ == '__main__':
    raise SystemExit(main())
