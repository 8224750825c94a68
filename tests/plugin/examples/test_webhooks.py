"""The manual's receiver of webhooks: told by a real NetBox, and by whoever else may knock."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .conftest import EXAMPLES

SECRET = 'only for tests'
BODIES = {body['event']: body for body in json.loads((EXAMPLES / 'events.json').read_text())}


class Services(ThreadingHTTPServer):
    """A chat and an Alertmanager, as far as the receiver knows them: they note what they are asked."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Service)
        self.asked = []
        self.refusals = []  # codes with which the next requests are answered

    def wait(self, number):
        """The first so many requests that were carried out."""
        until = time.monotonic() + 60
        while len(self.asked) < number:
            assert time.monotonic() < until, self.asked
            time.sleep(0.02)
        return self.asked[:number]


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get('Content-Length') or 0)) or 'null')
        if self.server.refusals:
            self.send_response(self.server.refusals.pop(0))
            answer = b''
        else:
            self.server.asked.append((self.command, self.path, body))
            self.send_response(200)
            answer = b'{"silenceID": "s-1"}' if self.path.endswith('/silences') else b'ok'
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_DELETE = do_POST

    def log_message(self, *values):
        pass


@pytest.fixture
def services():
    server = Services()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def receiver(services, tmp_path):
    """Starts the receiver, which keeps its state; gives its URL."""

    @contextmanager
    def started(**more):
        url = f'http://127.0.0.1:{services.server_port}'
        process = subprocess.Popen(
            [sys.executable, EXAMPLES / 'webhook_receiver.py', '--listen', '127.0.0.1:0', '--state', tmp_path / 'db'],
            env={**os.environ, 'WEBHOOK_SECRET': SECRET, 'CHAT_URL': f'{url}/chat', 'NO_PROXY': '*', **more},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            yield f'http://{process.stdout.readline().split()[-1]}/'
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    return started


def send(url, body, secret=SECRET):
    """As NetBox does it; gives the code of the answer."""
    raw = json.dumps(body).encode()
    signature = hmac.new(secret.encode(), raw, hashlib.sha512).hexdigest()
    request = urllib.request.Request(url, raw, {'X-Hook-Signature': signature})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def event(name, ago=0, **build):
    """The manual's example of an event, as if it were of today."""
    body = json.loads(json.dumps(BODIES[f'substruct_{name}']))
    body['data']['time'] = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    body['data'].get('build', {}).update(build)
    return body


def test_a_failure_is_told_once_however_often_it_comes(receiver, services):
    failed = event('build_failed', error='No disk. <!channel> @here')
    with receiver(NETBOX_URL='https://netbox.example.com') as url:
        assert [send(url, failed), send(url, failed), send(url, event('build_started'))] == [204] * 3
        assert [send(url, event(name)) for name in ('boot_server_lost', 'wave_stopped')] == [204, 204]
        first, second, third = services.wait(3)
    text = first[2]['text']
    assert text.startswith('web-1: its build failed. No disk. &lt;!channel&gt; @\u200bhere https://netbox.example.com/')
    assert 'is not heard any more' in second[2]['text'] and len(services.asked) == 3
    assert third[2]['text'].startswith('The wave Rack 17 has stopped. Stopped by ada')


def test_what_netbox_has_not_signed_is_refused(receiver, services):
    with receiver() as url:
        assert send(url, event('build_failed'), secret='a guess') == 403
        assert send(url, event('build_failed', ago=8 * 24 * 3600)) == 400
        assert send(url, event('build_stalled')) == 204
        assert 'nothing is heard' in services.wait(1)[0][2]['text']


def test_what_could_not_be_told_is_told_later_also_after_a_restart(receiver, services):
    services.refusals = [503] * 9
    with receiver() as url:
        assert send(url, event('build_failed')) == 204
    services.refusals = [503]
    with receiver():
        assert 'its build failed' in services.wait(1)[0][2]['text']


def test_what_a_chat_does_not_take_keeps_nothing_waiting(receiver, services):
    services.refusals = [400]
    with receiver() as url:
        assert [send(url, event('build_failed')), send(url, event('build_stalled'))] == [204, 204]
        assert 'nothing is heard' in services.wait(1)[0][2]['text']


def test_monitoring_is_silent_while_a_machine_is_built_in_whatever_order_it_is_told(receiver, services):
    alertmanager = f'http://127.0.0.1:{services.server_port}'
    with receiver(ALERTMANAGER_URL=alertmanager, CHAT_URL='') as url:
        started, late = event('build_started', ago=60), event('build_finishing', ago=20)
        for body in (started, event('build_installing', ago=30), event('build_complete', ago=10), late):
            assert send(url, body) == 204
        created, ended = services.wait(2)
        assert created[:2] == ('POST', '/api/v2/silences')
        assert created[2]['matchers'][0] | {'name': 'instance', 'value': 'web-1'} == created[2]['matchers'][0]
        assert ended[:2] == ('DELETE', '/api/v2/silence/s-1')
        assert send(url, event('build_started')) == 204  # the next build
        assert services.wait(3)[2][:2] == ('POST', '/api/v2/silences')


def test_netbox_tells_it_by_the_rule_of_the_manual(run, environment, queues, receiver, services):
    from extras.models import EventRule, Webhook

    from netbox_substruct.lifecycle import builds, events
    from netbox_substruct.models import Machine

    from ..automation.world import work
    from ..lifecycle.world import a_machine

    machine = a_machine()
    environment['WEBHOOK_SECRET'] = SECRET
    with receiver() as url:
        for _ in range(2):  # a second time, nothing is made twice
            done = run('webhook_setup.py', url, '--site', 'ber')
            assert done.returncode == 0, done.stdout + done.stderr
        assert (Webhook.objects.count(), EventRule.objects.count()) == (1, 1)
        build = builds.request(Machine.objects.get(), user=None)
        with events.tracked(None):
            builds.record(build, 'failed', message='The mirror is away.')
        work()
        ((_, path, said),) = services.wait(1)
    assert path == '/chat'
    assert said['text'].startswith(f'{machine.name}: its build failed. The mirror is away.'), said
