"""Every server of a rack becomes a machine with a profile.

    python register_rack.py SITE RACK --profile debian-13 [--role server]

Those that are machines already get the profile too, unless they have one.
"""

from substruct import act, arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('site', help='slug of the site')
    parser.add_argument('rack', help='name of the rack')
    parser.add_argument('--profile', required=True, help='slug of the profile')
    parser.add_argument('--role', default='server', help='slug of the device role; switches are not meant')
    wanted = parser.parse_args()

    substruct = netbox.plugins.substruct
    profile = one(substruct.profiles, slug=wanted.profile)
    rack = one(netbox.dcim.racks, site=wanted.site, name=wanted.rack)
    devices = netbox.dcim.devices.filter(rack_id=rack.id, role=wanted.role)
    known = {machine.device.id: machine for machine in substruct.machines.filter(rack_id=rack.id)}

    new = [{'device': device.id, 'profile': profile.id} for device in devices if device.id not in known]
    if new:
        # One request, all or none: a rack is not left half done.
        for machine in act(netbox, 'machines/register/', new):
            print(f'{machine["name"]} is a machine now')
    bare = [machine for machine in known.values() if machine.profile is None]
    if bare:
        substruct.machines.update([{'id': machine.id, 'profile': profile.id} for machine in bare])
        for machine in bare:
            print(f'{machine.name} had no profile')


main(recipe)
