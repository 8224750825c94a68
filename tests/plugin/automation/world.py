"""Who listens to NetBox's events: event rules, a web server that takes webhooks, NetBox's own worker."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import django_rq
import jsonschema
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from rq import SimpleWorker

from extras.models import EventRule, NotificationGroup, Webhook

from netbox_substruct.lifecycle import payloads
from netbox_substruct.models import BMC, BootServer

SECRET = 'only for tests'


def rule(name, event_types, models, action_type='webhook', action_object=None, **fields):
    """An event rule on these event types of these models."""
    if action_object is not None:
        fields |= {
            'action_object_type': ContentType.objects.get_for_model(action_object, for_concrete_model=False),
            'action_object_id': action_object.pk,
        }
    made = EventRule(name=name, event_types=list(event_types), action_type=action_type, **fields)
    made.full_clean()
    made.save()
    made.object_types.set([ContentType.objects.get_for_model(model) for model in models])
    return made


def webhook(url, **fields):
    return Webhook.objects.create(name='to a receiver', payload_url=url, secret=SECRET, **fields)


def notification_group(*users):
    group = NotificationGroup.objects.create(name='on call')
    group.users.set(users)
    return group


class Receiver(ThreadingHTTPServer):
    """Takes webhooks as a receiver of somebody else would: it checks the signature and reads the JSON."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.bodies = []

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_port}/hook'


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        signature = hmac.new(SECRET.encode(), body, hashlib.sha512).hexdigest()
        if hmac.compare_digest(signature, self.headers['X-Hook-Signature']):
            self.server.bodies.append(json.loads(body))
            self.send_response(204)
        else:
            self.send_response(403)
        self.end_headers()

    def log_message(self, *args):
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def able_to_switch(machine):
    """A boot server that can switch the machine by its BMC."""
    server = BootServer.objects.create(
        name='able', base_url='http://192.0.2.2:8080', services=[{'name': 'power', 'state': 'ok'}],
        last_heartbeat=timezone.now(),
    )  # fmt: skip
    server.sites.add(machine.site)
    BMC.objects.create(machine=machine, protocol='ipmi', address='192.0.2.9', credential='bmc')


def empty_queues():
    for name in ('default', 'high', 'low'):
        django_rq.get_queue(name).connection.flushdb()


def work():
    """Let NetBox's worker do what is queued, in this process."""
    queues = [django_rq.get_queue(name) for name in ('high', 'default', 'low')]
    # The worker would keep the signals of the test process.
    with mock.patch.object(SimpleWorker, '_install_signal_handlers'):
        SimpleWorker(queues, connection=queues[0].connection).work(burst=True, with_scheduler=False)


def valid(payload):
    """Raises unless a payload is what the published schema says."""
    jsonschema.validate(json.loads(json.dumps(payload)), payloads.schema(), cls=jsonschema.Draft202012Validator)
