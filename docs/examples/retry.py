"""Tries again what failed for one reason, once that is mended: the newest builds whose error has these words.

    python retry.py "mirror.example.com" [--dry-run]

Only the last build of a machine can be tried again, so that what was built since is safe.
"""

import pynetbox
from substruct import act, arguments, main


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('words')
    parser.add_argument('--dry-run', action='store_true')
    wanted = parser.parse_args()

    refused = 0
    for build in netbox.plugins.substruct.builds.filter(state=['failed', 'stalled'], error__ic=wanted.words):
        if wanted.dry_run:
            print(f'{build.display}: {build.error}')
            continue
        try:
            again = act(netbox, f'{build.url}retry/')
            print(f'{build.display} is tried again as {again["display"]}')
        except pynetbox.RequestError as error:
            # Not the newest build of its machine, or one that needs an override: NetBox says which.
            refused += 1
            print(f'{build.display} is not: {error.req.json()["detail"]}')
    return 1 if refused else 0


main(recipe)
