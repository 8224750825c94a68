"""What discovery rules do by themselves, and what became of it."""

import django.db.models.deletion
from django.db import migrations, models

# As in 0003: the database does what Django does while the plugin is loaded.
SET_NULL = """
DO $$
DECLARE
    found name := (
        SELECT c.conname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.contype = 'f' AND c.conrelid = 'netbox_substruct_machine'::regclass AND a.attname = 'discovery_rule_id'
    );
BEGIN
    EXECUTE format(
        'ALTER TABLE netbox_substruct_machine DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (discovery_rule_id) '
        'REFERENCES netbox_substruct_discoveryrule (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED',
        found, found
    );
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [('netbox_substruct', '0005_ends_of_builds')]

    operations = [
        migrations.AddField('discoveryrule', 'adopt_at_once', models.BooleanField(default=False)),
        migrations.AddField(
            'machine',
            'discovery_problem',
            models.TextField(blank=True, default='', editable=False),
            preserve_default=False,
        ),
        migrations.AddField(
            'machine',
            'discovery_rule',
            models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='machines',
                to='netbox_substruct.discoveryrule',
            ),
        ),
        migrations.RunSQL(SET_NULL, migrations.RunSQL.noop),
    ]
