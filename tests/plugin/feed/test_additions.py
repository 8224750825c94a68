"""Scripts that belong to no build, and what DHCP may know a client by."""

from unittest import mock

import pytest
from django.core.management import call_command
from django.test import TestCase

from dcim.models import Interface
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_substruct.bundles import markers
from netbox_substruct.choices import ArchitectureChoices
from netbox_substruct.feed import scripts
from netbox_substruct.feed.cursor import CursorError
from netbox_substruct.models import Machine

from .world import Follower, a_world


class TestScripts:
    def test_there_is_one_for_each_way_to_the_disk_and_for_each_architecture(self):
        found = {(script.name, script.variant) for script in scripts.standard()}
        assert {('local', variant) for variant in ('', 'sanboot', 'exit', 'grub', 'no-offer')} <= found
        for name in ('discover', 'rescue', 'wipe'):
            assert {(name, architecture) for architecture in ArchitectureChoices.values()} <= found
        assert len(found) == len(scripts.standard())

    def test_their_ids_are_their_own_and_never_change(self):
        ids = [script.id for script in scripts.standard()]
        assert len(set(ids)) == len(ids) and max(ids) < 2**53
        assert scripts.identifier('local', 'sanboot') == 66369865509276

    def test_they_hold_the_marker_of_the_base_url_and_no_other(self):
        for script in scripts.standard():
            assert script.content.startswith('#!ipxe\n')
            expected = [] if script.name == 'local' else [markers.BASE_URL]
            assert markers.found(script.content) == expected, script.name

    def test_each_loads_the_prospector_of_its_architecture(self):
        for script in scripts.standard():
            if script.name != 'local':
                assert f'/prospector/{script.variant}/vmlinuz' in script.content

    def test_the_way_to_the_disk_is_the_one_that_was_asked_for(self):
        content = {script.variant: script.content for script in scripts.standard() if script.name == 'local'}
        assert 'sanboot' in content['sanboot'] and 'efi' not in content['sanboot']
        assert 'sanboot' not in content['exit'] and 'sanboot' in content['']


@pytest.fixture
def world(committed):
    return a_world()


@pytest.fixture
def follower(world):
    follower = Follower(world.berlin)
    follower.follow()
    return follower


def test_an_upgrade_of_the_plugin_is_a_new_beginning(follower):
    with mock.patch.object(scripts, 'digest', lambda: 'of the next version'):
        with pytest.raises(CursorError) as refused:
            follower.follow()
        assert refused.value.code == 'epoch'


@pytest.mark.parametrize('name', ['dhcp_client_id', 'dhcp_duid', 'dhcp_circuit_id'])
def test_what_a_client_is_known_by_is_told_and_followed(world, follower, name):
    machine = world.machine(0)
    interface = world.interface(0)
    interface.custom_field_data[name] = ' 00:03:00:01 '
    interface.save()
    assert follower.follow() == [('machine', machine.pk)]
    (line,) = (i for i in follower.state['machine', machine.pk].interfaces if i.id == interface.pk)
    assert getattr(line, name) == '00:03:00:01'
    Interface.objects.filter(pk=interface.pk).update(custom_field_data={name: ''})
    follower.follow()
    (line,) = (i for i in follower.state['machine', machine.pk].interfaces if i.id == interface.pk)
    assert getattr(line, name) is None
    assert follower.agrees_with_a_snapshot()


def test_other_custom_fields_of_interfaces_leave_no_trace(world, follower):
    Interface.objects.update(custom_field_data={'colour': 'blue', 'dhcp_duid': None})
    assert follower.follow() == []


def test_virtual_machines_have_it_too(world):
    cluster = Cluster.objects.create(name='KVM', type=ClusterType.objects.create(name='KVM', slug='kvm'))
    virtual = VirtualMachine.objects.create(name='vm', cluster=cluster, site=world.site)
    machine = Machine.objects.create(virtual_machine=virtual, boot_server=world.berlin)
    interface = VMInterface.objects.create(virtual_machine=virtual, name='eth0')
    follower = Follower(world.berlin)
    follower.follow()
    interface.custom_field_data['dhcp_circuit_id'] = 'eth1/0/3:100'
    interface.save()
    assert follower.follow() == [('machine', machine.pk)]
    assert follower.state['machine', machine.pk].interfaces[0].dhcp_circuit_id == 'eth1/0/3:100'


class CustomFields(TestCase):
    def test_they_are_made_once_and_hold_values_to_their_form(self):
        from django.core.exceptions import ValidationError

        from extras.models import CustomField

        for _ in range(2):
            call_command('substruct_custom_fields', stdout=mock.Mock())
        self.assertEqual(CustomField.objects.count(), 3)
        duid = CustomField.objects.get(name='dhcp_duid')
        self.assertEqual(duid.object_types.count(), 2)
        duid.validate('00:03:00:01:52:54:00:12:34:56')
        duid.validate('00030001525400123456')
        with self.assertRaises(ValidationError):
            duid.validate('not hexadecimal')
