"""Provisioning on NetBox's own lists and in its GraphQL types: what is shown, found, and what a user may not see."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.models import ObjectType
from dcim.models import Device
from users.models import ObjectPermission
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import Build, Machine, Profile

from ..lifecycle.world import a_device, a_profile, a_user

pytestmark = pytest.mark.django_db
COLUMNS = 'name,substruct_state,substruct_profile,substruct_last_build'
TABLE = f'/dcim/devices/?include_columns={COLUMNS}'


@pytest.fixture
def devices():
    """srv-1 is built, srv-2 is registered, srv-3 is no machine."""
    profile = a_profile()
    for name in ('srv-1', 'srv-2'):
        machines.register(a_device(name), profile=profile)
    a_device('srv-3')
    build = builds.request(Machine.objects.get(device__name='srv-1'))
    builds.record(build, 'finished')
    return {device.name: device for device in Device.objects.all()}


def a_viewer(*models, **constraints):
    user = a_user('viewer')
    for model in models:
        limited = constraints if model is not Device else None
        permission = ObjectPermission.objects.create(name=str(model), actions=['view'], constraints=limited or None)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(user)
    return user


def rows(client, url):
    """The cells' text of a list, by device."""
    page = client.get(url, HTTP_HX_REQUEST='true').content.decode()
    found = {}
    for row in re.findall(r'<tr\b.*?</tr>', page, re.S)[1:]:
        cells = [' '.join(re.sub(r'<[^>]+>', ' ', cell).split()) for cell in re.findall(r'<td\b.*?</td>', row, re.S)]
        if name := next((cell for cell in cells if cell.startswith('srv-')), None):
            found[name] = cells
    return found


def graphql(client, query):
    response = client.post('/graphql/', data=json.dumps({'query': query}), content_type='application/json')
    answer = response.json()
    assert 'errors' not in answer, answer
    return answer['data']


class TestColumns:
    def test_the_list_of_devices_shows_state_profile_and_last_build(self, devices, client):
        client.force_login(a_viewer(Device, Machine, Build))
        found = rows(client, TABLE)
        build = Build.objects.get()
        assert {'Built', 'Debian', f'#{build.pk} Complete'} <= set(found['srv-1'])
        assert {'Registered', 'Debian'} <= set(found['srv-2'])
        assert not {'Built', 'Registered', 'Debian'} & set(found['srv-3'])

    def test_what_a_user_may_not_view_is_not_shown(self, devices, client):
        client.force_login(a_viewer(Device, Machine, device__name='srv-2'))
        found = rows(client, TABLE)
        assert 'Registered' in found['srv-2']
        assert not {'Built', 'Debian'} & set(found['srv-1'])

    def test_the_queries_do_not_grow_with_the_rows(self, devices, client):
        client.force_login(a_viewer(Device, Machine, Build))
        client.get(TABLE)
        with CaptureQueriesContext(connection) as few:
            client.get(TABLE)
        profile = Profile.objects.get()
        for number in range(10, 20):
            machine = machines.register(a_device(f'srv-{number}'), profile=profile)
            builds.request(machine)
        with CaptureQueriesContext(connection) as many:
            client.get(TABLE)
        assert len(many) == len(few)

    def test_it_is_exported(self, devices, client):
        client.force_login(a_viewer(Device, Machine, Build))
        lines = client.get(f'{TABLE}&export=table&name=srv-1').content.decode().splitlines()
        assert 'Provisioning state' in lines[0] and 'Built' in lines[1] and 'Complete' in lines[1]

    def test_virtual_machines_have_it_too(self, client):
        cluster = Cluster.objects.create(name='c', type=ClusterType.objects.create(name='t', slug='t'))
        machines.register(VirtualMachine.objects.create(name='srv-vm', cluster=cluster), profile=a_profile())
        client.force_login(a_viewer(VirtualMachine, Machine))
        found = rows(client, f'/virtualization/virtual-machines/?include_columns={COLUMNS}')
        assert {'Registered', 'Debian'} <= set(found['srv-vm'])


class TestFilters:
    @pytest.mark.parametrize(
        ('query', 'names'),
        [
            ('substruct_state=built', ['srv-1']),
            ('substruct_state=built&substruct_state=registered', ['srv-1', 'srv-2']),
            ('substruct_last_build=complete', ['srv-1']),
            ('substruct_last_build=failed', []),
        ],
    )
    def test_lists_and_api_are_narrowed_by_them(self, devices, client, query, names):
        client.force_login(a_viewer(Device, Machine, Build))
        assert sorted(rows(client, f'{TABLE}&{query}')) == names
        found = client.get(f'/api/dcim/devices/?{query}').json()
        assert sorted(device['name'] for device in found['results']) == names

    def test_by_profile(self, devices, client):
        client.force_login(a_viewer(Device, Machine))
        found = client.get(f'/api/dcim/devices/?substruct_profile_id={Profile.objects.get().pk}').json()
        assert [device['name'] for device in found['results']] == ['srv-1', 'srv-2']

    def test_only_the_last_build_counts(self, devices, client):
        builds.request(Machine.objects.get(device__name='srv-1'))
        client.force_login(a_viewer(Device, Machine, Build))
        assert client.get('/api/dcim/devices/?substruct_last_build=complete').json()['count'] == 0
        assert client.get('/api/dcim/devices/?substruct_last_build=pending').json()['count'] == 1

    def test_nothing_is_found_by_what_a_user_may_not_view(self, devices, client):
        client.force_login(a_viewer(Device, Machine, device__name='srv-2'))
        assert client.get('/api/dcim/devices/?substruct_state=built').json()['count'] == 0

    def test_a_value_that_is_none_is_an_error(self, devices, client):
        client.force_login(a_viewer(Device))
        assert client.get('/api/dcim/devices/?substruct_state=nonsense').status_code == 400

    def test_the_form_has_them(self, devices, client):
        client.force_login(a_viewer(Device))
        page = client.get('/dcim/devices/').content.decode()
        assert 'name="substruct_state"' in page and 'name="substruct_profile_id"' in page


class TestGraphQL:
    QUERY = '{ device_list { name substruct_machine { state profile { name } builds { state } } } }'

    def test_a_device_has_its_machine(self, devices, client):
        client.force_login(a_viewer(Device, Machine, Build, Profile))
        found = {each['name']: each['substruct_machine'] for each in graphql(client, self.QUERY)['device_list']}
        assert found['srv-1'] == {'state': 'built', 'profile': {'name': 'Debian'}, 'builds': [{'state': 'complete'}]}
        assert found['srv-2']['state'] == 'registered' and found['srv-3'] is None

    def test_one_that_may_not_be_viewed_is_null(self, devices, client):
        client.force_login(a_viewer(Device, Machine, device__name='srv-2'))
        found = {
            each['name']: each['substruct_machine'] and each['substruct_machine']['state']
            for each in graphql(client, '{ device_list { name substruct_machine { state } } }')['device_list']
        }
        assert found == {'srv-1': None, 'srv-2': 'registered', 'srv-3': None}
        pk = devices['srv-1'].pk
        one = graphql(client, f'{{ device(id: {pk}) {{ substruct_machine {{ state }} }} }}')
        assert one == {'device': {'substruct_machine': None}}

    @pytest.mark.parametrize(
        ('filters', 'names'),
        [
            ('{substruct_state: ["built"]}', ['srv-1']),
            ('{substruct_registered: false}', ['srv-3']),
            ('{substruct_registered: true, name: {exact: "srv-2"}}', ['srv-2']),
        ],
    )
    def test_devices_are_found_by_it(self, devices, client, filters, names):
        client.force_login(a_viewer(Device, Machine))
        found = graphql(client, f'{{ device_list(filters: {filters}) {{ name }} }}')['device_list']
        assert [each['name'] for each in found] == names

    def test_nothing_is_found_by_what_a_user_may_not_view(self, devices, client):
        client.force_login(a_viewer(Device, Machine, device__name='srv-2'))
        found = graphql(client, '{ device_list(filters: {substruct_state: ["built"]}) { name } }')['device_list']
        assert found == []

    def test_the_queries_do_not_grow_with_the_rows(self, devices, client):
        client.force_login(a_viewer(Device, Machine, Build, Profile))
        graphql(client, self.QUERY)
        with CaptureQueriesContext(connection) as few:
            graphql(client, self.QUERY)
        for number in range(10, 20):
            machines.register(a_device(f'srv-{number}'), profile=Profile.objects.get())
        with CaptureQueriesContext(connection) as many:
            graphql(client, self.QUERY)
        assert len(many) == len(few)
