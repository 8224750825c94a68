"""What boot servers report, the webhooks that wake them, and who has claimed a task."""

from django.db import migrations, models

# The webhook and event rule of a boot server are no relations for Django, so that no template can follow one to the
# secret; the database forgets them when they are deleted.
FOREIGN_KEYS = """
ALTER TABLE netbox_substruct_bootserver
    ADD CONSTRAINT netbox_substruct_bootserver_webhook FOREIGN KEY (webhook_id)
        REFERENCES extras_webhook (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT netbox_substruct_bootserver_event_rule FOREIGN KEY (event_rule_id)
        REFERENCES extras_eventrule (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE netbox_substruct_bootserver
    DROP CONSTRAINT netbox_substruct_bootserver_webhook, DROP CONSTRAINT netbox_substruct_bootserver_event_rule;
"""

# The keys of messages that were taken (reports.delivery): the same message again is the same message.
RECEIVED = """
CREATE TABLE netbox_substruct_received (
    boot_server_id bigint NOT NULL REFERENCES netbox_substruct_bootserver (id) ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED,
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    machine_id bigint,
    PRIMARY KEY (boot_server_id, key)
);
CREATE INDEX netbox_substruct_received_at ON netbox_substruct_received (at);
CREATE INDEX netbox_substruct_received_machine ON netbox_substruct_received (boot_server_id, machine_id)
    WHERE machine_id IS NOT NULL;
"""
NOT_RECEIVED = 'DROP TABLE netbox_substruct_received;'


class Migration(migrations.Migration):
    dependencies = [('netbox_substruct', '0003_database_cascades'), ('extras', '0144_customfield_status')]

    operations = [
        migrations.AddField('bootserver', 'instances', models.JSONField(blank=True, default=list, editable=False)),
        migrations.AddField('bootserver', 'files', models.JSONField(blank=True, default=list, editable=False)),
        migrations.AddField('bootserver', 'webhook_id', models.BigIntegerField(blank=True, editable=False, null=True)),
        migrations.AddField(
            'bootserver', 'event_rule_id', models.BigIntegerField(blank=True, editable=False, null=True)
        ),
        migrations.AddField('task', 'claimed_by', models.CharField(blank=True, editable=False, max_length=100)),
        migrations.AddField('task', 'claim_key', models.CharField(blank=True, editable=False, max_length=64)),
        migrations.AddField('task', 'lease_expires', models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddIndex(
            'task',
            models.Index(
                fields=['claim_key'],
                condition=~models.Q(claim_key=''),
                name='substruct_task_claim_key',
            ),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
        migrations.RunSQL(RECEIVED, NOT_RECEIVED),
    ]
