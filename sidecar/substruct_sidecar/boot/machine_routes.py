"""What boot loaders are told: iPXE scripts, and the configurations of GRUB and PXELINUX.

GET  /boot.ipxe?mac=&uuid=&serial=&arch=&platform=    the machine's script; /boot.ipxe/<mac> too
GET  /grub.cfg?mac=, /pxelinux.cfg/01-<mac>           the same for GRUB and PXELINUX
"""

import time
from collections import OrderedDict
from typing import Any

import structlog
from aiohttp import web

from ..desired import Machine
from ..state import About
from . import answers, callbacks, identify
from .front import Front
from .problems import Problems
from .recorder import Recorder
from .scripts import KINDS, Answer, Scripts
from .underway import REMEMBERED, Steps
from .urls import base_url_for

log: Any = structlog.get_logger('http')

# Scripts that are kept ready; forgotten whenever the desired state changes.
READY = 8192
# A machine is told of as seen at most every so many seconds.
SEEN_AGAIN = 600.0


class Seen:
    """Tells NetBox that a machine showed itself: once in a while, and no machine waits for it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen: OrderedDict[int, float] = OrderedDict()

    def note(self, machine: Machine) -> None:
        now = time.monotonic()
        if now - self._seen.get(machine.id, -SEEN_AGAIN) < SEEN_AGAIN:
            return
        self._seen[machine.id] = now
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._recorder.put_later(callbacks.seen(machine.id, time.time()))


class Machines:
    """The routes, for one event loop."""

    def __init__(
        self, front: Front, *, recorder: Recorder, scripts: Scripts, steps: Steps, seen: Seen, problems: Problems
    ) -> None:
        self._front = front
        self._reader = front.reader
        self._recorder = recorder
        self._scripts = scripts
        self._steps = steps
        self._seen = seen
        self._problems = problems
        self._ready: dict[tuple[str, str], tuple[Answer, bytes, str]] = {}
        self._ready_about: About | None = None
        self._counts = {kind: front.metrics.scripts.labels(kind) for kind in KINDS}

    def routes(self) -> list[web.RouteDef]:
        get = self._front.get
        return [
            get('/boot.ipxe', 'script', self.script),
            get('/boot.ipxe/{mac}', 'script', self.script),
            get('/grub.cfg', 'script', self.grub),
            get('/grub/grub.cfg-{mac}', 'script', self.grub),
            get('/pxelinux.cfg/{name}', 'script', self.pxelinux),
        ]

    # ------------------------------------------------------------------ iPXE

    async def script(self, request: web.Request) -> web.StreamResponse:
        address = self._front.address(request)
        answer, body, base_url, again = self._script(request, address)
        if request.method == 'HEAD':
            # Whoever only looks boots nothing: that is no step, and uses up nothing.
            return self._as_script(body)
        if answer.once and answer.machine is not None:
            # On disk before it is told, so that it can never be told twice.
            message = callbacks.served_once(answer.machine.id, answer.once, self._reader.revision(), time.time())
            if not await self._recorder.put_once(message, answer.machine.id, answer.once):
                reason = f'It was asked for {answer.once} once, and that was served: its own disk.'
                answer = self._scripts.local(answer.machine, reason, base_url, 'nothing')
                body = answer.text.encode()
        if answer.build is not None:
            await self._under_way(answer, address)
            if self._reader.boots_its_disk(answer.digest):
                # It has ended while this was written down.
                answer = self._scripts.local(answer.machine, f'Build #{answer.build.id} has ended.', base_url)
                body = answer.text.encode()
        else:
            self._steps.left(address)
        if answer.machine is not None:
            self._seen.note(answer.machine)
        self._counts[answer.kind].inc()
        self._tell(answer, address, again)
        return self._as_script(body)

    @staticmethod
    def _as_script(body: bytes) -> web.Response:
        return web.Response(
            body=body, headers={'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store'}
        )

    def _script(self, request: web.Request, address: str) -> tuple[Answer, bytes, str, bool]:
        """The script, as it is sent, the base URL in it, and whether it was the same before: then it is one of those
        kept ready, and the state is as it was when it was worked out."""
        about = self._front.about()
        if about is not self._ready_about or len(self._ready) > READY:
            self._ready.clear()
            self._ready_about = about
        key = (request.raw_path[:2000], address)
        if (found := self._ready.get(key)) is not None and (
            found[0].build is None or not self._reader.boots_its_disk(found[0].digest)
        ):
            return *found, True
        base_url = base_url_for(self._front.settings, about, address)
        said = self._front.said(request, request.match_info.get('mac', ''))
        answer = self._scripts.ipxe(said, address, base_url)
        found = answer, answer.text.encode('utf-8', 'surrogateescape'), base_url
        if answer.lasting:
            self._ready[key] = found
        return *found, False

    # ------------------------------------------------------------------ GRUB and PXELINUX

    async def grub(self, request: web.Request) -> web.StreamResponse:
        address = self._front.address(request)
        said = self._front.said(request, request.match_info.get('mac', ''))
        answer = self._scripts.grub(said, self._front.base_url(address))
        return await self._configuration(answer, address)

    async def pxelinux(self, request: web.Request) -> web.StreamResponse:
        """By hardware type and MAC address (01-…) or by UUID; everything else that PXELINUX tries is not found."""
        name = request.match_info['name']
        address = self._front.address(request)
        if name[:3] == '01-':
            said = identify.claims(mac=name[3:])
        else:
            said = identify.claims(uuid=name)
        answer = self._scripts.pxelinux(said, self._front.base_url(address))
        if answer is None:
            return answers.text('not found\n', 404)
        return await self._configuration(answer, address)

    async def _configuration(self, answer: Answer, address: str) -> web.StreamResponse:
        await self._under_way(answer, address)
        self._counts[answer.kind].inc()
        self._tell(answer, address)
        return answers.text(answer.text)

    # ------------------------------------------------------------------ what becomes known by it

    async def _under_way(self, answer: Answer, address: str) -> None:
        if answer.build is not None:
            self._steps.came(address, answer.build, answer.digest)
            words = f'Boot script fetched from {address}'
            await self._steps.tell(answer.build, answer.digest, 'script-fetched', words)

    def _tell(self, answer: Answer, address: str, again: bool = False) -> None:
        """In the log, and where people see it."""
        name = answer.machine.name if answer.machine is not None else ''
        if answer.problem is not None and self._problems.met(answer.problem):
            log.warning('problem', machine=answer.problem.name, reason=answer.problem.message)
        if answer.kind == 'local' or again:
            log.debug('script', action=answer.kind, machine=name, address=address)
        else:
            log.info('script', action=answer.kind, machine=name, address=address, reason=answer.reason)
