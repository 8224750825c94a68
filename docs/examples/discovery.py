"""Discovered machines with plain pynetbox: adopt them, and compare known ones with what they say of themselves.

    python discovery.py list
    python discovery.py show "PowerEdge R650 CK1RM22"
    python discovery.py adopt "PowerEdge R650 CK1RM22" --name srv-7 --role server [--leave cable:eno1 …] [--yes]
    python discovery.py difference srv-7 [--accept device:serial …]

NETBOX_URL and NETBOX_TOKEN (nbt_<key>.<secret>) say where and as whom.  Needed: pip install pynetbox
"""

import argparse
import os
import sys

import pynetbox


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser('list', help='machines that nobody has adopted yet')
    command.set_defaults(run=list_machines)

    command = commands.add_parser('show', help='what a machine may be')
    command.add_argument('machine')
    command.set_defaults(run=show)

    command = commands.add_parser('adopt', help='make it a device')
    command.add_argument('machine')
    command.add_argument('--name', required=True)
    command.add_argument('--role', help='slug of a device role; that of a discovery rule if left out')
    command.add_argument('--leave', nargs='*', default=[], metavar='KEY', help='lines that are not wanted')
    command.add_argument('--yes', action='store_true', help='do it; without it, only show what would be done')
    command.set_defaults(run=adopt)

    command = commands.add_parser('difference', help='what NetBox holds otherwise')
    command.add_argument('machine')
    command.add_argument('--accept', nargs='*', default=[], metavar='KEY', help='write these lines into NetBox')
    command.set_defaults(run=difference)

    arguments = parser.parse_args()
    netbox = pynetbox.api(os.environ['NETBOX_URL'], token=os.environ['NETBOX_TOKEN'])
    try:
        arguments.run(netbox, arguments)
    except pynetbox.RequestError as error:
        # 409: what was shown is not what would be done now; 422: something must be chosen first; 403: not permitted
        print(f'NetBox refused: {error.error}', file=sys.stderr)
        return 1
    return 0


def list_machines(netbox, arguments):
    for machine in netbox.plugins.substruct.machines.filter(state='discovered'):
        print(f'{machine.name:40}  {machine.serial or "-":15}  {machine.discovery_problem or ""}')


def show(netbox, arguments):
    machine = find(netbox, arguments.machine)
    for candidate in ask(netbox, f'{machine.url}candidates/')['candidates']:
        print(f'It may be {candidate["object"]["name"]}:')
        for reason in candidate['reasons']:
            print(f'  + {reason}')
        for contradiction in candidate['contradictions']:
            print(f'  - {contradiction}')


def adopt(netbox, arguments):
    machine = find(netbox, arguments.machine)
    choices = {'name': arguments.name}
    if arguments.role:
        choices['role'] = netbox.dcim.device_roles.get(slug=arguments.role).id
    proposal = tell(netbox, f'{machine.url}adopt/', choices)
    for problem in proposal['problems']:
        print(f'{problem["field"] or "machine"}: {problem["message"]}', file=sys.stderr)
    show_lines(proposal['lines'])
    if not arguments.yes or proposal['problems']:
        return
    wanted = [
        line['key']
        for line in proposal['lines']
        if line['changes'] and line['suggested'] and not line['not_permitted'] and line['key'] not in arguments.leave
    ]
    done = tell(netbox, f'{machine.url}adopt/', {**choices, 'accept': wanted, 'confirm': proposal['digest']})
    print(f'{arguments.machine} is {done["object"]["name"]}: {len(done["created"])} objects made')


def difference(netbox, arguments):
    machine = find(netbox, arguments.machine)
    found = ask(netbox, f'{machine.url}difference/')
    if not arguments.accept:
        show_lines(found['lines'])
        return
    accepted = {'accept': arguments.accept, 'confirm': found['digest']}
    done = tell(netbox, f'{machine.url}difference/', accepted)
    print(f'{len(done["created"])} made, {len(done["updated"])} changed, {len(done["deleted"])} removed')


def show_lines(lines):
    for line in lines:
        print(f'{line["key"]:24} {line["title"]}')
        for warning in line['warnings']:
            print(f'{"":24}   ! {warning}')


def find(netbox, name):
    machine = netbox.plugins.substruct.machines.get(name=name)
    if machine is None:
        sys.exit(f'There is no machine "{name}".')
    return machine


def ask(netbox, url):
    return checked(netbox.http_session.get(url, headers={'Authorization': f'Bearer {netbox.token}'}))


def tell(netbox, url, body):
    return checked(netbox.http_session.post(url, json=body, headers={'Authorization': f'Bearer {netbox.token}'}))


def checked(answer):
    if not answer.ok:
        raise pynetbox.RequestError(answer)
    return answer.json()


if __name__ == '__main__':
    sys.exit(main())
