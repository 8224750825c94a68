"""What is served to the newest build of a machine, with its hashes; kept in files, to compare or to archive.

python artifacts.py srv-1 [--save DIRECTORY]
"""

import hashlib
import sys
from pathlib import Path

from substruct import arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('machine')
    parser.add_argument('--save', type=Path, metavar='DIRECTORY')
    wanted = parser.parse_args()

    substruct = netbox.plugins.substruct
    machine = one(substruct.machines, name=wanted.machine)
    build = next(iter(substruct.builds.filter(machine_id=machine.id, limit=1)), None)  # the newest comes first
    if build is None:
        return f'{machine.name} was never built.'
    for artifact in substruct.build_artifacts.filter(build_id=build.id):
        content = artifact.content.encode()
        if hashlib.sha256(content).hexdigest() != artifact.sha256:
            sys.exit(f'{artifact.name} is not what NetBox rendered.')
        if wanted.save:
            wanted.save.mkdir(parents=True, exist_ok=True)
            (wanted.save / artifact.name).write_bytes(content)
        print(f'{artifact.sha256}  {artifact.name}')  # as sha256sum prints it, and `sha256sum -c` reads it
    return 0


main(recipe)
