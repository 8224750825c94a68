"""The REST API against its own OpenAPI schema: whatever is sent, no answer is a crash, and each is described.

Schemathesis makes the requests from the schema, the same ones each time.  Ids in them are replaced by those of objects
that are there, so that requests do something; what they did is taken back before the next.
"""

import os
import re
import warnings
from io import StringIO
from unittest import mock

import pytest
import requests
from django.db import transaction
from django.test import Client
from django.urls import include, path

from users.models import User

from netbox_substruct import models

from ..permissions import world as sites

hypothesis = pytest.importorskip('hypothesis')
schemathesis = pytest.importorskip('schemathesis')

pytestmark = pytest.mark.django_db
PREFIX = '/api/plugins/substruct/'
# Requests are made up in two ways: as the schema wants them, and wrong in one place or another.
MODES = ('positive', 'negative')
# NetBox's own parameters that cut an answer short: what is left of an object is not what the schema calls one.
CUTTING = ('fields', 'omit', 'brief')
# It is read in a transaction of its own, and has tests of its own.
FEED = PREFIX + 'boot-servers/{id}/feed/'


@pytest.fixture
def schema():
    """The OpenAPI schema of our part of the API, as NetBox makes it."""
    from drf_spectacular.generators import SchemaGenerator

    ours = [path(PREFIX.lstrip('/'), include('netbox_substruct.api.urls'))]
    with mock.patch('sys.stderr', StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return SchemaGenerator(patterns=ours).get_schema(request=None, public=True)


@pytest.fixture
def operations(schema):
    found = [result.ok() for result in schemathesis.openapi.from_dict(schema).get_all_operations()]
    assert len(found) > 150
    return [each for each in found if each.path != FEED]


@pytest.fixture
def known():
    """Ids of objects that are there, by the name that a path, a field or a parameter has for them."""
    world = sites.a_world()
    machine, site = world.own.machines[0], world.own.site
    build = machine.builds.latest('pk')
    discovered = models.Machine.objects.get(discovered_name__startswith='found')
    found = {
        'machine': machine, 'machines': machine, 'build': build, 'builds': build, 'against': build,
        'boot_server': world.own.boot_server, 'boot-servers': world.own.boot_server,
        'profile': world.profile, 'profiles': world.profile, 'parent': world.profile,
        'boot_image': world.profile.boot_image, 'boot-images': world.profile.boot_image,
        'profile-templates': world.profile.templates.get(),
        'config_template': world.profile.templates.get().config_template,
        'subnets': models.Subnet.objects.first(), 'zones': models.Zone.objects.get(),
        'build-artifacts': build.artifacts.first(), 'artifact': build.artifacts.first(),
        'build-events': models.BuildEvent.objects.first(), 'fact-sets': models.FactSet.objects.first(),
        'bmcs': models.BMC.objects.first(), 'tasks': models.Task.objects.first(), 'task': models.Task.objects.first(),
        'wave': world.wave, 'waves': world.wave, 'wave-members': models.WaveMember.objects.first(),
        'discovery-rules': models.DiscoveryRule.objects.get(), 'adopt': discovered,
        'device': machine.device, 'site': site, 'role': machine.device.role,
        'device_type': machine.device.device_type, 'virtual_machine': world.own.machines[-1].virtual_machine,
    }  # fmt: skip
    return {name: obj.pk for name, obj in found.items()}


@pytest.fixture
def client(queues):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser('root'))
    with mock.patch('netbox.api.viewsets.mixins.any_workers_for_queue', return_value=True):
        yield client


def meant(value, known, own):
    """A body, or a part of it, that speaks of objects that are there."""
    if isinstance(value, list):
        return [meant(each, known, own) for each in value]
    if not isinstance(value, dict):
        return value
    ids = {**known, 'id': own}
    return {
        name: ids[name] if name in ids and isinstance(each, int | dict) else meant(each, known, own)
        for name, each in value.items()
    }


def send(client, case, known):
    """What NetBox answers, as Schemathesis reads it."""
    slug = case.operation.path.removeprefix(PREFIX).partition('/')[0]
    own = known.get('adopt' if case.operation.path.endswith('/adopt/') else slug)
    case.path_parameters = {
        name: own if name == 'id' else known.get(name, value) for name, value in (case.path_parameters or {}).items()
    }
    case.query = {name: value for name, value in (case.query or {}).items() if name not in CUTTING}
    if isinstance(case.body, dict | list):
        case.body = meant(case.body, known, own)
    kwargs = case.as_transport_kwargs(base_url='http://testserver')
    request = requests.Request(
        kwargs['method'], kwargs['url'], params=kwargs.get('params'), headers=dict(kwargs.get('headers') or {}),
        json=kwargs.get('json'), data=kwargs.get('data'), files=kwargs.get('files'),
    ).prepare()  # fmt: skip
    body = request.body or b''
    headers = {name: value for name, value in request.headers.items() if name.lower() not in ('cookie', 'content-type')}
    answer = client.generic(
        request.method, request.path_url, body.encode() if isinstance(body, str) else body,
        content_type=request.headers.get('Content-Type', 'application/json'), headers=headers,
    )  # fmt: skip
    content = b''.join(answer.streaming_content) if answer.streaming else answer.content
    headers = {name.lower(): [value] for name, value in answer.headers.items()}
    return schemathesis.core.transport.Response(answer.status_code, headers, content, request, 0.0, True)


def tried(operation, mode, client, known, examples, tally):
    """What is wrong with the answers of an operation; nothing, if nothing is."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks

    @hypothesis.settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(GenerationMode(mode)))
    def try_out(case):
        with transaction.atomic():
            answer = send(client, case, known)
            transaction.set_rollback(True)
        tally[answer.status_code] = tally.get(answer.status_code, 0) + 1
        case.validate_response(
            answer,
            checks=[
                not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
                checks.response_schema_conformance,
            ],
        )  # fmt: skip

    try:
        try_out()
    except hypothesis.errors.Unsatisfiable:
        return ''  # nothing in it can be wrong
    except (Exception, schemathesis.core.failures.FailureGroup) as error:
        return f'{operation.method.upper()} {operation.path} ({mode})\n{_plain(error)}'
    return ''


def _plain(error):
    return re.sub(r'\x1b[^m]*m', '', str(error))[:2500]


def in_all(operations, client, known, examples):
    """What is wrong in all of them, and how often each status was answered; `examples` 0 makes a few of each."""
    tally = {}
    found = [
        tried(each, mode, client, known, number, tally)
        for each in operations
        for mode in MODES
        if (number := examples or few(each, mode))
    ]
    return [why for why in found if why], tally


def few(operation, mode):
    """How many requests are enough for every day.  The first is always the simplest that there can be."""
    if operation.method == 'get':
        return 1 if mode == 'positive' else 0  # wrong filters are many and much alike
    return 2 if mode == 'positive' else 1


def test_no_request_crashes_it_and_every_answer_is_described(operations, known, client):
    wrong, tally = in_all(operations, client, known, examples=int(os.environ.get('SUBSTRUCT_EXAMPLES', '0')))
    assert not wrong, f'{len(wrong)} are wrong:\n' + '\n\n'.join(wrong)
    # It would prove little if nearly all were refused.
    assert {200, 201, 204, 400, 404, 422} <= tally.keys() and tally[200] + tally[201] > 100, tally
