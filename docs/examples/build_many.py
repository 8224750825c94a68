"""Builds machines, and waits for the end of each.

    python build_many.py srv-1 srv-2 … [--profile debian-13] [--override srv-1 …]

All are requested or none.  Ends with 1 unless every one is complete.  For more than a few dozen take a wave.
"""

from substruct import act, arguments, endings, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('machine', nargs='+')
    parser.add_argument('--profile', help='slug of a profile; each machine’s own if left out')
    parser.add_argument('--override', nargs='*', default=[], help='names of those that are active or protected')
    parser.add_argument('--every', type=float, default=5, metavar='SECONDS', help='how often NetBox is asked')
    wanted = parser.parse_args()

    more = {'profile': {'slug': wanted.profile}} if wanted.profile else {}
    asked = []
    for name in wanted.machine:
        machine = one(netbox.plugins.substruct.machines, name=name)
        asked.append({'id': machine.id, 'override': name if name in wanted.override else '', **more})
    requested = act(netbox, 'machines/build/', asked)
    for build in requested:
        print(f'{build["display"]} is {build["state"]["value"]}', flush=True)

    complete = 0
    for build in endings(netbox, [build['id'] for build in requested], wanted.every):
        print(f'{build.display} is {build.state.value}{build.error and f": {build.error}"}', flush=True)
        complete += build.state.value == 'complete'
    return 0 if complete == len(requested) else 1


main(recipe)
