"""What the plugin costs whoever saves a device or an address: the same REST requests with the plugin on and off.

Both run in this machine's lab on one database each, in turns, so that whatever else the machine does hits both alike.
"""

import statistics
import time

import requests

from .conftest import Labs, Report, SeededLab
from .test_feed import session_of

ROUNDS, REQUESTS = 12, 25


def test_saving_with_the_plugin_on_and_off(labs: Labs, report: Report) -> None:
    on = labs.of(1_000)
    off = labs.without_plugin(1_000)
    sessions = {True: session_of(on), False: session_of(off)}
    for what, path, field in (
        ('device', 'dcim/devices', 'serial'),
        ('address', 'ipam/ip-addresses', 'dns_name'),
    ):
        targets = {True: ids(on, sessions[True], path), False: ids(off, sessions[False], path)}
        took: dict[bool, list[float]] = {True: [], False: []}
        for number in range(ROUNDS):
            for plugin in (True, False) if number % 2 else (False, True):
                lab = on if plugin else off
                for pk in targets[plugin][number * REQUESTS : (number + 1) * REQUESTS]:
                    url = f'{lab.url}api/{path}/{pk}/'
                    begun = time.perf_counter()
                    response = sessions[plugin].patch(url, json={field: f'n{number}'}, timeout=60)
                    seconds = time.perf_counter() - begun
                    assert response.status_code == 200, response.text
                    if number:  # the first round warms up
                        took[plugin].append(1000 * seconds)
        ours, peer = statistics.median(took[True]), statistics.median(took[False])
        report.add(
            f'saving one {what} (PATCH)',
            f'{ours:.1f} ms with the plugin',
            f'{peer:.1f} ms without',
            f'{ours - peer:+.1f} ms, {100 * (ours / peer - 1):+.1f} % (aim: 5 % or 3 ms at most)',
        )


def ids(lab: SeededLab, session: requests.Session, path: str) -> list[int]:
    response = session.get(
        f'{lab.url}api/{path}/', params={'fields': 'id', 'limit': ROUNDS * REQUESTS, 'ordering': 'id'}, timeout=60
    )
    found = [row['id'] for row in response.json()['results']]
    assert len(found) == ROUNDS * REQUESTS
    return found
