"""The feed's log of changes and its state.  The triggers that fill the log are made after each migration (`signals`)."""

from django.db import migrations

from netbox_substruct.feed import changes

TABLES = """
CREATE TABLE netbox_substruct_feedchange (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    ids bigint[] NOT NULL DEFAULT '{}',
    details text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX netbox_substruct_feedchange_xid ON netbox_substruct_feedchange (xid);
CREATE TABLE netbox_substruct_feedstate (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    generation uuid NOT NULL DEFAULT gen_random_uuid(),
    horizon xid8 NOT NULL DEFAULT '0',
    maintained timestamptz NOT NULL DEFAULT now(),
    triggers text NOT NULL DEFAULT ''
);
INSERT INTO netbox_substruct_feedstate DEFAULT VALUES;
"""
NO_TABLES = 'DROP TABLE netbox_substruct_feedchange; DROP TABLE netbox_substruct_feedstate;'


def remove_triggers(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        changes.uninstall(cursor)


class Migration(migrations.Migration):
    dependencies = [('netbox_substruct', '0001_initial')]

    operations = [
        migrations.RunSQL(TABLES, NO_TABLES),
        migrations.RunPython(migrations.RunPython.noop, remove_triggers),
    ]
