"""`netbox substruct_media`: makes a boot image, with its platform and templates, out of an installation medium."""

import json
from pathlib import Path
from urllib.request import urlopen

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from netbox_substruct import media, template_library


class Command(BaseCommand):
    help = 'Make a boot image of an installation medium, or list the media that are known'

    def add_arguments(self, parser):
        parser.add_argument('medium', nargs='?', help='which one, such as debian-12; left out, they are listed')
        parser.add_argument('--architecture', default='x86_64')
        parser.add_argument('--mirror', default='', help='where its files are, instead of where its maker has them')
        parser.add_argument('--from', dest='paths', action='append', default=[], help='a further file of media')
        parser.add_argument(
            '--set', dest='words', action='append', default=[], help='a word of the medium: --set point=24.04.3'
        )
        parser.add_argument(
            '--sums',
            nargs='?',
            const='',
            help='take the SHA-256 of its files from the checksums beside them, or from this file',
        )

    def handle(self, *args, **options):
        try:
            known = media.read(map(Path, options['paths']))
            if not options['medium']:
                self.stdout.write('\n'.join(media.names(known)))
                return
            image = media.choose(
                known, options['medium'], options['architecture'], options['mirror'], _words(options['words'])
            )
            found = _sums(image, options['sums']) if options['sums'] is not None else {}
        except media.MediaError as error:
            raise CommandError(str(error)) from error
        try:
            self.made(image, found)
        except ValidationError as error:
            raise CommandError(' '.join(error.messages)) from error

    @transaction.atomic
    def made(self, image, sums):
        """The boot image, new or brought up to date."""
        from dcim.models import Platform
        from extras.models import ConfigTemplate

        from netbox_substruct.models import BootImage, ProfileTemplate

        platform, _ = Platform.objects.get_or_create(
            slug=image.platform, defaults={'name': image.name.removesuffix(' installer')}
        )
        found = BootImage.objects.filter(name=image.name).first()
        word = 'is up to date' if found else 'is made'
        found = found or BootImage(name=image.name)
        found.platform = platform
        found.architecture = image.architecture
        found.method = 'installer'
        found.kernel_url, found.kernel_sha256 = image.kernel, sums.get(image.kernel, '')
        found.initrds = [
            {'source': url, **({'sha256': sums[url]} if url in sums else {})} for url in image.initrds
        ]  # fmt: skip
        found.disk_image_url, found.disk_image_sha256 = image.disk_image, sums.get(image.disk_image, '')
        found.arguments = image.arguments
        found.full_clean()
        found.save()
        for kind, path in image.templates.items():
            name = template_library.PREFIX + path
            template = ConfigTemplate.objects.filter(name=name).first()
            if template is None:
                raise CommandError(
                    f'There is no config template {name!r}: netbox substruct_library --restore makes it.'
                )
            # A template that somebody chose for the boot image stays.
            ProfileTemplate.objects.get_or_create(boot_image=found, kind=kind, defaults={'config_template': template})
        self.stdout.write(f'The boot image {found.name} {word}.')
        without = [url for url in image.files if url not in sums]
        if without:
            self.stdout.write('Without a SHA-256 it is not checked what was fetched:\n  ' + '\n  '.join(without))
        if image.signature and sums:
            self.stdout.write(
                f'Their checksums are signed by their maker, which was not checked here: {image.signature}'
            )
        if image.parameters:
            self.stdout.write(f'Parameters for its profiles, for this mirror: {json.dumps(image.parameters)}')


def _words(given):
    found = dict(word.partition('=')[::2] for word in given)
    for name, value in found.items():
        if not value:
            raise CommandError(f'--set takes a word and what it stands for, such as point=24.04.3, and not {name!r}.')
    return found


def _sums(image, path):
    """SHA-256 by URL, of a file here or of the one beside the files."""
    if not path and not image.sums:
        raise media.MediaError(f'{image.name} has no file of checksums; name one, with --sums.')
    try:
        if path:
            text = Path(path).read_text(encoding='utf-8')
        else:
            with urlopen(image.sums, timeout=60) as answer:
                text = answer.read(16 * 2**20).decode()
    except (OSError, ValueError) as error:
        raise media.MediaError(f'The checksums cannot be read from {path or image.sums}: {error}') from error
    found = media.sums_of(image, text)
    if not found:
        raise media.MediaError(f'{path or image.sums} has no SHA-256 of any file of {image.name}.')
    return found
