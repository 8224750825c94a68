"""The process that `bin/lab seed` starts: Django, the seeding, and where to look afterwards."""

import argparse
import signal
import sys
import time

from lab.errors import LabError
from lab.progress import Progress

LOOK = (
    ('Sites', 'dcim/sites/', 'Site'),
    ('Racks, with elevations', 'dcim/racks/', 'Rack'),
    ('Devices', 'dcim/devices/', 'Device'),
    ('Interfaces', 'dcim/interfaces/', 'Interface'),
    ('Cables', 'dcim/cables/', 'Cable'),
    ('Prefixes', 'ipam/prefixes/', 'Prefix'),
    ('IP addresses', 'ipam/ip-addresses/', 'IPAddress'),
    ('Virtual machines', 'virtualization/virtual-machines/', 'VirtualMachine'),
    ('Machines', 'plugins/substruct/machines/', 'Machine'),
    ('Builds', 'plugins/substruct/builds/', 'Build'),
    ('Subnets', 'plugins/substruct/subnets/', 'Subnet'),
    ('Profiles', 'plugins/substruct/profiles/', 'Profile'),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m lab.seeding')
    parser.add_argument('machines', type=int)
    parser.add_argument('seed', type=int)
    parser.add_argument('--no-search', dest='search', action='store_false')
    parser.add_argument('--url', default='')
    arguments = parser.parse_args()
    progress = Progress()
    begun = time.monotonic()
    progress.say(f'==> seeding NetBox with {arguments.machines:,} machines (seed {arguments.seed})')

    import django

    django.setup()
    from lab.seeding.run import seed

    try:
        summary = seed(arguments.machines, arguments.seed, say=progress.say, search=arguments.search)
    except (LabError, ValueError) as error:
        print(f'lab: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('lab: stopped; NetBox is as empty as it was', file=sys.stderr)
        return 128 + signal.SIGINT
    progress.say(f'==> {summary.total_rows:,} rows in {time.monotonic() - begun:.1f} s\n')
    for name, path, model in LOOK:
        progress.say(f'  {summary.rows.get(model, 0):>9,}  {name:<24}{arguments.url}{path}')
    for note in summary.notes:
        progress.say(f'\n  Note: {note}')
    if not arguments.search:
        progress.say('\n  The global search finds none of it; bin/lab manage reindex makes its entries.')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
