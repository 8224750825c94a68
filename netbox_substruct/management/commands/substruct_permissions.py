"""`netbox substruct_permissions`: the groups and permissions of docs/permissions.md, made or set right again.

It may be run any time: what is as it should be is left alone, and so is what somebody added to the groups.
"""

from django.core.management.base import BaseCommand, CommandError

from ... import roles


class Command(BaseCommand):
    help = (
        'Make the groups of Substruct’s roles with their permissions: ' + ', '.join(role.name for role in roles.ROLES)
        + '. Users are put into the groups by you.'
    )  # fmt: skip

    def add_arguments(self, parser):
        parser.add_argument(
            '--role', action='append', choices=list(roles.BY_NAME), help='only this role; may be given several times'
        )
        parser.add_argument(
            '--site', action='append', metavar='SLUG',
            help='groups that are bound to this site; given several times: to these sites together',
        )  # fmt: skip
        parser.add_argument(
            '--boot-server', action='append', metavar='NAME', default=[],
            help='the group for the account of this boot server, and no other group',
        )  # fmt: skip
        parser.add_argument('--dry-run', action='store_true', help='show the permissions, and write nothing')

    def handle(self, *args, **options):
        for group in self._wanted(options):
            if options['dry_run']:
                self._show(group)
                continue
            said = roles.write(group)
            for line in said or [f'group {group.name}: as it should be']:
                self.stdout.write(line)

    def _wanted(self, options):
        from dcim.models import Site

        from ...models import BootServer

        if names := options['boot_server']:
            if options['site'] or options['role']:
                raise CommandError('--boot-server makes a group of its own; give --role and --site in another run.')
            for name in names:
                if not BootServer.objects.filter(name=name).exists():
                    raise CommandError(f'There is no boot server "{name}" in NetBox.')
            return [roles.group_of_boot_server(name) for name in names]
        slugs = options['site'] or []
        known = dict(Site.objects.filter(slug__in=slugs).values_list('slug', 'name'))
        if missing := [slug for slug in slugs if slug not in known]:
            raise CommandError(f'There is no site with the slug "{missing[0]}" in NetBox.')
        wanted = [roles.BY_NAME[name] for name in options['role'] or roles.BY_NAME]
        if slugs:
            if options['role'] and (unbound := [role.title for role in wanted if not role.of_sites]):
                raise CommandError(f'The role {unbound[0]} cannot be bound to a site: its objects belong to none.')
            wanted = [role for role in wanted if role.of_sites]
        return [roles.group(role, [(slug, known[slug]) for slug in slugs]) for role in wanted]

    def _show(self, group):
        self.stdout.write(f'{group.name}: {group.description}')
        for permission in group.permissions:
            limited = f' where {permission.constraints}' if permission.constraints else ''
            self.stdout.write(f'  {", ".join(permission.actions)} on {", ".join(permission.models)}{limited}')
