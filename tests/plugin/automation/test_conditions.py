"""If-Match: an action is carried out only on what was seen, for every action that moves an object."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from dcim.models import Device
from users.models import User

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import BootServer, Build, FactSet, Machine, Task, Wave
from netbox_substruct.waves import moves, running

from ..lifecycle.world import a_device, a_profile
from .world import able_to_switch

pytestmark = pytest.mark.django_db
API = '/api/plugins/substruct'


@pytest.fixture
def user():
    return User.objects.create_superuser('root')


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def a_machine():
    return machines.register(a_device(), profile=a_profile())


def a_task(machine, state='pending'):
    server = BootServer.objects.create(name='boot', base_url='http://192.0.2.1:8080')
    return Task.objects.create(boot_server=server, kind='power', machine=machine, state=state)


def a_wave(machine, user, *moved):
    wave = Wave.objects.create(name='Rack 17')
    moves.add(wave, [machine], user=user)
    for move in moved:
        move(wave, user=user)
    return wave


def failed(machine):
    build = builds.request(machine)
    builds.record(build, 'failed', message='No disk.')
    return build


def failed_wave(machine, user):
    wave = a_wave(machine, user, moves.start)
    running.advance(wave.pk)
    builds.record(Build.objects.get(), 'failed', message='No disk.')
    running.advance(wave.pk)
    return wave


def discovered(machine):
    a_device('other')
    return Machine.objects.create(discovered_name='found-1', boot_mac='00:00:5E:00:53:01')


def choices(client, machine):
    """What adopts a machine as it is proposed."""
    device = Device.objects.get(name='other')
    body = {
        'kind': 'device', 'name': 'found-1', 'site': device.site_id, 'role': device.role_id,
        'device_type': device.device_type_id,
    }  # fmt: skip
    return {**body, 'confirm': post(client, f'machines/{machine.pk}/adopt/', body).json()['digest']}


def confirmed(client, machine):
    found = client.get(f'{API}/machines/{machine.pk}/difference/').json()
    return {
        'accept': [line['key'] for line in found['lines'] if line['changes']],
        'confirm': found['digest'],
    }


def with_facts(machine):
    FactSet.objects.create(
        machine=machine, source='prospector', collected=timezone.now(), data={'system': {'serial': 'SN-9'}}
    )
    return machine


def one_more(client, wave):
    return [{'machine': machines.register(a_device('more'), profile=wave.members.get().machine.profile).pk}]


# Each action that moves an object: what it is done to, and what is sent; both may ask for what the test has.
ACTIONS = {
    'machines/build': (lambda m, u: m, {}),
    'machines/next-boot': (lambda m, u: m, {'next_boot': 'rescue'}),
    'machines/state': (lambda m, u: m, {'state': 'retired'}),
    'machines/adopt': (lambda m, u: discovered(m), choices),
    'machines/difference': (lambda m, u: with_facts(m), confirmed),
    'machines/power': (lambda m, u: m, {'action': 'on'}),
    'builds/cancel': (lambda m, u: builds.request(m), {}),
    'builds/retry': (lambda m, u: failed(m), {}),
    'tasks/cancel': (lambda m, u: a_task(m), {}),
    'tasks/retry': (lambda m, u: a_task(m, 'failed'), {}),
    'waves/machines': (lambda m, u: a_wave(m, u), one_more),
    'waves/start': (lambda m, u: a_wave(m, u), {}),
    'waves/pause': (lambda m, u: a_wave(m, u, moves.start), {}),
    'waves/resume': (lambda m, u: a_wave(m, u, moves.start, moves.pause), {}),
    'waves/retry': (failed_wave, {}),
    'waves/stop': (lambda m, u: a_wave(m, u, moves.start), {}),
}
# Actions that ask and change nothing, and those of boot servers, which have attempts and digests of their own.
OTHERS = {'machines/preflight', 'discovery-rules/dry-run'}


def post(client, path, body, **headers):
    return client.post(f'{API}/{path}', json.dumps(body), content_type='application/json', headers=headers)


def test_every_action_on_an_object_is_here():
    from netbox_substruct.api.urls import router

    found = {
        f'{prefix}/{extra.url_path}'
        for prefix, viewset, _ in router.registry
        for extra in viewset.get_extra_actions()
        if extra.detail and 'post' in extra.mapping and prefix != 'boot-servers'
    }
    assert found == ACTIONS.keys() | OTHERS


@pytest.mark.parametrize('name', ACTIONS)
def test_what_has_changed_since_it_was_seen_is_left_alone(client, user, a_machine, name):
    make, body = ACTIONS[name]
    obj = make(a_machine, user)
    body = body(client, obj) if callable(body) else body
    model, (slug, action) = type(obj), name.split('/')
    if name == 'machines/power':
        able_to_switch(a_machine)
    seen = client.get(f'{API}/{slug}/{obj.pk}/').headers['ETag']
    model.objects.get(pk=obj.pk).save()
    before = model.objects.filter(pk=obj.pk).values().get()
    counts = Build.objects.count(), Task.objects.count()

    refused = post(client, f'{slug}/{obj.pk}/{action}/', body, **{'If-Match': seen})
    assert refused.status_code == 412, refused.content
    assert refused.headers['ETag'] == client.get(f'{API}/{slug}/{obj.pk}/').headers['ETag'] != seen
    assert model.objects.filter(pk=obj.pk).values().get() == before
    assert (Build.objects.count(), Task.objects.count()) == counts

    done = post(client, f'{slug}/{obj.pk}/{action}/', body, **{'If-Match': refused.headers['ETag']})
    assert done.status_code in (200, 201), done.content
