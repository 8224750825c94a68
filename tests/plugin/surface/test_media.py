"""Installation media become boot images: valid, with their templates, from any mirror, checked by their checksums."""

import tempfile
from io import StringIO
from pathlib import Path
from unittest import TestCase as PlainTestCase

from django.core.management import CommandError, call_command
from django.test import TestCase

from netbox_substruct import media, template_library
from netbox_substruct.bundles.kinds import KINDS
from netbox_substruct.models import BootImage
from tests.plugin.rendering.matrix import FAMILIES

TREEINFO = """[general]
family = Rocky Linux

[checksums]
images/pxeboot/initrd.img = sha256:{initrd}
images/pxeboot/vmlinuz = sha256:{kernel}
images/install.img = sha256:{other}
""".format(initrd='a' * 64, kernel='B' * 64, other='c' * 64)


class DataTest(PlainTestCase):
    def test_every_medium_has_templates_of_the_library_and_was_checked_by_the_matrix(self):
        known = media.read()
        checked = {(family.template, family.kind): set(family.releases) for family in FAMILIES}
        for name in media.names(known):
            with self.subTest(name):
                image = media.choose(known, name, mirror='http://m')
                for kind, path in image.templates.items():
                    self.assertIn(kind, KINDS)
                    (file,) = [file for file in template_library.files() if str(Path(file).with_suffix('')) == path]
                    if (file, kind) in checked:
                        self.assertIn(image.platform, checked[file, kind])

    def test_a_mirror_takes_the_place_of_the_makers_everywhere(self):
        known = media.read()
        for name in media.names(known):
            image = media.choose(known, name, mirror='http://mirror/x/')
            for text in (*image.files, image.sums):
                self.assertTrue(text.startswith('http://mirror/x/'), text)
            self.assertNotIn('<', image.arguments + ''.join(image.files) + image.sums + str(image.parameters))
            if 'inst.repo=' in image.arguments:
                self.assertIn('inst.repo=http://mirror/x/', image.arguments)

    def test_checksums_are_read_in_every_form(self):
        for text in (
            f'{"a" * 64}  ./netboot/linux\n', f'{"A" * 64} *netboot/linux\n', f'SHA256 (netboot/linux) = {"a" * 64}\n',
            f'[checksums]\nnetboot/linux = sha256:{"a" * 64}\nold = md5:abc\n',
        ):  # fmt: skip
            self.assertEqual(media.sums(text), {'netboot/linux': 'a' * 64})
        self.assertEqual(media.sums('no checksums'), {})


class CommandTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        # The database may have been made with an older library.
        template_library.install(force=True)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_(self, *arguments):
        out = StringIO()
        call_command('substruct_media', *arguments, stdout=out)
        return out.getvalue()

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def test_a_boot_image_is_made_with_platform_and_templates(self):
        said = self.run_('debian-12')
        image = BootImage.objects.get(name='Debian 12 installer')
        self.assertEqual(image.platform.slug, 'debian-12')
        self.assertTrue(image.kernel_url.endswith('/debian-installer/amd64/linux'))
        self.assertIn('{{ urls.artifact.preseed }}', image.arguments)
        (template,) = image.templates.all()
        self.assertEqual((template.kind, template.config_template.name), ('preseed', 'Substruct: debian/preseed'))
        self.assertIn('Without a SHA-256', said)

    def test_every_medium_makes_a_boot_image_that_netbox_takes(self):
        for name in media.names(media.read()):
            with self.subTest(name):
                self.run_(name, '--mirror', 'http://mirror.example.com/x')
        self.assertEqual(BootImage.objects.count(), len(media.names(media.read())))

    def test_checksums_come_from_beside_the_files_or_from_a_file(self):
        tree = self.folder / 'rocky'
        info = self.file('rocky/9/BaseOS/x86_64/os/.treeinfo', TREEINFO)
        for arguments in (('--sums',), ('--sums', info)):
            BootImage.objects.all().delete()
            said = self.run_('rocky-9', '--mirror', f'file://{tree}', *arguments)
            image = BootImage.objects.get()
            self.assertEqual((image.kernel_sha256, image.initrds[0]['sha256']), ('b' * 64, 'a' * 64))
            self.assertNotIn('Without a SHA-256', said)
            self.assertIn('{"mirror": {"url": ', said)

    def test_running_it_again_brings_it_up_to_date_and_keeps_the_template_that_was_chosen(self):
        from extras.models import ConfigTemplate

        self.run_('debian-12')
        mine = ConfigTemplate.objects.create(name='Mine', template_code='x')
        image = BootImage.objects.get()
        image.templates.update(config_template=mine)
        self.assertIn('is up to date', self.run_('debian-12', '--mirror', 'http://mirror.example.com/debian'))
        image = BootImage.objects.get()
        self.assertTrue(image.kernel_url.startswith('http://mirror.example.com/debian/dists/bookworm/'))
        self.assertEqual(image.templates.get().config_template, mine)

    def test_media_of_ones_own_come_first(self):
        own = self.file(
            'own.yaml',
            '- {id: debian-12, name: Our Debian, releases: {"12": {}}, architectures: {x86_64: amd64}, '
            'mirror: "http://m", tree: t, kernel: <arch>/k, initrds: [i], arguments: "", platform: ours}\n',
        )
        self.run_('debian-12', '--from', own)
        self.assertEqual(BootImage.objects.get().kernel_url, 'http://m/t/amd64/k')

    def test_the_iso_image_of_a_point_release(self):
        self.run_('ubuntu-24.04', '--set', 'point=24.04.9')
        image = BootImage.objects.get()
        self.assertTrue(image.disk_image_url.endswith('/ubuntu-24.04.9-live-server-amd64.iso'))
        self.assertEqual(set(image.templates.values_list('kind', flat=True)), {'user-data', 'meta-data'})

    def test_what_is_wrong_is_said(self):
        for arguments, said in (
            (('debian-5',), 'There is no medium .debian-5.; there are alma-10'),
            (('debian-12', '--architecture', 's390x'), 'and not for s390x'),
            (('rhel-9',), 'is on no public mirror'),
            (('debian-12', '--set', 'point'), 'such as point=24.04.3'),
            (('debian-12', '--sums', self.file('empty', 'nothing')), 'has no SHA-256 of any file'),
            (('debian-12', '--sums', '/nowhere'), 'cannot be read'),
            (('debian-12', '--mirror', 'gopher://x'), 'no URL that a boot server can fetch'),
            (('debian-12', '--from', self.file('bad.yaml', '- {id: 5}')), 'bad.yaml: '),
            (('debian-12', '--from', self.file('bad.yaml', '- [')), 'bad.yaml: '),
        ):
            with self.subTest(arguments), self.assertRaisesRegex(Exception, said) as raised:
                self.run_(*arguments)
            self.assertIsInstance(raised.exception, CommandError)
        self.assertEqual(BootImage.objects.count(), 0)

    def test_without_a_name_they_are_listed(self):
        self.assertIn('rocky-9\n', self.run_())
