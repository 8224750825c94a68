"""The action "start a build" of event rules, through NetBox's own queue and worker, and what keeps it from erasing."""

import pytest
from django.core.exceptions import ValidationError

from dcim.models import Device
from extras.models import EventRule, JournalEntry
from users.models import ObjectPermission, User

from netbox_substruct.automation import starting
from netbox_substruct.lifecycle import builds, events, machines
from netbox_substruct.models import Build, Machine, Profile

from ..lifecycle.world import a_device, a_profile, a_user
from .world import rule, valid, work

pytestmark = pytest.mark.django_db
STAGED = {'attr': 'status.value', 'value': 'staged'}


@pytest.fixture
def happen(queues, django_capture_on_commit_callbacks):
    """Lets a user do something, as in a request, and NetBox's worker do what follows."""

    def happen(user, do):
        with django_capture_on_commit_callbacks(execute=True), events.tracked(user):
            do()
        with django_capture_on_commit_callbacks(execute=True):  # the worker commits as well
            work()

    return happen


def a_builder(name='ada', *actions, **constraints):
    user = a_user(name)
    permission = ObjectPermission.objects.create(
        name=name, actions=list(actions or ['build']), constraints=constraints or None
    )
    permission.object_types.add(starting_type())
    permission.users.add(user)
    return user


def starting_type():
    from core.models import ObjectType

    return ObjectType.objects.get_for_model(Machine)


def a_rule(name='Staged devices are built', event_types=('object_updated',), models=(Device,), profile=None, **fields):
    fields.setdefault('conditions', STAGED)
    return rule(name, event_types, models, 'substruct.build', profile, **fields)


def change(device, **values):
    device = Device.objects.get(pk=device.pk)
    device.snapshot()
    for name, value in values.items():
        setattr(device, name, value)
    device.save()


def journal(obj):
    return [entry.comments for entry in JournalEntry.objects.filter(assigned_object_id=obj.pk)]


@pytest.fixture
def device():
    machine = machines.register(a_device(), profile=a_profile())
    return machine.device


class TestStarting:
    def test_a_device_that_becomes_staged_is_built_in_the_name_of_who_staged_it(self, device, happen):
        ada, made = a_builder(), a_rule()
        happen(ada, lambda: change(device, status='staged'))
        build = Build.objects.get()
        assert (build.requested_by, build.profile.slug, build.state) == (ada, 'debian', 'pending')
        assert build.description == 'By the event rule “Staged devices are built”'
        assert build.request['origin'] == {'event_rule': made.pk}
        assert journal(device) == []

    def test_with_the_profile_of_the_rule_and_the_permission_of_its_user(self, device, happen):
        a_rule(profile=a_profile('Other'), action_data={'user': a_builder('robot').username})
        happen(a_user('ada'), lambda: change(device, status='staged'))
        build = Build.objects.get()
        assert (build.requested_by.username, build.profile.slug) == ('robot', 'other')

    def test_a_machine_that_is_adopted_is_built(self, happen):
        ada = a_builder()
        a_rule(event_types=['substruct_machine_adopted'], models=[Machine], profile=a_profile(), conditions=None)
        machine = Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')

        def adopt():
            machine.device = a_device()
            machine.save()

        happen(ada, adopt)
        assert Build.objects.get().machine == machine

    def test_a_device_that_is_no_machine_yet_is_registered_where_the_rule_says_so(self, happen):
        device, profile = a_device(), a_profile()
        ada = a_builder('ada', 'build', 'add')
        a_rule(profile=profile, action_data={'register': True})
        happen(ada, lambda: change(device, status='staged'))
        assert Build.objects.get().machine.device == device


class TestOnce:
    def test_a_later_change_to_something_else_starts_no_other(self, device, happen):
        ada = a_builder()
        a_rule()
        happen(ada, lambda: change(device, status='staged'))
        builds.record(Build.objects.get(), 'finished')
        happen(ada, lambda: change(device, description='edited'))
        assert Build.objects.count() == 1 and journal(device) == []

    def test_what_the_build_itself_changes_starts_no_other(self, device, happen):
        """The status when built is what the rule waits for: it would build for ever."""
        ada = a_builder()
        Profile.objects.update(built_status='staged')
        build = builds.request(Machine.objects.get(), user=ada)
        a_rule()
        happen(ada, lambda: builds.record(build, 'finished'))
        assert Device.objects.get().status == 'staged' and Build.objects.count() == 1
        (entry,) = journal(device)
        assert entry.endswith(f'the change was made by build #{build.pk} itself')

    def test_what_no_longer_holds_when_the_worker_comes_to_it_is_not_done(
        self, device, queues, django_capture_on_commit_callbacks
    ):
        ada = a_builder()
        a_rule()
        with django_capture_on_commit_callbacks(execute=True), events.tracked(ada):
            change(device, status='staged')
        with events.tracked(ada):
            change(device, status='planned')
        work()
        assert not Build.objects.exists() and 'no longer applies' in journal(device)[0]

    def test_a_rule_that_is_told_of_its_own_refusal_stops_there(self, device, happen):
        a_rule(event_types=['object_updated', 'substruct_build_refused'])
        happen(a_user(), lambda: change(device, status='staged'))
        assert len(journal(device)) == 1


class TestRefusing:
    """Never silently: in the journal, and as an event."""

    @pytest.fixture
    def refused(self, happen, monkeypatch):
        """The code of what was refused, after somebody staged a device."""

        def refused(user, device, **values):
            told = []
            flush = events.flush_events
            monkeypatch.setattr(events, 'flush_events', lambda queue: (told.extend(queue), flush(queue)))
            happen(user, lambda: change(device, **{'status': 'staged', **values}))
            assert not Build.objects.exists()
            (said,) = [event['data'] for event in told if event['event_type'] == 'substruct_build_refused']
            valid(said)
            (entry,) = journal(device)
            assert entry == f'The event rule “{said["rule"]}” did not start a build: {said["reason"]}'
            assert said['object_type'] == 'dcim.device' and said['id'] == device.pk
            return said['code']

        return refused

    def test_without_permission(self, device, refused):
        a_rule()
        assert refused(a_user(), device) == 'not-permitted'

    def test_without_permission_for_this_machine(self, device, refused):
        a_rule()
        assert refused(a_builder(device__site__slug='osl'), device) == 'not-permitted'

    def test_with_a_user_that_is_not_active_any_more(self, device, refused):
        a_rule(action_data={'user': a_builder('robot').username})
        User.objects.filter(username='robot').update(is_active=False)
        assert refused(a_user(), device) == 'no-user'

    def test_an_active_device_without_its_name(self, device, refused):
        a_rule(conditions={'attr': 'status.value', 'value': 'active'}, action_data={'override': ['srv-2', 'SRV-1']})
        assert refused(a_builder(), device, status='active') == 'override-required'

    def test_a_device_that_is_no_machine(self, refused):
        a_rule()
        assert refused(a_builder(), a_device()) == 'not-registered'

    def test_one_that_cannot_be_built_yet(self, device, refused):
        Machine.objects.update(profile=None)
        a_rule()
        assert refused(a_builder(), device) == 'not-ready'

    def test_a_registration_that_leads_to_no_build_is_undone(self, refused):
        a_rule(action_data={'register': True})
        assert refused(a_builder('ada', 'build', 'add'), a_device()) == 'not-ready'
        assert not Machine.objects.exists()

    def test_more_than_so_many_in_an_hour(self, device, happen):
        ada, more = a_builder(), a_device('srv-2')
        machines.register(more, profile=Profile.objects.get())
        a_rule(action_data={'limit_per_hour': 1})
        happen(ada, lambda: (change(device, status='staged'), change(more, status='staged')))
        assert Build.objects.count() == 1
        ((entry,),) = [each for each in (journal(device), journal(more)) if each]
        assert 'limit_per_hour' in entry

    def test_an_active_device_is_built_where_the_rule_names_it(self, device, happen):
        a_rule(conditions={'attr': 'status.value', 'value': 'active'}, action_data={'override': ['srv-1']})
        happen(a_builder(), lambda: change(device, status='active'))
        assert Build.objects.get().request['override'] == 'srv-1'


class TestRule:
    @pytest.mark.parametrize(
        ('data', 'why'),
        [
            ({'usr': 'ada'}, 'usr'),
            ({'user': 'nobody'}, 'nobody'),
            ({'limit_per_hour': 0}, 'limit_per_hour'),
            ({'override': 'srv-1'}, 'override'),
        ],
    )
    def test_what_cannot_be_right_is_said_when_it_is_saved(self, data, why):
        with pytest.raises(ValidationError, match=why):
            a_rule(action_data=data)

    def test_its_form_offers_the_profiles(self, admin_client, device):
        page = admin_client.get('/extras/event-rules/add/?action_type=substruct.build').content.decode()
        assert 'Start a build' in page and 'Profile (if empty' in page

    def test_only_a_change_to_what_it_waits_for_counts(self):
        before, after = {'status': 'planned', 'role': 1}, {'status': 'staged', 'role': 1}
        snapshots = {'prechange': before, 'postchange': after}
        told = ('dcim.device', 'object_updated')
        assert starting.counts(starting.Settings(), *told, snapshots)
        assert not starting.counts(starting.Settings(when_changed=['role']), *told, snapshots)
        assert not starting.counts(starting.Settings(), *told, {'prechange': after, 'postchange': after})
        assert not starting.counts(starting.Settings(), *told, None)
        assert starting.counts(starting.Settings(), 'dcim.device', 'object_created', None)

    def test_a_rule_can_be_made_by_api(self, admin_user, client):
        made = a_rule(profile=a_profile())
        assert EventRule.objects.get().action_provider.slug == 'substruct.build'
        assert str(made.get_action_type_display()) == 'Start a build'
