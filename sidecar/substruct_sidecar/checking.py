"""`substruct-sidecar check`: tests every part and says what to do.  It changes nothing.

Run it as the user that the sidecar runs as: what that user may not do is what it finds.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from . import netbox as client
from .agent import Lock
from .assembly import services_of
from .database import WrongVersion
from .ledger import Book
from .log import printable
from .service import Finding, Seeing
from .settings import Settings, SettingsError
from .settings_checks import endpoint
from .state import State, View

# Less free space than this, in bytes, is a warning.
LITTLE = 2 << 30
# Seconds that two clocks may be apart.
APART = 5.0

_SIGNS = {'ok': 'ok     ', 'warning': 'WARNING', 'error': 'ERROR  '}


def check(settings: Settings) -> int:
    """Print what is found.  0 if nothing is an error."""
    worst = 0
    for finding in findings(settings):
        print(printable(f'{_SIGNS[finding.verdict]} {finding.part}: {finding.message}'))
        if finding.remedy:
            print(printable(f'        → {finding.remedy}'))
        worst += finding.verdict == 'error'
    print(f'{worst} error(s).' if worst else 'All is well enough to run.')
    return 1 if worst else 0


def findings(settings: Settings) -> Iterator[Finding]:
    running = Lock.is_held(settings.state_folder)
    for part, look in (
        ('folders', lambda: _folders(settings)),
        ('state', lambda: _state(settings)),
        ('NetBox', lambda: _netbox(settings)),
        ('ports', lambda: _ports(settings, running)),
        ('webhook', lambda: _hook(settings)),
        ('services', lambda: _services(settings)),
    ):
        yield from _whatever_happens(part, look)


def _whatever_happens(part: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as error:  # a check that fails is a finding, and the others go on
        yield Finding(part, 'error', f'could not be checked: {type(error).__name__}: {error}')


def _folders(settings: Settings) -> Iterator[Finding]:
    for name, folder in (
        ('paths.state', settings.state_folder),
        ('paths.run', settings.run_folder),
        ('paths.files', settings.files_folder),
    ):
        nearest = folder
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not os.access(nearest, os.W_OK | os.X_OK):
            yield Finding(
                'folders', 'error', f'{name}: {nearest} cannot be written by {_me()}.',
                f'install -d -o {_me()} -m 0750 {folder}',
            )  # fmt: skip
            continue
        free = shutil.disk_usage(nearest).free
        if free < LITTLE:
            yield Finding(
                'folders', 'warning', f'{name}: {folder} has {free >> 20} MiB left.',
                'Boot files need room; make some, or set paths.files to a larger disk.',
            )  # fmt: skip
        else:
            there = 'writable' if folder.exists() else 'not there yet, and can be made'
            yield Finding('folders', 'ok', f'{name}: {folder} is {there}, {free >> 30} GiB free.')
    secrets = Path(settings.secrets.directory)
    if secrets.is_dir():
        mode = secrets.stat().st_mode & 0o777
        if mode & 0o007:
            yield Finding(
                'folders', 'warning', f'secrets.directory: {secrets} can be read by everybody (mode {mode:o}).',
                f'chmod 0750 {secrets}',
            )  # fmt: skip
        else:
            yield Finding('folders', 'ok', f'secrets.directory: {secrets}.')


def _me() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _state(settings: Settings) -> Iterator[Finding]:
    path = settings.state_folder / 'state.db'
    if not path.exists():
        yield Finding('state', 'warning', 'There is no desired state yet: machines are served once NetBox was reached.')
        return
    try:
        with closing(State(path)) as state:
            about = state.about()
    except WrongVersion as error:
        yield Finding('state', 'error', str(error))
        return
    if about is None:
        yield Finding('state', 'warning', 'The desired state is empty: NetBox was not reached so far.')
        return
    age = time.time() - about.taken
    readable = [name for name in ('state.db', 'outbox.db') if _for_everybody(settings.state_folder / name)]
    if readable and _for_everybody(settings.state_folder):
        yield Finding(
            'state', 'warning', f'{", ".join(readable)}: everybody on this machine can read the tokens in there.',
            f'chmod o= {settings.state_folder}/*.db*',
        )  # fmt: skip
    if age < -60:
        yield Finding(
            'state', 'warning', 'The last state was taken in the future: the clock was set back.', 'Look at NTP.'
        )
    yield Finding('state', 'ok', f'Of {about.boot_server}, revision {about.revision}, {max(0, age):.0f} s old.')


def _for_everybody(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & 0o005)


def _netbox(settings: Settings) -> Iterator[Finding]:
    url = settings.netbox.url
    if urlsplit(url).scheme == 'http' and urlsplit(url).hostname not in ('localhost', '127.0.0.1', '::1'):
        yield Finding(
            'NetBox', 'warning', f'{url} is not encrypted: the token and all build tokens can be read on the way.',
            'Use https.',
        )  # fmt: skip
    if settings.netbox.token_file:
        path = Path(settings.netbox.token_file)
        if path.exists() and path.stat().st_mode & 0o007:
            yield Finding('NetBox', 'warning', f'{path} can be read by everybody.', f'chmod 0640 {path}')
    try:
        netbox = client.NetBox(settings.netbox)
    except SettingsError as error:
        yield Finding('NetBox', 'error', str(error))
        return
    with closing(netbox):
        try:
            found = netbox.status()
            plugins = found.get('plugins', {})
            plugin = plugins.get('netbox_substruct') if isinstance(plugins, dict) else None
            yield Finding('NetBox', 'ok', f'{url} answers: NetBox {found.get("netbox-version", "of unknown version")}.')
            if plugin is None:
                yield Finding(
                    'NetBox', 'error', 'The plugin netbox_substruct is not installed there.',
                    'Install it and add it to PLUGINS (docs/install.md).',
                )  # fmt: skip
                return
            server = netbox.boot_server()
            yield Finding('NetBox', 'ok', f'Plugin {plugin}; this is the boot server "{server.name}" (#{server.id}).')
            began = time.monotonic()
            seen = netbox.look_at_feed()
            yield Finding(
                'NetBox',
                'ok',
                f'The token may read the feed (its first line came after {time.monotonic() - began:.2f} s).',
            )
            yield _clock(seen)
            if not server.base_url and not settings.boot.base_url:
                yield Finding(
                    'NetBox', 'error', 'Neither NetBox nor boot.base_url says at which URL machines reach this server.'
                )
        except client.NetBoxError as error:
            yield Finding('NetBox', 'error', str(error))


def _clock(theirs: str) -> Finding:
    """`theirs` is the Date of an answer (RFC 9110, 6.6.1) or an ISO time."""
    try:
        when = parsedate_to_datetime(theirs)
    except ValueError:
        when = datetime.fromisoformat(theirs)
    apart = when.timestamp() - time.time()
    if abs(apart) > APART:
        return Finding(
            'clock', 'warning', f'NetBox’s clock and this one are {abs(apart):.0f} s apart.',
            'Keep both in time with NTP: webhooks that seem older than five minutes are refused.',
        )  # fmt: skip
    return Finding('clock', 'ok', 'agrees with NetBox’s.')


def _ports(settings: Settings, running: bool) -> Iterator[Finding]:
    for key, addresses, kind in (
        ('boot.http', settings.boot.http, socket.SOCK_STREAM),
        ('boot.tftp', settings.boot.tftp, socket.SOCK_DGRAM),
        ('manage.listen', settings.manage.listen, socket.SOCK_STREAM),
    ):
        for address in addresses:
            host, port = endpoint(address)
            family = socket.AF_INET6 if ':' in host else socket.AF_INET
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
                try:
                    probe.bind((host, port))
                except PermissionError:
                    yield Finding(
                        'ports', 'error', f'{key}: {_me()} may not open {address}.',
                        'Run it by the systemd unit, which gives CAP_NET_BIND_SERVICE, or take a port above 1023.',
                    )  # fmt: skip
                except OSError as error:
                    if running:
                        yield Finding('ports', 'ok', f'{key}: {address} is in use, and a sidecar runs.')
                    else:
                        yield Finding(
                            'ports', 'error', f'{key}: {address} cannot be opened: {error.strerror}.',
                            'Another server has it (ss -lnptu says which), or the address is not on this machine.',
                        )  # fmt: skip
                else:
                    yield Finding('ports', 'ok', f'{key}: {address} is free.')


def _hook(settings: Settings) -> Iterator[Finding]:
    if not settings.manage.hook_url:
        yield Finding(
            'webhook', 'warning',
            f'manage.hook_url is not set: changes are seen with the poll, every {settings.netbox.poll_interval:.0f} s.',
            'Set it to the URL at which NetBox reaches manage.listen, ending in /hook.',
        )  # fmt: skip
    elif not urlsplit(settings.manage.hook_url).path.rstrip('/').endswith('/hook'):
        yield Finding(
            'webhook', 'error', f'manage.hook_url: {settings.manage.hook_url} does not end in /hook.',
            'The sidecar takes webhooks there, or a proxy in front of it has to lead there.',
        )  # fmt: skip
    else:
        yield Finding('webhook', 'ok', f'NetBox is asked to call {settings.manage.hook_url}.')


def _services(settings: Settings) -> Iterator[Finding]:
    path = settings.state_folder / 'state.db'
    with tempfile.TemporaryDirectory(prefix='substruct-check-') as folder:
        # Before the first start there is no ledger; made here, it would belong to whoever checks.
        ledger = settings.state_folder / 'ledger.db'
        with closing(Book(ledger if ledger.exists() else Path(folder) / 'ledger.db')) as book:
            for service in services_of(settings, book):
                if isinstance(service, Seeing) and path.exists():
                    with closing(View(path)) as view:
                        service.see(view)
                yield from _whatever_happens(service.name, service.check)
                for text in service.cannot():
                    yield Finding(service.name, 'warning', f'{service.backend} cannot: {text}')
    if settings.boot.tftp:
        yield from _whatever_happens('loaders', lambda: _loaders(settings))


def _loaders(settings: Settings) -> Iterator[Finding]:
    from .boot import loaders

    yield from loaders.check(settings)
