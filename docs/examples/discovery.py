"""Discovered machines with plain pynetbox: adopt them, and compare known ones with what they say of themselves.

    python discovery.py list
    python discovery.py show "PowerEdge R650 CK1RM22"
    python discovery.py adopt "PowerEdge R650 CK1RM22" --name srv-7 --role server [--leave cable:eno1 …] [--yes]
    python discovery.py difference srv-7 [--accept device:serial …]

409: what was shown is not what would be done now; 422: something must be chosen first; 403: not permitted.
"""

import sys

from substruct import act, arguments, ask, main, one


def recipe(netbox):
    parser = arguments(__doc__)
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

    wanted = parser.parse_args()
    return wanted.run(netbox, wanted)


def list_machines(netbox, wanted):
    for machine in netbox.plugins.substruct.machines.filter(state='discovered'):
        print(f'{machine.name:40}  {machine.serial or "-":15}  {machine.discovery_problem or ""}')


def show(netbox, wanted):
    machine = one(netbox.plugins.substruct.machines, name=wanted.machine)
    for candidate in ask(netbox, f'{machine.url}candidates/')['candidates']:
        print(f'It may be {candidate["object"]["name"]}:')
        for reason in candidate['reasons']:
            print(f'  + {reason}')
        for contradiction in candidate['contradictions']:
            print(f'  - {contradiction}')


def adopt(netbox, wanted):
    machine = one(netbox.plugins.substruct.machines, name=wanted.machine)
    choices = {'name': wanted.name}
    if wanted.role:
        choices['role'] = netbox.dcim.device_roles.get(slug=wanted.role).id
    proposal = act(netbox, f'{machine.url}adopt/', choices)
    for problem in proposal['problems']:
        print(f'{problem["field"] or "machine"}: {problem["message"]}', file=sys.stderr)
    show_lines(proposal['lines'])
    if not wanted.yes or proposal['problems']:
        return
    accepted = [
        line['key']
        for line in proposal['lines']
        if line['changes'] and line['suggested'] and not line['not_permitted'] and line['key'] not in wanted.leave
    ]
    done = act(netbox, f'{machine.url}adopt/', {**choices, 'accept': accepted, 'confirm': proposal['digest']})
    print(f'{wanted.machine} is {done["object"]["name"]}: {len(done["created"])} objects made')


def difference(netbox, wanted):
    machine = one(netbox.plugins.substruct.machines, name=wanted.machine)
    found = ask(netbox, f'{machine.url}difference/')
    if not wanted.accept:
        show_lines(found['lines'])
        return
    accepted = {'accept': wanted.accept, 'confirm': found['digest']}
    done = act(netbox, f'{machine.url}difference/', accepted)
    print(f'{len(done["created"])} made, {len(done["updated"])} changed, {len(done["deleted"])} removed')


def show_lines(lines):
    for line in lines:
        print(f'{line["key"]:24} {line["title"]}')
        for warning in line['warnings']:
            print(f'{"":24}   ! {warning}')


main(recipe)
