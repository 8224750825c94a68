"""Boot images: pages, API, GraphQL, filters and tables, by NetBox's own test bases; and what each method needs."""

import json

from django.core.exceptions import ValidationError
from django.test import TestCase

from dcim.models import Platform
from extras.models import ConfigTemplate
from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import BootImageFilterSet
from netbox_substruct.models import BootImage, Profile, ProfileTemplate
from netbox_substruct.tables import BootImageTable

from ..base import PluginAPI, PluginFilterSets, PluginViews

KERNEL = 'http://deb.example.com/linux'
# In the order in which PostgreSQL gives the keys back, for forms are compared as text.
INITRDS = [{'sha256': 'ab' * 32, 'source': 'http://deb.example.com/initrd.gz'}]
DISK = 'http://images.example.com/cloud.img'


def make_boot_images():
    """A Debian installer (platform below another), a disk image, and a live system for arm64."""
    linux = Platform.objects.create(name='Linux', slug='linux')
    debian = Platform.objects.create(name='Debian 12', slug='debian-12', parent=linux)
    boot_images = [
        BootImage.objects.create(
            name='debian-12-installer', platform=debian, kernel_url=KERNEL, kernel_sha256='cd' * 32, initrds=INITRDS,
            arguments='auto=true', description='first',
        ),
        BootImage.objects.create(
            name='cloud', method='disk-image', disk_image_url=DISK, disk_image_sha256='ef' * 32
        ),
        BootImage.objects.create(name='live', method='live', architecture='aarch64', kernel_url=f'{KERNEL}-arm64'),
    ]  # fmt: skip
    return boot_images, linux, debian


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase):
    model = BootImage

    @classmethod
    def setUpTestData(cls):
        boot_images, _, debian = make_boot_images()
        cls.form_data = {
            'name': 'new',
            'platform': debian.pk,
            'architecture': 'aarch64',
            'method': 'installer',
            'kernel_url': KERNEL,
            'kernel_sha256': '12' * 32,
            'initrds': json.dumps(INITRDS),
            'arguments': 'console=ttyS0 {{ machine.name }}',
            'disk_image_url': '',
            'disk_image_sha256': '',
            'description': 'new one',
            'comments': '',
            'tags': [],
        }
        initrds = json.dumps(INITRDS).replace('"', '""')
        cls.csv_data = (
            'name,platform,architecture,method,kernel_url,initrds,disk_image_url',
            f'a,Debian 12,x86_64,installer,{KERNEL},"{initrds}",',
            f'b,,,disk-image,,,{DISK}',
            f'c,,aarch64,chain,{KERNEL},,',
        )
        cls.csv_update_data = ('id,description', *(f'{image.pk},changed' for image in boot_images))
        cls.bulk_edit_data = {
            'platform': debian.pk, 'architecture': 'riscv64', 'arguments': 'quiet', 'description': 'all alike',
        }  # fmt: skip

    def test_the_page_lists_every_file_with_its_sha256_and_says_where_there_is_none(self):
        self.add_permissions('netbox_substruct.view_bootimage')
        page = self.client.get(BootImage.objects.get(name='debian-12-installer').get_absolute_url()).content.decode()
        files = page.split('begin BootImageFilesPanel')[1].split('end BootImageFilesPanel')[0]
        for text in (KERNEL, 'cd' * 32, INITRDS[0]['source'], 'ab' * 32):
            self.assertIn(text, files)
        self.assertNotIn('Not checked', files)
        page = self.client.get(BootImage.objects.get(name='live').get_absolute_url()).content.decode()
        self.assertIn('Not checked', page)

    def test_a_url_is_shown_and_not_interpreted(self):
        self.add_permissions('netbox_substruct.view_bootimage')
        boot_image = BootImage.objects.create(name='x', method='live', kernel_url='http://h/<script>alert(1)</script>')
        page = self.client.get(boot_image.get_absolute_url()).content.decode()
        self.assertNotIn('<script>alert(1)', page)


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = BootImage
    brief_fields = ['description', 'display', 'id', 'name', 'url']
    bulk_update_data = {'description': 'all alike'}

    @classmethod
    def setUpTestData(cls):
        _, _, debian = make_boot_images()
        cls.create_data = [
            {'name': 'a', 'platform': debian.pk, 'kernel_url': KERNEL, 'initrds': INITRDS},
            {'name': 'b', 'method': 'disk-image', 'disk_image_url': DISK},
            {'name': 'c', 'method': 'chain', 'kernel_url': KERNEL, 'architecture': 'aarch64'},
        ]

    def test_initrds_of_another_shape_are_refused(self):
        self.add_permissions('netbox_substruct.add_bootimage')
        for initrds in (
            'text', [{'sha256': 'ab' * 32}], [{'source': 'http://h/i', 'sha256': 'short'}], [{'source': 'x'}],
            [{'source': 'http://h/i', 'size': 1}],
        ):  # fmt: skip
            with self.subTest(initrds):
                data = {'name': 'x', 'kernel_url': KERNEL, 'initrds': initrds}
                response = self.client.post(self._get_list_url(), data, format='json', **self.header)
                self.assertHttpStatus(response, 400)
                self.assertEqual(list(response.json()), ['initrds'])


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = BootImage.objects.all()
    filterset = BootImageFilterSet
    ignore_fields = ('initrds',)

    @classmethod
    def setUpTestData(cls):
        cls.boot_images, cls.linux, cls.debian = make_boot_images()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return [self.boot_images.index(boot_image) for boot_image in filterset.qs.order_by('pk')]

    def test_search_looks_at_name_urls_and_description(self):
        self.assertEqual(self.found(q='live'), [2])
        self.assertEqual(self.found(q='deb.example'), [0, 2])
        self.assertEqual(self.found(q='cloud.img'), [1])
        self.assertEqual(self.found(q='first'), [0])

    def test_platform_with_those_below_it(self):
        self.assertEqual(self.found(platform_id=[self.linux.pk]), [0])
        self.assertEqual(self.found(platform=['debian-12']), [0])

    def test_architecture_and_method(self):
        self.assertEqual(self.found(architecture=['aarch64']), [2])
        self.assertEqual(self.found(method=['disk-image', 'live']), [1, 2])

    def test_files_and_arguments(self):
        self.assertEqual(self.found(kernel_url=[KERNEL]), [0])
        self.assertEqual(self.found(kernel_sha256=['cd' * 32]), [0])
        self.assertEqual(self.found(disk_image_url__ic=['cloud']), [1])
        self.assertEqual(self.found(disk_image_sha256=['ef' * 32]), [1])
        self.assertEqual(self.found(arguments='auto=true'), [0])

    def test_name(self):
        self.assertEqual(self.found(name=['live', 'cloud']), [1, 2])


class Table(TableTestCases.StandardTableTestCase):
    table = BootImageTable


class Model(TestCase):
    def refused(self, **values):
        with self.assertRaises(ValidationError) as caught:
            BootImage(name='x', **values).full_clean()
        return caught.exception.message_dict

    def test_a_disk_image_needs_its_url(self):
        self.assertEqual(
            self.refused(method='disk-image', kernel_url=KERNEL),
            {'disk_image_url': ['The method "disk image" needs the URL of the image.']},
        )

    def test_every_other_method_needs_something_to_boot(self):
        for method in ('installer', 'live', 'chain'):
            with self.subTest(method):
                message = self.refused(method=method, initrds=INITRDS)['kernel_url'][0]
                self.assertIn('needs the URL of the kernel or program to boot', message)

    def test_an_installer_needs_an_initrd(self):
        self.assertEqual(self.refused(kernel_url=KERNEL), {'initrds': ['An installer needs at least one initrd.']})

    def test_urls_that_a_boot_server_cannot_fetch_or_that_hold_a_password_are_refused(self):
        for url in ('/srv/linux', 'gopher://h/x', 'http://me:secret@h/x', 'http://h/a b', 'http://h/a\nb'):
            with self.subTest(url):
                self.assertIn('kernel_url', self.refused(method='live', kernel_url=url))

    def test_a_digest_is_64_hexadecimal_digits_in_lower_case(self):
        for digest in ('AB' * 32, 'ab' * 31, 'sha256:' + 'ab' * 28):
            with self.subTest(digest):
                self.assertIn('kernel_sha256', self.refused(method='live', kernel_url=KERNEL, kernel_sha256=digest))

    def test_files_are_listed_in_the_order_in_which_they_are_loaded(self):
        boot_image = BootImage(kernel_url=KERNEL, initrds=[*INITRDS, {'source': 'http://h/2'}], disk_image_url=DISK)
        self.assertEqual(
            [(file['role'], file['url'], file['sha256']) for file in boot_image.files],
            [
                ('kernel', KERNEL, None),
                ('initrd', INITRDS[0]['source'], 'ab' * 32),
                ('initrd', 'http://h/2', None),
                ('disk', DISK, None),
            ],
        )

    def test_an_image_that_a_profile_uses_cannot_be_deleted_but_its_templates_go_with_it(self):
        from django.db.models import ProtectedError

        boot_image = BootImage.objects.create(name='x', method='live', kernel_url=KERNEL)
        template = ConfigTemplate.objects.create(name='t', template_code='x')
        ProfileTemplate.objects.create(boot_image=boot_image, kind='ipxe', config_template=template)
        profile = Profile.objects.create(name='p', slug='p', boot_image=boot_image)
        with self.assertRaises(ProtectedError):
            boot_image.delete()
        profile.delete()
        boot_image.delete()
        self.assertFalse(ProfileTemplate.objects.exists())
