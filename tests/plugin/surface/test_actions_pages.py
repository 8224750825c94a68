"""What is done with machines and builds on their pages, and on those of devices and virtual machines."""

from django.urls import reverse

from dcim.models import Device
from utilities.testing import TestCase

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, Machine

from .world import a_world, permit


class PageTestCase(TestCase):
    user_permissions = (
        'netbox_substruct.view_machine', 'netbox_substruct.view_build', 'netbox_substruct.view_profile',
    )  # fmt: skip

    def setUp(self):
        super().setUp()
        self.world = a_world()

    def url(self, action, machine, model='machine'):
        return reverse(f'plugins:netbox_substruct:{model}_{action}', kwargs={'pk': machine.pk})

    def activate(self, device):
        device.status = 'active'
        device.save()


class MachinePage(PageTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()
        self.machine = self.machines[0]

    def page(self, machine=None):
        return self.client.get((machine or self.machine).get_absolute_url())

    def test_it_says_what_it_boots_now_and_why(self):
        self.assertContains(self.page(), 'Its own disk')
        builds.request(self.machine)
        self.assertContains(self.page(), 'is pending.')

    def test_it_has_buttons_for_those_who_may_and_where_the_state_permits_it(self):
        build, cancel = self.url('build', self.machine), 'Cancel build'
        self.assertNotContains(self.page(), f'href="{build}"')
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        permit(self.user, Build, 'cancel')
        self.assertContains(self.page(), f'href="{build}"')
        self.assertNotContains(self.page(self.machines[2]), self.url('build', self.machines[2]))
        self.assertNotContains(self.page(), cancel)
        builds.request(self.machine)
        self.assertNotContains(self.page(), f'href="{build}"')
        self.assertContains(self.page(), cancel)

    def test_parameters_and_preview_are_shown_to_those_who_may_preview_that_machine(self):
        permit(self.user, Machine, 'preview', device__site__slug='site-a')
        for action in ('parameters', 'preview'):
            self.assertContains(self.page(), self.url(action, self.machine))
            self.assertNotContains(self.page(self.machines[2]), self.url(action, self.machines[2]))
            self.assertEqual(self.client.get(self.url(action, self.machine)).status_code, 200)
            self.assertEqual(self.client.get(self.url(action, self.machines[2])).status_code, 404)

    def test_without_the_permission_there_is_no_preview(self):
        for action in ('parameters', 'preview'):
            self.assertNotContains(self.page(), self.url(action, self.machine))
            self.assertEqual(self.client.get(self.url(action, self.machine)).status_code, 403)

    def test_the_preview_shows_artifacts_and_errors(self):
        permit(self.user, Machine, 'preview')
        self.assertContains(self.client.get(self.url('preview', self.machine)), 'echo a-1 of web — ü')
        self.world.template.template_code = 'one\n{{ machine.nothing }}'
        self.world.template.save()
        page = self.client.get(self.url('preview', self.machine))
        for part in ('Install', 'line 2', 'a-1'):
            self.assertContains(page, part)

    def test_parameters_say_where_they_come_from_and_what_they_override(self):
        permit(self.user, Machine, 'preview')
        self.machine.parameters = {'owner': 'db'}
        self.machine.save()
        page = self.client.get(self.url('parameters', self.machine))
        self.assertContains(page, self.world.profile.get_absolute_url())
        self.assertContains(page, 'text-decoration-line-through')

    def test_its_builds_have_a_tab(self):
        builds.request(self.machine)
        page = self.client.get(self.url('builds', self.machine))
        self.assertContains(page, Build.objects.get().get_absolute_url())


class Actions(PageTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()
        self.machine = self.machines[0]

    def test_a_build_is_requested(self):
        self.assertEqual(self.client.get(self.url('build', self.machine)).status_code, 403)
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        self.assertEqual(self.client.get(self.url('build', self.machines[2])).status_code, 404)
        page = self.client.get(self.url('build', self.machine))
        self.assertContains(page, 'erased')
        self.assertNotIn('override', page.context['form'].fields)
        response = self.client.post(self.url('build', self.machine), {'confirm': True, 'description': 'new'})
        build = Build.objects.get()
        self.assertRedirects(response, build.get_absolute_url())
        self.assertEqual((build.description, build.requested_by), ('new', self.user))

    def test_a_get_changes_nothing(self):
        self.user.is_superuser = True
        self.user.save()
        build = builds.request(self.machines[1])
        for action in ('build', 'next_boot', 'retire', 'register'):
            self.client.get(self.url(action, self.machine))
        self.client.get(self.url('cancel', build, 'build'))
        self.machine.refresh_from_db()
        build.refresh_from_db()
        self.assertEqual((self.machine.state, self.machine.next_boot, build.state), ('registered', '', 'pending'))

    def test_an_active_machine_is_built_when_its_name_was_typed(self):
        permit(self.user, Machine, 'build')
        self.activate(self.world.devices[0])
        url = self.url('build', self.machine)
        self.assertContains(self.client.get(url), 'has the status active')
        self.assertContains(self.client.post(url, {'confirm': True, 'override': 'a-2'}), 'has the status active')
        self.assertEqual(Build.objects.count(), 0)
        self.assertEqual(self.client.post(url, {'confirm': True, 'override': 'a-1'}).status_code, 302)

    def test_a_refusal_is_shown_on_the_page(self):
        permit(self.user, Machine, 'build')
        builds.request(self.machine)
        page = self.client.post(self.url('build', self.machine), {'confirm': True})
        self.assertContains(page, 'already; wait for it or cancel it first')

    def test_a_build_is_cancelled_with_a_reason(self):
        build = builds.request(self.machine)
        self.assertEqual(self.client.get(self.url('cancel', build, 'build')).status_code, 403)
        permit(self.user, Build, 'cancel', machine__device__site__slug='site-a')
        other = builds.request(self.machines[2])
        self.assertEqual(self.client.get(self.url('cancel', other, 'build')).status_code, 404)
        response = self.client.post(self.url('cancel', build, 'build'), {'confirm': True, 'reason': 'wrong one'})
        self.assertRedirects(response, build.get_absolute_url())
        build.refresh_from_db()
        self.assertEqual(build.state, 'cancelled')

    def test_wiping_asks_for_the_name(self):
        permit(self.user, Machine, 'build')
        url = self.url('next_boot', self.machine)
        self.assertContains(self.client.post(url, {'confirm': True, 'next_boot': 'wipe'}), 'Type the exact name')
        self.assertContains(
            self.client.post(url, {'confirm': True, 'next_boot': 'wipe', 'name': 'a-2'}), 'Type the exact name'
        )
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.next_boot, '')
        self.client.post(url, {'confirm': True, 'next_boot': 'wipe', 'name': 'a-1'})
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.next_boot, 'wipe')

    def test_rescue_needs_no_name(self):
        permit(self.user, Machine, 'build')
        self.client.post(self.url('next_boot', self.machine), {'confirm': True, 'next_boot': 'rescue'})
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.next_boot, 'rescue')

    def test_a_machine_is_retired_and_registered_again(self):
        permit(self.user, Machine, 'change')
        self.client.post(self.url('retire', self.machine), {'confirm': True})
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.state, 'retired')
        self.assertContains(self.client.get(self.machine.get_absolute_url()), self.url('register', self.machine))
        self.client.post(self.url('register', self.machine), {'confirm': True})
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.state, 'registered')


class BuildingSeveral(PageTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()
        self.url = reverse('plugins:netbox_substruct:machine_bulk_build')
        self.list = reverse('plugins:netbox_substruct:machine_list')

    def post(self, machines, **data):
        return self.client.post(self.url, {'pk': [machine.pk for machine in machines], **data})

    def test_the_list_has_the_button_for_those_who_may(self):
        self.assertNotContains(self.client.get(self.list), self.url)
        permit(self.user, Machine, 'build')
        self.assertContains(self.client.get(self.list), f'formaction="{self.url}')

    def test_it_shows_the_machines_first_and_asks_for_the_names_of_those_that_need_it(self):
        permit(self.user, Machine, 'build')
        self.activate(self.world.devices[1])
        page = self.post(self.machines)
        self.assertContains(page, 'has the status active')
        names = [name for name in page.context['form'].fields if name.startswith('override_')]
        self.assertEqual(names, [f'override_{self.machines[1].pk}'])
        self.assertEqual(Build.objects.count(), 0)
        confirmed = {'_confirm': '', 'confirm': 'True'}
        self.assertContains(self.post(self.machines, **confirmed), 'This field is required')
        self.assertContains(self.post(self.machines, **confirmed, **{names[0]: 'a-1'}), 'has the status active')
        self.assertEqual(Build.objects.count(), 0)
        self.assertRedirects(self.post(self.machines, **confirmed, **{names[0]: 'a-2'}), self.list)
        self.assertEqual(Build.objects.count(), 3)

    def test_all_or_none_are_built_and_each_reason_is_shown(self):
        permit(self.user, Machine, 'build')
        builds.request(self.machines[1])
        page = self.post(self.machines, _confirm='', confirm='True')
        self.assertContains(page, 'a-2 has build')
        self.assertEqual(Build.objects.count(), 1)

    def test_machines_that_the_permission_does_not_cover_are_left_out(self):
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        page = self.post(self.machines)
        self.assertEqual([row[0].name for row in page.context['rows']], ['a-1', 'a-2'])
        self.post(self.machines, _confirm='', confirm='True')
        self.assertEqual(sorted(Build.objects.values_list('machine__device__name', flat=True)), ['a-1', 'a-2'])

    def test_without_the_permission_it_is_forbidden(self):
        self.assertEqual(self.post(self.machines).status_code, 403)


class OfDevices(PageTestCase):
    """Substruct's panel and buttons on the pages of devices and virtual machines."""

    def setUp(self):
        super().setUp()
        self.add_permissions('dcim.view_device', 'virtualization.view_virtualmachine')
        self.device = self.world.devices[0]
        self.register = reverse('dcim:device_substruct_register', kwargs={'pk': self.device.pk})
        self.bulk = reverse('dcim:device_bulk_substruct_register')

    def test_an_unregistered_device_can_be_registered_by_those_who_may(self):
        page = self.client.get(self.device.get_absolute_url())
        self.assertContains(page, 'Not registered')
        self.assertNotContains(page, self.register)
        permit(self.user, Machine, 'add')
        self.assertContains(self.client.get(self.device.get_absolute_url()), 'Register for provisioning')
        response = self.client.post(self.register, {'confirm': True, 'profile': self.world.profile.pk})
        machine = Machine.objects.get()
        self.assertRedirects(response, machine.get_absolute_url())
        self.assertEqual((machine.device, machine.profile), (self.device, self.world.profile))

    def test_a_registered_device_says_what_it_boots_and_why(self):
        machine = Machine.objects.create(device=self.device, profile=self.world.profile)
        build = builds.request(machine)
        page = self.client.get(self.device.get_absolute_url())
        for part in (machine.get_absolute_url(), build.get_absolute_url(), 'is pending.'):
            self.assertContains(page, part)

    def test_the_panel_is_only_for_those_who_may_view_machines(self):
        Machine.objects.create(device=self.device)
        self.remove_permissions('netbox_substruct.view_machine')
        self.assertNotContains(self.client.get(self.device.get_absolute_url()), 'Provisioning</h2>')

    def test_registering_keeps_to_constraints(self):
        permit(self.user, Machine, 'add', device__site__slug='site-b')
        page = self.client.post(self.register, {'confirm': True})
        self.assertContains(page, 'do not cover these machines: a-1')
        self.assertEqual(Machine.objects.count(), 0)

    def test_a_device_out_of_sight_is_not_registered(self):
        self.remove_permissions('dcim.view_device')
        permit(self.user, Device, 'view', site__slug='site-b')
        permit(self.user, Machine, 'add')
        self.assertEqual(self.client.post(self.register, {'confirm': True}).status_code, 404)

    def test_the_list_of_devices_registers_those_that_are_ticked(self):
        self.assertNotContains(self.client.get(reverse('dcim:device_list')), self.bulk)
        permit(self.user, Machine, 'add')
        self.assertContains(self.client.get(reverse('dcim:device_list')), f'formaction="{self.bulk}')
        Machine.objects.create(device=self.world.devices[1])
        data = {'pk': [device.pk for device in self.world.devices], 'return_url': '/dcim/devices/'}
        self.assertContains(self.client.post(self.bulk, data), 'registered already')
        response = self.client.post(
            self.bulk, {**data, '_confirm': '', 'confirm': 'True', 'profile': self.world.profile.pk}
        )
        self.assertRedirects(response, '/dcim/devices/')
        self.assertEqual(Machine.objects.count(), 3)

    def test_all_devices_that_match_the_filters_can_be_registered_at_once(self):
        permit(self.user, Machine, 'add')
        page = self.client.post(f'{self.bulk}?site=site-a', {'_all': 'on'})
        self.assertEqual([row[0].name for row in page.context['rows']], ['a-1', 'a-2'])

    def test_virtual_machines_are_registered_alike(self):
        permit(self.user, Machine, 'add')
        vm = self.world.virtual_machine
        self.assertContains(self.client.get(vm.get_absolute_url()), 'Register for provisioning')
        bulk = reverse('virtualization:virtualmachine_bulk_substruct_register')
        self.assertContains(self.client.get(reverse('virtualization:virtualmachine_list')), bulk)
        self.client.post(bulk, {'pk': [vm.pk], '_confirm': '', 'confirm': 'True'})
        self.assertEqual(Machine.objects.get().virtual_machine, vm)
