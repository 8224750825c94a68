"""Takes Substruct's webhooks: a chat hears what needs a person, and monitoring is silent while a machine is built.

    python webhook_receiver.py [--listen 127.0.0.1:9000] [--state receiver.db]

    WEBHOOK_SECRET    the secret of the webhook in NetBox
    CHAT_URL          an incoming webhook of Slack, Mattermost or the like, which takes {"text": …}; none if not set
    ALERTMANAGER_URL  Prometheus' Alertmanager, such as http://alerts.example.com:9093; none if not set
    SILENCED_LABEL    the label that holds the machine's name there; instance if not set
    NETBOX_URL        for links in messages

Python's standard library is enough.  Put a web server that speaks TLS in front of it.
"""

import argparse
import hashlib
import hmac
import json
import logging
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 1 << 20
# What was received is remembered for so many days, and nothing older is taken: so nothing is ever acted on twice.
KEPT = timedelta(days=7)
LONGEST_BUILD = timedelta(hours=3)

TOLD = {
    'substruct_build_failed': '{machine}: its build failed. {error}',
    'substruct_build_stalled': '{machine}: nothing is heard of its build any more. {error}',
    'substruct_build_refused': '{machine}: the rule {rule} did not build it. {reason}',
    'substruct_wave_stopped': 'The wave {display} has stopped. {reason}',
    'substruct_boot_server_lost': 'The boot server {display} is not heard any more.',
    'substruct_boot_server_heard': 'The boot server {display} is heard again.',
}
DOWN = ('substruct_build_started', 'substruct_build_installing', 'substruct_build_finishing')
ENDED = tuple(f'substruct_build_{state}' for state in ('complete', 'failed', 'stalled', 'cancelled'))


class Inbox:
    """What was received, on disk before NetBox has its answer, for NetBox does not send twice."""

    def __init__(self, path):
        self.changed = threading.Condition()
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.executescript("""
            CREATE TABLE IF NOT EXISTS events (
                key TEXT PRIMARY KEY, data TEXT NOT NULL, received REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0);
            CREATE TABLE IF NOT EXISTS machines (id INTEGER PRIMARY KEY, time TEXT NOT NULL, silence TEXT, until TEXT);
        """)

    def put(self, data):
        # There is no number of a delivery; the event of one object at one moment is one event, however often it comes.
        key = f'{data["event"]} {data["id"]} {data["time"]}'
        with self.changed:
            old = time.time() - KEPT.total_seconds()
            self.database.execute('DELETE FROM events WHERE done AND received < ?', [old])
            self.database.execute(
                'INSERT OR IGNORE INTO events (key, data, received) VALUES (?, ?, ?)',
                [key, json.dumps(data), time.time()],
            )
            self.changed.notify()

    def first(self):
        """The oldest of which nothing was made yet; waits for one."""
        with self.changed:
            while (found := self.query('SELECT key, data FROM events WHERE NOT done ORDER BY rowid LIMIT 1')) is None:
                self.changed.wait()
            return found[0], json.loads(found[1])

    def done(self, key):
        with self.changed:
            self.database.execute('UPDATE events SET done = 1 WHERE key = ?', [key])

    def machine(self, number):
        """When the last event of a machine was, its silence, and when that ends by itself."""
        return self.query('SELECT time, silence, until FROM machines WHERE id = ?', number) or (None, None, None)

    def keep(self, number, *values):
        self.database.execute('INSERT OR REPLACE INTO machines VALUES (?, ?, ?, ?)', [number, *values])

    def query(self, sql, *values):
        return self.database.execute(sql, values).fetchone()


class Acting:
    """What is done about an event.  Each part may be done again, should the next one fail."""

    def __init__(self, inbox, environment):
        self.inbox = inbox
        self.chat = environment.get('CHAT_URL')
        self.alertmanager = environment.get('ALERTMANAGER_URL', '').rstrip('/')
        self.label = environment.get('SILENCED_LABEL', 'instance')
        self.netbox = environment.get('NETBOX_URL', '').rstrip('/')

    def act(self, data):
        if self.alertmanager and 'build' in data:
            self.silence(data)
        if self.chat and (words := TOLD.get(data['event'])):
            told = words.format_map(
                {
                    'display': data['display'],
                    'machine': (data.get('machine') or {}).get('name') or data['display'],
                    'error': (data.get('build') or {}).get('error', ''),
                    'rule': (data.get('rule') or {}).get('name', ''),
                    'reason': data.get('reason') or (data.get('wave') or {}).get('reason', ''),
                }
            )
            call('POST', self.chat, {'text': f'{plain(told)} {self.netbox}{data["display_url"]}'})

    def silence(self, data):
        machine, moment = data['machine'], data['time']
        last, silence, until = self.inbox.machine(machine['id'])
        if last and datetime.fromisoformat(moment) <= datetime.fromisoformat(last):
            return  # NetBox promises no order: what came after it has been acted on already
        now = datetime.now(UTC)
        if silence and datetime.fromisoformat(until) < now:
            silence = None
        if data['event'] in DOWN and silence is None:
            until = (now + LONGEST_BUILD).isoformat()
            silence = call(
                'POST', f'{self.alertmanager}/api/v2/silences',
                {
                    'matchers': [{'name': self.label, 'value': machine['name'], 'isRegex': False, 'isEqual': True}],
                    'startsAt': now.isoformat(), 'endsAt': until,
                    'createdBy': 'substruct', 'comment': f'{data["display"]} is under way',
                },
            )['silenceID']  # fmt: skip
        elif data['event'] in ENDED and silence is not None:
            try:
                call('DELETE', f'{self.alertmanager}/api/v2/silence/{silence}')
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            silence = None
        self.inbox.keep(machine['id'], moment, silence, until)


def plain(text):
    """What a machine said is text: it is no link, and calls nobody."""
    text = text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('@', '@\u200b')
    return text if len(text) < 1000 else f'{text[:1000]} …'


def call(method, url, body=None):
    request = urllib.request.Request(
        url, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={'Content-Type': 'application/json'},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text[:1] == b'{' else None


def work(inbox, acting):
    pause = 1
    while True:
        key, data = inbox.first()
        try:
            acting.act(data)
        except Exception as error:  # whatever is wrong with one event, those after it are acted on
            refused = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code != 429
            if not refused and isinstance(error, OSError):
                logging.warning('%s waits for %s s: %s', key, pause, error)
                time.sleep(pause)
                pause = min(2 * pause, 60)
                continue
            logging.exception('%s is given up', key)  # it would not go better the next time, and others wait
        inbox.done(key)
        pause = 1


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = self.headers.get('Content-Length', '')
        if not length.isdecimal() or int(length) > LARGEST:
            return self.answer(413)
        body = self.rfile.read(int(length))
        signature = hmac.new(self.server.secret, body, hashlib.sha512).hexdigest()
        if not hmac.compare_digest(signature, self.headers.get('X-Hook-Signature', '')):
            return self.answer(403)
        data = json.loads(body)['data']
        if 'event' not in data or 'time' not in data:
            return self.answer(204)  # NetBox's own events are no concern of this program
        if datetime.now(UTC) - datetime.fromisoformat(data['time']) > KEPT:
            return self.answer(400)
        self.server.inbox.put(data)
        return self.answer(204)

    def answer(self, code):
        self.send_response(code)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, form, *values):
        logging.info(form, *values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--listen', default='127.0.0.1:9000')
    parser.add_argument('--state', default='receiver.db', help='a file')
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')

    host, _, port = wanted.listen.rpartition(':')
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.secret = os.environ['WEBHOOK_SECRET'].encode()
    server.inbox = Inbox(wanted.state)
    threading.Thread(target=work, args=[server.inbox, Acting(server.inbox, os.environ)], daemon=True).start()
    print(f'listens on {host}:{server.server_port}', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
