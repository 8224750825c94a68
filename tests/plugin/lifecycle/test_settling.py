"""What a device gets when its build is complete: what its profile says, where nothing is yet, and never a guess."""

import pytest

from ipam.models import VLAN, IPAddress

from netbox_substruct.lifecycle import builds, settling
from netbox_substruct.lifecycle.machines import register

from .world import a_device, a_profile

pytestmark = pytest.mark.django_db


@pytest.fixture
def device():
    return a_device()


def a_port(device, name='eno1', *addresses, mac=None, **values):
    port = device.interfaces.create(name=name, **{'type': '1000base-t', **values})
    for text in addresses:
        IPAddress.objects.create(address=text, assigned_object=port)
    if mac:
        from dcim.models import MACAddress

        MACAddress.objects.create(mac_address=mac, assigned_object=port)
    return port


def built(device, boot_mac=None, **profile):
    machine = register(device, profile=a_profile(**profile))
    if boot_mac:
        machine.boot_mac = boot_mac
        machine.save()
    build = builds.request(machine)
    builds.record(build, 'finished')
    assert build.state == 'complete'
    device.refresh_from_db()
    return build


def primary(device):
    return [str(found.address) if found else None for found in (device.primary_ip4, device.primary_ip6)]


def test_the_address_of_the_boot_interface_becomes_the_primary_one(device):
    a_port(device, 'eno1', '10.9.9.9/24', mac='02:00:00:00:00:01')
    a_port(device, 'eno2', '10.0.0.5/24', '2001:db8::5/64', mac='02:00:00:00:00:02')
    built(device, boot_mac='02:00:00:00:00:02')
    assert primary(device) == ['10.0.0.5/24', '2001:db8::5/64']


def test_a_primary_address_that_is_there_stays(device):
    a_port(device, 'eno1', '10.0.0.5/24', mac='02:00:00:00:00:01')
    other = a_port(device, 'eno2', '10.9.9.9/24')
    device.primary_ip4 = other.ip_addresses.get()
    device.save()
    built(device)
    assert primary(device)[0] == '10.9.9.9/24'


def test_of_two_addresses_none_is_guessed(device):
    a_port(device, 'eno1', '10.0.0.5/24', '10.0.0.6/24', mac='02:00:00:00:00:01')
    built(device)
    assert primary(device) == [None, None]


def test_a_shared_or_second_address_is_no_primary_one(device):
    port = a_port(device, 'eno1', '10.0.0.5/24', '10.0.0.6/24', '10.0.0.7/24', mac='02:00:00:00:00:01')
    for text, role in (('10.0.0.6/24', 'vip'), ('10.0.0.7/24', 'secondary')):
        port.ip_addresses.filter(address=text).update(role=role)
    built(device)
    assert primary(device)[0] == '10.0.0.5/24'


def test_a_port_in_a_bond_has_the_address_of_the_bond_or_of_a_vlan_on_it(device):
    bond = a_port(device, 'bond0', type='lag')
    a_port(device, 'eno1', mac='02:00:00:00:00:01', lag=bond)
    vlan = VLAN.objects.create(vid=100, name='servers')
    a_port(device, 'bond0.100', '10.0.0.5/24', type='virtual', parent=bond, untagged_vlan=vlan, mode='access')
    built(device)
    assert primary(device)[0] == '10.0.0.5/24'


def test_a_profile_may_say_that_it_stays_as_it_is(device):
    a_port(device, 'eno1', '10.0.0.5/24', mac='02:00:00:00:00:01')
    built(device, built_address='keep')
    assert primary(device) == [None, None]


def test_dns_names_are_given_only_where_the_profile_says_so_and_only_where_there_is_none(device):
    device.name = 'srv-1.example.com'
    device.save()
    a_port(device, 'eno1', '10.0.0.5/24', '2001:db8::5/64', mac='02:00:00:00:00:01')
    IPAddress.objects.filter(address='2001:db8::5/64').update(dns_name='other.example.com')
    built(device, built_dns_name='fqdn')
    assert [found.dns_name for found in (device.primary_ip4, device.primary_ip6)] == [
        'srv-1.example.com', 'other.example.com'
    ]  # fmt: skip


def test_without_a_word_in_the_profile_no_dns_name_is_given(device):
    device.name = 'srv-1.example.com'
    device.save()
    a_port(device, 'eno1', '10.0.0.5/24', mac='02:00:00:00:00:01')
    built(device)
    assert device.primary_ip4.dns_name == ''


def test_what_netbox_refuses_stands_in_the_timeline_and_the_build_is_complete(device, monkeypatch):
    from django.core.exceptions import ValidationError

    def refused(*args):
        raise ValidationError('No addresses on Sundays.')

    monkeypatch.setattr(settling, '_primary_addresses', refused)
    build = built(device, built_status='active')
    assert device.status == 'active', 'the rest is done'
    note = build.events.get(kind='note')
    assert note.message.endswith('was done in NetBox: No addresses on Sundays.')


def test_the_rules_of_netbox_hold_as_if_somebody_had_entered_it(device, settings):
    settings.CUSTOM_VALIDATORS = {'dcim.device': [{'primary_ip4': {'required': True}}]}
    a_port(device, 'eno1', '10.0.0.5/24', mac='02:00:00:00:00:01')
    build = built(device, built_status='active')
    assert (device.status, primary(device)[0]) == ('active', '10.0.0.5/24'), 'the address comes before the status'
    assert not build.events.filter(kind='note').exists()


def test_a_device_that_breaks_a_rule_keeps_its_status_and_the_timeline_says_why(device, settings):
    settings.CUSTOM_VALIDATORS = {'dcim.device': [{'serial': {'required': True}}]}
    build = built(device, built_status='active')
    assert device.status == 'planned'
    assert 'serial' in build.events.get(kind='note').message.lower()


def test_what_another_plugin_refuses_does_not_lose_the_end_of_the_build(device):
    from django.db.models.signals import pre_save

    from dcim.models import Device
    from utilities.exceptions import AbortRequest

    def refuse(instance, **kwargs):
        if instance.status == 'active':
            raise AbortRequest('The change window is closed.')

    pre_save.connect(refuse, sender=Device)
    try:
        build = built(device, built_status='active')
    finally:
        pre_save.disconnect(refuse, sender=Device)
    assert (device.status, device.substruct_machine.state) == ('planned', 'built')
    assert build.events.get(kind='note').message.endswith('was done in NetBox: The change window is closed.')


def test_a_status_that_virtual_machines_do_not_have_is_not_written():
    from virtualization.models import Cluster, ClusterType, VirtualMachine

    cluster = Cluster.objects.create(name='c', type=ClusterType.objects.create(name='t', slug='t'))
    virtual = VirtualMachine.objects.create(name='vm-1', cluster=cluster, status='planned')
    build = built(virtual, built_status='inventory')
    assert virtual.status == 'planned'
    assert 'inventory' in build.events.get(kind='note').message


def test_a_virtual_machine_gets_the_same():
    from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

    cluster = Cluster.objects.create(name='c', type=ClusterType.objects.create(name='t', slug='t'))
    virtual = VirtualMachine.objects.create(name='vm-1', cluster=cluster, status='planned')
    port = VMInterface.objects.create(virtual_machine=virtual, name='eth0')
    from dcim.models import MACAddress

    MACAddress.objects.create(mac_address='02:00:00:00:00:01', assigned_object=port)
    IPAddress.objects.create(address='10.0.0.5/24', assigned_object=port)
    built(virtual)
    assert str(virtual.primary_ip4.address) == '10.0.0.5/24'
