"""Makes the webhook and the event rule by which NetBox tells a receiver; made already, they are changed.

    WEBHOOK_SECRET=… python webhook_setup.py https://hooks.example.com/substruct [--site ber]

Needs "add" and "change" on webhooks and event rules.
"""

import os

from substruct import arguments, main

NAME = 'Tell the receiver'
EVENTS = {
    'netbox_substruct.build': [
        f'substruct_build_{state}'
        for state in ('started', 'installing', 'finishing', 'complete', 'failed', 'stalled', 'cancelled')
    ],
    'netbox_substruct.wave': ['substruct_wave_stopped'],
    'netbox_substruct.bootserver': ['substruct_boot_server_lost', 'substruct_boot_server_heard'],
    'dcim.device': ['substruct_build_refused'],
}


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('url')
    parser.add_argument('--site', help='slug: only machines there')
    wanted = parser.parse_args()

    webhook = put(
        netbox.extras.webhooks, payload_url=wanted.url, http_method='POST', secret=os.environ['WEBHOOK_SECRET']
    )
    put(
        netbox.extras.event_rules,
        object_types=list(EVENTS), event_types=sorted({name for names in EVENTS.values() for name in names}),
        conditions={'attr': 'machine.site.slug', 'value': wanted.site} if wanted.site else None,
        action_type='webhook', action_object_type='extras.webhook', action_object_id=webhook.id,
    )  # fmt: skip
    print(f'{wanted.url} is told.')


def put(endpoint, **values):
    known = endpoint.get(name=NAME)
    if known is None:
        return endpoint.create(name=NAME, **values)
    known.update(values)
    return known


main(recipe)
