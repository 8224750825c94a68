"""The HTTP process: what machines fetch and report, and beside it webhooks, /healthz and /metrics.

It reads the desired state that the agent keeps, never talks to NetBox, and serves on while the agent or NetBox is away.
It runs on the standard event loop: with uvloop, files would not go by sendfile.
"""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..secrets import Secrets
from ..settings import Settings
from ..settings_checks import endpoint
from .artifacts import FOLDER, ArtifactStore
from .build_routes import Builds
from .file_routes import Files
from .files_store import FilesStore
from .front import Front
from .machine_routes import Machines, Seen
from .manage_routes import Health, Manage
from .metrics import Metrics
from .orders import Orders
from .problems import HTTP, Problems
from .reading import Reader
from .recorder import Recorder
from .scripts import Scripts
from .underway import Steps

log: Any = structlog.get_logger('http')

# Seconds that transfers under way may take to end when the process is asked to stop.
LINGER = 5.0
# Connections that may wait to be accepted: a rack that is switched on comes all at once.
BACKLOG = 4096
# Seconds after which an idle connection is closed, and between two looks at the problems.
IDLE = 30.0
REPORT = 5.0


def main(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT.  0; 78 if an address cannot be listened on."""
    return asyncio.run(_main(settings))


async def _main(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _raise_limits()
    try:
        async with serving(settings) as addresses:
            log.info('serving', machines=addresses['boot'], manage=addresses['manage'])
            await stop.wait()
            log.info('stopping')
    except ListenError as error:
        log.error('not started', reason=str(error))
        return 78
    return 0


def _raise_limits() -> None:
    """As many open files as we may have: each connection is one, and each file that is being sent."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class ListenError(Exception):
    """An address cannot be listened on."""


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[dict[str, list[tuple[str, int]]]]:
    """Both listeners while the block runs; gives the addresses that they have, by 'boot' and 'manage'."""
    logging.getLogger('aiohttp.server').addFilter(_is_ours)
    folder, run_folder = settings.state_folder, settings.run_folder
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    reader = Reader(folder / 'state.db', folder / 'outbox.db')
    recorder = Recorder(folder / 'outbox.db', run_folder)
    metrics = Metrics(run_folder, reader.waiting)
    problems = Problems(run_folder / HTTP)
    secrets = Secrets(Path(settings.secrets.directory))
    artifacts = ArtifactStore(folder / FOLDER)
    files = FilesStore(settings.files_folder, settings.prospector_folder)
    scripts = Scripts(reader, artifacts, files, secrets.get)
    steps = Steps(reader, scripts, recorder.put)
    front, seen = Front(settings, reader, metrics), Seen(recorder)
    for_machines = [
        *Machines(
            front, recorder=recorder, scripts=scripts, steps=steps, seen=seen, problems=problems
        ).routes(),
        *Orders(front, scripts, seen).routes(),
        *Builds(
            front, recorder=recorder, artifacts=artifacts, secrets=secrets, steps=steps, problems=problems
        ).routes(),
        *Files(front, files, steps).routes(),
    ]  # fmt: skip
    health = Health(settings, reader)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(reader.close)
        stack.callback(recorder.close)
        boot = await stack.enter_async_context(
            _listening([*for_machines, web.get('/healthz', health.answer)], settings.boot.http)
        )
        manage = await stack.enter_async_context(
            _listening(Manage(settings, metrics, health).routes(), settings.manage.listen)
        )
        reporting = asyncio.create_task(_report(problems, recorder))
        stack.callback(reporting.cancel)
        yield {'boot': boot, 'manage': manage}


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's tells of a fault here: that somebody sends what is no HTTP is not worth a traceback,
    for anybody may do so without end."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


async def _report(problems: Problems, recorder: Recorder) -> None:
    while True:
        try:
            await recorder.flush()
            problems.write()
        except Exception as error:  # it is missed for ever if it ends
            log.error('problems not written', reason=f'{type(error).__name__}: {error}')
        await asyncio.sleep(REPORT)


@asynccontextmanager
async def _listening(routes: Iterable[web.RouteDef], addresses: list[str]) -> AsyncIterator[list[tuple[str, int]]]:
    # Bodies are read piece by piece, each with its own limit.
    app = web.Application(client_max_size=0)
    app.add_routes(routes)
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=IDLE, shutdown_timeout=LINGER, handle_signals=False
    )  # fmt: skip
    await runner.setup()
    try:
        found = []
        for address in addresses:
            listener = listen(address, addresses)
            found.append(listener.getsockname()[:2])
            await web.SockSite(runner, listener, backlog=BACKLOG).start()
        yield found
    finally:
        await runner.cleanup()


def listen(address: str, beside: Iterable[str] = ()) -> socket.socket:
    """A listening socket.  "[::]" takes IPv4 too, unless there is an IPv4 address beside it for that.  Raises
    ListenError."""
    host, port = endpoint(address)
    versions = {':' in endpoint(other)[0] for other in beside if endpoint(other)[1] == port}
    try:
        if ':' in host:
            try:
                found = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            except OSError:
                # There is no IPv6 here; "[::]" means everything that there is.
                if host != '::':
                    raise
                return listen(f'0.0.0.0:{port}')
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != '::' or False in versions))
        else:
            found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        raise ListenError(
            f'{address} cannot be listened on: {error.strerror}. Is another server there, or is the port below 1024 '
            f'and CAP_NET_BIND_SERVICE missing?'
        ) from error
    found.setblocking(False)
    return found
