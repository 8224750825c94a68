"""`netbox substruct_library`: brings the template library up to date by hand, or restores deleted templates."""

from django.core.management.base import BaseCommand

from netbox_substruct import template_library


class Command(BaseCommand):
    help = 'Bring the Substruct template library up to date (every migration does this as well)'

    def add_arguments(self, parser):
        parser.add_argument('--restore', action='store_true', help='make config templates anew that were deleted')

    def handle(self, *args, **options):
        if options['restore']:
            made = template_library.restore()
            self.stdout.write('\n'.join(made) if made else 'No template was missing.')
        else:
            template_library.install(force=True)
            self.stdout.write(f'{len(template_library.files())} files are up to date.')
