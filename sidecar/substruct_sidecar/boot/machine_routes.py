"""What machines fetch and report over HTTP: boot scripts, artifacts of builds, callbacks, facts, files.

    GET  /boot.ipxe?mac=&uuid=&serial=&arch=&platform=    the machine's script; /boot.ipxe/<mac> too
    GET  /grub.cfg?mac=, /pxelinux.cfg/01-<mac>           the same for GRUB and PXELINUX
    GET  /build/<token>/<name>                            an artifact of a build that is under way
    POST /build/<token>/{done,failed,progress,log}        what becomes of it
    POST /facts                                           what a machine says of itself
    GET  /files/<name>, /loaders/<name>, /prospector/<architecture>/<name>

Nobody here is authenticated but by a build's token.  What a machine reports is on disk before it is answered.
"""

import asyncio
import hmac
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import structlog
from aiohttp import web

from ..desired import Boot, Build, Machine
from ..outbox import Outcome
from ..plan import Problem
from ..secrets import Secrets
from ..settings import Settings
from ..state import About, token_key
from . import answers, callbacks, identify, markers
from .artifacts import ArtifactStore
from .clients import Proxies
from .files_store import FilesStore
from .loaders import Loaders, clean, made
from .metrics import Metrics
from .problems import Problems
from .reading import NoState, Reader
from .recorder import Recorder
from .scripts import KINDS, Answer, NotReady, Scripts
from .urls import base_url_for

log: Any = structlog.get_logger('http')

# Seconds that a machine has to send its report, and bytes of a log that are read in order to keep its end.
PATIENCE = 60.0
LONGEST_LOG = 64 << 20
# Reports of progress and log lines that are kept of one build.
REPORTS = 2000
# Scripts that are kept ready; forgotten whenever the desired state changes.
READY = 8192
# Addresses of which it is remembered which build they belong to.
REMEMBERED = 16384
# A machine is told of as seen at most every so many seconds.
SEEN_AGAIN = 600.0

# Artifacts that an installer reads first: fetching one of them is a step of the build.
_CONFIGURATIONS = frozenset(
    ('kickstart', 'preseed', 'autoinstall', 'autoyast', 'user-data', 'ignition', 'unattend')
)  # fmt: skip
_TYPES = {
    'autoinstall': 'text/yaml', 'autoyast': 'application/xml', 'user-data': 'text/yaml', 'meta-data': 'text/yaml',
    'vendor-data': 'text/yaml', 'network-config': 'text/yaml', 'ignition': 'application/vnd.coreos.ignition+json',
    'unattend': 'application/xml', 'finish': 'text/x-shellscript', 'script': 'text/x-shellscript',
}  # fmt: skip

# Compared with a token that is no build's, so that a wrong one costs what a right one costs.
_NOBODY = Build(id=0, state='', profile=None, boot_image=None, token='-' * 43, artifacts=[])
_DECOY = msgspec.json.encode(
    Machine(
        id=0, name='', hostname='', fqdn='', device=None, virtual_machine=None, site=None, state='', uuid=None,
        serial=None, architecture='', firmware=None, boot_mac=None,
        boot=Boot(action='local', reason='', local_method=None), build=_NOBODY, bmc=None, interfaces=[],
    )
)  # fmt: skip
_decode_machine = msgspec.json.Decoder(Machine).decode


class Machines:
    """The routes, for one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        reader: Reader,
        recorder: Recorder,
        scripts: Scripts,
        artifacts: ArtifactStore,
        files: FilesStore,
        secrets: Secrets,
        problems: Problems,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._recorder = recorder
        self._scripts = scripts
        self._artifacts = artifacts
        self._files = files
        self._loaders = Loaders.of(settings)
        self._secrets = secrets
        self._problems = problems
        self._metrics = metrics
        self._proxies = Proxies(settings.boot.trusted_proxies)
        self._ready: dict[tuple[str, str], tuple[Answer, bytes, str]] = {}
        self._ready_about: About | None = None
        self._script_counts = {kind: metrics.scripts.labels(kind) for kind in KINDS}
        self._told: set[tuple[str, str]] = set()
        self._reports: dict[str, int] = {}
        self._seen: OrderedDict[int, float] = OrderedDict()
        self._at: OrderedDict[str, _Underway] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        def get(path: str, kind: str, handler: Handler) -> web.RouteDef:
            return web.get(path, self._timed(kind, handler))

        def post(path: str, kind: str, handler: Handler) -> web.RouteDef:
            return web.post(path, self._timed(kind, handler))

        return [
            get('/boot.ipxe', 'script', self.script),
            get('/boot.ipxe/{mac}', 'script', self.script),
            get('/grub.cfg', 'script', self.grub),
            get('/grub/grub.cfg-{mac}', 'script', self.grub),
            get('/pxelinux.cfg/{name}', 'script', self.pxelinux),
            post('/build/{token}/{callback:done|failed|progress|log}', 'callback', self.callback),
            # iPXE and some installers can only GET.  HEAD is never a report.
            web.get(
                '/build/{token}/{callback:done|failed|progress}',
                self._timed('callback', self.callback),
                allow_head=False,
            ),
            get('/build/{token}/{name}', 'artifact', self.artifact),
            post('/facts', 'facts', self.facts),
            get('/files/{name}', 'file', self.file),
            get('/loaders/{name:.+}', 'loader', self.loader),
            get('/prospector/{architecture}/{name}', 'prospector', self.prospector),
        ]

    # ------------------------------------------------------------------ scripts

    async def script(self, request: web.Request) -> web.StreamResponse:
        address = self._address(request)
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
            self._underway(address, answer)
            await self._step(answer.build, answer.digest, 'loader-fetched', f'Boot script fetched from {address}')
            if self._reader.outcome(answer.digest) is not None:
                # It has ended while this was written down.
                answer = self._scripts.local(answer.machine, f'Build #{answer.build.id} has ended.', base_url)
                body = answer.text.encode()
        if answer.machine is not None:
            self._was_seen(answer.machine)
        self._script_counts[answer.kind].inc()
        self._tell(answer, address, again)
        return self._as_script(body)

    @staticmethod
    def _as_script(body: bytes) -> web.Response:
        return web.Response(
            body=body, headers={'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store'}
        )

    def _was_seen(self, machine: Machine) -> None:
        """Tell NetBox, once in a while; the machine need not wait for it."""
        now = time.monotonic()
        if now - self._seen.get(machine.id, -SEEN_AGAIN) < SEEN_AGAIN:
            return
        self._seen[machine.id] = now
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._recorder.put_later(callbacks.seen(machine.id, time.time()))

    def _script(self, request: web.Request, address: str) -> tuple[Answer, bytes, str, bool]:
        """The script, as it is sent, the base URL in it, and whether it was the same before: then it is one of those
        kept ready, and the state is as it was when it was worked out."""
        about = self._about()
        if about is not self._ready_about or len(self._ready) > READY:
            self._ready.clear()
            self._ready_about = about
        key = (request.raw_path[:2000], address)
        if (found := self._ready.get(key)) is not None and (
            found[0].build is None or self._reader.outcome(found[0].digest) is None
        ):
            return *found, True
        base_url = base_url_for(self._settings, about, address)
        query = request.query
        said = identify.claims(
            request.match_info.get('mac', '') or query.get('mac', ''), query.get('uuid', ''),
            query.get('serial', ''), query.get('arch', ''), query.get('platform', ''),
        )  # fmt: skip
        answer = self._scripts.ipxe(said, address, base_url)
        found = answer, answer.text.encode('utf-8', 'surrogateescape'), base_url
        if answer.lasting:
            self._ready[key] = found
        return *found, False

    async def grub(self, request: web.Request) -> web.StreamResponse:
        address = self._address(request)
        said = self._said(request, request.match_info.get('mac', ''))
        answer = self._scripts.grub(said, self._base_url(address))
        return await self._configuration(answer, address)

    async def pxelinux(self, request: web.Request) -> web.StreamResponse:
        """By hardware type and MAC address (01-…) or by UUID; everything else that PXELINUX tries is not found."""
        name = request.match_info['name']
        address = self._address(request)
        if name[:3] == '01-':
            said = identify.claims(mac=name[3:])
        else:
            said = identify.claims(uuid=name)
        answer = self._scripts.pxelinux(said, self._base_url(address))
        if answer is None:
            return answers.text('not found\n', 404)
        return await self._configuration(answer, address)

    async def _configuration(self, answer: Answer, address: str) -> web.StreamResponse:
        if answer.build is not None:
            self._underway(address, answer)
            await self._step(answer.build, answer.digest, 'loader-fetched', f'Boot script fetched from {address}')
        self._script_counts[answer.kind].inc()
        self._tell(answer, address)
        return answers.text(answer.text)

    def _said(self, request: web.Request, mac: str) -> identify.Claims:
        query = request.query
        return identify.claims(
            mac or query.get('mac', ''), query.get('uuid', ''), query.get('serial', ''), query.get('arch', ''),
            query.get('platform', ''),
        )  # fmt: skip

    def _tell(self, answer: Answer, address: str, again: bool = False) -> None:
        """In the log, and where people see it."""
        name = answer.machine.name if answer.machine is not None else ''
        if answer.problem is not None and self._problems.met(answer.problem):
            log.warning('problem', machine=answer.problem.name, reason=answer.problem.message)
        if answer.kind == 'local' or again:
            log.debug('script', action=answer.kind, machine=name, address=address)
        else:
            log.info('script', action=answer.kind, machine=name, address=address, reason=answer.reason)

    # ------------------------------------------------------------------ artifacts

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        token, name = request.match_info['token'], request.match_info['name']
        address = self._address(request)
        machine, build = self._by_token(token)
        found = next((artifact for artifact in build.artifacts if artifact.name == name), None)
        digest = token_key(token)
        if machine is None or found is None or self._reader.outcome(digest) is not None:
            return answers.text('not found\n', 404)
        content = self._artifacts.read(found.sha256)
        if content is None:
            log.warning('artifact not fetched yet', machine=machine.name, artifact=name)
            return self._unavailable(f'{name} is not here yet; ask again.')
        try:
            body = markers.fill(content, self._base_url(address), token, self._secrets.get)
        except markers.MarkerError as error:
            await self._not_filled(machine, build, digest, name, str(error))
            return self._unavailable(f'{name} cannot be filled in; the boot server’s log says why.')
        if not self._is_at(machine, digest, address):
            log.info('artifact fetched from another address', machine=machine.name, artifact=name, address=address)
        if found.kind in _CONFIGURATIONS:
            await self._step(build, digest, 'config-fetched', f'{name} fetched from {address}')
        return answers.text(body, content_type=_TYPES.get(found.kind, 'text/plain'))

    def _by_token(self, token: str) -> tuple[Machine | None, Build]:
        """The machine whose build has this token, and the build; (None, an empty one) for any other, after the same
        work."""
        holders = self._reader.holders('token', token_key(token))
        machine = self._reader.machine(holders[0]) if len(holders) == 1 else _decode_machine(_DECOY)
        build = machine.build if machine is not None and machine.build is not None else _NOBODY
        same = hmac.compare_digest(build.token.encode(), token.encode('utf-8', 'replace'))
        if machine is None or not same or build.id == 0:
            self._metrics.token_misses.inc()
            return None, _NOBODY
        return machine, build

    async def _not_filled(self, machine: Machine, build: Build, digest: str, name: str, why: str) -> None:
        words = f'{name} cannot be filled in: {why}'
        log.error('artifact not filled in', machine=machine.name, artifact=name, reason=why)
        self._problems.met(Problem('http', 'machine', machine.id, machine.name, f'Build #{build.id}: {words}'))
        if (digest, words) not in self._told:
            await self._recorder.put(callbacks.note(build.id, digest, words, time.time()))
            self._told.add((digest, words))

    # ------------------------------------------------------------------ what machines report

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """Kept before it is answered; a repeat is answered as the first was.  After a build has ended, whatever its
        machine still says is answered with 200, so that no installer stops over it."""
        token, callback = request.match_info['token'], request.match_info['callback']
        address = self._address(request)
        digest = token_key(token)
        ended = self._reader.outcome(digest)
        machine, build = self._by_token(token)
        if machine is None and ended is None:
            return answers.text('not found\n', 404)
        if request.method == 'GET':
            body, cut = unquote_plus(request.query_string.partition('message=')[2]).encode('utf-8', 'replace'), False
        else:
            body, cut = await self._body_end(request, callbacks.LOG)
        if callback in ('done', 'failed') and (ended is not None or machine is None):
            return answers.text('ok\n')
        if machine is None:
            return answers.text('ok\n')
        said = callbacks.tail_of(body, cut)
        now = time.time()
        if callback in ('done', 'failed'):
            outcome: Outcome = 'done' if callback == 'done' else 'failed'
            message = callbacks.ended(build.id, digest, outcome, said, now, address)
            if await self._recorder.put_end(message, build.id, digest, outcome):
                self._metrics.callbacks.labels(callback).inc()
                log.info('build ended', machine=machine.name, build=build.id, outcome=outcome, address=address)
            return answers.text('ok\n')
        self._reports[digest] = self._reports.get(digest, 0) + 1
        if self._reports[digest] > REPORTS:
            return answers.text('This build has reported too often; nothing more is kept but done and failed.\n', 429)
        if callback == 'progress':
            message = callbacks.progress(build.id, digest, said, now)
        else:
            message = callbacks.log_lines(build.id, digest, said, now, address)
        if await self._recorder.put(message):
            self._metrics.callbacks.labels(callback).inc()
            log.info(callback, machine=machine.name, build=build.id, message=message.message)
        return answers.text('ok\n')

    async def facts(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request, callbacks.FACTS)
        try:
            found = callbacks.facts_of(body)
        except callbacks.Refused as error:
            return answers.text(f'{error}\n', 400)
        try:
            machines = callbacks.machines_of(found, self._reader.holders)
        except NoState:
            machines = []
        machine = machines[0] if len(machines) == 1 else None
        try:
            message = callbacks.facts(body, found, machine, time.time())
        except callbacks.Refused as error:
            return answers.text(f'{error}\n', 413)
        if await self._recorder.put(message):
            self._metrics.callbacks.labels('facts').inc()
            known = self._reader.machine(machine) if machine is not None else None
            log.info(
                'facts', machine=known.name if known is not None else '', macs=found.macs[:8],
                address=self._address(request), bytes=len(body),
            )  # fmt: skip
        return answers.text('ok\n')

    async def _step(self, build: Build, digest: str, kind: str, words: str) -> None:
        """A step of a build that was seen here; on disk when this returns, once for each build and kind."""
        if (digest, kind) in self._told:
            return
        await self._recorder.put(callbacks.step(build.id, digest, kind, words, time.time()))
        if len(self._told) > 4 * REMEMBERED:
            self._told.clear()
        self._told.add((digest, kind))

    # ------------------------------------------------------------------ files

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info['name']
        opened = self._files.open(name)
        if opened is None:
            return answers.text('not found\n', 404)
        await self._fetched(self._address(request), name)
        prefix = self._settings.boot.accel_redirect
        if prefix and self._proxies.trusts(self._address_of_peer(request)):
            opened.stream.close()
            return web.Response(headers={
                'X-Accel-Redirect': f'{prefix.rstrip("/")}/{name}', 'Content-Type': 'application/octet-stream',
            })  # fmt: skip
        return answers.FileAnswer(opened)

    async def loader(self, request: web.Request) -> web.StreamResponse:
        """A loader of the distribution's packages, or one of the small files that lead a loader here."""
        name = clean(request.match_info['name']) or ''
        if (opened := self._loaders.opened(name)) is not None:
            return answers.FileAnswer(opened)
        leading = made(name, self._base_url(self._address(request)))
        return answers.text(leading.decode()) if leading is not None else answers.text('not found\n', 404)

    async def prospector(self, request: web.Request) -> web.StreamResponse:
        path = f'{request.match_info["architecture"]}/{request.match_info["name"]}'
        opened = self._files.open_prospector(path)
        if opened is None:
            return answers.text('not found\n', 404)
        await self._fetched(self._address(request), path)
        return answers.FileAnswer(opened)

    async def _fetched(self, address: str, name: str) -> None:
        """A boot file was asked for: a step of the build of whoever is at that address."""
        found = self._at.get(address) or self._known_at(address)
        if found is None or (found.digest, 'kernel-fetched') in self._told:
            return
        if '/' not in name and name not in found.files:
            return
        if self._reader.outcome(found.digest) is None:
            await self._step(found.build, found.digest, 'kernel-fetched', f'Boot files fetched from {address}')

    def _known_at(self, address: str) -> '_Underway | None':
        """The build under way of the machine that has this address in NetBox, if it is one."""
        try:
            holders = self._reader.at_address(address)
            machine = self._reader.machine(holders[0]) if len(holders) == 1 else None
            if machine is None or machine.build is None or machine.boot.action != 'build':
                return None
            files = frozenset(self._scripts.files_of(machine.build))
        except (NoState, NotReady):
            return None
        return _Underway(machine.build, token_key(machine.build.token), files)

    def _underway(self, address: str, answer: Answer) -> None:
        """Remember who is at an address: boot files are fetched without a token."""
        build = answer.build
        if build is None:
            return
        had = self._at.get(address)
        if had is None or had.digest != answer.digest:
            try:
                files = frozenset(self._scripts.files_of(build))
            except (NoState, NotReady):
                files = frozenset()
            self._at[address] = _Underway(build, answer.digest, files)
        self._at.move_to_end(address)
        if len(self._at) > REMEMBERED:
            self._at.popitem(last=False)

    def _is_at(self, machine: Machine, digest: str, address: str) -> bool:
        if (known := self._at.get(address)) is not None and known.digest == digest:
            return True
        return any(
            found.address.partition('/')[0] == address
            for interface in machine.interfaces
            for found in interface.addresses
        )

    # ------------------------------------------------------------------ requests

    def _address_of_peer(self, request: web.Request) -> str:
        return self._proxies.client(request.remote or '', ())

    def _address(self, request: web.Request) -> str:
        return self._proxies.client(request.remote or '', request.headers.getall('X-Forwarded-For', ()))

    def _base_url(self, address: str) -> str:
        return base_url_for(self._settings, self._about(), address)

    def _about(self) -> About | None:
        """The same object for as long as the desired state is the same."""
        try:
            return self._reader.about()
        except NoState:
            return None

    async def _body(self, request: web.Request, limit: int) -> bytes:
        """All of it; HTTPRequestEntityTooLarge if it is longer than that."""
        found = bytearray()
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > limit:
                    raise web.HTTPRequestEntityTooLarge(limit, len(found))
        return bytes(found)

    async def _body_end(self, request: web.Request, keep: int) -> tuple[bytes, bool]:
        """Its last bytes, and whether there were more."""
        found = bytearray()
        total = 0
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                found += chunk
                total += len(chunk)
                if len(found) > 2 * keep:
                    del found[:-keep]
                if total > LONGEST_LOG:
                    raise web.HTTPRequestEntityTooLarge(LONGEST_LOG, total)
        return bytes(found[-keep:]), total > keep

    @staticmethod
    def _unavailable(words: str) -> web.Response:
        answer = answers.text(f'{words}\n', 503)
        answer.headers['Retry-After'] = '5'
        return answer

    def _timed(self, kind: str, handler: 'Handler') -> 'Handler':
        """Count and time, and make an answer of everything that can go wrong."""
        seconds = self._metrics.seconds.labels(kind)
        counts: dict[int, Any] = {}

        async def answered(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            answer = await self._guarded(request, handler)

            def at_end() -> None:
                count = counts.get(answer.status)
                if count is None:
                    count = counts[answer.status] = self._metrics.requests.labels(kind, answer.status)
                count.inc()
                seconds.observe(time.perf_counter() - began)
                if isinstance(answer, answers.FileAnswer):
                    self._metrics.file_bytes.inc(answer.sent)

            if isinstance(answer, answers.FileAnswer):
                answer.at_end = at_end  # it is sent after this
            else:
                at_end()
            return answer

        return answered

    async def _guarded(self, request: web.Request, handler: 'Handler') -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise
        except NoState as error:
            return self._unavailable(str(error))
        except web.HTTPRequestEntityTooLarge as error:
            answer = answers.text(f'At most {error.text or "so much"}.\n', 413)
            answer.force_close()
            return answer
        except TimeoutError:
            answer = answers.text('The report did not come in time.\n', 408)
            answer.force_close()
            return answer
        except (sqlite3.Error, OSError) as error:
            # Nothing was kept, so the machine must not be told that all is well: it will say it again.
            log.error('not kept', path=request.path, reason=f'{type(error).__name__}: {error}')
            return self._unavailable('The boot server cannot keep this now; say it again.')


class _Underway(msgspec.Struct, frozen=True):
    build: Build
    digest: str
    files: frozenset[str]


type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
