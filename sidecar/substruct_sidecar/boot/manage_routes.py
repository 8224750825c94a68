"""What NetBox, Prometheus and people ask of the sidecar: webhooks, /healthz, /metrics, /status."""

import time
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from .. import status
from ..hooks import SECRET, Hooks, Secret
from ..settings import Settings
from .metrics import STALE, Metrics
from .reading import NoState, Reader


class Health:
    """Whether machines can be served, on either listener.

    503 only where they cannot; an agent that has died, or a NetBox that cannot be reached, is told in `status`, for
    machines go on booting all the same and a load balancer must not take this boot server away.
    """

    def __init__(self, settings: Settings, reader: Reader) -> None:
        self._settings = settings
        self._reader = reader

    async def answer(self, request: web.Request) -> web.Response:
        now = time.time()
        told = status.read(self._settings.run_folder)
        words: list[str] = []
        found: dict[str, Any] = {'status': 'ok', 'state_age': None, 'revision': None, 'services': {}}
        try:
            about = self._reader.about()
            found['state_age'] = round(max(0.0, now - self._reader.taken()), 1)
            found['revision'] = about.revision
        except NoState as error:
            found['status'] = 'down'
            words.append(str(error))
        if told is None or now - told.written > STALE:
            words.append('The agent is not running: nothing changes until it is.')
        else:
            found['services'] = {service.name: service.state for service in told.services}
            if told.netbox.state == 'failing':
                words.append(f'NetBox: {told.netbox.message}')
            words += [f'{one.name}: {one.message}' for one in told.services if one.state in ('down', 'degraded')]
        if words and found['status'] == 'ok':
            found['status'] = 'degraded'
        found['messages'] = words
        return web.json_response(found, status=503 if found['status'] == 'down' else 200)


class Manage:
    def __init__(self, settings: Settings, metrics: Metrics, health: Health) -> None:
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._hooks = Hooks(
            Secret(settings.state_folder / SECRET),
            settings.run_folder,
            settings.manage.hook_tolerance,
            lambda verdict: metrics.hooks.labels(verdict).inc(),
        )

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post('/hook', self._hooks.receive),
            web.get('/healthz', self._health.answer),
            web.get('/metrics', self.metrics),
            web.get('/status', self.status),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get('Accept', ''))
        return web.Response(body=encode(self._metrics.registry), headers={'Content-Type': content_type})

    async def status(self, request: web.Request) -> web.Response:
        """The agent's status file, as it stands."""
        found = status.read(self._settings.run_folder)
        if found is None:
            return web.json_response({'error': 'The agent has not written its status.'}, status=503)
        return web.Response(body=msgspec.json.encode(found), content_type='application/json')
