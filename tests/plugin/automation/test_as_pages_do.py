"""What pages can do, by the REST API too: what subnets, prefixes and profiles come to, the overview, machines of waves,
power, rules that are tried while they are changed, artifacts that are deleted.
"""

import json

import pytest
from django.utils import timezone

from extras.models import ConfigTemplate
from ipam.models import Prefix
from users.models import User

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import (
    BootServer,
    Build,
    BuildArtifact,
    DiscoveryRule,
    FactSet,
    Machine,
    Profile,
    ProfileTemplate,
    Subnet,
    Task,
    Wave,
    WaveMember,
)

from ..lifecycle.world import a_device, a_profile, a_user
from ..surface.world import permit
from .world import able_to_switch

pytestmark = pytest.mark.django_db
API = '/api/plugins/substruct'


@pytest.fixture
def root(client):
    user = User.objects.create_superuser('root')
    client.force_login(user)
    return user


@pytest.fixture
def operator(client):
    user = a_user('operator')
    client.force_login(user)
    return user


def get(client, path, status=200):
    response = client.get(f'{API}/{path}')
    assert response.status_code == status, response.content
    return response.json()


def post(client, path, body, status=200):
    response = client.post(f'{API}/{path}', json.dumps(body), content_type='application/json')
    assert response.status_code == status, response.content
    return response.json()


class TestSubnets:
    @pytest.fixture
    def prefixes(self):
        above, below = (Prefix.objects.create(prefix=text) for text in ('10.0.0.0/16', '10.0.1.0/24'))
        server = BootServer.objects.create(name='boot', base_url='http://192.0.2.1:8080')
        upper = Subnet.objects.create(
            prefix=above, boot_server=server, domain='example.com', dhcp_enabled=True, dhcp_options={'66': 'tftp'}
        )
        return upper, Subnet.objects.create(prefix=below, gateway='10.0.1.1', lease_time=600)

    def test_a_subnet_says_what_it_comes_to_and_from_where(self, root, client, prefixes):
        upper, lower = prefixes
        found = get(client, f'subnets/{lower.pk}/effective/')
        settings = {each['name']: each for each in found['settings']}
        assert (settings['domain']['value'], settings['domain']['origin']['id']) == ('example.com', upper.pk)
        assert (settings['lease_time']['value'], settings['lease_time']['origin']['id']) == (600, lower.pk)
        assert (settings['gateway']['value'], settings['dhcp_options.66']['value']) == ('10.0.1.1', 'tftp')
        assert (settings['discovery_enabled']['value'], settings['discovery_enabled']['said']) == (False, False)
        assert (found['own'], found['subnet']['id'], found['servers'][0]['display']) == (True, lower.pk, 'boot')
        assert [reason['key'] for reason in found['reasons']] == ['never-heard']

    def test_a_prefix_without_a_subnet_has_the_one_above(self, root, client, prefixes):
        prefix = Prefix.objects.create(prefix='10.0.2.0/24')
        found = get(client, f'subnets/serving/?prefix={prefix.pk}')
        assert (found['own'], found['subnet']['id']) == (False, prefixes[0].pk)
        alone = Prefix.objects.create(prefix='192.0.2.0/24')
        found = get(client, f'subnets/serving/?prefix={alone.pk}')
        assert (found['subnet'], [reason['key'] for reason in found['reasons']]) == (None, ['no-subnet'])

    @pytest.mark.parametrize(('value', 'status'), [('', 400), ('x', 400), ('²', 400), ('9' * 30, 400), ('999999', 404)])
    def test_a_prefix_that_is_none_is_told(self, root, client, value, status):
        get(client, f'subnets/serving/?prefix={value}', status)

    def test_what_may_not_be_viewed_is_not_named(self, operator, client, prefixes):
        upper, lower = prefixes
        permit(operator, Subnet, 'view', pk=lower.pk)
        found = get(client, f'subnets/{lower.pk}/effective/')
        settings = {each['name']: each for each in found['settings']}
        assert (settings['domain']['said'], settings['domain']['origin']) == (True, None)
        assert (found['servers'], found['unseen_servers']) == ([], 1)
        get(client, f'subnets/{upper.pk}/effective/', 404)
        get(client, f'subnets/serving/?prefix={lower.prefix.pk}', 404)


class TestProfiles:
    def test_a_profile_says_what_a_machine_becomes_and_from_where(self, root, client):
        base = a_profile('Base', built_status='active')
        child = Profile.objects.create(name='Web', slug='web', parent=base, pending_limit=7)
        template = ConfigTemplate.objects.create(name='Install', template_code='#!ipxe')
        own = ConfigTemplate.objects.create(name='Own', template_code='#!ipxe')
        ProfileTemplate.objects.create(boot_image=base.boot_image, kind='ipxe', config_template=template)
        ProfileTemplate.objects.create(boot_image=base.boot_image, kind='preseed', config_template=template)
        ProfileTemplate.objects.create(profile=base, kind='ipxe', config_template=own)
        found = get(client, f'profiles/{child.pk}/effective/')
        assert [(link['profile']['display'], 'built_status' in link['sets']) for link in found['chain']] == [
            ('Web', False),
            ('Base', True),
        ]
        settings = {each['name']: each for each in found['settings']}
        assert (settings['built_status']['value'], settings['built_status']['origin']['id']) == ('active', base.pk)
        assert (settings['pending_limit']['value'], settings['stall_limit']['said']) == (7, False)
        assert found['boot_image']['id'] == base.boot_image.pk
        assert {
            each['kind']: (each['config_template']['display'], bool(each['profile']), bool(each['boot_image']))
            for each in found['templates']
        } == {'ipxe': ('Own', True, False), 'preseed': ('Install', False, True)}


class TestOverview:
    def test_it_counts_what_the_user_may_view(self, operator, client):
        profile = a_profile()
        seen, other = (machines.register(a_device(name), profile=profile) for name in ('srv-1', 'srv-2'))
        for machine in (seen, other):
            builds.record(builds.request(machine), 'failed', message='No disk.')
        permit(operator, Machine, 'view', device__name='srv-1')
        permit(operator, Build, 'view', machine__device__name='srv-1')
        found = get(client, 'overview/?days=7')
        assert (found['machines']['failed'], found['machines']['built']) == (1, 0)
        assert (found['failures']['total'], found['failures']['builds'][0]['error']) == (1, 'No disk.')
        assert (len(found['days']), found['days'][-1]['failed'], found['under_way']['total']) == (7, 1, 0)
        assert found['boot_servers'] is None

    def test_durations_are_told_in_seconds_by_model_and_site(self, root, client):
        machine = machines.register(a_device(), profile=a_profile())
        builds.record(builds.request(machine), 'finished')
        started = timezone.now() - timezone.timedelta(minutes=10)
        Build.objects.update(started=started, finished=started + timezone.timedelta(minutes=10))
        found = get(client, 'overview/')
        assert [(each['display'], each['builds'], each['p50']) for each in found['by_site']] == [('Berlin', 1, 600.0)]
        assert found['by_device_type'][0]['p90'] == 600.0

    def test_a_boot_server_says_how_it_is(self, root, client):
        BootServer.objects.create(name='boot', base_url='http://192.0.2.1:8080')
        assert [each['health'] for each in get(client, 'overview/')['boot_servers']] == ['silent']

    @pytest.mark.parametrize('days', ['', '0', 'x', '367', '-1', '²'])
    def test_days_that_are_none_are_told(self, root, client, days):
        get(client, f'overview/?days={days}', 400)

    def test_who_may_view_nothing_is_told_nothing(self, operator, client):
        assert set(get(client, 'overview/').values()) == {None}


class TestMachinesOfWaves:
    @pytest.fixture
    def three(self):
        profile = a_profile()
        return [machines.register(a_device(f'srv-{number}'), profile=profile) for number in (1, 2, 3)]

    def test_machines_are_put_behind_those_that_are_in_it(self, root, client, three):
        wave = Wave.objects.create(name='Rack 17')
        post(client, f'waves/{wave.pk}/machines/', [{'machine': three[0].pk}], 201)
        body = [{'machine': machine.pk} for machine in (three[2], three[0], three[1])]
        added = post(client, f'waves/{wave.pk}/machines/', body, 201)
        assert [each['machine']['id'] for each in added] == [three[2].pk, three[1].pk]
        assert [each.machine for each in wave.members.order_by('order')] == [three[0], three[2], three[1]]

    def test_one_that_cannot_be_built_is_left_out_until_its_name_is_given(self, root, client, three):
        three[0].device.status = 'active'
        three[0].device.save()
        wave = Wave.objects.create(name='Rack 17')
        body = [{'machine': three[0].pk}]
        (member,) = post(client, f'waves/{wave.pk}/machines/', body, 201)
        assert (member['state']['value'], 'status active' in member['reason']) == ('left-out', True)
        wave.members.all().delete()
        (member,) = post(client, f'waves/{wave.pk}/machines/', [{**body[0], 'override': 'srv-1'}], 201)
        assert member['state']['value'] == 'waiting'

    def test_it_is_all_or_none(self, operator, client, three):
        permit(operator, Wave, 'view')
        permit(operator, WaveMember, 'view', 'add')
        permit(operator, Machine, 'view', 'build', device__name='srv-1')
        wave = Wave.objects.create(name='Rack 17')
        refused = post(client, f'waves/{wave.pk}/machines/', [{'machine': machine.pk} for machine in three[:2]], 422)
        assert [(each['id'], each['code']) for each in refused['errors']] == [(three[1].pk, 'not-found')]
        twice = post(client, f'waves/{wave.pk}/machines/', [{'machine': three[0].pk}] * 2, 422)
        assert [each['code'] for each in twice['errors']] == ['duplicate']
        assert not wave.members.exists()

    def test_the_permissions_to_add_cover_each_member(self, operator, client, three):
        permit(operator, Wave, 'view')
        permit(operator, WaveMember, 'view', 'add', machine__device__name='srv-1')
        permit(operator, Machine, 'view', 'build')
        wave = Wave.objects.create(name='Rack 17')
        refused = post(client, f'waves/{wave.pk}/machines/', [{'machine': machine.pk} for machine in three[:2]], 403)
        assert (refused['code'], 'srv-2' in refused['detail']) == ('not-permitted', True)
        assert not wave.members.exists()

    def test_a_wave_that_runs_takes_none(self, root, client, three):
        wave = Wave.objects.create(name='Rack 17', state='running')
        refused = post(client, f'waves/{wave.pk}/machines/', [{'machine': three[0].pk}], 422)
        assert 'pause it' in refused['detail']


class TestPower:
    def test_a_machine_that_nobody_can_switch_says_why(self, root, client):
        machine = machines.register(a_device(), profile=a_profile())
        refused = post(client, f'machines/{machine.pk}/power/', {'action': 'on'}, 422)
        assert refused['code'] == 'not-ready' and refused['detail'] and not Task.objects.exists()

    def test_a_boot_server_is_asked_to_switch_it(self, operator, client):
        machine = machines.register(a_device(status='active'), profile=a_profile())
        able_to_switch(machine)
        permit(operator, Machine, 'view')
        post(client, f'machines/{machine.pk}/power/', {'action': 'cycle'}, 403)
        permit(operator, Task, 'view', 'add')
        refused = post(client, f'machines/{machine.pk}/power/', {'action': 'cycle'}, 422)
        assert refused['code'] == 'override-required'
        task = post(client, f'machines/{machine.pk}/power/', {'action': 'cycle', 'override': 'srv-1'}, 201)
        assert (task['kind']['value'], task['parameters'], task['boot_server']['name']) == (
            'power',
            {'action': 'cycle'},
            'able',
        )


class TestNextStep:
    def test_a_machine_says_what_comes_next_and_whether_one_may(self, operator, client):
        machine = machines.register(a_device(), profile=a_profile())
        permit(operator, Machine, 'view')
        step = get(client, f'machines/{machine.pk}/next-step/')
        assert (step['action'], step['build'], bool(step['words'])) == ('', None, True)
        permit(operator, Machine, 'build')
        permit(operator, Build, 'view')
        assert get(client, f'machines/{machine.pk}/next-step/')['action'] == 'build'
        build = builds.request(machine)
        builds.record(build, 'failed', message='No disk.')
        step = get(client, f'machines/{machine.pk}/next-step/')
        assert (step['action'], step['build'], 'No disk.' in step['words']) == ('read', build.pk, True)


class TestRules:
    RULE = {'name': 'Acme', 'condition': {'system.manufacturer': 'Acme'}}

    @pytest.fixture
    def rule(self):
        machine = Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')
        FactSet.objects.create(
            machine=machine, source='prospector', collected=timezone.now(), data={'system': {'manufacturer': 'Acme'}}
        )
        return DiscoveryRule.objects.create(name='Others', condition={'system.manufacturer': 'Other'})

    def test_a_rule_is_tried_while_it_is_changed(self, root, client, rule):
        assert get(client, f'discovery-rules/{rule.pk}/dry-run/')['matching'] == 0
        assert post(client, f'discovery-rules/{rule.pk}/dry-run/', self.RULE)['matching'] == 1
        assert DiscoveryRule.objects.get() == rule and rule.condition == {'system.manufacturer': 'Other'}

    def test_it_takes_the_permission_to_change_it(self, operator, client, rule):
        permit(operator, DiscoveryRule, 'view', 'add')
        post(client, f'discovery-rules/{rule.pk}/dry-run/', self.RULE, 403)
        permit(operator, DiscoveryRule, 'change', name='another')
        post(client, f'discovery-rules/{rule.pk}/dry-run/', self.RULE, 404)


class TestPreflight:
    def test_it_looks_at_another_profile(self, root, client):
        machine = machines.register(a_device())
        profile = a_profile()

        def profile_step(path):
            return {step['outcome'] for step in get(client, path)['steps'] if step['key'] == 'machine'}

        path = f'machines/{machine.pk}/preflight/'
        assert (profile_step(path), profile_step(f'{path}?profile={profile.pk}')) == ({'failure'}, {'ok'})
        for wrong in ('x', '999999'):
            get(client, f'{path}?profile={wrong}', 400)


class TestArtifacts:
    def test_an_artifact_is_deleted_and_never_written(self, root, client):
        build = builds.request(machines.register(a_device(), profile=a_profile()))
        artifact = build.artifacts.get()
        url = f'{API}/build-artifacts/{artifact.pk}/'
        for method in (client.put, client.patch):
            assert method(url, '{}', content_type='application/json').status_code == 405
        assert client.post(f'{API}/build-artifacts/', '{}', content_type='application/json').status_code == 405
        assert client.delete(url).status_code == 204
        assert not BuildArtifact.objects.filter(pk=artifact.pk).exists()
