"""The feed over HTTP: who may read it, what is told to whom, and what an error looks like."""

import json

import pytest
from django.test import Client

from core.models import ObjectType
from users.models import ObjectPermission, Token, User

from netbox_substruct.feed import messages
from netbox_substruct.models import BootServer

from .world import a_world

pytestmark = pytest.mark.usefixtures('committed')


@pytest.fixture
def world():
    return a_world()


def grant(user, *actions, model=BootServer, constraints=None):
    permission = ObjectPermission.objects.create(name='feed', actions=list(actions), constraints=constraints)
    permission.object_types.add(ObjectType.objects.get_for_model(model))
    permission.users.add(user)
    return permission


@pytest.fixture
def reader():
    return User.objects.create_user('sidecar')


@pytest.fixture
def get(reader):
    token = Token(user=reader, write_enabled=False)
    token.save()
    secret = token.token

    asked = []

    def ask(boot_server, path='feed', **params):
        response = Client(raise_request_exception=False).get(
            f'/api/plugins/substruct/boot-servers/{boot_server.pk}/{path}/',
            params,
            headers={'authorization': f'Bearer nbt_{token.key}.{secret}', 'accept': 'application/x-ndjson'},
        )
        asked.append(response)
        return response

    yield ask
    for response in asked:
        response.close()


def lines(response):
    return [json.loads(line) for line in response.getvalue().splitlines()]


def test_a_snapshot_begins_with_a_header_and_ends_with_a_count(world, reader, get):
    grant(reader, 'feed')
    response = get(world.berlin)
    assert response.status_code == 200 and response['Content-Type'] == 'application/x-ndjson'
    header, *body, end = lines(response)
    assert header['kind'] == 'header' and header['protocol'] == messages.PROTOCOL and header['mode'] == 'snapshot'
    assert end == {'kind': 'end', 'lines': len(body)}
    kinds = [line['kind'] for line in body if line['kind'] != 'script']
    assert kinds == ['subnet'] * 2 + ['zone'] * 2 + ['record'] * 3 + ['machine'] * 2
    assert body[7]['kind'] == body[-3]['kind'] == 'script'


def test_a_delta_is_read_with_the_cursor_of_the_snapshot(world, reader, get):
    grant(reader, 'feed')
    cursor = lines(get(world.berlin))[0]['cursor']
    world.devices[0].name = 'new'
    world.devices[0].save()
    header, machine, _end = lines(get(world.berlin, after=cursor))
    assert header['mode'] == 'delta' and machine['name'] == 'new'


def test_a_cursor_that_cannot_be_used_is_gone(world, reader, get):
    grant(reader, 'feed')
    response = get(world.berlin, after='nonsense')
    assert response.status_code == 410 and response.json()['code'] == 'malformed'


def test_without_the_permission_it_is_an_error_and_never_an_empty_state(world, reader, get):
    assert get(world.berlin).status_code == 403
    grant(reader, 'view', 'add', 'change', 'delete')
    assert get(world.berlin).status_code == 403


def test_a_permission_for_another_boot_server_is_not_enough(world, reader, get):
    grant(reader, 'feed', constraints={'name': 'boot-osl'})
    assert get(world.berlin).status_code == 404
    assert get(world.oslo).status_code == 200


def test_a_permission_that_is_taken_away_ends_it(world, reader, get):
    permission = grant(reader, 'feed')
    cursor = lines(get(world.berlin))[0]['cursor']
    permission.delete()
    assert get(world.berlin, after=cursor).status_code == 403


def test_an_expired_token_is_refused(world, reader, get):
    from datetime import timedelta

    from django.utils import timezone

    grant(reader, 'feed')
    Token.objects.update(expires=timezone.now() - timedelta(days=1))
    assert get(world.berlin).status_code in (401, 403)


def test_an_answer_that_breaks_off_has_no_end(world, reader, get, monkeypatch):
    """A reader can tell half an answer from a whole one."""
    from netbox_substruct.feed import reader as module

    def broken(*args):
        raise OSError('the database went away')

    monkeypatch.setattr(module, 'machine_line', broken)
    grant(reader, 'feed')
    response = get(world.berlin)
    with pytest.raises(OSError, match='went away'):
        response.getvalue()


def test_a_reader_that_goes_away_leaves_no_transaction_open(world, reader, get):
    from django.db import connection

    grant(reader, 'feed')
    get(world.berlin).close()
    assert not connection.in_atomic_block


def test_the_number_of_queries_does_not_depend_on_the_number_of_machines(world, reader):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from dcim.models import Device

    from netbox_substruct.feed.reader import read
    from netbox_substruct.models import Machine

    list(read(world.berlin.pk))
    with CaptureQueriesContext(connection) as few:
        assert b'srv-2' in b''.join(read(world.berlin.pk))
    devices = Device.objects.bulk_create(
        [
            Device(
                name=f'more-{n}', site=world.site, device_type=world.devices[0].device_type, role=world.devices[0].role
            )
            for n in range(300)
        ]
    )
    Machine.objects.bulk_create([Machine(device=device) for device in devices])
    world.berlin.sites.add(world.site)
    with CaptureQueriesContext(connection) as many:
        assert b'more-299' in b''.join(read(world.berlin.pk))
    assert len(many) == len(few)


def test_the_lines_are_those_of_the_published_schema(world, reader, get):
    import jsonschema

    grant(reader, 'feed')
    validator = jsonschema.Draft202012Validator(messages.schema())
    for line in lines(get(world.berlin)):
        validator.validate(line)


@pytest.fixture
def artifact(world):
    """Of a build that is under way on a machine in Berlin."""
    import hashlib

    from netbox_substruct.models import Build, BuildArtifact

    build = Build.objects.create(machine=world.machine(0), state='pending')
    content = '#!ipxe\nboot\n'
    return BuildArtifact.objects.create(
        build=build, kind='ipxe', name='boot.ipxe', content=content, sha256=hashlib.sha256(content.encode()).hexdigest()
    )


def test_an_artifact_is_read_with_the_permission_for_the_feed_and_no_other(world, reader, get, artifact):
    assert get(world.berlin, f'artifacts/{artifact.pk}').status_code == 403
    grant(reader, 'feed')
    response = get(world.berlin, f'artifacts/{artifact.pk}')
    assert (response.status_code, response.content.decode()) == (200, artifact.content)


def test_an_artifact_of_a_machine_that_another_boot_server_serves_is_not_read(world, reader, get, artifact):
    grant(reader, 'feed')
    assert get(world.oslo, f'artifacts/{artifact.pk}').status_code == 404


def test_an_artifact_of_a_build_that_has_ended_is_not_read(world, reader, get, artifact):
    grant(reader, 'feed')
    artifact.build.state = 'complete'
    artifact.build.save()
    assert get(world.berlin, f'artifacts/{artifact.pk}').status_code == 404
