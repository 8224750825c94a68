"""Candidates, adoption, differences and facts over the REST API, with its permissions and its refusals."""

import json

from django.urls import reverse

from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, InventoryItem, MACAddress, Site
from ipam.models import IPAddress
from utilities.testing import APITestCase

from netbox_substruct.models import FactSet, Machine

from ..surface.world import permit
from .world import NICS, a_device, a_world, discovered, server


class Calls(APITestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()

    def setUp(self):
        super().setUp()
        self.machine = discovered()

    def everything(self):
        self.user.is_superuser = True
        self.user.save()

    def url(self, action, machine=None):
        return reverse(
            f'plugins-api:netbox_substruct-api:machine-{action}', kwargs={'pk': (machine or self.machine).pk}
        )

    def get(self, action, **query):
        response = self.client.get(self.url(action), query, **self.header)
        return response.status_code, json.loads(response.content)

    def post(self, action, **body):
        response = self.client.post(
            self.url(action), data=json.dumps(body), content_type='application/json', **self.header
        )
        return response.status_code, json.loads(response.content)


class Adoption(Calls):
    def choices(self, **more):
        return {'name': 'srv-7', 'role': self.world.role.pk, **more}

    def test_a_proposal_is_shown_and_carried_out(self):
        self.everything()
        status, proposal = self.get('adopt', **self.choices())
        self.assertEqual((status, proposal['problems']), (200, []))
        self.assertEqual(proposal['choices']['site'], self.world.site.pk)
        device = next(line for line in proposal['lines'] if line['key'] == 'device')
        serial = next(field for field in device['changes'][0]['fields'] if field['name'] == 'serial')
        self.assertEqual((serial['before'], serial['after']), (None, 'CK1RM22'))
        self.assertFalse(Device.objects.filter(name='srv-7').exists())

        status, again = self.post('adopt', **self.choices())
        self.assertEqual((status, again), (200, proposal))
        status, done = self.post('adopt', **self.choices(), confirm=proposal['digest'])
        self.assertEqual(status, 201, done)
        made = Device.objects.get(name='srv-7')
        self.assertEqual(done['object'], {'type': 'known', 'model': 'dcim.device', 'id': made.pk, 'name': 'srv-7'})
        self.assertIn('dcim.cable', [each['model'] for each in done['created']])
        self.assertEqual(Machine.objects.get().device, made)

    def test_only_the_lines_that_are_named(self):
        self.everything()
        _, proposal = self.get('adopt', **self.choices())
        status, _ = self.post('adopt', **self.choices(), confirm=proposal['digest'], accept=['interface:eno1'])
        self.assertEqual((status, InventoryItem.objects.count(), Cable.objects.count()), (201, 0, 0))

    def test_what_must_be_chosen_is_said(self):
        self.everything()
        status, proposal = self.get('adopt', role='')
        self.assertEqual((status, [problem['field'] for problem in proposal['problems']]), (200, ['role']))
        status, answer = self.post('adopt', role=None, confirm=proposal['digest'])
        self.assertEqual((status, answer['code']), (422, 'incomplete'))

    def test_choices_that_are_none(self):
        self.everything()
        for body in ({'role': 'web'}, {'colour': 'red'}, {'primary_ip': 'any'}, {'name': 'x' * 65}, {'accept': 'all'}):
            with self.subTest(body):
                status, answer = self.post('adopt', **body)
                self.assertEqual((status, answer['code']), (400, 'invalid'))

    def test_a_proposal_that_is_not_what_it_was_is_refused(self):
        self.everything()
        _, proposal = self.get('adopt', **self.choices())
        discovered(server(disks=[]))
        status, answer = self.post('adopt', **self.choices(), confirm=proposal['digest'])
        self.assertEqual((status, answer['code']), (409, 'stale'))
        self.assertFalse(Device.objects.filter(name='srv-7').exists())

    def test_what_netbox_does_not_take_is_said_with_object_and_field(self):
        self.everything()
        body = self.choices(bmc_credential='no / credential!')
        _, proposal = self.post('adopt', **body)
        status, answer = self.post('adopt', **body, confirm=proposal['digest'])
        self.assertEqual((status, answer['code']), (422, 'unwritable'))
        self.assertIn('BMC: credential:', answer['detail'])

    def test_it_takes_the_permission_to_change_the_machine(self):
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.get('adopt')[0], 403)
        self.assertEqual(self.post('adopt')[0], 403)

    def test_constraints_on_machines_hold(self):
        permit(self.user, Machine, 'change', 'view', serial='OTHER')
        self.assertEqual(self.get('adopt')[0], 404)

    def test_permissions_on_what_is_made_are_shown_and_asked(self):
        self.add_permissions(
            'netbox_substruct.view_machine', 'netbox_substruct.change_machine', 'netbox_substruct.view_factset',
            'dcim.view_site', 'dcim.view_devicerole', 'dcim.view_device',
        )  # fmt: skip
        _, proposal = self.get('adopt', **self.choices())
        lacking = {line['key']: line['not_permitted'] for line in proposal['lines']}
        self.assertEqual(lacking['device'], ['dcim.add_device'])
        self.assertEqual(lacking['cable:eno1'], ['dcim.add_cable'])
        self.assertIn('dcim.add_device', proposal['problems'][0]['message'])
        self.add_permissions('dcim.add_device', 'dcim.change_device')
        _, proposal = self.get('adopt', **self.choices())
        status, answer = self.post('adopt', **self.choices(), confirm=proposal['digest'], accept=['item:memory:A1'])
        self.assertEqual((status, answer['code']), (403, 'not-permitted'))
        status, _ = self.post('adopt', **self.choices(), confirm=proposal['digest'])
        self.assertEqual((status, InventoryItem.objects.count()), (201, 0))


class Candidates(Calls):
    def test_what_a_machine_may_be(self):
        self.everything()
        same = a_device(self.world, 'planned-7', serial='ck1rm22', macs=(NICS[1],))
        status, answer = self.get('candidates')
        (found,) = answer['candidates']
        self.assertEqual(
            (status, found['object']['id'], found['machine'], found['contradictions']), (200, same.pk, None, [])
        )
        self.assertEqual(len(found['reasons']), 2)
        self.assertEqual(found['display_url'], same.get_absolute_url())

    def test_only_what_the_user_may_view(self):
        a_device(self.world, 'planned-7', serial='ck1rm22')
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.get('candidates'), (200, {'machine': self.machine.pk, 'candidates': []}))


class Differences(Calls):
    def setUp(self):
        super().setUp()
        self.device = a_device(self.world, 'srv-7', serial='OLD', macs=(NICS[0],))
        Machine.objects.filter(pk=self.machine.pk).update(device=self.device, state='registered')

    def test_a_difference_is_shown_and_written_line_by_line(self):
        self.everything()
        status, found = self.get('difference')
        lines = {line['key']: line for line in found['lines']}
        self.assertEqual(status, 200)
        (field,) = lines['device:serial']['changes'][0]['fields']
        self.assertEqual((field['before'], field['after']), ('OLD', 'CK1RM22'))
        status, done = self.post('difference', accept=['device:serial', 'interface:eno2'], confirm=found['digest'])
        self.assertEqual(status, 200, done)
        self.device.refresh_from_db()
        self.assertEqual((self.device.serial, self.device.interfaces.count()), ('CK1RM22', 2))
        self.assertEqual(InventoryItem.objects.count(), 0)
        _, now = self.get('difference')
        self.assertEqual(set(lines) - {line['key'] for line in now['lines']}, {'device:serial', 'interface:eno2'})

    def test_what_has_changed_meanwhile_is_refused(self):
        self.everything()
        _, found = self.get('difference')
        Device.objects.filter(pk=self.device.pk).update(serial='OTHER')
        status, answer = self.post('difference', accept=['device:serial'], confirm=found['digest'])
        self.assertEqual((status, answer['code']), (409, 'stale'))

    def test_permissions(self):
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.get('difference')[0], 403)
        self.add_permissions('dcim.view_device', 'netbox_substruct.view_factset')
        _, found = self.get('difference')
        self.assertEqual(self.post('difference', accept=['device:serial'], confirm=found['digest'])[0], 403)
        self.add_permissions('netbox_substruct.change_machine')
        status, answer = self.post('difference', accept=['device:serial'], confirm=found['digest'])
        self.assertEqual((status, answer['code']), (403, 'not-permitted'))
        permit(self.user, Device, 'change', name='srv-7')
        self.assertEqual(self.post('difference', accept=['device:serial'], confirm=found['digest'])[0], 200)


class ReadFacts(Calls):
    def test_facts_as_they_are_read_with_what_could_not_be(self):
        self.everything()
        FactSet.objects.update(data=server(memory='much'))
        status, answer = self.get('facts')
        self.assertEqual((status, answer['facts']['system']['product']), (200, 'PowerEdge R650'))
        self.assertEqual(answer['problems'], ['memory: an object is expected, not "much".'])

    def test_they_take_the_permission_to_view_fact_sets(self):
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.get('facts')[0], 403)


class Models(Calls):
    def test_no_model_was_forgotten_among_those_that_adoption_writes(self):
        """The documentation names the permissions that adoption needs."""
        self.everything()
        _, proposal = self.get('adopt', name='srv-7', role=self.world.role.pk, primary_ip='next', bmc_credential='x')
        written = {change['model'] for line in proposal['lines'] for change in line['changes']}
        known = {model._meta.label_lower for model in (Device, Interface, MACAddress, InventoryItem, IPAddress, Cable)}
        self.assertEqual(written, known | {'netbox_substruct.machine', 'netbox_substruct.bmc'})
        self.assertTrue(DeviceType.objects.exists() and DeviceRole.objects.exists() and Site.objects.exists())
