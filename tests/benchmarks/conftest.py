"""Labs of a given size for the benchmarks, made once and thrown away at the end; and how results are printed.

`make bench` runs everything here, which takes long: most of it is the peer reading 100,000 machines.
SUBSTRUCT_BENCH=1000,10000 measures at other sizes.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.netbox import SETTINGS_VARIABLE
from lab.places import Places, private_folder, run_folder
from lab.stack import Lab
from netbox_substruct.feed import changes

TREE = Path(__file__).parents[2]


def sizes(default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of machines to measure at."""
    chosen = os.environ.get('SUBSTRUCT_BENCH')
    return tuple(int(n) for n in chosen.split(',')) if chosen else default


def shell(lab: Lab, code: str) -> str:
    """Runs Python inside the lab's NetBox; gives what it printed after the mark '>>>'."""
    done = subprocess.run(
        [sys.executable, '-c', f'import django; django.setup()\n{code}'],
        env={**lab.environment, 'DJANGO_SETTINGS_MODULE': 'netbox.settings'},
        cwd=TREE, capture_output=True, text=True, check=False, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return '\n'.join(line[3:] for line in done.stdout.splitlines() if line.startswith('>>>'))


class SeededLab:
    """A lab with so many machines and one boot server that serves them all."""

    def __init__(self, lab: Lab, machines: int, boot_server: int) -> None:
        self.lab, self.machines, self.boot_server = lab, machines, boot_server
        self.url, self.token = lab.url, lab.accounts.token


_SERVE_ALL = """
from dcim.models import Site
from netbox_substruct.models import BootServer, Machine, Subnet, Zone
server, _ = BootServer.objects.get_or_create(name='benchmark', defaults={'base_url': 'http://127.0.0.1'})
server.sites.set(Site.objects.all())
Subnet.objects.update(boot_server=server)
Zone.objects.update(boot_server=server)
# Discovered machines stand at no site; the others are found by their addresses and sites.
Machine.objects.filter(device=None, virtual_machine=None).update(boot_server=server)
print('>>>', server.pk)
"""


@pytest.fixture(scope='session')
def labs() -> Iterator['Labs']:
    made = Labs()
    yield made
    made.end()


class Labs:
    """One lab at a time, so that they do not measure each other."""

    def __init__(self) -> None:
        self.current: SeededLab | None = None
        self.other: subprocess.Popen | None = None

    def of(self, machines: int) -> SeededLab:
        if self.current is not None and self.current.machines == machines:
            return self.current
        self.end()
        shared = run_folder()
        private_folder(shared)
        lab = Lab(Places(shared / 'bench'))
        lab.reset()
        lab.up()
        subprocess.run(
            [sys.executable, '-m', 'lab.seeding', str(machines), '1', '--no-search'],
            env=lab.environment, cwd=TREE, check=True,
        )  # fmt: skip
        boot_server = int(shell(lab, _SERVE_ALL))
        # What a database that has been up for a while has done already, and would otherwise do during a measurement.
        with lab.cluster.connect('netbox') as connection:
            connection.autocommit = True
            connection.execute('VACUUM ANALYZE')
        self.current = SeededLab(lab, machines, boot_server)
        return self.current

    def without_plugin(self, machines: int) -> SeededLab:
        """A second web server beside the lab's, without the plugin, on a copy of the database without its triggers."""
        seeded = self.of(machines)
        lab = seeded.lab
        lab.down()  # a database is copied while nobody uses it
        lab.storage()
        lab.cluster.create('netbox_off', 'netbox')
        with lab.cluster.connect('netbox_off') as connection:
            connection.autocommit = True
            changes.uninstall(connection.cursor())
            connection.execute('VACUUM ANALYZE')
        lab.up()
        settings = json.loads(lab.places.settings.read_text()) | {'plugins': [], 'database': 'netbox_off'}
        path = lab.places.run / 'without-plugin.json'
        path.write_text(json.dumps(settings))
        path.chmod(0o600)
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        log = (lab.places.logs / 'without-plugin.log').open('wb')
        environment = lab.environment | {SETTINGS_VARIABLE: str(path)}
        self.other = subprocess.Popen(lab.web_command(port), env=environment, cwd=TREE, stdout=log, stderr=log)
        other = SeededLab(lab, machines, seeded.boot_server)
        other.url = f'http://127.0.0.1:{port}/'
        for _ in range(240):
            assert self.other.poll() is None, 'the web server without the plugin ended; see without-plugin.log'
            try:
                with urllib.request.urlopen(f'{other.url}login/', timeout=5) as response:
                    if response.status == 200:
                        break
            except OSError:
                time.sleep(0.5)
        return other

    def end(self) -> None:
        if self.other is not None:
            self.other.send_signal(signal.SIGINT)
            self.other.wait(30)
            self.other = None
        if self.current is not None:
            self.current.lab.reset()
            self.current = None


@pytest.fixture(scope='session')
def report(request: pytest.FixtureRequest) -> Iterator['Report']:
    found = Report()
    yield found
    found.print()


class Report:
    """What was measured, beside its peer, printed together at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []

    def add(self, what: str, ours: str, peer: str, ratio: str) -> None:
        self.rows.append((what, ours, peer, ratio))
        print(f'\n    {what}: {ours}; {peer}; {ratio}')

    def print(self) -> None:
        if not self.rows:
            return
        widths = [max(len(row[column]) for row in self.rows) for column in range(4)]
        print('\n')
        for row in self.rows:
            print('  ' + '   '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
