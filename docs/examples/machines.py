"""The machines that there are, with their state and profile.

    python machines.py [--state failed] [--site ber]

Only what is shown is asked for, which is much quicker where there are many.
"""

from substruct import arguments, main


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('--state', help='discovered, registered, building, built, failed or retired')
    parser.add_argument('--site', help='slug of a site')
    wanted = parser.parse_args()

    filters = {name: value for name, value in vars(wanted).items() if value}
    for machine in netbox.plugins.substruct.machines.filter(fields='id,name,state,profile', limit=500, **filters):
        print(f'{machine.name:30}  {machine.state.value:12}  {machine.profile or "-"}')


main(recipe)
