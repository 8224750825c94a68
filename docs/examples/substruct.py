"""What the recipes share: pynetbox, and what it does not know by itself: actions, and the end of builds and jobs.

NETBOX_URL and NETBOX_TOKEN (nbt_<key>.<secret>) say where and as whom.  Needed: pip install pynetbox
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pynetbox

ENDED = ('complete', 'failed', 'stalled', 'cancelled')


def main(recipe: Callable[[Any], int | None]) -> None:
    """Runs a recipe with NetBox's API; what NetBox refuses ends it with NetBox's own words and the exit code 1."""
    netbox = pynetbox.api(os.environ['NETBOX_URL'], token=os.environ['NETBOX_TOKEN'])
    try:
        sys.exit(recipe(netbox))
    except pynetbox.RequestError as error:
        # 409: somebody else was first; 412: it is not what you saw; 422: it cannot be done, and why
        sys.exit(f'NetBox refused: {error.error}')


def arguments(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def ask(netbox: Any, path: str) -> Any:
    """What NetBox answers at a URL, or at a path below /api/plugins/substruct/."""
    return _answer(netbox, 'GET', path)


def act(netbox: Any, path: str, body: Any = None, *, seen: str = '') -> Any:
    """An action; with `seen`, an ETag, only if the object is still what it stands for."""
    return _answer(netbox, 'POST', path, body, {'If-Match': seen} if seen else {})


def endings(netbox: Any, builds: list[int], every: float = 5) -> Iterator[Any]:
    """Each of these builds as it ends, whichever is first.  A stalled one may yet be heard of: not waited for."""
    waiting = set(builds)
    while waiting:
        for build in netbox.plugins.substruct.builds.filter(id=sorted(waiting)):
            if build.state.value in ENDED:
                waiting.remove(build.id)
                yield build
        if waiting:
            time.sleep(every)


def one(endpoint: Any, **what: Any) -> Any:
    """The one object that is found so."""
    found = list(endpoint.filter(**what))
    if len(found) != 1:
        said = ', '.join(f'{name} {value}' for name, value in what.items())
        sys.exit(f'There are {len(found)} {endpoint.name.replace("-", " ")} with {said}.')
    return found[0]


def _answer(netbox: Any, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    url = path if path.startswith('http') else f'{netbox.base_url}/plugins/substruct/{path}'
    answer = netbox.http_session.request(
        method, url, json=body, headers={'Authorization': f'Bearer {netbox.token}', **(headers or {})}
    )
    if not answer.ok:
        raise pynetbox.RequestError(answer)
    return answer.json()
