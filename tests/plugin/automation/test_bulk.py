"""Actions of the REST API on what was seen and on nothing else (If-Match), on many objects, and by a job."""

import json
from unittest import mock

import pytest
from django.apps import apps
from django.test import TestCase

from core.models import Job
from dcim.models import Device
from users.models import ObjectPermission

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import Build, FactSet, Machine, Task, Wave, WaveMember

from ..lifecycle.world import a_device, a_profile, a_user
from ..surface.world import permit
from .world import work

pytestmark = pytest.mark.django_db
API = '/api/plugins/substruct'


@pytest.fixture
def three():
    profile = a_profile()
    return [machines.register(a_device(f'srv-{number}'), profile=profile) for number in (1, 2, 3)]


@pytest.fixture
def operator(client):
    user = a_user('operator')
    permit(user, Machine, 'view', 'build', 'change', 'add')
    permit(user, Build, 'view', 'cancel')
    permit(user, Task, 'view', 'change')
    permit(user, Device, 'view')
    client.force_login(user)
    return user


def post(client, path, body, **headers):
    response = client.post(f'{API}/{path}', data=json.dumps(body), content_type='application/json', headers=headers)
    return response.status_code, response.json(), response


def etag(client, path):
    return client.get(f'{API}/{path}').headers['ETag']


@pytest.fixture
def found(operator):
    a_device('known')  # its type, role and site are there to be chosen
    for model in ('device', 'interface', 'macaddress', 'inventoryitem', 'site', 'devicerole', 'devicetype'):
        permit(operator, apps.get_model('dcim', model), 'view', 'add', 'change')
    permit(operator, FactSet, 'view')
    return [
        Machine.objects.create(discovered_name=f'found-{number}', boot_mac=f'00:00:5E:00:53:0{number}')
        for number in (1, 2)
    ]


def choices(machine, **more):
    device = Device.objects.get(name='known')
    return {
        'id': machine.pk, 'kind': 'device', 'name': machine.discovered_name, 'site': device.site_id,
        'role': device.role_id, 'device_type': device.device_type_id, **more,
    }  # fmt: skip


class TestIfMatch:
    @pytest.mark.parametrize(
        ('action', 'body', 'code'),
        [('build', {}, 201), ('next-boot', {'next_boot': 'rescue'}, 200), ('state', {'state': 'retired'}, 200)],
    )
    def test_an_action_on_a_machine_that_has_changed_is_refused(self, operator, client, three, action, body, code):
        pk = three[0].pk
        seen = etag(client, f'machines/{pk}/')
        machine = Machine.objects.get(pk=pk)
        machine.description = 'changed meanwhile'
        machine.save()
        status, _, response = post(client, f'machines/{pk}/{action}/', body, **{'If-Match': seen})
        assert status == 412 and response.headers['ETag'] != seen
        assert Machine.objects.get(pk=pk).state == 'registered' and not Build.objects.exists()
        status, answer, _ = post(client, f'machines/{pk}/{action}/', body, **{'If-Match': response.headers['ETag']})
        assert status == code, answer

    def test_an_answer_has_the_etag_for_the_next_action(self, operator, client, three):
        pk = three[0].pk
        _, _, response = post(client, f'machines/{pk}/next-boot/', {'next_boot': 'rescue'})
        assert response.headers['ETag'] == etag(client, f'machines/{pk}/')

    def test_a_build_that_has_moved_on_is_not_cancelled(self, operator, client, three):
        build = builds.request(three[0])
        seen = etag(client, f'builds/{build.pk}/')
        builds.record(build, 'config-fetched')
        assert post(client, f'builds/{build.pk}/cancel/', {}, **{'If-Match': seen})[0] == 412
        now = etag(client, f'builds/{build.pk}/')
        assert post(client, f'builds/{build.pk}/cancel/', {}, **{'If-Match': now})[0] == 200

    def test_what_netbox_itself_locks_holds_for_our_models(self, operator, client, three):
        pk = three[0].pk
        seen = etag(client, f'machines/{pk}/')
        Machine.objects.get(pk=pk).save()
        response = client.patch(
            f'{API}/machines/{pk}/', json.dumps({'description': 'x'}), content_type='application/json',
            headers={'If-Match': seen},
        )  # fmt: skip
        assert response.status_code == 412


class TestMany:
    def test_many_are_built(self, operator, client, three):
        ids = [machine.pk for machine in reversed(three)]
        status, answer, _ = post(client, 'machines/build/', [{'id': pk, 'description': 'all'} for pk in ids])
        assert status == 201, answer
        assert [build['machine']['id'] for build in answer] == ids
        assert {build.requested_by for build in Build.objects.all()} == {operator}

    def test_all_or_none_and_each_reason(self, operator, client, three):
        Device.objects.filter(name='srv-2').update(status='active')
        builds.request(three[2])
        status, answer, _ = post(client, 'machines/build/', [{'id': machine.pk} for machine in three])
        assert status == 422 and '2 of 3' in answer['detail']
        assert {error['id']: error['code'] for error in answer['errors']} == {
            three[1].pk: 'override-required',
            three[2].pk: 'conflict',
        }
        assert Build.objects.count() == 1 and Machine.objects.get(pk=three[0].pk).state == 'registered'

    def test_who_was_first_is_a_conflict(self, operator, client, three):
        builds.request(three[0])
        assert post(client, 'machines/build/', [{'id': three[0].pk}])[0] == 409

    def test_those_that_the_user_may_not_build_are_not_there(self, client, three):
        user = a_user()
        permit(user, Machine, 'view', 'build', device__name='srv-1')
        client.force_login(user)
        status, answer, _ = post(client, 'machines/build/', [{'id': machine.pk} for machine in three[:2]])
        assert status == 422 and [error['code'] for error in answer['errors']] == ['not-found']
        assert not Build.objects.exists()

    def test_without_any_permission_it_is_forbidden(self, client, three):
        client.force_login(a_user())
        for path in ('machines/build/', 'machines/next-boot/', 'machines/adopt/', 'builds/cancel/'):
            assert post(client, path, [{'id': three[0].pk}])[0] == 403

    @pytest.mark.parametrize('body', [{}, [], [{}], [{'id': 'x'}], [7], 'x', None])
    @pytest.mark.parametrize('path', ['machines/build/', 'machines/next-boot/', 'machines/adopt/', 'builds/cancel/'])
    def test_what_is_no_list_of_objects_is_told(self, operator, client, path, body):
        assert post(client, path, body)[0] == 400

    def test_one_twice_is_told(self, operator, client, three):
        status, answer, _ = post(client, 'machines/build/', [{'id': three[0].pk}] * 2)
        assert status == 422 and answer['errors'][0]['code'] == 'duplicate'

    def test_many_are_asked_for_their_next_boot(self, operator, client, three):
        body = [{'id': machine.pk, 'next_boot': 'rescue'} for machine in three]
        assert post(client, 'machines/next-boot/', body)[0] == 200
        assert set(Machine.objects.values_list('next_boot', flat=True)) == {'rescue'}

    def test_many_builds_are_cancelled(self, operator, client, three):
        found = [builds.request(machine) for machine in three]
        status, answer, _ = post(client, 'builds/cancel/', [{'id': each.pk, 'reason': 'stop'} for each in found])
        assert status == 200 and [each['state']['value'] for each in answer] == ['cancelled'] * 3

    def test_each_has_to_be_what_was_seen(self, operator, client, three):
        seen = ', '.join(etag(client, f'machines/{machine.pk}/') for machine in three)
        Machine.objects.get(pk=three[2].pk).save()
        body = [{'id': machine.pk} for machine in three]
        assert post(client, 'machines/build/', body, **{'If-Match': seen})[0] == 412
        assert not Build.objects.exists()


class TestBackground:
    @pytest.fixture
    def background(self, client, queues, django_capture_on_commit_callbacks):
        """Posts with ?background=true and lets NetBox's worker do it; gives the job."""

        def background(path, body):
            alive = mock.patch('netbox.api.viewsets.mixins.any_workers_for_queue', return_value=True)
            with alive, django_capture_on_commit_callbacks(execute=True):
                status, answer, response = post(client, f'{path}?background=true', body)
            assert status == 202 and response.headers['Location'].endswith(f'/{answer["job"]["id"]}/')
            work()
            return Job.objects.get(pk=answer['job']['id'])

        return background

    def test_builds_are_requested_by_a_job_in_the_users_name(self, operator, three, background):
        job = background('machines/build/', [{'id': machine.pk} for machine in three])
        assert (job.status, job.data['status_code']) == ('completed', 201), job.error
        assert [build.requested_by for build in Build.objects.all()] == [operator] * 3

    def test_next_boots_are_asked_for_by_a_job(self, operator, three, background):
        job = background('machines/next-boot/', [{'id': machine.pk, 'next_boot': 'rescue'} for machine in three])
        assert (job.status, job.data['status_code']) == ('completed', 200), job.error
        assert set(Machine.objects.values_list('next_boot', flat=True)) == {'rescue'}

    def test_builds_are_cancelled_by_a_job(self, operator, three, background):
        found = [builds.request(machine) for machine in three]
        job = background('builds/cancel/', [{'id': each.pk, 'reason': 'stop'} for each in found])
        assert (job.status, job.data['status_code']) == ('completed', 200), job.error
        assert set(Build.objects.values_list('state', flat=True)) == {'cancelled'}

    def test_machines_are_put_into_a_wave_by_a_job(self, operator, three, background):
        permit(operator, Wave, 'view')
        permit(operator, WaveMember, 'view', 'add')
        wave = Wave.objects.create(name='Rack 17')
        job = background(f'waves/{wave.pk}/machines/', [{'machine': machine.pk} for machine in three])
        assert (job.status, job.data['status_code']) == ('completed', 201), (job.error, job.data)
        assert {member.machine for member in wave.members.all()} == set(three)

    def test_a_job_does_not_act_on_what_was_seen(self, operator, client, three):
        """Nobody knows when it does; so it is not promised."""
        seen = etag(client, f'machines/{three[0].pk}/')
        refused = post(client, 'machines/build/?background=true', [{'id': three[0].pk}], **{'If-Match': seen})
        assert refused[0] == 400 and not Build.objects.exists()

    def test_a_job_is_refused_like_a_request(self, operator, three, background):
        builds.request(three[0])
        job = background('machines/build/', [{'id': machine.pk} for machine in three])
        assert (job.status, job.data['status_code']) == ('failed', 409)
        assert [error['code'] for error in job.data['data']['errors']] == ['conflict']

    def test_a_permission_that_was_taken_away_meanwhile_counts(self, operator, client, three, queues):
        alive = mock.patch('netbox.api.viewsets.mixins.any_workers_for_queue', return_value=True)
        with alive, TestCase.captureOnCommitCallbacks(execute=True):
            assert post(client, 'machines/build/?background=true', [{'id': three[0].pk}])[0] == 202
        ObjectPermission.objects.filter(name__contains='.Machine ').delete()
        work()
        assert not Build.objects.exists()

    def test_devices_are_registered_by_a_job(self, operator, background):
        devices = [a_device(f'srv-{number}') for number in (1, 2)]
        job = background('machines/register/', [{'device': device.pk} for device in devices])
        assert job.status == 'completed' and Machine.objects.count() == 2

    def test_machines_are_adopted_by_a_job_each_by_itself(self, client, found, background):
        body = [choices(found[0], unseen=True), choices(found[1], unseen=True, name='known')]
        job = background('machines/adopt/', body)
        assert (job.status, job.data['status_code']) == ('completed', 200), job.error
        assert [each['status'] for each in job.data['data']] == ['adopted', 'refused']
        assert Device.objects.filter(name='found-1').exists()


class TestAdopting:
    def test_many_are_adopted_each_by_itself(self, client, found):
        body = [choices(found[0], unseen=True), choices(found[1], unseen=True, name='known'), {'id': 9999}]
        status, answer, _ = post(client, 'machines/adopt/', body)
        assert status == 200, answer
        assert [(each['id'], each['status']) for each in answer] == [
            (found[0].pk, 'adopted'),
            (found[1].pk, 'refused'),
            (9999, 'refused'),
        ], answer
        assert Device.objects.filter(name='found-1').exists() and answer[1]['detail']
        assert answer[2]['code'] == 'not-found'

    def test_one_that_nobody_has_seen_is_not_adopted(self, client, found):
        (answer,) = post(client, 'machines/adopt/', [choices(found[0])])[1]
        assert (answer['status'], answer['code']) == ('refused', 'not-ready')

    def test_one_that_has_changed_since_is_left_and_the_others_are_adopted(self, client, found):
        seen = ', '.join(etag(client, f'machines/{machine.pk}/') for machine in found)
        found[0].save()
        body = [choices(machine, unseen=True) for machine in found]
        answer = post(client, 'machines/adopt/', body, **{'If-Match': seen})[1]
        assert [(each['status'], each['code']) for each in answer] == [('refused', 'changed'), ('adopted', '')]

    def test_one_is_adopted_as_it_was_seen(self, client, found):
        body = choices(found[0])
        pk = body.pop('id')
        digest = post(client, f'machines/{pk}/adopt/', body)[1]['digest']
        (answer,) = post(client, 'machines/adopt/', [{'id': pk, **body, 'confirm': 'of another'}])[1]
        assert answer['code'] == 'stale'
        (answer,) = post(client, 'machines/adopt/', [{'id': pk, **body, 'confirm': digest}])[1]
        assert answer['status'] == 'adopted', answer
        assert 'found-1' in answer['done']['object'].values()
