"""Removes everything that Substruct has put into NetBox's database, before the plugin is uninstalled."""

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.db.models import ProtectedError, RestrictedError
from django.db.models.deletion import Collector

APP = 'netbox_substruct'


class Command(BaseCommand):
    help = (
        'Remove all data of Substruct from NetBox: its tables, triggers, template library, permissions, and the change '
        'log, journal and tags of its objects. Run it before you take the plugin out of PLUGINS. It cannot be undone.'
    )

    def add_arguments(self, parser):
        parser.add_argument('--yes', action='store_true', help='do not ask')

    def handle(self, *args, **options):
        if not options['yes'] and not self._sure():
            raise CommandError('Nothing was removed.')
        self._remove_webhooks()
        self._remove_library()
        call_command('migrate', APP, 'zero', verbosity=options['verbosity'], interactive=False)
        self._remove_content_types()
        self.stdout.write(
            "Substruct's data is removed. Now take netbox_substruct out of PLUGINS, uninstall the package and restart "
            'NetBox.'
        )

    def _sure(self):
        self.stdout.write('This removes every machine, build, profile and setting of Substruct from NetBox.')
        return input('Type "remove" to go on: ').strip() == 'remove'

    def _remove_webhooks(self):
        """Those that wake boot servers; they would go on calling."""
        from ...models import BootServer
        from ...reports import webhooks

        for boot_server in BootServer.objects.all():
            webhooks.discard(boot_server)

    def _remove_library(self):
        """The data source of the library and the templates bound to it; those in use elsewhere stay, with a note."""
        from core.models import DataSource
        from extras.models import ConfigTemplate

        from ...models import ProfileTemplate
        from ...template_library import BACKEND

        ProfileTemplate.objects.all().delete()
        for source in DataSource.objects.filter(type=BACKEND):
            for template in ConfigTemplate.objects.filter(data_source=source):
                in_use = template.devices.exists() or template.device_roles.exists() or template.platforms.exists()
                if in_use or template.virtualmachines.exists():
                    self.stdout.write(f'The config template "{template}" is used by devices or the like; it stays.')
                    ConfigTemplate.objects.filter(pk=template.pk).update(
                        data_source=None, data_file=None, data_path='', auto_sync_enabled=False
                    )
                    continue
                template.delete()
            source.delete()

    def _remove_content_types(self):
        """The content types, and everything that refers to one: permissions, change log, journal, tags, bookmarks."""
        from core.models import ObjectChange

        types = ContentType.objects.filter(app_label=APP)
        ObjectChange.objects.filter(changed_object_type__in=types).delete()
        ObjectChange.objects.filter(related_object_type__in=types).delete()
        for content_type in types:
            # What refers to a content type without its consent goes first, as Django's own collector finds it.
            while True:
                collector = Collector(using=router.db_for_write(ContentType))
                try:
                    collector.collect([content_type])
                except (ProtectedError, RestrictedError) as error:
                    protected = getattr(error, 'protected_objects', None) or error.restricted_objects
                    for instance in protected:
                        type(instance).objects.filter(pk=instance.pk).delete()
                    continue
                collector.delete()
                break
        ContentType.objects.clear_cache()
