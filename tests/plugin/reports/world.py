"""A boot server, its sidecar's account, and two machines: one that it serves and one that it does not."""

import json
import time

from netaddr import IPNetwork

from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Site
from ipam.models import IPAddress, Prefix
from utilities.testing import APITestCase

from netbox_substruct.models import BootServer, Build, Machine, Subnet

DISCOVERED_UUID = '4c4c4544-0043-4b10-8052-b4c04f4d3232'


def reporter(*actions):
    """A test case in which a sidecar speaks for the boot server `boot-ber` with these permissions on boot servers."""

    class Reporter(APITestCase):
        user_permissions = tuple(f'netbox_substruct.{action}_bootserver' for action in actions or ('feed',))

        @classmethod
        def setUpTestData(cls):
            cls.boot_server = BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2')
            cls.other = BootServer.objects.create(name='boot-osl', base_url='http://10.2.0.2')
            cls.machine = machine('web-1', '10.1.0.11/24', '52:54:00:00:00:01', serial='SN-1', server=cls.boot_server)
            cls.foreign = machine('web-2', '10.2.0.11/24', '52:54:00:00:00:02', serial='SN-2', server=cls.other)

        def post(self, path, body, boot_server=None):
            """The answer's status and body."""
            response = self.client.post(
                f'/api/plugins/substruct/boot-servers/{(boot_server or self.boot_server).pk}/{path}/',
                data=body if isinstance(body, bytes) else json.dumps(body),
                content_type='application/json',
                **self.header,
            )
            return response.status_code, json.loads(response.content)

        def deliver(self, *messages):
            status, answer = self.post('deliver', {'messages': list(messages)})
            self.assertEqual(status, 200, answer)
            return [(result['status'], result.get('code', '')) for result in answer['results']]

        def a_build(self, of=None):
            machine = of or self.machine
            Machine.objects.filter(pk=machine.pk).update(state='building')
            return Build.objects.create(machine=machine)

    return Reporter


def machine(name, address, mac, *, serial, server):
    """A registered device with one port, in a subnet of the boot server."""
    site, _ = Site.objects.get_or_create(name='Berlin', slug='ber')
    kind, _ = DeviceType.objects.get_or_create(
        manufacturer=Manufacturer.objects.get_or_create(name='Acme', slug='acme')[0], model='S1', slug='s1'
    )
    role, _ = DeviceRole.objects.get_or_create(name='Server', slug='server')
    device = Device.objects.create(name=name, site=site, device_type=kind, role=role, serial=serial)
    port = Interface.objects.create(device=device, name='eth0', type='1000base-t')
    MACAddress.objects.create(mac_address=mac, assigned_object=port)
    IPAddress.objects.create(address=IPNetwork(address), assigned_object=port)
    prefix = Prefix.objects.create(prefix=IPNetwork(address).cidr)
    Subnet.objects.create(prefix=prefix, boot_server=server)
    return Machine.objects.create(device=device)


def event(build, kind='progress', **fields):
    key = fields.pop('key', f'build/{build.pk}/{kind}')
    return {'type': 'event', 'key': key, 'time': time.time(), 'build': build.pk, 'kind': kind, **fields}


def facts(key='facts/1', *, uuid=None, serial=None, macs=(), **fields):
    return {
        'type': 'facts', 'key': key, 'time': time.time(), 'data': {'memory': {'bytes': 1}},
        'identity': {'uuid': uuid, 'serial': serial, 'macs': list(macs)}, **fields,
    }  # fmt: skip
