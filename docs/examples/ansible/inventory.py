#!/usr/bin/env python3
"""Ansible's inventory out of NetBox: every machine, in groups by what became of its provisioning.

    NETBOX_URL=https://netbox.example.com NETBOX_TOKEN=nbt_… ansible-inventory -i inventory.py --graph

Groups: provisioning_built, provisioning_failed …, profile_debian_13 …, site_ber ….  One request to GraphQL for each
thousand machines, by a token that needs no more than to view them.  Python's standard library is enough.
"""

import json
import os
import re
import sys
import urllib.request

QUERY = """
query ($offset: Int!) {
  substruct_machine_list(pagination: {offset: $offset, limit: 1000}) {
    id
    state
    profile { slug }
    device { name status site { slug } primary_ip4 { address } primary_ip6 { address } }
    virtual_machine { name status site { slug } primary_ip4 { address } primary_ip6 { address } }
  }
}
"""


def machines():
    """Those that are devices or virtual machines; one that is only discovered has no name to be reached by."""
    offset = 0
    while page := ask(QUERY, offset=offset)['substruct_machine_list']:
        offset += len(page)
        yield from (machine for machine in page if machine['device'] or machine['virtual_machine'])


def ask(query, **variables):
    request = urllib.request.Request(
        f'{os.environ["NETBOX_URL"].rstrip("/")}/graphql/',
        json.dumps({'query': query, 'variables': variables}).encode(),
        {'Content-Type': 'application/json', 'Authorization': f'Bearer {os.environ["NETBOX_TOKEN"]}'},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = json.load(answer)
    if said.get('errors'):
        sys.exit('; '.join(error['message'] for error in said['errors']))
    return said['data']


def inventory():
    hosts, groups = {}, {}
    for machine in machines():
        what = machine['device'] or machine['virtual_machine']
        variables = {'provisioning_state': machine['state'], 'netbox_status': what['status']}
        if address := what['primary_ip4'] or what['primary_ip6']:
            variables['ansible_host'] = address['address'].split('/')[0]
        hosts[what['name']] = variables
        groups.setdefault(group('provisioning', machine['state']), []).append(what['name'])
        for kind, named in (('profile', machine['profile']), ('site', what['site'])):
            if named:
                variables[kind] = named['slug']
                groups.setdefault(group(kind, named['slug']), []).append(what['name'])
    # Every group's hosts, and the variables of all of them at once: Ansible asks no second time.
    return {
        **{name: {'hosts': members} for name, members in groups.items()},
        'all': {'hosts': list(hosts), 'children': list(groups)},
        '_meta': {'hostvars': hosts},
    }


def group(kind, name):
    """A name of a group holds letters, digits and underscores."""
    return re.sub(r'\W', '_', f'{kind}_{name}', flags=re.ASCII)


if __name__ == '__main__':
    json.dump(inventory() if '--list' in sys.argv else {}, sys.stdout, indent=2)
