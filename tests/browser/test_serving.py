"""In a browser: what rules a prefix, and what a boot server would change."""

import pytest

from .conftest import NARROW, WIDE

LINES = (
    '- host 02:00:00:00:00:0a  [web-9]',
    '    - 10.1.0.19 web-9.example.com',
    '~ host 02:00:00:00:00:0b  [web-10]',
    '    - 10.1.0.20 web-10.example.com',
    '    + 10.1.0.30 web-10.example.com',
    '+ host 02:00:00:00:00:0c  [web-11]',
    '    + 10.1.0.31 web-11.example.com',
    '… and 9 more (substruct-sidecar plan dhcp --full)',
)


@pytest.fixture(scope='module')
def prefixes(world):
    """One that inherits and is served by nobody, and one about which nobody has said anything."""
    from ipam.models import Prefix

    from netbox_substruct.models import Subnet

    texts = ('10.77.0.0/16', '10.77.1.0/24', '10.78.0.0/24')
    upper, inner, bare = (Prefix.objects.create(prefix=text) for text in texts)
    Subnet.objects.create(prefix=upper, discovery_enabled=True, dhcp_enabled=False)
    Subnet.objects.create(prefix=inner)
    return inner, bare


def picture(visitor, name):
    """Both windows fit; the wide one is the manual's picture."""
    for size in (NARROW, WIDE):
        visitor.page.set_viewport_size(size)
        visitor.check()
    visitor.for_manual(name)


def test_a_prefix_says_what_rules_it_and_why_nobody_gets_an_answer(wide, prefixes):
    inner, bare = prefixes
    wide.visit(inner.get_absolute_url())
    assert wide.says('DHCP is off.') and wide.says('No boot server serves it') and wide.says('10.77.0.0/16')
    picture(wide, 'prefix')
    wide.visit(bare.get_absolute_url())
    assert wide.says('Neither this prefix nor one above it has a subnet.')
    wide.page.get_by_role('link', name='Add Subnet').click()
    wide.settle()
    assert '/subnets/add/' in wide.page.url


def test_a_boot_server_shows_line_by_line_what_it_would_change(wide, world):
    from netbox_substruct.models import BootServer

    server = BootServer.objects.get(pk=world.of_model['bootserver'].pk)
    services = [dict(service) for service in server.services]
    services[0] |= {
        'state': 'degraded', 'planned': {'add': 2, 'change': 2, 'remove': 8}, 'difference': list(LINES),
        'message': 'The plan for dhcp would remove 8 of 12: it is refused until a person has looked at it.',
    }  # fmt: skip
    BootServer.objects.filter(pk=server.pk).update(services=services)
    wide.visit(server.get_absolute_url())
    assert wide.says('What Would Change') and wide.says('- 10.1.0.20 web-10.example.com')
    picture(wide, 'boot-server-changes')
