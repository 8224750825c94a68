"""The Provisioning tab of devices and virtual machines, and the small panel on their pages."""

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from utilities.testing import TestCase

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import BMC, BootServer, Build, BuildArtifact, BuildEvent, FactSet, Machine, Task

from .world import a_world, permit


class Tab(TestCase):
    user_permissions = ('dcim.view_device', 'virtualization.view_virtualmachine')

    def setUp(self):
        super().setUp()
        self.world = a_world()
        self.device = self.world.devices[0]

    def tab(self, obj=None):
        return self.client.get(self.url(obj))

    def url(self, obj=None):
        obj = obj or self.device
        return reverse(f'{obj._meta.app_label}:{obj._meta.model_name}_provisioning', kwargs={'pk': obj.pk})

    def permit_viewing(self):
        here = {'device__site__slug': 'site-a'}
        permit(self.user, Machine, 'view', **here)
        permit(self.user, Build, 'view', **{f'machine__{field}': value for field, value in here.items()})
        for model in (BuildEvent, BuildArtifact):
            permit(self.user, model, 'view', **{f'build__machine__{field}': value for field, value in here.items()})


class WhoMayLook(Tab):
    def test_without_the_permission_there_is_neither_tab_nor_panel(self):
        page = self.client.get(self.device.get_absolute_url())
        self.assertNotContains(page, self.url())
        self.assertNotContains(page, 'Provisioning')
        self.assertEqual(self.tab().status_code, 403)

    def test_machines_of_another_site_are_not_shown(self):
        self.world.register()
        self.permit_viewing()
        elsewhere = self.world.devices[2]
        self.assertContains(self.client.get(self.device.get_absolute_url()), self.url())
        self.assertNotContains(self.client.get(elsewhere.get_absolute_url()), self.url(elsewhere))
        self.assertEqual(self.tab().status_code, 200)
        self.assertEqual(self.tab(elsewhere).status_code, 404)

    def test_builds_artifacts_and_facts_are_shown_to_those_who_may_view_them(self):
        machine = self.world.register()[0]
        permit(self.user, Machine, 'view')
        build = builds.request(machine)
        FactSet.objects.create(machine=machine, source='prospector', data={'system': {'serial': 'OTHER-SERIAL'}})
        page = self.tab()
        for words in (build.get_absolute_url(), 'boot.ipxe', 'OTHER-SERIAL', 'Artifacts as Served', 'History'):
            self.assertNotContains(page, words)
        permit(self.user, Build, 'view')
        permit(self.user, BuildArtifact, 'view')
        permit(self.user, FactSet, 'view')
        page = self.tab()
        for words in (build.get_absolute_url(), 'boot.ipxe', 'OTHER-SERIAL'):
            self.assertContains(page, words)


class WhatItSays(Tab):
    def setUp(self):
        super().setUp()
        self.permit_viewing()

    def test_what_is_not_registered_can_be_registered_by_those_who_may(self):
        register = reverse('dcim:device_substruct_register', kwargs={'pk': self.device.pk})
        page = self.tab()
        self.assertContains(page, 'Whoever may add machines can register it')
        self.assertNotContains(page, register)
        permit(self.user, Machine, 'add')
        for page in (self.tab(), self.client.get(self.device.get_absolute_url())):
            self.assertContains(page, register)

    def test_the_way_from_registered_to_built(self):
        machine = Machine.objects.create(device=self.device)
        permit(self.user, Machine, 'build', 'change')
        permit(self.user, Build, 'cancel')

        def says(*words):
            for page in (self.tab(), self.client.get(self.device.get_absolute_url())):
                for each in words:
                    self.assertContains(page, each)

        def url(action, obj=machine, model='machine'):
            return reverse(f'plugins:netbox_substruct:{model}_{action}', kwargs={'pk': obj.pk})

        says('choose its profile', url('edit'))
        machine.profile = self.world.profile
        machine.save()
        says('was not built yet', url('build'))
        build = builds.request(machine)
        says('switch it on', build.get_absolute_url())
        self.assertContains(self.tab(), url('cancel', build, 'build'))
        builds.record(build, 'failed', message='No mirror could be reached')
        says('No mirror could be reached', 'Read why and try again', build.get_absolute_url())
        self.assertContains(self.tab(), url('retry', build, 'build'))
        again = builds.request(machine)
        builds.record(again, 'finished')
        says('there is nothing to do')

    def test_who_may_only_view_is_offered_nothing(self):
        Machine.objects.create(device=self.device, profile=self.world.profile)
        for page in (self.tab(), self.client.get(self.device.get_absolute_url())):
            self.assertContains(page, 'was not built yet')
            self.assertNotContains(page, 'id="next-step"')

    def test_the_build_under_way_is_watched_and_the_rest_follows_it(self):
        machine = Machine.objects.create(device=self.device, profile=self.world.profile)
        build = builds.request(machine)
        page = self.tab()
        self.assertContains(page, f'{reverse("plugins:netbox_substruct:build_live", args=[build.pk])}?seen=')
        self.assertContains(page, 'substruct-build-moved from:body')
        self.assertContains(page, 'of=machine')

    def test_power_shows_the_bmc_and_what_was_asked_of_it(self):
        machine = Machine.objects.create(device=self.device, profile=self.world.profile)
        permit(self.user, BMC, 'view')
        permit(self.user, Task, 'view')
        self.assertContains(self.tab(), 'No BMC is known')
        server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        BMC.objects.create(machine=machine, protocol='redfish', address='10.0.0.9', credential='bmc/a')
        Task.objects.create(boot_server=server, kind='power', machine=machine, parameters={'action': 'cycle'})
        for words in ('10.0.0.9', 'Off and on again'):
            self.assertContains(self.tab(), words)

    def test_power_is_offered_where_a_boot_server_can_switch_it_and_said_to_be_by_hand_elsewhere(self):
        machine = Machine.objects.create(device=self.device, profile=self.world.profile)
        permit(self.user, BMC, 'view')
        server = BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        server.sites.add(self.device.site)
        bmc = BMC.objects.create(machine=machine, protocol='redfish', credential='bmc/a')
        url = reverse('plugins:netbox_substruct:machine_power', args=[machine.pk])

        def reports(state='ok', minutes=0, name='power'):
            heard = timezone.now() - timedelta(minutes=minutes)
            services = [{'name': name, 'backend': 'redfish', 'state': state}]
            BootServer.objects.filter(pk=server.pk).update(services=services, last_heartbeat=heard)

        self.assertContains(self.tab(), 'no address')
        bmc.address = '10.0.0.9'
        bmc.save()
        for state, minutes, name in (('ok', 0, 'dhcp'), ('down', 0, 'power'), ('ok', 30, 'power')):
            reports(state, minutes, name)
            page = self.tab()
            self.assertContains(page, 'it is switched by hand')
            self.assertNotContains(page, url)
        reports()
        self.assertNotContains(self.tab(), 'by hand')
        self.assertNotContains(self.tab(), url)
        permit(self.user, Task, 'add', 'view', machine__device__site__slug='site-a')
        self.assertContains(self.tab(), url)

    def test_the_machines_own_page_says_what_comes_next_too(self):
        machine = Machine.objects.create(device=self.device)
        permit(self.user, Machine, 'build', 'change')
        page = self.client.get(machine.get_absolute_url())
        self.assertContains(page, 'choose its profile')
        edit = reverse('plugins:netbox_substruct:machine_edit', args=[machine.pk])
        self.assertContains(page, f'{edit}?return_url={machine.get_absolute_url()}')

    def test_virtual_machines_have_the_tab_too(self):
        machine = Machine.objects.create(virtual_machine=self.world.virtual_machine, profile=self.world.profile)
        permit(self.user, Machine, 'view')
        self.assertContains(self.tab(self.world.virtual_machine), machine.get_absolute_url())
        self.assertContains(self.client.get(self.world.virtual_machine.get_absolute_url()), 'was not built yet')

    def test_it_costs_as_much_with_many_builds_as_with_one(self):
        machine = Machine.objects.create(device=self.device, profile=self.world.profile)

        def cost():
            with CaptureQueriesContext(connection) as queries:
                self.assertEqual(self.tab().status_code, 200)
            return len(queries)

        def build(number):
            for _each in range(number):
                builds.record(builds.request(machine), 'failed', message='No mirror')

        build(1)
        self.tab()
        few = cost()
        build(9)
        self.assertEqual(cost(), few)
