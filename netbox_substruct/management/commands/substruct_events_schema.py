"""`netbox substruct_events_schema`: the JSON schema of what receivers of Substruct's events are told."""

import json

from django.core.management.base import BaseCommand

from netbox_substruct.lifecycle import payloads


class Command(BaseCommand):
    help = 'Print the JSON schema of the payload of Substruct’s events'

    def handle(self, *args, **options):
        self.stdout.write(json.dumps(payloads.schema(), indent=2, ensure_ascii=False))
