"""The page of a build while one watches it, what changed since the last good one, and trying it again."""

import re
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from utilities.testing import TestCase

from netbox_substruct.lifecycle import builds
from netbox_substruct.models import Build, BuildArtifact, BuildEvent, Machine

from .world import a_world, permit

HTMX = {'HTTP_HX_REQUEST': 'true'}


class BuildPages(TestCase):
    user_permissions = ('netbox_substruct.view_machine', 'netbox_substruct.view_profile')

    def setUp(self):
        super().setUp()
        self.world = a_world()
        self.machines = self.world.register()
        self.machine, self.elsewhere = self.machines[0], self.machines[2]
        self.build = builds.request(self.machine)
        self.site_a = {'machine__device__site__slug': 'site-a'}

    def permit_viewing(self):
        permit(self.user, Build, 'view', **self.site_a)
        permit(self.user, BuildEvent, 'view', build__machine__device__site__slug='site-a')

    def url(self, action, build=None):
        return reverse(f'plugins:netbox_substruct:build_{action}', kwargs={'pk': (build or self.build).pk})

    def page(self, build=None):
        return self.client.get((build or self.build).get_absolute_url())

    def polled(self, page, part):
        """Where a page looks for news of a part, and how often; None where it does not."""
        found = re.search(rf'hx-get="([^"]*/{part}/[^"]*)" hx-trigger="every (\d+)s"', page.content.decode())
        return (found[1].replace('&amp;', '&'), int(found[2])) if found else None


class Watching(BuildPages):
    def setUp(self):
        super().setUp()
        self.permit_viewing()

    def news(self, url):
        return self.client.get(url, **HTMX)

    def test_nothing_is_sent_while_nothing_happens(self):
        url, _every = self.polled(self.page(), 'live')
        self.assertEqual(self.news(url).status_code, 204)

    def test_what_happens_is_sent_with_the_state_and_where_to_look_next(self):
        url, _every = self.polled(self.page(), 'live')
        builds.record(self.build, 'config-fetched', message='user-data')
        answer = self.news(url)
        self.assertContains(answer, 'Installing')
        self.assertContains(answer, 'user-data')
        self.assertNotContains(answer, '<html')
        self.assertEqual(answer['HX-Trigger'], 'substruct-build-moved')
        after, _every = self.polled(answer, 'live')
        self.assertNotEqual(after, url)
        self.assertEqual(self.news(after).status_code, 204)
        builds.record(self.build, 'progress', progress=40, message='40% of the packages')
        answer = self.news(after)
        self.assertContains(answer, '40%')
        self.assertNotIn('HX-Trigger', answer)

    def test_looking_stops_by_itself_when_the_build_has_ended(self):
        permit(self.user, Build, 'cancel')
        permit(self.user, Machine, 'build')
        page = self.page()
        self.assertContains(page, self.url('cancel'))
        self.assertNotContains(page, self.url('retry'))
        url, _every = self.polled(page, 'live')
        builds.record(self.build, 'failed', message='No mirror could be reached', log='tail of it')
        answer = self.news(url)
        self.assertContains(answer, 'No mirror could be reached')
        self.assertIsNone(self.polled(answer, 'live'))
        self.assertNotContains(answer, self.url('cancel'))
        self.assertContains(answer, self.url('retry'))
        self.assertContains(answer, self.url('changes'))

    def test_a_stalled_build_is_looked_at_seldom_because_it_may_be_heard_of_again(self):
        builds.record(self.build, 'kernel-fetched')
        builds.record(self.build, 'stalled', message='Nothing was heard for 60 minutes')
        url, every = self.polled(self.page(), 'live')
        self.assertGreater(every, 5)
        builds.record(self.build, 'progress', progress=50)
        answer = self.news(url)
        self.assertContains(answer, 'Installing')
        self.assertLess(self.polled(answer, 'live')[1], 5)

    def test_logs_stand_in_one_place_and_new_ones_are_added(self):
        builds.record(self.build, 'note', message='log', log='first <line>\n')
        page = self.page()
        self.assertContains(page, 'first &lt;line&gt;')
        url, _every = self.polled(page, 'log')
        self.assertEqual(self.news(url).status_code, 204)
        builds.record(self.build, 'note', message='log', log='second line\n')
        answer = self.news(url)
        self.assertContains(answer, 'second line')
        self.assertNotContains(answer, 'first')
        builds.record(self.build, 'finished')
        answer = self.news(self.polled(answer, 'log')[0])
        self.assertIsNone(self.polled(answer, 'log'))

    def test_of_a_long_log_the_end_is_shown(self):
        builds.record(self.build, 'note', message='log', log='begin\n' + 'x' * 60_000 + '\nend')
        page = self.page()
        self.assertContains(page, 'Only its end is shown.')
        self.assertContains(page, 'x\nend')

    def test_who_is_not_signed_in_any_more_gets_the_page_anew(self):
        url, _every = self.polled(self.page(), 'live')
        self.client.logout()
        answer = self.news(url)
        self.assertEqual((answer.status_code, answer['HX-Refresh']), (204, 'true'))

    def test_a_build_that_was_deleted_gets_the_page_anew(self):
        url, _every = self.polled(self.page(), 'live')
        builds.cancel(self.build)
        self.build.delete()
        self.assertEqual(self.news(url)['HX-Refresh'], 'true')
        self.assertEqual(self.client.get(url).status_code, 404)

    def test_builds_of_another_site_are_not_shown(self):
        other = builds.request(self.elsewhere)
        for part in ('live', 'log', 'changes', 'retry'):
            permit(self.user, Machine, 'build')
            self.assertEqual(self.client.get(self.url(part, other)).status_code, 404, part)
            self.assertNotEqual(self.client.get(self.url(part)).status_code, 404, part)

    def test_events_and_logs_are_shown_to_those_who_may_view_them_only(self):
        builds.record(self.build, 'note', message='a note', log='what it wrote')
        self.user.object_permissions.filter(object_types__model='buildevent').delete()
        page = self.page()
        self.assertContains(page, 'Pending')
        for words in ('a note', 'what it wrote', 'Timeline'):
            self.assertNotContains(page, words)
        self.assertNotIn(b'what it wrote', self.client.get(self.url('log'), **HTMX).content)

    def test_the_page_costs_as_much_with_many_events_as_with_few(self):
        def cost(url, **extra):
            with CaptureQueriesContext(connection) as queries:
                self.assertEqual(self.client.get(url, **extra).status_code, 200)
            return len(queries)

        def events(number):
            now = timezone.now()
            for each in range(number):
                builds.record(self.build, 'note', message=f'{each}', log='x', time=now + timedelta(seconds=each))

        events(1)
        urls = (self.build.get_absolute_url(), self.url('live'), self.url('log'))
        self.page()
        few = [cost(url) for url in urls]
        events(10)
        self.assertEqual([cost(url) for url in urls], few)


class Changes(BuildPages):
    def setUp(self):
        super().setUp()
        self.permit_viewing()
        builds.record(self.build, 'finished')

    def again(self, **parameters):
        self.machine.refresh_from_db()
        self.machine.parameters = parameters
        self.machine.save()
        return builds.request(self.machine)

    def test_it_says_what_differs_from_the_last_good_build(self):
        permit(self.user, BuildArtifact, 'view')
        permit(self.user, Machine, 'preview')
        page = self.client.get(self.url('changes', self.again(owner='<b>db</b>')))
        self.assertContains(page, self.build.get_absolute_url())
        self.assertContains(page, '-echo a-1 of web — ü')
        self.assertContains(page, '+echo a-1 of &lt;b&gt;db&lt;/b&gt; — ü')
        self.assertContains(page, 'parameters.owner')
        self.assertNotContains(page, 'build.id')

    def test_artifacts_and_values_are_shown_to_those_who_may_see_them(self):
        later = self.again(owner='db')
        page = self.client.get(self.url('changes', later))
        for words in ('echo', 'parameters.owner'):
            self.assertNotContains(page, words)
        permit(self.user, BuildArtifact, 'view', build__machine__device__site__slug='site-a')
        page = self.client.get(self.url('changes', later))
        self.assertContains(page, 'echo')
        self.assertNotContains(page, 'parameters.owner')
        permit(self.user, Machine, 'preview')
        self.assertContains(self.client.get(self.url('changes', later)), 'parameters.owner')

    def test_builds_that_are_the_same_are_said_to_be(self):
        permit(self.user, BuildArtifact, 'view')
        permit(self.user, Machine, 'preview')
        page = self.client.get(self.url('changes', self.again()))
        self.assertContains(page, 'byte for byte')
        self.assertContains(page, 'Nothing differs.')

    def test_without_an_earlier_good_build_it_says_so(self):
        self.assertContains(self.client.get(self.url('changes')), 'no complete build before this one')

    def test_any_other_build_of_the_machine_can_be_compared_with_and_none_of_another(self):
        permit(self.user, BuildArtifact, 'view')
        first = self.again(owner='db')
        builds.record(first, 'failed', message='no')
        second = self.again(owner='db')
        other = builds.request(self.elsewhere)
        page = self.client.get(f'{self.url("changes", second)}?against={first.pk}')
        self.assertContains(page, 'byte for byte')
        for wrong in (other.pk, 'x', second.pk):
            page = self.client.get(f'{self.url("changes", second)}?against={wrong}')
            self.assertNotContains(page, other.get_absolute_url())


class Retrying(BuildPages):
    def setUp(self):
        super().setUp()
        self.permit_viewing()
        builds.record(self.build, 'failed', message='No mirror could be reached')

    def test_it_asks_again_with_the_same_profile(self):
        permit(self.user, Machine, 'build')
        page = self.client.get(self.url('retry'))
        for words in ('Debian', 'as they are now', 'erased'):
            self.assertContains(page, words)
        answer = self.client.post(self.url('retry'), {'confirm': True, 'description': 'mirror mended'})
        later = Build.objects.latest('pk')
        self.assertNotEqual(later, self.build)
        self.assertEqual(
            (later.machine, later.profile, later.state, later.requested_by, later.description),
            (self.machine, self.world.profile, 'pending', self.user, 'mirror mended'),
        )
        self.assertRedirects(answer, later.get_absolute_url(), fetch_redirect_response=False)

    def test_it_takes_the_permission_on_that_machine(self):
        self.assertEqual(self.client.get(self.url('retry')).status_code, 403)
        permit(self.user, Machine, 'build', device__site__slug='site-b')
        self.assertEqual(self.client.get(self.url('retry')).status_code, 403)
        self.assertEqual(self.client.post(self.url('retry'), {'confirm': True}).status_code, 403)
        self.assertNotContains(self.page(), self.url('retry'))
        self.assertEqual(Build.objects.count(), 1)

    def test_an_active_device_takes_its_name(self):
        permit(self.user, Machine, 'build')
        self.machine.device.status = 'active'
        self.machine.device.save()
        self.assertContains(self.client.get(self.url('retry')), 'has the status active')
        page = self.client.post(self.url('retry'), {'confirm': True, 'override': 'wrong'})
        self.assertContains(page, 'give its exact name as the override')
        self.assertEqual(Build.objects.count(), 1)
        self.client.post(self.url('retry'), {'confirm': True, 'override': 'a-1'})
        self.assertEqual(Build.objects.count(), 2)

    def test_only_the_last_build_that_did_not_succeed_is_tried_again(self):
        permit(self.user, Machine, 'build')
        later = builds.request(self.machine)
        for build in (self.build, later):
            self.assertNotContains(self.page(build), self.url('retry', build))
            self.client.post(self.url('retry', build), {'confirm': True})
        builds.record(later, 'finished')
        self.client.post(self.url('retry', later), {'confirm': True})
        self.assertEqual(Build.objects.count(), 2)
