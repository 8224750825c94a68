"""What failed lately, and why: the reasons, the commonest first, with the machines.

    python failures.py [--days 7] [--site ber] [--log]

With the end of the log of one build for each reason, if asked.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from substruct import arguments, main, one


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('--days', type=float, default=7)
    parser.add_argument('--site', help='slug of a site; all of them if left out')
    parser.add_argument('--log', action='store_true', help='with the end of the log of one of each')
    wanted = parser.parse_args()

    substruct = netbox.plugins.substruct
    since = datetime.now(UTC) - timedelta(days=wanted.days)
    filters = {'state': ['failed', 'stalled'], 'created__gte': since.isoformat()}
    if wanted.site:
        filters['site_id'] = one(netbox.dcim.sites, slug=wanted.site).id
    reasons = defaultdict(list)
    for build in substruct.builds.filter(**filters):
        reasons[build.error.split('\n')[0] or 'no reason was given'].append(build)

    for reason, builds in sorted(reasons.items(), key=lambda each: -len(each[1])):
        print(f'{len(builds):4}  {reason}')
        print(f'      {", ".join(sorted({build.machine.name for build in builds}))}')
        if wanted.log:
            for event in substruct.build_events.filter(build_id=builds[0].id, kind='failed'):
                for line in event.log.splitlines()[-10:]:
                    print(f'      | {line}')
    if not reasons:
        print('Nothing failed.')


main(recipe)
