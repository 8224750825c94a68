"""Preflight of a machine as NetBox has it, with boot servers that were asked and answered: pages, API, refusals."""

import json
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from netaddr import IPNetwork

from dcim.models import Interface, MACAddress
from ipam.models import IPAddress
from utilities.testing import APITestCase, TestCase

from netbox_substruct import preflight
from netbox_substruct.lifecycle import builds, tasks
from netbox_substruct.lifecycle.errors import NotReady
from netbox_substruct.models import BootImage, BootServer, Build, FactSet, Machine, Profile, Subnet, Task, Zone
from tests.plugin.surface.world import permit

from .world import MAC, URL, Site, step

HEADERS = {'HX-Request': 'true'}


class WhatNetBoxKnows(TestCase):
    def setUp(self):
        super().setUp()
        self.site = Site()

    def test_nothing_is_in_the_way_of_a_machine_that_has_all_it_needs(self):
        found = preflight.look(self.site.machine)
        wrong = [(one.key, one.words) for one in found.steps if one.outcome in ('failure', 'warning')]
        self.assertEqual(wrong, [])
        self.assertEqual(found.blocking, ())

    def test_a_machine_without_a_profile_cannot_be_built(self):
        Machine.objects.update(profile=None)
        self.assertEqual(self.site.outcomes('machine'), ['failure'])
        self.assertTrue(self.site.steps('machine')[0].blocking)

    def test_a_retired_machine_cannot_be_built(self):
        Machine.objects.update(state='retired')
        self.assertIn('is retired and cannot be built', self.site.steps('machine')[0].words)

    def test_an_active_device_is_a_warning(self):
        self.site.machine.device.status = 'active'
        self.site.machine.device.save()
        self.assertEqual(self.site.outcomes('machine'), ['ok', 'warning'])

    def test_boot_servers_are_missing_away_or_unwell(self):
        for fields, outcome in (
            ({}, 'ok'),
            ({'last_heartbeat': timezone.now() - timedelta(minutes=5)}, 'warning'),
            ({'last_heartbeat': None}, 'warning'),
            ({'status': 'offline', 'last_heartbeat': timezone.now()}, 'warning'),
            ({'status': 'active', 'services': [{'name': 'dhcp', 'state': 'down', 'message': '{it} ended'}]}, 'warning'),
        ):
            with self.subTest(fields=fields):
                BootServer.objects.filter(pk=self.site.server.pk).update(**fields)
                self.assertEqual(self.site.outcomes('boot-server'), [outcome])
        self.site.server.delete()
        self.assertEqual(self.site.outcomes('boot-server'), ['failure'])

    def test_what_a_boot_server_reports_of_the_machine_stands_where_it_belongs(self):
        problem = {'service': 'dhcp', 'what': 'machine', 'id': self.site.machine.pk, 'message': 'No.', 'remedy': 'Do.'}
        BootServer.objects.update(out_of_step=[problem, {**problem, 'id': self.site.second.pk}])
        self.assertEqual(self.site.outcomes('dhcp'), ['failure', 'ok'])

    def test_a_mac_address_of_two_machines_is_a_failure_unless_one_is_switched_off(self):
        other = self.site.wire(self.site.second, MAC, '10.1.0.12/24')
        self.assertIn('belongs to a-2 too', self.site.steps('address')[0].words)
        other.enabled = False
        other.save()
        self.assertEqual(self.site.outcomes('address'), ['ok'])

    def test_a_machine_without_a_mac_address_is_known_by_its_serial_number_or_not_at_all(self):
        MACAddress.objects.all().delete()
        self.assertEqual(self.site.outcomes('address'), ['failure'])
        Machine.objects.update(serial='SN-1')
        self.assertEqual(self.site.outcomes('address'), ['warning'])

    def test_a_boot_port_that_is_none_of_its_own_is_a_warning(self):
        Machine.objects.filter(pk=self.site.machine.pk).update(boot_mac='52:54:00:00:00:99')
        self.assertEqual(self.site.outcomes('address'), ['warning', 'ok'])

    def test_an_address_must_be_there_and_in_a_subnet(self):
        self.site.subnet.delete()
        self.assertEqual(self.site.outcomes('address'), ['warning'])
        IPAddress.objects.all().delete()
        self.assertIn('has no address', self.site.steps('address')[0].words)

    def test_dhcp_off_and_no_gateway_are_warnings(self):
        self.assertEqual(self.site.outcomes('dhcp'), ['ok'])
        Subnet.objects.update(gateway=None)
        self.assertEqual(self.site.outcomes('dhcp'), ['warning'])
        Subnet.objects.update(dhcp_enabled=False)
        self.assertIn('DHCP is off', self.site.steps('dhcp')[0].words)

    def test_boot_files_are_there_on_their_way_or_wrong(self):
        self.assertEqual(self.site.outcomes('files'), ['ok'])
        for state, error, outcome, blocking in (
            ('fetching', '', 'warning', False),
            ('failed', 'timed out', 'failure', False),
            ('failed', f'{URL}: has SHA-256 bb, but NetBox says aa.', 'failure', True),
        ):
            self.site.report(state, error)
            found = self.site.steps('files')
            self.assertEqual([(one.outcome, one.blocking) for one in found], [(outcome, blocking)])
        BootServer.objects.update(files=[])
        self.assertEqual(self.site.outcomes('files'), ['unknown'])

    def test_what_does_not_render_blocks_with_the_template_and_its_line(self):
        self.world_template('#!ipxe\n{{ parameters.nowhere }}\n')
        found = self.site.steps('configuration')
        self.assertEqual([(one.outcome, one.blocking) for one in found], [('failure', True)])
        self.assertIn('nowhere', found[0].words)

    def world_template(self, text):
        self.site.world.template.template_code = text
        self.site.world.template.save()

    def test_its_name_is_in_a_zone_or_somebody_elses(self):
        IPAddress.objects.update(dns_name='a-1.example.com')
        self.assertEqual(self.site.outcomes('dns'), ['unknown'])
        Zone.objects.create(name='example.com', boot_server=self.site.server)
        self.assertEqual(self.site.outcomes('dns'), ['ok'])

    def test_a_bmc_is_there_with_an_address_or_not(self):
        from netbox_substruct.models import BMC

        self.assertEqual(self.site.outcomes('bmc'), ['unknown'])
        bmc = BMC.objects.create(machine=self.site.machine, credential='ops')
        self.assertEqual(self.site.outcomes('bmc'), ['warning'])
        bmc.address = '10.9.0.1'
        bmc.save()
        self.assertEqual(self.site.outcomes('bmc'), ['ok'])

    def test_the_disk_layout_is_held_against_the_disks_that_were_found(self):
        disks = [{'name': 'sda', 'path': '/dev/sda', 'size_bytes': 10**10}]
        for layout, found, outcome in (
            ({'disk': '/dev/sda'}, disks, 'ok'),
            ({'disk': '/dev/nvme0n1'}, disks, 'failure'),
            ({'disk': 'only'}, disks, 'ok'),
            ({'disk': 'only'}, [*disks, {'name': 'sdb', 'path': '/dev/sdb'}], 'failure'),
            ({'disk': 'smallest'}, disks, 'ok'),
            ({'disk': 'smallest'}, [*disks, {'name': 'sdb', 'path': '/dev/sdb', 'size_bytes': 10**10}], 'failure'),
            ({'disk': {'transport': 'nvme'}}, disks, 'failure'),
            ({}, disks, 'unknown'),
        ):
            with self.subTest(layout=layout, disks=len(found)):
                self.site.world.profile.disk_layout = layout
                self.site.world.profile.save()
                self.facts(disks=found)
                self.assertEqual(self.site.outcomes('disks'), [outcome])

    def test_a_failing_disk_is_a_warning(self):
        self.facts(disks=[{'path': '/dev/sda', 'health': {'passed': False}}])
        self.assertEqual(self.site.outcomes('disks'), ['warning', 'unknown'])

    def facts(self, **data):
        FactSet.objects.all().delete()
        FactSet.objects.create(machine=self.site.machine, source='prospector', data=data)

    def test_cables_are_held_against_the_neighbours_that_were_heard(self):
        from dcim.models import Cable, Device

        first = self.site.world.devices[0]
        switch = Device.objects.create(name='sw-1', site=first.site, device_type=first.device_type, role=first.role)
        port = Interface.objects.create(device=switch, name='Ethernet1', type='1000base-t')
        self.assertEqual(self.site.outcomes('cabling'), ['unknown'])
        heard = {'name': 'eth0', 'mac': MAC, 'lldp': {'chassis_name': 'sw-1', 'port_id': 'Ethernet1'}}
        self.facts(interfaces=[heard])
        self.assertEqual(self.site.outcomes('cabling'), ['warning'])
        Cable(a_terminations=[self.site.port], b_terminations=[port]).save()
        self.assertEqual(self.site.outcomes('cabling'), ['ok'])


class WhatBootServersAnswer(TestCase):
    def setUp(self):
        super().setUp()
        self.site = Site()

    def test_each_is_asked_once_and_with_what_the_build_would_need(self):
        self.site.world.template.template_code = (
            '#!ipxe\n# {{ secret("root") }}\nkernel {{ urls.base }}/prospector/x86_64/vmlinuz\n'
        )
        self.site.world.template.save()
        preflight.ask(self.site.machine)
        preflight.ask(self.site.machine)
        task = Task.objects.get()
        image = self.site.world.profile.boot_image_id
        self.assertEqual(task.parameters, {'boot_image': image, 'prospector': ['x86_64'], 'secrets': ['root']})
        self.assertEqual((task.boot_server, task.machine), (self.site.server, self.site.machine))
        report = preflight.look(self.site.machine)
        self.assertEqual([(one.name, one.state) for one in report.servers], [('boot-a', 'asked')])
        self.assertTrue(report.waiting)

    def test_an_answer_stands_among_the_steps_with_its_source_and_age(self):
        self.site.answer(step(outcome='ok', breaks=False, words='snponly.efi is here.'))
        found = self.site.steps('loader')[0]
        self.assertEqual((found.outcome, found.words, found.source), ('ok', 'snponly.efi is here.', 'boot-a'))
        self.assertIsNotNone(found.time)

    def test_the_steps_stand_in_the_order_of_the_chain(self):
        self.site.answer(step('bmc'), step('loader'), step('newer-than-this'))
        keys = list(dict.fromkeys(one.key for one in preflight.look(self.site.machine).steps))
        self.assertEqual(
            keys,
            ['machine', 'boot-server', 'address', 'dhcp', 'loader', 'files', 'configuration', 'dns', 'bmc', 'disks',
             'cabling', 'newer-than-this'],
        )  # fmt: skip

    def test_while_it_is_asked_anew_the_last_answer_is_shown(self):
        self.site.answer(step())
        preflight.ask(self.site.machine)
        report = preflight.look(self.site.machine)
        self.assertEqual([one.state for one in report.servers], ['asked'])
        self.assertEqual(self.site.outcomes('loader'), ['failure'])

    def test_answers_about_another_profile_are_not_shown(self):
        self.site.answer(step())
        image = BootImage.objects.create(name='other', kernel_url='http://mirror.example.com/other')
        other = Profile.objects.create(name='Other', slug='other', boot_image=image)
        report = preflight.look(self.site.machine, profile=other)
        self.assertEqual([one.state for one in report.servers], ['never'])
        self.assertNotIn('loader', [one.key for one in report.steps])

    def test_what_netbox_says_itself_is_not_said_twice(self):
        words = self.site.steps('bmc')[0].words
        self.site.answer(step('bmc', 'unknown', breaks=False, words=words))
        self.assertEqual(len(self.site.steps('bmc')), 1)

    def test_few_old_answers_are_kept(self):
        for _ in range(4):
            self.site.answer(step())
        self.assertEqual(Task.objects.count(), 2)

    def test_an_answer_that_is_none_becomes_an_error_and_hides_nothing(self):
        for answer in (None, {}, {'format_version': 1, 'steps': 'x'}, {'format_version': 99, 'steps': []},
                       {'format_version': 1, 'steps': [step('<b>')]},
                       {'format_version': 1, 'steps': [step(outcome='fine')]}):  # fmt: skip
            self.assertEqual(preflight.taken(answer, '')[0], None)
            self.assertNotEqual(preflight.taken(answer, '')[1], '')

    def test_a_boot_server_that_could_not_look_is_said_to_be_so(self):
        preflight.ask(self.site.machine)
        Task.objects.update(state='failed', error='This boot server cannot carry out tasks of the kind preflight.')
        found = preflight.look(self.site.machine)
        self.assertEqual(found.servers[0].state, 'failed')
        self.assertEqual(found.blocking, ())
        self.assertIn('cannot carry out', self.site.steps('known')[0].words)

    def test_a_machine_fails_for_sure_only_if_it_does_so_from_each_of_its_boot_servers(self):
        second = BootServer.objects.create(name='boot-b', base_url='http://10.1.0.3')
        Subnet.objects.update(boot_server=None)
        second.sites.add(self.site.world.sites[0])
        self.site.answer(step())
        self.site.answer(step(outcome='ok', breaks=False), server=second)
        self.assertEqual(preflight.look(self.site.machine).blocking, ())
        builds.request(self.site.machine)


class WhatKeepsABuildFromBeingRequested(TestCase):
    def setUp(self):
        super().setUp()
        self.site = Site()

    def refused(self):
        try:
            builds.request(self.site.machine)
        except NotReady as error:
            return str(error)
        return ''

    def test_what_a_boot_server_has_just_found_to_be_broken(self):
        self.site.answer(step())
        said = self.refused()
        self.assertIn('Boot loader: There is no loader. Get one.', said)
        self.assertIn('run the preflight again', said)
        self.assertEqual(Build.objects.count(), 0)

    def test_what_was_found_long_ago_may_have_been_mended(self):
        self.site.answer(step(), ago=11)
        self.assertEqual(self.refused(), '')

    def test_a_failure_that_may_pass_keeps_nothing_from_being_built(self):
        self.site.answer(step(breaks=False))
        self.assertEqual(self.refused(), '')

    def test_a_boot_file_with_another_checksum(self):
        self.site.report('failed', f'{URL}: has SHA-256 bb, but NetBox says aa.')
        self.assertIn('has SHA-256 bb', self.refused())

    def test_a_boot_server_that_is_away_or_was_only_asked_keeps_nothing_from_being_built(self):
        self.site.report('failed', f'{URL}: has SHA-256 bb, but NetBox says aa.')
        BootServer.objects.update(last_heartbeat=timezone.now() - timedelta(minutes=5))
        preflight.ask(self.site.machine)
        self.assertEqual(self.refused(), '')

    def test_an_answer_about_another_boot_image_does_not_count(self):
        self.site.answer(step())
        Task.objects.update(parameters={'boot_image': 999})
        self.assertEqual(self.refused(), '')


class Pages(TestCase):
    def setUp(self):
        super().setUp()
        self.site = Site()
        self.url = reverse('plugins:netbox_substruct:machine_preflight', args=[self.site.machine.pk])

    def test_who_may_preview_or_build_the_machine_and_nobody_else_sees_it(self):
        self.assertEqual(self.client.get(self.url).status_code, 404)
        permission = permit(self.user, Machine, 'view', 'build', device__name='a-2')
        self.assertEqual(self.client.get(self.url).status_code, 404)
        for action in ('preview', 'build'):
            permission.actions, permission.constraints = ['view', action], {'device__name': 'a-1'}
            permission.save()
            self.assertContains(self.client.get(self.url), 'Preflight')
        self.client.logout()
        self.assertEqual(self.client.get(self.url).status_code, 302)

    def test_the_tab_is_offered_to_those_who_may_see_it(self):
        permission = permit(self.user, Machine, 'view')
        page = self.site.machine.get_absolute_url()
        self.assertNotContains(self.client.get(page), self.url)
        permission.actions = ['view', 'build']
        permission.save()
        self.assertContains(self.client.get(page), self.url)

    def test_asking_makes_the_part_fetch_itself_until_the_answer_is_there(self):
        permit(self.user, Machine, 'view', 'preview')
        part = self.client.post(self.url, headers=HEADERS)
        self.assertContains(part, 'every 2s')
        self.assertContains(part, 'not answered yet')
        for task in tasks.claim(self.site.server):
            tasks.answer(task, answer={'format_version': 1, 'steps': [step(words='<i>no</i> loader')]})
        part = self.client.get(self.url, headers=HEADERS)
        self.assertNotContains(part, 'every 2s')
        self.assertContains(part, '&lt;i&gt;no&lt;/i&gt; loader')
        self.assertContains(part, 'A build would fail')
        self.assertNotContains(part, '<html')

    def test_without_scripts_asking_leads_back_to_the_page(self):
        permit(self.user, Machine, 'view', 'preview')
        self.assertRedirects(self.client.post(self.url), self.url)

    def test_it_may_be_for_another_profile_than_the_machine_has(self):
        permit(self.user, Machine, 'view', 'preview')
        other = Profile.objects.create(name='Elsewhere', slug='elsewhere')
        url = f'{self.url}?profile={other.pk}'
        self.assertNotContains(self.client.get(url), 'Elsewhere')
        permit(self.user, Profile, 'view')
        self.assertContains(self.client.get(url), 'It becomes Elsewhere.')
        self.assertEqual(self.client.get(f'{self.url}?profile=x').status_code, 200)

    def test_the_build_form_shows_it_before_the_button_is_pressed(self):
        permit(self.user, Machine, 'view', 'build')
        page = self.client.get(reverse('plugins:netbox_substruct:machine_build', args=[self.site.machine.pk]))
        self.assertContains(page, self.url)

    def test_the_form_in_which_a_machine_is_chosen_shows_that_of_the_one_that_is_chosen(self):
        permission = permit(self.user, Machine, 'view', 'build', device__name='a-1')
        part = reverse('plugins:netbox_substruct:build_preflight')
        self.assertContains(self.client.get(reverse('plugins:netbox_substruct:build_add')), part)
        for value in ('', 'x', '9' * 30, '999999'):
            self.assertContains(self.client.get(part, {'machine': value}, headers=HEADERS), 'Choose a machine')
        chosen = {'machine': self.site.machine.pk}
        found = self.client.get(part, chosen, headers=HEADERS)
        self.assertContains(found, self.url)
        self.assertNotContains(found, '<html')
        permission.constraints = {'device__name': 'a-2'}
        permission.save()
        self.assertContains(self.client.get(part, chosen, headers=HEADERS), 'Choose a machine')

    def test_names_of_what_may_not_be_viewed_are_not_told(self):
        permit(self.user, Machine, 'view', 'preview', device__name='a-1')
        self.site.wire(self.site.second, MAC, '10.1.0.12/24')
        FactSet.objects.create(
            machine=self.site.machine, source='prospector', data={'disks': [{'path': '/dev/hidden'}]}
        )
        text = self.client.get(self.url).content.decode()
        for hidden in ('boot-a', 'a-2', 'debian-13', 'dev/hidden'):
            self.assertNotIn(hidden, text)

    def test_the_queries_do_not_grow_with_the_ports_and_answers(self):
        permit(self.user, Machine, 'view', 'preview')
        permit(self.user, BootServer, 'view')
        self.client.get(self.url)
        with CaptureQueriesContext(connection) as before:
            self.client.get(self.url)
        for number in range(10):
            port = Interface.objects.create(device=self.site.machine.device, name=f'x{number}', type='1000base-t')
            MACAddress.objects.create(mac_address=f'52:54:00:00:01:{number:02x}', assigned_object=port)
            IPAddress.objects.create(address=IPNetwork(f'10.1.0.{50 + number}/24'), assigned_object=port)
        with CaptureQueriesContext(connection) as after:
            self.client.get(self.url)
        self.assertLessEqual(len(after), len(before) + 1)


class Rest(APITestCase):
    def setUp(self):
        super().setUp()
        self.site = Site()
        self.url = reverse('plugins-api:netbox_substruct-api:machine-preflight', args=[self.site.machine.pk])

    def test_it_needs_preview_or_build_on_this_machine(self):
        self.assertEqual(self.client.get(self.url, **self.header).status_code, 403)
        permission = permit(self.user, Machine, 'view', 'preview', device__name='a-2')
        self.assertEqual(self.client.get(self.url, **self.header).status_code, 404)
        self.assertEqual(self.client.post(self.url, **self.header).status_code, 404)
        permission.constraints = {'device__name': 'a-1'}
        permission.save()
        self.assertEqual(self.client.get(self.url, **self.header).status_code, 200)
        self.assertEqual(self.client.post(self.url, **self.header).status_code, 202)

    def test_a_token_that_may_not_write_does_not_ask(self):
        permit(self.user, Machine, 'build')
        self.token.write_enabled = False
        self.token.save()
        self.assertEqual(self.client.post(self.url, **self.header).status_code, 403)
        self.assertEqual(self.client.get(self.url, **self.header).status_code, 200)

    def test_steps_are_told_with_what_to_do(self):
        permit(self.user, Machine, 'build')
        permit(self.user, BootServer, 'view')
        self.site.answer(step())
        found = json.loads(self.client.get(self.url, **self.header).content)
        self.assertEqual((found['outcome'], found['blocked'], found['waiting']), ('failure', True, False))
        self.assertEqual([server['name'] for server in found['servers']], ['boot-a'])
        loader = next(one for one in found['steps'] if one['key'] == 'loader')
        self.assertEqual(
            {name: loader[name] for name in ('title', 'outcome', 'words', 'remedy', 'blocking', 'source')},
            {'title': 'Boot loader', 'outcome': 'failure', 'words': 'There is no loader.', 'remedy': 'Get one.',
             'blocking': True, 'source': 'boot-a'},
        )  # fmt: skip
