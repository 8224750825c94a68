# The core migrations named here are the newest of NetBox 4.7.0, the lowest version that the plugin supports.

import secrets

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import taggit.managers
from django.conf import settings
from django.db import migrations, models

import dcim.fields
import netbox.models.deletion
import utilities.json

import netbox_substruct.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ('dcim', '0250_cooling_infrastructure'),
        ('extras', '0144_customfield_status'),
        ('ipam', '0097_merge_ipaddress_host_index_and_multi_protocol_services'),
        ('users', '0016_default_ordering_indexes'),
        ('virtualization', '0060_consolidate_unique_constraints'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Build',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('state', models.CharField(default='pending', editable=False, max_length=50)),
                (
                    'progress',
                    models.PositiveSmallIntegerField(
                        blank=True,
                        editable=False,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(100)],
                    ),
                ),
                ('started', models.DateTimeField(blank=True, editable=False, null=True)),
                ('finished', models.DateTimeField(blank=True, editable=False, null=True)),
                ('error', models.TextField(blank=True, editable=False)),
                ('request', models.JSONField(default=dict, editable=False)),
                ('description', models.CharField(blank=True, max_length=200)),
                ('comments', models.TextField(blank=True)),
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
                'verbose_name': 'build',
                'verbose_name_plural': 'builds',
                'ordering': ('-pk',),
                'permissions': [('cancel', 'Cancel a build')],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='BootImage',
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
                ('architecture', models.CharField(default='x86_64', max_length=50)),
                ('method', models.CharField(default='installer', max_length=50)),
                (
                    'kernel_url',
                    models.CharField(
                        blank=True, max_length=500, validators=[netbox_substruct.validators.validate_source_url]
                    ),
                ),
                (
                    'kernel_sha256',
                    models.CharField(
                        blank=True, max_length=64, validators=[netbox_substruct.validators.validate_sha256]
                    ),
                ),
                (
                    'initrds',
                    models.JSONField(
                        blank=True, default=list, validators=[netbox_substruct.validators.validate_initrds]
                    ),
                ),
                ('arguments', models.TextField(blank=True)),
                (
                    'disk_image_url',
                    models.CharField(
                        blank=True, max_length=500, validators=[netbox_substruct.validators.validate_source_url]
                    ),
                ),
                (
                    'disk_image_sha256',
                    models.CharField(
                        blank=True, max_length=64, validators=[netbox_substruct.validators.validate_sha256]
                    ),
                ),
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
                    'platform',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='substruct_boot_images',
                        to='dcim.platform',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'boot image',
                'verbose_name_plural': 'boot images',
                'ordering': ('name',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='BootServer',
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
                ('status', models.CharField(default='active', max_length=50)),
                (
                    'base_url',
                    models.CharField(max_length=200, validators=[netbox_substruct.validators.validate_base_url]),
                ),
                ('services', models.JSONField(blank=True, default=list, editable=False)),
                ('version', models.CharField(blank=True, editable=False, max_length=50)),
                ('last_heartbeat', models.DateTimeField(blank=True, editable=False, null=True)),
                ('applied_cursor', models.TextField(blank=True, editable=False)),
                ('out_of_step', models.JSONField(blank=True, default=list, editable=False)),
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
                    'prefixes',
                    models.ManyToManyField(blank=True, related_name='substruct_boot_servers', to='ipam.prefix'),
                ),
                ('sites', models.ManyToManyField(blank=True, related_name='substruct_boot_servers', to='dcim.site')),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'boot server',
                'verbose_name_plural': 'boot servers',
                'ordering': ('name',),
                'permissions': [('feed', 'Read the feed of a boot server, with build tokens')],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='BuildToken',
            fields=[
                ('build_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('token', models.CharField(default=secrets.token_urlsafe, max_length=64, unique=True)),
            ],
            options={
                'verbose_name': 'build token',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='BuildEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('time', models.DateTimeField(default=django.utils.timezone.now)),
                ('kind', models.CharField(max_length=50)),
                ('message', models.CharField(blank=True, max_length=500)),
                (
                    'progress',
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MaxValueValidator(100)]
                    ),
                ),
                ('log', models.TextField(blank=True)),
                ('key', models.CharField(blank=True, max_length=64, null=True, unique=True)),
                (
                    'build',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name='events', to='netbox_substruct.build'
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'build event',
                'verbose_name_plural': 'build events',
                'ordering': ('build', 'time', 'pk'),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Machine',
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
                ('discovered_name', models.CharField(blank=True, max_length=100)),
                ('uuid', models.UUIDField(blank=True, db_index=True, null=True)),
                ('serial', models.CharField(blank=True, db_index=True, max_length=100)),
                ('architecture', models.CharField(default='x86_64', max_length=50)),
                ('firmware', models.CharField(blank=True, max_length=50)),
                ('boot_mac', dcim.fields.MACAddressField(blank=True, null=True)),
                (
                    'parameters',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_object]
                    ),
                ),
                ('local_boot', models.CharField(default='auto', max_length=50)),
                ('state', models.CharField(default='registered', editable=False, max_length=50)),
                ('next_boot', models.CharField(blank=True, default='', editable=False, max_length=50)),
                ('last_seen', models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    'boot_server',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='machines',
                        to='netbox_substruct.bootserver',
                    ),
                ),
                (
                    'device',
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='substruct_machine',
                        to='dcim.device',
                    ),
                ),
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
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'virtual_machine',
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='substruct_machine',
                        to='virtualization.virtualmachine',
                    ),
                ),
            ],
            options={
                'verbose_name': 'machine',
                'verbose_name_plural': 'machines',
                'ordering': ('pk',),
                'permissions': [
                    ('build', 'Request a build of a machine, and ask for its next boot'),
                    ('preview', 'Preview the artifacts of a machine, with its parameters'),
                ],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='FactSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('source', models.CharField(max_length=50)),
                ('collected', models.DateTimeField(default=django.utils.timezone.now)),
                ('format_version', models.PositiveSmallIntegerField(default=1)),
                ('data', models.JSONField(default=dict, validators=[netbox_substruct.validators.validate_object])),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'machine',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='fact_sets',
                        to='netbox_substruct.machine',
                    ),
                ),
            ],
            options={
                'verbose_name': 'fact set',
                'verbose_name_plural': 'fact sets',
                'ordering': ('-collected', '-pk'),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.AddField(
            model_name='build',
            name='machine',
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name='builds', to='netbox_substruct.machine'
            ),
        ),
        migrations.CreateModel(
            name='BMC',
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
                ('protocol', models.CharField(default='redfish', max_length=50)),
                ('address', models.GenericIPAddressField(blank=True, null=True)),
                (
                    'port',
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                    ),
                ),
                (
                    'credential',
                    models.CharField(max_length=100, validators=[netbox_substruct.validators.validate_credential_name]),
                ),
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
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'machine',
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name='bmc', to='netbox_substruct.machine'
                    ),
                ),
            ],
            options={
                'verbose_name': 'BMC',
                'verbose_name_plural': 'BMCs',
                'ordering': ('machine',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Profile',
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
                ('slug', models.SlugField(max_length=100, unique=True)),
                (
                    'parameters',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_object]
                    ),
                ),
                ('parameter_schema', models.JSONField(blank=True, null=True)),
                (
                    'disk_layout',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_object]
                    ),
                ),
                ('handoff', models.CharField(blank=True, max_length=50)),
                ('built_status', models.CharField(blank=True, max_length=50)),
                (
                    'boot_image',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='profiles',
                        to='netbox_substruct.bootimage',
                    ),
                ),
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
                    'parent',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='children',
                        to='netbox_substruct.profile',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'profile',
                'verbose_name_plural': 'profiles',
                'ordering': ('name',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.AddField(
            model_name='machine',
            name='profile',
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name='machines',
                to='netbox_substruct.profile',
            ),
        ),
        migrations.CreateModel(
            name='DiscoveryRule',
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
                ('enabled', models.BooleanField(default=True)),
                ('priority', models.PositiveSmallIntegerField(default=100)),
                (
                    'condition',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_condition]
                    ),
                ),
                ('host_name_template', models.CharField(blank=True, max_length=200)),
                ('limit', models.PositiveIntegerField(blank=True, null=True)),
                ('build_at_once', models.BooleanField(default=False)),
                (
                    'device_type',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to='dcim.devicetype',
                    ),
                ),
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
                    'role',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to='dcim.devicerole',
                    ),
                ),
                (
                    'site',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to='dcim.site',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'profile',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='discovery_rules',
                        to='netbox_substruct.profile',
                    ),
                ),
            ],
            options={
                'verbose_name': 'discovery rule',
                'verbose_name_plural': 'discovery rules',
                'ordering': ('priority', 'name'),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.AddField(
            model_name='build',
            name='profile',
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='builds',
                to='netbox_substruct.profile',
            ),
        ),
        migrations.CreateModel(
            name='ProfileTemplate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('kind', models.CharField(max_length=50)),
                (
                    'boot_image',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='templates',
                        to='netbox_substruct.bootimage',
                    ),
                ),
                (
                    'config_template',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='substruct_profile_templates',
                        to='extras.configtemplate',
                    ),
                ),
                (
                    'profile',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='templates',
                        to='netbox_substruct.profile',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'profile template',
                'verbose_name_plural': 'profile templates',
                'ordering': ('profile', 'boot_image', 'kind', 'pk'),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Subnet',
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
                ('gateway', models.GenericIPAddressField(blank=True, null=True)),
                (
                    'name_servers',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.GenericIPAddressField(),
                        blank=True,
                        default=list,
                        validators=[netbox_substruct.validators.validate_addresses],
                    ),
                ),
                (
                    'ntp_servers',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.GenericIPAddressField(),
                        blank=True,
                        default=list,
                        validators=[netbox_substruct.validators.validate_addresses],
                    ),
                ),
                (
                    'domain',
                    models.CharField(
                        blank=True, max_length=253, validators=[netbox_substruct.validators.validate_dns_name]
                    ),
                ),
                ('lease_time', models.PositiveIntegerField(blank=True, null=True)),
                (
                    'dhcp_options',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_dhcp_options]
                    ),
                ),
                ('dhcp_enabled', models.BooleanField(blank=True, null=True)),
                ('discovery_enabled', models.BooleanField(blank=True, null=True)),
                (
                    'boot_server',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='subnets',
                        to='netbox_substruct.bootserver',
                    ),
                ),
                (
                    'lease_range',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='substruct_subnets',
                        to='ipam.iprange',
                    ),
                ),
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
                    'prefix',
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name='substruct_subnet', to='ipam.prefix'
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'subnet',
                'verbose_name_plural': 'subnets',
                'ordering': ('prefix',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('kind', models.CharField(max_length=50)),
                (
                    'parameters',
                    models.JSONField(
                        blank=True, default=dict, validators=[netbox_substruct.validators.validate_object]
                    ),
                ),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('max_attempts', models.PositiveSmallIntegerField(default=3)),
                ('state', models.CharField(default='pending', editable=False, max_length=50)),
                ('attempts', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('claimed', models.DateTimeField(blank=True, editable=False, null=True)),
                ('finished', models.DateTimeField(blank=True, editable=False, null=True)),
                ('answer', models.JSONField(blank=True, default=dict, editable=False)),
                ('error', models.TextField(blank=True, editable=False)),
                (
                    'boot_server',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='tasks',
                        to='netbox_substruct.bootserver',
                    ),
                ),
                (
                    'build',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='tasks',
                        to='netbox_substruct.build',
                    ),
                ),
                (
                    'machine',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='tasks',
                        to='netbox_substruct.machine',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'task',
                'verbose_name_plural': 'tasks',
                'ordering': ('-pk',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Zone',
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
                (
                    'name',
                    models.CharField(
                        max_length=253, unique=True, validators=[netbox_substruct.validators.validate_dns_name]
                    ),
                ),
                ('update_method', models.CharField(default='rfc2136', max_length=50)),
                ('server', models.CharField(blank=True, max_length=253)),
                (
                    'credential',
                    models.CharField(
                        blank=True, max_length=100, validators=[netbox_substruct.validators.validate_credential_name]
                    ),
                ),
                (
                    'name_servers',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=253, validators=[netbox_substruct.validators.validate_dns_name]
                        ),
                        blank=True,
                        default=list,
                    ),
                ),
                ('ttl', models.PositiveIntegerField(default=3600)),
                (
                    'soa_mname',
                    models.CharField(
                        blank=True, max_length=253, validators=[netbox_substruct.validators.validate_dns_name]
                    ),
                ),
                (
                    'soa_rname',
                    models.CharField(
                        blank=True, max_length=253, validators=[netbox_substruct.validators.validate_mailbox]
                    ),
                ),
                ('soa_refresh', models.PositiveIntegerField(default=43200)),
                ('soa_retry', models.PositiveIntegerField(default=7200)),
                ('soa_expire', models.PositiveIntegerField(default=2419200)),
                ('soa_minimum', models.PositiveIntegerField(default=3600)),
                (
                    'boot_server',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='zones',
                        to='netbox_substruct.bootserver',
                    ),
                ),
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
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'zone',
                'verbose_name_plural': 'zones',
                'ordering': ('name',),
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='BuildArtifact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('kind', models.CharField(max_length=50)),
                ('name', models.CharField(max_length=100)),
                ('content', models.TextField(blank=True)),
                ('sha256', models.CharField(editable=False, max_length=64)),
                ('template_name', models.CharField(blank=True, editable=False, max_length=200)),
                (
                    'build',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='artifacts',
                        to='netbox_substruct.build',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
            ],
            options={
                'verbose_name': 'build artifact',
                'verbose_name_plural': 'build artifacts',
                'ordering': ('build', 'kind'),
                'constraints': [
                    models.UniqueConstraint(
                        fields=('build', 'kind'), name='netbox_substruct_buildartifact_unique_build_kind'
                    )
                ],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.AddIndex(
            model_name='machine',
            index=models.Index(fields=['boot_mac'], name='netbox_subs_boot_ma_f56cce_idx'),
        ),
        migrations.AddIndex(
            model_name='machine',
            index=models.Index(fields=['state'], name='netbox_subs_state_9eae2e_idx'),
        ),
        migrations.AddConstraint(
            model_name='machine',
            constraint=models.CheckConstraint(
                condition=models.Q(('device__isnull', True), ('virtual_machine__isnull', True), _connector='OR'),
                name='netbox_substruct_machine_one_object',
                violation_error_message='A machine is a device or a virtual machine, not both.',
            ),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(fields=['state'], name='netbox_subs_state_aaa5fb_idx'),
        ),
        migrations.AddConstraint(
            model_name='build',
            constraint=models.UniqueConstraint(
                condition=models.Q(('state__in', ['booting', 'finishing', 'installing', 'pending'])),
                fields=('machine',),
                name='netbox_substruct_build_one_active',
                violation_error_message='The machine has a build pending or under way already.',
            ),
        ),
        migrations.AddConstraint(
            model_name='profiletemplate',
            constraint=models.UniqueConstraint(
                fields=('profile', 'kind'),
                name='netbox_substruct_profiletemplate_unique_profile_kind',
                violation_error_message='The profile has a template of this kind already.',
            ),
        ),
        migrations.AddConstraint(
            model_name='profiletemplate',
            constraint=models.UniqueConstraint(
                fields=('boot_image', 'kind'),
                name='netbox_substruct_profiletemplate_unique_image_kind',
                violation_error_message='The boot image has a template of this kind already.',
            ),
        ),
        migrations.AddConstraint(
            model_name='profiletemplate',
            constraint=models.CheckConstraint(
                condition=models.Q(('profile__isnull', True), ('boot_image__isnull', True), _connector='XOR'),
                name='netbox_substruct_profiletemplate_one_owner',
                violation_error_message='Choose a profile or a boot image, and not both.',
            ),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['boot_server', 'state'], name='netbox_subs_boot_se_30ac8a_idx'),
        ),
    ]
