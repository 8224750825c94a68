"""Lists take the same number of queries whatever the number of their rows."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dcim.models import Device
from utilities.testing import TestCase

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import BMC, BootServer, FactSet, Machine, Task

from .world import a_world


class Growth(TestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.user.is_superuser = True
        self.user.save()
        self.world = a_world()
        self.server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        self.fill(self.world.register())

    def fill(self, machines):
        """Something of everything for each machine."""
        for machine in machines:
            build = builds.request(machine, user=self.user)
            FactSet.objects.create(machine=machine, source='salt', data={'a': 1})
            BMC.objects.create(machine=machine, credential='ops')
            Task.objects.create(boot_server=self.server, kind='power', machine=machine, build=build)

    def grow(self):
        first = self.world.devices[0]
        devices = [
            Device.objects.create(
                name=f'more-{n}', site=first.site, device_type=first.device_type, role=first.role, status='planned'
            )
            for n in range(7)
        ]
        self.fill([Machine.objects.create(device=device, profile=self.world.profile) for device in devices])

    def count(self, url):
        self.client.get(url)  # whatever is only read once
        with CaptureQueriesContext(connection) as queries:
            self.assertEqual(self.client.get(url).status_code, 200)
        return len(queries)

    def test_pages_and_api_read_lists_with_a_fixed_number_of_queries(self):
        models = ('machine', 'build', 'buildartifact', 'buildevent', 'factset', 'bmc', 'task')
        urls = [
            *(reverse(f'plugins:netbox_substruct:{model}_list') for model in models),
            *(reverse(f'plugins-api:netbox_substruct-api:{model}-list') for model in models),
            *(reverse(f'plugins-api:netbox_substruct-api:{model}-list') + '?brief=1' for model in models),
            reverse('plugins:netbox_substruct:machine_list') + '?export=table',
        ]
        before = {url: self.count(url) for url in urls}
        self.grow()
        self.assertEqual({url: self.count(url) for url in urls}, before)
