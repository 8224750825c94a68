"""Waves: builds of many machines, some at a time.  And when the loss and the drift of a boot server were told."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import taggit.managers
import timezone_field.fields
from django.conf import settings
from django.db import migrations, models

import netbox.models.deletion
import utilities.json

# As in 0003: the database does what Django does while the plugin is loaded.
FOREIGN_KEYS = """
DO $$
DECLARE
    wanted record;
    found record;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('netbox_substruct_wave', 'owner_id', 'SET NULL'),
        ('netbox_substruct_wave', 'requested_by_id', 'SET NULL'),
        ('netbox_substruct_wavemember', 'wave_id', 'CASCADE'),
        ('netbox_substruct_wavemember', 'machine_id', 'CASCADE'),
        ('netbox_substruct_wavemember', 'build_id', 'SET NULL')
    ) AS keys (tab, col, act) LOOP
        SELECT c.conname, c.confrelid::regclass AS target INTO STRICT found FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.contype = 'f' AND c.conrelid = wanted.tab::regclass AND a.attname = wanted.col;
        EXECUTE format(
            'ALTER TABLE %I DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (%I) '
            'REFERENCES %s (id) ON DELETE %s DEFERRABLE INITIALLY DEFERRED',
            wanted.tab, found.conname, found.conname, wanted.col, found.target, wanted.act
        );
    END LOOP;
END $$;
"""


def cascade(apps, schema_editor):
    # Django makes the foreign keys of new tables at the end of the migration; this comes after them.
    schema_editor.deferred_sql.append(FOREIGN_KEYS)


class Migration(migrations.Migration):
    dependencies = [
        ('extras', '0144_customfield_status'),
        ('netbox_substruct', '0006_discovery'),
        ('users', '0016_default_ordering_indexes'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='bootserver',
            name='drifted',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='bootserver',
            name='lost',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.CreateModel(
            name='Wave',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('description', models.CharField(blank=True, max_length=200)),
                ('comments', models.TextField(blank=True)),
                ('name', models.CharField(max_length=100, unique=True)),
                (
                    'at_once',
                    models.PositiveSmallIntegerField(
                        default=5,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    'canaries',
                    models.PositiveSmallIntegerField(
                        default=1, validators=[django.core.validators.MaxValueValidator(1000)]
                    ),
                ),
                (
                    'max_failures',
                    models.PositiveSmallIntegerField(
                        default=0, validators=[django.core.validators.MaxValueValidator(10000)]
                    ),
                ),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('not_after', models.DateTimeField(blank=True, null=True)),
                ('daily_from', models.TimeField(blank=True, null=True)),
                ('daily_until', models.TimeField(blank=True, null=True)),
                (
                    'days',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=3), blank=True, default=list
                    ),
                ),
                ('time_zone', timezone_field.fields.TimeZoneField(blank=True, null=True)),
                (
                    'reserve',
                    models.PositiveSmallIntegerField(
                        default=30, validators=[django.core.validators.MaxValueValidator(1440)]
                    ),
                ),
                ('state', models.CharField(default='planned', editable=False, max_length=50)),
                ('reason', models.TextField(blank=True, editable=False)),
                ('started', models.DateTimeField(blank=True, editable=False, null=True)),
                ('finished', models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    'owner',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='users.owner',
                    ),
                ),
                (
                    'profile',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='waves',
                        to='netbox_substruct.profile',
                    ),
                ),
                (
                    'requested_by',
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'wave',
                'verbose_name_plural': 'waves',
                'ordering': ('-pk',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='WaveMember',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('order', models.PositiveIntegerField(default=100)),
                ('override', models.CharField(blank=True, max_length=100)),
                ('state', models.CharField(default='waiting', editable=False, max_length=50)),
                ('reason', models.TextField(blank=True, editable=False)),
                ('attempts', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('excused', models.BooleanField(default=False, editable=False)),
                (
                    'build',
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='wave_members',
                        to='netbox_substruct.build',
                    ),
                ),
                (
                    'machine',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='wave_members',
                        to='netbox_substruct.machine',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'wave',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name='members', to='netbox_substruct.wave'
                    ),
                ),
            ],
            options={
                'verbose_name': 'wave member',
                'verbose_name_plural': 'wave members',
                'ordering': ('wave', 'order', 'pk'),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.AddIndex(
            model_name='wave',
            index=models.Index(fields=['state'], name='netbox_subs_state_180ff5_idx'),
        ),
        migrations.AddIndex(
            model_name='wavemember',
            index=models.Index(fields=['wave', 'state'], name='netbox_subs_wave_id_f147d8_idx'),
        ),
        migrations.AddConstraint(
            model_name='wavemember',
            constraint=models.UniqueConstraint(
                fields=('wave', 'machine'),
                name='netbox_substruct_wavemember_unique_machine',
                violation_error_message='The machine is in this wave already.',
            ),
        ),
        migrations.RunPython(cascade, migrations.RunPython.noop),
    ]
