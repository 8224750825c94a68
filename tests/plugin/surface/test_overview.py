"""The overview and the dashboard's widgets: what they count, for whom, and at what cost."""

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dcim.models import Device
from extras.dashboard.utils import get_widget_class
from extras.models import Dashboard
from utilities.testing import TestCase

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import BootServer, Build, Machine
from netbox_substruct.overview import reading

from .world import a_world, permit

URL = '/plugins/substruct/overview/'


def ended(machine, state, *, minutes=10, days_ago=0, error=''):
    """A build as it stands in the history, and its machine as it left it."""
    finished = timezone.now() - timedelta(days=days_ago)
    build = Build.objects.create(
        machine=machine, profile=machine.profile, state=state, error=error,
        started=finished - timedelta(minutes=minutes), finished=finished,
    )  # fmt: skip
    left = {'complete': 'built', 'failed': 'failed', 'stalled': 'failed'}.get(state, 'registered')
    Machine.objects.filter(pk=machine.pk).update(state=left)
    return build


class Overview(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = a_world()
        cls.a1, cls.a2, cls.b1 = cls.world.register()

    def page(self):
        response = self.client.get(URL)
        self.assertHttpStatus(response, 200)
        return response.content.decode()

    def see(self, *models):
        for model in models:
            permit(self.user, model, 'view')


class WhatIsCounted(Overview):
    def test_machines_in_each_state_link_to_their_list(self):
        self.see(Machine)
        Machine.objects.filter(pk=self.b1.pk).update(state='failed')
        page = self.page()
        self.assertEqual(
            {s: n for s, n in reading.states(Machine.objects.all()).items() if n}, {'registered': 2, 'failed': 1}
        )
        self.assertIn('/plugins/substruct/machines/?state=failed', page)

    def test_builds_that_are_under_way_are_those_without_an_end(self):
        self.see(Machine, Build)
        running = builds.request(self.a1)
        builds.record(running, 'progress', progress=40)
        ended(self.a2, 'complete')
        found = reading.under_way(Build.objects.all(), 10)
        self.assertEqual(([build.pk for build in found.rows], found.total), ([running.pk], 1))
        page = self.page()
        self.assertIn(f'/plugins/substruct/builds/{running.pk}/', page)
        self.assertIn('aria-valuenow="40"', page)

    def test_a_row_more_than_is_shown_is_counted(self):
        for machine in (self.a1, self.a2, self.b1):
            builds.request(machine)
        found = reading.under_way(Build.objects.all(), 2)
        self.assertEqual((len(found.rows), found.total, found.more), (2, 3, 1))

    def test_a_failure_is_there_until_a_newer_build_answers_it(self):
        failed = ended(self.a1, 'failed', error='No mirror could be reached')
        self.see(Build)
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [failed])
        self.assertIn('No mirror could be reached', self.page())
        builds.request(Machine.objects.get(pk=self.a1.pk))
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [])
        self.assertEqual(reading.answered(Build.objects.all(), reading.begin(7)), 1)

    def test_a_failure_is_there_until_somebody_sets_it_aside(self):
        ended(self.a1, 'failed')
        permit(self.user, Machine, 'view', 'change')
        self.see(Build)
        url = f'/plugins/substruct/machines/{self.a1.pk}/set-aside/'
        self.assertIn(url, self.page())
        self.assertHttpStatus(self.client.post(url, {'confirm': True}), 302)
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [])
        self.assertEqual(Machine.objects.get(pk=self.a1.pk).state, 'registered')

    def test_a_build_that_stalled_is_there_until_something_else_is_decided(self):
        stalled = ended(self.a1, 'stalled')
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [stalled])
        machines.move(Machine.objects.get(pk=self.a1.pk), 'registered')
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [])

    def test_failures_of_retired_machines_are_nobodys_concern(self):
        ended(self.a1, 'failed')
        ended(self.a2, 'stalled')
        Machine.objects.update(state='retired')
        self.assertEqual(reading.failures(Build.objects.all(), 10).rows, [])

    def test_builds_per_day_leave_no_day_out(self):
        for state, days_ago in (('complete', 0), ('complete', 2), ('failed', 2), ('stalled', 2), ('cancelled', 1)):
            ended(self.a1, state, days_ago=days_ago)
        ended(self.a1, 'complete', days_ago=9)
        days = reading.per_day(Build.objects.all(), 7)
        self.assertEqual(len(days), 7)
        self.assertEqual(days[-1].day, timezone.localdate())
        self.assertEqual(
            [(day.complete, day.failed, day.cancelled) for day in days[-3:]], [(1, 2, 0), (0, 0, 1), (1, 0, 0)]
        )

    def test_half_and_nine_of_ten_builds_of_a_model_and_of_a_site(self):
        for minutes in range(1, 12):  # 1 … 11: the median is 6, the 90th percentile 10
            ended(self.a1, 'complete', minutes=minutes)
        ended(self.b1, 'complete', minutes=60)
        ended(self.a1, 'failed', minutes=600)
        by_site = reading.durations_by_site(Build.objects.all(), type(self.world.sites[0]).objects.all(), 30)
        self.assertEqual(
            [(row.object, row.builds, row.p50, row.p90) for row in by_site],
            [
                (self.world.sites[0], 11, timedelta(minutes=6), timedelta(minutes=10)),
                (self.world.sites[1], 1, timedelta(minutes=60), timedelta(minutes=60)),
            ],
        )
        self.user.is_superuser = True
        self.user.save()
        page = self.page()
        self.assertIn('Acme S1', page)
        self.assertIn('1h', page)

    def test_boot_servers_are_listed_the_worst_first(self):
        now = timezone.now()
        for name, fields in {
            'a-fine': {'last_heartbeat': now},
            'b-away': {'status': 'maintenance', 'last_heartbeat': now},
            'c-drifted': {'last_heartbeat': now, 'out_of_step': [{'severity': 'error'}, {'severity': 'warning'}],
                          'drifted': now - timedelta(hours=3)},
            'd-lost': {'last_heartbeat': now - timedelta(hours=1), 'lost': now - timedelta(minutes=58)},
            'e-new': {},
            'f-down': {'last_heartbeat': now, 'services': [{'name': 'dhcp', 'state': 'down',
                                                           'planned': {'add': 3, 'change': 1, 'remove': 0}}]},
        }.items():  # fmt: skip
            BootServer.objects.create(name=name, base_url='http://10.0.0.2', **fields)
        found = reading.boot_servers(BootServer.objects.all())
        self.assertEqual(
            [(each.boot_server.name, each.health) for each in found],
            [
                ('d-lost', 'lost'), ('c-drifted', 'out-of-step'), ('f-down', 'out-of-step'), ('e-new', 'silent'),
                ('a-fine', 'in-step'), ('b-away', 'not-active'),
            ],
        )  # fmt: skip
        self.assertEqual((found[1].errors, found[1].warnings, found[2].pending), (1, 1, 4))
        self.see(BootServer)
        page = self.page()
        for words in ('Lost', 'Out of step', 'degraded or down: DHCP', '1 error', '4 changes to be applied'):
            self.assertIn(words, page)


class ForWhom(Overview):
    def test_who_is_not_signed_in_is_asked_to(self):
        self.client.logout()
        for url in (URL, f'{URL}now/'):
            self.assertHttpStatus(self.client.get(url), 302)

    def test_who_may_view_nothing_is_told_so(self):
        ended(self.a1, 'failed', error='No mirror')
        BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        page = self.page()
        self.assertIn('Ask an administrator', page)
        for words in ('No mirror', 'boot-1', '?state='):
            self.assertNotIn(words, page)
        self.assertHttpStatus(self.client.get(f'{URL}now/'), 403)

    def test_an_operator_of_one_site_sees_that_site_alone(self):
        for machine in (self.a1, self.b1):
            ended(machine, 'complete')
            ended(machine, 'failed', error=f'Error of {machine}')
            builds.request(Machine.objects.get(pk=machine.pk))
        ended(self.a2, 'failed', error='Error of a-2')
        ended(self.b1, 'failed', error='Error of b-1')
        mine, there = 'device__site__slug', 'machine__device__site__slug'
        permit(self.user, Machine, 'view', **{mine: 'site-a'})
        permit(self.user, Build, 'view', **{there: 'site-a'})
        permit(self.user, type(self.world.sites[0]), 'view')
        page = self.page()
        self.assertIn('a-1', page)
        self.assertIn('Error of a-2', page)
        self.assertNotRegex(page, r'[> ]b-1\b')
        self.assertNotIn('Site B', page)
        self.assertIn('Complete: 1', page)
        live = self.client.get(f'{URL}now/').content.decode()
        self.assertIn('a-1', live)
        self.assertNotRegex(live, r'[> ]b-1\b')

    def test_names_of_sites_and_models_are_for_those_who_may_view_them(self):
        ended(self.a1, 'complete')
        self.see(Build)
        page = self.page()
        self.assertNotIn('Site A', page)
        self.assertNotIn('Acme S1', page)

    def test_what_one_may_not_do_is_not_offered(self):
        ended(self.a1, 'failed')
        ended(self.b1, 'failed')
        stalled = ended(self.a2, 'stalled')
        self.see(Machine, Build)
        page = self.page()
        for action in ('/build/', '/set-aside/', '/cancel/'):
            self.assertNotIn(action, page)
        permit(self.user, Machine, 'build', 'change', device__site__slug='site-a')
        permit(self.user, Build, 'cancel')
        page = self.page()
        for path in (
            f'machines/{self.a1.pk}/build/', f'machines/{self.a1.pk}/set-aside/', f'builds/{stalled.pk}/cancel/',
        ):  # fmt: skip
            self.assertIn(f'/plugins/substruct/{path}', page)
        for path in (f'machines/{self.b1.pk}/build/', f'machines/{self.b1.pk}/set-aside/'):
            self.assertNotIn(path, page)


class AtWhatCost(Overview):
    def fill(self, machine, number):
        ended(machine, 'complete', days_ago=number % 5)
        BootServer.objects.create(name=f'boot-{machine.pk}', base_url='http://10.0.0.2')
        if number % 2:
            ended(machine, 'failed')
        else:
            builds.request(Machine.objects.get(pk=machine.pk))

    def count(self):
        self.client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            self.page()
        return len(queries)

    def test_the_number_of_queries_does_not_grow(self):
        self.user.is_superuser = True
        self.user.save()
        for number, machine in enumerate((self.a1, self.a2)):
            self.fill(machine, number)
        before = self.count()
        first = self.world.devices[0]
        for number in range(8):
            device = Device.objects.create(
                name=f'more-{number}', site=first.site, device_type=first.device_type, role=first.role, status='planned'
            )
            self.fill(Machine.objects.create(device=device, profile=self.world.profile), number)
        self.assertEqual(self.count(), before)
        self.assertLess(before, 40)


class Widgets(Overview):
    NAMES = ('MachineStatesWidget', 'BuildsNowWidget', 'FailuresWidget', 'BootServersWidget')

    def render(self, name, **config):
        request = self.client.get(URL).wsgi_request
        return get_widget_class(f'netbox_substruct.{name}')(config=config).render(request)

    def test_they_say_what_the_overview_says(self):
        self.user.is_superuser = True
        self.user.save()
        ended(self.a1, 'failed', error='No mirror')
        running = builds.request(self.a2)
        BootServer.objects.create(name='boot-1', base_url='http://10.0.0.2')
        self.assertIn('Failed', self.render('MachineStatesWidget'))
        self.assertIn(f'/builds/{running.pk}/', self.render('BuildsNowWidget'))
        self.assertIn('No mirror', self.render('FailuresWidget'))
        self.assertIn('Never heard of', self.render('BootServersWidget'))

    def test_they_are_configured_with_filters_and_what_to_show(self):
        self.user.is_superuser = True
        self.user.save()
        Machine.objects.filter(pk=self.b1.pk).update(state='failed')
        shown = self.render('MachineStatesWidget', filters={'site_id': [self.world.sites[1].pk]}, states=['failed'])
        self.assertIn(f'?site_id={self.world.sites[1].pk}&amp;state=failed', shown)
        self.assertIn('<strong>1</strong>', shown)
        self.assertNotIn('Registered', shown)
        builds.request(self.a1)
        here = {'site_id': [self.world.sites[0].pk]}
        self.assertIn('a-1', self.render('BuildsNowWidget', filters=here, rows=1))
        there = self.render('BuildsNowWidget', filters={'site_id': [self.world.sites[1].pk]})
        self.assertNotIn('a-1', there)
        self.assertIn(f'site_id={self.world.sites[1].pk}', there)  # what it fetches later is filtered too
        BootServer.objects.create(name='fine', base_url='http://10.0.0.2', last_heartbeat=timezone.now())
        self.assertIn('in step', self.render('BootServersWidget', only_bad=True))

    def test_filters_that_do_not_exist_are_refused_in_words(self):
        form = get_widget_class('netbox_substruct.MachineStatesWidget').ConfigForm
        for filters, words in (
            ('{"colour": "red"}', 'no such filter: colour'),
            ('[1]', 'no JSON object'),
            ('{"state": "gone"}', 'gone'),
        ):
            errors = form({'filters': filters}).errors
            self.assertIn(words, str(errors))
        self.assertTrue(form({'filters': '{"state": ["built"]}'}).is_valid())

    def test_who_may_not_view_sees_a_lock(self):
        ended(self.a1, 'failed', error='No mirror')
        for name in self.NAMES:
            self.assertIn('You may not view this', self.render(name))

    def test_they_stand_on_the_dashboard(self):
        dashboard = Dashboard(user=self.user)
        for name in self.NAMES:
            dashboard.add_widget(get_widget_class(f'netbox_substruct.{name}')())
        dashboard.save()
        self.see(Machine, Build, BootServer)
        response = self.client.get('/')
        self.assertContains(response, 'No build is under way')
        self.assertContains(response, 'Machines by State')


class Addresses(Overview):
    def test_the_address_of_the_plugin_leads_to_the_overview(self):
        self.assertRedirects(self.client.get('/plugins/substruct/'), URL, fetch_redirect_response=False)
        self.assertEqual(reverse('plugins:netbox_substruct:overview'), URL)
