"""Machines, builds and artifacts with plain pynetbox.

    python builds.py list --state registered
    python builds.py build srv-0001 [--profile debian-13] [--override srv-0001]
    python builds.py artifacts srv-0001 [--save DIRECTORY]
    python builds.py cancel srv-0001 [--reason TEXT]

NETBOX_URL and NETBOX_TOKEN (nbt_<key>.<secret>) say where and as whom.  Needed: pip install pynetbox
"""

import argparse
import os
import sys
from pathlib import Path

import pynetbox


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser('list', help='machines, by state')
    command.add_argument('--state', help='discovered, registered, building, built, failed or retired')
    command.set_defaults(run=list_machines)

    command = commands.add_parser('build', help='request a build')
    command.add_argument('machine')
    command.add_argument('--profile', help='slug of a profile; the machine’s own if left out')
    command.add_argument('--override', default='', help='the machine’s name, where it is active or protected')
    command.set_defaults(run=request_build)

    command = commands.add_parser('artifacts', help='what is served to the newest build of a machine')
    command.add_argument('machine')
    command.add_argument('--save', type=Path, metavar='DIRECTORY', help='write them into files')
    command.set_defaults(run=show_artifacts)

    command = commands.add_parser('cancel', help='stop the newest build of a machine')
    command.add_argument('machine')
    command.add_argument('--reason', default='')
    command.set_defaults(run=cancel_build)

    arguments = parser.parse_args()
    netbox = pynetbox.api(os.environ['NETBOX_URL'], token=os.environ['NETBOX_TOKEN'])
    try:
        arguments.run(netbox.plugins.substruct, netbox, arguments)
    except pynetbox.RequestError as error:
        # 409: a build is under way already; 422: it cannot be built, and why
        print(f'NetBox refused: {error.error}', file=sys.stderr)
        return 1
    return 0


def list_machines(substruct, netbox, arguments):
    filters = {'state': arguments.state} if arguments.state else {}
    # Only what is shown is asked for, which is much quicker for many machines.
    for machine in substruct.machines.filter(fields='id,name,state,profile', limit=500, **filters):
        print(f'{machine.name:30}  {machine.state.value:12}  {machine.profile or "-"}')


def request_build(substruct, netbox, arguments):
    machine = find(substruct, arguments.machine)
    asked = {'override': arguments.override}
    if arguments.profile:
        asked['profile'] = {'slug': arguments.profile}
    build = post(netbox, f'{machine.url}build/', asked)
    print(f'Build #{build["id"]} of {machine.name} is {build["state"]["value"]}')


def show_artifacts(substruct, netbox, arguments):
    build = newest_build(substruct, arguments.machine)
    for artifact in substruct.build_artifacts.filter(build_id=build.id):
        content = netbox.http_session.get(
            f'{artifact.url}content/', headers={'Authorization': f'Bearer {netbox.token}'}
        ).content
        if arguments.save:
            arguments.save.mkdir(parents=True, exist_ok=True)
            (arguments.save / artifact.name).write_bytes(content)
        print(f'{artifact.name:20}  {len(content):8} bytes  sha256 {artifact.sha256}')


def cancel_build(substruct, netbox, arguments):
    build = newest_build(substruct, arguments.machine)
    build = post(netbox, f'{build.url}cancel/', {'reason': arguments.reason})
    print(f'Build #{build["id"]} is {build["state"]["value"]}')


def find(substruct, name):
    found = list(substruct.machines.filter(name=name))
    if len(found) != 1:
        sys.exit(f'{len(found)} machines are called {name}')
    return found[0]


def newest_build(substruct, machine):
    build = next(iter(substruct.builds.filter(machine_id=find(substruct, machine).id, limit=1)), None)
    return build or sys.exit(f'{machine} was never built')


def post(netbox, url, data):
    """An action of an object, with pynetbox's session and token."""
    response = netbox.http_session.post(url, json=data, headers={'Authorization': f'Bearer {netbox.token}'})
    if not response.ok:
        raise pynetbox.RequestError(response)
    return response.json()


if __name__ == '__main__':
    sys.exit(main())
