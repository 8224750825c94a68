"""`netbox substruct_feed`: the feed, its JSON schema, the state of its log, a new beginning for all readers."""

import json

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from ...feed import changes, messages


class Command(BaseCommand):
    help = 'Show the state of the feed, print its JSON schema, or make every boot server take a snapshot'

    def add_arguments(self, parser):
        parser.add_argument('action', choices=('status', 'schema', 'reset'))

    def handle(self, *args, **options):
        getattr(self, options['action'])()

    def schema(self):
        self.stdout.write(json.dumps(messages.schema(), indent=2))

    def status(self):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT maintained, maintained < now() - interval '{changes.ASLEEP_AFTER}', triggers, "  # noqa: S608
                f'(SELECT count(*) FROM {changes.LOG}), (SELECT min(at) FROM {changes.LOG}) FROM {changes.STATE}'
            )
            maintained, asleep, triggers, rows, oldest = cursor.fetchone()
            wanted = changes.fingerprint(changes.tracked(cursor))
        self.stdout.write(f'Protocol      {messages.PROTOCOL}')
        self.stdout.write(f'Triggers      {"current" if triggers == wanted else "outdated: run migrate"}')
        self.stdout.write(f'Log           {rows} changes' + (f' since {oldest:%Y-%m-%d %H:%M %Z}' if oldest else ''))
        words = 'asleep, because nobody reads the feed' if asleep else 'awake'
        self.stdout.write(f'State         {words}; last read or tended {maintained:%Y-%m-%d %H:%M %Z}')

    def reset(self):
        with transaction.atomic(), connection.cursor() as cursor:
            changes.install(cursor, force=True)
            changes.reset(cursor)
        self.stdout.write('Every boot server takes a snapshot at its next request.')
