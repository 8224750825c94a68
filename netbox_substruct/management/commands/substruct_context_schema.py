"""`netbox substruct_context_schema`: the JSON schema of the context that templates see."""

import json

from django.core.management.base import BaseCommand

from netbox_substruct import context


class Command(BaseCommand):
    help = 'Print the JSON schema of the context that Substruct’s templates see'

    def handle(self, *args, **options):
        self.stdout.write(json.dumps(context.json_schema(), indent=2))
