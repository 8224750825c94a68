"""The webhook that wakes a boot server: made, kept and removed by the plugin, and signed when it is sent."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

import pytest
from django.db import connection

from dcim.models import Device
from extras.models import EventRule, Webhook

from netbox_substruct.feed import changes
from netbox_substruct.lifecycle import events
from netbox_substruct.models import BootServer
from netbox_substruct.reports import webhooks

from .world import machine, reporter

URL = 'https://boot-ber.example.com:8081/hook'


class Hook(reporter('feed', 'delete')):
    def put(self, url=URL, **fields):
        status, answer = self.post('webhook', {'url': url, **fields})
        self.assertEqual(status, 200, answer)
        return answer

    def owned(self):
        answer = self.put()
        return Webhook.objects.get(pk=answer['webhook']), EventRule.objects.get(pk=answer['event_rule'])

    def test_it_says_that_something_changed_and_nothing_else(self):
        webhook, rule = self.owned()
        self.assertEqual((webhook.name, webhook.payload_url, webhook.http_method), ('Substruct: boot-ber', URL, 'POST'))
        self.assertEqual(
            webhook.body_template, f'{{"timestamp": "{{{{ timestamp }}}}", "boot_server": {self.boot_server.pk}}}'
        )
        self.assertTrue(webhook.ssl_verification)
        self.assertGreaterEqual(len(webhook.secret), 60)
        self.assertEqual(rule.action_object, webhook)
        self.assertEqual(set(rule.event_types), {'object_created', 'object_updated', 'object_deleted'})
        self.assertTrue(rule.enabled)

    def test_it_listens_to_every_model_that_the_feed_reads(self):
        _, rule = self.owned()
        models = {f'{found.app_label}.{found.model}' for found in rule.object_types.all()}
        links = ('_tagged_vlans', '_sites', '_prefixes')
        tables = {tracked.table for tracked in changes.TRACKED if not tracked.table.endswith(links)}
        self.assertEqual({name.replace('.', '_', 1) for name in models}, tables)
        self.assertIn('dcim.device', models)

    def test_asking_again_changes_nothing_and_keeps_the_secret(self):
        first = self.put()
        before = Webhook.objects.values().get()
        self.assertEqual(self.put(), first)
        self.assertEqual(Webhook.objects.values().get(), before)
        self.assertEqual((Webhook.objects.count(), EventRule.objects.count()), (1, 1))

    def test_each_boot_server_has_its_own_secret(self):
        first = self.put()
        _, second = self.post('webhook', {'url': URL}, self.other)
        self.assertNotEqual(first['secret'], second['secret'])
        self.assertEqual(Webhook.objects.count(), 2)

    def test_what_somebody_edited_is_put_right(self):
        webhook, rule = self.owned()
        secret = webhook.secret
        Webhook.objects.update(
            payload_url='http://elsewhere', body_template='', http_method='GET', ssl_verification=False
        )
        EventRule.objects.update(enabled=False, conditions={'attr': 'x', 'value': 1}, event_types=['job_started'])
        rule.object_types.clear()
        webhook, rule = self.owned()
        self.assertEqual((webhook.payload_url, webhook.http_method, webhook.secret), (URL, 'POST', secret))
        self.assertIn('timestamp', webhook.body_template)
        self.assertTrue(rule.enabled and rule.conditions is None and rule.object_types.exists())

    def test_what_somebody_deleted_is_made_anew(self):
        webhook, _ = self.owned()
        webhook.delete()
        with connection.cursor() as cursor:
            cursor.execute('SET CONSTRAINTS ALL IMMEDIATE')
        again, rule = self.owned()
        self.assertNotEqual(again.pk, webhook.pk)
        self.assertEqual(rule.action_object, again)
        self.assertEqual(EventRule.objects.count(), 1)

    def test_a_renamed_boot_server_is_followed(self):
        webhook, _ = self.owned()
        BootServer.objects.filter(pk=self.boot_server.pk).update(name='boot-new')
        again, rule = self.owned()
        self.assertEqual((again.pk, again.name, rule.name), (webhook.pk, 'Substruct: boot-new', 'Substruct: boot-new'))

    def test_objects_of_the_same_name_that_are_not_ours_are_left_alone(self):
        theirs = Webhook.objects.create(name='Substruct: boot-ber', payload_url='http://theirs')
        webhook, _ = self.owned()
        self.assertEqual(webhook.name, f'Substruct: boot-ber (boot server {self.boot_server.pk})')
        self.post('webhook', {'url': ''})
        self.assertEqual(list(Webhook.objects.all()), [theirs])

    def test_an_empty_url_removes_it(self):
        self.owned()
        self.assertEqual(self.put(''), {'secret': '', 'webhook': None, 'event_rule': None})
        self.assertFalse(Webhook.objects.exists() or EventRule.objects.exists())
        self.put('')

    def test_deleting_the_boot_server_removes_it_however_that_is_done(self):
        for delete in (
            lambda: BootServer.objects.get(pk=self.boot_server.pk).delete(),
            lambda: BootServer.objects.filter(pk=self.other.pk).delete(),
        ):
            self.put()
            self.post('webhook', {'url': URL}, self.other)
            before = Webhook.objects.count()
            delete()
            self.assertEqual(Webhook.objects.count(), before - 1)
            self.boot_server = self.other
        self.assertFalse(Webhook.objects.exists() or EventRule.objects.exists())

    def test_a_url_is_a_url_and_nothing_else(self):
        for url in ('ftp://x/', 'nonsense', 'http://{{ secret }}/', 'http://x/{% raw %}', 'http://'):
            with self.subTest(url):
                status, answer = self.post('webhook', {'url': url})
                self.assertEqual((status, answer['code']), (422, 'invalid'))
        self.assertFalse(Webhook.objects.exists())

    def test_a_certificate_that_nobody_signed_may_be_taken(self):
        self.put(ssl_verification=False)
        self.assertFalse(Webhook.objects.get().ssl_verification)

    def test_no_relation_leads_from_a_boot_server_to_the_secret(self):
        """An export template could follow one."""
        related = {field.related_model for field in BootServer._meta.get_fields() if field.is_relation}
        self.assertFalse({Webhook, EventRule} & related)
        self.assertFalse([f for f in Webhook._meta.get_fields() if f.is_relation and f.related_model is BootServer])


class Listener(HTTPServer):
    def __init__(self):
        self.heard = []
        super().__init__(('127.0.0.1', 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.heard.append((body, self.headers['X-Hook-Signature'], self.headers['Content-Type']))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def listener():
    server = Listener()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_saved_device_gives_a_signed_webhook(committed, listener):
    """Through NetBox's own queue and worker, to a server that listens."""
    import django_rq
    from rq import SimpleWorker

    from users.models import User

    boot_server = BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2')
    device = machine('web-1', '10.1.0.11/24', '52:54:00:00:00:01', serial='SN-1', server=boot_server).device
    webhook, _ = webhooks.put(boot_server.pk, f'http://127.0.0.1:{listener.server_port}/hook')
    queue = django_rq.get_queue('default')
    queue.empty()
    with events.tracked(User.objects.create_user('ada')):
        device = Device.objects.get(pk=device.pk)
        device.snapshot()
        device.name = 'web-1-new'
        device.save()
    # The worker would keep the signals of the test process.
    with mock.patch.object(SimpleWorker, '_install_signal_handlers'):
        SimpleWorker([queue], connection=queue.connection).work(burst=True, with_scheduler=False)

    ((body, signature, content_type),) = listener.heard
    assert content_type == 'application/json'
    assert json.loads(body).keys() == {'timestamp', 'boot_server'}
    assert json.loads(body)['boot_server'] == boot_server.pk
    assert hmac.compare_digest(signature, hmac.new(webhook.secret.encode(), body, hashlib.sha512).hexdigest())
