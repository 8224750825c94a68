"""What a user may not view is not named either: in candidates, reviews and differences, over pages and the API."""

from django.test import TestCase

from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, MACAddress, Site
from ipam.models import IPAddress
from users.models import User

from netbox_substruct.discovery import adoption, difference, matching
from netbox_substruct.lifecycle import machines
from netbox_substruct.models import FactSet, Machine, Profile

from ..surface.world import permit
from .test_api import Calls
from .test_pages import Pages
from .world import NICS, a_device, a_world, discovered, server


class OfOneSite(TestCase):
    """Somebody who may do everything in Berlin, and knows nothing of Oslo."""

    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.oslo = Site.objects.create(name='Oslo', slug='osl')
        cls.machine = discovered()

    def setUp(self):
        user = User.objects.create_user('berliner')
        permit(user, Device, 'view', 'add', 'change', site__name='Berlin')
        for model in (Site, DeviceRole, DeviceType, Profile):
            permit(user, model, 'view')
        for model in (Interface, MACAddress, IPAddress, Cable, Machine, FactSet):
            permit(user, model, 'view', 'add', 'change')
        self.user = User.objects.get(pk=user.pk)

    def in_oslo(self, name='secret-osl', **fields):
        device = a_device(self.world, name, **fields)
        Device.objects.filter(pk=device.pk).update(site=self.oslo)
        return Device.objects.get(pk=device.pk)

    def text(self, *lines):
        return ' '.join(word for line in lines for word in (line.title, line.reason, *line.warnings))

    def propose(self, **changes):
        return adoption.propose(
            self.machine,
            adoption.Choices(name='srv-7', role=self.world.role.pk, site=self.world.site.pk, **changes),
            user=self.user,
        )

    def test_what_else_the_machine_may_be_is_said_without_its_name(self):
        here = a_device(self.world, 'planned-7', serial='CK1RM22')
        self.in_oslo(serial='CK1RM22')
        (candidate,) = matching.candidates(self.machine, user=self.user)
        self.assertEqual(candidate.object, here)
        self.assertEqual(candidate.contradictions, ['It could also be something that you may not view.'])
        line = next(line for line in self.propose().lines if line.key == 'device')
        self.assertIn('something that you may not view', self.text(line))
        self.assertNotIn('secret', self.text(*self.propose().lines))

    def test_who_else_has_an_address_is_not_named(self):
        other = self.in_oslo(macs=(NICS[0],), asset_tag='A-1001')
        IPAddress.objects.create(address='10.8.1.107/24', assigned_object=other.interfaces.get())
        IPAddress.objects.create(address='10.8.9.107/24', assigned_object=other.interfaces.get())
        proposal = self.propose(primary_ip='found')
        said = self.text(*proposal.lines) + ' '.join(proposal.notes)
        self.assertIn('NetBox has the MAC address d0:8e:79:bb:11:10 at something that you may not view', said)
        self.assertIn('is that of something that you may not view', said)
        self.assertNotIn('secret', said)

    def test_a_neighbour_elsewhere_is_not_looked_up(self):
        Device.objects.filter(pk=self.world.switch.pk).update(site=self.oslo)
        line = next(line for line in self.propose().lines if line.key == 'cable:eno1')
        self.assertFalse(line.acceptable)
        self.assertIn('or you may not view it', line.warnings[0])

    def test_where_a_cable_leads_is_not_said(self):
        device = a_device(self.world, 'srv-7', serial='CK1RM22', macs=NICS[:1])
        Machine.objects.filter(pk=self.machine.pk).update(device=device, state='registered')
        far = self.in_oslo(macs=('02:00:00:00:00:01',))
        Cable(a_terminations=[device.interfaces.get()], b_terminations=[far.interfaces.get()]).save()
        found = difference.difference(Machine.objects.get(), user=self.user)
        line = next(line for line in found.lines if line.key == 'cable:eno1')
        self.assertIn('leads to something that you may not view', line.warnings[0])

    def test_one_that_is_registered_as_a_machine_that_the_user_may_not_view(self):
        device = a_device(self.world, 'planned-7', serial='CK1RM22')
        registered = machines.register(device)
        self.user.object_permissions.filter(object_types__model='machine').delete()
        permit(self.user, Machine, 'view', 'change', pk=self.machine.pk)
        self.user = User.objects.get(pk=self.user.pk)
        (candidate,) = matching.candidates(self.machine, user=self.user)
        self.assertIsNone(candidate.machine)
        proposal = self.propose(device=device.pk)
        self.assertEqual(proposal.lines[0].not_permitted, ('netbox_substruct.change_machine',))
        self.assertTrue(proposal.problems)
        self.assertTrue(Machine.objects.filter(pk=registered.pk).exists())


class FactsOverTheAPI(Calls):
    def test_what_is_made_of_facts_takes_the_permission_to_view_them(self):
        self.add_permissions(
            'netbox_substruct.view_machine', 'netbox_substruct.change_machine', 'dcim.view_device', 'dcim.view_site'
        )
        for action in ('facts', 'difference', 'adopt'):
            with self.subTest(action):
                self.assertEqual(self.get(action)[0], 403)
        self.assertEqual(self.post('adopt')[0], 403)
        self.assertEqual(self.post('difference', accept=['machine:uuid'], confirm='x')[0], 403)
        permit(self.user, FactSet, 'view', source='salt')
        self.assertEqual(self.get('adopt')[0], 403)
        permit(self.user, FactSet, 'view', source='prospector')
        self.assertEqual(self.get('adopt')[0], 200)
        self.assertEqual(self.get('difference')[0], 200)

    def test_an_interface_that_is_not_there_is_not_replaced_by_another(self):
        self.everything()
        body = {'name': 'srv-7', 'role': self.world.role.pk}
        for mapping, words in (
            ({'eno1': 'gig9'}, 'There is no interface "gig9"'),
            ({'eno9': 'gig1'}, 'The machine has no port "eno9"'),
            ({'eno1': 'gig1', 'eno2': 'gig1'}, 'The interface "gig1" is chosen for several ports'),
        ):
            with self.subTest(words):
                status, proposal = self.post('adopt', **body, interfaces=mapping)
                self.assertEqual((status, [each['field'] for each in proposal['problems']]), (200, ['interfaces']))
                self.assertIn(words, proposal['problems'][0]['message'])
                status, answer = self.post('adopt', **body, interfaces=mapping, confirm=proposal['digest'])
                self.assertEqual((status, answer['code']), (422, 'incomplete'))
                self.assertFalse(Device.objects.filter(name='srv-7').exists())

    def test_what_is_asked_costs_a_fixed_number_of_queries(self):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.everything()
        self.get('adopt')
        with CaptureQueriesContext(
            connection,
        ) as asked:
            self.get('adopt')
        rules = [each for each in asked if 'FROM "netbox_substruct_discoveryrule"' in each['sql']]
        self.assertEqual(len(rules), 1)


class FactsOnPages(Pages):
    def test_who_may_not_view_facts_is_not_offered_to_adopt(self):
        self.user.is_superuser = False
        self.user.save()
        a_device(self.world, 'planned-7', serial='CK1RM22')
        self.add_permissions('netbox_substruct.view_machine', 'netbox_substruct.change_machine', 'dcim.view_device')
        body = self.body(self.client.get(self.url('')))
        self.assertIn('planned-7', body)
        self.assertNotIn(self.url(), body)
        self.assertEqual(self.client.get(self.url()).status_code, 403)
        self.assertEqual(self.client.post(self.url(), self.form(_review='')).status_code, 403)

    def test_facts_are_counted_for_who_looks(self):
        discovered(server(disks=[]))
        self.user.is_superuser = False
        self.user.save()
        permit(self.user, Machine, 'view')
        permit(self.user, FactSet, 'view', pk=FactSet.objects.first().pk)
        self.assertRegex(self.body(self.client.get(self.url(''))), r'(?s)Facts\s*<span class="badge[^>]*>\s*1\s*<')

    def test_who_may_not_change_this_machine_is_not_offered_to_adopt_it_as_another(self):
        self.user.is_superuser = False
        self.user.save()
        a_device(self.world, 'planned-7', serial='CK1RM22')
        permit(self.user, Machine, 'view')
        permit(self.user, Machine, 'change', serial='OTHER')
        permit(self.user, FactSet, 'view')
        permit(self.user, Device, 'view')
        for view in ('', 'facts'):
            body = self.body(self.client.get(self.url(view)))
            self.assertIn('planned-7', body)
            self.assertNotIn('Adopt as this', body)
