"""Adopts what a discovery rule suggests, after somebody has looked.

    python adopt_by_rule.py "Dell servers"
    python adopt_by_rule.py "Dell servers" --yes

The first shows what it would take and make; the second does that.
"""

from substruct import act, arguments, ask, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('rule')
    parser.add_argument('--yes', action='store_true')
    wanted = parser.parse_args()

    rule = one(netbox.plugins.substruct.discovery_rules, name=wanted.rule)
    ready = []
    for tried in ask(netbox, f'{rule.url}dry-run/')['machines']:
        if not tried['takes']:
            continue
        machine = tried['machine']
        # Each machine's proposal is as the rule has it; its digest stands for exactly these lines.
        proposal = ask(netbox, f'machines/{machine["id"]}/adopt/')
        print(f'{machine["name"]} becomes {tried["host_name"]}')
        for line in proposal['lines']:
            if line['changes'] and line['suggested']:
                print(f'    {line["title"]}')
        for problem in proposal['problems']:
            print(f'    ! {problem["message"]}')
        if not proposal['problems']:
            ready.append({'id': machine['id'], 'confirm': proposal['digest']})
    if not ready:
        print('There is nothing to adopt.')
    if not ready or not wanted.yes:
        return 0

    done = act(netbox, 'machines/adopt/', ready)
    for each in done:
        if each['status'] == 'adopted':
            print(f'adopted: {each["done"]["object"]["name"]}')
        else:  # stale: what was adopted before it has changed what is proposed now; look at it again
            print(f'left: machine {each["id"]}: {each["detail"]}')
    return 0 if all(each['status'] == 'adopted' for each in done) else 1


main(recipe)
