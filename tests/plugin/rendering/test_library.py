"""The packaged templates as objects of NetBox: kept up to date, and what users changed left alone."""

import shutil
import tempfile
from pathlib import Path
from unittest import mock

from django.core.management import call_command
from django.test import TestCase

from core.models import DataSource
from extras.models import ConfigTemplate

from netbox_substruct import template_library
from netbox_substruct.models import Profile, ProfileTemplate


class LibraryTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, 'library')
        shutil.copytree(template_library.folder(), self.folder)
        patched = mock.patch.object(template_library, 'folder', lambda: self.folder)
        patched.start()
        self.addCleanup(patched.stop)
        self.addCleanup(template_library.files.cache_clear)
        ConfigTemplate.objects.filter(data_source__type=template_library.BACKEND).delete()
        DataSource.objects.filter(type=template_library.BACKEND).delete()
        self.install()

    def install(self):
        template_library.files.cache_clear()
        template_library.install()

    @property
    def source(self):
        return DataSource.objects.get(type=template_library.BACKEND)

    def template(self, path='debian/preseed.cfg'):
        return ConfigTemplate.objects.get(name=template_library.template_name(path))

    def upgrade(self, path, text):
        file = self.folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        self.install()

    def test_there_is_one_source_and_a_template_for_each_file_but_snippets(self):
        self.assertEqual(set(self.source.datafiles.values_list('path', flat=True)), set(template_library.files()))
        expected = {path for path in template_library.files() if not path.startswith('snippets/')}
        self.assertEqual(
            set(ConfigTemplate.objects.filter(data_source=self.source).values_list('data_path', flat=True)), expected
        )
        template = self.template()
        self.assertEqual(template.name, 'Substruct: debian/preseed')
        self.assertEqual(template.template_code, template_library.files()['debian/preseed.cfg'])
        self.assertTrue(template.description.startswith('Debian installer'))

    def test_installing_again_changes_nothing(self):
        before = list(ConfigTemplate.objects.values())
        synced = self.source.last_synced
        self.install()
        self.assertEqual(list(ConfigTemplate.objects.values()), before)
        self.assertEqual(self.source.last_synced, synced)

    def test_an_upgrade_changes_bound_templates(self):
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertEqual(self.template().template_code, 'new')

    def test_a_new_file_gets_a_template(self):
        self.upgrade('suse/autoyast.xml', '{# SUSE. #}\nx')
        self.assertEqual(self.template('suse/autoyast.xml').description, 'SUSE.')

    def test_a_detached_template_is_left_alone(self):
        template = self.template()
        template.data_file = None
        template.template_code = 'mine'
        template.clean()
        template.save()
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertEqual(self.template().template_code, 'mine')
        self.assertEqual(ConfigTemplate.objects.filter(name=template.name).count(), 1)

    def test_a_deleted_template_stays_deleted_until_it_is_asked_for(self):
        self.template().delete()
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertFalse(ConfigTemplate.objects.filter(name='Substruct: debian/preseed').exists())
        call_command('substruct_library', '--restore', stdout=mock.Mock())
        self.assertEqual(self.template().template_code, 'new')

    def test_a_renamed_source_and_a_renamed_template_are_followed(self):
        DataSource.objects.filter(pk=self.source.pk).update(name='Ours')
        ConfigTemplate.objects.filter(pk=self.template().pk).update(name='My preseed')
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertEqual(ConfigTemplate.objects.get(name='My preseed').template_code, 'new')
        self.assertFalse(ConfigTemplate.objects.filter(name='Substruct: debian/preseed').exists())

    def test_a_disabled_source_is_not_synchronised(self):
        DataSource.objects.filter(pk=self.source.pk).update(enabled=False)
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertNotEqual(self.template().template_code, 'new')

    def test_a_file_that_is_gone_takes_its_template_along_unless_it_is_used(self):
        profile = Profile.objects.create(name='P', slug='p')
        ProfileTemplate.objects.create(profile=profile, kind='preseed', config_template=self.template())
        text = self.template().template_code
        self.upgrade('ipxe/wipe.ipxe', None)
        self.upgrade('debian/preseed.cfg', None)
        self.assertFalse(ConfigTemplate.objects.filter(name='Substruct: ipxe/wipe').exists())
        self.assertEqual(self.template().template_code, text)
        self.assertIn('No longer in the Substruct library', self.template().description)
        self.assertIsNone(self.template().data_source)

    def test_synchronising_by_hand_does_the_same(self):
        (self.folder / 'new.cfg').write_text('x')
        template_library.files.cache_clear()
        self.source.sync()
        self.assertEqual(self.template('new.cfg').template_code, 'x')

    def test_an_interrupted_synchronisation_does_not_block_the_next(self):
        DataSource.objects.filter(pk=self.source.pk).update(status='syncing')
        self.upgrade('debian/preseed.cfg', 'new')
        self.assertEqual(self.template().template_code, 'new')

    def test_migrate_installs_and_flush_does_not(self):
        ConfigTemplate.objects.filter(data_source=self.source).delete()
        self.source.delete()
        template_library._migrated(sender=None, using='default')
        self.assertFalse(DataSource.objects.filter(type=template_library.BACKEND).exists())
        template_library._migrated(sender=None, using='default', plan=[])
        self.assertTrue(ConfigTemplate.objects.filter(name='Substruct: debian/preseed').exists())

    def test_the_migrate_command_installs_it(self):
        ConfigTemplate.objects.filter(data_source=self.source).delete()
        self.source.delete()
        call_command('migrate', 'netbox_substruct', verbosity=0)
        self.assertTrue(ConfigTemplate.objects.filter(name='Substruct: debian/preseed').exists())
