"""pynetbox reads every kind of object of the plugin, with everything in it that there can be."""

import pynetbox
import pytest

from users.models import Token, User

from tests.browser.world import a_data_centre

ENDPOINTS = (
    'boot_servers', 'subnets', 'zones', 'boot_images', 'profiles', 'profile_templates', 'machines', 'builds',
    'build_artifacts', 'build_events', 'fact_sets', 'discovery_rules', 'bmcs', 'tasks',
)  # fmt: skip


@pytest.fixture
def substruct(served):
    a_data_centre()
    token = Token(user=User.objects.create_superuser('script'))
    token.save()
    api = pynetbox.api(served, token=f'nbt_{token.key}.{token.token}')
    api.http_session.trust_env = False
    return api.plugins.substruct


def test_every_object_can_be_read(substruct):
    """Its lists of plain data among them: what looks like an object of NetBox's is taken for one."""
    for name in ENDPOINTS:
        records = list(getattr(substruct, name).all())
        assert records, f'there is nothing to read at {name}'
        for record in records:
            assert record.id
            assert dict(record)['id'] == record.id
    image = next(image for image in substruct.boot_images.all() if image.initrds)
    assert image.initrds[0]['source'].startswith('http')
    server = next(server for server in substruct.boot_servers.all() if server.files)
    assert server.files[0]['source'].startswith('http')
