"""Rules that adopt and build by themselves when facts are delivered: never the wrong machine, no facts lost."""

from unittest import mock

from django.db import OperationalError

from core.models import ObjectChange
from dcim.models import Device
from extras.models import ConfigTemplate

from netbox_substruct.discovery import automatic
from netbox_substruct.models import BootImage, Build, DiscoveryRule, FactSet, Machine, ProfileTemplate

from ..reports.world import reporter
from .world import SERIAL, UUID, a_device, a_world, server

OK = ('ok', '')


class Automatic(reporter()):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.boot_server = cls.world.boot_server
        cls.rule = DiscoveryRule.objects.create(
            name='Dell', condition={'system.manufacturer': 'Dell*'}, role=cls.world.role, profile=cls.world.profile,
            host_name_template='srv-{{ serial | lower }}', adopt_at_once=True,
        )  # fmt: skip

    def report(self, key='1', *, serial=SERIAL, uuid=UUID, **changes):
        import time

        data = server(system__serial=serial, chassis__serial=serial, system__uuid=uuid, **changes)
        return {
            'type': 'facts', 'key': key, 'time': time.time(), 'data': data,
            'identity': {'uuid': uuid, 'serial': serial, 'macs': []},
        }  # fmt: skip

    def change_rule(self, **fields):
        DiscoveryRule.objects.filter(pk=self.rule.pk).update(**fields)

    def the_machine(self):
        return Machine.objects.get()

    def test_a_machine_is_adopted_when_its_facts_arrive(self):
        self.assertEqual(self.deliver(self.report()), [OK])
        machine = self.the_machine()
        self.assertEqual(
            (machine.name, machine.state, machine.discovery_rule), ('srv-ck1rm22', 'registered', self.rule)
        )
        self.assertEqual((machine.profile, machine.discovery_problem), (self.world.profile, ''))
        self.assertEqual(machine.device.inventoryitems.count(), 12)
        change = ObjectChange.objects.get(
            changed_object_type__model='device', action='create', object_repr__contains='srv'
        )
        self.assertEqual(change.user, self.user)

    def test_it_stays_that_machine(self):
        self.deliver(self.report('1'), self.report('2', disks=[]))
        self.assertEqual((Machine.objects.count(), Device.objects.filter(name='srv-ck1rm22').count()), (1, 1))
        self.assertEqual(FactSet.objects.count(), 2)

    def test_a_rule_that_does_not_say_so_adopts_nothing(self):
        self.change_rule(adopt_at_once=False)
        self.deliver(self.report())
        self.assertEqual((self.the_machine().state, self.the_machine().discovery_problem), ('discovered', ''))

    def test_a_machine_that_netbox_may_have_is_left_to_a_person(self):
        a_device(self.world, 'planned-7', serial=SERIAL)
        self.assertEqual(self.deliver(self.report()), [OK])
        machine = self.the_machine()
        self.assertEqual(machine.state, 'discovered')
        self.assertIn('may be one that NetBox has already', machine.discovery_problem)

    def test_a_rule_that_was_switched_off_meanwhile_takes_none(self):
        real = automatic.rules.rule_for

        def rule_for(facts):
            found = real(facts)
            self.change_rule(enabled=False)
            return found

        with mock.patch.object(automatic.rules, 'rule_for', rule_for):
            self.assertEqual(self.deliver(self.report()), [OK])
        self.assertEqual((self.the_machine().state, self.the_machine().discovery_problem), ('discovered', ''))

    def test_the_rule_that_takes_it_is_the_one_that_says_what_it_becomes(self):
        real = automatic.rules.rule_for

        def rule_for(facts):
            found = real(facts)
            DiscoveryRule.objects.get_or_create(name='First', priority=1, host_name_template='other')
            return found

        with mock.patch.object(automatic.rules, 'rule_for', rule_for):
            self.deliver(self.report())
        self.assertEqual((self.the_machine().name, self.the_machine().discovery_rule), ('srv-ck1rm22', self.rule))

    def test_facts_whose_taking_was_stopped_before_the_rules_were_asked_are_asked_about_when_they_come_again(self):
        report = self.report()
        with (
            mock.patch.object(automatic, 'adopt_by_rule', side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            self.deliver(report)
        self.assertEqual(self.the_machine().state, 'discovered')
        self.assertEqual(self.deliver(report), [('duplicate', '')])
        self.assertEqual(self.the_machine().state, 'registered')

    def test_what_is_missing_is_written_down_with_the_machine(self):
        self.change_rule(role=None)
        self.assertEqual(self.deliver(self.report()), [OK])
        self.assertEqual(self.the_machine().discovery_problem, 'No rule could adopt it. Choose a role.')
        self.change_rule(role=self.world.role)
        self.deliver(self.report('2', disks=[]))
        self.assertEqual((self.the_machine().state, self.the_machine().discovery_problem), ('registered', ''))

    def test_a_host_name_that_cannot_be_made_is_no_reason_to_take_another(self):
        self.change_rule(host_name_template='{{ system.version }}')
        self.deliver(self.report())
        self.assertIn('host name template of the discovery rule Dell', self.the_machine().discovery_problem)
        self.assertEqual(self.the_machine().state, 'discovered')

    def test_a_name_that_is_taken_is_said(self):
        a_device(self.world, 'srv-ck1rm22')
        self.deliver(self.report())
        self.assertIn('must be unique', self.the_machine().discovery_problem)

    def test_no_more_than_its_limit(self):
        self.change_rule(limit=1)
        other = self.report('2', serial='OTHER1', uuid='11111111-2222-4333-8444-555555555555', interfaces=[],
                            chassis__asset_tag=None, system__asset_tag=None)  # fmt: skip
        self.assertEqual(self.deliver(self.report('1'), other), [OK, OK])
        self.assertEqual(sorted(Machine.objects.values_list('state', flat=True)), ['discovered', 'registered'])

    def test_an_error_that_nobody_foresaw_costs_no_facts(self):
        with (
            mock.patch.object(automatic.adoption, 'propose', side_effect=ZeroDivisionError('x')),
            self.assertLogs('netbox.substruct.discovery', 'ERROR'),
        ):
            self.assertEqual(self.deliver(self.report()), [OK])
        self.assertEqual(FactSet.objects.count(), 1)
        self.assertEqual(self.the_machine().discovery_problem, 'No rule could adopt it. ZeroDivisionError: x')

    def test_a_database_in_trouble_is_asked_once_more(self):
        real = automatic.adoption.propose
        outcomes = [OperationalError('deadlock detected')]

        def propose(*args, **kwargs):
            if outcomes:
                raise outcomes.pop()
            return real(*args, **kwargs)

        with mock.patch.object(automatic.adoption, 'propose', propose):
            self.assertEqual(self.deliver(self.report()), [OK])
        self.assertEqual(self.the_machine().state, 'registered')

    def buildable(self):
        image = BootImage.objects.create(name='debian', kernel_url='http://h/linux', kernel_sha256='a' * 64)
        template = ConfigTemplate.objects.create(name='t', template_code='#!ipxe\nboot\n')
        ProfileTemplate.objects.create(profile=self.world.profile, kind='ipxe', config_template=template)
        type(self.world.profile).objects.filter(pk=self.world.profile.pk).update(boot_image=image)

    def test_a_rule_may_build_at_once(self):
        self.buildable()
        self.change_rule(adopt_at_once=False, build_at_once=True)
        self.deliver(self.report())
        self.assertEqual((self.the_machine().state, Build.objects.get().machine), ('building', self.the_machine()))

    def test_a_build_that_cannot_be_does_not_undo_the_adoption(self):
        self.change_rule(build_at_once=True)
        self.deliver(self.report())
        self.assertEqual(self.the_machine().state, 'registered')
        self.assertIn('adopted it, but it could not be built', self.the_machine().discovery_problem)
        self.assertEqual(Build.objects.count(), 0)
