"""Would they all boot?  Preflight of the machines of a wave, some hours before its maintenance window.

    python before_the_window.py "Berlin to Debian 13" [--patience 60]

Ends with 1 if a build would be refused, or a step fails.
"""

import time

from substruct import act, arguments, ask, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('wave')
    parser.add_argument('--patience', type=float, default=60, metavar='SECONDS', help='to wait for the boot servers')
    wanted = parser.parse_args()

    wave = one(netbox.plugins.substruct.waves, name=wanted.wave)
    machines = [member.machine for member in netbox.plugins.substruct.wave_members.filter(wave_id=wave.id)]
    for machine in machines:  # all are asked before the first answer is waited for
        act(netbox, f'machines/{machine.id}/preflight/')
    until = time.monotonic() + wanted.patience
    bad = 0
    for machine in machines:
        report = ask(netbox, f'machines/{machine.id}/preflight/')
        while report['waiting'] and time.monotonic() < until:
            time.sleep(1)
            report = ask(netbox, f'machines/{machine.id}/preflight/')
        failing = report['blocked'] or report['outcome'] == 'failure'
        bad += failing
        print(f'{machine.name:20} {"NO" if failing else "ok"}{"  no answer yet" if report["waiting"] else ""}')
        for step in report['steps']:
            if step['outcome'] in ('failure', 'warning'):
                print(f'    {step["outcome"]:8} {step["title"]}: {step["words"]} {step["remedy"]}')
    print(f'{len(machines) - bad} of {len(machines)} would boot.')
    return 1 if bad else 0


main(recipe)
