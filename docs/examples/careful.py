"""Acts on what was seen, or not at all: NetBox refuses when somebody has changed the machine meanwhile.

    python careful.py srv-1

Shows what would be built, asks, and builds exactly that.  The ETag of the machine goes back as If-Match.
"""

import pynetbox
from substruct import act, arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('machine')
    wanted = parser.parse_args()

    found = one(netbox.plugins.substruct.machines, name=wanted.machine)
    # pynetbox keeps no headers, so the machine is read by its session.
    answer = netbox.http_session.get(found.url, headers={'Authorization': f'Bearer {netbox.token}'})
    machine, seen = answer.json(), answer.headers['ETag']
    profile = machine['profile']['name'] if machine['profile'] else 'nothing'
    print(f'{machine["name"]} is {machine["state"]["value"]} and would become {profile}.', flush=True)
    if input('Build it? [y/N] ') != 'y':
        return 0
    try:
        build = act(netbox, f'{machine["url"]}build/', {}, seen=seen)
    except pynetbox.RequestError as error:
        if error.req.status_code != 412:
            raise
        return 'It is not what you have seen any more; nothing was done. Look again.'
    print(f'{build["display"]} is {build["state"]["value"]}')
    return 0


main(recipe)
