"""The table of docs/permissions.md: what each role may do, tried by the REST API and the pages; and its command."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from dcim.models import Site
from users.models import Group, ObjectPermission, User

from netbox_substruct import roles
from netbox_substruct.models import BMC, BootServer, BuildArtifact, FactSet, Machine, Subnet, Wave

from .world import a_place, a_user_in, settings

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).parents[3] / 'docs' / 'permissions.md'
API = '/api/plugins/substruct'

VIEWER, OPERATOR, AUTHOR, ADMIN, SERVER = 'viewer', 'operator', 'template-author', 'administrator', 'boot-server'
COLUMNS = (VIEWER, OPERATOR, AUTHOR, ADMIN, SERVER)

# What is tried for each row of the table: method, address and body.  Names in braces are of the world below.
ROWS = {
    'See machines, builds, timelines, waves': [
        ('get', 'machines/{machine}/'), ('get', 'builds/{build}/'), ('get', 'build-events/?build_id={build}'),
        ('get', 'machines/{machine}/boot/'), ('get', 'waves/'),
    ],
    'See profiles, boot images, subnets, zones, rules': [
        ('get', 'profiles/{profile}/'), ('get', 'boot-images/'), ('get', 'subnets/'), ('get', 'zones/'),
        ('get', 'discovery-rules/'),
    ],
    'Read facts': [('get', 'fact-sets/{facts}/'), ('get', 'machines/{machine}/facts/')],
    'Read artifacts': [('get', 'build-artifacts/{artifact}/'), ('get', 'build-artifacts/{artifact}/content/')],
    'Preview artifacts and parameters; read what a build was asked': [
        ('get', 'machines/{machine}/preview/'), ('get', 'machines/{machine}/parameters/'),
        ('get', 'builds/{build}/request/'),
    ],
    'Register, change and retire machines': [
        ('post', 'machines/register/', {'device': '{unregistered}'}),
        ('patch', 'machines/{machine}/', {'description': 'x'}),
    ],
    'Build, retry, next boot': [
        ('post', 'machines/{idle}/next-boot/', {'next_boot': ''}), ('post', 'machines/{idle}/build/', {}),
    ],
    'Cancel builds': [('post', 'builds/{build}/cancel/', {'reason': 'x'})],
    'Adopt discovered machines': [('get', 'machines/{machine}/adopt/')],
    'Switch power, other tasks': [
        ('post', 'tasks/', {'boot_server': '{server}', 'kind': 'power', 'machine': '{machine}',
                            'parameters': {'action': 'status'}}),
    ],
    'Build in waves': [('post', 'waves/', {'name': 'another'}), ('patch', 'waves/{wave}/', {'at_once': 2})],
    'Write profiles, boot images, templates': [
        ('patch', 'profiles/{profile}/', {'description': 'x'}), ('patch', 'boot-images/{image}/', {'description': 'x'}),
    ],
    'Set up boot servers, subnets, zones, rules, BMCs': [
        ('patch', 'boot-servers/{server}/', {'description': 'x'}), ('patch', 'subnets/{subnet}/', {'domain': 'x.test'}),
        ('post', 'discovery-rules/', {'name': 'another'}), ('patch', 'bmcs/{bmc}/', {'port': 623}),
    ],
    'Read the feed with build tokens, and report': [
        ('get', 'boot-servers/{server}/feed/'),
        ('post', 'boot-servers/{server}/heartbeat/', {'instance': 'x', 'version': '1', 'applied_cursor': ''}),
    ],
}  # fmt: skip

MAY = {
    'See machines, builds, timelines, waves': {VIEWER, OPERATOR, AUTHOR, ADMIN},
    'See profiles, boot images, subnets, zones, rules': {VIEWER, OPERATOR, AUTHOR, ADMIN},
    'Read facts': {OPERATOR, ADMIN},
    'Read artifacts': {OPERATOR, AUTHOR, ADMIN},
    'Preview artifacts and parameters; read what a build was asked': {OPERATOR, AUTHOR, ADMIN},
    'Register, change and retire machines': {OPERATOR, ADMIN},
    'Build, retry, next boot': {OPERATOR, ADMIN},
    'Cancel builds': {OPERATOR, ADMIN},
    'Adopt discovered machines': {OPERATOR, ADMIN},
    'Switch power, other tasks': {OPERATOR, ADMIN},
    'Build in waves': {OPERATOR, ADMIN},
    'Write profiles, boot images, templates': {AUTHOR, ADMIN},
    'Set up boot servers, subnets, zones, rules, BMCs': {ADMIN},
    'Read the feed with build tokens, and report': {SERVER},
}


@pytest.fixture
def world():
    """The numbers of what there is at one site: a machine that is being built, one that is not, one unregistered."""
    place = a_place('alfaword', 10, settings())
    machine, idle = place.machines[0], place.machines[1]
    build = machine.active_build
    idle.builds.all().update(state='cancelled')
    Machine.objects.filter(pk=idle.pk).update(state='registered')
    unregistered = idle.device
    unregistered.pk, unregistered.name, unregistered.position, unregistered.primary_ip4 = None, 'spare', None, None
    unregistered.save()
    return {
        'machine': machine.pk, 'idle': idle.pk, 'unregistered': unregistered.pk, 'build': build.pk,
        'facts': FactSet.objects.filter(machine=machine).first().pk,
        'artifact': BuildArtifact.objects.filter(build=build).first().pk, 'profile': machine.profile_id,
        'image': machine.profile.boot_image_id,
        'server': place.boot_server.pk, 'wave': Wave.objects.first().pk, 'subnet': Subnet.objects.first().pk,
        'bmc': BMC.objects.get(machine=machine).pk, 'place': place,
    }  # fmt: skip


def login(client, role, world):
    if role == SERVER:
        group = roles.group_of_boot_server(BootServer.objects.get(pk=world['server']).name)
    else:
        group = roles.group(roles.BY_NAME[role])
    user = a_user_in(role, group)
    client.force_login(user)
    return user


def ask(client, world, method, path, body=None):
    """The status of the answer."""
    text = json.dumps(body or {})
    for name, value in world.items():
        text = text.replace(f'"{{{name}}}"', str(value))
    url = f'{API}/{path.format(**world)}'
    try:
        if method == 'get':
            return client.get(url, HTTP_ACCEPT='application/json').status_code
        return getattr(client, method)(url, text, content_type='application/json').status_code
    except RuntimeError as error:
        # The feed was let in, and reads only outside of the transaction that a test is.
        assert 'needs a transaction of its own' in str(error)
        return 200


@pytest.mark.parametrize('role', COLUMNS)
def test_each_role_may_do_what_the_table_says_and_nothing_else(role, world, client):
    login(client, role, world)
    wrong = []
    for row, tries in ROWS.items():
        for each in tries:
            status = ask(client, world, *each)
            if row in MAY and role in MAY[row]:
                if status not in (200, 201):
                    wrong.append(f'{row}: {each} gives {status}, and it should be allowed')
            elif status not in (403, 404):
                # What may not be listed is refused, not shown empty.
                wrong.append(f'{row}: {each} gives {status}, and it should be refused')
    assert wrong == []


def test_the_table_in_the_manual_is_this_one():
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith('| ') and '---' not in line]
    written = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if cells[0] in ROWS:
            written[cells[0]] = {role for role, cell in zip(COLUMNS, cells[1:], strict=True) if cell == 'yes'}
    assert written == MAY


@pytest.mark.parametrize(
    ('role', 'offered', 'not_offered'),
    [
        (VIEWER, [], ['/build/', '/next-boot/', '/edit/', '/delete/', '/preview/', '/adopt/']),
        (OPERATOR, ['/edit/', '/next-boot/', '/preview/'], ['/delete/']),
        (AUTHOR, ['/preview/'], ['/build/', '/next-boot/', '/edit/', '/delete/', '/adopt/']),
        (ADMIN, ['/edit/', '/delete/', '/next-boot/', '/preview/'], []),
    ],
)
def test_what_somebody_may_not_do_is_not_offered(role, offered, not_offered, world, client):
    login(client, role, world)
    page = client.get(f'/plugins/substruct/machines/{world["idle"]}/').content.decode()
    there = f'/plugins/substruct/machines/{world["idle"]}'
    assert [path for path in offered if f'{there}{path}' not in page] == []
    assert [path for path in not_offered if f'{there}{path}' in page] == []


class TestCommand:
    def run(self, *arguments):
        out = StringIO()
        call_command('substruct_permissions', *arguments, stdout=out)
        return out.getvalue()

    def everything(self):
        return (
            sorted(Group.objects.values_list('name', flat=True)),
            sorted(
                (
                    each.name,
                    each.actions,
                    str(each.constraints),
                    sorted(each.object_types.values_list('model', flat=True)),
                )
                for each in ObjectPermission.objects.all()
            ),
        )

    def test_it_makes_a_group_for_each_role_and_a_second_run_changes_nothing(self):
        self.run()
        made = self.everything()
        assert made[0] == sorted(f'Substruct {role.title}' for role in roles.ROLES)
        said = self.run()
        assert self.everything() == made
        assert set(said.splitlines()) == {f'group {name}: as it should be' for name in made[0]}

    def test_what_somebody_changed_is_set_right_and_what_somebody_added_stays(self):
        self.run('--role', 'viewer')
        made = self.everything()
        ObjectPermission.objects.update(actions=['view', 'delete'], enabled=False)
        own = ObjectPermission.objects.create(name='own', actions=['view'])
        own.groups.set(Group.objects.all())
        assert 'set right' in self.run('--role', 'viewer')
        own.refresh_from_db()
        assert own.actions == ['view'] and own.groups.exists()
        own.delete()
        assert self.everything() == made

    def test_groups_of_a_site_have_the_site_in_their_name_and_in_what_limits_them(self):
        Site.objects.create(name='Berlin', slug='ber')
        self.run('--site', 'ber')
        names = set(Group.objects.values_list('name', flat=True))
        assert names == {'Substruct viewer (Berlin)', 'Substruct operator (Berlin)'}
        builds = ObjectPermission.objects.get(name='Substruct operator (Berlin): register and build machines')
        assert builds.constraints == [{'device__site__slug__in': ['ber']}, {'virtual_machine__site__slug__in': ['ber']}]

    def test_all_constraints_can_be_asked_of_the_database(self):
        Site.objects.create(name='Berlin', slug='ber')
        self.run('--site', 'ber')
        user = User.objects.create_user('somebody')
        user.groups.set(Group.objects.all())
        for permission in ObjectPermission.objects.all():
            for content_type in permission.object_types.all():
                for action in permission.actions:
                    list(content_type.model_class().objects.restrict(user, action)[:1])

    def test_the_account_of_a_boot_server_gets_its_own_feed_alone(self, client):
        for name in ('boot-1', 'boot-2'):
            BootServer.objects.create(name=name, base_url='http://192.0.2.1:8080')
        self.run('--boot-server', 'boot-1')
        user = User.objects.create_user('sidecar')
        user.groups.set(Group.objects.all())
        assert [each.name for each in BootServer.objects.restrict(user, 'feed')] == ['boot-1']

    def test_a_dry_run_shows_and_writes_nothing(self):
        assert 'build' in self.run('--dry-run', '--role', 'operator')
        assert self.everything() == ([], [])

    @pytest.mark.parametrize(
        ('arguments', 'words'),
        [
            (('--site', 'nowhere'), 'no site with the slug "nowhere"'),
            (('--boot-server', 'nobody'), 'no boot server "nobody"'),
        ],
    )
    def test_what_is_not_there_is_said(self, arguments, words):
        with pytest.raises(CommandError, match=words):
            self.run(*arguments)

    def test_a_role_whose_objects_belong_to_no_site_is_not_bound_to_one(self):
        Site.objects.create(name='Berlin', slug='ber')
        with pytest.raises(CommandError, match='cannot be bound to a site'):
            self.run('--site', 'ber', '--role', 'administrator')
