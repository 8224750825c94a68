"""The migrated database, kept.

A fresh migration of NetBox takes minutes, and gives the same result every time for the same versions.  So it is done
once: a stopped PostgreSQL data folder that holds the database `netbox_template`, migrated by NetBox alone (the plugin's
migrations come on top in seconds), is kept in a cache outside of the tree.  The lab and the tests begin as copies.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

from lab import netbox, postgresql, redis_server
from lab.errors import LabError
from lab.places import Places, cache_folder, exclusive, private_folder
from lab.processes import Supervisor, tail
from lab.progress import Progress

DATABASE = 'netbox_template'
LAYOUT = 1  # raised when what a template holds changes


def about() -> dict[str, str]:
    """All that the content of a template depends on."""
    return {
        'layout': str(LAYOUT),
        'postgresql': postgresql.version(),
        **netbox.versions(),
        'migrations': netbox.core_migrations(),
    }


def folder() -> Path:
    """Where the template of these versions is, or would be."""
    key = hashlib.sha256(json.dumps(about(), sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder() / f'netbox-{netbox.versions()["netbox"]}-pg{postgresql.version()}-{key}'


def ready() -> Path:
    """The template's folder, or an error when it has not been built."""
    if not (folder() / 'about.json').exists():
        raise LabError('the migrated database has not been built yet; run  bin/lab template')
    return folder()


def ensure(progress: Progress) -> Path:
    """The template's folder; builds it when it is not there."""
    kept = folder()
    if (kept / 'about.json').exists():
        return kept
    cache = private_folder(cache_folder())
    waiting = f'the migrated database is being built by another process; waiting for it ({cache})'
    with exclusive(cache / 'lock', lambda: progress.say(waiting)):
        if not (kept / 'about.json').exists():
            _build(cache, kept, progress)
    return kept


def _build(cache: Path, kept: Path, progress: Progress) -> None:
    progress.say(
        f'There is no migrated database for NetBox {netbox.versions()["netbox"]} on PostgreSQL {postgresql.version()} '
        f'yet.\nIt is built once and kept in {cache}.'
    )
    places = Places(cache / 'building')
    supervisor, cluster = Supervisor(places), postgresql.Cluster(places)
    places.make()
    redis = redis_server.service(places, persistent=False)
    services = [cluster.service(), redis]
    for service in services:  # what a killed build left
        supervisor.down(service)
    places.remove()
    places.make()
    redis_server.service(places, persistent=False)
    try:
        with progress.step('making a database cluster', '~3 s'):
            cluster.initialise()
            for service in services:
                supervisor.up(service)
            cluster.create(DATABASE)
        netbox.NetBoxSettings(
            database=DATABASE,
            database_sockets=str(places.database_sockets),
            redis_socket=str(places.redis_socket),
            secret_key=secrets.token_urlsafe(60),
            pepper=secrets.token_urlsafe(60),
            plugins=(),
        ).write(places.settings)
        _migrate(places, progress)
        cluster.query('VACUUM (FREEZE, ANALYZE)', database=DATABASE)
    finally:
        for service in services:
            supervisor.down(service)
    (places.data / 'postmaster.opts').unlink(missing_ok=True)
    beside = cache / f'{kept.name}.new'
    shutil.rmtree(beside, ignore_errors=True)
    private_folder(beside)
    places.data.rename(beside / 'postgresql')
    (beside / 'about.json').write_text(json.dumps(about(), indent=2) + '\n')
    shutil.rmtree(kept, ignore_errors=True)
    beside.rename(kept)
    places.remove()


def _migrate(places: Places, progress: Progress) -> None:
    log = places.logs / 'migrate.log'

    def detail() -> str:
        applied = re.findall(r'Applying (\S+)\.\.\. OK', log.read_text(errors='replace'))
        return f'({len(applied)} migrations applied, last {applied[-1]})' if applied else ''

    with log.open('w') as output, progress.step("running NetBox's own migrations", '5-6 min', detail):
        done = subprocess.run(
            netbox.manage_command(['migrate', '--no-input']),
            env={**os.environ, **netbox.environment(places)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd='/',
        )
    if done.returncode:
        raise LabError(f"NetBox's own migrations failed; the end of {log}:\n{tail(log)}")


def copy_to(places: Places, progress: Progress) -> None:
    """Puts a copy of the template's data folder into a run folder that has none, whole or not at all."""
    source = ensure(progress) / 'postgresql'
    for left in places.run.glob('postgresql.new-*'):
        shutil.rmtree(left, ignore_errors=True)
    # A name of its own: the cp of a killed start may still be writing.
    beside = places.run / f'postgresql.new-{secrets.token_hex(4)}'
    done = subprocess.run(
        ['cp', '-a', '--reflink=auto', str(source), str(beside)], text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise LabError(f'the database could not be copied from {source}: {done.stderr.strip()}')
    beside.rename(places.data)


def kept() -> list[tuple[Path, int]]:
    """Every kept template with its size in bytes."""

    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())

    return [(path, size(path)) for path in sorted(cache_folder().glob('netbox-*')) if path.is_dir()]


def empty() -> None:
    """Removes every template; the next start builds one again."""
    cache = cache_folder()
    if not cache.exists():
        return
    with exclusive(cache / 'lock'):
        for path, _size in kept():
            shutil.rmtree(path)
        (cache / 'lock').unlink()
    if not any(cache.iterdir()):
        cache.rmdir()
