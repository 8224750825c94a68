"""What a machine under a build fetches and reports under its token, and the facts that any machine reports.

    GET  /build/<token>/<name>                                  an artifact of a build that is under way
    POST /build/<token>/{done,failed,finishing,progress,log}    what becomes of it
    POST /facts                                                 what a machine says of itself

What a machine reports is on disk before it is answered.
"""

import hmac
import math
import time
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import structlog
from aiohttp import web

from ..claims import token_key
from ..desired import Boot, Build, Machine
from ..outbox import Outcome
from ..plan import Problem
from ..secrets import Secrets
from . import answers, callbacks, identify, markers
from .artifacts import ArtifactStore
from .front import Front
from .limits import Allowance, Room
from .problems import Problems
from .reading import NoState
from .recorder import Recorder
from .underway import Steps

log: Any = structlog.get_logger('http')

# Reports of progress and log lines that are kept of one build.
REPORTS = 2000
# Seconds for which a line of progress that is said again is the same one: its answer was lost.
REPEATED = 60.0
# Bytes of logs that are kept of one build, beside that of its end.
LOGS = 32 << 20
# Bytes of facts from one client address: at once, and then each second (a report of an ordinary machine has 20,000);
# each counts as so many at least.
FACTS_AT_ONCE, FACTS_A_SECOND, FACTS_LEAST = 32 << 20, 256 << 10, 64 << 10
# A build that has ended, or was taken away, says so in the answers to what its machine still reports.
STATE_HEADER = 'X-Substruct-Build'

_FULL = 'The boot server’s disk is nearly full: only the end of a build is kept now; say it again.'

# Artifacts that an installer reads first: fetching one of them is a step of the build.
_CONFIGURATIONS = frozenset(
    ('kickstart', 'preseed', 'autoinstall', 'autoyast', 'user-data', 'ignition', 'unattend', 'script')
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


class Builds:
    """The routes, for one event loop."""

    def __init__(
        self,
        front: Front,
        *,
        recorder: Recorder,
        artifacts: ArtifactStore,
        secrets: Secrets,
        steps: Steps,
        problems: Problems,
    ) -> None:
        self._front = front
        self._reader = front.reader
        self._metrics = front.metrics
        self._recorder = recorder
        self._artifacts = artifacts
        self._secrets = secrets
        self._steps = steps
        self._problems = problems
        self._reports: dict[str, int] = {}
        self._logs: dict[str, int] = {}
        # The last line of progress of each build, and when it was said.
        self._progress: dict[str, tuple[str, float]] = {}
        self._facts = Allowance(FACTS_AT_ONCE, FACTS_A_SECOND, FACTS_LEAST)
        self._room = Room(front.settings.state_folder)

    def routes(self) -> list[web.RouteDef]:
        get, post = self._front.get, self._front.post
        return [
            post('/build/{token}/{callback:done|failed|finishing|progress|log}', 'callback', self.callback),
            # iPXE and some installers can only GET.  HEAD is never a report.
            get('/build/{token}/{callback:done|failed|finishing|progress}', 'callback', self.callback, head=False),
            get('/build/{token}/{name}', 'artifact', self.artifact),
            post('/facts', 'facts', self.facts),
        ]

    # ------------------------------------------------------------------ artifacts

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        token, name = request.match_info['token'], request.match_info['name']
        address = self._front.address(request)
        machine, build = self._by_token(token)
        found = next((artifact for artifact in build.artifacts if artifact.name == name), None)
        digest = token_key(token)
        if machine is None or found is None or self._reader.outcome(digest) is not None:
            return answers.text('not found\n', 404)
        content = self._artifacts.read(found.sha256)
        if content is None:
            log.warning('artifact not fetched yet', machine=machine.name, artifact=name)
            return answers.unavailable(f'{name} is not here yet; ask again.')
        try:
            body = markers.fill(content, self._front.base_url(address), token, self._secrets.get)
        except markers.MarkerError as error:
            await self._not_filled(machine, build, digest, name, str(error))
            return answers.unavailable(f'{name} cannot be filled in; the boot server’s log says why.')
        if not self._steps.is_at(machine, digest, address):
            log.info('artifact fetched from another address', machine=machine.name, artifact=name, address=address)
        if found.kind in _CONFIGURATIONS:
            await self._steps.tell(build, digest, 'config-fetched', f'{name} fetched from {address}')
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
        await self._steps.note(build, digest, words)

    # ------------------------------------------------------------------ what machines report

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """Kept before it is answered; a repeat is answered as the first was.

        When a build has ended or was taken away, whatever its machine still says is answered with 200, so that no
        installer stops over it; a header says so to those who look for it.
        """
        token, callback = request.match_info['token'], request.match_info['callback']
        address = self._front.address(request)
        digest = token_key(token)
        machine, build = self._by_token(token)
        outcome = self._reader.outcome(digest)
        if machine is None and outcome is None and not self._reader.is_former(digest):
            return answers.text('not found\n', 404)
        if request.method == 'GET':
            body, cut = unquote_plus(request.query_string.partition('message=')[2]).encode('utf-8', 'replace'), False
        else:
            body, cut = await self._front.body_end(request, callbacks.LOG)
        if machine is None:
            return _ended()
        if outcome is not None and callback != 'log':
            return _ended()
        said = callbacks.tail_of(body, cut)
        now = time.time()
        if callback in ('done', 'failed'):
            outcome = 'done' if callback == 'done' else 'failed'
            return await self._end(machine, build, digest, outcome, callbacks.phoned_home(said) or said, address)
        if callback == 'finishing':
            message = callbacks.finishing(build.id, digest, said, now, address)
            if await self._recorder.put_written(message, build.id, digest):
                self._metrics.callbacks.labels(callback).inc()
                log.info('disk written', machine=machine.name, build=build.id, address=address)
            return answers.text('ok\n')
        if callback == 'progress':
            message = callbacks.progress(build.id, digest, said, now)
            if self._is_repeated(digest, message.message):
                return answers.text('ok\n')
        else:
            message = callbacks.log_lines(build.id, digest, said, now, address)
            self._logs[digest] = self._logs.get(digest, 0) + len(body)
        self._reports[digest] = self._reports.get(digest, 0) + 1
        if self._reports[digest] > REPORTS or (callback == 'log' and self._logs[digest] > LOGS):
            return answers.text('This build has reported too often; nothing more is kept but done and failed.\n', 429)
        if not self._room.is_there():
            return answers.unavailable(_FULL)
        if await self._recorder.put(message):
            self._metrics.callbacks.labels(callback).inc()
            log.info(callback, machine=machine.name, build=build.id, message=message.message)
        if callback == 'progress':
            self._progress[digest] = message.message, time.monotonic()
        return answers.text('ok\n') if outcome is None else _ended()

    def _is_repeated(self, digest: str, line: str) -> bool:
        last, since = self._progress.get(digest, ('', 0.0))
        return line == last and time.monotonic() - since < REPEATED

    async def _end(
        self, machine: Machine, build: Build, digest: str, outcome: Outcome, said: str, address: str
    ) -> web.Response:
        message = callbacks.ended(build.id, digest, outcome, said, time.time(), address)
        if await self._recorder.put_end(message, build.id, digest, outcome):
            self._metrics.callbacks.labels(outcome).inc()
            log.info('build ended', machine=machine.name, build=build.id, outcome=outcome, address=address)
        return _ended()

    async def facts(self, request: web.Request) -> web.StreamResponse:
        body = await self._front.body(request, callbacks.FACTS)
        if wait := self._facts.wait(self._front.address(request), len(body)):
            answer = answers.text('So many facts come from this address that they have to wait; say it again.\n', 429)
            answer.headers['Retry-After'] = str(math.ceil(wait))
            return answer
        if not self._room.is_there():
            return answers.unavailable(_FULL)
        try:
            found = callbacks.facts_of(body)
        except callbacks.Refused as error:
            return answers.text(f'{error}\n', 400)
        known = self._machine_of(found)
        try:
            message = callbacks.facts(body, found, known.id if known is not None else None, time.time())
        except callbacks.Refused as error:
            return answers.text(f'{error}\n', 413)
        if await self._recorder.put(message):
            self._metrics.callbacks.labels('facts').inc()
            log.info(
                'facts', machine=known.name if known is not None else '', macs=found.macs[:8],
                address=self._front.address(request), bytes=len(body),
            )  # fmt: skip
        return answers.text('ok\n')

    def _machine_of(self, found: callbacks.Facts) -> Machine | None:
        """The machine that facts are of, where all that they say leads to it.  Where it does not, NetBox is told of
        none: it looks for itself, and shows the contradiction."""
        try:
            key = callbacks.machine_of(found, self._reader.holders)
            machine = self._reader.machine(key) if key is not None else None
        except NoState:
            return None
        return None if machine is not None and identify.is_another(found.uuid, machine.uuid) else machine


def _ended() -> web.Response:
    """All is well, and the build has ended or was taken away."""
    answer = answers.text('ok\n')
    answer.headers[STATE_HEADER] = 'ended'
    return answer
