"""What profiles say of the end of a build and of silent ones, and since when boot servers are heard without a gap."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('netbox_substruct', '0004_boot_server_reports')]

    operations = [
        migrations.AddField('profile', 'built_address', models.CharField(blank=True, max_length=50)),
        migrations.AddField('profile', 'built_dns_name', models.CharField(blank=True, max_length=50)),
        migrations.AddField('profile', 'pending_limit', models.PositiveIntegerField(blank=True, null=True)),
        migrations.AddField('profile', 'stall_limit', models.PositiveIntegerField(blank=True, null=True)),
        migrations.AddField('bootserver', 'heard_since', models.DateTimeField(blank=True, editable=False, null=True)),
    ]
