"""Foreign keys do in the database what Django does for them while the plugin is loaded.

Without the plugin (it was taken out of PLUGINS, and its tables stand) Django no longer knows that a machine hangs on a
device, and deleting the device would fail on a constraint that nobody can see.  With these the machine goes with it.
"""

from django.db import migrations, models

APP = 'netbox_substruct'


# A build token is no relation for Django, so that nothing can follow it; the database still knows whose it is.
FOREIGN_KEY = """
ALTER TABLE netbox_substruct_buildtoken ADD CONSTRAINT netbox_substruct_buildtoken_build
    FOREIGN KEY (build_id) REFERENCES netbox_substruct_build (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
WITHOUT_FOREIGN_KEY = 'ALTER TABLE netbox_substruct_buildtoken DROP CONSTRAINT netbox_substruct_buildtoken_build;'


def foreign_keys(apps):
    """(table, column, referenced table, what happens when the referenced row is deleted)"""
    for model in apps.get_app_config(APP).get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if not field.is_relation or not field.db_constraint:
                continue
            target = field.remote_field.model._meta
            on_delete = field.remote_field.on_delete
            if on_delete is models.CASCADE:
                action = 'CASCADE'
            elif on_delete is models.PROTECT and target.app_label == APP:
                continue  # nobody deletes the plugin's own objects while it is not loaded
            else:
                action = 'SET NULL' if field.null else 'CASCADE'
            yield model._meta.db_table, field.column, target.db_table, action


def replace(apps, schema_editor, suffix):
    quote = schema_editor.quote_name
    # A table that has rows to check at the end of this transaction cannot be altered before they are.
    schema_editor.execute('SET CONSTRAINTS ALL IMMEDIATE')
    for table, column, _target, action in foreign_keys(apps):
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
                WHERE c.contype = 'f' AND c.conrelid = %s::regclass AND a.attname = %s
                """,
                [table, column],
            )
            name, definition = cursor.fetchone()
        plain = definition.replace(' ON DELETE CASCADE', '').replace(' ON DELETE SET NULL', '')
        wanted = plain.replace(' DEFERRABLE', suffix.format(action=action) + ' DEFERRABLE')
        schema_editor.execute(
            f'ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(name)}, ADD CONSTRAINT {quote(name)} {wanted}'
        )


def cascade(apps, schema_editor):
    replace(apps, schema_editor, ' ON DELETE {action}')


def no_action(apps, schema_editor):
    replace(apps, schema_editor, '')


class Migration(migrations.Migration):
    dependencies = [(APP, '0002_feed')]

    operations = [migrations.RunPython(cascade, no_action), migrations.RunSQL(FOREIGN_KEY, WITHOUT_FOREIGN_KEY)]
