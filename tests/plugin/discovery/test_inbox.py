"""The discovery inbox: what it says of machines that wait, many adopted after one review, and rules that are tried."""

import json
import re
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext

from dcim.models import Device, DeviceRole, DeviceType
from utilities.testing import APITestCase, TestCase

from netbox_substruct.discovery import inbox, many, trying
from netbox_substruct.models import DiscoveryRule, FactSet, Machine

from ..surface.world import permit
from .world import NICS, a_device, a_world, another, discovered

INBOX = '/plugins/substruct/machines/inbox/'
ADOPT = '/plugins/substruct/machines/adopt/'
RULES = '/plugins/substruct/discovery-rules/'


class WithWorld(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()

    def administrator(self):
        self.user.is_superuser = True
        self.user.save()

    def body(self, response, status=200):
        self.assertHttpStatus(response, status)
        return response.content.decode()


class Inbox(WithWorld):
    def test_it_says_what_a_machine_is_and_where_it_showed_itself(self):
        self.administrator()
        discovered()
        page = self.body(self.client.get(INBOX))
        for words in (
            'PowerEdge R650', 'CK1RM22', '32 cores', '10.8.1.107/24', '10.8.1.0/24', 'boot-ber',
            'leaf-17a.example.com Ethernet7', 'new; no rule fits',
        ):  # fmt: skip
            self.assertIn(words, page)

    def test_it_names_what_a_machine_may_be_and_the_rule_that_fits(self):
        self.administrator()
        discovered()
        a_device(self.world, 'planned-7', serial='ck1rm22')
        a_device(self.world, 'planned-8', macs=(NICS[1],))
        DiscoveryRule.objects.create(name='Not for Dell', condition={'manufacturer': 'HP*'}, priority=1)
        DiscoveryRule.objects.create(
            name='Dells', condition={'manufacturer': 'Dell*'}, host_name_template='srv-{{ serial | lower }}'
        )
        page = self.body(self.client.get(INBOX))
        for words in ('planned-7', 'same serial number', 'planned-8', NICS[1], 'Dells', 'srv-ck1rm22'):
            self.assertIn(words, page)
        self.assertNotIn('Not for Dell', page)

    def test_it_teaches_while_nothing_waits(self):
        self.administrator()
        self.assertIn('where discovery is switched on in the subnet', self.body(self.client.get(INBOX)))

    def test_machines_that_are_known_do_not_wait(self):
        self.administrator()
        Machine.objects.create(device=a_device(self.world, 'known-1'))
        self.assertNotIn('known-1', self.body(self.client.get(INBOX)))

    def test_what_may_not_be_viewed_is_not_named(self):
        machine = discovered()
        a_device(self.world, 'planned-7', serial='CK1RM22')
        DiscoveryRule.objects.create(name='Dells', condition={'manufacturer': 'Dell*'})
        permit(self.user, Machine, 'view')
        page = self.body(self.client.get(INBOX))
        self.assertIn(f'/machines/{machine.pk}/', page)
        for words in ('32 cores', '10.8.1.107', 'boot-ber', 'planned-7', 'Dells', 'Adopt Selected'):
            self.assertNotIn(words, page)
        permit(self.user, FactSet, 'view')
        page = self.body(self.client.get(INBOX))
        self.assertIn('32 cores', page)
        self.assertIn('may be something that you may not view', page)
        self.assertIn('a rule that you may not view', page)
        for words in ('planned-7', 'Dells', 'boot-ber'):
            self.assertNotIn(words, page)

    def test_machines_of_others_are_not_there(self):
        mine, other = discovered(), another(1)
        permit(self.user, Machine, 'view', pk=mine.pk)
        page = self.body(self.client.get(INBOX))
        self.assertIn(f'/machines/{mine.pk}/', page)
        self.assertNotIn(f'/machines/{other.pk}/', page)

    def test_the_number_of_queries_does_not_grow(self):
        self.administrator()
        DiscoveryRule.objects.create(name='Dells', condition={'manufacturer': 'Dell*'})

        def count():
            self.client.get(INBOX)
            with CaptureQueriesContext(connection) as queries:
                self.body(self.client.get(INBOX))
            return len(queries)

        another(1)
        a_device(self.world, 'planned-1', serial='SER0001', macs=('d0:8e:79:bc:01:01',))
        before = count()
        for number in range(2, 11):
            another(number)
            a_device(self.world, f'planned-{number}', serial=f'SER{number:04}')
        self.assertEqual(count(), before)


class AdoptMany(WithWorld):
    def setUp(self):
        super().setUp()
        self.administrator()
        self.machines = [another(1), another(2)]
        DiscoveryRule.objects.create(name='Dells', host_name_template='srv-{{ serial | lower }}', role=self.world.role)

    def post(self, data=None, machines=None, **more):
        keys = [machine.pk for machine in machines or self.machines]
        return self.body(self.client.post(ADOPT, {'pk': keys, **(data or {}), **more}))

    def digests(self, page):
        return dict(re.findall(r'name="(digest:\d+)" value="([^"]+)"', page))

    def test_the_review_says_what_each_becomes_and_writes_nothing(self):
        before = Device.objects.count()
        page = self.post()
        for words in ('Device srv-ser0001 (new)', 'Device srv-ser0002 (new)', 'makes', 'Adopt 2 machines'):
            self.assertIn(words, page)
        self.assertEqual(len(self.digests(page)), 2)
        self.assertEqual(Device.objects.count(), before)

    def test_what_was_reviewed_is_done_for_each_by_itself(self):
        page = self.post(self.digests(self.post()), _confirm='1')
        self.assertIn('2 of 2 machines adopted', page)
        for machine in self.machines:
            machine.refresh_from_db()
            self.assertEqual(machine.state, 'registered')
        self.assertEqual(Device.objects.filter(name__startswith='srv-ser').count(), 2)

    def test_a_device_type_that_the_first_brings_does_not_stop_the_second(self):
        DeviceType.objects.filter(pk=self.world.device_type.pk).delete()
        page = self.post(self.digests(self.post()), _confirm='1')
        self.assertIn('2 of 2 machines adopted', page)
        self.assertEqual(DeviceType.objects.filter(model='PowerEdge R650').count(), 1)

    def test_one_that_netbox_may_have_is_left_out_and_said(self):
        a_device(self.world, 'planned-7', serial='SER0002')
        page = self.post()
        self.assertIn('It may be planned-7, which NetBox has already', page)
        self.assertIn('1 machine is ready', page)
        self.assertEqual(list(self.digests(page)), [f'digest:{self.machines[0].pk}'])

    def test_names_are_changed_and_two_cannot_have_one(self):
        first, second = self.machines
        names = {f'name:{first.pk}': 'web', f'name:{second.pk}': 'web'}
        page = self.post(names, _review='1')
        self.assertIn('Several of these machines would be called web', page)
        self.assertEqual(self.digests(page), {})
        names[f'name:{second.pk}'] = 'web-2'
        page = self.post(names, _review='1')
        self.assertIn('2 of 2', self.post(names | self.digests(page), _confirm='1'))
        self.assertEqual(Device.objects.filter(name__in=('web', 'web-2')).count(), 2)

    def test_a_role_is_said_for_all_that_have_none(self):
        DiscoveryRule.objects.all().delete()
        self.assertEqual(self.digests(self.post()), {})
        other = DeviceRole.objects.create(name='Web', slug='web')
        role = {'role': other.pk}
        page = self.post(role, _review='1')
        self.post(role | self.digests(page), _confirm='1')
        self.assertEqual(Device.objects.filter(role=other).count(), 2)

    def test_what_has_changed_since_is_refused_and_the_other_is_done(self):
        digests = self.digests(self.post())
        facts = FactSet.objects.get(machine=self.machines[0])
        facts.data['interfaces'].pop()
        facts.data['disks'] = []
        facts.save()
        page = self.post(digests, _confirm='1')
        self.assertIn('1 of 2 machines adopted', page)
        self.assertIn('have changed since', page)
        self.machines[0].refresh_from_db()
        self.assertEqual(self.machines[0].state, 'discovered')

    def test_it_needs_change_on_each_machine(self):
        first, second = self.machines
        self.user.is_superuser = False
        self.user.save()
        self.assertHttpStatus(self.client.post(ADOPT, {'pk': [first.pk]}), 403)
        permit(self.user, Machine, 'view', 'change', pk=first.pk)
        page = self.post()
        self.assertIn(f'name:{first.pk}"', page)
        self.assertIn('You may not view its facts', page)
        self.assertNotIn(f'name:{second.pk}"', page)
        self.assertEqual(self.digests(page), {})

    def test_many_is_many_and_not_all(self):
        with mock.patch.object(many, 'MOST', 1):
            page = self.post()
        self.assertIn('Only the first 1', page)


class DryRun(WithWorld):
    def setUp(self):
        super().setUp()
        self.administrator()
        self.machines = [another(1), another(2, memory__total_bytes=64 << 30, memory__modules=[])]
        self.rule = DiscoveryRule.objects.create(
            name='Large', condition={'memory.total_gib': [256, 251, 250]}, host_name_template='srv-{{ serial }}'
        )

    def of(self, trial, machine):
        return next(each for each in trial.machines if each.machine.id == machine.pk)

    def test_it_says_which_it_would_take_and_why_not_the_others(self):
        trial = trying.dry_run(self.rule, self.user)
        self.assertEqual((trial.examined, trial.matching, trial.taken), (2, 1, 1))
        self.assertEqual(self.of(trial, self.machines[0]).host_name, 'srv-SER0001')
        self.assertEqual(
            self.of(trial, self.machines[1]).why, ('memory.total_gib is 64, wanted is 256 or 251 or 250.',)
        )

    def test_a_rule_that_comes_first_and_a_limit_keep_machines_from_it(self):
        self.rule.condition = {}
        DiscoveryRule.objects.create(name='First', condition={'serial': 'SER0001'}, priority=1)
        trial = trying.dry_run(self.rule, self.user)
        self.assertEqual(self.of(trial, self.machines[0]).why, ('The rule First comes first.',))
        self.rule.priority, self.rule.limit = 0, 1
        trial = trying.dry_run(self.rule, self.user)
        self.assertEqual((trial.matching, trial.taken), (2, 1))

    def test_machines_that_are_known_match_and_are_not_taken(self):
        Machine.objects.filter(pk=self.machines[0].pk).update(device=a_device(self.world, 'known-1'), state='built')
        tried = self.of(trying.dry_run(self.rule, self.user), self.machines[0])
        self.assertEqual((tried.matches, tried.takes), (True, False))
        self.assertEqual(tried.machine.name, 'known-1')

    def test_a_template_that_gives_no_name_is_said(self):
        self.rule.host_name_template = '{{ nothing.at.all }}'
        self.assertIn('cannot be used', self.of(trying.dry_run(self.rule, self.user), self.machines[0]).why[0])

    def test_it_stands_on_the_page_of_the_rule(self):
        page = self.body(self.client.get(f'{RULES}{self.rule.pk}/dry-run/'))
        for words in ('Matches 1 of 2 machines', 'Takes it', 'srv-SER0001', 'wanted is 256'):
            self.assertIn(words, page)

    def test_it_stands_in_the_form_before_the_rule_is_saved(self):
        self.assertIn(f'{RULES}try/', self.body(self.client.get(f'{RULES}add/')))
        self.assertIn(f'{RULES}{self.rule.pk}/try/', self.body(self.client.get(f'{RULES}{self.rule.pk}/edit/')))
        form = {'name': 'New', 'priority': '100', 'condition': '{"serial": "SER0002"}', 'enabled': 'on'}
        page = self.body(self.client.post(f'{RULES}try/', form))
        self.assertIn('Matches 1 of 2 machines', page)
        page = self.body(self.client.post(f'{RULES}try/', form | {'condition': '{"a": {}}'}))
        self.assertIn('It cannot be tried', page)
        self.assertEqual(DiscoveryRule.objects.count(), 1)

    def test_only_what_may_be_viewed_is_tried(self):
        self.user.is_superuser = False
        self.user.save()
        permit(self.user, DiscoveryRule, 'view')
        self.assertHttpStatus(self.client.get(f'{RULES}{self.rule.pk}/dry-run/'), 403)
        self.assertHttpStatus(self.client.post(f'{RULES}try/', {}), 403)
        permit(self.user, Machine, 'view', pk=self.machines[1].pk)
        self.assertEqual(trying.dry_run(self.rule, self.user).examined, 0)
        permit(self.user, FactSet, 'view')
        user = type(self.user).objects.get(pk=self.user.pk)
        self.assertEqual(trying.dry_run(self.rule, user).examined, 1)
        self.assertHttpStatus(self.client.post(f'{RULES}try/', {'condition': '{}'}), 403)  # nobody may add

    def test_the_number_of_queries_does_not_grow(self):
        def count():
            with CaptureQueriesContext(connection) as queries:
                trying.dry_run(self.rule, self.user)
            return len(queries)

        before = count()
        for number in range(3, 10):
            another(number)
        self.assertEqual(count(), before)

    def test_entries_of_no_machines_are_none(self):
        self.assertEqual(inbox.entries([], self.user), {})


class ByAPI(APITestCase):
    def setUp(self):
        super().setUp()
        a_world()
        self.machine = another(1)
        self.rule = DiscoveryRule.objects.create(name='Dells', condition={'manufacturer': 'Dell*'})

    def test_rules_are_tried_before_and_after_they_are_saved(self):
        url = '/api/plugins/substruct/discovery-rules/'
        self.assertHttpStatus(self.client.get(f'{url}{self.rule.pk}/dry-run/', **self.header), 403)
        self.add_permissions('netbox_substruct.view_discoveryrule')
        answer = self.client.get(f'{url}{self.rule.pk}/dry-run/', **self.header)
        self.assertEqual(json.loads(answer.content)['examined'], 0)
        self.add_permissions('netbox_substruct.view_machine', 'netbox_substruct.view_factset')
        found = json.loads(self.client.get(f'{url}{self.rule.pk}/dry-run/', **self.header).content)
        self.assertEqual((found['matching'], found['taken']), (1, 1))
        rule = {'condition': {'manufacturer': 'HP*'}}
        self.assertHttpStatus(self.client.post(f'{url}dry-run/', rule, format='json', **self.header), 403)
        self.add_permissions('netbox_substruct.add_discoveryrule')
        found = json.loads(self.client.post(f'{url}dry-run/', rule, format='json', **self.header).content)
        self.assertEqual((found['examined'], found['matching']), (1, 0))
        self.assertEqual(found['machines'][0]['why'], ['manufacturer is "Dell Inc.", wanted is "HP*".'])
        bad = self.client.post(f'{url}dry-run/', {'condition': {'a': {}}}, format='json', **self.header)
        self.assertHttpStatus(bad, 400)
