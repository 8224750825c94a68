"""Waves and their members: pages, API, GraphQL, filters and tables, by NetBox's own test bases."""

from datetime import time
from zoneinfo import ZoneInfo

from django.test import TestCase

from utilities.testing import APIViewTestCases, ChangeLoggedFilterSetTestMixin, TableTestCases, ViewTestCases

from netbox_substruct.filtersets import WaveFilterSet, WaveMemberFilterSet
from netbox_substruct.models import Wave, WaveMember
from netbox_substruct.tables import WaveMemberTable, WaveTable

from ..base import PluginAPI, PluginFilterSets, PluginViews
from ..waves.world import a_wave, some_machines
from .world import a_world

APP = 'plugins:netbox_substruct'


def make_waves():
    return [Wave.objects.create(name=f'Rack {number}', at_once=number) for number in (1, 2, 3)]


class Pages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = Wave

    @classmethod
    def setUpTestData(cls):
        make_waves()
        profile = a_world().profile
        cls.form_data = {
            'name': 'Rack 9',
            'profile': profile.pk,
            'at_once': 4,
            'canaries': 2,
            'max_failures': 1,
            'days': ['sat', 'sun'],
            'daily_from': time(22),
            'daily_until': time(5),
            'time_zone': ZoneInfo('Europe/Berlin'),
            'reserve': 45,
            'description': 'new',
            'tags': [],
        }
        cls.csv_data = (
            'name,profile,at_once,days,time_zone',
            'Rack 4,debian,10,"sat,sun",Europe/Berlin',
            'Rack 5,,,,',
            'Rack 6,debian,,mon,',
        )
        cls.csv_update_data = ('id,max_failures', *(f'{wave.pk},7' for wave in Wave.objects.all()))
        cls.bulk_edit_data = {'at_once': 9, 'max_failures': 3, 'description': 'in bulk'}

    def test_a_window_that_never_opens_is_refused_at_its_field(self):
        self.add_permissions('netbox_substruct.add_wave')
        data = {**self.form_data, 'daily_until': time(22, 30)}
        response = self.client.post(self._get_url('add'), data)
        self.assertContains(response, 'not longer than a build takes')

    def test_a_running_wave_is_not_deleted(self):
        self.add_permissions('netbox_substruct.delete_wave', 'netbox_substruct.view_wave')
        wave = Wave.objects.first()
        Wave.objects.filter(pk=wave.pk).update(state='running')
        self.client.post(self._get_url('delete', wave), {'confirm': True}, follow=True)
        self.assertTrue(Wave.objects.filter(pk=wave.pk).exists())


class API(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = Wave
    brief_fields = ['description', 'display', 'id', 'name', 'state', 'url']
    bulk_update_data = {'at_once': 9}
    update_data = {'at_once': 4, 'days': ['mon'], 'max_failures': 2}
    create_data = [
        {'name': f'Rack {n}', 'at_once': n, 'days': ['sat', 'sun'], 'daily_from': time(22), 'daily_until': time(5)}
        for n in (7, 8, 9)
    ]

    @classmethod
    def setUpTestData(cls):
        make_waves()


class Filters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = Wave.objects.all()
    filterset = WaveFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.machines = some_machines(2)
        make_waves()
        a_wave(cls.machines, name='With machines', profile=cls.machines[0].profile, days=['sat'])

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(wave.name for wave in filterset.qs)

    def test_by_machine_profile_day_and_search(self):
        self.assertEqual(self.found(machine_id=[machine.pk for machine in self.machines]), ['With machines'])
        self.assertEqual(self.found(profile=['debian']), ['With machines'])
        self.assertEqual(self.found(days=['sat', 'mon']), ['With machines'])
        self.assertEqual(self.found(q='rack 2'), ['Rack 2'])


class Table(TableTestCases.StandardTableTestCase):
    table = WaveTable


#
# Members
#


def make_members():
    machines = some_machines(5)
    waves = make_waves()
    for machine in machines[:3]:
        WaveMember.objects.create(wave=waves[0], machine=machine)
    return machines, waves


class MemberPages(PluginViews, ViewTestCases.PrimaryObjectViewTestCase):
    model = WaveMember

    @classmethod
    def setUpTestData(cls):
        machines, waves = make_members()
        cls.form_data = {'wave': waves[1].pk, 'machine': machines[0].pk, 'order': 7, 'override': '', 'tags': []}
        cls.csv_data = (
            'wave,machine,order,override',
            f'Rack 2,{machines[1]},1,',
            f'Rack 2,{machines[2]},,{machines[2]}',
            f'Rack 3,{machines[3].pk},3,',
        )
        cls.csv_update_data = ('id,order', *(f'{member.pk},7' for member in WaveMember.objects.all()))
        cls.bulk_edit_data = {'order': 9}

    def test_the_machines_of_a_running_wave_are_not_changed(self):
        self.add_permissions('netbox_substruct.add_wavemember', 'netbox_substruct.view_wave')
        self.add_permissions('netbox_substruct.view_machine')
        Wave.objects.update(state='running')
        response = self.client.post(self._get_url('add'), self.form_data)
        self.assertContains(response, 'pause it before')


class MemberAPI(PluginAPI, APIViewTestCases.APIViewTestCase):
    model = WaveMember
    user_permissions = ('netbox_substruct.view_wave', 'netbox_substruct.view_machine')
    brief_fields = ['display', 'id', 'order', 'state', 'url']
    bulk_update_data = {'order': 9}
    update_data = {'order': 4, 'override': 'srv-01'}

    @classmethod
    def setUpTestData(cls):
        machines, waves = make_members()
        cls.create_data = [{'wave': waves[2].pk, 'machine': machine.pk, 'order': 5} for machine in machines[:3]]

    def test_the_list_of_a_running_wave_is_fixed(self):
        self.add_permissions('netbox_substruct.change_wavemember', 'netbox_substruct.view_wavemember')
        Wave.objects.update(state='running')
        member = WaveMember.objects.first()
        response = self.client.patch(self._get_detail_url(member), {'override': 'srv-01'}, format='json', **self.header)
        self.assertHttpStatus(response, 400)
        self.assertIn('pause it before', str(response.data))


class MemberFilters(PluginFilterSets, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = WaveMember.objects.all()
    filterset = WaveMemberFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.machines, cls.waves = make_members()

    def found(self, **params):
        filterset = self.filterset(params, self.queryset)
        self.assertTrue(filterset.is_valid(), filterset.errors)
        return sorted(str(member) for member in filterset.qs)

    def test_by_wave_machine_site_and_search(self):
        self.assertEqual(len(self.found(wave=['Rack 1'])), 3)
        self.assertEqual(self.found(machine_id=[self.machines[1].pk]), ['srv-02'])
        self.assertEqual(self.found(device_id=[self.machines[2].device_id]), ['srv-03'])
        self.assertEqual(len(self.found(site_id=[self.machines[0].site.pk])), 3)
        self.assertEqual(self.found(q='srv-01'), ['srv-01'])


class MemberTable(TableTestCases.StandardTableTestCase):
    table = WaveMemberTable
