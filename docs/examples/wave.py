"""A wave out of a filter: all registered machines of a site and role, a few at a time, one of them first.

    python wave.py "Berlin to Debian 13" --site ber --role server --profile debian-13 [--at-once 5] [--start]

Without --start it is only planned, to be looked at in NetBox.
"""

from substruct import act, arguments, ask, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('name')
    parser.add_argument('--site', required=True)
    parser.add_argument('--role', required=True)
    parser.add_argument('--profile', required=True)
    parser.add_argument('--at-once', type=int, default=5)
    parser.add_argument('--start', action='store_true')
    wanted = parser.parse_args()

    substruct = netbox.plugins.substruct
    machines = list(
        substruct.machines.filter(
            site=wanted.site, role_id=one(netbox.dcim.device_roles, slug=wanted.role).id, state='registered'
        )
    )
    if not machines:
        return 'No machine is found so.'
    wave = substruct.waves.create(
        name=wanted.name, profile={'slug': wanted.profile}, at_once=wanted.at_once, canaries=1, max_failures=2,
        days=['sat', 'sun'], daily_from='22:00', daily_until='05:00',
    )  # fmt: skip
    substruct.wave_members.create([{'wave': wave.id, 'machine': machine.id} for machine in machines])
    if wanted.start:
        act(netbox, f'{wave.url}start/')
    for member in substruct.wave_members.filter(wave_id=wave.id):
        # When it starts, active and protected machines are left out, with the reason, until somebody gives their name.
        print(f'{member.machine.name:20} {member.state.value:10} {member.reason}')
    progress = ask(netbox, f'{wave.url}progress/')
    print(f'{wave.name}: {progress["total"]} machines. {progress["why"]}')
    return 0


main(recipe)
