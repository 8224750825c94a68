"""A built machine starts a job of AWX: the webhook and the event rule, with no program between.

    AWX_TOKEN=… python awx_webhook.py https://awx.example.com/api/v2/job_templates/7/launch/ [--profile debian-13]

The job template asks for its limit and for extra variables at launch.
"""

import os

from substruct import arguments, main

NAME = 'Configure what was built'
# Every value goes through `tojson`: a name can hold quotes, and must not become more than a value.
BODY = """{
  "limit": {{ data.machine.name | tojson }},
  "extra_vars": {
    "substruct_build": {{ data.build.id | tojson }},
    "substruct_profile": {{ data.build.profile.slug | tojson }}
  }
}"""


def recipe(netbox):
    parser = arguments(__doc__)
    parser.add_argument('launch', help='the URL at which the job template is launched')
    parser.add_argument('--profile', help='slug: only machines that became this')
    wanted = parser.parse_args()

    webhook = netbox.extras.webhooks.create(
        name=NAME, payload_url=wanted.launch, http_method='POST', http_content_type='application/json',
        additional_headers=f'Authorization: Bearer {os.environ["AWX_TOKEN"]}', body_template=BODY,
    )  # fmt: skip
    netbox.extras.event_rules.create(
        name=NAME, object_types=['netbox_substruct.build'], event_types=['substruct_build_complete'],
        conditions={'attr': 'build.profile.slug', 'value': wanted.profile} if wanted.profile else None,
        action_type='webhook', action_object_type='extras.webhook', action_object_id=webhook.id,
    )  # fmt: skip
    print(f'{wanted.launch} is called when a build is complete.')


main(recipe)
