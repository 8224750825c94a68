"""What is done with machines and builds through the REST API: by whom, with what, and what a refusal says."""

from urllib.parse import urlsplit

from django.urls import reverse

from core.models import ObjectChange
from dcim.models import Device
from utilities.testing import APITestCase
from virtualization.models import VirtualMachine

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, BuildToken, Machine

from .world import a_world, permit


class ActionTestCase(APITestCase):
    def setUp(self):
        super().setUp()
        self.world = a_world()

    def url(self, model, action, **kwargs):
        return reverse(f'plugins-api:netbox_substruct-api:{model}-{action}', kwargs=kwargs)

    def post(self, url, data=None):
        return self.client.post(url, {} if data is None else data, format='json', **self.header)

    def get(self, url):
        return self.client.get(url, **self.header)

    def on(self, machine, action, data=None):
        return self.post(self.url('machine', action, pk=machine.pk), data)

    def activate(self, device):
        device.status = 'active'
        device.save()


class Registering(ActionTestCase):
    def setUp(self):
        super().setUp()
        self.register = self.url('machine', 'register')

    def test_a_device_becomes_a_machine(self):
        self.add_permissions('netbox_substruct.add_machine', 'dcim.view_device')
        device = self.world.devices[0]
        response = self.post(self.register, {'device': device.pk, 'profile': {'slug': 'debian'}})
        self.assertHttpStatus(response, 400)  # the profile is not theirs to see
        self.add_permissions('netbox_substruct.view_profile')
        response = self.post(self.register, {'device': device.pk, 'profile': {'slug': 'debian'}})
        self.assertHttpStatus(response, 201)
        machine = Machine.objects.get()
        self.assertEqual((response.data['id'], response.data['state']['value']), (machine.pk, 'registered'))
        self.assertEqual((machine.device, machine.profile), (device, self.world.profile))
        self.assertEqual(ObjectChange.objects.get(changed_object_id=machine.pk, action='create').user, self.user)

    def test_a_virtual_machine_becomes_a_machine(self):
        self.add_permissions('netbox_substruct.add_machine', 'virtualization.view_virtualmachine')
        self.assertHttpStatus(self.post(self.register, {'virtual_machine': self.world.virtual_machine.pk}), 201)

    def test_a_list_is_registered_as_a_whole_or_not_at_all(self):
        self.add_permissions('netbox_substruct.add_machine', 'dcim.view_device')
        first, second, third = self.world.devices
        self.assertHttpStatus(self.post(self.register, [{'device': first.pk}, {'device': second.pk}]), 201)
        response = self.post(self.register, [{'device': third.pk}, {'device': first.pk}])
        self.assertHttpStatus(response, 422)
        self.assertEqual(response.data['code'], 'not-allowed')
        self.assertIn('a-1', response.data['detail'])
        self.assertEqual(Machine.objects.count(), 2)

    def test_it_needs_add_on_machines_and_view_of_the_device(self):
        data = {'device': self.world.devices[0].pk}
        self.add_permissions('dcim.view_device')
        self.assertHttpStatus(self.post(self.register, data), 403)
        self.remove_permissions('dcim.view_device')
        self.add_permissions('netbox_substruct.add_machine')
        self.assertHttpStatus(self.post(self.register, data), 403)
        self.assertEqual(Machine.objects.count(), 0)

    def test_constraints_on_devices_and_on_machines_hold(self):
        permit(self.user, Device, 'view', site__slug='site-a')
        permit(self.user, Machine, 'add', device__name='a-1')
        first, second, third = (device.pk for device in self.world.devices)
        self.assertHttpStatus(self.post(self.register, {'device': third}), 403)
        self.assertHttpStatus(self.post(self.register, [{'device': first}, {'device': second}]), 403)
        self.assertEqual(Machine.objects.count(), 0)
        self.assertHttpStatus(self.post(self.register, {'device': first}), 201)

    def test_it_names_one_of_the_two(self):
        self.add_permissions('netbox_substruct.add_machine', 'dcim.view_device')
        self.assertHttpStatus(self.post(self.register, {}), 400)
        both = {'device': self.world.devices[0].pk, 'virtual_machine': VirtualMachine.objects.get().pk}
        self.assertHttpStatus(self.post(self.register, both), 400)


class Building(ActionTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()

    def test_a_build_is_requested_by_those_who_may_build(self):
        self.add_permissions('netbox_substruct.build_machine')
        response = self.on(self.machines[0], 'build', {'description': 'a new one'})
        self.assertHttpStatus(response, 201)
        build = Build.objects.get()
        self.assertEqual((response.data['id'], response.data['state']['value']), (build.pk, 'pending'))
        self.assertEqual((build.requested_by, build.description), (self.user, 'a new one'))
        self.assertNotIn(BuildToken.objects.get().token, response.content.decode())

    def test_neither_add_nor_change_is_enough(self):
        self.add_permissions(
            'netbox_substruct.add_machine', 'netbox_substruct.change_machine', 'netbox_substruct.add_build'
        )
        self.assertHttpStatus(self.on(self.machines[0], 'build'), 403)
        response = self.post(self.url('build', 'list'), {'machine': self.machines[0].pk})
        self.assertHttpStatus(response, 403)
        self.assertEqual(Build.objects.count(), 0)

    def test_an_operator_of_one_site_does_not_build_at_the_other(self):
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        permit(self.user, Machine, 'view')
        self.assertHttpStatus(self.on(self.machines[2], 'build'), 404)
        self.assertHttpStatus(self.post(self.url('build', 'list'), {'machine': self.machines[2].pk}), 403)
        self.assertEqual(Build.objects.count(), 0)
        self.assertHttpStatus(self.on(self.machines[0], 'build'), 201)
        self.assertHttpStatus(self.post(self.url('build', 'list'), {'machine': self.machines[1].pk}), 201)

    def test_a_second_build_is_a_conflict(self):
        self.add_permissions('netbox_substruct.build_machine')
        self.on(self.machines[0], 'build')
        for response in (
            self.on(self.machines[0], 'build'),
            self.post(self.url('build', 'list'), {'machine': self.machines[0].pk}),
        ):
            self.assertHttpStatus(response, 409)
            self.assertEqual(response.data['code'], 'conflict')
            self.assertIn('a-1', response.data['detail'])

    def test_an_active_device_needs_its_name(self):
        self.add_permissions('netbox_substruct.build_machine')
        self.activate(self.world.devices[0])
        for data in ({}, {'override': 'yes'}, {'override': 'a-2'}):
            response = self.on(self.machines[0], 'build', data)
            self.assertHttpStatus(response, 422)
            self.assertEqual(response.data['code'], 'override-required')
        self.assertHttpStatus(self.on(self.machines[0], 'build', {'override': 'a-1'}), 201)

    def test_what_is_missing_is_named(self):
        self.add_permissions('netbox_substruct.build_machine')
        self.world.template.template_code = 'one\n{{ machine.nothing }}'
        self.world.template.save()
        response = self.on(self.machines[0], 'build')
        self.assertHttpStatus(response, 422)
        self.assertEqual(response.data['code'], 'not-ready')
        for part in ('Install', 'line 2', 'a-1'):
            self.assertIn(part, response.data['detail'])
        self.assertEqual(Build.objects.count(), 0)

    def test_a_list_of_builds_is_requested_as_a_whole_or_not_at_all(self):
        self.add_permissions('netbox_substruct.build_machine')
        self.activate(self.world.devices[1])
        data = [{'machine': machine.pk} for machine in self.machines]
        response = self.post(self.url('build', 'list'), data)
        self.assertHttpStatus(response, 422)
        self.assertIn('a-2', response.data['detail'])
        self.assertEqual(Build.objects.count(), 0)
        data[1]['override'] = 'a-2'
        self.assertHttpStatus(self.post(self.url('build', 'list'), data), 201)
        self.assertEqual(Build.objects.count(), 3)

    def test_a_build_is_cancelled_by_those_who_may_cancel_it(self):
        first, last = builds.request(self.machines[0]), builds.request(self.machines[2])
        self.assertHttpStatus(self.post(self.url('build', 'cancel', pk=first.pk)), 403)
        permit(self.user, Build, 'cancel', machine__device__site__slug='site-a')
        self.assertHttpStatus(self.post(self.url('build', 'cancel', pk=last.pk)), 404)
        response = self.post(self.url('build', 'cancel', pk=first.pk), {'reason': 'wrong disk'})
        self.assertHttpStatus(response, 200)
        self.assertEqual(response.data['state']['value'], 'cancelled')
        self.assertIn('wrong disk', first.events.get(kind='cancelled').message)
        again = self.post(self.url('build', 'cancel', pk=first.pk))
        self.assertHttpStatus(again, 422)
        self.assertEqual(again.data['code'], 'not-allowed')

    def test_the_frozen_request_needs_preview_on_the_machine(self):
        first, last = builds.request(self.machines[0]), builds.request(self.machines[2])
        self.add_permissions('netbox_substruct.view_build')
        permit(self.user, Machine, 'preview', device__site__slug='site-a')
        self.assertHttpStatus(self.get(self.url('build', 'request', pk=last.pk)), 403)
        answer = self.get(self.url('build', 'request', pk=first.pk)).json()
        self.assertEqual(answer['context']['machine']['name'], 'a-1')


class Moving(ActionTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()

    def test_the_next_boot_is_asked_for_by_those_who_may_build(self):
        self.assertHttpStatus(self.on(self.machines[0], 'next-boot', {'next_boot': 'rescue'}), 403)
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        self.assertHttpStatus(self.on(self.machines[2], 'next-boot', {'next_boot': 'wipe'}), 404)
        response = self.on(self.machines[0], 'next-boot', {'next_boot': 'rescue'})
        self.assertHttpStatus(response, 200)
        self.assertEqual(response.data['next_boot']['value'], 'rescue')
        self.assertHttpStatus(self.on(self.machines[0], 'next-boot', {'next_boot': ''}), 200)
        self.assertHttpStatus(self.on(self.machines[0], 'next-boot', {'next_boot': 'floppy'}), 400)

    def test_wiping_an_active_machine_takes_its_name(self):
        permit(self.user, Machine, 'build', device__site__slug='site-a')
        self.world.devices[0].status = 'active'
        self.world.devices[0].save()
        response = self.on(self.machines[0], 'next-boot', {'next_boot': 'wipe'})
        self.assertHttpStatus(response, 422)
        self.assertEqual(response.data['code'], 'override-required')
        response = self.on(self.machines[0], 'next-boot', {'next_boot': 'wipe', 'override': 'a-1'})
        self.assertEqual(response.data['next_boot']['value'], 'wipe')

    def test_a_machine_is_retired_and_registered_again(self):
        self.assertHttpStatus(self.on(self.machines[0], 'state', {'state': 'retired'}), 403)
        permit(self.user, Machine, 'change', device__site__slug='site-a')
        self.assertHttpStatus(self.on(self.machines[2], 'state', {'state': 'retired'}), 404)
        response = self.on(self.machines[0], 'state', {'state': 'retired'})
        self.assertEqual(response.data['state']['value'], 'retired')
        self.assertHttpStatus(self.on(self.machines[0], 'state', {'state': 'registered'}), 200)

    def test_no_user_says_that_a_machine_is_built(self):
        self.add_permissions('netbox_substruct.change_machine')
        response = self.on(self.machines[0], 'state', {'state': 'built'})
        self.assertHttpStatus(response, 422)
        self.assertEqual(response.data['code'], 'not-allowed')


class Looking(ActionTestCase):
    def setUp(self):
        super().setUp()
        self.machines = self.world.register()

    def test_what_it_boots_and_why(self):
        self.add_permissions('netbox_substruct.view_machine')
        answer = self.get(self.url('machine', 'boot', pk=self.machines[0].pk)).json()
        self.assertEqual((answer['action'], answer['build']), ('local', None))
        build = builds.request(self.machines[0])
        answer = self.get(self.url('machine', 'boot', pk=self.machines[0].pk)).json()
        self.assertEqual((answer['action'], answer['build']), ('build', build.pk))
        self.assertIn(f'#{build.pk}', answer['reason'])

    def test_parameters_and_preview_need_their_own_permission_on_that_very_machine(self):
        self.add_permissions('netbox_substruct.view_machine')
        urls = [
            lambda machine: self.url('machine', 'parameters', pk=machine.pk),
            lambda machine: self.url('machine', 'preview', pk=machine.pk),
            lambda machine: self.url('machine', 'preview-content', pk=machine.pk, kind='ipxe'),
        ]
        for url in urls:
            self.assertHttpStatus(self.get(url(self.machines[0])), 403)
        permit(self.user, Machine, 'preview', device__site__slug='site-a')
        for url in urls:
            self.assertHttpStatus(self.get(url(self.machines[2])), 404)
            self.assertHttpStatus(self.get(url(self.machines[0])), 200)

    def test_each_parameter_says_where_it_comes_from(self):
        self.add_permissions('netbox_substruct.preview_machine')
        machine = self.machines[0]
        machine.parameters = {'disk': {'scheme': 'zfs'}}
        machine.save()
        answer = self.get(self.url('machine', 'parameters', pk=machine.pk)).json()
        self.assertEqual(answer['values'], {'owner': 'web', 'disk': {'scheme': 'zfs'}})
        self.assertEqual(answer['errors'], [])
        entries = {entry['path']: entry for entry in answer['entries']}
        self.assertEqual(entries['owner']['source']['kind'], 'profile')
        self.assertEqual(entries['owner']['source']['url'], self.world.profile.get_absolute_url())
        scheme = entries['disk.scheme']
        self.assertEqual((scheme['value'], scheme['source']['kind']), ('zfs', 'machine'))
        self.assertEqual(
            [(said['value'], said['source']['name']) for said in scheme['overridden']], [('lvm', 'Debian')]
        )

    def test_violations_of_the_schema_are_named(self):
        self.add_permissions('netbox_substruct.preview_machine')
        self.world.profile.parameter_schema = {'required': ['time_zone']}
        self.world.profile.save()
        answer = self.get(self.url('machine', 'parameters', pk=self.machines[0].pk)).json()
        self.assertIn('time_zone', answer['errors'][0])

    def test_the_preview_is_what_a_build_then_serves(self):
        self.add_permissions('netbox_substruct.preview_machine')
        machine = self.machines[0]
        answer = self.get(self.url('machine', 'preview', pk=machine.pk)).json()
        self.assertEqual(answer['errors'], [])
        raw = self.get(self.url('machine', 'preview-content', pk=machine.pk, kind='ipxe'))
        self.assertEqual(raw['Content-Type'], 'text/plain; charset=utf-8')
        self.assertEqual(raw['X-Content-Type-Options'], 'nosniff')
        served = builds.request(machine).artifacts.get()
        self.assertEqual(raw.content, served.content.encode())
        self.assertEqual(answer['artifacts'][0]['content'], served.content)
        self.assertEqual(answer['artifacts'][0]['sha256'], served.sha256)

    def test_a_preview_that_cannot_be_made_says_template_line_and_machine(self):
        self.add_permissions('netbox_substruct.preview_machine')
        self.world.template.template_code = 'one\n{{ machine.nothing }}'
        self.world.template.save()
        answer = self.get(self.url('machine', 'preview', pk=self.machines[0].pk)).json()
        self.assertEqual(answer['artifacts'], [])
        (error,) = answer['errors']
        self.assertEqual((error['template'], error['line'], error['machine']), ('Install', 2, 'a-1'))
        self.assertIn('nothing', error['message'])

    def test_a_machine_without_profile_has_a_reason_instead_of_a_preview(self):
        self.add_permissions('netbox_substruct.preview_machine')
        machine = Machine.objects.create(discovered_name='cellar')
        answer = self.get(self.url('machine', 'preview', pk=machine.pk)).json()
        self.assertIn('no profile', answer['errors'][0]['message'])
        raw = self.get(self.url('machine', 'preview-content', pk=machine.pk, kind='ipxe'))
        self.assertHttpStatus(raw, 404)


class Schema(APITestCase):
    def test_actions_have_real_types_in_the_openapi_schema(self):
        response = self.client.get(reverse('schema'), HTTP_ACCEPT='application/json', **self.header)
        self.assertHttpStatus(response, 200)
        paths = {
            path.removeprefix('/api/plugins/substruct'): methods
            for path, methods in response.json()['paths'].items()
            if path.startswith('/api/plugins/substruct/')
        }

        def types(path, method, status):
            operation = paths[path][method]
            body = operation.get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema', {})
            answer = operation['responses'][status]['content']['application/json']['schema']
            return [urlsplit(schema.get('$ref', '')).fragment.rsplit('/', 1)[-1] for schema in (body, answer)]

        self.assertEqual(types('/machines/{id}/build/', 'post', '201'), ['BuildMachineRequest', 'Build'])
        self.assertEqual(types('/machines/{id}/build/', 'post', '409'), ['BuildMachineRequest', 'Refusal'])
        self.assertEqual(types('/machines/{id}/next-boot/', 'post', '200'), ['NextBootRequest', 'Machine'])
        self.assertEqual(types('/machines/{id}/boot/', 'get', '200'), ['', 'BootDecision'])
        self.assertEqual(types('/machines/{id}/parameters/', 'get', '200'), ['', 'Parameters'])
        self.assertEqual(types('/machines/{id}/preview/', 'get', '200'), ['', 'Preview'])
        self.assertEqual(types('/builds/{id}/cancel/', 'post', '200'), ['CancelBuildRequest', 'Build'])
        self.assertIn('text/plain', paths['/build-artifacts/{id}/content/']['get']['responses']['200']['content'])
        self.assertNotIn('put', paths['/build-events/{id}/'])
        fields = response.json()['components']['schemas']['Build']['properties']
        self.assertIn('state', fields)
        self.assertFalse({'token', 'request', 'override'} & set(fields))
