"""Pages of waves: what is shown and offered to whom, from a list to a wave, and what a page costs."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dcim.models import Device, Rack
from utilities.testing import TestCase
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_substruct.models import Build, Machine, Wave, WaveMember
from netbox_substruct.waves import moves, running

from .world import a_wave, an_operator, end, permit, some_machines, states

APP = 'plugins:netbox_substruct'
CHOOSE = f'{APP}:machine_bulk_substruct_wave'


def url(name, *args):
    return reverse(f'{APP}:wave_{name}' if name else f'{APP}:wave', args=args)


class Operator(TestCase):
    """Somebody who may do everything with waves, and build the machines whose names begin with srv."""

    def setUp(self):
        super().setUp()
        permit(self.user, ('wave', 'wavemember'), ('view', 'add', 'change', 'delete'))
        permit(self.user, ('machine',), ('view', 'build'), device__name__startswith='srv')
        permit(self.user, ('build',), ('view', 'cancel'))

    def page(self, wave):
        response = self.client.get(wave.get_absolute_url())
        self.assertHttpStatus(response, 200)
        return response

    def buttons(self, wave):
        text = self.page(wave).content.decode()
        return [name for name in ('start', 'pause', 'resume', 'retry', 'stop') if f'id="wave-{name}"' in text]


class Actions(Operator):
    def test_a_wave_is_started_by_typing_its_name_and_only_then(self):
        wave = a_wave(2)
        self.assertEqual(self.buttons(wave), ['start'])
        wrong = self.client.post(url('start', wave.pk), {'confirm': True, 'name': 'wave'})
        self.assertContains(wrong, 'That is not the name of the wave')
        right = self.client.post(url('start', wave.pk), {'confirm': True, 'name': wave.name})
        self.assertRedirects(right, wave.get_absolute_url())
        wave.refresh_from_db()
        self.assertEqual((wave.state, wave.requested_by), ('running', self.user))

    def test_what_is_offered_follows_the_state(self):
        wave = a_wave(3, at_once=1, canaries=0)
        moves.start(wave, user=self.user)
        self.assertEqual(self.buttons(wave), ['pause', 'stop'])
        self.client.post(url('pause', wave.pk), {'confirm': True})
        self.assertEqual(self.buttons(wave), ['resume', 'stop'])
        self.client.post(url('resume', wave.pk), {'confirm': True})
        running.advance(wave.pk)
        end(wave, 'failed')
        running.advance(wave.pk)
        self.assertEqual(self.buttons(wave), ['resume', 'retry'])
        self.client.post(url('retry', wave.pk), {'confirm': True})
        running.advance(wave.pk)
        self.assertEqual(states(wave), 'bww')
        self.client.post(url('stop', wave.pk), {'confirm': True, 'cancel_builds': True})
        self.assertEqual(states(wave), 'cww')

    def test_the_live_part_says_what_the_page_says(self):
        wave = a_wave(2, at_once=1)
        moves.start(wave, user=self.user)
        running.advance(wave.pk)
        live = self.client.get(url('live', wave.pk), headers={'hx-request': 'true'})
        self.assertContains(live, '0 of 2 built')
        self.assertContains(live, 'hx-trigger="every 4s"')
        self.assertNotContains(live, '<html')
        Wave.objects.update(state='complete')
        WaveMember.objects.update(state='done')
        self.assertNotContains(self.client.get(url('live', wave.pk)), 'hx-trigger')

    def test_a_planned_wave_says_what_would_be_left_out(self):
        machine = some_machines(1, status='active')[0]
        wave = Wave.objects.create(name='by hand')
        WaveMember.objects.create(wave=wave, machine=machine)
        self.assertContains(self.page(wave), 'has the status active')

    def test_a_wave_without_machines_teaches_how_to_add_some(self):
        wave = Wave.objects.create(name='empty')
        self.assertContains(self.page(wave), 'It has no machines yet')
        self.assertEqual(self.buttons(wave), [])

    def test_machines_of_others_cannot_be_built_by_starting_a_wave(self):
        wave = a_wave(some_machines(1))
        Device.objects.update(name='other-1')
        response = self.client.post(url('start', wave.pk), {'confirm': True, 'name': wave.name})
        self.assertContains(response, 'You have no permission to build other-1')
        wave.refresh_from_db()
        self.assertEqual(wave.state, 'planned')


class Viewers(TestCase):
    user_permissions = ('netbox_substruct.view_wave',)

    def test_counts_and_rows_are_of_the_members_that_one_may_see(self):
        wave = a_wave(3)
        hidden = self.client.get(wave.get_absolute_url())
        self.assertContains(hidden, '0 of 0 built')
        permit(self.user, ('wavemember',), ('view',), machine__device__name='srv-02')
        seen = self.client.get(wave.get_absolute_url())
        self.assertContains(seen, '0 of 1 built')
        self.assertContains(seen, 'srv-02')
        self.assertNotContains(seen, 'srv-01')

    def test_nothing_is_offered_and_nothing_is_done(self):
        wave = a_wave(1)
        page = self.client.get(wave.get_absolute_url())
        for name in ('start', 'pause', 'resume', 'stop', 'retry'):
            self.assertNotContains(page, f'id="wave-{name}"')
            for method in (self.client.get, self.client.post):
                self.assertHttpStatus(method(url(name, wave.pk)), 403)
        for view in (CHOOSE, 'dcim:device_bulk_substruct_wave'):
            self.assertHttpStatus(self.client.post(reverse(view), {'pk': 1}), 403)

    def test_a_wave_that_one_may_not_see_is_not_there(self):
        wave = a_wave(1)
        self.remove_permissions('netbox_substruct.view_wave')
        permit(self.user, ('wave',), ('view', 'change'), name='another')
        for name in ('', 'live', 'start', 'stop'):
            self.assertHttpStatus(self.client.get(url(name, wave.pk)), 404)


class Choosing(Operator):
    def choose(self, **data):
        return self.client.post(reverse(CHOOSE), data)

    def make(self, machines, **data):
        defaults = {
            'name': 'Rack 17', 'at_once': 2, 'canaries': 1, 'max_failures': 0, 'reserve': 30,
            'machine': [machine.pk for machine in machines], '_confirm': '',
        }  # fmt: skip
        return self.choose(**{**defaults, **data})

    def test_machines_ticked_in_their_list_become_a_wave_in_their_order(self):
        machines = some_machines(3)
        self.assertContains(self.client.get(reverse(f'{APP}:machine_list')), 'Build in a Wave')
        self.assertContains(self.choose(pk=[machine.pk for machine in machines]), 'srv-02')
        response = self.make(machines)
        wave = Wave.objects.get()
        self.assertRedirects(response, wave.get_absolute_url())
        self.assertEqual((wave.state, states(wave)), ('planned', 'www'))
        self.assertEqual([str(member) for member in wave.members.all()], ['srv-01', 'srv-02', 'srv-03'])
        self.assertEqual(Build.objects.count(), 0)

    def test_it_starts_at_once_only_when_its_name_is_typed_again(self):
        machines = some_machines(1)
        self.assertContains(self.make(machines, start='on'), 'That is not the name of the wave')
        self.assertEqual(Wave.objects.count(), 0)
        self.make(machines, start='on', repeat_name='Rack 17')
        self.assertEqual(Wave.objects.get().state, 'running')

    def test_a_protected_machine_takes_its_name_and_a_wrong_one_is_an_error(self):
        machines = some_machines(2, status='active')
        override = f'override_{machines[1].pk}'
        self.assertContains(self.make(machines, **{override: 'srv'}), 'srv is not the name of srv-02')
        self.make(machines, **{override: 'srv-02'})
        self.assertEqual(states(Wave.objects.get()), 'lw')

    def test_machines_that_one_may_not_build_are_neither_shown_nor_taken(self):
        mine, other = some_machines(2)
        Device.objects.filter(pk=other.device_id).update(name='other-1')
        page = self.choose(pk=[mine.pk, other.pk])
        self.assertContains(page, 'srv-01')
        self.assertNotContains(page, 'other-1')
        self.make([mine, other])
        self.assertEqual([str(member) for member in Wave.objects.get().members.all()], ['srv-01'])

    def test_a_rack_leads_to_its_machines_and_one_without_any_offers_nothing(self):
        machines = some_machines(3)
        self.add_permissions('dcim.view_rack', 'dcim.view_site')
        site = machines[0].site
        full, empty = (Rack.objects.create(name=name, site=site) for name in ('R1', 'R2'))
        Device.objects.filter(name__in=('srv-01', 'srv-03')).update(rack=full)
        self.assertNotContains(self.client.get(empty.get_absolute_url()), 'Build in a Wave')
        self.assertContains(self.client.get(full.get_absolute_url()), f'{reverse(CHOOSE)}?rack_id={full.pk}')
        self.assertContains(self.client.get(site.get_absolute_url()), f'{reverse(CHOOSE)}?site_id={site.pk}')
        page = self.client.get(reverse(CHOOSE), {'rack_id': full.pk, 'wave': 'R1'})
        self.assertEqual([str(line.obj) for line in page.context['lines']], ['srv-01', 'srv-03'])
        self.assertEqual(page.context['form']['name'].value(), 'R1')

    def test_devices_are_registered_on_the_way_by_who_may(self):
        machine = some_machines(1)[0]
        template = machine.device
        new = Device.objects.create(
            name='srv-99', site=template.site, device_type=template.device_type, role=template.role, status='planned'
        )
        self.add_permissions('dcim.view_device')
        choose = reverse('dcim:device_bulk_substruct_wave')
        page = self.client.post(choose, {'pk': [template.pk, new.pk]})
        self.assertContains(page, 'It is not registered for provisioning')
        self.assertContains(self.make([machine], device=[new.pk]), 'no permission to register')
        self.assertEqual((Wave.objects.count(), Machine.objects.count()), (0, 1))
        self.add_permissions('netbox_substruct.add_machine')
        self.make([machine], device=[new.pk])
        # It has no profile yet, and whoever may see none can choose none for the wave.
        self.assertEqual(states(Wave.objects.get()), 'wl')

    def test_virtual_machines_are_chosen_in_their_list_too(self):
        cluster = Cluster.objects.create(name='C', type=ClusterType.objects.create(name='KVM', slug='kvm'))
        guest = VirtualMachine.objects.create(name='srv-vm', cluster=cluster, status='planned')
        self.add_permissions('virtualization.view_virtualmachine', 'netbox_substruct.add_machine')
        page = self.client.post(reverse('virtualization:virtualmachine_bulk_substruct_wave'), {'pk': [guest.pk]})
        self.assertContains(page, 'name="virtual_machine"')
        self.make([], virtual_machine=[guest.pk])
        self.assertEqual(str(WaveMember.objects.get()), 'srv-vm')

    def test_a_window_that_cannot_be_is_an_error_at_its_field(self):
        response = self.make(some_machines(1), daily_from='22:00', daily_until='22:10')
        self.assertContains(response, 'not longer than a build takes')
        self.assertEqual(Wave.objects.count(), 0)

    def test_without_a_selection_one_is_led_back(self):
        self.assertHttpStatus(self.choose(), 302)
        self.assertHttpStatus(self.client.get(reverse(CHOOSE)), 302)

    def test_a_name_that_is_taken_is_an_error_and_makes_nothing(self):
        Wave.objects.create(name='Rack 17')
        self.assertContains(self.make(some_machines(1)), 'already exists')
        self.assertEqual(Wave.objects.count(), 1)


class Costs(Operator):
    def count(self, path, **data):
        self.client.get(path, data)  # whatever is only read once
        with CaptureQueriesContext(connection) as queries:
            self.assertHttpStatus(self.client.get(path, data), 200)
        return len(queries)

    def test_pages_take_the_same_queries_for_one_machine_as_for_ten(self):
        found = {}
        for number in (1, 9):
            some = some_machines(number, status='planned' if number == 1 else 'active')
            planned = Wave.objects.first() or a_wave([], name='planned')
            moves.add(planned, some, overrides={machine.pk: machine.name for machine in some})
            under_way = Wave.objects.filter(name='under way').first() or a_wave([], name='under way', at_once=99)
            moves.add(under_way, some, overrides={machine.pk: machine.name for machine in some})
            user = an_operator(f'user-{number}')
            (moves.resume if under_way.started else moves.start)(under_way, user=user)
            Wave.objects.filter(pk=under_way.pk).update(canaries=0)
            running.advance(under_way.pk)
            for name, path, data in (
                ('planned', planned.get_absolute_url(), {}),
                ('live', url('live', under_way.pk), {}),
                ('choose', reverse(CHOOSE), {'state': ['registered', 'building'], 'wave': 'x'}),
            ):
                found.setdefault(name, []).append(self.count(path, **data))
            moves.pause(under_way, user=user)
            under_way.refresh_from_db()
        self.assertEqual(states(under_way), 'b' * 10)
        few, many = ({name: counts[which] for name, counts in found.items()} for which in (0, 1))
        self.assertEqual(few, many)
