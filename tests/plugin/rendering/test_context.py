"""What templates see of a machine, and that it costs the same to read for every machine."""

import json
import uuid
from pathlib import Path

import pytest
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from dcim.models import Interface, MACAddress
from ipam.models import VLAN, VRF, IPAddress, Prefix
from utilities.testing import create_test_device, create_test_virtualmachine
from virtualization.models import VMInterface

from netbox_substruct import context
from netbox_substruct.context.naming import file_name, file_path, names_of
from netbox_substruct.models import BootImage, Machine, Profile, Subnet

DOCS = Path(__file__).parents[3] / 'docs'


@pytest.mark.parametrize(
    ('name', 'dns_names', 'domains', 'expected'),
    [
        ('web01', [], [], ('web01', 'web01', '')),
        ('web01', [], ['', 'dc1.example.com'], ('web01', 'web01.dc1.example.com', 'dc1.example.com')),
        ('web01', ['other.example.org', 'WEB01.example.org.'], ['x'], ('web01', 'web01.example.org', 'example.org')),
        ('Web01.Example.com', ['web01.other.org'], ['x'], ('web01', 'web01.example.com', 'example.com')),
        ('Web Server #1', [], ['x.org'], ('web-server-1', 'web-server-1.x.org', 'x.org')),
        ('Router v1.2 (old)', [], [], ('router-v1-2-old', 'router-v1-2-old', '')),
        ('日本', [], [], ('machine-7', 'machine-7', '')),
        ("x'; reboot #", [], [], ('x-reboot', 'x-reboot', '')),
        ('a' * 80, [], [], ('a' * 63, 'a' * 63, '')),
    ],
)
def test_host_names(name, dns_names, domains, expected):
    assert names_of(name, dns_names, domains, 'machine-7') == expected


def test_boot_files_are_served_by_content_or_by_their_source():
    assert file_path('http://x/linux', 'ab' * 32) == 'files/' + 'ab' * 32
    assert file_path('http://x/linux', '').startswith('files/url-')
    assert file_path('http://x/linux', None) != file_path('http://x/initrd', None)
    assert file_name('http://x/a/initrd.gz?x=1') == 'initrd.gz'
    assert file_name('http://x/a%20b$(c)') == 'a_b_c_'
    assert file_name('http://x/') == 'file'


def test_the_documented_schema_is_the_one_of_the_code():
    documented = json.loads((DOCS / 'context-schema.json').read_text())
    assert documented == context.json_schema(), 'make it anew: netbox substruct_context_schema'


def test_every_name_of_the_schema_stands_in_the_manual():
    manual = (DOCS / 'rendering.md').read_text()
    for definition in context.json_schema()['$defs'].values():
        for name in definition.get('properties', ()):
            assert f'`{name}`' in manual, name


class ContextTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.image = BootImage.objects.create(
            name='Debian', kernel_url='http://m/linux', kernel_sha256='ab' * 32, initrds=[{'source': 'http://m/initrd.gz'}],
            arguments='auto=true',
        )  # fmt: skip
        cls.base = Profile.objects.create(
            name='Base', slug='base', boot_image=cls.image, disk_layout={'disk': '/dev/sda', 'scheme': 'lvm'},
            handoff='salt',
        )  # fmt: skip
        cls.profile = Profile.objects.create(name='Web', slug='web', parent=cls.base, disk_layout={'scheme': 'regular'})
        for prefix, values in {
            '10.0.0.0/8': {'domain': 'example.com', 'name_servers': ['10.0.0.53'], 'gateway': '10.0.0.1'},
            '10.1.2.0/24': {'gateway': '10.1.2.1', 'ntp_servers': ['10.0.0.123']},
        }.items():
            Subnet.objects.create(prefix=Prefix.objects.create(prefix=prefix), **values)
        # The same addresses mean something else in another VRF.
        vrf = VRF.objects.create(name='other')
        Subnet.objects.create(prefix=Prefix.objects.create(prefix='10.1.2.0/24', vrf=vrf), gateway='10.1.2.99')
        cls.device = create_test_device('web01')
        cls.device.custom_field_data = {}
        cls.device.save()
        vlans = [VLAN.objects.create(vid=vid, name=f'v{vid}') for vid in (20, 10)]
        bond = Interface.objects.create(device=cls.device, name='bond0', type='lag', mode='tagged')
        bond.untagged_vlan = vlans[0]
        bond.save()
        bond.tagged_vlans.set(vlans)
        for number in (1, 2):
            cls.add_interface(cls.device, f'eno{number}', f'52:54:00:00:00:0{number}', lag=bond)
        address = IPAddress.objects.create(address='10.1.2.5/24', assigned_object=bond)
        IPAddress.objects.create(address='2001:db8::5/64', assigned_object=bond)
        cls.device.primary_ip4 = address
        cls.device.save()
        cls.machine = Machine.objects.create(
            device=cls.device, profile=cls.profile, uuid=uuid.UUID(int=5), firmware='bios', boot_mac='52:54:00:00:00:02'
        )

    @staticmethod
    def add_interface(device, name, mac, **values):
        interface = Interface.objects.create(device=device, name=name, type='1000base-t', **values)
        interface.primary_mac_address = MACAddress.objects.create(mac_address=mac, assigned_object=interface)
        interface.save()
        return interface

    def plain(self, machine=None, profile=None, **values):
        return context.to_plain(context.assemble(machine or self.machine, profile or self.profile, **values))

    def test_the_machine(self):
        machine = self.plain()['machine']
        self.assertEqual(machine['name'], 'web01')
        self.assertEqual(machine['kind'], 'device')
        self.assertEqual(machine['fqdn'], 'web01.example.com')
        self.assertEqual(machine['uuid'], str(uuid.UUID(int=5)))
        self.assertEqual(machine['local_boot'], 'sanboot')
        self.assertEqual(machine['boot_mac'], '52:54:00:00:00:02')
        self.assertEqual(machine['site']['slug'], self.device.site.slug)
        self.assertEqual(machine['device_type']['model'], self.device.device_type.model)

    def test_interfaces_with_bond_vlans_and_what_their_subnets_say(self):
        found = {interface['name']: interface for interface in self.plain()['interfaces']}
        bond = found['bond0']
        self.assertEqual(bond['members'], ['eno1', 'eno2'])
        self.assertEqual((found['eno1']['lag'], found['eno1']['mac']), ('bond0', '52:54:00:00:00:01'))
        self.assertEqual(bond['untagged_vlan'], {'vid': 20, 'name': 'v20'})
        self.assertEqual([vlan['vid'] for vlan in bond['tagged_vlans']], [10, 20])
        four, six = sorted(bond['addresses'], key=lambda address: address['family'])
        self.assertEqual(
            (four['address'], four['ip'], four['network'], four['netmask'], four['primary']),
            ('10.1.2.5/24', '10.1.2.5', '10.1.2.0/24', '255.255.255.0', True),
        )
        self.assertEqual((four['gateway'], four['name_servers'], four['ntp_servers'], four['domain']),
                         ('10.1.2.1', ['10.0.0.53'], ['10.0.0.123'], 'example.com'))  # fmt: skip
        self.assertEqual((six['gateway'], six['primary'], six['broadcast']), ('', False, ''))

    def test_the_network_is_that_of_the_boot_port_and_the_primary_address(self):
        network = self.plain()['network']
        self.assertEqual((network['interface'], network['gateway'], network['ip6']), ('eno2', '10.1.2.1', None))
        self.machine.boot_mac = None
        self.assertEqual(self.plain()['network']['interface'], 'bond0')

    def test_profile_and_boot_image_come_from_the_chain(self):
        found = self.plain(build_id=9)
        self.assertEqual(found['profile']['chain'], ['Web', 'Base'])
        self.assertEqual(found['profile']['disk_layout'], {'disk': '/dev/sda', 'scheme': 'regular'})
        self.assertEqual(found['profile']['handoff'], 'salt')
        self.assertEqual(
            found['boot_image']['kernel'], {'name': 'linux', 'path': f'files/{"ab" * 32}', 'sha256': 'ab' * 32}
        )
        self.assertEqual(found['boot_image']['initrds'][0]['name'], 'initrd.gz')
        self.assertEqual(found['build'], {'id': 9})
        self.assertIsNone(self.plain()['build'])

    def test_it_is_frozen_and_plain(self):
        frozen = context.assemble(self.machine, self.profile)
        with self.assertRaises(AttributeError):
            frozen.machine.name = 'x'
        self.assertEqual(json.loads(json.dumps(context.to_plain(frozen))), context.to_plain(frozen))
        self.assertEqual(frozen.schema_version, context.SCHEMA_VERSION)

    def test_it_has_nothing_of_other_machines(self):
        other = create_test_device('secret-neighbour')
        self.add_interface(other, 'eno9', '52:54:00:99:99:99')
        Machine.objects.create(device=other, profile=self.profile, parameters={'key': 'hidden-value'})
        written = json.dumps(self.plain())
        for word in ('secret-neighbour', '52:54:00:99:99:99', 'hidden-value'):
            self.assertNotIn(word, written)

    def test_virtual_and_discovered_machines(self):
        virtual = create_test_virtualmachine('vm01')
        VMInterface.objects.create(virtual_machine=virtual, name='eth0')
        found = self.plain(Machine.objects.create(virtual_machine=virtual))
        self.assertEqual((found['machine']['kind'], found['interfaces'][0]['type']), ('virtual-machine', 'virtual'))
        found = self.plain(Machine.objects.create(discovered_name='new one', boot_mac='52:54:00:00:00:09'))
        self.assertEqual((found['machine']['kind'], found['machine']['hostname']), ('discovered', 'new-one'))
        self.assertEqual((found['interfaces'], found['machine']['site']), ([], None))

    def test_the_number_of_queries_does_not_depend_on_how_much_a_machine_has(self):
        def count():
            machine = Machine.objects.get(pk=self.machine.pk)
            with CaptureQueriesContext(
                connection,
            ) as queries:
                context.assemble(machine, machine.profile)
            return len(queries)

        count()  # content types are cached from here on
        before = count()
        for number in range(10, 30):
            interface = self.add_interface(self.device, f'x{number}', f'52:54:00:00:00:{number}')
            IPAddress.objects.create(address=f'10.1.2.{number}/24', assigned_object=interface)
            interface.tagged_vlans.set(VLAN.objects.all())
        self.assertEqual(count(), before)
        self.assertLess(before, 30)
