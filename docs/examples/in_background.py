"""Many machines at once, done by NetBox's worker: the request is answered at once, and its job is waited for.

    python in_background.py rescue srv-1 srv-2 …

Useful where a proxy ends requests that take long.  All or none, as without it.
"""

import time

from substruct import act, arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('next_boot', choices=('rescue', 'discovery'))
    parser.add_argument('machine', nargs='+')
    parser.add_argument('--every', type=float, default=2, metavar='SECONDS')
    wanted = parser.parse_args()

    machines = [one(netbox.plugins.substruct.machines, name=name) for name in wanted.machine]
    asked = [{'id': machine.id, 'next_boot': wanted.next_boot} for machine in machines]
    number = act(netbox, 'machines/next-boot/?background=true', asked)['job']['id']
    print(f'job {number}', flush=True)
    while (job := netbox.core.jobs.get(number)).status.value in ('pending', 'scheduled', 'running'):
        time.sleep(wanted.every)
    print(f'job {number} is {job.status.value}')
    return 0 if job.status.value == 'completed' else f'{job.error} {job.data}'


main(recipe)
