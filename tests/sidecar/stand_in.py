"""A stand-in for NetBox that can be made to fail: slow, broken off, empty, refusing, on demand.

The real NetBox does none of these when it is asked to; everything that it does do is tested against it (tests/sidecar/
test_with_netbox.py).  It speaks the endpoints of a boot server and remembers what it was told.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from substruct_sidecar.settings import NetBox as NetBoxSettings

TOKEN = '0123456789abcdef0123456789abcdef01234567'
BOOT_SERVER = {'id': 5, 'name': 'boot-ber', 'base_url': 'http://10.60.0.1:8080'}


class StandIn:
    """`feed` gives the body for a cursor ('' for a snapshot).  `fault`, if set, is called with the handler and the path
    before anything else and returns True if it has answered."""

    def __init__(self) -> None:
        self.feed: Callable[[str], bytes] = lambda after: b''
        self.fault: Callable[[Any, str], bool] | None = None
        self.delivered: list[dict[str, Any]] = []
        self.refuse: set[str] = set()
        self.heartbeats: list[dict[str, Any]] = []
        self.webhooks: list[str] = []
        self.asked_after: list[str] = []
        self.tasks: list[dict[str, Any]] = []
        self.claims: dict[str, list[dict[str, Any]]] = {}
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.artifacts: dict[int, bytes] = {}
        self._keys: set[str] = set()
        self.lock = threading.Lock()
        self.url = ''

    @property
    def settings(self) -> NetBoxSettings:
        return NetBoxSettings(url=self.url, boot_server='boot-ber', token=TOKEN, timeout=2.0, poll_interval=0.2)

    def answer(self, handler: Any, method: str, path: str, query: dict[str, list[str]], body: Any) -> None:
        base = '/api/plugins/substruct/boot-servers'
        if path == '/api/status/':
            handler.give({'netbox-version': '4.7.3', 'plugins': {'netbox_substruct': '0.1.0'}})
        elif path == f'{base}/':
            found = [BOOT_SERVER] if query.get('name') == ['boot-ber'] else []
            handler.give({'count': len(found), 'next': None, 'previous': None, 'results': found})
        elif path == f'{base}/5/feed/':
            after = query.get('after', [''])[0]
            self.asked_after.append(after)
            handler.give_bytes(self.feed(after), 'application/x-ndjson')
        elif path == f'{base}/5/deliver/':
            handler.give({'results': [self._take(message) for message in body['messages']]})
        elif path == f'{base}/5/heartbeat/':
            self.heartbeats.append(body)
            handler.give({'boot_server': 5, 'time': '2026-11-21T12:00:00+00:00', 'other_instances': []})
        elif path == f'{base}/5/webhook/':
            self.webhooks.append(body['url'])
            handler.give({'secret': 'a-secret', 'webhook': 1, 'event_rule': 1})
        elif path == f'{base}/5/tasks/claim/':
            with self.lock:
                if body['key'] not in self.claims:
                    self.claims[body['key']] = [self.tasks.pop(0) for _ in self.tasks[: body['limit']]]
            handler.give({'tasks': self.claims[body['key']]})
        elif path.startswith(f'{base}/5/tasks/') and path.endswith('/answer/'):
            self.answers.append((int(path.split('/')[-3]), body))
            handler.give({})
        elif path.startswith(f'{base}/5/tasks/') and path.endswith('/renew/'):
            handler.give({})
        elif path.startswith(f'{base}/5/artifacts/'):
            handler.give_bytes(self.artifacts[int(path.split('/')[-2])], 'text/plain')
        else:
            handler.give({'detail': 'Not found.'}, 404)

    def _take(self, message: dict[str, Any]) -> dict[str, str]:
        with self.lock:
            if message['key'] in self.refuse:
                return {'key': message['key'], 'status': 'refused', 'code': 'unknown_build', 'detail': 'No such build.'}
            if message['key'] in self._keys:
                return {'key': message['key'], 'status': 'duplicate'}
            self._keys.add(message['key'])
            self.delivered.append(message)
            return {'key': message['key'], 'status': 'ok'}


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A stand-in that listens on a free port of the loopback interface."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *_: object) -> None:
            pass

        def give_bytes(self, body: bytes, content_type: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header('Content-Type', content_type)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def give(self, body: Any, status: int = 200) -> None:
            self.give_bytes(json.dumps(body).encode(), 'application/json', status)

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get('Content-Length', 0))
            raw = self.rfile.read(length)
            if stand_in.fault is not None and stand_in.fault(self, parts.path):
                return
            if self.headers.get('Authorization') != f'Token {TOKEN}':
                self.give({'detail': 'Invalid token'}, 403)
                return
            stand_in.answer(self, self.command, parts.path, parse_qs(parts.query), json.loads(raw) if raw else None)

        do_GET = do_POST = _handle

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    stand_in.url = f'http://127.0.0.1:{server.server_address[1]}'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
