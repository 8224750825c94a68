"""What a machine boots once, at its next start: rescue, discovery or wipe; `local` takes it back.

    python next_boot.py srv-1 rescue
    python next_boot.py srv-1 wipe --override srv-1

Wiping erases the disks.  An active or protected machine is wiped only with its own name as the override.
"""

from substruct import act, arguments, ask, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('machine')
    parser.add_argument('what', choices=('rescue', 'discovery', 'wipe', 'local'))
    parser.add_argument('--override', default='')
    wanted = parser.parse_args()

    machine = one(netbox.plugins.substruct.machines, name=wanted.machine)
    once = '' if wanted.what == 'local' else wanted.what
    act(netbox, f'{machine.url}next-boot/', {'next_boot': once, 'override': wanted.override})
    answer = ask(netbox, f'{machine.url}boot/')
    print(f'{machine.name} boots {answer["action"]}: {answer["reason"]}')


main(recipe)
