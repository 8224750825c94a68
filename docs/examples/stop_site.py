"""Stops every build at a site, when the network there is in trouble.

    python stop_site.py ber --reason "the storage is being moved"

All or none; what a machine has begun stays half done, so it counts as failed.
"""

from substruct import act, arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('site')
    parser.add_argument('--reason', required=True)
    wanted = parser.parse_args()

    site = one(netbox.dcim.sites, slug=wanted.site)
    builds = netbox.plugins.substruct.builds.filter(site_id=site.id, active=True)
    asked = [{'id': build.id, 'reason': wanted.reason} for build in builds]
    for build in act(netbox, 'builds/cancel/', asked) if asked else []:
        print(f'{build["display"]} is {build["state"]["value"]}')
    print(f'{len(asked)} builds were stopped.')
    return 0


main(recipe)
