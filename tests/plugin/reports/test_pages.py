"""What boot servers report, on the pages of boot servers and of what they serve."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from utilities.testing import TestCase

from netbox_substruct.models import BootImage, BootServer, Zone

from .world import machine


class Pages(TestCase):
    user_permissions = ('netbox_substruct.view_bootserver',)

    @classmethod
    def setUpTestData(cls):
        cls.boot_server = BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2')
        cls.machine = machine('web-1', '10.1.0.11/24', '52:54:00:00:00:01', serial='SN-1', server=cls.boot_server)
        cls.subnet = cls.boot_server.subnets.get()
        cls.zone = Zone.objects.create(name='example.com', boot_server=cls.boot_server)
        cls.image = BootImage.objects.create(
            name='Debian', kernel_url='http://deb/linux', initrds=[{'source': 'http://deb/initrd'}]
        )
        problems = [
            {'service': 'dhcp', 'what': what, 'id': obj.pk, 'name': f'the {what}', 'message': f'{what} is <wrong>',
             'remedy': f'mend the {what}', 'severity': 'error'}
            for what, obj in (('machine', cls.machine), ('subnet', cls.subnet), ('zone', cls.zone),
                              ('boot-image', cls.image))
        ]  # fmt: skip
        cls.service = {
            'name': 'dhcp', 'backend': 'kea', 'state': 'degraded', 'message': 'a message', 'existing': 12345,
            'planned': {'add': 17, 'change': 0, 'remove': 4}, 'last_apply': timezone.now().isoformat(),
            'cannot': ['It cannot fly.'],
        }  # fmt: skip
        BootServer.objects.update(
            last_heartbeat=timezone.now(), out_of_step=problems, services=[cls.service],
            files=[{'source': 'http://deb/linux', 'state': 'fetching', 'bytes': 1, 'total': 4, 'error': '',
                    'time': timezone.now().isoformat()}],
            instances=[{'instance': name, 'version': '1', 'last_heard': timezone.now().isoformat()} for name in 'ab'],
        )  # fmt: skip

    def page(self, obj):
        return self.client.get(obj.get_absolute_url()).content.decode()

    def test_services_say_how_they_are_and_what_they_are_about_to_do(self):
        page = self.page(self.boot_server)
        for words in ('DHCP', 'kea', 'Degraded', 'a message', '12345', '+17', '−4', 'It cannot fly.'):
            self.assertIn(words, page)

    def test_problems_are_told_to_those_who_may_view_what_they_are_about_and_lead_there(self):
        page = self.page(self.boot_server)
        self.assertEqual(page.count('It is about something that you may not view.'), 4)
        self.assertNotIn('&lt;wrong&gt;', page)
        self.assertNotIn('the machine', page)
        self.add_permissions('netbox_substruct.view_machine', 'netbox_substruct.view_zone')
        page = self.page(self.boot_server)
        self.assertIn('machine is &lt;wrong&gt;', page)
        self.assertIn('mend the machine', page)
        self.assertIn(self.machine.get_absolute_url(), page)
        self.assertIn(self.zone.get_absolute_url(), page)
        self.assertEqual(page.count('It is about something that you may not view.'), 2)

    def test_problems_of_what_has_gone_are_told_to_those_who_may_view_all_of_its_kind(self):
        problem = {'service': 'dhcp', 'what': 'machine', 'id': 987654, 'name': 'gone', 'message': 'has gone'}
        BootServer.objects.update(out_of_step=[problem])
        self.assertNotIn('has gone', self.page(self.boot_server))
        self.add_permissions('netbox_substruct.view_machine')
        self.assertIn('has gone', self.page(self.boot_server))

    def test_what_would_change_is_shown_line_by_line_to_those_who_may_change_the_boot_server(self):
        lines = ['- 52:54:00:00:00:09  [web-9]', '    - 10.1.0.19 <script>', '… and 20 more']
        BootServer.objects.update(services=[{**self.service, 'difference': lines}])
        url = f'/api/plugins/substruct/boot-servers/{self.boot_server.pk}/'
        self.assertNotIn('What Would Change', self.page(self.boot_server))
        self.assertNotIn('web-9', self.client.get(url).content.decode())
        self.add_permissions('netbox_substruct.change_bootserver')
        page = self.page(self.boot_server)
        self.assertIn('What Would Change', page)
        self.assertIn('- 52:54:00:00:00:09  [web-9]', page)
        self.assertIn('10.1.0.19 &lt;script&gt;', page)
        self.assertEqual(self.client.get(url).json()['services'][0]['difference'], lines)

    def test_where_nothing_waits_nothing_is_said_of_changes(self):
        self.add_permissions('netbox_substruct.change_bootserver')
        self.assertNotIn('What Would Change', self.page(self.boot_server))

    def test_two_sidecars_under_one_name_are_a_warning(self):
        self.assertIn('Two sidecars report under this name', self.page(self.boot_server))
        BootServer.objects.update(instances=self.boot_server.instances[:1])
        self.assertNotIn('Two sidecars report under this name', self.page(self.boot_server))

    def test_one_that_is_silent_is_late_and_nobody_says_that_it_is_in_step(self):
        self.assertNotIn('Late', self.page(self.boot_server))
        BootServer.objects.update(last_heartbeat=timezone.now() - timedelta(hours=3), out_of_step=[], services=[])
        page = self.page(self.boot_server)
        self.assertIn('Late', page)
        self.assertIn('Not known', page)
        listed = self.client.get(reverse('plugins:netbox_substruct:bootserver_list')).content.decode()
        self.assertIn('>Late</span>', listed)

    def test_what_is_served_says_what_is_wrong_with_it(self):
        for model, obj, what in (
            ('machine', self.machine, 'machine'), ('subnet', self.subnet, 'subnet'), ('zone', self.zone, 'zone'),
            ('bootimage', self.image, 'boot-image'),
        ):  # fmt: skip
            with self.subTest(model):
                self.add_permissions(f'netbox_substruct.view_{model}')
                page = self.page(obj)
                self.assertIn('Problems Reported by Boot Servers', page)
                self.assertIn(f'{what} is &lt;wrong&gt;', page)
                self.assertIn(self.boot_server.get_absolute_url(), page)
                self.assertEqual(page.count('&lt;wrong&gt;'), 1)

    def test_what_is_well_says_nothing(self):
        BootServer.objects.update(out_of_step=[])
        self.add_permissions('netbox_substruct.view_machine')
        self.assertNotIn('Problems Reported', self.page(self.machine))

    def test_a_boot_image_says_where_its_files_are(self):
        self.add_permissions('netbox_substruct.view_bootimage')
        page = self.page(self.image)
        self.assertIn('25 % of 4', page)
        self.assertIn('fetching', page)

    def test_what_an_older_version_kept_is_shown_too(self):
        BootServer.objects.update(services=[{'name': 'dhcp', 'state': 'running'}], out_of_step=[{'service': 'dhcp'}])
        self.assertIn('running', self.page(self.boot_server))
