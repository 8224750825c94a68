"""The dashboard asks for numbers that there are."""

import json
import re
import time
from pathlib import Path

from prometheus_client import generate_latest

from substruct_sidecar.boot.metrics import Metrics
from substruct_sidecar.boot.tftp import numbers
from substruct_sidecar.boot.tftp_server import Counts
from substruct_sidecar.status import Board, NetBoxStatus, Status

DASHBOARD = Path(__file__).parents[2] / 'docs' / 'examples' / 'grafana-dashboard.json'


def test_every_number_of_the_dashboard_is_among_the_metrics(tmp_path):
    now = time.time()
    board = Board(Status(written=now, started=now, version='0', instance='i', netbox=NetBoxStatus(taken=now)))
    board.service('dhcp', 'kea', state='ok')
    board.update(counts={'machine': 1})
    board.write(tmp_path)
    (tmp_path / 'tftp.json').write_text(json.dumps(numbers(Counts(), 0)))
    metrics = Metrics(tmp_path, lambda: (0, None))
    metrics.requests.labels('script', '200').inc()
    metrics.seconds.labels('script').observe(0.1)
    metrics.scripts.labels('local').inc()
    metrics.callbacks.labels('done').inc()
    metrics.hooks.labels('taken').inc()
    there = {
        line.split('{')[0].split(' ')[0] for line in generate_latest(metrics.registry).decode().splitlines()
        if not line.startswith('#')
    }  # fmt: skip
    panels = json.loads(DASHBOARD.read_text())['panels']
    asked = {
        name for panel in panels for target in panel['targets'] for name in re.findall(r'substruct_\w+', target['expr'])
    }
    assert len(asked) > 15
    assert asked <= there, asked - there
