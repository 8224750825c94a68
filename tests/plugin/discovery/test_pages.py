"""The pages of discovery: adopting in a form and a review, facts and differences, for those who may."""

import re

from django.urls import reverse

from dcim.models import Cable, Device, InventoryItem
from utilities.testing import TestCase

from netbox_substruct.models import FactSet, Machine

from .world import GUEST, NICS, a_device, a_world, discovered, server


class Pages(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()

    def setUp(self):
        super().setUp()
        self.user.is_superuser = True
        self.user.save()
        self.machine = discovered()

    def url(self, view='adopt'):
        name = 'plugins:netbox_substruct:machine' + (f'_{view}' if view else '')
        return reverse(name, kwargs={'pk': self.machine.pk})

    def body(self, response, status=200):
        self.assertEqual(response.status_code, status)
        return response.content.decode()

    def form(self, **changes):
        return {
            'way': 'device', 'name': 'srv-7', 'role': self.world.role.pk, 'site': self.world.site.pk,
            'status': 'planned', 'make_device_type': 'on', 'primary_ip': 'none', **changes,
        }  # fmt: skip

    def review(self, **changes):
        """The review page: its text, and what it would send back."""
        body = self.body(self.client.post(self.url(), self.form(**changes, _review='')))
        confirm = re.search(r'name="confirm" value="([0-9a-f]+)"', body)
        self.assertIsNotNone(confirm, body[:2000])
        ticked = re.findall(r'name="accept" value="([^"]+)"[^>]*?\schecked', body)
        return body, {**self.form(**changes), 'confirm': confirm[1], 'accept': ticked}


class Adopting(Pages):
    def test_the_page_of_a_discovered_machine_leads_there(self):
        body = self.body(self.client.get(self.url('')))
        self.assertIn(self.url(), body)
        self.assertIn('PowerEdge R650', body)
        self.assertNotIn(self.url('register'), body)

    def test_the_form_has_sensible_defaults(self):
        body = self.body(self.client.get(self.url()))
        self.assertIn('value="ck1rm22"', body)
        self.assertRegex(body, rf'(?s)name="site".*?<option value="{self.world.site.pk}"[^>]*selected')
        self.assertIn('If empty: Dell PowerEdge R650', body)

    def test_a_guest_is_offered_as_a_virtual_machine(self):
        self.machine = discovered(GUEST)
        self.assertIn('name="way" value="virtual-machine"', self.body(self.client.get(self.url())))

    def test_everything_is_shown_and_then_done(self):
        body, answer = self.review()
        for words in ('Device srv-7 (new)', 'CK1RM22', 'Interface gig1', '32 GiB DDR4 3200 MT/s', 'BMC at 10.8.9.107',
                      'Cable of eno1 to leaf-17a', 'By order'):  # fmt: skip
            self.assertIn(words, body)
        self.assertFalse(Device.objects.filter(name='srv-7').exists())
        response = self.client.post(self.url(), {**answer, '_confirm': ''})
        self.assertRedirects(response, self.url(''), fetch_redirect_response=False)
        device = Device.objects.get(name='srv-7')
        self.assertEqual((Machine.objects.get().device, InventoryItem.objects.count()), (device, 12))
        body = self.body(self.client.get(self.url('')))
        self.assertIn(device.get_absolute_url(), body)
        self.assertNotIn(self.url(), body)

    def test_what_is_unticked_is_left(self):
        _, answer = self.review()
        answer['accept'] = [key for key in answer['accept'] if not key.startswith(('item:', 'cable:'))]
        self.client.post(self.url(), {**answer, '_confirm': ''})
        self.assertEqual((Device.objects.filter(name='srv-7').count(), InventoryItem.objects.count()), (1, 0))
        self.assertEqual(Cable.objects.count(), 0)

    def test_interfaces_are_mapped_on_the_review_page(self):
        body, answer = self.review(**{'map:eno1': 'port3'})
        self.assertIn('Interface port3 (found as eno1)', body)
        self.assertRegex(body, r'<option value="port3" selected>')
        self.client.post(self.url(), {**answer, '_confirm': ''})
        port = Device.objects.get(name='srv-7').interfaces.get(name='port3')
        self.assertEqual(str(port.primary_mac_address).lower(), NICS[0])

    def test_what_has_changed_since_is_shown_again(self):
        _, answer = self.review()
        discovered(server(disks=[]))
        body = self.body(self.client.post(self.url(), {**answer, '_confirm': ''}))
        self.assertIn('Look at the proposal again', body)
        self.assertFalse(Device.objects.filter(name='srv-7').exists())
        confirm = re.search(r'name="confirm" value="([0-9a-f]+)"', body)[1]
        self.client.post(self.url(), {**answer, 'confirm': confirm, 'accept': [], '_confirm': ''})
        self.assertTrue(Device.objects.filter(name='srv-7').exists())

    def test_what_is_wrong_is_said_at_its_field(self):
        a_device(self.world, 'srv-7')
        body = self.body(self.client.post(self.url(), self.form(_review='')))
        self.assertIn('must be unique', body)
        body = self.body(self.client.post(self.url(), self.form(name='srv-8', role='', _review='')))
        self.assertIn('Choose a role.', body)

    def test_an_error_while_writing_is_shown_and_nothing_is_written(self):
        _, answer = self.review(bmc_credential='no / credential!')
        answer['accept'] = [*answer['accept'], 'bmc-record']
        body = self.body(self.client.post(self.url(), {**answer, '_confirm': ''}))
        self.assertIn('BMC: credential:', body)
        self.assertFalse(Device.objects.filter(name='srv-7').exists())

    def test_one_can_go_back_to_the_form(self):
        body = self.body(self.client.post(self.url(), self.form(name='srv-77', _edit='')))
        self.assertIn('value="srv-77"', body)
        self.assertIn('name="_review"', body)

    def test_a_machine_that_netbox_may_have_is_offered_as_that(self):
        device = a_device(self.world, 'planned-7', serial='CK1RM22', macs=('02:00:00:00:00:01',))
        body = self.body(self.client.get(self.url('')))
        self.assertIn('It has the same serial number.', body)
        self.assertIn('has none of the MAC addresses', body)
        body = self.body(self.client.get(self.url(), {'device': device.pk}))
        self.assertIn('name="way" value="known"', body)
        _, answer = self.review(way='known', device=device.pk)
        self.client.post(self.url(), {**answer, '_confirm': ''})
        self.assertEqual(Machine.objects.get().device, device)

    def test_whoever_may_not_change_the_machine_does_not_come_here(self):
        self.user.is_superuser = False
        self.user.save()
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.client.get(self.url()).status_code, 403)
        self.assertEqual(self.client.post(self.url(), self.form(_review='')).status_code, 403)
        self.assertNotIn(self.url(), self.body(self.client.get(self.url(''))))

    def test_what_a_machine_says_cannot_become_html(self):
        FactSet.objects.update(data=server(system__product='<script>alert(1)</script>', disks__0__model='{{ 7 }}<b>'))
        for response in (
            self.client.get(self.url('')),
            self.client.get(self.url('facts')),
            self.client.get(self.url()),
        ):
            self.assertNotIn('<script>alert(1)', self.body(response))
        body, _ = self.review()
        self.assertNotIn('<script>alert(1)', body)
        self.assertIn('&lt;script&gt;', body)


class Facts(Pages):
    def setUp(self):
        super().setUp()
        self.device = a_device(self.world, 'srv-7', serial='OLD', macs=(NICS[0],))

    def adopt(self):
        Machine.objects.filter(pk=self.machine.pk).update(device=self.device, state='registered')

    def test_facts_can_be_read(self):
        body = self.body(self.client.get(self.url('facts')))
        for words in ('Intel(R) Xeon(R) Gold 6326', 'HMA84GR7DJR4N-XN', '1.9 TB', 'S64GNE0R500101', 'Ethernet7',
                      'leaf-17a.example.com', '25000 Mbit/s', 'smartctl /dev/sdb'):  # fmt: skip
            self.assertIn(words, body)

    def test_what_could_not_be_read_is_said(self):
        FactSet.objects.update(data=server(memory='much'))
        self.assertIn('memory: an object is expected', self.body(self.client.get(self.url('facts'))))

    def test_differences_are_accepted_one_by_one(self):
        self.adopt()
        body = self.body(self.client.get(self.url('facts')))
        self.assertIn('<span class="text-decoration-line-through">OLD</span> → CK1RM22', body)
        confirm = re.search(r'name="confirm" value="([0-9a-f]+)"', body)[1]
        response = self.client.post(self.url('facts'), {'confirm': confirm, 'accept': ['device:serial']}, follow=True)
        self.assertIn('0 objects made, 1 changed, 0 removed', self.body(response))
        self.device.refresh_from_db()
        self.assertEqual((self.device.serial, self.device.interfaces.count()), ('CK1RM22', 1))
        again = self.client.post(self.url('facts'), {'confirm': confirm, 'accept': ['interface:eno2']}, follow=True)
        self.assertIn('Look again', self.body(again))

    def test_nothing_is_ticked_until_somebody_does(self):
        self.adopt()
        self.assertNotRegex(self.body(self.client.get(self.url('facts'))), r'name="accept"[^>]*\schecked')

    def test_who_may_not_view_facts_has_no_tab(self):
        self.user.is_superuser = False
        self.user.save()
        self.add_permissions('netbox_substruct.view_machine')
        self.assertEqual(self.client.get(self.url('facts')).status_code, 403)
        self.assertNotIn('Intel', self.body(self.client.get(self.url(''))))

    def test_who_may_only_view_accepts_nothing(self):
        self.adopt()
        self.user.is_superuser = False
        self.user.save()
        self.add_permissions('netbox_substruct.view_machine', 'netbox_substruct.view_factset', 'dcim.view_device')
        body = self.body(self.client.get(self.url('facts')))
        self.assertIn('CK1RM22', body)
        self.assertNotIn('name="accept"', body)
        response = self.client.post(self.url('facts'), {'confirm': 'x', 'accept': ['device:serial']})
        self.assertIn(response.status_code, (302, 403))
        self.device.refresh_from_db()
        self.assertEqual(self.device.serial, 'OLD')
