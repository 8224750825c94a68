"""Which templates a machine has, that the preview is what a build serves, and that a build fails with every reason."""

import hashlib

from django.test import TestCase

from core.models import DataSource
from extras.models import ConfigTemplate
from utilities.testing import create_test_device

from netbox_substruct import bundles
from netbox_substruct.lifecycle.errors import NotReady
from netbox_substruct.models import BootImage, Build, Machine, Profile, ProfileTemplate


class BundleTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.image = BootImage.objects.create(
            name='Debian', kernel_url='http://m/linux', initrds=[{'source': 'http://m/initrd.gz'}],
            arguments='auto=true\n host={{ machine.hostname | quote_kernel }}',
        )  # fmt: skip
        cls.base = Profile.objects.create(name='Base', slug='base', boot_image=cls.image)
        cls.profile = Profile.objects.create(name='Web', slug='web', parent=cls.base)
        cls.machine = Machine.objects.create(device=create_test_device('web01'), profile=cls.profile)

    def add(self, owner, kind, text, name=None):
        template = ConfigTemplate.objects.create(name=name or f'{owner} {kind}', template_code=text)
        field = 'profile' if isinstance(owner, Profile) else 'boot_image'
        return ProfileTemplate.objects.create(kind=kind, config_template=template, **{field: owner})

    def contents(self):
        bundle = bundles.preview(self.machine)
        self.assertEqual(bundle.errors, ())
        return {artifact.kind: artifact.content for artifact in bundle.artifacts}

    def test_the_nearest_profile_wins_for_each_kind_then_the_boot_image(self):
        for owner in (self.image, self.base, self.profile):
            self.add(owner, 'finish', str(owner))
        self.add(self.base, 'script', 'from base')
        self.add(self.image, 'script', 'from image')
        self.add(self.image, 'preseed', 'from image')
        found = self.contents()
        self.assertEqual(
            {kind: found[kind] for kind in ('finish', 'script', 'preseed')},
            {'finish': 'Web', 'script': 'from base', 'preseed': 'from image'},
        )

    def test_there_is_always_an_ipxe_script_with_the_arguments_on_one_line(self):
        script = self.contents()['ipxe']
        self.assertTrue(script.startswith('#!ipxe\n'))
        self.assertIn(' auto=true host=web01 || goto failed\n', script)
        self.add(self.profile, 'ipxe', '#!ipxe\nown')
        self.assertEqual(self.contents()['ipxe'], '#!ipxe\nown')

    def test_every_method_has_a_script(self):
        for method in ('installer', 'live', 'chain', 'disk-image', 'script'):
            if method == 'script':
                self.add(self.image, 'script', 'echo x')
            self.image.method = method
            self.image.disk_image_url = 'http://m/disk.img'
            self.image.save()
            self.base.disk_layout = {'disk': 'only'}
            self.base.save()
            self.machine.refresh_from_db()
            self.assertIn('ipxe', self.contents(), method)

    def test_what_is_previewed_is_what_a_build_serves(self):
        self.add(self.profile, 'preseed', '{{ urls.done }} {{ machine.name }} {{ secret("a") }}')
        build = Build.objects.create(machine=self.machine, profile=self.profile)
        preview, real = bundles.preview(self.machine), bundles.assemble(self.machine, self.profile, build)
        self.assertEqual(preview.artifacts, real.artifacts)
        self.assertEqual({**real.context, 'build': None}, preview.context)
        for artifact in real.artifacts:
            self.assertEqual(artifact.sha256, hashlib.sha256(artifact.content.encode()).hexdigest())
            self.assertEqual(artifact.name, bundles.KINDS[artifact.kind].name)

    def test_rendering_again_from_the_frozen_context_gives_the_same(self):
        bundle = bundles.preview(self.machine)
        from netbox_substruct.bundles import templates

        again = bundles.render(bundle.context, templates.of_profile(self.profile.chain, self.image))
        self.assertEqual(again.artifacts, bundle.artifacts)

    def test_a_build_is_refused_with_every_reason_and_a_preview_shows_them_all(self):
        self.add(self.profile, 'preseed', '\n{{ parameters.disk }}')
        self.add(self.profile, 'finish', '{{ machine.nam }}')
        self.add(self.profile, 'script', 'fine')
        self.profile.parameter_schema = {'required': ['disk', 'locale']}
        self.profile.save()
        build = Build.objects.create(machine=self.machine, profile=self.profile)
        with self.assertRaises(NotReady) as caught:
            bundles.assemble(self.machine, self.profile, build)
        lines = str(caught.exception).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("Web preseed, line 2, for web01: there is no 'disk' here", lines)
        self.assertTrue(any("'locale' is a required property" in line for line in lines))
        preview = bundles.preview(self.machine)
        self.assertEqual([str(error) for error in preview.errors], lines)
        self.assertEqual(preview.get('script').content, 'fine')

    def test_no_profile_no_boot_image_or_one_for_another_architecture(self):
        with self.assertRaisesMessage(NotReady, 'web01 has no profile'):
            bundles.preview(Machine(device=self.machine.device))
        bare = Profile.objects.create(name='Bare', slug='bare')
        self.assertIn('no boot image', str(bundles.preview(self.machine, bare).errors[0]))
        self.machine.architecture = 'aarch64'
        self.assertIn('is for x86_64, and the machine is aarch64', str(bundles.preview(self.machine).errors[0]))

    def test_a_template_may_include_files_of_its_own_data_source_and_no_others(self):
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            Path(folder, 'parts').mkdir()
            Path(folder, 'main.cfg').write_text("{% include 'parts/a' %}{% include 'snippets/ipxe_failed' %}")
            Path(folder, 'parts', 'a').write_text("a{% include 'parts/b' %}")
            Path(folder, 'parts', 'b').write_text('b {{ machine.name }}\n')
            Path(other, 'elsewhere').write_text('x')
            sources = []
            for number, path in enumerate((folder, other)):
                source = DataSource.objects.create(name=f's{number}', type='local', source_url=path)
                source.sync()
                sources.append(source)
        template = ConfigTemplate(name='Main', data_file=sources[0].datafiles.get(path='main.cfg'))
        template.auto_sync_enabled = True
        template.clean()
        template.save()
        row = ProfileTemplate.objects.create(profile=self.profile, kind='script', config_template=template)
        self.assertTrue(self.contents()['script'].startswith('ab web01\n:failed\n'))
        row.config_template = ConfigTemplate.objects.create(name='Loose', template_code="{% include 'elsewhere' %}")
        row.save()
        self.assertIn("'elsewhere'", str(bundles.preview(self.machine).errors[0]))
