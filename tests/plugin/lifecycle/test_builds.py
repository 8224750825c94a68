"""Builds: what is refused and why, what a machine's reports do, and what is left behind."""

import pytest

from core.models import ObjectChange
from extras.models import Tag

from netbox_substruct import boot
from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.lifecycle.errors import Conflict, NotAllowed, NotReady, OverrideRequired
from netbox_substruct.models import Build, BuildArtifact, BuildEvent, BuildToken, Machine

from .world import a_device, a_machine, a_profile, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine():
    return a_machine()


class TestRegistering:
    def test_a_device_becomes_a_machine_once(self):
        device = a_device(serial='SN1')
        machine = machines.register(device)
        assert (machine.state, machine.serial, machine.name) == ('registered', 'SN1', 'srv-1')
        with pytest.raises(NotAllowed, match='srv-1 is registered already'):
            machines.register(device)
        assert Machine.objects.count() == 1

    def test_a_virtual_machine_becomes_one_too(self):
        from virtualization.models import Cluster, ClusterType, VirtualMachine

        cluster = Cluster.objects.create(name='c', type=ClusterType.objects.create(name='t', slug='t'))
        assert machines.register(VirtualMachine.objects.create(name='vm-1', cluster=cluster)).name == 'vm-1'

    def test_a_machine_that_is_neither_is_discovered_until_it_becomes_one(self, monkeypatch):
        told = []
        monkeypatch.setattr('netbox_substruct.lifecycle.events.emit', lambda machine, kind: told.append(kind))
        machine = Machine.objects.create(discovered_name='found', boot_mac='00:00:5E:00:53:01')
        assert machine.state == 'discovered'
        machine.device = a_device()
        machine.full_clean()
        machine.save()
        assert machine.state == 'registered'
        machine.save()
        assert told == [
            'substruct_machine_discovered',
            'substruct_machine_adopted',
            'substruct_machine_registered',
        ]

    def test_one_that_is_registered_by_hand_is_told_like_any_other(self, monkeypatch):
        told = []
        monkeypatch.setattr('netbox_substruct.lifecycle.events.emit', lambda machine, kind: told.append(kind))
        machines.register(a_device())
        Machine.objects.create(device=a_device('srv-2'))
        assert told == ['substruct_machine_registered'] * 2


class TestRequesting:
    def test_a_build_stands_with_artifacts_token_and_timeline(self, machine):
        user = a_user()
        build = builds.request(machine, user=user)
        assert (build.state, build.requested_by, machine.state) == ('pending', user, 'building')
        assert BuildToken.objects.filter(build_id=build.pk).exists()
        artifact = BuildArtifact.objects.get(build=build, kind='ipxe')
        assert artifact.content.startswith('#!ipxe') and artifact.sha256
        assert [event.kind for event in build.events.all()] == ['requested']
        assert build.request['context']['machine']['name'] == 'srv-1'

    def test_what_was_asked_is_frozen(self, machine):
        build = builds.request(machine)
        content = build.artifacts.get(kind='ipxe').content
        machine.device.name = 'renamed'
        machine.device.save()
        build.refresh_from_db()
        assert build.artifacts.get(kind='ipxe').content == content
        assert build.request['context']['machine']['name'] == 'srv-1'

    def test_a_second_one_is_refused_and_names_the_first(self, machine):
        build = builds.request(machine)
        with pytest.raises(Conflict, match=rf'build #{build.pk} pending or under way'):
            builds.request(machine)
        assert Build.objects.count() == 1

    @pytest.mark.parametrize('state', ['discovered', 'retired'])
    def test_only_a_registered_machine_can_be_built(self, machine, state):
        Machine.objects.update(state=state)
        with pytest.raises(NotAllowed, match=f'srv-1 is {state}'):
            builds.request(machine)

    def test_without_a_profile_it_is_refused(self, machine):
        Machine.objects.update(profile=None)
        with pytest.raises(NotReady, match='no profile'):
            builds.request(machine)

    def test_a_profile_without_a_boot_image_is_refused_and_nothing_is_left(self, machine):
        machine.profile.boot_image = None
        machine.profile.save()
        with pytest.raises(NotReady, match='boot image'):
            builds.request(machine)
        machine.refresh_from_db()
        assert (Build.objects.count(), BuildEvent.objects.count(), machine.state) == (0, 0, 'registered')

    def test_parameters_that_break_the_schema_are_refused_with_every_violation(self, machine):
        machine.profile.parameter_schema = {
            'type': 'object', 'required': ['release'], 'properties': {'disks': {'type': 'integer'}},
        }  # fmt: skip
        machine.profile.parameters = {'disks': 'two'}
        machine.profile.save()
        with pytest.raises(NotReady) as refused:
            builds.request(machine)
        assert 'release' in str(refused.value) and 'disks' in str(refused.value)

    def test_a_profile_that_is_given_becomes_the_machines(self, machine):
        other = a_profile('Other')
        builds.request(machine, profile=other)
        assert machine.profile == other

    def test_the_next_boot_that_was_asked_for_is_forgotten(self, machine):
        machines.ask(machine, 'rescue')
        builds.request(machine)
        assert machine.next_boot == ''


class TestGuard:
    def test_an_active_device_needs_its_name(self):
        machine = a_machine(status='active')
        with pytest.raises(OverrideRequired, match='srv-1 has the status active'):
            builds.request(machine)
        with pytest.raises(OverrideRequired):
            builds.request(machine, override='srv-2')
        assert builds.request(machine, override='srv-1').request['override'] == 'srv-1'

    @pytest.mark.parametrize('on', ['device', 'machine'])
    def test_a_protected_one_needs_its_name(self, machine, on):
        tag = Tag.objects.create(name='Protected', slug='protected')
        (machine.device if on == 'device' else machine).tags.add(tag)
        with pytest.raises(OverrideRequired, match='tag protected'):
            builds.request(machine)
        builds.request(machine, override='srv-1')


class TestReports:
    def test_a_machine_reports_its_way_through(self, machine):
        build = builds.request(machine)
        seen = []
        for kind in ('address-offered', 'kernel-fetched', 'config-fetched', 'progress', 'finishing', 'finished'):
            builds.record(build, kind, progress=50 if kind == 'progress' else None)
            seen.append(build.state)
        assert seen == ['booting', 'booting', 'installing', 'installing', 'finishing', 'complete']
        machine.refresh_from_db()
        assert (machine.state, build.progress) == ('built', 100)
        assert build.started == build.events.all()[1].time and build.finished is not None

    def test_the_same_key_is_the_same_event(self, machine):
        build = builds.request(machine)
        first = builds.record(build, 'progress', key='k1', message='a')
        assert builds.record(build, 'finished', key='k1', message='b') == first
        assert (build.state, build.events.count()) == ('installing', 2)

    def test_a_key_of_another_build_is_refused(self, machine):
        build = builds.request(machine)
        builds.record(build, 'failed', key='k1')
        with pytest.raises(NotAllowed, match='another build'):
            builds.record(builds.request(machine), 'progress', key='k1')

    def test_failing_keeps_the_reason_and_the_log(self, machine):
        build = builds.request(machine)
        builds.record(build, 'failed', message='no disk', log='line 1\nline 2')
        machine.refresh_from_db()
        assert (build.state, build.error, machine.state) == ('failed', 'no disk', 'failed')
        assert build.events.get(kind='failed').log == 'line 1\nline 2'

    def test_what_comes_after_the_end_is_written_and_moves_nothing(self, machine):
        build = builds.request(machine)
        builds.record(build, 'finished')
        builds.record(build, 'failed', message='late')
        machine.refresh_from_db()
        assert (build.state, machine.state, build.error) == ('complete', 'built', '')
        assert build.events.count() == 3

    @pytest.mark.parametrize('kind', ['requested', 'cancelled'])
    def test_what_people_do_is_not_reported(self, machine, kind):
        build = builds.request(machine)
        with pytest.raises(NotAllowed, match='nothing that a machine reports'):
            builds.record(build, kind)
        assert (build.state, build.events.count()) == ('pending', 1)

    def test_the_token_is_not_kept_with_what_a_machine_says(self, machine):
        build = builds.request(machine)
        token = BuildToken.objects.get(build_id=build.pk).token
        said = f'Kernel command line: auto=true url=http://10.0.0.2/build/{token}/preseed.cfg'
        event = builds.record(build, 'failed', message=said, log=f'{said}\nand then\n{said}')
        expected = said.replace(token, '(token)')
        assert (event.message, event.log) == (expected, f'{expected}\nand then\n{expected}')
        assert token not in build.error

    def test_an_unknown_kind_is_refused(self, machine):
        with pytest.raises(NotAllowed, match='no kind of event'):
            builds.record(builds.request(machine), 'exploded')

    def test_a_built_device_gets_what_its_profile_says(self, machine):
        parent = a_profile('Base', built_status='active')
        machine.profile.parent, machine.profile.built_status = parent, ''
        machine.profile.save()
        builds.record(builds.request(machine), 'finished')
        machine.device.refresh_from_db()
        assert (machine.device.status, machine.device.platform.slug) == ('active', 'debian-13')


class TestStalled:
    @pytest.fixture
    def stalled(self, machine):
        build = builds.request(machine)
        builds.record(build, 'config-fetched')
        builds.record(build, 'stalled', message='nothing heard for an hour')
        return build

    def test_it_is_said_and_the_machine_can_be_built_again(self, machine, stalled):
        machine.refresh_from_db()
        assert (stalled.state, machine.state) == ('stalled', 'failed')
        builds.request(machine)

    def test_one_that_is_heard_of_again_goes_on(self, machine, stalled):
        builds.record(stalled, 'finishing')
        builds.record(stalled, 'finished')
        machine.refresh_from_db()
        assert (stalled.state, machine.state, stalled.error) == ('complete', 'built', '')

    def test_one_whose_place_was_taken_does_not_touch_the_machine(self, machine, stalled):
        newer = builds.request(machine)
        builds.record(stalled, 'progress')
        builds.record(stalled, 'failed', message='too late')
        machine.refresh_from_db()
        assert (stalled.state, newer.state, machine.state) == ('failed', 'pending', 'building')

    @pytest.mark.parametrize('kind', ['script-fetched', 'progress', 'finishing'])
    @pytest.mark.parametrize(
        'decided',
        ['built since', 'built since, and deleted', 'failed since, and deleted', 'wipe', 'rescue, and served',
         'discovery, and taken back', 'retired', 'registered'],
    )  # fmt: skip
    def test_late_news_never_builds_a_machine_about_which_somebody_has_decided_otherwise(
        self, machine, stalled, decided, kind
    ):
        if decided.startswith(('built', 'failed')):
            newer = builds.request(machine)
            builds.record(newer, 'failed' if decided.startswith('failed') else 'finished')
            if decided.endswith('deleted'):
                newer.delete()
        elif decided == 'wipe':
            machines.ask(machine, 'wipe')
        elif decided == 'rescue, and served':
            machines.ask(machine, 'rescue')
            machines.served(machine, 'rescue')
        elif decided == 'discovery, and taken back':
            machines.ask(machine, 'discovery')
            machines.ask(machine, '')
        else:
            machines.move(machine, decided)
        before = boot.decide(boot.subject_of(Machine.objects.get(pk=machine.pk))).action
        builds.record(stalled, kind)
        machine.refresh_from_db()
        assert (stalled.state, machine.active_build) == ('stalled', None)
        assert stalled.events.last().kind == kind, 'it stands in the timeline all the same'
        assert boot.decide(boot.subject_of(machine)).action == before != 'build'

    def test_a_machine_that_never_began_is_what_it_was_before(self, machine):
        builds.record(builds.request(machine), 'finished')
        build = builds.request(machine)
        builds.record(build, 'stalled', message='nothing heard for a day')
        machine.refresh_from_db()
        assert (build.state, machine.state) == ('stalled', 'built')
        builds.record(build, 'script-fetched')
        machine.refresh_from_db()
        assert (build.state, machine.state) == ('booting', 'building')

    def test_one_that_was_out_of_use_for_a_while_is_not_built_by_late_news(self, machine):
        build = builds.request(machine)
        builds.record(build, 'stalled', message='nothing heard for a day')
        machines.move(machine, 'retired')
        machines.move(machine, 'registered')
        builds.record(build, 'script-fetched')
        machine.refresh_from_db()
        assert (build.state, machine.state) == ('stalled', 'registered')
        told = [event.message for event in build.events.filter(kind='note')]
        assert len(told) == 1 and 'does not go on' in told[0]

    def test_its_own_end_is_taken_whatever_was_decided(self, machine, stalled):
        machines.ask(machine, 'rescue')
        machines.served(machine, 'rescue')
        builds.record(stalled, 'finished')
        machine.refresh_from_db()
        assert (stalled.state, machine.state) == ('complete', 'built')

    def test_late_news_for_a_machine_that_was_registered_anew_is_written(self, machine, stalled):
        machines.move(machine, 'registered')
        builds.record(stalled, 'finished')
        machine.refresh_from_db()
        assert (stalled.state, machine.state) == ('complete', 'registered')


class TestCancelling:
    def test_a_machine_that_had_not_begun_is_what_it_was(self, machine):
        builds.record(builds.request(machine), 'finished')
        build = builds.request(machine)
        builds.cancel(build, user=a_user(), reason='wrong rack')
        machine.refresh_from_db()
        assert (build.state, machine.state) == ('cancelled', 'built')
        assert build.events.last().message == 'Cancelled by operator: wrong rack'

    def test_a_machine_that_had_begun_has_failed(self, machine):
        build = builds.request(machine)
        builds.record(build, 'config-fetched')
        builds.cancel(build)
        machine.refresh_from_db()
        assert machine.state == 'failed'

    def test_what_has_ended_cannot_be_cancelled(self, machine):
        build = builds.request(machine)
        builds.record(build, 'finished')
        with pytest.raises(NotAllowed, match='is complete; there is nothing to cancel'):
            builds.cancel(build)


class TestMachines:
    def test_a_state_that_only_builds_reach_cannot_be_set(self, machine):
        with pytest.raises(NotAllowed, match='by a build only'):
            machines.move(machine, 'built')

    def test_nothing_is_moved_or_asked_while_a_build_is_under_way(self, machine):
        builds.request(machine)
        with pytest.raises(NotAllowed, match='cancel it first'):
            machines.move(machine, 'retired')
        with pytest.raises(NotAllowed, match='cancel it first'):
            machines.ask(machine, 'wipe')

    def test_what_was_asked_for_once_is_forgotten_when_it_is_retired(self, machine):
        machines.ask(machine, 'wipe')
        machines.move(machine, 'retired')
        machines.move(machine, 'registered')
        assert machine.next_boot == ''
        assert boot.decide(boot.subject_of(machine)).action == 'local'

    @pytest.mark.parametrize('why', ['active', 'protected'])
    def test_wiping_one_that_is_active_or_protected_takes_its_name(self, machine, why):
        if why == 'active':
            machine.device.status = 'active'
            machine.device.save()
        else:
            machine.tags.add(Tag.objects.create(name='Protected', slug='protected'))
        for override in ('', 'srv-2'):
            with pytest.raises(OverrideRequired, match='wiping erases its disks'):
                machines.ask(machine, 'wipe', override=override)
        assert Machine.objects.get().next_boot == ''
        machines.ask(machine, 'rescue')
        machines.ask(machine, 'wipe', override='srv-1')
        assert machine.next_boot == 'wipe'

    def test_a_retired_machine_boots_nothing_special_until_it_is_registered_again(self, machine):
        machines.move(machine, 'retired')
        with pytest.raises(NotAllowed, match='is retired'):
            machines.ask(machine, 'rescue')
        machines.move(machine, 'registered')
        machines.ask(machine, 'rescue')
        assert machine.next_boot == 'rescue'

    def test_a_move_that_the_table_does_not_have_says_what_is_allowed(self):
        machine = Machine.objects.create(discovered_name='found')
        machines.move(machine, 'retired')
        machines.move(machine, 'discovered')
        assert machine.state == 'discovered'
        device = a_machine('srv-2')
        Machine.objects.filter(pk=device.pk).update(state='building')
        with pytest.raises(NotAllowed, match='can become: built, failed, registered'):
            machines.move(device, 'retired')

    def test_what_is_neither_device_nor_virtual_machine_stays_discovered(self, machine):
        found = Machine.objects.create(discovered_name='found')
        with pytest.raises(NotAllowed, match='discovered until it is a device'):
            machines.move(found, 'registered')
        with pytest.raises(NotAllowed, match='registered from then on'):
            machines.move(machine, 'discovered')


class TestChangelogAndEvents:
    def test_moves_outside_a_request_stand_in_the_changelog_under_the_users_name(self, machine):
        user = a_user()
        build = builds.request(machine, user=user)
        changes = ObjectChange.objects.filter(user=user)
        assert {c.changed_object_type.model for c in changes} == {'machine', 'build', 'buildartifact', 'buildevent'}
        change = changes.get(changed_object_type__model='machine')
        assert change.prechange_data['state'] == 'registered' and change.postchange_data['state'] == 'building'
        builds.record(build, 'finished')
        assert changes.filter(changed_object_type__model='machine', postchange_data__state='built').exists()

    def test_neither_token_nor_content_nor_context_stands_in_the_changelog(self, machine):
        build = builds.request(machine, user=a_user())
        token = BuildToken.objects.get(build_id=build.pk).token
        text = str(list(ObjectChange.objects.values_list('prechange_data', 'postchange_data')))
        assert 'requested' in text and token not in text and '#!ipxe' not in text and 'context' not in text

    def test_no_relation_leads_to_the_token_which_goes_with_its_build(self, machine):
        """An export template or a filter can follow every relation that Django knows of."""
        build = builds.request(machine)
        assert BuildToken not in {field.related_model for field in Build._meta.get_fields(include_hidden=True)}
        builds.record(build, 'finished')
        build.delete()
        assert not BuildToken.objects.exists()

    def test_event_rules_are_told_of_each_move_once(self, machine, monkeypatch):
        told = []
        monkeypatch.setattr(
            'extras.events.process_event_queue',
            lambda events: told.extend((e['event_type'], e['object_type'].model, e['data']['id']) for e in events),
        )
        build = builds.request(machine, user=a_user())
        builds.record(build, 'config-fetched')
        builds.record(build, 'finished')
        ours = [(kind, model) for kind, model, _ in told if kind.startswith('substruct_')]
        assert ours == [
            ('substruct_build_requested', 'build'),
            ('substruct_build_installing', 'build'),
            ('substruct_build_complete', 'build'),
        ]
        assert ('object_updated', 'machine') in [(kind, model) for kind, model, _ in told]
