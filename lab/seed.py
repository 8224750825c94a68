"""`bin/lab seed`: fills the lab's NetBox with a realistic data centre (`lab.seeding`).

The work is done by a process of its own, because this one has no Django in it.
"""

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.seeding.plan import LARGEST

if TYPE_CHECKING:
    from lab.cli import Commands

DESCRIPTION = f"""\
Fills an empty NetBox with sites, racks, switches, servers with their ports, addresses and cables, virtual machines, and
with Substruct's boot servers, subnets, profiles and machines: 10,000 machines take seconds, {LARGEST:,} minutes.

The same number and seed give the same data. NetBox is filled as a whole or not at all, and only when it is empty:
bin/lab reset && bin/lab up begins anew."""


def machines(value: str) -> int:
    number = int(value.replace(',', '').replace('_', ''))
    if not 1 <= number <= LARGEST:
        raise argparse.ArgumentTypeError(f'{value} is not between 1 and {LARGEST}')
    return number


def register(commands: 'Commands') -> None:
    command = commands.add_parser(
        'seed',
        help='fill NetBox with a realistic data centre',
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        '--machines', type=machines, default=300, metavar='N', help=f'1 to {LARGEST} (default: %(default)s)'
    )
    command.add_argument('--seed', type=int, default=1, metavar='S', help='another seed gives other data (default: 1)')
    command.add_argument(
        '--no-search', dest='search', action='store_false', help='leave out the entries of the global search'
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from lab.stack import Lab

    lab = Lab()
    if not lab.places.settings.exists():
        raise LabError('there is no lab yet; run  bin/lab up')
    if not all(service.well for service in lab.status() if service.name in ('postgresql', 'redis')):
        raise LabError('the lab is not up; run  bin/lab up')
    command = [sys.executable, '-m', 'lab.seeding', str(arguments.machines), str(arguments.seed)]
    if not arguments.search:
        command.append('--no-search')
    if lab.port:
        command += ['--url', lab.url]
    return subprocess.run(command, env=lab.environment).returncode
