"""What machines reported: taken once each, in order, each by itself, from boot servers that may speak for them."""

import time
from datetime import UTC, datetime, timedelta
from unittest import mock

from django.db import OperationalError, connection
from django.utils import timezone

from core.models import ObjectChange

from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import BootServer, Build, BuildEvent, FactSet, Machine
from netbox_substruct.reports import delivery
from netbox_substruct.reports import messages as m

from .world import DISCOVERED_UUID, event, facts, reporter

OK, DUPLICATE = ('ok', ''), ('duplicate', '')


def refused(code):
    return 'refused', code


class Events(reporter()):
    def test_a_step_is_written_down_with_the_machines_own_time(self):
        build = self.a_build()
        then = time.time() - 600
        message = event(build, time=then, message='Installing', progress=40, log='line\n')
        self.assertEqual(self.deliver(message), [OK])
        written = build.events.get()
        self.assertEqual((written.kind, written.message, written.progress), ('progress', 'Installing', 40))
        self.assertEqual((written.log, written.key), ('line\n', message['key']))
        self.assertAlmostEqual(written.time.timestamp(), then, places=3)
        build.refresh_from_db()
        self.machine.refresh_from_db()
        self.assertEqual((build.state, self.machine.state), ('installing', 'building'))
        self.assertEqual(self.machine.last_seen, written.time)

    def test_a_whole_build_is_taken_in_one_delivery(self):
        build = self.a_build()
        kinds = ['address-offered', 'loader-fetched', 'kernel-fetched', 'config-fetched', 'progress', 'finished']
        self.assertEqual(self.deliver(*(event(build, kind) for kind in kinds)), [OK] * 6)
        build.refresh_from_db()
        self.machine.refresh_from_db()
        self.assertEqual((build.state, self.machine.state), ('complete', 'built'))
        self.assertEqual(list(build.events.values_list('kind', flat=True)), kinds)

    def test_the_same_message_again_is_a_duplicate(self):
        build = self.a_build()
        self.deliver(event(build, 'progress'))
        self.assertEqual(self.deliver(event(build, 'progress'), event(build, 'finishing')), [DUPLICATE, OK])
        self.assertEqual(build.events.count(), 2)

    def test_several_boot_servers_may_tell_of_the_same_step(self):
        build = self.a_build()
        self.deliver(event(build))
        Machine.objects.filter(pk=self.machine.pk).update(boot_server=self.other)
        status, answer = self.post('deliver', {'messages': [event(build)]}, self.other)
        self.assertEqual((status, answer['results'][0]['status']), (200, 'duplicate'))
        self.assertEqual(build.events.count(), 1)

    def test_a_long_key_is_still_one_key(self):
        build = self.a_build()
        long = event(build, key='x' * 400)
        self.assertEqual(self.deliver(long, long), [OK, DUPLICATE])
        self.assertEqual(len(build.events.get().key), 64)

    def test_what_is_refused_costs_no_other(self):
        build = self.a_build()
        foreign = self.a_build(of=self.foreign)
        missing = {**event(build), 'key': 'missing', 'build': 99999999}
        self.assertEqual(
            self.deliver(
                event(build, 'address-offered'),
                missing,
                event(foreign),
                event(build, 'invented'),
                event(build, 'cancelled'),
                event(build, progress=101, key='much'),
                {**event(build, key='when'), 'time': 'yesterday'},
                {**event(build, key='ever'), 'time': 1e300},
                {'key': 'what', 'type': 'gossip', 'time': 1},
                event(build, 'config-fetched'),
            ),
            [
                OK, refused('unknown'), refused('not-served'), refused('not-allowed'), refused('not-allowed'),
                refused('invalid'), refused('invalid'), refused('invalid'), refused('invalid'), OK,
            ],
        )  # fmt: skip
        self.assertEqual((build.events.count(), foreign.events.count()), (2, 0))

    def test_what_was_refused_may_be_taken_later(self):
        foreign = self.a_build(of=self.foreign)
        self.assertEqual(self.deliver(event(foreign)), [refused('not-served')])
        Machine.objects.filter(pk=self.foreign.pk).update(boot_server=self.boot_server)
        self.assertEqual(self.deliver(event(foreign)), [OK])

    def test_a_machine_that_moves_while_it_is_built_may_still_be_spoken_for(self):
        """Else its last word would be lost, and the next boot server would install it again."""
        build = self.a_build()
        self.deliver(event(build, 'config-fetched'))
        Machine.objects.filter(pk=self.machine.pk).update(boot_server=self.other)
        self.assertEqual(self.deliver(event(build, 'finished')), [OK])

    def test_an_unforeseen_error_is_told_and_does_not_block_what_follows(self):
        build = self.a_build()
        with (
            mock.patch.object(builds, 'record', side_effect=[ZeroDivisionError('x'), mock.DEFAULT]),
            self.assertLogs('netbox.substruct.reports', 'ERROR'),
        ):
            found = self.deliver(event(build, 'progress'), event(build, 'finishing'))
        self.assertEqual(found, [refused('error'), OK])

    def test_a_database_in_trouble_is_no_refusal(self):
        build = self.a_build()
        real = builds.record

        def trouble(build, kind, **fields):
            if kind == 'finishing':
                raise OperationalError('deadlock detected')
            return real(build, kind, **fields)

        messages = [event(build, kind) for kind in ('progress', 'finishing', 'finished')]
        with mock.patch.object(builds, 'record', trouble):
            status, answer = self.post('deliver', {'messages': messages})
        self.assertEqual((status, answer['code']), (503, 'try-again'))
        self.assertEqual(build.events.count(), 1)
        self.assertEqual(self.deliver(*messages), [DUPLICATE, OK, OK])

    def test_logs_may_hold_anything_and_their_end_is_kept(self):
        build = self.a_build()
        self.assertEqual(self.deliver(event(build, 'failed', message='a\0b', log='\0' + 'x' * m.LOG + 'end')), [OK])
        written = build.events.get()
        self.assertEqual(written.message, 'a\N{REPLACEMENT CHARACTER}b')
        self.assertTrue(written.log.startswith('[…]\n') and written.log.endswith('end'))
        self.assertEqual(len(written.log), m.LOG)

    def test_a_clock_that_is_ahead_is_not_believed(self):
        build = self.a_build()
        self.deliver(event(build, time=time.time() + 86400))
        self.assertLess(build.events.get().time, timezone.now())

    def test_the_changes_are_in_the_changelog_in_the_name_of_the_account(self):
        build = self.a_build()
        self.deliver(event(build, 'config-fetched'))
        change = ObjectChange.objects.filter(changed_object_type__model='build').latest('pk')
        self.assertEqual((change.user, change.postchange_data['state']), (self.user, 'installing'))

    def test_each_message_has_its_events_sent_and_a_refused_one_has_none(self):
        build = self.a_build()
        with mock.patch('netbox_substruct.lifecycle.events.flush_events') as flushed:
            self.deliver(
                event(build, 'config-fetched'), {**event(build, 'failed'), 'progress': 500}, event(build, 'finished')
            )
        told = [event['event_type'] for call in flushed.call_args_list for event in call.args[0]]
        self.assertIn('substruct_build_installing', told)
        self.assertIn('substruct_build_complete', told)
        self.assertNotIn('substruct_build_failed', told)


class Limits(reporter()):
    def test_at_most_500_messages(self):
        message = {'type': 'seen', 'key': 'k', 'time': 1, 'machine': self.machine.pk}
        status, answer = self.post('deliver', {'messages': [message] * 501})
        self.assertEqual((status, answer['code']), (400, 'invalid'))
        status, answer = self.post('deliver', {'messages': [{**message, 'key': str(n)} for n in range(500)]})
        self.assertEqual((status, len(answer['results'])), (200, 500))

    def test_a_message_without_a_key_cannot_be_answered(self):
        status, answer = self.post('deliver', {'messages': [{'type': 'seen'}]})
        self.assertEqual((status, answer['code']), (400, 'invalid'))

    def test_no_messages_are_no_error(self):
        self.assertEqual(self.deliver(), [])

    def test_a_body_that_nobody_reads_is_refused_unread(self):
        with mock.patch('netbox_substruct.api.bodies.LARGEST_BODY', 1000):
            status, answer = self.post('deliver', b'[' * 1001)
        self.assertEqual((status, answer['code']), (413, 'too-large'))

    def test_old_keys_are_forgotten(self):
        self.deliver({'type': 'seen', 'key': 'old', 'time': 1, 'machine': self.machine.pk})
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {delivery.RECEIVED} SET at = now() - interval '91 days'")
            self.deliver()
            cursor.execute(f'SELECT count(*) FROM {delivery.RECEIVED}')
            self.assertEqual(cursor.fetchone()[0], 0)


class Facts(reporter()):
    def test_of_a_machine_that_is_named(self):
        self.assertEqual(self.deliver(facts(machine=self.machine.pk, source='redfish', format_version=3)), [OK])
        found = FactSet.objects.get()
        self.assertEqual((found.machine, found.source, found.format_version), (self.machine, 'redfish', 3))
        self.assertEqual(found.data, {'memory': {'bytes': 1}})

    def test_only_of_machines_that_are_there_and_served(self):
        found = self.deliver(facts('a', machine=self.foreign.pk), facts('b', machine=99999999))
        self.assertEqual(found, [refused('not-served'), refused('unknown')])

    def test_a_known_machine_is_found_by_what_it_says(self):
        for number, said in enumerate(
            ({'serial': ' sn-1 '}, {'macs': ['52-54-00-00-00-01']}, {'serial': 'SN-1', 'macs': ['525400000001']})
        ):
            with self.subTest(said):
                self.assertEqual(self.deliver(facts(f'facts/{number}', **said)), [OK])
        self.assertEqual(set(FactSet.objects.values_list('machine', flat=True)), {self.machine.pk})

    def test_its_uuid_is_learnt_and_then_it_is_found_in_either_byte_order(self):
        self.deliver(facts('1', serial='SN-1', uuid=DISCOVERED_UUID))
        self.machine.refresh_from_db()
        self.assertEqual(str(self.machine.uuid), DISCOVERED_UUID)
        swapped = '44454c4c-4300-104b-8052-b4c04f4d3232'
        self.assertEqual(self.deliver(facts('2', uuid=swapped, data={'memory': {'total_bytes': 2}})), [OK])
        self.assertEqual(FactSet.objects.filter(machine=self.machine).count(), 2)

    def test_an_unknown_machine_becomes_a_discovered_one_and_stays_the_same(self):
        said = {'uuid': DISCOVERED_UUID, 'serial': 'NEW-1', 'macs': ['52:54:00:aa:00:01', '52:54:00:aa:00:02']}
        with mock.patch('netbox_substruct.lifecycle.events.flush_events') as flushed:
            self.assertEqual(self.deliver(facts('1', **said)), [OK])
        self.assertIn(
            'substruct_machine_discovered',
            [event['event_type'] for call in flushed.call_args_list for event in call.args[0]],
        )
        new = Machine.objects.get(device=None)
        self.assertEqual((new.state, new.serial, str(new.boot_mac)), ('discovered', 'NEW-1', '52:54:00:AA:00:01'))
        self.assertIsNotNone(new.last_seen)
        for key, again in enumerate(
            ({'uuid': DISCOVERED_UUID}, {'serial': 'new-1'}, {'macs': said['macs'][:1]}, {**said, 'serial': 'None'})
        ):
            with self.subTest(again):
                data = {'memory': {'total_bytes': key}}
                self.assertEqual(self.deliver(facts(f'again/{key}', **again, data=data)), [OK])
        self.assertEqual(Machine.objects.count(), 3)
        self.assertEqual(FactSet.objects.filter(machine=new).count(), 5)

    def test_what_identifies_nothing_does_not_count(self):
        blank = {'uuid': '00000000-0000-0000-0000-000000000000', 'serial': 'To Be Filled By O.E.M.'}
        Machine.objects.create(discovered_name='also blank', uuid=blank['uuid'], serial=blank['serial'])
        self.assertEqual(self.deliver(facts('1', **blank)), [refused('no-identity')])
        self.assertEqual(self.deliver(facts('2', **blank, macs=['52:54:00:aa:00:01'])), [OK])
        self.assertEqual(self.deliver(facts('3', **blank, macs=['52:54:00:aa:00:02'])), [OK])
        self.assertEqual(Machine.objects.filter(device=None).count(), 3)

    def test_contradictions_are_not_guessed(self):
        Machine.objects.filter(pk=self.machine.pk).update(uuid=DISCOVERED_UUID)
        for key, said in enumerate(
            (
                {'serial': 'SN-1', 'macs': ['52:54:00:00:00:02']},
                {'uuid': DISCOVERED_UUID, 'serial': 'SN-2'},
                {'uuid': '11111111-2222-4333-8444-555555555555', 'serial': 'SN-1'},
            )
        ):
            with self.subTest(said):
                status, answer = self.post('deliver', {'messages': [facts(f'c/{key}', **said)]})
                (result,) = answer['results']
                self.assertEqual((status, result['status'], result['code']), (200, 'refused', 'contradictory'))
                self.assertIn('web-1', result['detail'])
        self.assertEqual(FactSet.objects.count(), 0)
        for machine in (self.machine, self.foreign):
            machine.refresh_from_db()
        # Each of them shows it, until facts of it are taken again.
        self.assertIn('Correct the wrong ones in NetBox', self.foreign.discovery_problem)
        self.assertIn('If its board was replaced', self.machine.discovery_problem)
        self.assertEqual(self.deliver(facts('right', serial='SN-1')), [OK])
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.discovery_problem, '')

    def test_more_than_anybody_reads_is_refused(self):
        with mock.patch.object(m, 'LARGEST_FACTS', 50):
            self.assertEqual(self.deliver(facts(serial='SN-1')), [refused('invalid')])

    def test_a_source_that_is_none_is_refused(self):
        self.assertEqual(self.deliver(facts(serial='SN-1', source='hearsay')), [refused('invalid')])


class Seen(reporter()):
    def seen(self, key, when):
        return {'type': 'seen', 'key': key, 'time': when, 'machine': self.machine.pk, 'data': {'address': '10.1.0.11'}}

    def test_the_last_time_counts_and_is_no_change_that_somebody_made(self):
        before = ObjectChange.objects.count()
        self.assertEqual(self.deliver(self.seen('2', 2000.0), self.seen('1', 1000.0)), [OK, OK])
        self.machine.refresh_from_db()
        self.assertEqual(self.machine.last_seen, datetime.fromtimestamp(2000, UTC))
        self.assertEqual(ObjectChange.objects.count(), before)

    def test_who_is_not_served_is_not_seen(self):
        message = {**self.seen('1', 1.0), 'machine': self.foreign.pk}
        self.assertEqual(self.deliver(message), [refused('not-served')])


class ServedOnce(reporter()):
    def message(self, action, machine=None, key='once'):
        return {
            'type': 'served-once', 'key': key, 'time': time.time(), 'action': action,
            'machine': (machine or self.machine).pk,
        }  # fmt: skip

    def asked(self):
        return Machine.objects.get(pk=self.machine.pk).next_boot

    def test_a_machine_that_got_what_it_was_asked_for_is_asked_no_longer(self):
        for action in ('rescue', 'discovery', 'wipe'):
            machines.ask(self.machine, action, override=self.machine.name)
            self.assertEqual(self.deliver(self.message(action, key=action)), [OK])
            self.assertEqual(self.asked(), '')

    def test_what_it_was_asked_for_meanwhile_stays(self):
        machines.ask(self.machine, 'wipe', override=self.machine.name)
        self.assertEqual(self.deliver(self.message('rescue')), [OK])
        self.assertEqual(self.asked(), 'wipe')

    def test_nobody_speaks_for_the_machines_of_others(self):
        machines.ask(self.foreign, 'wipe', override=self.foreign.name)
        self.assertEqual(self.deliver(self.message('wipe', self.foreign)), [refused('not-served')])


class Files(reporter()):
    def file(self, url, state, when=0.0, **fields):
        return {
            'type': 'file', 'key': f'{url}/{state}/{when}', 'time': 1_700_000_000 + when,
            'data': {'url': url, 'state': state, **fields},
        }  # fmt: skip

    def files(self):
        return [(file['source'], file['state']) for file in BootServer.objects.get(pk=self.boot_server.pk).files]

    def test_the_newest_state_of_each_url_is_kept(self):
        a, b = 'http://x/a', 'http://x/b'
        self.deliver(self.file(a, 'fetching', 1, bytes=5, total=10), self.file(b, 'failed', 2, error='404'))
        self.deliver(self.file(a, 'present', 3), self.file(a, 'fetching', 2))
        self.assertEqual(self.files(), [(a, 'present'), (b, 'failed')])

    def test_what_was_removed_is_forgotten(self):
        self.deliver(self.file('http://x/a', 'present', 1), self.file('http://x/a', 'removed', 2))
        self.assertEqual(self.files(), [])

    def test_they_do_not_grow_without_end(self):
        with mock.patch.object(delivery, 'MOST_FILES', 3):
            self.deliver(*(self.file(f'http://x/{n}', 'present', n) for n in range(5)))
        self.assertEqual(len(self.files()), 3)


class Costs(reporter()):
    def test_a_message_about_a_machine_spoken_for_before_costs_few_queries(self):
        build = self.a_build()
        self.deliver(event(build, 'config-fetched'))
        Build.objects.filter(pk=build.pk).update(created=timezone.now() - timedelta(minutes=1))
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            self.deliver(*({'type': 'seen', 'key': str(n), 'time': n, 'machine': self.machine.pk} for n in range(50)))
        self.assertLess(len(queries) / 50, 7)
        self.assertEqual(BuildEvent.objects.count(), 1)
