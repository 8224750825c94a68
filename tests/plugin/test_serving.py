"""What a prefix's page says of provisioning: the subnet that rules it, who serves it, and why nobody does."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import ObjectType
from dcim.models import Interface, Site
from ipam.models import VRF, IPAddress, Prefix
from users.models import ObjectPermission, User

from netbox_substruct import serving
from netbox_substruct.filtersets import MachineFilterSet
from netbox_substruct.models import BootServer, Machine, Subnet

from .lifecycle.world import a_machine, a_profile

pytestmark = pytest.mark.django_db


@pytest.fixture
def site():
    return Site.objects.create(name='Berlin', slug='ber')


@pytest.fixture
def boot_server(site):
    """One that serves the site and was heard just now, with its DHCP running."""
    made = BootServer.objects.create(name='boot-1', base_url='http://192.0.2.1:8080')
    made.sites.add(site)
    heard(made)
    return made


def heard(boot_server, services=({'name': 'dhcp', 'state': 'ok'},)):
    BootServer.objects.filter(pk=boot_server.pk).update(last_heartbeat=timezone.now(), services=list(services))


def a_prefix(text='10.0.1.0/24', **fields):
    return Prefix.objects.get(pk=Prefix.objects.create(prefix=text, **fields).pk)


def keys(prefix):
    return [reason.key for reason in serving.reasons(serving.ruling_of(prefix))]


class TestWhy:
    def test_a_prefix_with_dhcp_and_a_boot_server_that_is_heard_is_served(self, site, boot_server):
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        assert keys(prefix) == []

    def test_without_a_subnet_nothing_is_served(self, site, boot_server):
        assert keys(a_prefix(scope=site)) == ['no-subnet']

    def test_dhcp_is_off_unless_somebody_turns_it_on(self, site, boot_server):
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix)
        assert keys(prefix) == ['dhcp-off']

    def test_a_subnet_that_no_boot_server_covers(self, boot_server):
        prefix = a_prefix()
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        assert keys(prefix) == ['no-server']

    @pytest.mark.parametrize(
        ('fields', 'key'),
        [
            ({'status': 'offline'}, 'offline'),
            ({'last_heartbeat': None}, 'never-heard'),
            ({'last_heartbeat': timezone.now() - timedelta(days=1)}, 'not-heard'),
            ({'services': [{'name': 'dhcp', 'state': 'down'}]}, 'dhcp-service'),
        ],
    )
    def test_a_boot_server_that_cannot(self, site, boot_server, fields, key):
        BootServer.objects.filter(pk=boot_server.pk).update(**fields)
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        assert keys(prefix) == [key]

    def test_one_boot_server_that_can_is_enough(self, site, boot_server):
        BootServer.objects.create(name='boot-2', base_url='http://192.0.2.2:8080').sites.add(site)
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        assert keys(prefix) == []


class TestRuling:
    def test_the_nearest_prefix_above_rules_one_without_a_subnet(self, site, boot_server):
        wide, near, prefix = a_prefix('10.0.0.0/8'), a_prefix('10.0.0.0/16', scope=site), a_prefix(scope=site)
        Subnet.objects.create(prefix=wide, dhcp_enabled=True, domain='far.example.com')
        subnet = Subnet.objects.create(prefix=near)
        ruling = serving.ruling_of(prefix)
        assert not ruling.own
        assert ruling.resolved.row.id == subnet.pk
        assert ruling.resolved.values['dhcp_enabled'] is True

    def test_the_same_network_in_another_vrf_does_not(self, boot_server):
        Subnet.objects.create(prefix=a_prefix('10.0.0.0/8'), dhcp_enabled=True)
        assert serving.ruling_of(a_prefix(vrf=VRF.objects.create(name='blue'))).resolved is None


class TestMachinesOfASubnet:
    def test_they_are_those_with_an_address_inside_it_in_its_vrf(self):
        profile = a_profile()
        inside, outside, elsewhere = (a_machine(name, profile=profile) for name in ('in', 'out', 'vrf'))
        blue = VRF.objects.create(name='blue')
        theirs = ((inside, '10.0.1.9', None), (outside, '10.0.2.9', None), (elsewhere, '10.0.1.9', blue))
        for machine, address, vrf in theirs:
            port = Interface.objects.create(device=machine.device, name='eno1', type='1000base-t')
            IPAddress.objects.create(address=f'{address}/24', assigned_object=port, vrf=vrf)
        subnet = Subnet.objects.create(prefix=a_prefix())
        assert list(MachineFilterSet({'subnet_id': [subnet.pk]}, Machine.objects.all()).qs) == [inside]


class TestPage:
    def viewer(self, *models, **constraints):
        user = User.objects.create_user('viewer')
        for model in models:
            limited = constraints if model is Subnet else None
            permission = ObjectPermission.objects.create(name=str(model), actions=['view'], constraints=limited or None)
            permission.object_types.add(ObjectType.objects.get_for_model(model))
            permission.users.add(user)
        return user

    def test_it_shows_subnet_boot_server_and_where_a_value_comes_from(self, site, boot_server, client):
        upper, prefix = a_prefix('10.0.0.0/16', scope=site), a_prefix(scope=site)
        Subnet.objects.create(prefix=upper, dhcp_enabled=True)
        Subnet.objects.create(prefix=prefix)
        client.force_login(self.viewer(Prefix, Subnet, BootServer))
        page = client.get(prefix.get_absolute_url()).content.decode()
        assert 'Provisioning' in page and boot_server.get_absolute_url() in page
        assert upper.substruct_subnet.get_absolute_url() in page
        assert 'no machine gets an answer' not in page

    def test_it_says_why_nothing_is_served_and_what_to_do(self, site, client):
        prefix = a_prefix(scope=site)
        client.force_login(self.viewer(Prefix, Subnet))
        page = client.get(prefix.get_absolute_url()).content.decode()
        assert 'Neither this prefix nor one above it has a subnet.' in page
        assert 'subnets/add' not in page  # which this user may not

    def test_what_a_user_may_not_view_is_not_named(self, site, boot_server, client):
        upper, prefix = a_prefix('10.0.0.0/16', scope=site), a_prefix(scope=site)
        Subnet.objects.create(prefix=upper, dhcp_enabled=True)
        client.force_login(self.viewer(Prefix, Subnet, prefix__prefix='192.0.2.0/24'))
        page = client.get(prefix.get_absolute_url()).content.decode()
        assert 'One that you may not view' in page
        assert upper.substruct_subnet.get_absolute_url() not in page and boot_server.name not in page

    def test_nothing_is_said_to_who_may_not_view_subnets(self, site, boot_server, client):
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        client.force_login(self.viewer(Prefix))
        assert 'Provisioning</h2>' not in ' '.join(client.get(prefix.get_absolute_url()).content.decode().split())

    def test_the_queries_do_not_grow_with_subnets_and_boot_servers(self, site, boot_server):
        prefix = a_prefix(scope=site)
        Subnet.objects.create(prefix=prefix, dhcp_enabled=True)
        with CaptureQueriesContext(connection) as few:
            serving.ruling_of(prefix)
        for length in range(9, 19):
            Subnet.objects.create(prefix=a_prefix(f'10.0.0.0/{length}'))
            other = BootServer.objects.create(name=f'other-{length}', base_url='http://192.0.2.9:8080')
            other.sites.add(site)
            other.prefixes.add(prefix)
        with CaptureQueriesContext(connection) as many:
            serving.ruling_of(prefix)
        assert len(many) == len(few)
